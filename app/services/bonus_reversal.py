"""Taking back what was done with bonus: as much of it as can be, and how much could not."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.db.ledger import LedgerEntry
from app.db.people import Member
from app.loyalty.bonus import taken_back
from app.loyalty.ledger import Kind, Unit, came_from
from app.services.ledger_book import Occasion, write
from app.services.settling import pots


@dataclass(slots=True)
class Unmet:
    """What undoing an act could not move, in minor units or points.

    `missing` was used since it was earned: the shop takes it off the refund. `lapsed` was used, and can't come back,
    because its time ended while it was.
    """

    missing: int = 0
    lapsed: int = 0


def reverse_one(session: Session, member: Member, act: Occasion, entry: LedgerEntry, unmet: Unmet) -> None:
    """Write the reverse of one entry of bonus, and add what it could not move to `unmet`. Nothing is ever refused, and
    the balance never falls below 0."""
    if entry.amount > 0:
        moved, missing = taken_back(entry.amount, _lapsed_of(session, entry), member.bonus)
        unmet.missing += missing
        amount = -moved
    else:
        parts = came_from(pots(session, member.id)[Unit.BONUS, None], entry.id)
        closed = set(session.scalars(select(LedgerEntry.lot_id).where(LedgerEntry.lot_id.in_(parts))))
        amount = sum(part for lot, part in parts.items() if lot not in closed)
        unmet.lapsed += -entry.amount - amount
    write(session, member, act, Unit.BONUS, Kind.UNDO, amount, reverses_id=entry.id)
    if entry.kind is Kind.EARN:
        member.bonus_earned -= entry.amount


def _lapsed_of(session: Session, entry: LedgerEntry) -> int:
    """How much of what this entry gave has lapsed."""
    lapsed = select(func.coalesce(func.sum(LedgerEntry.amount), 0)).where(LedgerEntry.lot_id == entry.id)
    return -int(session.scalars(lapsed).one())
