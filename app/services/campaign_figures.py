"""What came of a campaign: of the whole, of each run, of each text, and against those who were held out to compare."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select

from app import clock
from app.db.campaigns import CampaignRecipient, CampaignState, RecipientState, RunPhase
from app.db.programs import Program
from app.loyalty.shares import Difference, Verdict, compare
from app.services import campaign_rules, campaigns, sms_rules
from app.services.campaign_counting import Scope
from app.services.campaign_counts import HOLDOUT, Counts, Part, total
from app.services.campaigns import CampaignView, RunView
from app.services.context import Actor, Context
from app.services.kept_counts import counted

MOST_COMPARED = 50
TEXTS = ("a", "b")


@dataclass(frozen=True, slots=True)
class Winner:
    """Which of two texts did better. It is the one that more people per 100 opened the link of, or, without a link,
    came after; as soon as the difference is too large for chance. `text` is '' until then.
    """

    text: str
    by_clicks: bool
    difference: Difference  # of 'a' to 'b'


@dataclass(frozen=True, slots=True)
class RunFigures:
    run: RunView
    counts: Counts


@dataclass(frozen=True, slots=True)
class Figures:
    """A campaign's figures. `groups` holds 'a', 'b' and HOLDOUT, if somebody is in them. `against`: by how many per 100
    more people came than of those held out. `counting_until`: visits count until then; None when nobody has got it, or
    the time is over.
    """

    campaign: CampaignView
    currency: str
    time_zone: str
    visit_days: int
    counts: Counts
    groups: Mapping[str, Counts]
    runs: tuple[RunFigures, ...]
    against: Difference | None
    winner: Winner | None
    counting_until: datetime | None
    counted_at: datetime

    @property
    def received(self) -> Counts:
        """All who were not held out."""
        return total(counts for group, counts in self.groups.items() if group != HOLDOUT)


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of the comparison of campaigns."""

    campaign_id: UUID
    name: str
    state: CampaignState
    started_at: datetime
    received: Counts
    held_out: Counts

    @property
    def against(self) -> Difference:
        return compare(self.received.visits, self.held_out.visits)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the newest run is: so many of those who are to get it have got it."""

    done: int
    of: int
    phase: RunPhase | None
    state: CampaignState

    @property
    def moving(self) -> bool:
        return self.phase in campaigns.OPEN_PHASES

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means all."""
        return 100 * self.done // self.of if self.of else 0


def figures(ctx: Context, actor: Actor, campaign_id: UUID) -> Figures:
    """Raises Refused (campaign-not-found)."""
    campaign = campaigns.get(ctx, actor, campaign_id)
    visit_days = campaign_rules.get(ctx, actor.program_id).visit_days
    recipient = CampaignRecipient
    chosen = recipient.campaign_id == campaign_id
    parts, counted_at = counted(ctx, str(campaign_id), Scope(actor.program_id, chosen, recipient.run_id, visit_days))
    with ctx.sessions() as session:
        program = session.get_one(Program, actor.program_id)
        currency, time_zone = program.currency, program.time_zone
    groups = {group: counts for group in (*TEXTS, HOLDOUT) if (counts := _of(parts, group)).chosen}
    received = total(counts for group, counts in groups.items() if group != HOLDOUT)
    whole = total(groups.values())
    return Figures(
        campaign=campaign,
        currency=currency,
        time_zone=time_zone,
        visit_days=visit_days,
        counts=whole,
        groups=groups,
        runs=tuple(
            RunFigures(run, total(counts for part, counts in parts.items() if part.of == run.id))
            for run in campaign.runs
        ),
        against=compare(received.visits, groups[HOLDOUT].visits) if HOLDOUT in groups else None,
        winner=_winner(groups, bool(campaign.values.link)),
        counting_until=_counting_until(whole, visit_days),
        counted_at=counted_at,
    )


def compared(ctx: Context, actor: Actor) -> list[Compared]:
    """The campaigns that have begun, the newest first, MOST_COMPARED at most."""
    visit_days = campaign_rules.get(ctx, actor.program_id).visit_days
    begun = [
        (campaign, started)
        for campaign in campaigns.every(ctx, actor)
        if (started := min((run.started_at for run in campaign.runs if run.started_at), default=None))
    ][:MOST_COMPARED]
    chosen = CampaignRecipient.campaign_id.in_([campaign.id for campaign, _ in begun])
    scope = Scope(actor.program_id, chosen, CampaignRecipient.campaign_id, visit_days)
    parts, _ = counted(ctx, f"compared-{len(begun)}-{begun[0][0].id if begun else ''}", scope)
    return [
        Compared(
            campaign.id,
            campaign.values.name,
            campaign.state,
            started,
            total(parts.get(Part(campaign.id, text), Counts()) for text in TEXTS),
            parts.get(Part(campaign.id, HOLDOUT), Counts()),
        )
        for campaign, started in begun
    ]


def progress(ctx: Context, actor: Actor, campaign_id: UUID) -> Progress:
    """Quick enough to be asked every few seconds. Raises Refused (campaign-not-found)."""
    campaign = campaigns.get(ctx, actor, campaign_id)
    run = next((run for run in campaign.runs if run.started_at), None)
    if run is None:
        return Progress(0, 0, campaign.runs[0].phase if campaign.runs else None, campaign.state)
    recipient = CampaignRecipient
    handed = recipient.state == RecipientState.HANDED
    planned = recipient.state == RecipientState.PLANNED
    query = select(func.count().filter(handed), func.count().filter(planned)).where(recipient.run_id == run.id)
    with ctx.sessions() as session:
        done, left = session.execute(query).one()
    return Progress(done, done + left, run.phase, campaign.state)


def quiet_until(ctx: Context, actor: Actor, campaign: CampaignView) -> datetime | None:
    """When the quiet hours end that hold back what is being sent right now. None: nothing is held back by them."""
    if campaign.state is not CampaignState.RUNNING or all(run.phase is not RunPhase.SENDING for run in campaign.runs):
        return None
    with ctx.sessions() as session:
        program = session.get_one(Program, actor.program_id)
        return sms_rules.of(session, program).quiet.held_until(clock.now())


def _of(parts: Mapping[Part, Counts], group: str) -> Counts:
    return total(counts for part, counts in parts.items() if part.group == group)


def _winner(groups: Mapping[str, Counts], by_clicks: bool) -> Winner | None:
    if not all(text in groups and groups[text].handed for text in TEXTS):
        return None
    a, b = (groups[text] for text in TEXTS)
    difference = compare(a.clickers, b.clickers) if by_clicks else compare(a.visits, b.visits)
    text = {Verdict.MORE: "a", Verdict.FEWER: "b"}.get(difference.verdict, "")
    return Winner(text, by_clicks, difference)


def _counting_until(counts: Counts, visit_days: int) -> datetime | None:
    if counts.last_at is None:
        return None
    end = counts.last_at + timedelta(days=visit_days)
    return end if end > clock.now() else None
