"""Members' credits as plain values: what can be used, and what there was."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from uuid import UUID

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from app.db.credit import Credit, CreditStatus
from app.loyalty.ledger import Unit
from app.services.context import Actor, Context
from app.services.views import CreditView, EntryView

MOST_SHOWN = 50  # of one member's credits, in the office


def credit_view(row: Credit) -> CreditView:
    return CreditView(
        row.id,
        row.source,
        row.status,
        row.amount_minor,
        row.balance_minor,
        row.reason,
        row.valid_from,
        row.expires_at,
        row.granted_at,
    )


def open_credits(session: Session, member_ids: Collection[UUID]) -> dict[UUID, tuple[CreditView, ...]]:
    """Each member's open credits, the first to lapse first; also those that begin later. Blocked ones are left out:
    they cannot be used, and so no card shows them."""
    if not member_ids:
        return {}
    found: dict[UUID, tuple[CreditView, ...]] = {}
    for row in session.scalars(
        select(Credit)
        .where(Credit.member_id.in_(member_ids), Credit.status == CreditStatus.OPEN)
        .order_by(Credit.expires_at, Credit.id)
    ):
        if row.member_id is not None:
            found[row.member_id] = (*found.get(row.member_id, ()), credit_view(row))
    return found


def one_line_each(entries: Iterable[EntryView]) -> list[EntryView]:
    """The same history, with one entry for a bill that took several credits."""
    found: dict[object, EntryView] = {}
    for entry in entries:
        key = (entry.operation_id, entry.kind) if entry.unit is Unit.CREDIT else len(found)
        before = found.get(key)
        if before is None:
            found[key] = entry
        else:
            bill = entry.amount_minor if before.amount_minor is None else before.amount_minor
            receipt_no = before.receipt_no or entry.receipt_no
            amount = before.amount + entry.amount
            found[key] = replace(before, amount=amount, amount_minor=bill, receipt_no=receipt_no)
    return list(found.values())


def of_member(ctx: Context, actor: Actor, member_id: UUID) -> list[CreditView]:
    """All that a member got, for the office: what is open or blocked first, then the newest, MOST_SHOWN at most."""
    closed = case((Credit.status.in_([CreditStatus.OPEN, CreditStatus.BLOCKED]), 0), else_=1)
    with ctx.sessions() as session:
        rows = session.scalars(
            select(Credit)
            .where(Credit.member_id == member_id, Credit.program_id == actor.program_id)
            .order_by(closed, Credit.granted_at.desc(), Credit.id.desc())
            .limit(MOST_SHOWN)
        )
        return [credit_view(row) for row in rows]
