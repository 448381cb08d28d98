"""Campaigns as marketers write them: made, changed until they start, and shown. app.services.campaign_control starts
them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.campaigns import (
    Benefit,
    Campaign,
    CampaignRun,
    CampaignState,
    Medium,
    Repeat,
    RunPhase,
)
from app.db.rewards import RewardType
from app.i18n import N_
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import Refused

# Until then what is written may be changed. One that repeats may be changed between its runs, too.
CHANGEABLE = (CampaignState.DRAFT, CampaignState.APPROVAL, CampaignState.SCHEDULED)
OPEN_PHASES = (RunPhase.PLANNED, RunPhase.CHOOSING, RunPhase.SENDING)
MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class CampaignValues:
    """What a marketer decides of a campaign: the columns of app.db.campaigns.Campaign with the same names.

    Whoever reads the form has checked each value; what belongs together is checked when it is to start.
    """

    name: str
    tree: Mapping[str, object] = field(default_factory=dict)
    medium: Medium = Medium.SMS
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    link: str = ""
    b_percent: int = 0
    holdout_percent: int = 0
    repeat: Repeat = Repeat.ONCE
    offset_days: int = 0
    weekday: int | None = None
    at_time: time | None = None
    starts_at: datetime | None = None
    repeat_until: datetime | None = None
    benefit: Benefit = Benefit.NONE
    benefit_minor: int = 0
    benefit_name: str = ""
    benefit_days: int = 14
    benefit_type_id: UUID | None = None  # a kind of reward: its name and its days are those of the kind


@dataclass(frozen=True, slots=True)
class RunView:
    """One sending. `due_at` is when it was to begin; `finished_at` None: it is under way, or to come."""

    id: UUID
    phase: RunPhase
    due_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.phase in OPEN_PHASES


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign as it is now, its runs the newest first. `version` is what schedule, start and update are told."""

    id: UUID
    state: CampaignState
    values: CampaignValues
    version: int
    next_run_at: datetime | None
    staff_id: UUID | None
    approved_by: UUID | None
    created_at: datetime
    changed_at: datetime
    runs: tuple[RunView, ...] = ()

    @property
    def may_change(self) -> bool:
        return self.state in CHANGEABLE


def create(ctx: Context, actor: Actor, values: CampaignValues) -> CampaignView:
    """A new draft."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        row = Campaign(
            id=uuid7(),
            program_id=actor.program_id,
            state=CampaignState.DRAFT,
            version=1,
            staff_id=actor.staff_id,
            created_at=now,
            changed_at=now,
            **_columns(session, actor, values),
        )
        session.add(row)
        record(session, actor, "campaign.made", row.id)
        return _view(row)


def update(ctx: Context, actor: Actor, campaign_id: UUID, values: CampaignValues, seen: int) -> CampaignView:
    """Change a campaign that has not started, or that rests between two runs. `seen` is the version that was changed.

    Whoever writes has to have it approved anew, and what was scheduled is a draft again when its time has changed.
    Raises Refused: campaign-not-found, campaign-changed, campaign-started.
    """
    with ctx.sessions.begin() as session:
        row = locked(session, actor, campaign_id)
        require_seen(row, seen)
        if row.state not in CHANGEABLE:
            words = N_("This campaign has started. Make a copy of it to change it.")
            raise Refused("campaign-started", words, status=409)
        columns = _columns(session, actor, values)
        changed = sorted(name for name, value in columns.items() if getattr(row, name) != value)
        if not changed:
            return _view(row, _runs(session, row.id))
        for name in changed:
            setattr(row, name, columns[name])
        times = {"repeat", "offset_days", "weekday", "at_time", "starts_at", "repeat_until"}
        if row.approved_by is not None or row.state is CampaignState.APPROVAL or times & set(changed):
            row.state, row.approved_by, row.next_run_at = CampaignState.DRAFT, None, None
        row.version += 1
        row.staff_id, row.changed_at = actor.staff_id, clock.now()
        record(session, actor, "campaign.changed", row.id, fields=changed, version=row.version)
        return _view(row, _runs(session, row.id))


def get(ctx: Context, actor: Actor, campaign_id: UUID) -> CampaignView:
    """Raises Refused (campaign-not-found)."""
    with ctx.sessions() as session:
        return _view(own(session, actor, campaign_id), _runs(session, campaign_id))


def every(ctx: Context, actor: Actor) -> list[CampaignView]:
    """The programme's campaigns with their runs, the newest first, MOST_SHOWN at most."""
    with ctx.sessions() as session:
        rows = session.scalars(
            select(Campaign)
            .where(Campaign.program_id == actor.program_id)
            .order_by(Campaign.created_at.desc(), Campaign.id.desc())
            .limit(MOST_SHOWN)
        ).all()
        runs: dict[UUID, list[RunView]] = {}
        query = select(CampaignRun).where(CampaignRun.campaign_id.in_([row.id for row in rows]))
        for run in session.scalars(query.order_by(CampaignRun.due_at.desc())):
            runs.setdefault(run.campaign_id, []).append(_run_view(run))
        return [_view(row, tuple(runs.get(row.id, ()))) for row in rows]


