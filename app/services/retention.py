"""Forgetting by rule: who left long ago, who was not seen for long, and old receipts, messages, clicks and log lines.

Once a day of each programme, after three in the night or as soon as the installation runs. Small transactions: people
one by one, rows some hundreds at a time, so that no till waits.
"""

import time
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import clock
from app.db.keeping import ErasedBy, RetentionRules
from app.db.ledger import LedgerEntry
from app.db.people import Consent, Member, MemberStatus
from app.db.programs import Program
from app.db.stamps import GivenOnce
from app.i18n import N_, translator
from app.logs import log
from app.loyalty.credit import day_of
from app.loyalty.ledger import Kind
from app.services import erasing, reaching, retention_rules, retention_traces, sms_texts
from app.services.context import Actor, Context
from app.services.retention_rules import WARNED_DAYS, Rules

FROM_HOUR = 3  # of the programme's day
WARN_FROM_HOUR = 9  # warnings wait until people are up
PEOPLE_AT_A_TIME = 100
WARNED, STAYS = "erase-warned", "stays"  # GivenOnce.what
_SLACK = timedelta(days=2)  # a night in which the installation was off must not cost anybody their warning
NEWS = N_("We have not seen you for long. Your card is erased on %(day)s. To keep it, open its page.")


def run(ctx: Context, until: float) -> bool:
    """What is due, none of it begun after `until` (time.monotonic). True when all is done for today."""
    now = clock.now()
    with ctx.sessions() as session:
        found = session.execute(
            select(Program.id, Program.time_zone, RetentionRules.ran_on, RetentionRules.warned_on).outerjoin(
                RetentionRules, RetentionRules.program_id == Program.id
            )
        ).all()
    for program_id, zone, ran_on, warned_on in found:
        local = now.astimezone(ZoneInfo(zone))
        rules = retention_rules.get(ctx, program_id)
        if ran_on != local.date() and local.hour >= FROM_HOUR:
            if not _forget(ctx, program_id, rules, until):
                return False
            _note_day(ctx, program_id, "ran_on", local.date())
        if warned_on != local.date() and local.hour >= WARN_FROM_HOUR:
            if not _warn(ctx, program_id, rules, until):
                return False
            _note_day(ctx, program_id, "warned_on", local.date())
    return True


def _forget(ctx: Context, program_id: UUID, rules: Rules, until: float) -> bool:
    """True when all of this programme is done; False when the time is up."""
    now = clock.now()
    for condition in (left(rules, now), unseen(rules, now)):
        if condition is not None and not _erase_all(ctx, program_id, condition, until):
            return False
    return retention_traces.forget(ctx, program_id, rules, now, until)


def _erase_all(ctx: Context, program_id: UUID, condition: ColumnElement[bool], until: float) -> bool:
    """Erase whom the condition fits, each in a transaction of their own."""
    query = select(Member.id).where(Member.program_id == program_id, condition).order_by(Member.id)
    failed: set[UUID] = set()
    while True:
        with ctx.sessions() as session:
            ids = session.scalars(query.where(Member.id.not_in(failed)).limit(PEOPLE_AT_A_TIME)).all()
        for member_id in ids:
            if time.monotonic() >= until:
                return False
            try:
                erasing.erase(ctx, Actor(program_id), member_id, ErasedBy.RULE)
            except OperationalError:
                raise  # the database is away, for all of them
            except Exception:
                failed.add(member_id)
                log().error("retention.not_erased", member_id=str(member_id), exc_info=True)
        if len(ids) < PEOPLE_AT_A_TIME:
            return True


def left(rules: Rules, now: datetime) -> ColumnElement[bool] | None:
    """Who left so long ago that they are erased."""
    if rules.left_days is None:
        return None
    return (Member.status == MemberStatus.LEFT) & (Member.left_at < now - timedelta(days=rules.left_days))


