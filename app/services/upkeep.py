"""Chores that nobody waits for: closing what lapsed, and forgetting what is no longer needed."""

import time
from datetime import timedelta

from sqlalchemy import delete, select, tuple_
from sqlalchemy.exc import OperationalError

from app import clock
from app.db.ledger import SavedAnswer
from app.db.people import Member
from app.db.programs import Program
from app.logs import log
from app.services.context import Actor, Context
from app.services.ledger_book import announce, settle
from app.services.members import fetch

BATCH = 100
# The relay has doorbells to ring between the chores, even on the day when a million members' stamps lapse.
SECONDS_AT_A_TIME = 0.5
# Long enough for a till that was offline over a weekend to send its requests again.
ANSWERS_KEPT = timedelta(days=7)
ANSWERS_AT_A_TIME = 5000


def run(ctx: Context, seconds: float = SECONDS_AT_A_TIME) -> bool:
    """The chores that are due, for about so long. True when all are done."""
    until = time.monotonic() + seconds
    while settle_lapsed(ctx, until):
        if time.monotonic() >= until:
            return False
    return forget_answers(ctx) < ANSWERS_AT_A_TIME


def settle_lapsed(ctx: Context, until: float) -> bool:
    """Close what lapsed for up to BATCH members, and tell their cards. True when there may be more to close.

    Each member is a transaction of its own, so that no till waits long; none is begun after `until` (time.monotonic).
    One that can't be closed is left to the next time, and stops nobody else.
    """
    now = clock.now()
    with ctx.sessions() as session:
        due = session.execute(
            select(Member.id, Member.program_id)
            .where(Member.next_expiry_at <= now)
            .order_by(Member.next_expiry_at)
            .limit(BATCH)
        ).all()
    closed = 0
    for member_id, program_id in due:
        if closed and time.monotonic() >= until:
            return True
        try:
            with ctx.sessions.begin() as session:
                program = session.get_one(Program, program_id)
                member = fetch(session, Actor(program_id), Member.id == member_id, lock=True)
                if settle(session, member, now):
                    announce(session, program, member, now, silent=True)
            closed += 1
        except OperationalError:
            raise  # the database is away, for all of them
        except Exception:
            log().error("upkeep.not_settled", member_id=str(member_id), exc_info=True)
    return closed > 0 and len(due) == BATCH


def forget_answers(ctx: Context) -> int:
    """Drop answers to idempotency keys that nobody sends again, some at a time. Returns how many."""
    key = (SavedAnswer.scope, SavedAnswer.key)
    old = select(*key).where(SavedAnswer.at < clock.now() - ANSWERS_KEPT).limit(ANSWERS_AT_A_TIME)
    with ctx.sessions.begin() as session:
        dropped = session.execute(
            delete(SavedAnswer)
            .where(tuple_(*key).in_(old))
            .returning(SavedAnswer.key)
            .execution_options(synchronize_session=False)
        )
        return len(dropped.all())
