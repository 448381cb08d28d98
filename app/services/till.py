"""The till: stamps given, rewards redeemed, acts undone. One call, one transaction, under the member's row lock."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, aliased

from app import clock
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.people import Member, Staff
from app.db.programs import Location, Program
from app.i18n import N_, Money
from app.loyalty.ledger import Kind, Unit
from app.loyalty.stamps import MOST_STAMPS_AT_ONCE, Obstacle, bonus, obstacle
from app.services import credit_reversal, guard, purchase_book, reversal, spending_proofs
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.credit_views import one_line_each
from app.services.errors import Refused
from app.services.forms import plain_line
from app.services.ledger_book import (
    announce,
    earn_stamps,
    fill_cards,
    occasion,
    plan_next_expiry,
    rules_of,
    settle,
    write,
)
from app.services.members import by_card_or_phone, by_phone, fetch
from app.services.membership import usable
from app.services.saved_answers import Answer, fingerprint, once
from app.services.views import EntryView

LARGEST_PURCHASE_MINOR = 10**12


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
    key: str | None = None,
) -> tuple[Answer, bool]:
    """Give stamps to the member with this card code, phone number (`phone` is never taken for a card code) or id.

    What was sent is compared as it was sent: a repeat gets its answer even when the location has another name by now.

    Returns {entry_id, member_id, card_code, given, stamps, stamps_needed, rewards, issued}, and whether this repeats
    an earlier answer. Raises Refused: member-not-found, member-blocked, member-left, not-started, purchase-too-small,
    amount-needed, invalid-count, invalid-amount, location-not-found, unreadable-code, idempotency-key-reused.
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
    }
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)

        def act() -> Answer:
            place = place_of(session, actor, location)
            member = usable(session, actor, _who(program, code, phone, member_id))
            _check_stamp(program, count, amount_minor, now)
            guard.watch(ctx, session, actor, guard.stamps(member.id, count))
            guard.watch_receipt(ctx, session, actor, member.id, plain_line(receipt_no, 60))
            settle(session, member, now)
            what = occasion(
                actor, now, amount_minor=amount_minor, receipt_no=plain_line(receipt_no, 60), location_id=place
            )
            issued = earn_stamps(session, program, member, what, Kind.EARN, count)
            purchase_book.write(session, what, member, operation_id=what.operation_id)
            announce(session, program, member, now, issued)
            given = count + bonus(count, now, member.double_until)
            return balance_after(program, member, what.operation_id, issued, given)

        return once(session, actor, key, fingerprint("stamps", request), act)


def redeem_reward(
    ctx: Context,
    actor: Actor,
    reward_id: UUID,
    *,
    proof: str = "",
    card_code: str = "",
    location: UUID | str | None = None,
    key: str | None = None,
) -> tuple[Answer, bool]:
    """Use a reward, once. A `proof` of app.services.spending_proofs or the member's card code shows who is there.

    Raises Refused: proof-needed, proof-not-valid, reward-not-found, reward-used, reward-expired, reward-withdrawn,
    member-blocked, member-left.
    """
    now = clock.now()
    request = {"reward_id": reward_id, "location": location}
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)

        def act() -> Answer:
            place = place_of(session, actor, location)
            reward = session.get(Reward, reward_id)
            if reward is None or reward.program_id != actor.program_id:
                raise Refused("reward-not-found", N_("There is no such reward."), status=404)
            member = usable(session, actor, Member.id == reward.member_id)
            spending_proofs.require(ctx, actor, member, proof=proof, card_code=card_code)
            settle(session, member, now)
            session.refresh(reward)
            _check_reward(reward)
            guard.watch(ctx, session, actor, guard.use(member.id))
            what = occasion(actor, now, location_id=place)
            write(session, member, what, Unit.REWARD, Kind.REDEEM, -1, reward_id=reward.id)
            reward.status, reward.closed_at = RewardStatus.REDEEMED, now
            plan_next_expiry(session, member)
            announce(session, program, member, now)
            return balance_after(program, member, what.operation_id, ()) | {
                "redeemed": str(reward.id),
                "redeemed_name": reward.name,
            }

        return once(session, actor, key, fingerprint("redeem", request), act)


