"""What has lapsed, and when the next thing does. Works inside the caller's transaction, on a locked member."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, select
from sqlalchemy.orm import Session

from app.db.credit import Credit, CreditStatus
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.lookup import Compiled
from app.db.people import Member
from app.loyalty.ledger import Entry, Kind, Lot, Unit, lapsed, lots, next_lapse
from app.services import rewards
from app.services.context import Actor
from app.services.ledger_book import Occasion, occasion, write

# Being blocked does not stop a credit's time.
LAPSING = (CreditStatus.OPEN, CreditStatus.BLOCKED)
_IN_LOTS = (Unit.STAMP, Unit.BONUS)
_IS_IN_LOTS = LedgerEntry.unit.in_(bindparam("units", _IN_LOTS, expanding=True, literal_execute=True))
_ENTRIES = Compiled(
    select(
        LedgerEntry.member_id,
        LedgerEntry.unit,
        LedgerEntry.stamp_card_id,
        LedgerEntry.id,
        LedgerEntry.amount,
        LedgerEntry.expires_at,
        LedgerEntry.reverses_id,
        LedgerEntry.lot_id,
    )
    .where(LedgerEntry.member_id == any_(bindparam("member_ids", type_=ARRAY(Uuid))), _IS_IN_LOTS)
    .order_by(LedgerEntry.number)
)
# A unit, and of stamps the stamp card; None is the first one.
Pot = tuple[Unit, UUID | None]


def settle(session: Session, member: Member, at: datetime) -> bool:
    """Close what has lapsed by `at`: stamps and bonus whose time is over, rewards and credit past their date. True if
    any was."""
    return bool(settle_all(session, [member], at))


def settle_all(session: Session, members: Sequence[Member], at: datetime) -> list[Member]:
    """`settle` for many, in as many questions as for one; returns those of whom something was closed."""
    due = {one.id: one for one in members if one.next_expiry_at is not None and one.next_expiry_at <= at}
    if not due:
        return []
    acts = {one.id: occasion(Actor(one.program_id), at) for one in due.values()}
    owned = pots_of(session, list(due))
    with session.no_autoflush:  # or each entry would write the member before it by itself
        closed = {
            member_id
            for member_id, entries in owned.items()
            if _close_lots(session, due[member_id], acts[member_id], entries, at)
        }
    over: dict[UUID, list[Reward]] = {}
    for reward in session.scalars(
        select(Reward).where(Reward.member_id.in_(due), Reward.status == RewardStatus.ISSUED, Reward.expires_at <= at)
    ).all():
        write(session, due[reward.member_id], acts[reward.member_id], Unit.REWARD, Kind.EXPIRY, -1, reward_id=reward.id)
        over.setdefault(reward.member_id, []).append(reward)
    for member_id, ended in over.items():
        rewards.close(session, due[member_id], ended, RewardStatus.EXPIRED, at)
    credits_over = session.scalars(
        select(Credit)
        .where(Credit.member_id.in_(due), Credit.status.in_(LAPSING), Credit.expires_at <= at)
        .order_by(Credit.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    holders = {credit.id: credit.member_id for credit in credits_over if credit.member_id is not None}
    for credit in credits_over:
        holder = holders[credit.id]
        lapse_credit(session, due[holder], acts[holder], credit)
    plan_all(session, list(due.values()))
    closed |= over.keys() | set(holders.values())
    return [due[member_id] for member_id in closed]


def _close_lots(
    session: Session, member: Member, act: Occasion, owned: Mapping[Pot, list[Entry]], at: datetime
) -> bool:
    over = [(pot, lot) for pot, written in owned.items() for lot in lapsed(lots(written), at)]
    for (unit, stamp_card_id), lot in over:
        write(session, member, act, unit, Kind.EXPIRY, -lot.left, lot_id=lot.entry_id, stamp_card_id=stamp_card_id)
    return bool(over)


def lapse_credit(session: Session, member: Member | None, act: Occasion, credit: Credit) -> None:
    """Close a credit: what is left of it lapses."""
    if credit.balance_minor:
        write(session, member, act, Unit.CREDIT, Kind.EXPIRY, -credit.balance_minor, credit_id=credit.id)
    credit.balance_minor, credit.status, credit.closed_at = 0, CreditStatus.LAPSED, act.at


def plan_next_expiry(session: Session, member: Member) -> None:
    """Work out anew when the first of what the member has lapses."""
    plan_all(session, [member])


def plan_all(session: Session, members: Sequence[Member]) -> None:
    """`plan_next_expiry` for many, in as many questions as for one."""
    ids = [member.id for member in members]
    moments: dict[UUID, list[datetime | None]] = {
        member_id: [next_lapse(lots(written)) for written in owned.values()]
        for member_id, owned in pots_of(session, ids).items()
    }
    held = select(Reward.member_id, Reward.expires_at).where(
        Reward.member_id.in_(ids), Reward.status == RewardStatus.ISSUED
    )
    owed = select(Credit.member_id, Credit.expires_at).where(Credit.member_id.in_(ids), Credit.status.in_(LAPSING))
    for member_id, moment in [*session.execute(held), *session.execute(owed)]:
        moments.setdefault(member_id, []).append(moment)
    for member in members:
        known = [moment for moment in moments.get(member.id, ()) if moment is not None]
        member.next_expiry_at = min(known, default=None)


def open_lots(session: Session, member_id: UUID) -> dict[Pot, list[Lot]]:
    """What is left of each of the member's earns of stamps and bonus."""
    return {pot: lots(written) for pot, written in pots(session, member_id).items()}


def pots(session: Session, member_id: UUID) -> dict[Pot, list[Entry]]:
    """The member's entries of stamps and bonus, in the order in which they were written."""
    return pots_of(session, [member_id]).get(member_id, {})


def pots_of(session: Session, member_ids: Sequence[UUID]) -> dict[UUID, dict[Pot, list[Entry]]]:
    """`pots` of many members. Who has no entries is not among them."""
    entries: dict[UUID, dict[Pot, list[Entry]]] = {}
    for row in _ENTRIES.within(session, member_ids=list(member_ids)):
        member_id, unit, stamp_card_id, *entry = row
        entries.setdefault(member_id, {}).setdefault((Unit(unit), stamp_card_id), []).append(Entry(*entry))
    return entries
