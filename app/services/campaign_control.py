"""Starting and stopping campaigns.

    draft → approval → draft (approved) → scheduled → running → done, or scheduled again when it repeats
    scheduled and running ↔ paused; all of them → stopped

Every act may be repeated: what is so already stays so. Whoever schedules, approves or starts names the version that
they have seen, so that nobody sends what somebody else has just changed.
"""

from uuid import UUID

from sqlalchemy.orm import Session

from app import clock
from app.db.campaigns import Campaign, CampaignState, Medium, Repeat, RunPhase
from app.db.delivery import Channel
from app.db.programs import Program
from app.i18n import N_
from app.loyalty import segments
from app.loyalty.segment_facts import SegmentError
from app.services import campaign_planning, campaign_rules, outbox, sms_rules
from app.services.audit import record
from app.services.campaigns import locked, open_runs, require_seen
from app.services.context import Actor, Context
from app.services.errors import Refused

_BEFORE = (CampaignState.DRAFT, CampaignState.APPROVAL, CampaignState.SCHEDULED)
_GOING = (CampaignState.SCHEDULED, CampaignState.RUNNING)
_OVER = (CampaignState.STOPPED, CampaignState.DONE)


def submit(ctx: Context, actor: Actor, campaign_id: UUID, seen: int) -> None:
    """Ask a second person to approve a draft. Raises Refused: campaign-not-found, campaign-changed, campaign-started,
    and what is missing of it."""
    with ctx.sessions.begin() as session:
        row = _as_seen(session, actor, campaign_id, seen)
        if row.state is CampaignState.DRAFT and row.approved_by is None:
            _require_complete(session, row)
            row.state = CampaignState.APPROVAL
            record(session, actor, "campaign.submitted", row.id, version=seen)


def approve(ctx: Context, actor: Actor, campaign_id: UUID, seen: int) -> None:
    """A manager who has not written it takes responsibility for this version: it may be scheduled and started now, by
    anybody of the office. One that has its time already is scheduled by this.

    Raises Refused: own-campaign, not-allowed, and as `submit` does.
    """
    with ctx.sessions.begin() as session:
        row = _as_seen(session, actor, campaign_id, seen)
        if row.approved_by is not None or row.state is not CampaignState.APPROVAL:
            return
        if not actor.may_manage or actor.staff_id is None:
            raise Refused("not-allowed", N_("Ask a manager to approve this campaign."), status=403)
        if actor.staff_id == row.staff_id:
            words = N_("You have written this campaign yourself: somebody else has to approve it.")
            raise Refused("own-campaign", words, status=403)
        row.approved_by, row.state = actor.staff_id, CampaignState.DRAFT
        record(session, actor, "campaign.approved", row.id, version=seen)
        due = campaign_planning.first_due(session, row)
        if due is not None and due > clock.now():
            _schedule(session, actor, row)


def send_back(ctx: Context, actor: Actor, campaign_id: UUID) -> None:
    """Make a draft of what waits for approval, or of what is approved or scheduled and has not started."""
    with ctx.sessions.begin() as session:
        row = locked(session, actor, campaign_id)
        if row.state in (CampaignState.APPROVAL, CampaignState.SCHEDULED) or row.approved_by is not None:
            _require_not_started(row)
            row.state, row.approved_by, row.next_run_at = CampaignState.DRAFT, None, None
            record(session, actor, "campaign.sent-back", row.id)


def schedule(ctx: Context, actor: Actor, campaign_id: UUID, seen: int) -> None:
    """Have its runs begin by themselves, at the times that it names.

    Raises Refused: campaign-not-found, campaign-changed, campaign-started, needs-approval, time-passed, and what is
    missing of it.
    """
    with ctx.sessions.begin() as session:
        row = _as_seen(session, actor, campaign_id, seen)
        if row.state is not CampaignState.SCHEDULED:
            _require_complete(session, row)
            _require_approved(session, row)
            _schedule(session, actor, row)


def start_now(ctx: Context, actor: Actor, campaign_id: UUID, seen: int) -> UUID:
    """Begin the one run of a campaign that does not repeat, now, and return the run's id. Whoever starts it again, or
    at the same moment, gets the same run.

    Raises Refused: campaign-not-found, campaign-changed, campaign-started (it was stopped), campaign-repeats,
    needs-approval, and what is missing of it.
    """
    with ctx.sessions.begin() as session:
        row = locked(session, actor, campaign_id)
        require_seen(row, seen)
        if row.repeat is not Repeat.ONCE:
            words = N_("A campaign that repeats is scheduled. It begins at its first time.")
            raise Refused("campaign-repeats", words, status=409)
        begun = row.state in (CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.DONE)
        if begun and (runs := campaign_planning.runs_of(session, row.id)):
            return runs[0]
        _require_not_started(row)
        _require_complete(session, row)
        _require_approved(session, row)
        run_id = campaign_planning.begin_run(session, row, clock.now())
        row.next_run_at = None
        record(session, actor, "campaign.started", row.id, run=str(run_id), version=seen)
        return run_id