def unseen(rules: Rules, now: datetime) -> ColumnElement[bool] | None:
    """Who was not seen for so long that they are erased: those who were told so in time."""
    if rules.inactive_days is None:
        return None
    warned = _once(WARNED, GivenOnce.at < now - timedelta(days=WARNED_DAYS), _warned_since(rules, now))
    return _inactive_since(now - timedelta(days=rules.inactive_days)) & warned


def to_warn(rules: Rules, now: datetime) -> ColumnElement[bool] | None:
    """Who is to be told that they will be erased."""
    if rules.inactive_days is None:
        return None
    return idle(rules, now) & ~_once(WARNED, _warned_since(rules, now))


def idle(rules: Rules, now: datetime) -> ColumnElement[bool]:
    """Who was not seen for so long that it is time for the warning."""
    return _inactive_since(now - timedelta(days=(rules.inactive_days or 0) - WARNED_DAYS))


def _warned_since(rules: Rules, now: datetime) -> ColumnElement[bool]:
    """A warning from before the last visit does not count: it was heard."""
    return GivenOnce.at > now - timedelta(days=(rules.inactive_days or 0) - WARNED_DAYS) + _SLACK


def _inactive_since(moment: datetime) -> ColumnElement[bool]:
    """Who neither bought, came, joined nor said anything after this moment. What lapses by itself is no visit."""
    acted = exists().where(
        LedgerEntry.member_id == Member.id, LedgerEntry.at >= moment, LedgerEntry.kind != Kind.EXPIRY
    )
    spoke = exists().where(Consent.member_id == Member.id, Consent.at >= moment)
    return (
        (Member.status == MemberStatus.ACTIVE)
        & (Member.joined_at < moment)
        & (func.coalesce(Member.last_visit_at, Member.joined_at) < moment)
        & ~acted
        & ~spoke
        & ~_once(STAYS, GivenOnce.at >= moment)
    )


def _once(what: str, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(GivenOnce.member_id == Member.id, GivenOnce.what == what, *conditions)


def _warn(ctx: Context, program_id: UUID, rules: Rules, until: float) -> bool:
    condition = to_warn(rules, clock.now())
    if condition is None:
        return True
    query = select(Member.id).where(Member.program_id == program_id, condition).limit(PEOPLE_AT_A_TIME)
    while True:
        with ctx.sessions() as session:
            ids = session.scalars(query).all()
        for member_id in ids:
            if time.monotonic() >= until:
                return False
            _warn_one(ctx, program_id, member_id, rules)
        if len(ids) < PEOPLE_AT_A_TIME:
            return True


def _warn_one(ctx: Context, program_id: UUID, member_id: UUID, rules: Rules) -> None:
    now = clock.now()
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, program_id)
        locked = select(Member).where(Member.id == member_id).with_for_update(of=Member, key_share=True)
        member = session.scalars(locked).unique().one()
        if not note_once(session, member.id, WARNED, now, program.time_zone):
            return
        day = day_of(erased_from(now), program.time_zone)
        text_of = translator(member.language)
        params = {"day": text_of.short_date(day)}
        news = text_of.gettext(NEWS, **params)
        reaching.tell(session, program, member, now, news=news, template=sms_texts.INACTIVE, params=params)


def erased_from(warned_at: datetime) -> datetime:
    """When somebody who was warned at this moment may be erased."""
    return warned_at + timedelta(days=WARNED_DAYS + 1)


def note_once(session: Session, member_id: UUID, what: str, now: datetime, zone: str) -> bool:
    """Note that this happened today. False when it was noted already."""
    row = insert(GivenOnce).values(member_id=member_id, what=what, occasion=day_of(now, zone).isoformat(), at=now)
    return session.execute(row.on_conflict_do_nothing().returning(GivenOnce.at)).scalar() is not None


def _note_day(ctx: Context, program_id: UUID, column: str, day: date) -> None:
    with ctx.sessions.begin() as session:
        row = insert(RetentionRules).values({"program_id": program_id, column: day})
        session.execute(row.on_conflict_do_update(index_elements=["program_id"], set_={column: day}))
