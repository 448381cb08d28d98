"""Lists of members from files of phone numbers. Only who is a member is kept: the file itself is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, func, insert, literal, select
from uuid_utils.compat import uuid7

from app import clock
from app.db.campaigns import PhoneList, PhoneListMember
from app.db.programs import Program
from app.i18n import N_
from app.services import phone_files, segment_users
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.phone_files import Report

MOST_ROWS = phone_files.MOST_ROWS
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class ListView:
    """A list. `rows` had the file, `members` are on it."""

    id: UUID
    name: str
    rows: int
    members: int
    created_at: datetime


def add(ctx: Context, actor: Actor, form: Mapping[str, str], data: bytes) -> Report:
    """Make a list under the form's `name` of the members in a file. Raises InvalidForm (name, file)."""
    reader = FormReader(form)
    name = reader.line("name", _LONGEST_NAME)
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        if session.scalars(_own(actor.program_id).where(PhoneList.name == name)).first():
            reader.wrong("name", "name-taken", N_("Another list has this name."))
        try:
            phones = phone_files.opened(data, program.language)
        except Refused as refused:
            raise InvalidForm(reader.errors | {"file": refused}) from None
        if reader.errors:
            raise InvalidForm(reader.errors)
        row = PhoneList(id=uuid7(), program_id=program.id, name=name, rows=0, created_at=clock.now())
        session.add(row)
        session.flush()

        def keep(found: set[UUID]) -> None:
            ids = func.unnest(literal(sorted(found), ARRAY(Uuid))).column_valued("id")
            rows = select(literal(row.id, Uuid), ids)
            session.execute(insert(PhoneListMember).from_select(["list_id", "member_id"], rows))

        report = phone_files.keep_members(session, program, phones, keep)
        row.rows = report.rows
        record(session, actor, "phone-list.made", row.id, rows=report.rows, members=report.members)
        return report


def every(ctx: Context, actor: Actor) -> list[ListView]:
    """The programme's lists, newest first."""
    members = select(func.count()).where(PhoneListMember.list_id == PhoneList.id).correlate(PhoneList).scalar_subquery()
    query = _own(actor.program_id).add_columns(members).order_by(PhoneList.created_at.desc())
    with ctx.sessions() as session:
        return [ListView(row.id, row.name, row.rows, count, row.created_at) for row, count in session.execute(query)]


def remove(ctx: Context, actor: Actor, list_id: UUID) -> None:
    """Forget a list that no segment and no campaign names. Raises Refused: list-not-found, list-in-use."""
    with ctx.sessions.begin() as session:
        row = session.scalars(_own(actor.program_id).where(PhoneList.id == list_id)).one_or_none()
        if row is None:
            raise Refused("list-not-found", N_("There is no such list."), status=404)
        if (user := segment_users.user(session, actor.program_id, "list_id", list_id)) is not None:
            raise Refused(
                "list-in-use", N_("“%(name)s” asks for this list. Change that first."), {"name": user}, status=409
            )
        session.delete(row)
        record(session, actor, "phone-list.removed", list_id)


def _own(program_id: UUID) -> Any:
    return select(PhoneList).where(PhoneList.program_id == program_id)
