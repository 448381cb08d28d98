"""Looking at purchases: one, or a member's newest."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app.db.people import Staff
from app.db.programs import Location, Program
from app.db.purchases import Purchase
from app.i18n import N_
from app.services.context import Actor, Context
from app.services.errors import Refused


@dataclass(frozen=True, slots=True)
class PurchaseView:
    """A purchase, made `at` and told at `recorded_at`; `waiting` for its customer to join.

    `lines` are [{name, product?, quantity?, amount_minor?, warranty_months?}]. `entry_id` is the act that it earned,
    which undo takes.
    """

    id: UUID
    member_id: UUID | None
    waiting: bool
    at: datetime
    recorded_at: datetime
    amount_minor: int | None
    currency: str
    receipt_no: str
    lines: list[dict[str, object]]
    location: str
    staff: str
    entry_id: UUID | None
    undone_at: datetime | None


def find(ctx: Context, actor: Actor, purchase_id: UUID) -> PurchaseView:
    """The purchase. Raises Refused: purchase-not-found."""
    with ctx.sessions() as session:
        own(session, actor, purchase_id)
        return _views(session, actor, Purchase.id == purchase_id)[0]


def newest(ctx: Context, actor: Actor, member_id: UUID, *, limit: int = 10) -> list[PurchaseView]:
    """The member's purchases whose sum is known, the newest first."""
    with ctx.sessions() as session:
        return _views(session, actor, Purchase.member_id == member_id, Purchase.amount_minor.is_not(None), limit=limit)


def own(session: Session, actor: Actor, purchase_id: UUID) -> Purchase:
    """The purchase of the actor's programme. Raises Refused: purchase-not-found."""
    purchase = session.get(Purchase, purchase_id)
    if purchase is None or purchase.program_id != actor.program_id:
        raise Refused("purchase-not-found", N_("There is no such purchase."), status=404)
    return purchase


def _views(session: Session, actor: Actor, *conditions: ColumnElement[bool], limit: int = 1) -> list[PurchaseView]:
    rows = session.execute(
        select(Purchase, Program.currency, Location.name, Staff.name)
        .join(Program, Program.id == Purchase.program_id)
        .outerjoin(Location, Location.id == Purchase.location_id)
        .outerjoin(Staff, Staff.id == Purchase.staff_id)
        .where(Purchase.program_id == actor.program_id, *conditions)
        .order_by(Purchase.at.desc(), Purchase.id.desc())
        .limit(limit)
    )
    return [
        PurchaseView(
            id=row.id,
            member_id=row.member_id,
            waiting=row.phone != "",
            at=row.at,
            recorded_at=row.recorded_at,
            amount_minor=row.amount_minor,
            currency=currency,
            receipt_no=row.receipt_no,
            lines=row.lines or [],
            location=location or "",
            staff=staff or "",
            entry_id=row.operation_id,
            undone_at=row.undone_at,
        )
        for row, currency, location, staff in rows
    ]
