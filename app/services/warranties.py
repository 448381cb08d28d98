"""Receipts that customers keep until a warranty ends: marked on their own page, or by the till with the receipt."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import delete, func, select

from app.db.keeping import Warranty
from app.db.people import Member
from app.db.programs import Location, Program
from app.db.purchases import Purchase
from app.i18n import N_
from app.loyalty.credit import day_of
from app.loyalty.warranty import LONGEST_MONTHS, ends_on, remind_on
from app.services import members
from app.services.context import Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.warranty_lines import add, today_of

MOST = 200  # of one member


@dataclass(frozen=True, slots=True)
class WarrantyView:
    """A warranty with the purchase that it is of. `over`: its last day has passed."""

    id: UUID
    purchase_id: UUID
    name: str
    note: str
    ends_on: date
    remind_on: date | None
    over: bool
    bought_at: datetime
    receipt_no: str
    amount_minor: int | None
    location: str


def of_member(ctx: Context, member_id: UUID) -> list[WarrantyView]:
    """The member's warranties: those that hold first, the first to end first. Not of what was given back."""
    with ctx.sessions() as session:
        program = session.scalars(select(Program).join(Member).where(Member.id == member_id)).one()
        today = today_of(program)
        rows = session.execute(
            select(Warranty, Purchase, func.coalesce(Location.name, ""))
            .join(Purchase, Purchase.id == Warranty.purchase_id)
            .outerjoin(Location, Location.id == Purchase.location_id)
            .where(Warranty.member_id == member_id, Purchase.undone_at.is_(None))
            .order_by(Warranty.ends_on < today, Warranty.ends_on, Warranty.id)
        ).all()
    return [
        WarrantyView(
            id=kept.id,
            purchase_id=purchase.id,
            name=kept.name,
            note=kept.note,
            ends_on=kept.ends_on,
            remind_on=kept.remind_on,
            over=kept.ends_on < today,
            bought_at=purchase.at,
            receipt_no=purchase.receipt_no,
            amount_minor=purchase.amount_minor,
            location=location,
        )
        for kept, purchase, location in rows
    ]


def keep(ctx: Context, token: str, purchase_id: UUID, form: Mapping[str, str]) -> None:
    """Keep a receipt until its warranty ends. `form`: name (what it is of), months or ends_on, note; remind ('on').

    Raises InvalidForm, and Refused: link-not-found, purchase-not-found, too-many-warranties.
    """
    found = members.by_link(ctx, token)
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, found.program_id)
        member = (
            session.scalars(select(Member).where(Member.id == found.id).with_for_update(of=Member, key_share=True))
            .unique()
            .one()
        )
        purchase = session.get(Purchase, purchase_id)
        if purchase is None or purchase.member_id != member.id or purchase.undone_at is not None:
            raise Refused("purchase-not-found", N_("There is no such purchase."), status=404)
        reader = FormReader(form)
        name, note = reader.line("name", 120), reader.line("note", 300, optional=True)
        last_day = _last_day(reader, day_of(purchase.at, program.time_zone))
        if reader.errors or last_day is None:
            raise InvalidForm(reader.errors)
        if (session.scalar(select(func.count()).where(Warranty.member_id == member.id)) or 0) >= MOST:
            raise Refused("too-many-warranties", N_("You keep %(most)s receipts already."), {"most": MOST})
        remind = remind_on(last_day, today_of(program)) if form.get("remind") == "on" else None
        add(session, purchase, member, name, last_day, remind, note)


def remove(ctx: Context, token: str, warranty_id: UUID) -> None:
    """Keep it no longer. Saying it twice is the same as once. Raises Refused: link-not-found."""
    member = members.by_link(ctx, token)
    with ctx.sessions.begin() as session:
        session.execute(delete(Warranty).where(Warranty.id == warranty_id, Warranty.member_id == member.id))


def _last_day(reader: FormReader, bought: date) -> date | None:
    """By months, or by the day itself."""
    day = reader.day("ends_on")
    if "ends_on" in reader.errors:
        return None
    if day is not None:
        if not bought <= day <= ends_on(bought, LONGEST_MONTHS):
            reader.wrong("ends_on", "invalid-date", N_("A warranty ends after the purchase, and within 20 years."))
        return day
    months = reader.number("months", 1, LONGEST_MONTHS)
    return ends_on(bought, months) if months is not None else None
