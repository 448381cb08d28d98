"""What a programme has set for its visits: how they count, and what the nth of them gives."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.lookup import Compiled
from app.db.programs import Program
from app.db.rewards import RewardType
from app.db.visits import VisitReward, VisitRules
from app.i18n import N_
from app.loyalty.visits import Step, left_to
from app.services import refresh
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.programs import ProgramView
from app.services.recent import Recent

MOST_HOURS = 720
MOST_VISITS = 1000
MOST_REWARDS = 20


@dataclass(frozen=True, slots=True)
class Rules:
    """`hours_apart`: a visit sooner than that after another one does not count. `count_purchases`: a purchase is a
    visit, too. A programme that has set nothing counts none."""

    active: bool = False
    hours_apart: int = 12
    count_purchases: bool = False

    @property
    def apart(self) -> timedelta:
        return timedelta(hours=self.hours_apart)


@dataclass(frozen=True, slots=True)
class Goal:
    """A reward that visits give. `id` is the rule's."""

    id: UUID
    step: Step
    reward_type_id: UUID
    reward: str


@dataclass(frozen=True, slots=True)
class NextReward:
    """The reward that comes next, and how many visits are left to it."""

    reward: str
    visits_left: int


_COLUMNS = (VisitRules.active, VisitRules.hours_apart, VisitRules.count_purchases)
_OWN = Compiled(select(*_COLUMNS).where(VisitRules.program_id == bindparam("program_id")))
_goals: Recent[tuple[Goal, ...] | None] = Recent(256)


def within(session: Session, program_id: UUID) -> Rules:
    """The programme's rules, in the caller's transaction."""
    rows = _OWN.within(session, program_id=program_id)
    return Rules(*rows[0]) if rows else Rules()


def get(ctx: Context, program_id: UUID) -> Rules:
    with ctx.sessions() as session:
        return within(session, program_id)


def goals_within(session: Session, program_id: UUID) -> list[Goal]:
    """What visits give, the nearest goal first. Rewards that the programme has stopped are left out."""
    rows = session.execute(
        select(VisitReward, RewardType.name)
        .join(RewardType, RewardType.id == VisitReward.reward_type_id)
        .where(VisitReward.program_id == program_id, VisitReward.active, RewardType.active)
        .order_by(VisitReward.at_visit, VisitReward.id)
    )
    return [Goal(row.id, Step(row.at_visit, row.every), row.reward_type_id, name) for row, name in rows]


def goals(ctx: Context, program_id: UUID) -> list[Goal]:
    with ctx.sessions() as session:
        return goals_within(session, program_id)


def shown(ctx: Context, program: ProgramView) -> tuple[Goal, ...] | None:
    """The goals that cards show; None when the programme counts no visits. Asked once a version of the programme."""

    def read() -> tuple[Goal, ...] | None:
        with ctx.sessions() as session:
            if not within(session, program.id).active:
                return None
            return tuple(goals_within(session, program.id))

    return _goals.get((program.id, program.version), read)


def next_of(goals: Sequence[Goal], visits: int) -> NextReward | None:
    """Which of the goals comes next after so many visits."""
    coming = [(left, goal.reward) for goal in goals if (left := left_to(goal.step, visits)) is not None]
    if not coming:
        return None
    left, reward = min(coming, key=lambda pair: pair[0])
    return NextReward(reward, left)


def save(ctx: Context, actor: Actor, form: Mapping[str, str]) -> None:
    """Set the rules: ticks active and count_purchases ('on'), number hours_apart. Cards are made again when they show
    visits from now on, or no longer. Raises InvalidForm."""
    reader = FormReader(form)
    hours = reader.number("hours_apart", 0, MOST_HOURS)
    if reader.errors:
        raise InvalidForm(reader.errors)
    rules = Rules(form.get("active") == "on", hours or 0, form.get("count_purchases") == "on")
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        before, after = asdict(within(session, program.id)), asdict(rules)
        changed = sorted(name for name, value in after.items() if before[name] != value)
        if not changed:
            return
        row = insert(VisitRules).values(program_id=program.id, **after)
        session.execute(row.on_conflict_do_update(index_elements=["program_id"], set_=after))
        if "active" in changed:
            _renew_cards(session, program)
        record(session, actor, "visit-rules.changed", program.id, fields=changed)


def as_typed(rules: Rules) -> dict[str, str]:
    """The rules as the fields of their form."""
    return {
        "active": "on" if rules.active else "",
        "hours_apart": str(rules.hours_apart),
        "count_purchases": "on" if rules.count_purchases else "",
    }


def add_goal(ctx: Context, actor: Actor, form: Mapping[str, str]) -> None:
    """Have visits give a reward: number at_visit, tick every ('on'), and reward_type_id. Raises InvalidForm."""
    reader = FormReader(form)
    at_visit = reader.number("at_visit", 1, MOST_VISITS)
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        known = {str(type_id) for type_id, _name in types_within(session, program.id)}
        chosen = reader.choice("reward_type_id", known)
        if len(goals_within(session, program.id)) >= MOST_REWARDS:
            reader.wrong(
                "at_visit",
                "too-many-goals",
                N_("Visits give %(most)s kinds of rewards already. Remove one first."),
                {"most": MOST_REWARDS},
            )
        if reader.errors or at_visit is None:
            raise InvalidForm(reader.errors)
        goal = VisitReward(
            program_id=program.id, at_visit=at_visit, every=form.get("every") == "on", reward_type_id=UUID(chosen)
        )
        session.add(goal)
        session.flush()
        _renew_cards(session, program)
        record(session, actor, "visit-reward.added", goal.id)


def remove_goal(ctx: Context, actor: Actor, goal_id: UUID) -> None:
    """Visits do not give this any more. What they gave stays. Saying it twice is the same as saying it once."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        goal = session.get(VisitReward, goal_id)
        if goal is None or goal.program_id != program.id:
            raise Refused("goal-not-found", N_("There is no such reward for visits."), status=404)
        if goal.active:
            goal.active = False
            _renew_cards(session, program)
            record(session, actor, "visit-reward.removed", goal.id)


def types_within(session: Session, program_id: UUID) -> list[tuple[UUID, str]]:
    """The kinds of rewards that can be chosen, by name."""
    query = select(RewardType.id, RewardType.name).where(RewardType.program_id == program_id, RewardType.active)
    return [(type_id, name) for type_id, name in session.execute(query.order_by(RewardType.name))]


def types(ctx: Context, program_id: UUID) -> list[tuple[UUID, str]]:
    with ctx.sessions() as session:
        return types_within(session, program_id)


def _renew_cards(session: Session, program: Program) -> None:
    program.version += 1
    refresh.announce(session, program.id)
