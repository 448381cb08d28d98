"""The SMS channel: hand messages to the provider, once each, at the sender's pace."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from app import clock
from app.i18n import N_
from app.jobs.outcome import Outcome
from app.logs import log
from app.services import outbox, sms_sending
from app.services.context import Context
from app.services.outbox import Claimed
from app.services.sms_gate import Held
from app.services.sms_sending import Attempt
from sms.delivery_states import State
from sms.provider import ProviderMessage, SmsError
from sms.reconciling import Absent, Doubtful, Ours, judge

# Messages that are with the provider at the same time: its answers take a while, and the pace counts, not the wait.
AT_A_TIME = 8


def send_messages(context: Context, pace: Callable[[int], None], rows: Sequence[Claimed]) -> list[Outcome]:
    """Hand these messages over. No transaction is open while the provider is asked."""
    if len(rows) == 1:
        return [_send(context, pace, rows[0])]
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        return list(threads.map(lambda row: _send(context, pace, row), rows))


def _send(context: Context, pace: Callable[[int], None], row: Claimed) -> Outcome:
    attempt = _begun(context, row)
    if isinstance(attempt, Outcome):
        return attempt
    pace(attempt.parts)
    # Who waited long for its turn begins anew: another worker may have taken the message for lost meanwhile.
    while clock.now() - attempt.begun_at > sms_sending.grace(context) / 4:
        sms_sending.not_taken(context, attempt, State.QUEUED)
        attempt = _begun(context, row)
        if isinstance(attempt, Outcome):
            return attempt
    return _handed_over(context, row, attempt)


def _begun(context: Context, row: Claimed) -> Attempt | Outcome:
    """An attempt that may be made now, or why there is none."""
    attempt = sms_sending.begin(context, row.subject_id)
    if isinstance(attempt, Attempt) and attempt.in_doubt:
        found = _settled(context, row, attempt)
        if found is not None:
            return found
        attempt = sms_sending.begin(context, row.subject_id)
        if isinstance(attempt, Attempt) and attempt.in_doubt:
            return Outcome(row, _NOT_KNOWN_YET)  # another worker was quicker
    if isinstance(attempt, Held):
        outbox.go_on(context, row, row.payload, seconds=(attempt.until - clock.now()).total_seconds())
        return Outcome(row)
    return Outcome(row) if attempt is None else attempt


def _handed_over(context: Context, row: Claimed, attempt: Attempt) -> Outcome:
    try:
        accepted = context.sms.send(attempt.outgoing)
    except SmsError as error:
        return _failed(context, row, attempt, error)
    sms_sending.advance(
        context, attempt.message_id, State.ACCEPTED, provider_id=accepted.provider_id, parts=accepted.parts
    )
    log().info("sms.accepted", message=str(attempt.message_id), provider=context.sms.name, parts=attempt.parts)
    return Outcome(row)


def _failed(context: Context, row: Claimed, attempt: Attempt, error: SmsError) -> Outcome:
    log().warning("sms.failed", message=str(attempt.message_id), provider=context.sms.name, reason=error.code)
    if error.unknown:
        sms_sending.advance(context, attempt.message_id, State.UNKNOWN, reason=error.reason, code=error.code)
        return Outcome(row, str(error), retry_after=sms_sending.grace(context).total_seconds())
    if error.permanent:
        sms_sending.not_taken(context, attempt, State.FAILED, error.reason, error.code)
        if error.opted_out:
            sms_sending.record_opt_out(context, attempt.message_id)
        return Outcome(row)
    sms_sending.not_taken(context, attempt, State.QUEUED, error.reason, error.code)
    # A provider that refuses our account would refuse every message: staff have to see it at once.
    return Outcome(row, str(error), permanent=error.stop, retry_after=error.retry_after)


_NOT_KNOWN_YET = N_("It is not yet known whether this message was sent.")
_CANNOT_BE_ASKED = N_("Nobody knows whether this message was sent: the provider cannot be asked.")
_DOUBTFUL = N_(
    "The provider has another message to this number, which may be this one. Look there before you write again."
)


def _settled(context: Context, row: Claimed, attempt: Attempt) -> Outcome | None:
    """What the provider knows of a message that may have got through; None when it certainly has not."""
    if not context.sms.finds_messages:
        return _unknown(context, row, attempt, _CANNOT_BE_ASKED, permanent=True)
    grace = sms_sending.grace(context)
    left = attempt.begun_at + grace - clock.now()
    if left.total_seconds() > 0:
        return _unknown(context, row, attempt, _NOT_KNOWN_YET, retry_after=left.total_seconds())
    try:
        messages = context.sms.find(attempt.outgoing.to, attempt.planned_at - grace)
    except SmsError as error:
        return _unknown(context, row, attempt, str(error), retry_after=error.retry_after)
    # The same words may have gone to this number before: those are another message of ours.
    known = sms_sending.known_already(context, [one.provider_id for one in messages])
    match judge(messages, known, attempt.outgoing.body):
        case Ours(message):
            _found(context, attempt, message)
            return Outcome(row)
        case Doubtful():  # it may be another one that is in doubt, which is settled soon
            return _unknown(context, row, attempt, _DOUBTFUL)
        case Absent():
            sms_sending.not_taken(context, attempt, State.QUEUED)
            return None


def _found(context: Context, attempt: Attempt, message: ProviderMessage) -> None:
    log().info("sms.found", message=str(attempt.message_id), provider=context.sms.name)
    sms_sending.advance(
        context,
        attempt.message_id,
        message.state or State.ACCEPTED,
        provider_id=message.provider_id,
        parts=message.parts,
        reason=message.reason or "",
        code=message.error_code or "",
    )


def _unknown(
    context: Context,
    row: Claimed,
    attempt: Attempt,
    why: str,
    *,
    permanent: bool = False,
    retry_after: float | None = None,
) -> Outcome:
    sms_sending.advance(context, attempt.message_id, State.UNKNOWN)
    return Outcome(row, why, permanent, retry_after)
