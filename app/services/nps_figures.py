"""The figure over time, by location and by tier: counted from the answers, by the week in which they came."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Integer, func, literal_column, select
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session

from app import clock
from app.db.nps import NpsAsk
from app.db.programs import Location, Program
from app.db.tiers import Tier
from app.loyalty.campaign_schedule import local_day, moment
from app.loyalty.nps import Tally, tally
from app.services.context import Actor, Context


@dataclass(frozen=True, slots=True)
class NpsFigures:
    """`by_week` has one tally for each of `weeks` (Mondays). `by_location` and `by_tier`: name ('' for none), the most
    answers first. `asked`: how many were asked in the time."""

    weeks: tuple[date, ...]
    by_week: tuple[Tally, ...]
    by_location: tuple[tuple[str, Tally], ...]
    by_tier: tuple[tuple[str, Tally], ...]
    asked: int

    @property
    def all(self) -> Tally:
        return sum(self.by_week, Tally())


def figures(ctx: Context, actor: Actor, weeks: int) -> NpsFigures:
    """The last so many weeks, up to now."""
    with ctx.sessions() as session:
        program = session.get_one(Program, actor.program_id)
        today = local_day(clock.now(), program.time_zone)
        first = today - timedelta(days=today.weekday(), weeks=weeks - 1)
        mondays = tuple(first + timedelta(weeks=number) for number in range(weeks))
        begins = [moment(monday, time(), program.time_zone) for monday in mondays]
        answered: list[ColumnElement[bool]] = [NpsAsk.program_id == program.id, NpsAsk.answered_at >= begins[0]]
        week = func.width_bucket(NpsAsk.answered_at, array(begins, type_=DateTime(timezone=True)), type_=Integer())
        by_week = _tallies(session, week - literal_column("1"), answered)
        places = _names(session, Location, program.id)
        tiers = _names(session, Tier, program.id)
        asked = select(func.count()).where(NpsAsk.program_id == program.id, NpsAsk.asked_at >= begins[0])
        return NpsFigures(
            mondays,
            tuple(by_week.get(place, Tally()) for place in range(weeks)),
            _named(_tallies(session, NpsAsk.location_id, answered), places),
            _named(_tallies(session, NpsAsk.tier_id, answered), tiers),
            session.scalar(asked) or 0,
        )


def _tallies(session: Session, key: Any, conditions: list[ColumnElement[bool]]) -> dict[Any, Tally]:
    query = select(key, NpsAsk.score, func.count()).where(*conditions, NpsAsk.score.is_not(None))
    scores: dict[Any, list[tuple[int, int]]] = {}
    for found, score, times in session.execute(query.group_by(key, NpsAsk.score)):
        scores.setdefault(found, []).append((score, times))
    return {found: tally(pairs) for found, pairs in scores.items()}


def _names(session: Session, table: type[Location] | type[Tier], program_id: UUID) -> dict[UUID, str]:
    rows = session.execute(select(table.id, table.name).where(table.program_id == program_id))
    return {row[0]: row[1] for row in rows}


def _named(tallies: Mapping[UUID | None, Tally], names: Mapping[UUID, str]) -> tuple[tuple[str, Tally], ...]:
    named = [(names.get(key, "") if key else "", one) for key, one in tallies.items()]
    return tuple(sorted(named, key=lambda one: (-one[1].answers, one[0])))
