"""A programme's classes and how members are scored for them: shown, tried out, and changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.credit import CustomerClass, MemberClass, PolicyKind, RfmSettings
from app.db.programs import Program
from app.i18n import N_, translator
from app.loyalty.credit import day_of
from app.loyalty.rfm import ClassRanges, Policy, proposal
from app.loyalty.schedule import first_due, moment
from app.services import classing
from app.services.audit import record
from app.services.class_forms import ClassForm, class_as_typed, read_class
from app.services.classing import (
    ClassSize,
    Scoring,
    own_classes,
    own_settings,
    policy_of,
    ranges_of,
    rules_of,
    scoring_of,
)
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused

MOST_CLASSES = 20
PROPOSED = {
    "best": N_("Best"),
    "loyal": N_("Loyal"),
    "new": N_("New"),
    "at_risk": N_("At risk"),
    "lost": N_("Lost"),
}


@dataclass(frozen=True, slots=True)
class ClassView:
    """A class, its policy, and its size at the last classing. `idle` of its members bought nothing in the window;
    `average_minor` is what one of the others spent."""

    id: UUID
    name: str
    ranges: ClassRanges
    kind: PolicyKind
    policy: Policy
    spending_days: int
    valid_days: int
    every_days: int
    next_run_at: datetime | None
    members: int = 0
    idle: int = 0
    average_minor: int = 0


@dataclass(frozen=True, slots=True)
class ClassesView:
    """All classes of a programme, and the members of the last classing: `idle` of them bought nothing in the window,
    `unclassed` fit no class."""

    scoring: Scoring
    classed_at: datetime | None
    under_way: bool
    classes: list[ClassView]
    members: int
    idle: int
    unclassed: int


def overview(ctx: Context, program_id: UUID) -> ClassesView:
    """The classes with their sizes, as of the last classing."""
    with ctx.sessions.begin() as session:
        settings = own_settings(session, program_id)
        rows = own_classes(session, program_id)
        sizes = _sizes(session, program_id)
        views = [_view(row, *sizes.get(row.id, (0, 0, 0))) for row in rows]
        members = sum(size[0] for size in sizes.values())
        return ClassesView(
            scoring_of(settings),
            settings.classed_at,
            classing.under_way(session, program_id),
            views,
            members,
            sum(size[1] for size in sizes.values()),
            members - sum(view.members for view in views),
        )


def one(ctx: Context, actor: Actor, class_id: UUID) -> ClassView:
    """One class, without its size. Raises Refused: class-not-found."""
    with ctx.sessions() as session:
        return _view(own_class(session, actor, class_id))


def class_form(ctx: Context, actor: Actor, class_id: UUID) -> dict[str, str]:
    """A class as the fields of its form. Raises Refused: class-not-found."""
    with ctx.sessions() as session:
        program = session.get_one(Program, actor.program_id)
        row = own_class(session, actor, class_id)
        next_day = day_of(row.next_run_at, program.time_zone) if row.next_run_at else None
        return class_as_typed(row, next_day, program.currency)


def preview_class(ctx: Context, actor: Actor, form: Mapping[str, str], class_id: UUID | None = None) -> list[ClassSize]:
    """The sizes of all classes, were this one saved as typed. Raises InvalidForm, Refused (preview-too-long)."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        scoring = scoring_of(own_settings(session, program.id))
        typed = read_class(form, scoring.scores, program.currency).rules
        rows = own_classes(session, program.id)
        rules = [typed if row.id == class_id else rules_of(row) for row in rows]
        if class_id is None:
            rules.append(typed)
    return classing.preview(ctx, actor.program_id, scoring, rules)


def propose(ctx: Context, actor: Actor) -> None:
    """Make the five usual classes, named in the programme's language, without credit. Does nothing when the programme
    has classes already."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        settings = locked_settings(session, program.id)
        if own_classes(session, program.id):
            return
        text = translator(program.language)
        for position, (kind, ranges) in enumerate(proposal(settings.scores)):
            row = CustomerClass(id=uuid7(), program_id=program.id, position=position, name=text.gettext(PROPOSED[kind]))
            set_ranges(row, ranges)
            session.add(row)
        record(session, actor, "classes.proposed", program.id)
        classing.start(session, program.id)


def save(ctx: Context, actor: Actor, form: Mapping[str, str], class_id: UUID | None = None) -> UUID:
    """Add a class after the others, or change one. Raises InvalidForm, Refused: class-not-found."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        settings = locked_settings(session, program.id)
        typed = read_class(form, settings.scores, program.currency)
        rows = own_classes(session, program.id)
        row = own_class(session, actor, class_id) if class_id else _new(program.id, rows)
        if any(other.name == typed.name and other is not row for other in rows):
            raise InvalidForm({"name": Refused("name-taken", N_("Another class has this name."), field="name")})
        moved = class_id is None or ranges_of(row) != typed.ranges
        _set(row, typed, _next_run(typed, program))
        session.add(row)
        record(session, actor, "class.saved", row.id)
        if moved:
            classing.start(session, program.id)
        return row.id