def pause(ctx: Context, actor: Actor, campaign_id: UUID) -> None:
    """Hold it: a batch that is being handed over is finished, and none is begun after it. Raises Refused."""
    with ctx.sessions.begin() as session:
        row = locked(session, actor, campaign_id)
        if row.state in _GOING:
            row.state = CampaignState.PAUSED
            record(session, actor, "campaign.paused", row.id)


def resume(ctx: Context, actor: Actor, campaign_id: UUID) -> None:
    """Go on exactly where it was paused. Raises Refused: campaign-not-found, campaign-over."""
    with ctx.sessions.begin() as session:
        row = locked(session, actor, campaign_id)
        if row.state in _OVER:
            raise Refused("campaign-over", N_("This campaign is over. Make a copy of it to send it again."), status=409)
        if row.state is not CampaignState.PAUSED:
            return
        runs = open_runs(session, row.id)
        if runs:
            row.state = CampaignState.RUNNING
        else:
            row.state = CampaignState.SCHEDULED if row.next_run_at else CampaignState.DONE
        for run in runs:
            if run.phase is RunPhase.SENDING:
                outbox.announce(session, Channel.CAMPAIGN, row.program_id, run.id, clock.now())
        sms_rules.release(session, row.program_id)  # what the SMS channel has of it waits, too
        record(session, actor, "campaign.resumed", row.id)


def stop(ctx: Context, actor: Actor, campaign_id: UUID) -> None:
    """End it for good: nobody gets anything more of it. One that is over stays so. Raises Refused."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        row = locked(session, actor, campaign_id)
        if row.state in _OVER:
            return
        row.state, row.next_run_at = CampaignState.STOPPED, None
        for run in open_runs(session, row.id):
            run.phase, run.finished_at = RunPhase.STOPPED, now
        record(session, actor, "campaign.stopped", row.id)


def _as_seen(session: Session, actor: Actor, campaign_id: UUID, seen: int) -> Campaign:
    row = locked(session, actor, campaign_id)
    require_seen(row, seen)
    _require_not_started(row)
    return row


def _require_not_started(row: Campaign) -> None:
    if row.state not in _BEFORE:
        raise Refused("campaign-started", N_("This campaign has started, or is over."), status=409)


def _require_approved(session: Session, row: Campaign) -> None:
    if row.approved_by is None and campaign_rules.of(session, row.program_id).second_person:
        raise Refused("needs-approval", N_("A second person has to approve this campaign first."), status=409)


def _require_complete(session: Session, row: Campaign) -> None:
    program = session.get_one(Program, row.program_id)
    try:
        segments.read(row.tree)
    except SegmentError as error:
        raise Refused("no-segment", error.message, error.params, field="tree") from None
    variants = ("a", "b") if row.b_percent else ("a",)
    if not all(row.texts.get(variant, {}).get(program.language, "").strip() for variant in variants):
        words = N_("Write the text in the programme's own language first.")
        raise Refused("no-text", words, field="texts")
    if row.repeat is not Repeat.ONCE and row.at_time is None:
        raise Refused("no-time", N_("Say at what time of the day it is sent."), field="at_time")
    if row.repeat is Repeat.WEEKLY and row.weekday is None:
        raise Refused("no-weekday", N_("Say on which day of the week it is sent."), field="weekday")
    if row.medium is Medium.SMS and row.link and not any("{link}" in text for text in row.texts["a"].values()):
        raise Refused("no-link", N_("Write {link} where the link is to be, or choose no link."), field="texts")


def _schedule(session: Session, actor: Actor, row: Campaign) -> None:
    due = campaign_planning.first_due(session, row)
    if due is None or due <= clock.now():
        words = N_("The time when it is to begin has passed. Choose another one, or start it now.")
        raise Refused("time-passed", words, field="starts_at")
    row.state, row.next_run_at = CampaignState.SCHEDULED, due
    record(session, actor, "campaign.scheduled", row.id, version=row.version)
