"""Taking questions off the wallets' cards: those that were answered, and those that nobody answers any more."""

import time
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import clock
from app.db.nps import NpsAsk
from app.db.people import Member, MemberCard, MemberStatus
from app.logs import log
from app.services.card_news import renew
from app.services.context import Context

# A till that wants one of them waits for the others, too: some 20 ms.
TOGETHER = 20
BATCH = 1000


def take_off(ctx: Context, until: float) -> bool:
    """Tell the wallets of cards whose question is over; begin nothing after `until` (time.monotonic). True when there
    may be more. Whoever is at a till is left to the next time, and so is who can't be dealt with."""
    now = clock.now()
    with ctx.sessions() as session:
        due = session.execute(
            select(NpsAsk.id, Member.program_id)
            .join(Member, Member.id == NpsAsk.member_id)
            .where(NpsAsk.on_card_until <= now)
            .order_by(NpsAsk.on_card_until)
            .limit(BATCH)
        ).all()
    by_program: dict[UUID, list[UUID]] = {}
    for ask_id, program_id in due:
        by_program.setdefault(program_id, []).append(ask_id)
    done = 0
    for program_id, ask_ids in by_program.items():
        for start in range(0, len(ask_ids), TOGETHER):
            if done and time.monotonic() >= until:
                return True
            done += _take_off(ctx, program_id, ask_ids[start : start + TOGETHER], now)
    return done > 0 and len(due) == BATCH


def _take_off(ctx: Context, program_id: UUID, ask_ids: Collection[UUID], now: datetime) -> int:
    """How many of them were dealt with."""
    try:
        with ctx.sessions.begin() as session:
            return _take_off_within(session, program_id, ask_ids, now)
    except OperationalError:
        raise  # the database is away, for all of them
    except Exception:
        if len(ask_ids) > 1:
            return sum(_take_off(ctx, program_id, [ask_id], now) for ask_id in ask_ids)
        log().error("nps.not_taken_off", ask_id=str(next(iter(ask_ids))), exc_info=True)
        return 0


def _take_off_within(session: Session, program_id: UUID, ask_ids: Collection[UUID], now: datetime) -> int:
    over = session.execute(
        select(NpsAsk, Member.status, MemberCard.id)
        .join(Member, Member.id == NpsAsk.member_id)
        .join(MemberCard, MemberCard.member_id == Member.id)
        .where(NpsAsk.id.in_(ask_ids), NpsAsk.on_card_until <= now)
        .order_by(Member.id)
        .with_for_update(of=(NpsAsk, Member), key_share=True, skip_locked=True)
    ).all()
    for ask, _, _ in over:
        ask.on_card_until = None
    # The cards of who left or is blocked asked nothing.
    renew(session, program_id, [card_id for _, status, card_id in over if status is MemberStatus.ACTIVE], now)
    return len(over)
