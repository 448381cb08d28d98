"""Taking from a credit: one conditional UPDATE, and its rows in the ledger."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, DateTime, Update, and_, bindparam, case, cast, func, literal, select, update
from sqlalchemy.orm import Session, aliased

from app.db.credit import Credit, CreditStatus
from app.db.lookup import Compiled
from app.db.people import Member
from app.db.programs import Program
from app.loyalty.credit import taking
from app.loyalty.ledger import Kind, Unit
from app.services import credit_news
from app.services.card_news import announce
from app.services.ledger_book import Occasion, write
from app.services.program_rules import Rules
from app.services.settling import plan_next_expiry


def _taking() -> Update:
    """The balance before comes from the row as it was locked: older PostgreSQL returns only what is there after."""
    wanted, bill = bindparam("wanted", type_=Credit.id.type), bindparam("bill_minor", type_=BigInteger)
    member_id = bindparam("member_id_asked", type_=Member.id.type)
    at = bindparam("moment", type_=DateTime(timezone=True))
    is_open, is_used = (
        literal(status, Credit.status.type, literal_execute=True) for status in (CreditStatus.OPEN, CreditStatus.USED)
    )
    before = select(Credit.id, Credit.balance_minor).where(Credit.id == wanted).with_for_update().subquery("before")
    nothing = literal(0, literal_execute=True)
    rest = Credit.balance_minor - func.least(Credit.balance_minor, bill)
    left = case((bindparam("partial_use", type_=Boolean), rest), else_=nothing)
    other = aliased(Credit)
    others = (
        select(func.coalesce(cast(func.sum(other.balance_minor), BigInteger), nothing))
        .where(other.member_id == member_id, other.status == is_open, other.id != wanted)
        .scalar_subquery()
    )
    usable = and_(
        Credit.program_id == bindparam("program_id_asked"),
        Credit.member_id.is_not_distinct_from(member_id),
        Credit.status == is_open,
        Credit.valid_from <= at,
        Credit.expires_at > at,
        Credit.balance_minor > nothing,
    )
    return (
        update(Credit)
        .where(Credit.id == before.c.id, usable)
        .values(
            balance_minor=left,
            status=case((left == nothing, is_used), else_=Credit.status),
            closed_at=case((left == nothing, at), else_=Credit.closed_at),
        )
        .returning(before.c.balance_minor, Credit.expires_at, others)
    )


_TAKE = Compiled(_taking())


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken of a credit, in minor units: used for the bill, left on it, lapsed because nothing may be left.

    `open_minor`: what the member's open credits hold after it, as cards show it.
    """

    credit_id: UUID
    used_minor: int
    left_minor: int
    lapsed_minor: int
    open_minor: int


def take(
    session: Session,
    program: Program,
    credit_id: UUID,
    member: Member | None,
    act: Occasion,
    bill_minor: int,
    rules: Rules,
    *,
    tell: bool = True,
) -> Taken | None:
    """Take a bill (1 or more) off a credit, as far as it goes; None when the credit cannot be used at `act.at`.

    `member`: whose credit it is, with the row locked, which comes before the credit's; None for a group's. Their card
    tells of it, unless `tell` is False because the same act takes more: then call `tell_card` at its end. Credit
    objects that the caller has loaded are not changed.
    """
    if bill_minor < 1:
        raise ValueError("a bill takes at least one minor unit")
    rows = _TAKE.within(
        session,
        wanted=credit_id,
        program_id_asked=program.id,
        member_id_asked=member.id if member else None,
        moment=act.at,
        bill_minor=bill_minor,
        partial_use=rules.partial_use,
    )
    if not rows:
        return None
    [(balance_minor, expires_at, others_minor)] = rows
    part = taking(balance_minor, bill_minor, partial_use=rules.partial_use)
    taken = Taken(credit_id, part.used, part.left, part.lapsing, part.left + others_minor)
    write(session, member, act, Unit.CREDIT, Kind.REDEEM, -part.used, credit_id=credit_id)
    if part.lapsing:
        write(session, member, act, Unit.CREDIT, Kind.EXPIRY, -part.lapsing, credit_id=credit_id)
    if member is not None:
        if not part.left and member.next_expiry_at == expires_at:
            plan_next_expiry(session, member)
        if tell:
            tell_card(session, program, member, act.at, part.used, taken.open_minor)
    return taken


def tell_card(
    session: Session, program: Program, member: Member, at: datetime, used_minor: int, open_minor: int
) -> None:
    """Have the member's card say how much was used, and how much is open."""
    announce(session, program, member, at, news=credit_news.used(program, member, used_minor, open_minor))
