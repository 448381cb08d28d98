"""Stamps for birthdays: once a year, on the day, with a word on the lock screen."""

import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import and_, extract, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from app import clock
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.stamps import GivenOnce, StampCard
from app.i18n import translator
from app.logs import log
from app.loyalty.birthdays import MonthDay, born_on
from app.loyalty.ledger import Kind
from app.services.card_news import announce
from app.services.context import Actor, Context
from app.services.ledger_book import occasion
from app.services.members import fetch
from app.services.settling import settle
from app.services.stamp_earning import give_each

WHAT = "birthday-stamps"
BATCH = 1000
# Between these hours of the programme's clock: nobody is woken by it.
FIRST_HOUR, LAST_HOUR = 9, 21
# Birthdays of these last days are looked at too: for who joined later on the day, and after days without a worker.
DAYS_LATE = 2

# A look goes through all members. When nobody was left, this process looks again on the next day.
_done: dict[UUID, date] = {}

_FURTHER = (
    select(StampCard.id)
    .where(StampCard.program_id == Program.id, StampCard.active, StampCard.birthday_stamps > 0)
    .exists()
)


def give_due(ctx: Context, until: float) -> bool:
    """Give what is due, each member in a transaction of its own, none begun after `until` (time.monotonic). True when
    there may be more to give."""
    now = clock.now()
    with ctx.sessions() as session:
        programs = session.execute(
            select(Program.id, Program.time_zone).where(or_(Program.birthday_stamps > 0, _FURTHER))
        ).all()
    for program_id, time_zone in programs:
        here = now.astimezone(ZoneInfo(time_zone))
        if not FIRST_HOUR <= here.hour < LAST_HOUR or _done.get(program_id) == here.date():
            continue
        due = _due(ctx, program_id, here.date())
        for member_id, year in due.items():
            if time.monotonic() >= until:
                return True
            _try(ctx, program_id, member_id, year, now)
        if len(due) == BATCH:
            return True
        _done[program_id] = here.date()
    return False


def _birthdays(today: date) -> Mapping[int, list[MonthDay]]:
    """Year → the birthdays of the last days that were in it."""
    found: dict[int, list[MonthDay]] = {}
    for late in range(DAYS_LATE + 1):
        day = today - timedelta(days=late)
        found.setdefault(day.year, []).extend(born_on(day))
    return found


def _due(ctx: Context, program_id: UUID, today: date) -> dict[UUID, int]:
    """Members who have not got the stamps of a birthday of these days, and its year: BATCH of them at most."""
    due: dict[UUID, int] = {}
    birthday = tuple_(extract("month", Member.birth_date), extract("day", Member.birth_date))
    with ctx.sessions() as session:
        for year, days in _birthdays(today).items():
            given = and_(GivenOnce.member_id == Member.id, GivenOnce.what == WHAT, GivenOnce.occasion == str(year))
            query = (
                select(Member.id)
                .where(Member.program_id == program_id, Member.status == MemberStatus.ACTIVE, birthday.in_(days))
                .where(~select(GivenOnce.what).where(given).exists())
                .order_by(Member.id)
                .limit(BATCH - len(due))
            )
            due |= dict.fromkeys(session.scalars(query), year)
    return due


def _try(ctx: Context, program_id: UUID, member_id: UUID, year: int, now: datetime) -> None:
    """Give one member theirs. One who can't be given them stops nobody else."""
    try:
        _give(ctx, program_id, member_id, year, now)
    except OperationalError:
        raise  # the database is away, for all of them
    except Exception:
        log().error("birthday_stamps.not_given", member_id=str(member_id), exc_info=True)


def _give(ctx: Context, program_id: UUID, member_id: UUID, year: int, now: datetime) -> None:
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, program_id)
        member = fetch(session, Actor(program_id), Member.id == member_id, lock=True, erased=True)
        if member.status is not MemberStatus.ACTIVE:
            return
        row = insert(GivenOnce).values(member_id=member_id, what=WHAT, occasion=str(year), at=now)
        new = session.scalar(row.on_conflict_do_nothing().returning(GivenOnce.what))
        if not new:
            return
        settle(session, member, now)
        given, issued = give_each(session, program, member, occasion(Actor(program_id), now), Kind.BIRTHDAY)
        news = translator(member.language).ngettext(
            "Happy birthday! %(n)s stamp for you.", "Happy birthday! %(n)s stamps for you.", given
        )
        announce(session, program, member, now, issued, news=news, gift=True)
