"""Warning members before their bonus lapses: once for each day on which some of it does.

Each programme's members are gone through once a day, in the middle of the day, by their ids; a programme's row keeps
how far that is. Each member is a transaction of its own, so that no till waits long.
"""

import time
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import clock
from app.db.bonus import BonusKind, BonusRules
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.stamps import GivenOnce
from app.i18n import N_, Translator, translator
from app.logs import log
from app.loyalty.credit import day_of, last_day
from app.loyalty.ledger import Lot, Unit
from app.services import bonus_rules, reaching, sms_texts
from app.services.card_news import announce
from app.services.context import Actor, Context
from app.services.members import fetch
from app.services.settling import open_lots, settle

WHAT = "bonus-lapses"
BATCH = 100
# Between these hours of the programme's clock: nobody is woken by it.
FIRST_HOUR, LAST_HOUR = 10, 20
_BEFORE_ALL = UUID(int=0)


def warn_due(ctx: Context, until: float) -> bool:
    """Warn whom it is time to warn, until the moment (of time.monotonic) is over. True when there may be more."""
    with ctx.sessions() as session:
        programs = session.scalars(
            select(BonusRules.program_id).where(BonusRules.kind != BonusKind.OFF, BonusRules.warn_days.is_not(None))
        ).all()
    for program_id in programs:
        while _warn_some(ctx, program_id, until):
            if time.monotonic() >= until:
                return True
    return False


def _warn_some(ctx: Context, program_id: UUID, until: float) -> bool:
    """Go on with a programme's members of today. True when there may be more."""
    now = clock.now()
    with ctx.sessions() as session:
        program = session.get_one(Program, program_id)
        after = _after(session, program, now)
        if after is None:
            return False
        horizon = now + timedelta(days=(bonus_rules.within(session, program_id).warn_days or 0) + 1)
        # Whatever of a member's lapses first is no later than the bonus that does.
        members = session.scalars(
            select(Member.id)
            .where(Member.program_id == program_id, Member.id > after, Member.bonus > 0)
            .where(Member.next_expiry_at <= horizon, Member.status == MemberStatus.ACTIVE)
            .order_by(Member.id)
            .limit(BATCH)
        ).all()
        today = day_of(now, program.time_zone)
    looked = after
    for member_id in members:
        if looked != after and time.monotonic() >= until:
            break
        _try(ctx, program_id, member_id, now)
        looked = member_id
    done = len(members) < BATCH and (not members or looked == members[-1])
    with ctx.sessions.begin() as session:
        session.execute(
            update(BonusRules)
            .where(BonusRules.program_id == program_id)
            .values(warned_on=today, warned_after=None if done else looked)
        )
    return not done


def _after(session: Session, program: Program, now: datetime) -> UUID | None:
    """After which member to go on; None when it is not the time, or all have been looked at today."""
    if not FIRST_HOUR <= now.astimezone(ZoneInfo(program.time_zone)).hour < LAST_HOUR:
        return None
    row = session.get_one(BonusRules, program.id)
    begun_today = row.warned_on == day_of(now, program.time_zone)
    return row.warned_after if begun_today else _BEFORE_ALL


def _try(ctx: Context, program_id: UUID, member_id: UUID, now: datetime) -> None:
    """Warn one member. One who can't be warned stops nobody else."""
    try:
        with ctx.sessions.begin() as session:
            program = session.get_one(Program, program_id)
            member = fetch(session, Actor(program_id), Member.id == member_id, lock=True, erased=True)
            settled = settle(session, member, now)
            here = (
                member.status is MemberStatus.ACTIVE
            )  # they may have left, or been erased, since they were looked for
            if not (here and _warn(session, program, member, now)) and settled:
                announce(session, program, member, now, silent=True)
    except OperationalError:
        raise  # the database is away, for all of them
    except Exception:
        log().error("bonus.not_warned", member_id=str(member_id), exc_info=True)


def _warn(session: Session, program: Program, member: Member, now: datetime) -> bool:
    """Tell a member, whose row is locked, of what lapses soon and was not told of before. True if there was any."""
    rules = bonus_rules.within(session, program.id)
    lots = open_lots(session, member.id).get((Unit.BONUS, None), [])
    days = _by_day(lots, program, day_of(now, program.time_zone) + timedelta(days=rules.warn_days or 0))
    new = [day for day in sorted(days) if _claim(session, member, day, now)]
    if not new:
        return False
    text, naming = translator(member.language), bonus_rules.naming(program, rules)
    amount = naming.amount(text, sum(days[day] for day in new))
    if rules.warn_by_sms and not reaching.has_wallet(session, member):
        told = {"amount": amount, "day": text.short_date(new[0])}
        reaching.tell(session, program, member, now, news="", template=sms_texts.BONUS_LAPSES, params=told)
    else:
        announce(session, program, member, now, news=_news(text, amount, new), gift=True)
    return True


def _by_day(lots: Iterable[Lot], program: Program, latest: date) -> dict[date, int]:
    """How much can be used for the last time on which day, up to the latest."""
    days: dict[date, int] = {}
    for lot in lots:
        if lot.expires_at is not None and (day := last_day(lot.expires_at, program.time_zone)) <= latest:
            days[day] = days.get(day, 0) + lot.left
    return days


def _claim(session: Session, member: Member, day: date, now: datetime) -> bool:
    """Whether nobody has warned of this day yet; from now on somebody has."""
    row = insert(GivenOnce).values(member_id=member.id, what=WHAT, occasion=day.isoformat(), at=now)
    return bool(session.scalar(row.on_conflict_do_nothing().returning(GivenOnce.what)))


def _news(text: Translator, amount: str, days: list[date]) -> str:
    day = text.short_date(days[0])
    if len(days) == 1:
        return text.gettext(N_("%(amount)s of your bonus can be used until %(day)s"), amount=amount, day=day)
    return text.gettext(
        N_("%(amount)s of your bonus can soon not be used any more, the first of it until %(day)s"),
        amount=amount,
        day=day,
    )
