"""Other rates than the usual one, and what thresholds give: added and stopped in the office."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.bonus import BonusKind, BonusRate, BonusThreshold
from app.db.programs import Location, Program
from app.db.rewards import RewardType
from app.db.tiers import Tier
from app.i18n import N_
from app.services import bonus_rules
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader

MOST_EACH = 50  # rates, and thresholds: a till looks through them at every purchase
_MOST_THRESHOLD = 999_999_999


@dataclass(frozen=True, slots=True)
class RateView:
    """Another rate, in the units of BonusRate: for whom, where and when. '' and None: that does not matter."""

    id: UUID
    name: str
    rate: int
    tier: str
    location: str
    weekdays: tuple[int, ...]
    first_day: date | None
    last_day: date | None
    active: bool


@dataclass(frozen=True, slots=True)
class ThresholdView:
    """`threshold` and `extra` are counted as the programme's bonus is; `reward` is '' when none is given."""

    id: UUID
    threshold: int
    every: bool
    extra: int
    reward: str
    active: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """What a rate may be for, and what a threshold may give: (id, name)."""

    tiers: list[tuple[UUID, str]]
    locations: list[tuple[UUID, str]]
    rewards: list[tuple[UUID, str]]


def rates(ctx: Context, program_id: UUID) -> list[RateView]:
    """Those that count first."""
    query = (
        select(BonusRate, Tier.name, Location.name)
        .outerjoin(Tier, Tier.id == BonusRate.tier_id)
        .outerjoin(Location, Location.id == BonusRate.location_id)
        .where(BonusRate.program_id == program_id)
        .order_by(BonusRate.active.desc(), BonusRate.rate.desc(), BonusRate.id)
    )
    with ctx.sessions() as session:
        return [
            RateView(
                row.id,
                row.name,
                row.rate,
                tier or "",
                location or "",
                tuple(row.weekdays),
                row.first_day,
                row.last_day,
                row.active,
            )
            for row, tier, location in session.execute(query)
        ]


def thresholds(ctx: Context, program_id: UUID) -> list[ThresholdView]:
    """Those that count first, the lowest of them first."""
    query = (
        select(BonusThreshold, RewardType.name)
        .outerjoin(RewardType, RewardType.id == BonusThreshold.reward_type_id)
        .where(BonusThreshold.program_id == program_id)
        .order_by(BonusThreshold.active.desc(), BonusThreshold.threshold, BonusThreshold.id)
    )
    with ctx.sessions() as session:
        return [
            ThresholdView(row.id, row.threshold, row.every, row.extra, reward or "", row.active)
            for row, reward in session.execute(query)
        ]


def choices(ctx: Context, program_id: UUID) -> Choices:
    """What the forms offer: tiers, open locations, and rewards that are still given."""
    with ctx.sessions() as session:
        tiers = select(Tier.id, Tier.name).where(Tier.program_id == program_id).order_by(Tier.position)
        places = select(Location.id, Location.name).where(Location.program_id == program_id, Location.active)
        kinds = select(RewardType.id, RewardType.name).where(RewardType.program_id == program_id, RewardType.active)
        return Choices(
            [(id, name) for id, name in session.execute(tiers)],
            [(id, name) for id, name in session.execute(places.order_by(Location.name))],
            [(id, name) for id, name in session.execute(kinds.order_by(RewardType.name))],
        )


def add_rate(ctx: Context, actor: Actor, form: Mapping[str, str]) -> None:
    """Add a rate: name, rate (percent, or points), tier, location, first_day, last_day, and weekday_0 (Monday) to
    weekday_6 ('on'). Raises InvalidForm."""
    reader, offered = FormReader(form), choices(ctx, actor.program_id)
    with ctx.sessions.begin() as session:
        program = _with_bonus(session, actor)
        rules = bonus_rules.within(session, program.id)
        row = BonusRate(
            program_id=program.id,
            name=reader.line("name", 60, optional=True),
            rate=bonus_rules.read_rate(reader, "rate", rules.kind),
            tier_id=_choice(reader, "tier", offered.tiers),
            location_id=_choice(reader, "location", offered.locations),
            weekdays=[day for day in range(7) if form.get(f"weekday_{day}") == "on"],
            first_day=reader.day("first_day"),
            last_day=reader.day("last_day"),
        )
        if row.first_day and row.last_day and row.last_day < row.first_day:
            reader.wrong("last_day", "ends-before", N_("The last day comes before the first. Swap them."))
        if rules.rate >= row.rate and "rate" not in reader.errors:
            reader.wrong("rate", "rate-too-low", N_("The highest rate counts: enter more than the usual rate."))
        if not any((row.tier_id, row.location_id, row.weekdays, row.first_day, row.last_day)):
            reader.wrong("form", "rate-for-all", N_("Say for whom, where or when. For all, change the rule above."))
        _add(session, actor, reader, row, "bonus-rate.added")


