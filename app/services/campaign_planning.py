"""When campaigns run: what is due is planned once, whoever else plans, and what is too late is shown and not sent."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.campaigns import Campaign, CampaignRun, CampaignState, Repeat, RunPhase
from app.db.programs import Program
from app.logs import log
from app.loyalty.campaign_schedule import is_late, next_due
from app.services import tasks
from app.services.campaigns import open_runs
from app.services.context import Context

# The kind of the task that writes a run's recipients: see app.services.campaign_choosing.
CHOOSE = "campaign-choose"
_PLANNED_FROM = (CampaignState.SCHEDULED, CampaignState.RUNNING)
_MOMENT = timedelta(microseconds=1)


def plan_due(ctx: Context) -> None:
    """Begin the runs that are due. The relay's leader calls it every minute; called twice, it does nothing more."""
    with ctx.sessions() as session:
        due = session.scalars(
            select(Campaign.id)
            .where(Campaign.next_run_at <= clock.now(), Campaign.state.in_(_PLANNED_FROM))
            .order_by(Campaign.next_run_at)
        ).all()
    for campaign_id in due:
        with ctx.sessions.begin() as session:
            _plan(session, campaign_id)


def _plan(session: Session, campaign_id: UUID) -> None:
    now = clock.now()
    row = session.get(Campaign, campaign_id, with_for_update={"key_share": True})
    if row is None or row.state not in _PLANNED_FROM:
        return
    zone = session.get_one(Program, row.program_id).time_zone
    while row.next_run_at is not None and row.next_run_at <= now:
        due = row.next_run_at
        if is_late(due, now):
            _note(session, row, due, RunPhase.MISSED)
            log().warning("campaign.missed", campaign=str(row.id))
        else:
            begin_run(session, row, due)
        row.next_run_at = _following(row, due, zone)
    if row.state is CampaignState.SCHEDULED and row.next_run_at is None:
        # Somebody may give it another time.
        row.state = CampaignState.DRAFT if row.repeat is Repeat.ONCE else CampaignState.DONE


def begin_run(session: Session, row: Campaign, due_at: datetime) -> UUID:
    """Pin the content of the run of this moment, and have its recipients chosen. The caller has locked the campaign.
    Returns the run's id; it is the same one for the same moment."""
    run_id = _note(session, row, due_at, RunPhase.PLANNED)
    if run_id is not None:
        row.state = CampaignState.RUNNING
        tasks.start(session, row.program_id, CHOOSE, run_id)
        return run_id
    same = select(CampaignRun.id).where(CampaignRun.campaign_id == row.id, CampaignRun.due_at == due_at)
    return session.scalars(same).one()


def runs_of(session: Session, campaign_id: UUID) -> Sequence[UUID]:
    """The ids of the runs that were begun, the newest first; not those that were missed."""
    return session.scalars(
        select(CampaignRun.id)
        .where(CampaignRun.campaign_id == campaign_id, CampaignRun.phase != RunPhase.MISSED)
        .order_by(CampaignRun.due_at.desc())
    ).all()


def first_due(session: Session, row: Campaign) -> datetime | None:
    """When the first run from now on is due; None when there is none. One that does not repeat is due when it was set
    to, which may be past."""
    if row.repeat is Repeat.ONCE:
        return row.starts_at
    after = max(clock.now(), (row.starts_at or clock.now()) - _MOMENT)
    return _following(row, after, session.get_one(Program, row.program_id).time_zone)


def locked_run(session: Session, run_id: UUID) -> CampaignRun:
    """The run and its campaign, locked in the order of all who change both."""
    run = session.get_one(CampaignRun, run_id)
    session.get_one(Campaign, run.campaign_id, with_for_update={"key_share": True}, populate_existing=True)
    session.refresh(run, with_for_update={"key_share": True})
    return run


def finish(session: Session, run: CampaignRun) -> None:
    """This run, which the caller has locked, has nobody left. Its campaign rests until the next run, or is done."""
    row = session.get_one(Campaign, run.campaign_id)
    if run.phase in (RunPhase.CHOOSING, RunPhase.SENDING):
        run.phase, run.finished_at = RunPhase.DONE, clock.now()
        session.flush()
    if row.state is CampaignState.RUNNING and not open_runs(session, row.id):
        row.state = CampaignState.SCHEDULED if row.next_run_at else CampaignState.DONE


def miss(session: Session, run: CampaignRun) -> None:
    """No worker has come to this run in time: it is shown, and not sent."""
    row = session.get_one(Campaign, run.campaign_id)
    run.phase, run.finished_at = RunPhase.MISSED, clock.now()
    session.flush()
    log().warning("campaign.missed", campaign=str(row.id))
    if row.state is CampaignState.RUNNING and not open_runs(session, row.id):
        once = CampaignState.DRAFT if row.repeat is Repeat.ONCE else CampaignState.DONE
        row.state = CampaignState.SCHEDULED if row.next_run_at else once


def content_of(row: Campaign) -> dict[str, object]:
    """What a run keeps of its campaign, whatever is changed later."""
    return {
        "name": row.name,
        "tree": row.tree,
        "medium": row.medium.value,
        "texts": row.texts,
        "link": row.link,
        "b_percent": row.b_percent,
        "holdout_percent": row.holdout_percent,
        "repeat": row.repeat.value,
        "offset_days": row.offset_days,
        "version": row.version,
        "benefit": {
            "kind": row.benefit.value,
            "minor": row.benefit_minor,
            "name": row.benefit_name,
            "days": row.benefit_days,
            "type": str(row.benefit_type_id) if row.benefit_type_id else "",
        },
    }


def _following(row: Campaign, after: datetime, zone: str) -> datetime | None:
    """The first run later than `after`."""
    if row.repeat is Repeat.ONCE or row.at_time is None:
        return None
    due = next_due(after, row.at_time, row.weekday if row.repeat is Repeat.WEEKLY else None, zone)
    return due if row.repeat_until is None or due <= row.repeat_until else None


def _note(session: Session, row: Campaign, due_at: datetime, phase: RunPhase) -> UUID | None:
    """The id of the new run; None when that of this moment is there already."""
    made: UUID | None = session.execute(
        insert(CampaignRun)
        .values(
            id=uuid7(),
            program_id=row.program_id,
            campaign_id=row.id,
            phase=phase,
            content=content_of(row),
            due_at=due_at,
            finished_at=clock.now() if phase is RunPhase.MISSED else None,
        )
        .on_conflict_do_nothing(index_elements=["campaign_id", "due_at"])
        .returning(CampaignRun.id)
    ).scalar()
    return made
