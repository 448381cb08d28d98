"""The windows in which stamps count more than once, in the office."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.programs import Location, Program
from app.db.stamps import DoubleWindow
from app.i18n import N_
from app.loyalty.windows import Window, factor, holds
from app.services import stamp_rules
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from sms.digits import ascii_digits

MOST_WINDOWS = 20
_CLOCK = re.compile(r"(\d{1,2})[:.](\d{2})")


@dataclass(frozen=True, slots=True)
class WindowView:
    """A window. `places` are the names of its locations; `open_now`: somewhere, stamps count so many times now."""

    id: UUID
    name: str
    window: Window
    places: tuple[str, ...]
    active: bool
    open_now: bool


def all_of(ctx: Context, program_id: UUID) -> list[WindowView]:
    """The programme's windows by name, those that were stopped last."""
    now = clock.now()
    with ctx.sessions() as session:
        program = session.get_one(Program, program_id)
        places = {
            location.id: location.name
            for location in session.scalars(
                select(Location).where(Location.program_id == program_id).order_by(Location.name)
            )
        }
        rows = session.scalars(
            select(DoubleWindow)
            .where(DoubleWindow.program_id == program_id)
            .order_by(DoubleWindow.active.desc(), DoubleWindow.name, DoubleWindow.id)
        )
        found = []
        for row in rows:
            window = stamp_rules.window_of(row)
            where = window.location_ids or {None}
            is_open = row.active and any(holds(window, now, program.time_zone, place) for place in where)
            named = tuple(name for place, name in places.items() if place in window.location_ids)
            found.append(WindowView(row.id, row.name, window, named, row.active, is_open))
        return found


def factor_now(ctx: Context, program_id: UUID, location_id: UUID | None, double_until: datetime | None = None) -> int:
    """How many times the stamps of a purchase at this place count now, for a member with double stamps until then."""
    with ctx.sessions() as session:
        program = session.get_one(Program, program_id)
        windows = stamp_rules.windows_of(session, program)
        return factor(windows, clock.now(), program.time_zone, location_id, double_until)


def as_typed(ctx: Context, actor: Actor, window_id: UUID) -> dict[str, str]:
    """A window as the fields of its form. Raises Refused: window-not-found."""
    with ctx.sessions() as session:
        row = _own(session, actor, window_id)
        typed = {
            "name": row.name,
            "factor": str(row.factor),
            "from_time": f"{row.from_time:%H:%M}" if row.from_time else "",
            "until_time": f"{row.until_time:%H:%M}" if row.until_time else "",
            "first_day": row.first_day.isoformat() if row.first_day else "",
            "last_day": row.last_day.isoformat() if row.last_day else "",
            "active": "on" if row.active else "",
        }
        typed |= {f"weekday_{day}": "on" for day in row.weekdays}
        return typed | {f"location_{location_id}": "on" for location_id in row.location_ids}


def save(ctx: Context, actor: Actor, form: Mapping[str, str], window_id: UUID | None = None) -> UUID:
    """Add a window, or change one: name, factor, from_time and until_time (HH:MM), first_day, last_day,
    weekday_<0 to 6> and location_<id> ('on'). Raises InvalidForm, Refused: window-not-found."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        row = _own(session, actor, window_id) if window_id else None
        values = _read(session, program, form, new=row is None)
        if row is None:
            row = DoubleWindow(id=uuid7(), program_id=program.id)
            session.add(row)
        for name, value in values.items():
            setattr(row, name, value)
        program.version += 1  # by which tills know that there are other windows; no card shows them
        record(session, actor, "double-window.saved", row.id)
        return row.id


def remove(ctx: Context, actor: Actor, window_id: UUID) -> None:
    """Remove a window; what was given while it was open stays. Raises Refused: window-not-found."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        session.delete(_own(session, actor, window_id))
        program.version += 1
        record(session, actor, "double-window.removed", window_id)


def _read(session: Session, program: Program, form: Mapping[str, str], *, new: bool) -> dict[str, object]:
    reader = FormReader(form)
    first, last = reader.day("first_day"), reader.day("last_day")
    known = [str(place) for place in session.scalars(select(Location.id).where(Location.program_id == program.id))]
    values: dict[str, object] = {
        "name": reader.line("name", 60),
        "factor": reader.number("factor", 2, 10),
        "weekdays": [day for day in range(7) if form.get(f"weekday_{day}") == "on"],
        "from_time": _clock_time(reader, "from_time"),
        "until_time": _clock_time(reader, "until_time"),
        "first_day": first,
        "last_day": last,
        "location_ids": sorted(place for place in known if form.get(f"location_{place}") == "on"),
        "active": form.get("active", "on") == "on",
    }
    if first and last and last < first:
        reader.wrong("last_day", "invalid-date", N_("This day is before the first."))
    if new and len(session.scalars(select(DoubleWindow.id).where(DoubleWindow.program_id == program.id)).all()) >= (
        MOST_WINDOWS
    ):
        message = N_("There can be %(most)s such times. Remove one first.")
        reader.wrong("form", "too-many-windows", message, {"most": MOST_WINDOWS})
    if reader.errors:
        raise InvalidForm(reader.errors)
    return values


def _clock_time(reader: FormReader, field: str) -> time | None:
    """A time of day, as 22:00 or 22.00. 24:00 is midnight."""
    typed = ascii_digits(reader.form.get(field, "")).strip()
    if not typed:
        return None
    found = _CLOCK.fullmatch(typed)
    if found is None or int(found[1]) > 24 or int(found[2]) > 59 or (found[1] == "24" and found[2] != "00"):
        reader.wrong(field, "invalid-time", N_("Enter a time of day such as %(example)s."), {"example": "22:00"})
        return None
    return time(int(found[1]) % 24, int(found[2]))


def _own(session: Session, actor: Actor, window_id: UUID) -> DoubleWindow:
    row = session.get(DoubleWindow, window_id)
    if row is None or row.program_id != actor.program_id:
        raise Refused("window-not-found", N_("There is no such time."), status=404)
    return row
