"""Chores that nobody waits for: planning the night's work, closing what lapsed, and forgetting what is no longer
needed."""

import time
from datetime import timedelta

from sqlalchemy import delete, select, tuple_

from app import clock
from app.db.credit import Credit
from app.db.ledger import SavedAnswer
from app.db.programs import Program
from app.services import (
    birthday_stamps,
    bonus_warnings,
    campaign_planning,
    classing,
    credit_codes,
    credit_policies,
    erased_wallets,
    nps_ending,
    purchase_book,
    retention,
    reward_reminders,
    sms_reports,
    tier_work,
    warranty_reminders,
)
from app.services.context import Actor, Context
from app.services.ledger_book import occasion
from app.services.night_settling import settle_lapsed
from app.services.settling import LAPSING, lapse_credit

BATCH = 100
# The relay has doorbells to ring between the chores, even on the day when a million members' stamps lapse.
SECONDS_AT_A_TIME = 0.5
# Long enough for a till that was offline over a weekend to send its requests again.
ANSWERS_KEPT = timedelta(days=7)
ANSWERS_AT_A_TIME = 5000
STRANGERS_AT_A_TIME = 1000


def run(ctx: Context, seconds: float = SECONDS_AT_A_TIME) -> bool:
    """The chores that are due, for about so long. True when all are done."""
    begun = time.monotonic()
    until = begun + seconds
    campaign_planning.plan_due(ctx)
    classing.plan_nights(ctx)
    credit_policies.plan_due(ctx)
    sms_reports.wake(ctx)
    half = begun + seconds / 2  # the rest has its turn on a night when everybody's stamps lapse, too
    while more := settle_lapsed(ctx, half) or lapse_group_credit(ctx):
        if time.monotonic() >= half:
            break
    done = (
        not more,
        forget_strangers(ctx),
        forget_answers(ctx) < ANSWERS_AT_A_TIME,
        credit_codes.free_rested(ctx) == 0,
        not birthday_stamps.give_due(ctx, until),
        not tier_work.review_due(ctx, until),
        not bonus_warnings.warn_due(ctx, until),
        not reward_reminders.remind_due(ctx, until),
        not nps_ending.take_off(ctx, until),
        warranty_reminders.remind(ctx),
        retention.run(ctx, until),
        erased_wallets.forget(ctx),
    )
    return all(done)


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
