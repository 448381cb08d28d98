"""Groups of members: by hand, one by one or by file, with prices of their own."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.tiers import GroupMember, MemberGroup
from app.i18n import N_
from app.services import phone_files, refresh, segment_users
from app.services.audit import record
from app.services.card_news import announce
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.group_views import group_view, prices_of
from app.services.members import by_card_or_phone, fetch
from app.services.phone_files import Report
from app.services.tier_views import GroupView

AT_A_TIME = 50
_LONGEST_NAME, _LONGEST_DETAILS = 60, 300
_SLICE = 2000  # rows of a file that are in memory at a time


@dataclass(frozen=True, slots=True)
class GroupSize:
    """A group and how many members it has, whatever has become of them."""

    group: GroupView
    members: int


@dataclass(frozen=True, slots=True)
class GroupMemberView:
    """Somebody in a group. The number is whole: pages mask it for who may not see it."""

    id: UUID
    name: str
    phone: str
    status: MemberStatus


def every(ctx: Context, actor: Actor) -> list[GroupSize]:
    """The programme's groups by name."""
    counted = select(func.count()).where(GroupMember.group_id == MemberGroup.id).correlate(MemberGroup)
    query = select(MemberGroup, counted.scalar_subquery()).where(MemberGroup.program_id == actor.program_id)
    with ctx.sessions() as session:
        rows = session.execute(query.order_by(MemberGroup.name)).all()
        prices = prices_of(session, [row.id for row, _ in rows])
        return [GroupSize(group_view(row, prices), members) for row, members in rows]


def one(ctx: Context, actor: Actor, group_id: UUID) -> GroupView:
    """Raises Refused: group-not-found."""
    with ctx.sessions() as session:
        row = own(session, actor, group_id)
        return group_view(row, prices_of(session, [row.id]))


def people(
    ctx: Context, actor: Actor, group_id: UUID, after: UUID | None = None
) -> tuple[list[GroupMemberView], UUID | None]:
    """Up to AT_A_TIME members of the group, those who joined the programme first, first, after this one; and after
    whom the next begin, None at the end. Raises Refused: group-not-found."""
    query = select(Member.id, Member.name, Member.phone, Member.status).join(
        GroupMember, GroupMember.member_id == Member.id
    )
    with ctx.sessions() as session:
        own(session, actor, group_id)
        query = query.where(GroupMember.group_id == group_id).order_by(GroupMember.member_id).limit(AT_A_TIME + 1)
        if after is not None:
            query = query.where(GroupMember.member_id > after)
        found = [GroupMemberView(*row) for row in session.execute(query)]
    more = found[AT_A_TIME - 1].id if len(found) > AT_A_TIME else None
    return found[:AT_A_TIME], more


def save(ctx: Context, actor: Actor, form: Mapping[str, str], group_id: UUID | None = None) -> UUID:
    """Make a group, or change one: `name`, `details`, `on_card` ('on').

    Returns its id. Raises InvalidForm, Refused: group-not-found.
    """
    with ctx.sessions.begin() as session:
        reader = FormReader(form)
        name = reader.line("name", _LONGEST_NAME)
        details = reader.line("details", _LONGEST_DETAILS, optional=True)
        if reader.errors:
            raise InvalidForm(reader.errors)
        if group_id is None:
            row = MemberGroup(id=uuid7(), program_id=actor.program_id, on_card=False, created_at=clock.now())
            session.add(row)
        else:
            row = own(session, actor, group_id)
        was_shown = row.on_card
        row.name, row.details, row.on_card = name, details, form.get("on_card") == "on"
        try:
            session.flush()
        except IntegrityError:
            taken = Refused("name-taken", N_("Another group has this name."), field="name")
            raise InvalidForm({"name": taken}) from None
        if group_id is not None and (was_shown or row.on_card):
            refresh.announce(session, actor.program_id)
        record(session, actor, "group.changed" if group_id else "group.made", row.id)
        return row.id


def remove(ctx: Context, actor: Actor, group_id: UUID) -> None:
    """Forget a group for which no segment and no campaign asks. Raises Refused: group-not-found, group-in-use."""
    with ctx.sessions.begin() as session:
        row = own(session, actor, group_id)
        if (user := segment_users.user(session, actor.program_id, "group_id", group_id)) is not None:
            message = N_("“%(name)s” asks for this group. Change that first.")
            raise Refused("group-in-use", message, {"name": user}, status=409)
        if row.on_card:
            refresh.announce(session, actor.program_id)
        session.delete(row)
        record(session, actor, "group.removed", group_id)


