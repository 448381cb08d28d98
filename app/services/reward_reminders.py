"""Reminding members of rewards before they lapse: on the wallet card, and by SMS those without one, if it is wanted."""

import time
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import clock
from app.db.ledger import Reward, RewardStatus
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.rewards import RewardType
from app.i18n import N_, translator
from app.logs import log
from app.loyalty.credit import last_day
from app.services import reaching, sms_texts
from app.services.card_news import announce
from app.services.context import Actor, Context
from app.services.members import fetch
from app.services.settling import settle

BATCH = 100
_LAPSES = N_("Don't forget: %(reward)s. Last day: %(day)s")


def remind_due(ctx: Context, until: float) -> bool:
    """Remind up to BATCH members, none after the moment `until` (of time.monotonic). True when there may be more.

    Each member is a transaction of its own, so that no till waits long.
    """
    now = clock.now()
    with ctx.sessions() as session:
        due = session.execute(
            select(Reward.member_id, Reward.program_id, Reward.id)
            .where(Reward.remind_at <= now)
            .order_by(Reward.remind_at)
            .limit(BATCH)
        ).all()
    members = {member_id: program_id for member_id, program_id, _ in due}
    for number, (member_id, program_id) in enumerate(members.items()):
        if number and time.monotonic() >= until:
            return True
        _try(ctx, program_id, member_id, now)
    return len(due) == BATCH


def _try(ctx: Context, program_id: UUID, member_id: UUID, now: datetime) -> None:
    """Remind one member. One who can't be reminded stops nobody else, and is not tried again."""
    try:
        with ctx.sessions.begin() as session:
            program = session.get_one(Program, program_id)
            member = fetch(session, Actor(program_id), Member.id == member_id, lock=True, erased=True)
            settled = settle(session, member, now)
            due = _claim(session, member, now)
            if due and member.status is MemberStatus.ACTIVE:
                _tell(session, program, member, due, now)
            elif settled:
                announce(session, program, member, now, silent=True)
    except OperationalError:
        raise  # the database is away, for all of them
    except Exception:
        log().error("reward.not_reminded", member_id=str(member_id), exc_info=True)
        with ctx.sessions.begin() as session:
            _claim(session, session.get_one(Member, member_id), now)


def _claim(session: Session, member: Member, now: datetime) -> list[Reward]:
    """The member's rewards whose reminder is due; nobody is reminded of them a second time."""
    due = session.scalars(
        select(Reward)
        .where(Reward.member_id == member.id, Reward.remind_at <= now)
        .order_by(Reward.expires_at, Reward.id)
        .with_for_update()
    ).all()
    for reward in due:
        reward.remind_at = None
    return [reward for reward in due if reward.status is RewardStatus.ISSUED and reward.expires_at is not None]


def _tell(session: Session, program: Program, member: Member, due: Sequence[Reward], now: datetime) -> None:
    text = translator(member.language)
    names = text.listed(list(dict.fromkeys(reward.name for reward in due)))
    first = min(last_day(reward.expires_at, program.time_zone) for reward in due if reward.expires_at is not None)
    told = {"reward": names, "day": text.short_date(first)}
    by_sms = session.scalar(
        select(RewardType.id)
        .where(RewardType.id.in_([reward.type_id for reward in due]), RewardType.remind_by_sms)
        .limit(1)
    )
    if by_sms is not None and not reaching.has_wallet(session, member):
        reaching.tell(session, program, member, now, news="", template=sms_texts.REWARD_LAPSES, params=told)
    else:
        announce(session, program, member, now, news=text.gettext(_LAPSES, **told), gift=True)
