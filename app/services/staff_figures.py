"""What each cashier, till and location did in each week: joins, stamps, bonus, visits and rewards used."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Date, func, select
from sqlalchemy.orm import Session, aliased

from app import clock
from app.db.ledger import AuditEntry, LedgerEntry
from app.db.people import Staff
from app.db.programs import ApiKey, Location, Program
from app.loyalty.campaign_schedule import local_day, moment
from app.loyalty.ledger import Kind, Unit
from app.services.context import Actor, Context

PERIODS = (4, 12, 26)  # weeks
_STAMPING = (Kind.EARN, Kind.BONUS)


@dataclass(slots=True)
class Work:
    """What was done, without what was undone. Bonus is in minor units, or in points."""

    joins: int = 0
    stamps: int = 0
    bonus: int = 0
    visits: int = 0
    redemptions: int = 0

    def add(self, other: "Work") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass(frozen=True, slots=True)
class Line:
    """One person's, or one till's, work at one location in the week that begins on the Monday `week`. `location` is ''
    where none was told."""

    week: date
    who: str
    location: str
    work: Work


_Key = tuple[date, UUID | None, UUID | None, UUID | None]  # week, staff, API key, location


def lines(ctx: Context, actor: Actor, weeks: int) -> list[Line]:
    """The last so many weeks up to now, the newest week first, then by name. Joins are told of where the member of
    staff belongs: a card is not joined at a place."""
    with ctx.sessions() as session:
        program = session.get_one(Program, actor.program_id)
        since = _since(program, weeks)
        found: dict[_Key, Work] = {}
        for key, work in (*_ledger(session, program, since), *_joins(session, program, since)):
            found.setdefault(key, Work()).add(work)
        people, tills, places = (_names(session, table, program.id) for table in (Staff, ApiKey, Location))
    named = [
        Line(week, people.get(staff, tills.get(till, "")), places.get(place, ""), work)
        for (week, staff, till, place), work in found.items()
    ]
    return sorted(named, key=lambda line: (-line.week.toordinal(), line.who, line.location))


def by(found: list[Line], name: str) -> list[tuple[str, Work]]:
    """All weeks together, by 'who' or 'location'; who did most comes first."""
    sums: dict[str, Work] = {}
    for line in found:
        sums.setdefault(getattr(line, name), Work()).add(line.work)
    return sorted(sums.items(), key=lambda one: (not one[0], -one[1].stamps - one[1].visits - one[1].joins, one[0]))


def _since(program: Program, weeks: int) -> datetime:
    today = local_day(clock.now(), program.time_zone)
    return moment(today - timedelta(days=today.weekday(), weeks=weeks - 1), time(), program.time_zone)


def _week(program: Program, at: Any) -> Any:
    """The Monday of a moment, on the programme's wall."""
    return func.date_trunc("week", func.timezone(program.time_zone, at)).cast(Date)


def _ledger(session: Session, program: Program, since: datetime) -> Iterator[tuple[_Key, Work]]:
    entry, undo = LedgerEntry, aliased(LedgerEntry)
    week = _week(program, entry.at)

    def total(*conditions: Any) -> Any:
        return func.coalesce(func.sum(entry.amount).filter(*conditions), 0)

    query = (
        select(
            week,
            entry.staff_id,
            entry.api_key_id,
            entry.location_id,
            total(entry.unit == Unit.STAMP, entry.kind.in_(_STAMPING)),
            total(entry.unit == Unit.BONUS, entry.kind == Kind.EARN),
            total(entry.unit == Unit.VISIT, entry.kind == Kind.EARN),
            -total(entry.unit == Unit.REWARD, entry.kind == Kind.REDEEM),
        )
        .where(
            entry.program_id == program.id,
            entry.at >= since,
            entry.kind.in_((*_STAMPING, Kind.REDEEM)),
            entry.unit != Unit.CREDIT,
            func.num_nonnulls(entry.staff_id, entry.api_key_id) > 0,
            ~select(undo.id).where(undo.reverses_id == entry.id).exists(),
        )
        .group_by(week, entry.staff_id, entry.api_key_id, entry.location_id)
    )
    for monday, staff, till, place, stamps, bonus, visits, used in session.execute(query):
        yield (monday, staff, till, place), Work(0, int(stamps), int(bonus), int(visits), int(used))


def _joins(session: Session, program: Program, since: datetime) -> Iterator[tuple[_Key, Work]]:
    entry = AuditEntry
    week = _week(program, entry.at)
    place = func.coalesce(Staff.location_id, ApiKey.location_id)
    query = (
        select(week, entry.staff_id, entry.api_key_id, place, func.count())
        .outerjoin(Staff, Staff.id == entry.staff_id)
        .outerjoin(ApiKey, ApiKey.id == entry.api_key_id)
        .where(
            entry.program_id == program.id,
            entry.at >= since,
            entry.action == "member.joined",
            func.num_nonnulls(entry.staff_id, entry.api_key_id) > 0,
        )
        .group_by(week, entry.staff_id, entry.api_key_id, place)
    )
    for monday, staff, till, location, count in session.execute(query):
        yield (monday, staff, till, location), Work(joins=count)


def _names(session: Session, table: Any, program_id: UUID) -> dict[UUID | None, str]:
    query = select(table.id, table.name).where(table.program_id == program_id)
    return {row.id: row.name for row in session.execute(query)}