def add(ctx: Context, actor: Actor, group_id: UUID, typed: str) -> UUID:
    """Put the member with this phone number or card into the group; return who it is. Twice is the same as once.

    Raises Refused: group-not-found, member-not-found, unreadable-code.
    """
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        return _put(session, program, actor, group_id, by_card_or_phone(program, typed))


def put(ctx: Context, actor: Actor, group_id: UUID, member_id: UUID) -> None:
    """`add` for a member who is known. Raises Refused: group-not-found, member-not-found."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        _put(session, program, actor, group_id, Member.id == member_id)


def _put(session: Session, program: Program, actor: Actor, group_id: UUID, who: ColumnElement[bool]) -> UUID:
    row = own(session, actor, group_id)
    member = fetch(session, actor, who, lock=True)
    if _insert(session, group_id, {member.id}):
        _tell(session, program, row, member)
        record(session, actor, "group.member-added", group_id, member_id=str(member.id))
    return member.id


def add_file(ctx: Context, actor: Actor, group_id: UUID, data: bytes) -> Report:
    """Put the members in a file of phone numbers into the group. Raises InvalidForm (file), Refused:
    group-not-found."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        row = own(session, actor, group_id)
        try:
            phones = phone_files.opened(data, program.language)
        except Refused as refused:
            raise InvalidForm({"file": refused}) from None

        def keep(found: set[UUID]) -> None:
            _insert(session, group_id, found)

        report = phone_files.keep_members(session, program, phones, keep)
        if row.on_card and report.members:
            refresh.announce(session, program.id)
        record(session, actor, "group.file-added", group_id, rows=report.rows, members=report.members)
        return report


def _insert(session: Session, group_id: UUID, found: Collection[UUID]) -> int:
    """How many of them were not in the group before."""
    ids = func.unnest(literal(sorted(found), ARRAY(Uuid))).column_valued("id")
    rows = select(literal(group_id, Uuid), ids, literal(clock.now()))
    done = session.execute(
        insert(GroupMember)
        .from_select(["group_id", "member_id", "since"], rows)
        .on_conflict_do_nothing()
        .returning(GroupMember.member_id)
    )
    return len(done.all())


def take_out(ctx: Context, actor: Actor, group_id: UUID, member_id: UUID) -> None:
    """Take a member out of the group. Raises Refused: group-not-found, member-not-found."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        row = own(session, actor, group_id)
        member = fetch(session, actor, Member.id == member_id, lock=True)
        inside = (GroupMember.group_id == group_id, GroupMember.member_id == member_id)
        if session.execute(delete(GroupMember).where(*inside).returning(GroupMember.member_id)).first():
            _tell(session, program, row, member)
            record(session, actor, "group.member-removed", group_id, member_id=str(member_id))


def _tell(session: Session, program: Program, group: MemberGroup, member: Member) -> None:
    """The groups of a member are no news, and stand on the card if they are to."""
    if group.on_card:
        announce(session, program, member, clock.now(), silent=True)


def export(ctx: Context, actor: Actor, group_id: UUID) -> Iterator[str]:
    """The lines of a CSV of the group's active members: number and name. Read from the database as they are sent; that
    the file was made is in the audit log by then. Raises Refused: not-allowed, group-not-found."""
    if not actor.may_manage:
        raise Refused("not-allowed", N_("Only a manager may take members' data out. Ask one."), status=403)
    with ctx.sessions.begin() as session:
        own(session, actor, group_id)
        record(session, actor, "group.exported", group_id)
    return _lines(ctx, group_id)


def _lines(ctx: Context, group_id: UUID) -> Iterator[str]:
    query = (
        select(Member.phone, Member.name)
        .join(GroupMember, GroupMember.member_id == Member.id)
        .where(GroupMember.group_id == group_id, Member.status == MemberStatus.ACTIVE)
        .order_by(Member.id)
        .execution_options(yield_per=_SLICE)
    )
    yield "phone,name\r\n"
    with ctx.sessions() as session:
        for rows in session.execute(query).partitions():
            yield "".join(f"{phone},{_quoted(name)}\r\n" for phone, name in rows)


def _quoted(text: str) -> str:
    """A cell that a spreadsheet takes for text, whatever somebody calls themselves."""
    safe = f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
    return '"' + safe.replace('"', '""') + '"'


def own(session: Session, actor: Actor, group_id: UUID) -> MemberGroup:
    """The group, for the caller's transaction. Raises Refused for a stranger's: group-not-found."""
    row = session.get(MemberGroup, group_id)
    if row is None or row.program_id != actor.program_id:
        raise Refused("group-not-found", N_("There is no such group."), status=404)
    return row
