"""The SMS channel: hand messages to the provider, once each, at the sender's pace."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from app import clock
from app.i18n import N_
from app.jobs.outcome import Outcome
from app.logs import log
from app.services import sms_sending
from app.services.context import Context
from app.services.outbox import Claimed
from app.services.sms_sending import Attempt
from sms.delivery_states import State
from sms.provider import ProviderMessage, SmsError
from sms.text import count_parts

# Messages that are with the provider at the same time: its answers take a while, and the pace counts, not the wait.
AT_A_TIME = 8


def send_messages(context: Context, pace: Callable[[int], None], rows: Sequence[Claimed]) -> list[Outcome]:
    """Hand these messages over. No transaction is open while the provider is asked."""
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        return list(threads.map(lambda row: _send(context, pace, row), rows))


def _send(context: Context, pace: Callable[[int], None], row: Claimed) -> Outcome:
    attempt = sms_sending.begin(context, row.subject_id)
    if attempt is None:
        return Outcome(row)
    if attempt.tried_at is not None:
        found = _look_for(context, attempt)
        if found is not None:
            return _looked_for(context, row, attempt, found)
    pace(count_parts(attempt.outgoing.body).parts)
    try:
        accepted = context.sms.send(attempt.outgoing)
    except SmsError as error:
        return _failed(context, row, attempt, error)
    sms_sending.advance(
        context, attempt.message_id, State.ACCEPTED, provider_id=accepted.provider_id, parts=accepted.parts
    )
    log().info("sms.accepted", message=str(attempt.message_id), provider=context.sms.name, parts=accepted.parts)
    return Outcome(row)


def _failed(context: Context, row: Claimed, attempt: Attempt, error: SmsError) -> Outcome:
    log().warning("sms.failed", message=str(attempt.message_id), provider=context.sms.name, reason=error.code)
    if error.unknown:
        sms_sending.advance(context, attempt.message_id, State.UNKNOWN, reason=error.reason, code=error.code)
        return Outcome(row, str(error), retry_after=sms_sending.GRACE.total_seconds())
    if error.permanent:
        sms_sending.advance(context, attempt.message_id, State.FAILED, reason=error.reason, code=error.code)
        if error.opted_out:
            sms_sending.record_opt_out(context, attempt.message_id)
        return Outcome(row)
    sms_sending.back_to_queue(context, attempt.message_id, error.reason, error.code)
    # A provider that refuses our account would refuse every message: staff have to see it at once.
    return Outcome(row, str(error), permanent=error.stop, retry_after=error.retry_after)


def _look_for(context: Context, attempt: Attempt) -> "Found | None":
    """What the provider knows of a message that may have got through; None when it certainly has not."""
    if not context.sms.finds_messages:
        return Found(
            None, permanent=True, why=N_("Nobody knows whether this message was sent: the provider cannot be asked.")
        )
    tried_at = attempt.tried_at or clock.now()
    if clock.now() - tried_at < sms_sending.GRACE:
        return Found(None, permanent=False, why=N_("It is not yet known whether this message was sent."))
    try:
        messages = context.sms.find(attempt.outgoing.to, tried_at - sms_sending.GRACE)
    except SmsError as error:
        return Found(None, permanent=False, why=str(error))
    # The same words may have gone to this number before: those are another message of ours.
    taken = sms_sending.known_already(context, [one.provider_id for one in messages])
    same = next(
        (one for one in messages if one.body == attempt.outgoing.body and one.provider_id not in taken),
        None,
    )
    return Found(same) if same is not None else None


def _looked_for(context: Context, row: Claimed, attempt: Attempt, found: "Found") -> Outcome:
    if found.message is None:
        sms_sending.advance(context, attempt.message_id, State.UNKNOWN)
        return Outcome(row, found.why, found.permanent, sms_sending.GRACE.total_seconds())
    known = found.message
    sms_sending.advance(
        context,
        attempt.message_id,
        known.state or State.ACCEPTED,
        provider_id=known.provider_id,
        parts=known.parts,
        code=known.error_code or "",
    )
    return Outcome(row)


class Found:
    """What came of looking for a message: the provider's, or why there is no answer yet."""

    def __init__(self, message: ProviderMessage | None, *, permanent: bool = False, why: str = "") -> None:
        self.message, self.permanent, self.why = message, permanent, why