def add_threshold(ctx: Context, actor: Actor, form: Mapping[str, str]) -> None:
    """Add a threshold: threshold and extra (amounts, or points), every ('on'), reward. Raises InvalidForm."""
    reader, offered = FormReader(form), choices(ctx, actor.program_id)
    with ctx.sessions.begin() as session:
        program = _with_bonus(session, actor)
        rules = bonus_rules.within(session, program.id)
        row = BonusThreshold(
            program_id=program.id,
            threshold=_much(reader, "threshold", program, rules.kind),
            every=form.get("every") == "on",
            extra=_much(reader, "extra", program, rules.kind),
            reward_type_id=_choice(reader, "reward", offered.rewards),
        )
        if not row.threshold and "threshold" not in reader.errors:
            reader.wrong("threshold", "required", N_("Please fill this in."))
        if not row.extra and row.reward_type_id is None and not reader.errors:
            reader.wrong("extra", "gives-nothing", N_("Choose a reward, or say how much more is given."))
        _add(session, actor, reader, row, "bonus-threshold.added")


def set_rate_active(ctx: Context, actor: Actor, rate_id: UUID, active: bool) -> None:
    """Stop a rate, or let it count again. Raises Refused: rate-not-found."""
    with ctx.sessions.begin() as session:
        _set_active(session, actor, session.get(BonusRate, rate_id), active, "bonus-rate")


def set_threshold_active(ctx: Context, actor: Actor, threshold_id: UUID, active: bool) -> None:
    """Stop a threshold, or let it give again. Raises Refused: threshold-not-found."""
    with ctx.sessions.begin() as session:
        _set_active(session, actor, session.get(BonusThreshold, threshold_id), active, "bonus-threshold")


def _set_active(
    session: Session, actor: Actor, row: BonusRate | BonusThreshold | None, active: bool, what: str
) -> None:
    if row is None or row.program_id != actor.program_id:
        kind = "rate-not-found" if what == "bonus-rate" else "threshold-not-found"
        raise Refused(kind, N_("This is not in the list any more. Reload the page."), status=404)
    row.active = active
    record(session, actor, f"{what}.{'started' if active else 'stopped'}", row.id)


def _add(session: Session, actor: Actor, reader: FormReader, row: BonusRate | BonusThreshold, action: str) -> None:
    kind = type(row)
    listed = session.scalars(select(kind.id).where(kind.program_id == actor.program_id).limit(MOST_EACH)).all()
    if len(listed) == MOST_EACH:
        reader.wrong("form", "too-many", N_("There are %(most)s in the list, and no more fit."), {"most": MOST_EACH})
    if reader.errors:
        raise InvalidForm(reader.errors)
    session.add(row)
    session.flush()
    record(session, actor, action, row.id)


def _with_bonus(session: Session, actor: Actor) -> Program:
    program = session.get_one(Program, actor.program_id)
    if bonus_rules.within(session, program.id).kind is BonusKind.OFF:
        raise Refused("no-bonus", N_("This programme gives no bonus. Choose first what it is."), status=409)
    return program


def _much(reader: FormReader, name: str, program: Program, kind: BonusKind) -> int:
    if kind is BonusKind.MONEY:
        return reader.amount(name, program.currency)
    return reader.number(name, 0, _MOST_THRESHOLD, optional=True) or 0


def _choice(reader: FormReader, name: str, offered: list[tuple[UUID, str]]) -> UUID | None:
    chosen = reader.form.get(name, "")
    if not chosen:
        return None
    reader.choice(name, {str(id) for id, _ in offered})
    return next((id for id, _ in offered if str(id) == chosen), None)
