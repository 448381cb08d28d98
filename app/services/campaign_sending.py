"""Handing a run's messages over, a batch at a time.

A batch is claimed while its campaign runs, so that pausing and stopping act from the next one on. Its messages are
`sending`, with whom they are for noted, before the provider is asked: what a crash leaves behind is looked for at the
provider (app.services.sms_reports) before it is ever sent again. What came of a batch is written in a few statements.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.campaigns import Campaign, CampaignRecipient, CampaignRun, CampaignState, Medium, RecipientState, RunPhase
from app.db.programs import Program
from app.logs import log
from app.loyalty.quiet_hours import day_after
from app.services import (
    campaign_batches,
    campaign_benefits,
    campaign_planning,
    campaign_rendering,
    campaign_wallet,
    sms_rules,
    sms_spending,
)
from app.services.audit import record
from app.services.campaign_batches import Handing
from app.services.campaign_choosing import NO_WALLET
from app.services.campaign_gate import Candidate, candidates
from app.services.context import Actor, Context
from app.services.sms_rules import Rules
from sms.provider import OutgoingMessage
from sms.reasons import Reason
from sms.text import count_parts, downgraded

# How often a run looks whether a programme that was stopped for pumping goes on.
LOOK_AGAIN = timedelta(minutes=1)
NO_TEXT = "no-text"  # nothing is left of the text for this member
# Another worker has the last recipients, and may give some of them back.
_SHARED = timedelta(seconds=2)


class Turn(StrEnum):
    """What there is to do for a run now."""

    GO = "go"  # the batch has somebody, or may have somebody again at once
    WAIT = "wait"  # until `Batch.until`
    REST = "rest"  # nothing, until somebody announces it anew: it is paused, stopped or done


@dataclass(frozen=True, slots=True)
class Batch:
    """What was claimed. `messages` are `sending` and have to be handed over now. `reason` says why the run waits."""

    turn: Turn
    messages: Sequence[Handing] = ()
    until: datetime | None = None
    reason: str = ""


def claim(ctx: Context, run_id: UUID, limit: int) -> Batch:
    """Take up to `limit` recipients of the run: who may get it is noted as handed, with a message that is `sending`;
    who may not is skipped, with the reason. Who gets it on the wallet card has got it when this returns."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        found = _run(session, run_id)
        if found is None:
            return Batch(Turn.REST)
        run, program = found
        rules = sms_rules.of(session, program)
        if held := _held(rules, now):
            return held
        rows = candidates(session, program, run, limit, now)
        if not rows:
            return _nobody(session, run, now)
        campaign_batches.skip(session, {row.number: row.reason for row in rows if row.reason})
        nowhere = campaign_wallet.nowhere(session, [row for row in rows if not row.reason])
        campaign_batches.skip(session, dict.fromkeys(nowhere, NO_WALLET))
        going = [row for row in rows if not row.reason and row.number not in nowhere]
        codes = campaign_benefits.give(ctx, session, program, run, going, now)
        campaign_wallet.deliver(ctx, session, program, run, going, now, codes)
        on_card = [row.number for row in going if row.medium is Medium.WALLET]
        if on_card:
            campaign_batches.hand_cards(session, on_card, now)
        by_sms = [row for row in going if row.medium is Medium.SMS]
        return _begin(ctx, session, program, run, rules, by_sms, now, codes)


def _run(session: Session, run_id: UUID) -> tuple[CampaignRun, Program] | None:
    """The run with its programme, if it sends and its campaign runs."""
    run = session.get(CampaignRun, run_id)
    if run is None or run.phase is not RunPhase.SENDING:
        return None
    state = session.scalar(select(Campaign.state).where(Campaign.id == run.campaign_id))
    return (run, session.get_one(Program, run.program_id)) if state is CampaignState.RUNNING else None


def _held(rules: Rules, now: datetime) -> Batch | None:
    if rules.stopped_at is not None:
        return Batch(Turn.WAIT, until=now + LOOK_AGAIN, reason=Reason.PUMPING)
    opens = rules.quiet.held_until(now)
    return Batch(Turn.WAIT, until=opens, reason=Reason.QUIET_HOURS) if opens else None


def _nobody(session: Session, run: CampaignRun, now: datetime) -> Batch:
    """Nobody is due: somebody will be, or another worker has them, or the run is done."""
    planned = (CampaignRecipient.run_id == run.id, CampaignRecipient.state == RecipientState.PLANNED)
    due = session.scalar(select(func.min(CampaignRecipient.due_at)).where(*planned))
    if due is not None:
        return Batch(Turn.WAIT, until=max(due, now + _SHARED))
    run = campaign_planning.locked_run(session, run.id)
    campaign_planning.finish(session, run)
    log().info("campaign.done", run=str(run.id))
    return Batch(Turn.REST)


def _begin(
    ctx: Context,
    session: Session,
    program: Program,
    run: CampaignRun,
    rules: Rules,
    rows: Sequence[Candidate],
    now: datetime,
    codes: Mapping[int, str],
) -> Batch:
    """Write the messages of those for whom the day has room."""
    ready = _rendered(ctx, session, program, run, rules, rows, now, codes)
    if not ready:
        return Batch(Turn.GO)
    # Locked last: other messages of this programme wait for it.
    day = sms_spending.locked_day(session, program, now)
    going: list[Handing] = []
    for one in ready:
        if not sms_spending.fits(rules, day, one.cost_micro, marketing=True):
            break
        day.messages, day.parts, day.cost_micro = (
            day.messages + 1,
            day.parts + one.parts,
            day.cost_micro + one.cost_micro,
        )
        going.append(one)
    campaign_batches.insert(ctx, session, program, run.id, going, now)
    if len(going) == len(ready):
        return Batch(Turn.GO, going)
    if not day.held:
        log().error("sms.daily_cap_reached", program=str(program.id))
    day.held += len(ready) - len(going)
    tomorrow = day_after(now, program.time_zone)
    until = rules.quiet.held_until(tomorrow) or tomorrow
    return Batch(Turn.WAIT, going, until, Reason.DAILY_CAP)


def _rendered(
    ctx: Context,
    session: Session,
    program: Program,
    run: CampaignRun,
    rules: Rules,
    rows: Sequence[Candidate],
    now: datetime,
    codes: Mapping[int, str],
) -> list[Handing]:
    facts = campaign_rendering.facts_of(ctx, session, program, [row.member_id for row in rows], now)
    made = []
    for row in rows:
        message_id = uuid7()
        own = replace(facts[row.member_id], code=codes.get(row.number, ""))
        body = downgraded(campaign_rendering.body(run.content, own, row.token, row.variant))
        if not body.strip():
            campaign_batches.skip(session, {row.number: NO_TEXT})
            continue
        parts = count_parts(body).parts
        outgoing = OutgoingMessage(row.phone, body, str(message_id))
        cost = rules.cost_micro(row.phone, parts)
        made.append(Handing(message_id, row.number, row.member_id, row.language, outgoing, parts, cost, now))
    return made


def hold(ctx: Context, run_id: UUID, reason: str) -> None:
    """The provider would refuse every message: pause the campaign until somebody has looked, and resumes it."""
    with ctx.sessions.begin() as session:
        run = campaign_planning.locked_run(session, run_id)
        row = session.get_one(Campaign, run.campaign_id)
        if row.state is CampaignState.RUNNING:
            row.state = CampaignState.PAUSED
            record(session, Actor(row.program_id), "campaign.held", row.id, reason=reason)
            log().error("campaign.held", campaign=str(row.id), reason=reason)
