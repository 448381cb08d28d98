"""Writing the ledger: the one place that adds entries and keeps the cached balances equal to their sums.

Everything here works inside the caller's transaction, on a member whose row the caller has locked.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer, bindparam, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app.db.ledger import LedgerEntry
from app.db.lookup import Compiled
from app.db.people import Member
from app.db.stamps import MemberStamps
from app.loyalty.ledger import Kind, Unit
from app.services.context import Actor

_ADD = Compiled(
    insert(LedgerEntry).inline(),
    [column.key for column in LedgerEntry.__table__.columns if column.identity is None],
)
_STAMPS = Compiled(
    select(MemberStamps.stamps).where(
        MemberStamps.member_id == bindparam("member_id"), MemberStamps.stamp_card_id == bindparam("stamp_card_id")
    )
)
_AMOUNT = bindparam("amount", type_=Integer)
_ADD_STAMPS = Compiled(
    upsert(MemberStamps)
    .values(member_id=bindparam("member_id"), stamp_card_id=bindparam("stamp_card_id"), stamps=_AMOUNT)
    .on_conflict_do_update(
        index_elements=["member_id", "stamp_card_id"], set_={"stamps": MemberStamps.stamps + _AMOUNT}
    )
)
_TAKE_STAMPS = Compiled(
    update(MemberStamps)
    .where(MemberStamps.member_id == bindparam("member_id"), MemberStamps.stamp_card_id == bindparam("stamp_card_id"))
    .values(stamps=MemberStamps.stamps + _AMOUNT)
)


@dataclass(slots=True)
class Occasion:
    """What the entries of one act have in common. The first entry written carries the act's id, as `operation_id`."""

    actor: Actor
    at: datetime
    operation_id: UUID
    amount_minor: int | None = None
    receipt_no: str = ""
    location_id: UUID | None = None
    begun: bool = False


def occasion(
    actor: Actor,
    at: datetime,
    *,
    amount_minor: int | None = None,
    receipt_no: str = "",
    location_id: UUID | None = None,
) -> Occasion:
    """A new act of `actor` at the moment `at`."""
    return Occasion(actor, at, uuid7(), amount_minor, receipt_no, location_id or actor.location_id)


def write(
    session: Session,
    member: Member | None,
    act: Occasion,
    unit: Unit,
    kind: Kind,
    amount: int,
    *,
    expires_at: datetime | None = None,
    reverses_id: UUID | None = None,
    lot_id: UUID | None = None,
    reward_id: UUID | None = None,
    credit_id: UUID | None = None,
    stamp_card_id: UUID | None = None,
) -> None:
    """Add one entry and move the member's cached balance with it. Only credit of a group has no member.

    Stamps without `stamp_card_id` are of the first stamp card. A credit's own balance is the caller's to move.
    """
    first, act.begun = not act.begun, True
    _ADD.within(
        session,
        id=act.operation_id if first else uuid7(),
        program_id=act.actor.program_id,
        member_id=member.id if member else None,
        operation_id=act.operation_id,
        unit=unit,
        kind=kind,
        amount=amount,
        at=act.at,
        expires_at=expires_at,
        reverses_id=reverses_id,
        lot_id=lot_id,
        reward_id=reward_id,
        credit_id=credit_id,
        stamp_card_id=stamp_card_id,
        location_id=act.location_id,
        staff_id=act.actor.staff_id,
        api_key_id=act.actor.api_key_id,
        amount_minor=act.amount_minor if first else None,
        receipt_no=act.receipt_no if first else "",
    )
    if member is None:
        return
    match unit:
        case Unit.STAMP if stamp_card_id is not None:
            _move_stamps(session, member.id, stamp_card_id, amount)
        case Unit.STAMP:
            member.stamps += amount
        case Unit.REWARD:
            member.rewards += amount
        case Unit.CREDIT:
            member.credit_minor += amount
        case Unit.BONUS:
            member.bonus += amount
        case Unit.VISIT:
            member.visits += amount
    if expires_at is not None:
        member.next_expiry_at = min(member.next_expiry_at or expires_at, expires_at)


def balance_of(session: Session, member: Member, unit: Unit, stamp_card_id: UUID | None = None) -> int:
    """How much of a unit the member has."""
    match unit:
        case Unit.STAMP if stamp_card_id is not None:
            found = _STAMPS.within(session, member_id=member.id, stamp_card_id=stamp_card_id)
            return int(found[0][0]) if found else 0
        case Unit.STAMP:
            return member.stamps
        case Unit.REWARD:
            return member.rewards
        case Unit.CREDIT:
            return member.credit_minor
        case Unit.BONUS:
            return member.bonus
        case Unit.VISIT:
            return member.visits


def _move_stamps(session: Session, member_id: UUID, stamp_card_id: UUID, amount: int) -> None:
    # PostgreSQL checks what an upsert would insert, which must not be negative: what is taken was given before.
    moved = _ADD_STAMPS if amount > 0 else _TAKE_STAMPS
    moved.within(session, member_id=member_id, stamp_card_id=stamp_card_id, amount=amount)