def _new(program_id: UUID, rows: list[CustomerClass]) -> CustomerClass:
    if len(rows) >= MOST_CLASSES:
        message = N_("There can be %(most)s classes. Remove one first.")
        raise InvalidForm({"form": Refused("too-many-classes", message, {"most": MOST_CLASSES})})
    return CustomerClass(id=uuid7(), program_id=program_id, position=rows[-1].position + 1 if rows else 0)


def _next_run(typed: ClassForm, program: Program) -> datetime | None:
    """When credit is given next. Raises InvalidForm for a moment that is over."""
    if not typed.repeats:
        return None
    now = clock.now()
    if typed.next_day is None:
        return first_due(now, typed.at_hour, program.time_zone)
    due = moment(typed.next_day, typed.at_hour, program.time_zone)
    if due <= now:
        message = N_("This moment is over. Choose a later day, or leave it empty.")
        raise InvalidForm({"next_day": Refused("day-too-early", message, field="next_day")})
    return due


def _set(row: CustomerClass, typed: ClassForm, next_run_at: datetime | None) -> None:
    set_ranges(row, typed.ranges)
    row.name, row.policy = typed.name, typed.kind
    row.amount_minor, row.share_bp = typed.policy.fixed_minor, typed.policy.share_bp
    row.smallest_minor, row.cap_minor = typed.policy.smallest_minor, typed.policy.cap_minor
    row.spending_days, row.valid_days = typed.spending_days, typed.valid_days
    row.every_days, row.at_hour, row.next_run_at = typed.every_days, typed.at_hour, next_run_at


def set_ranges(row: CustomerClass, ranges: ClassRanges) -> None:
    row.recency_min, row.recency_max = ranges.recency
    row.frequency_min, row.frequency_max = ranges.frequency
    row.money_min, row.money_max = ranges.money


def move_up(ctx: Context, actor: Actor, class_id: UUID) -> None:
    """Have the class tried before the one that is before it now. Raises Refused: class-not-found."""
    with ctx.sessions.begin() as session:
        locked_settings(session, actor.program_id)
        row = own_class(session, actor, class_id)
        rows = own_classes(session, actor.program_id)
        place = rows.index(row)
        if place:
            rows[place - 1], rows[place] = rows[place], rows[place - 1]
            for position, each in enumerate(rows):
                each.position = position
            record(session, actor, "class.moved", row.id)
            classing.start(session, actor.program_id)


def remove(ctx: Context, actor: Actor, class_id: UUID) -> None:
    """Remove a class. Its members are classed anew; a giving that is under way stops; what was given stays."""
    with ctx.sessions.begin() as session:
        locked_settings(session, actor.program_id)
        session.delete(own_class(session, actor, class_id))
        record(session, actor, "class.removed", class_id)
        classing.start(session, actor.program_id)


def own_class(session: Session, actor: Actor, class_id: UUID) -> CustomerClass:
    """The class, for the caller's transaction. Raises Refused for a stranger's: class-not-found."""
    row = session.get(CustomerClass, class_id)
    if row is None or row.program_id != actor.program_id:
        raise Refused("class-not-found", N_("There is no such class."), status=404)
    return row


def locked_settings(session: Session, program_id: UUID) -> RfmSettings:
    """The settings, and with them the classes, are changed by one at a time."""
    own_settings(session, program_id)
    return session.get_one(RfmSettings, program_id, with_for_update=True, populate_existing=True)


def _sizes(session: Session, program_id: UUID) -> dict[UUID | None, tuple[int, int, int]]:
    """Class → members, those of them without purchases, and what the others spent."""
    rows = session.execute(
        select(
            MemberClass.class_id,
            func.count(),
            func.count().filter(MemberClass.purchases == 0),
            cast(func.coalesce(func.sum(MemberClass.spent_minor), 0), BigInteger),
        )
        .where(MemberClass.program_id == program_id)
        .group_by(MemberClass.class_id)
    )
    return {class_id: (members, idle, spent) for class_id, members, idle, spent in rows}


def _view(row: CustomerClass, members: int = 0, idle: int = 0, spent_minor: int = 0) -> ClassView:
    return ClassView(
        row.id,
        row.name,
        ranges_of(row),
        row.policy,
        policy_of(row),
        row.spending_days,
        row.valid_days,
        row.every_days,
        row.next_run_at,
        members,
        idle,
        classing.average(spent_minor, members - idle),
    )
