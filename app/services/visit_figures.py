"""What the office sees of visits: the latest ones, and when people come."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Integer, func, select
from sqlalchemy.orm import Session

from app import clock
from app.db.people import Member, MemberCard, Staff
from app.db.programs import ApiKey, Location, Program
from app.db.visits import Visit
from app.services.context import Actor, Context

LATEST = 20
WEEKS = 8  # the time of which it is told when people come
_LATE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class VisitLine:
    """A visit that counted. `card` are its card's last characters; `told_late`: when it was sent, if not at once."""

    at: datetime
    told_late: datetime | None
    member_id: UUID
    name: str
    card: str
    location: str
    who: str
    undone: bool


@dataclass(frozen=True, slots=True)
class Times:
    """How many visits of the last WEEKS began in each hour (0 to 23) and on each weekday (0 is Monday)."""

    hours: list[int]
    weekdays: list[int]


def latest(ctx: Context, actor: Actor) -> list[VisitLine]:
    """The LATEST visits, the newest first."""
    query = (
        select(Visit, Member.name, MemberCard.code, Location.name, Staff.name, ApiKey.name)
        .join(Member, Member.id == Visit.member_id)
        .join(MemberCard, MemberCard.member_id == Member.id)
        .outerjoin(Location, Location.id == Visit.location_id)
        .outerjoin(Staff, Staff.id == Visit.staff_id)
        .outerjoin(ApiKey, ApiKey.id == Visit.api_key_id)
        .where(Visit.program_id == actor.program_id)
        .order_by(Visit.at.desc(), Visit.id.desc())
        .limit(LATEST)
    )
    with ctx.sessions() as session:
        return [
            VisitLine(
                row.at,
                row.recorded_at if row.recorded_at - row.at > _LATE else None,
                row.member_id,
                name,
                code[-4:],
                location or "",
                staff or key or "",
                row.undone_at is not None,
            )
            for row, name, code, location, staff, key in session.execute(query)
        ]


def times(ctx: Context, actor: Actor) -> Times:
    """When people came, by the clock on the programme's wall."""
    with ctx.sessions() as session:
        found = _spread(session, actor.program_id, session.get_one(Program, actor.program_id).time_zone)
    hours, weekdays = [0] * 24, [0] * 7
    for hour, weekday, count in found:
        hours[hour] += count
        weekdays[weekday - 1] += count
    return Times(hours, weekdays)


def _spread(session: Session, program_id: UUID, time_zone: str) -> list[tuple[int, int, int]]:
    """(hour, weekday from 1 as ISO 8601 has it, visits)."""
    local = func.timezone(time_zone, Visit.at)
    hour, weekday = func.extract("hour", local).cast(Integer), func.extract("isodow", local).cast(Integer)
    query = (
        select(hour, weekday, func.count())
        .where(
            Visit.program_id == program_id,
            Visit.at >= clock.now() - timedelta(weeks=WEEKS),
            Visit.undone_at.is_(None),
        )
        .group_by(hour, weekday)
    )
    return [(one, day, count) for one, day, count in session.execute(query)]
