"""Segments of a programme: how many members one has and who, for example; and keeping them by name.

A campaign keeps a copy of its tree: changing or removing a segment changes no campaign.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.errors import QueryCanceled
from sqlalchemy import Executable, Select, func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.campaigns import Campaign, PhoneList, Segment
from app.db.credit import CustomerClass
from app.db.people import Member
from app.db.programs import Location, Program
from app.db.tiers import MemberGroup, Tier
from app.i18n import N_
from app.loyalty.segments import Group, leaves, read, written
from app.services import join_rules, segment_forms, segment_sql
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.segment_forms import Draft, Names, Options

SAMPLE = 5
_LONGEST_NAME = 60
_MOST_CAMPAIGNS = 200  # to choose from; older ones are seldom asked for
_PATIENCE_MILLISECONDS = 5_000
_Named = CustomerClass | PhoneList | Location | Campaign | Tier | MemberGroup


@dataclass(frozen=True, slots=True)
class SampleMember:
    """Somebody whom a segment has. The phone number is whole: pages mask it for who may not see it."""

    id: UUID
    name: str
    phone: str
    language: str


@dataclass(frozen=True, slots=True)
class Look:
    """How many members a segment has, and some of them."""

    members: int
    sample: list[SampleMember]


@dataclass(frozen=True, slots=True)
class SegmentView:
    id: UUID
    name: str
    tree: Group
    conditions: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Choices:
    """What conditions can name: classes, lists, locations, campaigns, tiers and groups by id, answers to the
    programme's own questions; channels, when they are asked for."""

    names: Names
    channels: Options
    currency: str


def choices(ctx: Context, actor: Actor, draft: Draft) -> Choices:
    """What this draft's conditions can be about."""
    with ctx.sessions() as session:
        names = _names(session, actor.program_id)
        currency = session.get_one(Program, actor.program_id).currency
        channels: Options = []
        if any(one.kind == "via" for one in draft.every()):
            own = (Member.program_id == actor.program_id, Member.via != "")
            via = select(Member.via).where(*own).distinct().order_by(Member.via)
            channels = [(name, name) for name in session.scalars(via)]
        return Choices(names, channels, currency)


def _names(session: Session, program_id: UUID) -> Names:
    found: dict[str, Select[UUID, str]] = {
        "classes": _named(CustomerClass, program_id).order_by(CustomerClass.position),
        "lists": _named(PhoneList, program_id).order_by(PhoneList.created_at.desc()),
        "locations": _named(Location, program_id).order_by(Location.name),
        "campaigns": _named(Campaign, program_id).order_by(Campaign.created_at.desc()).limit(_MOST_CAMPAIGNS),
        "tiers": _named(Tier, program_id).where(~Tier.removed).order_by(Tier.needs),
        "groups": _named(MemberGroup, program_id).order_by(MemberGroup.name),
    }
    names = {name: [(str(row.id), row.name) for row in session.execute(query)] for name, query in found.items()}
    return names | {"answers": _answers(session, session.get_one(Program, program_id))}


def _answers(session: Session, program: Program) -> Options:
    """Each choice of each question, also those that are offered no more: members may have chosen them."""
    return [
        (f"{question.id}.{number}", f"{question.text(program.language)} – {words}")
        for question in join_rules.of(session, program).questions
        for number, words in question.every(program.language)
    ]


def _named(kind: type[_Named], program_id: UUID) -> Select[UUID, str]:
    return select(kind.id, kind.name).where(kind.program_id == program_id)


def from_form(ctx: Context, actor: Actor, form: Mapping[str, str]) -> Group:
    """The segment that was built in a form. Raises InvalidForm."""
    with ctx.sessions() as session:
        return _from_form(session, actor, form)


def _from_form(session: Session, actor: Actor, form: Mapping[str, str]) -> Group:
    currency = session.get_one(Program, actor.program_id).currency
    return segment_forms.tree_of(segment_forms.draft(form), _names(session, actor.program_id), currency)


def count(ctx: Context, actor: Actor, tree: Group) -> int:
    """How many members the segment has now. Raises Refused when that takes more than 5 s to find out."""
    with ctx.sessions() as session:
        chosen = _compiled(session, actor, tree).subquery("chosen")
        (members,) = patiently(session, select(func.count()).select_from(chosen))
        return int(members)


