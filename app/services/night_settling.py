"""Closing what lapsed of members who come to no till, many in a transaction, and never for long in a till's way."""

import time
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import clock
from app.db.people import Member
from app.logs import log
from app.services import coupon_wallets
from app.services.card_news import renew
from app.services.context import Context
from app.services.settling import settle_all

# A till that wants one of them waits for the others, too: some 20 ms.
TOGETHER = 20
BATCH = 1000


def settle_lapsed(ctx: Context, until: float) -> bool:
    """Close what lapsed for up to BATCH members, and tell their cards. True when there may be more to close.

    No transaction is begun after `until` (time.monotonic). Whoever is at a till is left to the till. One that can't be
    closed is left to the next time, and stops nobody else.
    """
    now = clock.now()
    with ctx.sessions() as session:
        due = session.scalars(
            select(Member.id).where(Member.next_expiry_at <= now).order_by(Member.next_expiry_at).limit(BATCH)
        ).all()
    closed = 0
    for start in range(0, len(due), TOGETHER):
        if closed and time.monotonic() >= until:
            return True
        closed += _settle(ctx, due[start : start + TOGETHER], now)
    return closed > 0 and len(due) == BATCH


def _settle(ctx: Context, member_ids: Collection[UUID], now: datetime) -> int:
    """How many of them were dealt with."""
    try:
        with ctx.sessions.begin() as session:
            return _settle_within(session, member_ids, now)
    except OperationalError:
        raise  # the database is away, for all of them
    except Exception:
        if len(member_ids) > 1:
            return sum(_settle(ctx, [member_id], now) for member_id in member_ids)
        log().error("upkeep.not_settled", member_id=str(next(iter(member_ids))), exc_info=True)
        return 0


def _settle_within(session: Session, member_ids: Collection[UUID], now: datetime) -> int:
    members = session.scalars(
        select(Member)
        .where(Member.id.in_(member_ids), Member.next_expiry_at <= now)
        .order_by(Member.id)
        .with_for_update(of=Member, key_share=True, skip_locked=True)
    ).all()
    coupon_wallets.lock_wallets(session, [member.id for member in members])
    cards: dict[UUID, list[UUID]] = {}
    for member in settle_all(session, members, now):
        cards.setdefault(member.program_id, []).append(member.card.id)
    for program_id, card_ids in cards.items():
        renew(session, program_id, card_ids, now)
    return len(members)
