"""A campaign before it is sent: who would get it, as whom it reads, what it costs, and when it is over."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock
from app.db.campaigns import Campaign, CampaignState, Medium, RecipientState, Repeat
from app.db.people import Member
from app.db.programs import Program
from app.loyalty.campaign_schedule import next_due
from app.loyalty.campaign_text import TextError
from app.loyalty.sending_time import ends_at
from app.services import campaign_choosing, campaign_planning, campaign_rendering, sms_rules
from app.services.campaigns import CampaignValues
from app.services.context import Actor, Context
from app.services.segments import patiently
from app.services.sms_by_hand import MOST_PARTS
from app.services.sms_rules import Rules
from sms.text import PartCount, count_parts, downgraded

READERS = 3
# So many messages are written out to learn what all of them cost; when there are no more, the sum is exact.
_MEASURED = 200


@dataclass(frozen=True, slots=True)
class Audience:
    """Who would get a campaign that is chosen now, or on the day of its next run.

    `chosen` are all whom the segment has; of them `sms` and `wallet` get it by this way, `holdout` are left out to
    compare, `skipped` (reason → members) get nothing. `languages`: of those who get it.
    """

    chosen: int
    sms: int
    wallet: int
    holdout: int
    skipped: Mapping[str, int]
    languages: Mapping[str, int]

    @property
    def reached(self) -> int:
        return self.sms + self.wallet


@dataclass(frozen=True, slots=True)
class Reading:
    """The campaign as one real member would read it. The phone number is whole: pages mask it."""

    name: str
    phone: str
    language: str
    medium: Medium
    variant: str
    text: str
    count: PartCount
    cost_micro: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """All that can be known before sending. Costs are in millionths of the currency's unit, by SMS only.

    `exact` when every message was counted, else parts and cost are estimated from some hundred. `ends_at` None: not
    within a year. `cap_days`: on so many days the daily cap lets it go out; 0 when it does not hold it back.
    """

    audience: Audience
    readers: list[Reading]
    parts: int
    most_parts: int
    cost_micro: int
    exact: bool
    begins_at: datetime
    ends_at: datetime | None
    cap_days: int = 0

    @property
    def too_long(self) -> bool:
        return self.most_parts > MOST_PARTS


@dataclass(frozen=True, slots=True)
class _Receiver:
    member_id: UUID
    medium: Medium
    variant: str
    name: str
    phone: str
    language: str


def audience(ctx: Context, actor: Actor, values: CampaignValues) -> Audience:
    """Who would get it. Raises Refused (segment-too-slow)."""
    now = clock.now()
    with ctx.sessions() as session:
        program = session.get_one(Program, actor.program_id)
        return _chosen(session, program, values, _first_run(session, program, values) or now, now)[0]


def outlook(ctx: Context, actor: Actor, values: CampaignValues) -> Outlook:
    """Who would get it, what three of them would read, what it costs, and when it is over. Raises Refused
    (segment-too-slow)."""
    now = clock.now()
    with ctx.sessions() as session:
        program = session.get_one(Program, actor.program_id)
        rules = sms_rules.of(session, program)
        begins = max(_first_run(session, program, values) or now, now)
        counted, receivers = _chosen(session, program, values, begins, now)
        readings = _readings(ctx, session, program, rules, values, receivers, now)
    measured = [one for one in readings if one.medium is Medium.SMS]
    parts = _scaled(sum(one.count.parts for one in measured), counted.sms, len(measured))
    cost = _scaled(sum(one.cost_micro for one in measured), counted.sms, len(measured))
    lasts = timedelta(seconds=float(parts / Fraction(ctx.settings.sms_parts_per_second)))
    over = ends_at(begins, lasts, rules.quiet) if counted.sms else begins
    cap_days = _cap_days(rules, cost)
    if over is not None and cap_days > 1:
        over = max(over, begins + timedelta(days=cap_days - 1))
    return Outlook(
        counted,
        _different(readings),
        parts,
        max((one.count.parts for one in measured), default=0),
        cost,
        counted.sms <= len(measured),
        begins,
        over,
        cap_days,
    )


def next_runs(ctx: Context, actor: Actor, values: CampaignValues, most: int = 3) -> list[datetime]:
    """The next runs of one that repeats, as it is written now; none of one that is sent once."""
    with ctx.sessions() as session:
        program = session.get_one(Program, actor.program_id)
        row = unsaved(program, values)
        due = None if row.repeat is Repeat.ONCE else campaign_planning.first_due(session, row)
        weekday = row.weekday if row.repeat is Repeat.WEEKLY else None
        found: list[datetime] = []
        while due is not None and row.at_time is not None and len(found) < most:
            if row.repeat_until is not None and due > row.repeat_until:
                break
            found.append(due)
            due = next_due(due, row.at_time, weekday, program.time_zone)
        return found


def _first_run(session: Session, program: Program, values: CampaignValues) -> datetime | None:
    return campaign_planning.first_due(session, unsaved(program, values))


def unsaved(program: Program, values: CampaignValues) -> Campaign:
    """The campaign as its row would be, which is never written."""
    columns = {name: getattr(values, name) for name in CampaignValues.__dataclass_fields__}
    return Campaign(program_id=program.id, state=CampaignState.DRAFT, version=0, **columns)


def _chosen(
    session: Session, program: Program, values: CampaignValues, due_at: datetime, now: datetime
) -> tuple[Audience, list[_Receiver]]:
    """Who would get it, and some of those who do, the same each time: in one statement, as choosing takes time."""
    content = campaign_planning.content_of(unsaved(program, values))
    rows = campaign_choosing.outlook(session, program, content, due_at, now).subquery("rows")
    found = (
        select(
            rows.c.member_id,
            rows.c.medium,
            rows.c.state,
            rows.c.reason,
            rows.c.variant,
            Member.name,
            Member.phone,
            Member.language,
        )
        .join(Member, Member.id == rows.c.member_id)
        .cte("found")
    )
    groups = (
        select(found.c.medium, found.c.state, found.c.reason, found.c.language, func.count().label("members"))
        .group_by(found.c.medium, found.c.state, found.c.reason, found.c.language)
        .subquery("groups")
    )
    some = (
        select(found)
        .where(found.c.state == RecipientState.PLANNED.value)
        .order_by(func.uuid_hash(found.c.member_id), found.c.member_id)
        .limit(_MEASURED)
        .subquery("some")
    )
    counts, receivers = patiently(
        session,
        select(
            select(func.jsonb_agg(func.to_jsonb(groups.table_valued()))).scalar_subquery(),
            select(func.jsonb_agg(func.to_jsonb(some.table_valued()))).scalar_subquery(),
        ),
    )
    return _audience(counts or []), [
        _Receiver(
            UUID(row["member_id"]), Medium(row["medium"]), row["variant"], row["name"], row["phone"], row["language"]
        )
        for row in receivers or []
    ]


def _audience(counts: Iterable[Mapping[str, object]]) -> Audience:
    total = {"sms": 0, "wallet": 0, "holdout": 0}
    skipped: dict[str, int] = {}
    languages: dict[str, int] = {}
    for row in counts:
        members = int(str(row["members"]))
        if row["state"] == RecipientState.SKIPPED:
            skipped[str(row["reason"])] = skipped.get(str(row["reason"]), 0) + members
            continue
        total["holdout" if row["state"] == RecipientState.HOLDOUT else str(row["medium"])] += members
        if row["state"] == RecipientState.PLANNED:
            languages[str(row["language"])] = languages.get(str(row["language"]), 0) + members
    chosen = sum(total.values()) + sum(skipped.values())
    return Audience(chosen, total["sms"], total["wallet"], total["holdout"], skipped, languages)


def _readings(
    ctx: Context,
    session: Session,
    program: Program,
    rules: Rules,
    values: CampaignValues,
    receivers: list[_Receiver],
    now: datetime,
) -> list[Reading]:
    content = campaign_planning.content_of(unsaved(program, values))
    facts = campaign_rendering.facts_of(ctx, session, program, [one.member_id for one in receivers], now)
    found = []
    for one in receivers:
        known = campaign_rendering.with_benefit(facts[one.member_id], content, program, now)
        token = "x" * campaign_rendering.TOKEN_LENGTH
        try:
            body = downgraded(campaign_rendering.body(content, known, token, one.variant))
        except TextError:
            return []
        count = count_parts(body)
        cost = rules.cost_micro(one.phone, count.parts)
        found.append(Reading(one.name, one.phone, one.language, one.medium, one.variant, body, count, cost))
    return found


def _different(readings: list[Reading]) -> list[Reading]:
    """Some readers, as different as there are: by way and text, by language, and whether there is a name."""
    found: list[Reading] = []
    for what in (
        lambda one: (one.medium, one.variant),
        lambda one: one.language,
        lambda one: bool(one.name),
        lambda one: one.phone,
    ):
        for one in readings:
            if len(found) < READERS and what(one) not in [what(other) for other in found]:
                found.append(one)
    return found


def _scaled(measured: int, all_of: int, of: int) -> int:
    return ceil(Fraction(measured * all_of, of)) if of else 0


def _cap_days(rules: Rules, cost_micro: int) -> int:
    """On how many days the daily cap lets so much go out; 0 when it is no matter."""
    cap = rules.daily_cap_micro
    return ceil(Fraction(cost_micro, cap)) if cap and cost_micro > cap else 0
