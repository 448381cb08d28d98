"""Warranties that the till tells of with a receipt. Works inside the caller's transaction."""

from datetime import date

from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.keeping import Warranty
from app.db.people import Member
from app.db.programs import Program
from app.db.purchases import Purchase
from app.loyalty.credit import day_of
from app.loyalty.warranty import ends_on, remind_on


def keep(session: Session, member: Member, purchase: Purchase) -> None:
    """Keep the receipt for each of its lines with `warranty_months`."""
    warranted = [line for line in purchase.lines or () if line.get("warranty_months")]
    if not warranted:
        return
    session.flush()  # the purchase has its id from now on
    program = session.get_one(Program, purchase.program_id)
    for line in warranted:
        last_day = ends_on(day_of(purchase.at, program.time_zone), int(str(line["warranty_months"])))
        add(session, purchase, member, str(line["name"]), last_day, remind_on(last_day, today_of(program)))


def add(
    session: Session,
    purchase: Purchase,
    member: Member,
    name: str,
    last_day: date,
    remind: date | None,
    note: str = "",
) -> None:
    """Keep the receipt of this purchase for what is called `name`."""
    session.add(
        Warranty(
            id=uuid7(),
            program_id=member.program_id,
            member_id=member.id,
            purchase_id=purchase.id,
            name=name,
            ends_on=last_day,
            remind_on=remind,
            note=note,
            created_at=clock.now(),
        )
    )


def today_of(program: Program) -> date:
    """The programme's day."""
    return day_of(clock.now(), program.time_zone)