def look(ctx: Context, actor: Actor, tree: Group) -> Look:
    """How many members the segment has now, and the same few of them each time. Raises Refused like `count`."""
    with ctx.sessions() as session:
        return _look(session, _compiled(session, actor, tree))


def sample(ctx: Context, actor: Actor, tree: Group, most: int = SAMPLE) -> list[SampleMember]:
    """Some of the segment's members, the same each time. Raises Refused like `count`."""
    with ctx.sessions() as session:
        return _look(session, _compiled(session, actor, tree), most).sample


def _compiled(session: Session, actor: Actor, tree: Group) -> Select[UUID]:
    return segment_sql.compiled(tree, session.get_one(Program, actor.program_id), clock.now())


def _look(session: Session, chosen: Select[UUID], most: int = SAMPLE) -> Look:
    """In one statement: to choose is what takes time."""
    found = chosen.cte("chosen")
    some = select(found.c.id).order_by(func.uuid_hash(found.c.id), found.c.id).limit(most)  # in no order of theirs
    members, ids = patiently(
        session, select(select(func.count()).select_from(found).scalar_subquery(), func.array(some.scalar_subquery()))
    )
    rows = session.execute(select(Member.id, Member.name, Member.phone, Member.language).where(Member.id.in_(ids)))
    shown = {row.id: SampleMember(row.id, row.name, row.phone, row.language) for row in rows}
    return Look(members, [shown[member_id] for member_id in ids if member_id in shown])


def patiently(session: Session, query: Executable) -> Any:
    """The query's one row, for somebody who waits. Raises Refused when it is not there soon."""
    for setting in (*segment_sql.SETTINGS, f"SET LOCAL statement_timeout = {_PATIENCE_MILLISECONDS}"):
        session.execute(text(setting))
    try:
        return session.execute(query).one()
    except OperationalError as error:
        if not isinstance(error.orig, QueryCanceled):
            raise
        raise Refused(
            "segment-too-slow",
            N_("There is too much to count while you wait. Ask for fewer days, or go on without the number."),
            status=503,
        ) from None


def every(ctx: Context, actor: Actor) -> list[SegmentView]:
    """The programme's segments by name."""
    with ctx.sessions() as session:
        rows = select(Segment).where(Segment.program_id == actor.program_id).order_by(Segment.name)
        return [_view(row) for row in session.scalars(rows)]


def get(ctx: Context, actor: Actor, segment_id: UUID) -> SegmentView:
    with ctx.sessions() as session:
        return _view(_own(session, actor, segment_id))


def save(ctx: Context, actor: Actor, form: Mapping[str, str], segment_id: UUID | None = None) -> UUID:
    """Keep what was built, under the form's `name`. Returns the segment's id. Raises InvalidForm."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        reader = FormReader(form)
        name = reader.line("name", _LONGEST_NAME)
        try:
            tree = _from_form(session, actor, form)
        except InvalidForm as invalid:
            raise InvalidForm(reader.errors | invalid.errors) from None
        if reader.errors:
            raise InvalidForm(reader.errors)
        row = _own(session, actor, segment_id) if segment_id else _new(session, actor, now)
        row.name, row.tree, row.changed_at = name, written(tree), now
        try:
            session.flush()
        except IntegrityError:
            taken = Refused("name-taken", N_("Another segment has this name."), field="name")
            raise InvalidForm({"name": taken}) from None
        record(session, actor, "segment.changed" if segment_id else "segment.made", row.id)
        return row.id


def remove(ctx: Context, actor: Actor, segment_id: UUID) -> None:
    """Forget a segment. Campaigns that were made with it keep their copy."""
    with ctx.sessions.begin() as session:
        session.delete(_own(session, actor, segment_id))
        record(session, actor, "segment.removed", segment_id)


def _new(session: Session, actor: Actor, now: datetime) -> Segment:
    row = Segment(id=uuid7(), program_id=actor.program_id, staff_id=actor.staff_id, created_at=now)
    session.add(row)
    return row


def _own(session: Session, actor: Actor, segment_id: UUID) -> Segment:
    row = session.get(Segment, segment_id)
    if row is None or row.program_id != actor.program_id:
        raise Refused("segment-not-found", N_("There is no such segment."), status=404)
    return row


def _view(row: Segment) -> SegmentView:
    tree = read(row.tree)
    return SegmentView(row.id, row.name, tree, sum(1 for _ in leaves(tree)), row.changed_at)
