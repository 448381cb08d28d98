"""The Google channel: have Google know changed cards, many at once."""

from collections.abc import Sequence
from uuid import UUID

from app.jobs.google_coupons import put_coupons
from app.jobs.outcome import Outcome
from app.services import google_cards, google_coupons, google_describing, google_messages
from app.services.context import Context
from app.services.google_describing import Described
from app.services.outbox import Claimed
from passes.google import outcome as google
from passes.google.client import LARGEST_BATCH, GoogleWallet, MessagePut, ObjectPut
from passes.google.errors import AccountError
from passes.google.objects import Message, message
from passes.google.outcome import NO_ANSWER, TOKEN_UNAVAILABLE, OutcomeKind

_OFF = (
    "Google Wallet is not set up here. It needs LEIMA_GOOGLE_ISSUER_ID, LEIMA_GOOGLE_ACCOUNT and an https address "
    "(LEIMA_WALLET_URL)"
)


def deliver(context: Context, rows: Sequence[Claimed]) -> list[Outcome]:
    """Tell Google of these cards. What no retry can mend (settings, the account's key) is said at once."""
    if not google_cards.is_on(context):
        return [Outcome(row, _OFF, permanent=True) for row in rows]
    try:
        wallet = context.google()
    except AccountError as error:
        return [Outcome(row, str(error), permanent=True) for row in rows]
    return put_objects(context, wallet, rows)


def put_objects(context: Context, wallet: GoogleWallet, rows: Sequence[Claimed]) -> list[Outcome]:
    """Send these cards and coupons as they are now, in batches. No transaction is open meanwhile.

    A card notifies when its news is worth it and its quota of the last 24 hours is not used up; else it is silent.
    """
    outcomes: list[Outcome] = []
    coupons = google_coupons.among(context, [row.subject_id for row in rows])
    if coupons:
        done_coupons = put_coupons(context, wallet, [row for row in rows if row.subject_id in coupons])
        outcomes += [_outcome(row, done_coupons[row.subject_id]) for row in rows if row.subject_id in coupons]
    ready = [row for row in rows if row.subject_id not in coupons]
    for program_id in sorted({row.program_id for row in ready}):
        done = google_cards.ensure_class(context, wallet, program_id)
        if not done.delivered:
            outcomes += [_outcome(row, done) for row in ready if row.program_id == program_id]
            ready = [row for row in ready if row.program_id != program_id]
    while ready:
        batch, ready = ready[:LARGEST_BATCH], ready[LARGEST_BATCH:]
        results = _put_batch(context, wallet, batch)
        outcomes += [_outcome(row, result) for row, result in zip(batch, results, strict=True)]
        silent = next((result for result in results if result in (NO_ANSWER, TOKEN_UNAVAILABLE)), None)
        if silent is not None:
            # The next batches would each wait for the timeout too, and the rows' leases would run out.
            outcomes += [_outcome(row, silent) for row in ready]
            break
    return outcomes


def _put_batch(context: Context, wallet: GoogleWallet, rows: Sequence[Claimed]) -> list[google.Outcome]:
    """What became of each of these rows, whose programmes Google knows."""
    ids = [row.subject_id for row in rows]
    described, messages = google_describing.describe(context, ids), google_messages.waiting(context, ids)
    sent = [(row, described[row.subject_id]) for row in rows if _can_be_sent(described.get(row.subject_id))]
    answers = wallet.put_objects([_put(row, card, row.subject_id in messages) for row, card in sent])
    results: dict[UUID, google.Outcome] = {}
    told: list[tuple[UUID, int, bool]] = []
    with_message: list[tuple[Described, Message]] = []
    for (row, card), answer in zip(sent, answers, strict=True):
        results[row.subject_id] = answer
        if answer.delivered and row.subject_id in messages:
            with_message.append((card, messages[row.subject_id]))
        elif answer.delivered:
            notified = row.notify and card.may_notify and answer.kind is OutcomeKind.DONE
            told.append((row.subject_id, card.member.card_version, notified))
        elif answer.code == "class_missing":
            google_cards.forget_class(context, row.program_id)
            results[row.subject_id] = google.Outcome(OutcomeKind.RETRY, answer.code, answer.reason)
    google_cards.mark_told(context, told)
    results |= _add_messages(context, wallet, with_message)
    return [results.get(row.subject_id) or _not_sent(described.get(row.subject_id)) for row in rows]


def _put(row: Claimed, card: Described, with_message: bool) -> ObjectPut:
    """The object. With a message it is silent, as the message speaks; and older messages go: also the same one, which
    a crash may have left."""
    if with_message:
        return ObjectPut(card.body | {"messages": []}, new=not card.known)
    return ObjectPut(card.body, row.notify and card.may_notify, new=not card.known)


def _add_messages(
    context: Context, wallet: GoogleWallet, given: Sequence[tuple[Described, Message]]
) -> dict[UUID, google.Outcome]:
    """Have these cards, which Google has as they are now, get their messages. Phones tell of them within the quota."""
    if not given:
        return {}
    answers = wallet.add_messages([MessagePut(card.body["id"], message(one), card.may_notify) for card, one in given])
    results = {card.member.card_id: answer for (card, _), answer in zip(given, answers, strict=True)}
    told = [(card, one) for card, one in given if results[card.member.card_id].delivered]
    over = [(card, one) for card, one in given if results[card.member.card_id].kind is not OutcomeKind.RETRY]
    google_cards.mark_told(
        context,
        [
            (
                card.member.card_id,
                card.member.card_version,
                card.may_notify and results[card.member.card_id].kind is OutcomeKind.DONE,
            )
            for card, _ in told
        ],
    )
    google_messages.told(context, [(card.member.card_id, one) for card, one in over])
    return results


def _can_be_sent(card: Described | None) -> bool:
    return card is not None and not card.problem


def _not_sent(card: Described | None) -> google.Outcome:
    """A card that is gone has nothing to tell; one with a problem needs staff."""
    return google.DONE if card is None else google.Outcome(OutcomeKind.REFUSED, "invalid", card.problem)


def _outcome(row: Claimed, result: google.Outcome) -> Outcome:
    if result.delivered:
        return Outcome(row)
    reason = f"{result.reason}: {result.detail}" if result.detail else result.reason
    return Outcome(row, reason, result.kind is OutcomeKind.REFUSED, result.retry_after)
