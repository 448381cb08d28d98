"""Chores that nobody waits for: planning the night's work, closing what lapsed, and forgetting what is no longer
needed."""

import time
from datetime import timedelta

from sqlalchemy import delete, select, tuple_
from sqlalchemy.exc import OperationalError

from app import clock
from app.db.credit import Credit
from app.db.ledger import SavedAnswer
from app.db.people import Member
from app.db.programs import Program
from app.logs import log
from app.services import campaign_planning, classing, credit_codes, credit_policies, purchase_book, sms_reports
from app.services.context import Actor, Context
from app.services.ledger_book import LAPSING, announce, lapse_credit, occasion, settle
from app.services.members import fetch

BATCH = 100
# The relay has doorbells to ring between the chores, even on the day when a million members' stamps lapse.
SECONDS_AT_A_TIME = 0.5
# Long enough for a till that was offline over a weekend to send its requests again.
ANSWERS_KEPT = timedelta(days=7)
ANSWERS_AT_A_TIME = 5000
STRANGERS_AT_A_TIME = 1000


def run(ctx: Context, seconds: float = SECONDS_AT_A_TIME) -> bool:
    """The chores that are due, for about so long. True when all are done."""
    until = time.monotonic() + seconds
    campaign_planning.plan_due(ctx)
    classing.plan_nights(ctx)
    credit_policies.plan_due(ctx)
    sms_reports.wake(ctx)
    while settle_lapsed(ctx, until) or lapse_group_credit(ctx):
        if time.monotonic() >= until:
            return False
    done = (
        forget_strangers(ctx),
        forget_answers(ctx) < ANSWERS_AT_A_TIME,
        credit_codes.free_rested(ctx) == 0,
    )
    return all(done)


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


def lapse_group_credit(ctx: Context) -> bool:
    """Close up to BATCH credits of groups whose time is over. True when there may be more."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        over = session.scalars(
            select(Credit)
            .where(Credit.expires_at <= now, Credit.status.in_(LAPSING), Credit.member_id.is_(None))
            .order_by(Credit.expires_at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        for credit in over:
            lapse_credit(session, None, occasion(Actor(credit.program_id), now), credit)
        return len(over) == BATCH


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


def forget_strangers(ctx: Context) -> bool:
    """Drop the phone numbers of purchases whose customer did not join in time, some at a time. True when all are."""
    with ctx.sessions() as session:
        programs = session.scalars(select(Program.id)).all()
    done = True
    for program_id in programs:
        with ctx.sessions.begin() as session:
            forgotten = purchase_book.forget_phones(session, program_id, clock.now(), STRANGERS_AT_A_TIME)
        done = done and forgotten < STRANGERS_AT_A_TIME
    return done