def delete(ctx: Context, actor: Actor, campaign_id: UUID) -> None:
    """Drop a draft that has never run. One that is gone already is no error. Raises Refused (campaign-started)."""
    with ctx.sessions.begin() as session:
        row = session.get(Campaign, campaign_id, with_for_update=True)
        if row is None or row.program_id != actor.program_id:
            return
        if row.state not in CHANGEABLE or _runs(session, row.id):
            raise Refused("campaign-started", N_("A campaign that has run stays, for its figures."), status=409)
        session.delete(row)
        record(session, actor, "campaign.deleted", row.id)


def own(session: Session, actor: Actor, campaign_id: UUID) -> Campaign:
    """The actor's campaign. Raises Refused (campaign-not-found)."""
    row = session.get(Campaign, campaign_id)
    if row is None or row.program_id != actor.program_id:
        raise _not_found()
    return row


def locked(session: Session, actor: Actor, campaign_id: UUID) -> Campaign:
    """The actor's campaign, which nobody else changes until this transaction ends. Raises Refused."""
    # No key of it changes: recipients that are being written do not wait.
    row = session.get(Campaign, campaign_id, with_for_update={"key_share": True}, populate_existing=True)
    if row is None or row.program_id != actor.program_id:
        raise _not_found()
    return row


def require_seen(row: Campaign, seen: int) -> None:
    """Raises Refused (campaign-changed) when somebody has changed it since."""
    if row.version != seen:
        words = N_("Somebody has changed this campaign meanwhile. Please look at it again.")
        raise Refused("campaign-changed", words, status=409)


def open_runs(session: Session, campaign_id: UUID) -> list[CampaignRun]:
    """The runs that are not over, the oldest first."""
    return list(
        session.scalars(
            select(CampaignRun)
            .where(CampaignRun.campaign_id == campaign_id, CampaignRun.phase.in_(OPEN_PHASES))
            .order_by(CampaignRun.due_at)
        )
    )


def values_of(row: Campaign) -> CampaignValues:
    return CampaignValues(**{name: getattr(row, name) for name in CampaignValues.__dataclass_fields__})


def _columns(session: Session, actor: Actor, values: CampaignValues) -> dict[str, object]:
    columns = {name: getattr(values, name) for name in CampaignValues.__dataclass_fields__}
    texts = {variant: dict(texts) for variant, texts in values.texts.items()}
    if values.benefit_type_id is not None:
        columns["benefit_name"] = _kind(session, actor, values.benefit_type_id).name
    return columns | {"tree": dict(values.tree), "texts": texts}


def _kind(session: Session, actor: Actor, type_id: UUID) -> RewardType:
    kind = session.get(RewardType, type_id)
    if kind is None or kind.program_id != actor.program_id:
        raise Refused("reward-type-not-found", N_("There is no such kind of reward."), field="benefit_type", status=404)
    return kind


def _not_found() -> Refused:
    return Refused("campaign-not-found", N_("There is no such campaign."), status=404)


def _runs(session: Session, campaign_id: UUID) -> tuple[RunView, ...]:
    query = select(CampaignRun).where(CampaignRun.campaign_id == campaign_id).order_by(CampaignRun.due_at.desc())
    return tuple(_run_view(run) for run in session.scalars(query))


def _run_view(run: CampaignRun) -> RunView:
    return RunView(run.id, run.phase, run.due_at, run.started_at, run.finished_at)


def _view(row: Campaign, runs: tuple[RunView, ...] = ()) -> CampaignView:
    return CampaignView(
        row.id,
        row.state,
        values_of(row),
        row.version,
        row.next_run_at,
        row.staff_id,
        row.approved_by,
        row.created_at,
        row.changed_at,
        runs,
    )
