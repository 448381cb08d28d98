"""Taking questions off the wallets' cards: those that were answered, and those that nobody answers any more."""

import time
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.db.nps import NpsAsk
from app.db.people import Member, MemberCard, MemberStatus
from app.services.card_news import renew
from app.services.context import Context

# A till that wants one of them waits for the others, too: some 20 ms.
TOGETHER = 20


def take_off(ctx: Context, until: float) -> bool:
    """Tell the wallets of cards whose question is over; begin nothing after `until` (time.monotonic). True when there
    may be more. Whoever is at a till is left to the next time."""
    while True:
        with ctx.sessions.begin() as session:
            some = _take_some(session)
        if some < TOGETHER:
            return False
        if time.monotonic() >= until:
            return True


def _take_some(session: Session) -> int:
    now = clock.now()
    over = session.execute(
        select(NpsAsk, Member.program_id, Member.status, MemberCard.id)
        .join(Member, Member.id == NpsAsk.member_id)
        .join(MemberCard, MemberCard.member_id == Member.id)
        .where(NpsAsk.on_card_until <= now)
        .order_by(NpsAsk.on_card_until)
        .limit(TOGETHER)
        .with_for_update(of=(NpsAsk, Member), key_share=True, skip_locked=True)
    ).all()
    cards: dict[UUID, list[UUID]] = {}
    for ask, program_id, status, card_id in over:
        ask.on_card_until = None
        if status is MemberStatus.ACTIVE:  # the others' cards asked nothing
            cards.setdefault(program_id, []).append(card_id)
    for program_id, card_ids in cards.items():
        renew(session, program_id, card_ids, now)
    return len(over)