def undo(ctx: Context, actor: Actor, operation_id: UUID, *, key: str | None = None) -> tuple[Answer, bool]:
    """Reverse one act with everything that came of it.

    A cashier may undo an own act within reversal.UNDO_WINDOW, who may manage any act at any time. Raises Refused:
    entry-not-found, already-undone, undo-too-late, reward-used (the stamp gave a reward that was used),
    stamps-used (the stamps went into a later reward or lapsed). For acts with credit see credit_reversal.undo().
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
    reversal.reverse(session, member, what, entries)
    purchase_book.mark_undone(session, operation_id, now)
    plan_next_expiry(session, member)
    settle(session, member, now)  # what came back may have lapsed in the meantime
    issued = fill_cards(session, program, member, what)  # later stamps may fill the card now
    announce(session, program, member, now, issued)
    record(session, actor, "entry.undone", operation_id)
    return balance_after(program, member, what.operation_id, issued) | {"undone": str(operation_id)}


def history(ctx: Context, actor: Actor, member_id: UUID, *, limit: int = 20) -> list[EntryView]:
    """The member's newest acts first: stamps given, rewards used, expiries. Undone acts say so."""
    with ctx.sessions() as session:
        undo_entry = aliased(LedgerEntry)
        undone = select(undo_entry.id).where(undo_entry.reverses_id == LedgerEntry.id).exists()
        rows = session.execute(
            select(LedgerEntry, Location.name, Staff.name, undone)
            .outerjoin(Location, Location.id == LedgerEntry.location_id)
            .outerjoin(Staff, Staff.id == LedgerEntry.staff_id)
            .where(
                LedgerEntry.program_id == actor.program_id,
                LedgerEntry.member_id == member_id,
                LedgerEntry.kind.not_in([Kind.CONVERT, Kind.UNDO]),
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
            )
            for row, location, staff, was_undone in rows
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


def _check_stamp(program: Program, count: int, amount_minor: int | None, now: datetime) -> None:
    if amount_minor is not None and not 0 <= amount_minor <= LARGEST_PURCHASE_MINOR:
        raise Refused("invalid-amount", N_("This amount cannot be right."), field="amount")
    match obstacle(rules_of(program), count, amount_minor, now):
        case None:
            return
        case Obstacle.NOT_STARTED:
            raise Refused(
                "not-started",
                N_("The programme starts on %(day)s. Stamps can be given from that day."),
                {"day": program.starts_on},
                status=409,
            )
        case Obstacle.TOO_FEW | Obstacle.TOO_MANY:
            raise Refused(
                "invalid-count",
                N_("Give between 1 and %(most)s stamps at a time."),
                {"most": MOST_STAMPS_AT_ONCE},
                field="count",
            )
        case Obstacle.PURCHASE_UNKNOWN:
            raise Refused(
                "amount-needed",
                N_("Enter the purchase amount: a stamp needs a purchase of %(smallest)s or more."),
                {"smallest": Money(program.smallest_purchase_minor, program.currency)},
                field="amount",
            )
        case Obstacle.PURCHASE_TOO_SMALL:
            raise Refused(
                "purchase-too-small",
                N_("No stamp: the purchase must be %(smallest)s or more."),
                {"smallest": Money(program.smallest_purchase_minor, program.currency)},
                field="amount",
            )


def _check_reward(reward: Reward) -> None:
    if reward.status is RewardStatus.REDEEMED:
        raise Refused("reward-used", N_("This reward has been used already."), status=409)
    if reward.status is RewardStatus.EXPIRED:
        raise Refused("reward-expired", N_("This reward is no longer valid: its last day has passed."), status=409)
    if reward.status is RewardStatus.WITHDRAWN:
        raise Refused("reward-withdrawn", N_("This reward was taken back when its stamp was undone."), status=409)


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
        "issued": [
            {
                "id": str(reward.id),
                "name": reward.name,
                "expires_at": reward.expires_at.isoformat() if reward.expires_at else None,
            }
            for reward in issued
        ],
    }
