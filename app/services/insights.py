"""What the owner wants to know of a time: who joined and left, who comes, and what was given and used where."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Integer, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session, aliased

from app import clock
from app.db.delivery import InstallEvent, Wallet
from app.db.ledger import LedgerEntry
from app.db.people import Member, MemberStatus
from app.db.programs import Location, Program
from app.db.purchases import Purchase
from app.loyalty.campaign_schedule import local_day, moment
from app.loyalty.ledger import Kind, Unit
from app.services.context import Actor, Context
from app.services.segment_sql import SETTINGS

PERIODS = (4, 12, 26, 52)  # weeks
CHANNELS_SHOWN = 5  # beyond them, channels are added up
OTHERS = "*"  # no channel has this name
# How often members came in the time: from, to (None: and more).
FREQUENCIES: tuple[tuple[int, int | None], ...] = ((0, 0), (1, 1), (2, 2), (3, 5), (6, 10), (11, None))
_GIVING = (Kind.EARN, Kind.JOIN, Kind.CONVERT, Kind.GRANT)


@dataclass(slots=True)
class Given:
    """What was given and used, without what was undone. Credit in minor units, bonus too, or in points."""

    stamps: int = 0
    rewards: int = 0
    rewards_used: int = 0
    credit_minor: int = 0
    credit_used_minor: int = 0
    bonus: int = 0
    bonus_used: int = 0

    def add(self, other: "Given") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass(frozen=True, slots=True)
class Insights:
    """Lists have one number a week, from Monday to Sunday of the programme; the last week is not over.

    `joined`: by channel, the busiest first, then OTHERS. `came` are the different people who came in a week, and
    `came_in_all` in the whole time. `locations`: name ('' where no location was told) and what was given there.
    """

    weeks: tuple[date, ...]
    members: int
    came_in_all: int
    joined: list[tuple[str, list[int]]]
    left: list[int]
    came: list[int]
    added: dict[Wallet, list[int]]
    removed: dict[Wallet, list[int]]
    given: list[Given]
    locations: list[tuple[str, Given]]
    frequencies: list[int]


def insights(ctx: Context, actor: Actor, weeks: int) -> Insights:
    """The last so many weeks (one of PERIODS), up to now."""
    with ctx.sessions() as session:
        connection = session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        for setting in SETTINGS:
            connection.exec_driver_sql(setting)
        program = session.get_one(Program, actor.program_id)
        return _Period(session, program, weeks).read()


class _Period:
    """The weeks that are looked at, and the questions asked of them."""

    def __init__(self, session: Session, program: Program, weeks: int) -> None:
        self.session, self.program = session, program
        today = local_day(clock.now(), program.time_zone)
        first = today - timedelta(days=today.weekday(), weeks=weeks - 1)
        self.weeks = tuple(first + timedelta(weeks=number) for number in range(weeks))
        self.start: datetime = moment(first, time(), program.time_zone)

    def read(self) -> Insights:
        frequencies, came_in_all = self._frequencies()
        given, locations = self._given()
        return Insights(
            weeks=self.weeks,
            members=sum(frequencies),
            came_in_all=came_in_all,
            joined=self._joined(),
            left=self._by_week(Member.left_at, Member.program_id),
            came=self._came(),
            added={wallet: self._moves(wallet, added=True) for wallet in Wallet},
            removed={wallet: self._moves(wallet, added=False) for wallet in Wallet},
            given=given,
            locations=locations,
            frequencies=frequencies,
        )

    def _week(self, at: Any) -> ColumnElement[int]:
        """The place of a moment's week among `weeks`."""
        begins = [moment(week, time(), self.program.time_zone) for week in self.weeks]
        return func.width_bucket(at, array(begins, type_=DateTime(timezone=True)), type_=Integer()) - literal_column(
            "1"
        )

    def _spread(self, found: Sequence[tuple[int, int]]) -> list[int]:
        counts = dict(found)
        return [counts.get(place, 0) for place in range(len(self.weeks))]

    def _by_week(self, at: Any, program_id: Any, *conditions: ColumnElement[bool]) -> list[int]:
        week = self._week(at)
        query = select(week, func.count()).where(program_id == self.program.id, at >= self.start, *conditions)
        return self._spread([(place, count) for place, count in self.session.execute(query.group_by(week))])

    def _joined(self) -> list[tuple[str, list[int]]]:
        week = self._week(Member.joined_at)
        query = select(Member.via, week, func.count()).where(
            Member.program_id == self.program.id, Member.joined_at >= self.start
        )
        found: dict[str, dict[int, int]] = {}
        for via, place, count in self.session.execute(query.group_by(Member.via, week)):
            found.setdefault(via, {})[place] = count
        order = sorted(found, key=lambda via: (-sum(found[via].values()), via))
        shown = [(via, self._spread(list(found[via].items()))) for via in order[:CHANNELS_SHOWN]]
        rest = [self._spread(list(found[via].items())) for via in order[CHANNELS_SHOWN:]]
        return [*shown, (OTHERS, [sum(week) for week in zip(*rest, strict=True)])] if rest else shown

    def _came(self) -> list[int]:
        # One row a week and member first: sorting all purchases, to count different members, takes many times as long.
        each = select(self._week(Purchase.at).label("week"), Purchase.member_id).where(*self._visits()).distinct()
        people = each.subquery()
        query = select(people.c.week, func.count()).group_by(people.c.week)
        return self._spread([(place, count) for place, count in self.session.execute(query)])

    def _visits(self) -> tuple[ColumnElement[bool], ...]:
        return (
            Purchase.program_id == self.program.id,
            Purchase.at >= self.start,
            Purchase.at <= clock.now(),
            Purchase.member_id.is_not(None),
            Purchase.undone_at.is_(None),
        )

    def _moves(self, wallet: Wallet, *, added: bool) -> list[int]:
        event = InstallEvent
        return self._by_week(event.at, event.program_id, event.wallet == wallet, event.added.is_(added))

    def _frequencies(self) -> tuple[list[int], int]:
        """Active members by how often they came, and how many of them came at all."""
        visits = (
            select(Purchase.member_id, func.count().label("times")).where(*self._visits()).group_by(Purchase.member_id)
        ).subquery()
        times = func.coalesce(visits.c.times, 0)
        counts = [
            func.count().filter(times >= least, times <= most if most is not None else literal(True))
            for least, most in FREQUENCIES
        ]
        query = (
            select(*counts, func.count(visits.c.times))
            .select_from(Member)
            .outerjoin(visits, visits.c.member_id == Member.id)
            .where(Member.program_id == self.program.id, Member.status == MemberStatus.ACTIVE)
        )
        *found, came = self.session.execute(query).one()
        return found, came

    def _given(self) -> tuple[list[Given], list[tuple[str, Given]]]:
        entry, undo = LedgerEntry, aliased(LedgerEntry)
        week, gives = self._week(entry.at), entry.amount > 0
        query = (
            select(week, entry.location_id, entry.unit, gives, func.sum(entry.amount))
            .where(
                entry.program_id == self.program.id,
                entry.at >= self.start,
                ((entry.amount > 0) & (entry.kind.in_(_GIVING) | _given_any_way(entry)))
                | ((entry.amount < 0) & ((entry.kind == Kind.REDEEM) | _bought(entry))),
                ~select(undo.id).where(undo.reverses_id == entry.id).exists(),
            )
            .group_by(week, entry.location_id, entry.unit, gives)
        )
        weeks = [Given() for _ in self.weeks]
        places: dict[UUID | None, Given] = {}
        for place, location_id, unit, given, amount in self.session.execute(query):
            one = _one(unit, given, abs(int(amount)))
            places.setdefault(location_id, Given()).add(one)
            if 0 <= place < len(weeks):
                weeks[place].add(one)
        found = select(Location.id, Location.name).where(Location.program_id == self.program.id)
        names = {row.id: row.name for row in self.session.execute(found)}
        named = [(names.get(place, "") if place else "", one) for place, one in places.items()]
        return weeks, sorted(named, key=lambda one: (not one[0], one[0]))


def _given_any_way(entry: type[LedgerEntry]) -> ColumnElement[bool]:
    return entry.unit.in_((Unit.REWARD, Unit.BONUS)) & (entry.kind != Kind.UNDO)


def _bought(entry: type[LedgerEntry]) -> ColumnElement[bool]:
    """Points that a reward was given for."""
    return (entry.unit == Unit.BONUS) & (entry.kind == Kind.CONVERT)


def _one(unit: Unit, gives: bool, amount: int) -> Given:
    match unit, gives:
        case Unit.STAMP, True:
            return Given(stamps=amount)
        case Unit.REWARD, True:
            return Given(rewards=amount)
        case Unit.REWARD, False:
            return Given(rewards_used=amount)
        case Unit.CREDIT, True:
            return Given(credit_minor=amount)
        case Unit.CREDIT, False:
            return Given(credit_used_minor=amount)
        case Unit.BONUS, True:
            return Given(bonus=amount)
        case Unit.BONUS, False:
            return Given(bonus_used=amount)
    return Given()
