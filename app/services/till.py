"""The till: stamps given, rewards redeemed, acts undone. One call, one transaction, under the member's row lock."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, aliased

from app import clock
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.people import Member, Staff
from app.db.programs import Location, Program
from app.db.stamps import StampCard
from app.i18n import N_
from app.loyalty.ledger import Kind, Unit
from app.services import (
    credit_reversal,
    earning,
    guard,
    purchase_book,
    referrals,
    reversal,
    reward_use,
    rewards,
    spending_proofs,
    stamp_checks,
    tiering,
    typed_purchases,
    visit_earning,
)
from app.services.audit import record
from app.services.bought import LARGEST_PURCHASE_MINOR, Bought
from app.services.card_news import announce
from app.services.context import Actor, Context
from app.services.credit_views import one_line_each
from app.services.errors import Refused
from app.services.forms import plain_line
from app.services.ledger_book import occasion, write
from app.services.members import by_card_or_phone, by_phone, fetch
from app.services.membership import usable
from app.services.saved_answers import Answer, fingerprint, once
from app.services.settling import plan_next_expiry, settle
from app.services.stamp_earning import fill_cards
from app.services.views import EntryView


def give_stamps(
    ctx: Context,
    actor: Actor,
    code: str = "",
    *,
    phone: str | None = None,
    member_id: UUID | None = None,
    count: int = 1,
    amount_minor: int | None = None,
    receipt_no: str = "",
    location: UUID | str | None = None,
    card: UUID | str | None = None,
    key: str | None = None,
) -> tuple[Answer, bool]:
    """Give stamps to the member with this card code, phone number (`phone` is never taken for a card code) or id, on
    the stamp `card` with this id or exact name, or on the first one.

    What was sent is compared as it was sent: a repeat gets its answer even when the location has another name by now.

    Returns {entry_id, member_id, card_code, given, stamps, stamps_needed, rewards, issued, stamp_cards}, and whether it
    repeats an earlier answer; `stamps` are those of the first card. Raises Refused: member-not-found, member-blocked,
    member-left, not-started, purchase-too-small, amount-needed, invalid-count, invalid-amount, amount-too-large (see
    app.services.typed_purchases), location-not-found, stamp-card-not-found, unreadable-code, idempotency-key-reused.
    """
    now = clock.now()
    request = {
        "code": code,
        "phone": phone,
        "member_id": member_id,
        "count": count,
        "amount_minor": amount_minor,
        "receipt_no": receipt_no,
        "location": location,
    } | ({"card": card} if card else {})
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)

        def act() -> Answer:
            place = place_of(session, actor, location)
            _check_amount(amount_minor)
            typed_purchases.check(session, program, actor, amount_minor)
            member = usable(session, actor, _who(program, code, phone, member_id))
            chosen = stamp_checks.chosen_card(session, program, card)
            given = stamp_checks.stamps_for(program, chosen, count, amount_minor, now)
            guard.watch(ctx, session, actor, guard.stamps(member.id, given))
            typed_purchases.watch(ctx, session, program, actor, member.id, amount_minor)
            guard.watch_receipt(ctx, session, actor, member.id, plain_line(receipt_no, 60))
            settle(session, member, now)
            what = occasion(
                actor, now, amount_minor=amount_minor, receipt_no=plain_line(receipt_no, 60), location_id=place
            )
            bought = Bought(now, amount_minor, count=count, by_hand=True, card=chosen.id)
            purchase_book.write(session, what, member, operation_id=what.operation_id)
            earned = earning.purchase(ctx, session, program, member, what, bought)
            announce(session, program, member, now, earned.issued)
            answer = balance_after(program, member, what.operation_id, earned.issued, earned.stamps[chosen.id])
            return answer | {
                "stamp_cards": stamp_checks.told(session, program, member, earned.stamps),
                "bonus_given": earned.bonus,
            }

        return once(session, actor, key, fingerprint("stamps", request), act)


def redeem_reward(
    ctx: Context,
    actor: Actor,
    reward_id: UUID,
    *,
    proof: str = "",
    card_code: str = "",
    bill_minor: int | None = None,
    location: UUID | str | None = None,
    key: str | None = None,
) -> tuple[Answer, bool]:
    """Use a reward, once. A `proof` of app.services.spending_proofs or the member's card code shows who is there.

    `bill_minor` is the bill that it is used on, for the answer to say what comes off: see app.services.reward_use.used.
    Raises Refused: proof-needed, proof-not-valid, reward-not-found, reward-used, reward-expired, reward-withdrawn,
    reward-not-yet, reward-not-here, reward-not-today, invalid-amount, member-blocked, member-left.
    """
    now = clock.now()
    request = {"reward_id": reward_id, "location": location, "bill_minor": bill_minor}
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)

        def act() -> Answer:
            place = place_of(session, actor, location)
            _check_amount(bill_minor)
            reward = session.get(Reward, reward_id)
            if reward is None or reward.program_id != actor.program_id:
                raise Refused("reward-not-found", N_("There is no such reward."), status=404)
            member = usable(session, actor, Member.id == reward.member_id)
            spending_proofs.require(ctx, actor, member, proof=proof, card_code=card_code, reward_id=reward.id)
            settle(session, member, now)
            session.refresh(reward)
            reward_use.check(session, program, reward, place, now)
            guard.watch(ctx, session, actor, guard.use(member.id))
            what = occasion(actor, now, amount_minor=bill_minor, location_id=place)
            write(session, member, what, Unit.REWARD, Kind.REDEEM, -1, reward_id=reward.id)
            rewards.close(session, member, [reward], RewardStatus.REDEEMED, now)
            plan_next_expiry(session, member)
            announce(session, program, member, now)
            return balance_after(program, member, what.operation_id, ()) | reward_use.used(reward, bill_minor)

        return once(session, actor, key, fingerprint("redeem", request), act)


def undo(ctx: Context, actor: Actor, operation_id: UUID, *, key: str | None = None) -> tuple[Answer, bool]:
    """Reverse one act with everything that came of it.

    A cashier may undo an own act within reversal.UNDO_WINDOW, who may manage any act at any time. Raises Refused:
    entry-not-found, already-undone, undo-too-late, reward-used (the stamp gave a reward that was used),
    stamps-used (the stamps went into a later reward or lapsed). For acts with credit see credit_reversal.undo().
    Bonus stands in no way: what of it was used since is told as bonus_missing_minor, see bonus_reversal.
    """
    now = clock.now()
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)

        def act() -> Answer:
            return undo_within(ctx, session, program, actor, operation_id, now)

        return once(session, actor, key, fingerprint("undo", {"operation_id": operation_id}), act)


def undo_within(
    ctx: Context, session: Session, program: Program, actor: Actor, operation_id: UUID, now: datetime
) -> Answer:
    """`undo` within the caller's transaction."""
    entries = reversal.entries_of(session, actor, operation_id)
    if entries[0].unit is Unit.CREDIT:
        answer = credit_reversal.undo(session, program, actor, entries, now)
        guard.watch(ctx, session, actor, guard.UNDO)
        return answer
    member = fetch(session, actor, Member.id == entries[0].member_id, lock=True)
    reversal.check(session, actor, entries, now)
    guard.watch(ctx, session, actor, guard.UNDO)
    settle(session, member, now)
    what = occasion(actor, now)
    unmet = reversal.reverse(session, member, what, entries)
    purchase_book.mark_undone(session, operation_id, now)
    visit_earning.mark_undone(session, operation_id, now)
    referrals.purchase_undone(session, program, member.id, operation_id, now)
    tiering.review(session, program, member, now)
    plan_next_expiry(session, member)
    settle(session, member, now)  # what came back may have lapsed in the meantime
    issued = fill_cards(session, program, member, what)  # later stamps may fill the card now
    announce(session, program, member, now, issued)
    record(session, actor, "entry.undone", operation_id)
    return balance_after(program, member, what.operation_id, issued) | {
        "undone": str(operation_id),
        "stamp_cards": stamp_checks.told(session, program, member),
        "bonus_missing_minor": unmet.missing,
        "bonus_lapsed_minor": unmet.lapsed,
    }


def history(ctx: Context, actor: Actor, member_id: UUID, *, limit: int = 20) -> list[EntryView]:
    """The member's newest acts first: stamps given, rewards used, expiries. Undone acts say so."""
    with ctx.sessions() as session:
        undo_entry = aliased(LedgerEntry)
        undone = select(undo_entry.id).where(undo_entry.reverses_id == LedgerEntry.id).exists()
        rows = session.execute(
            select(LedgerEntry, Location.name, Staff.name, undone, StampCard.name)
            .outerjoin(Location, Location.id == LedgerEntry.location_id)
            .outerjoin(Staff, Staff.id == LedgerEntry.staff_id)
            .outerjoin(StampCard, StampCard.id == LedgerEntry.stamp_card_id)
            .where(
                LedgerEntry.program_id == actor.program_id,
                LedgerEntry.member_id == member_id,
                or_(LedgerEntry.kind.not_in([Kind.CONVERT, Kind.UNDO]), reversal.BOUGHT),
            )
            .order_by(LedgerEntry.number.desc())
            .limit(limit)
        )
        entries = [
            EntryView(
                row.operation_id,
                row.unit,
                row.kind,
                row.amount,
                row.at,
                row.amount_minor,
                row.receipt_no,
                location or "",
                staff or "",
                was_undone,
                stamp_card or "",
            )
            for row, location, staff, was_undone, stamp_card in rows
        ]
    return one_line_each(entries)


def _who(program: Program, code: str, phone: str | None, member_id: UUID | None) -> ColumnElement[bool]:
    if member_id is not None:
        return Member.id == member_id
    return by_phone(program, phone) if phone is not None else by_card_or_phone(program, code)


def place_of(session: Session, actor: Actor, wanted: UUID | str | None) -> UUID | None:
    """The open location with this id or exact name; without any, the actor's own."""
    if wanted is None:
        return actor.location_id
    own = session.scalars(select(Location).where(Location.program_id == actor.program_id, Location.active))
    for location in own:
        if str(wanted).lower() == str(location.id) or wanted == location.name:
            return location.id
    raise Refused("location-not-found", N_("There is no such location."), field="location", status=404)


def _check_amount(amount_minor: int | None) -> None:
    if amount_minor is not None and not 0 <= amount_minor <= LARGEST_PURCHASE_MINOR:
        raise Refused("invalid-amount", N_("This amount cannot be right."), field="amount")


def balance_after(
    program: Program,
    member: Member,
    operation_id: UUID,
    issued: Iterable[Reward],
    given: int = 0,
) -> Answer:
    """What an act is answered with: the card as it is after it, and the rewards that it issued."""
    return {
        "entry_id": str(operation_id),
        "member_id": str(member.id),
        "card_code": member.card.code,
        "given": given,
        "stamps": member.stamps,
        "stamps_needed": program.stamps_needed,
        "rewards": member.rewards,
        "bonus": member.bonus,
        "issued": [
            {
                "id": str(reward.id),
                "name": reward.name,
                "expires_at": reward.expires_at.isoformat() if reward.expires_at else None,
                "value": reward.value.value,
                "value_amount": reward.value_amount,
                "valid_from": reward.valid_from.isoformat() if reward.valid_from else None,
                "location_ids": reward.location_ids,
                "weekdays": reward.weekdays,
            }
            for reward in issued
        ],
    }
