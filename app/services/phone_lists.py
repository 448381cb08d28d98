"""Lists of members from files of phone numbers. Only who is a member is kept: the file itself is not."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import phonenumbers
from sqlalchemy import ARRAY, String, Uuid, cast, func, insert, literal, select
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.campaigns import Campaign, PhoneList, PhoneListMember, Segment
from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_
from app.services import register_columns, register_file
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.register_file import RegisterFile
from sms.digits import ascii_digits
from sms.phones import PhoneError, calling_code, normalise

MOST_ROWS = 100_000
MOST_ERRORS = 50
_LONGEST_NAME = 60
_AT_A_TIME = 10_000
# Rows that are looked at one by one, to say what is wrong with them: each takes a tenth of a millisecond.
_MOST_DOUBTFUL = 5_000


@dataclass(frozen=True, slots=True)
class ListView:
    """A list. `rows` had the file, `members` are on it."""

    id: UUID
    name: str
    rows: int
    members: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RowError:
    """A row without a phone number that can be read. `row` is what a spreadsheet shows."""

    row: int
    error: PhoneError


@dataclass
class Report:
    """What came of a file: `strangers` are numbers that are no member's; of all `faulty` rows the first in `errors`."""

    list_id: UUID
    rows: int = 0
    members: int = 0
    strangers: int = 0
    faulty: int = 0
    errors: list[RowError] = field(default_factory=list)


def add(ctx: Context, actor: Actor, form: Mapping[str, str], data: bytes) -> Report:
    """Make a list under the form's `name` of the members in a file. Raises InvalidForm (name, file)."""
    reader = FormReader(form)
    name = reader.line("name", _LONGEST_NAME)
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        if session.scalars(_own(actor.program_id).where(PhoneList.name == name)).first():
            reader.wrong("name", "name-taken", N_("Another list has this name."))
        try:
            file = _file(data, program.language)
            column = _column(file)
        except Refused as refused:
            raise InvalidForm(reader.errors | {"file": refused}) from None
        if reader.errors:
            raise InvalidForm(reader.errors)
        row = PhoneList(id=uuid7(), program_id=program.id, name=name, rows=0, created_at=clock.now())
        session.add(row)
        session.flush()
        report = _Import(session, program, row.id).take(file, column)
        row.rows = report.rows
        record(session, actor, "phone-list.made", row.id, rows=report.rows, members=report.members)
        return report


def _file(data: bytes, language: str) -> RegisterFile:
    file = register_file.read(data, language)
    if file.rows > MOST_ROWS:
        message = N_("The file has more than %(most)s rows. Please divide it.")
        raise Refused("unreadable-register", message, {"most": MOST_ROWS}, field="file")
    return file


def _column(file: RegisterFile) -> int:
    """Where the phone numbers are. Raises Refused when nobody can tell."""
    first = next(register_file.records(file.content, file.start, file.delimiter))[0]
    found = register_columns.guessed(file.headings) if file.has_heading else {}
    found = found if "phone" in found else register_columns.guessed_by_content(first)
    if "phone" in found:
        return found["phone"]
    if len(first) == 1:
        return 0
    message = N_("It is not clear which column holds the phone numbers. Write “Phone number” above it.")
    raise Refused("no-phone-column", message, field="file")


class _Import:
    """Finds the members behind a file's numbers."""

    def __init__(self, session: Session, program: Program, list_id: UUID) -> None:
        self._session = session
        self._program = program
        self._known: set[UUID] = set()
        self._doubtful = 0
        self.report = Report(list_id)

    def take(self, file: RegisterFile, column: int) -> Report:
        for cells in _chunks(file, column):
            self.report.rows += len(cells)
            self._add(cells)
        self.report.members = len(self._known)
        return self.report

    def _add(self, cells: list[tuple[int, str]]) -> None:
        """Most numbers are written plainly: one question finds their members. The others are read with care."""
        plain = [(row, cell, readings(cell, self._program.country)) for row, cell in cells]
        members = self._members({phone for _, _, phones in plain for phone in phones})
        careful = {}
        found = set()
        for row, cell, phones in plain:
            member_id = next((members[phone] for phone in phones if phone in members), None)
            if member_id is not None:
                found.add(member_id)
            elif self._doubtful < _MOST_DOUBTFUL:
                self._doubtful += 1
                careful[row] = cell
            else:
                self.report.strangers += 1
        self._keep(found | self._read(careful))

    def _read(self, cells: Mapping[int, str]) -> set[UUID]:
        numbers = []
        for row, cell in cells.items():
            try:
                numbers.append(normalise(cell, self._program.country))
            except PhoneError as error:
                self.report.faulty += 1
                if len(self.report.errors) < MOST_ERRORS:
                    self.report.errors.append(RowError(row, error))
        members = self._members(set(numbers))
        self.report.strangers += sum(number not in members for number in numbers)
        return set(members.values())

    def _members(self, phones: set[str]) -> dict[str, UUID]:
        query = select(Member.phone, Member.id).where(
            Member.program_id == self._program.id, Member.phone == func.any(literal(sorted(phones), ARRAY(String)))
        )
        return {row.phone: row.id for row in self._session.execute(query)} if phones else {}

    def _keep(self, found: set[UUID]) -> None:
        if new := found - self._known:
            ids = func.unnest(literal(sorted(new), ARRAY(Uuid))).column_valued("id")
            rows = select(literal(self.report.list_id, Uuid), ids)
            self._session.execute(insert(PhoneListMember).from_select(["list_id", "member_id"], rows))
            self._known |= new


def _chunks(file: RegisterFile, column: int) -> Iterator[list[tuple[int, str]]]:
    """Row numbers and cells, of the rows that hold something, so many at a time."""
    cells: list[tuple[int, str]] = []
    for row, (record_, _) in enumerate(register_file.records(file.content, file.start, file.delimiter), file.first_row):
        if any(cell.strip() for cell in record_):
            cells.append((row, record_[column] if column < len(record_) else ""))
        if len(cells) == _AT_A_TIME:
            yield cells
            cells = []
    yield cells


def readings(cell: str, country: str) -> list[str]:
    """The E.164 numbers that a plainly written number may be, without asking whether a phone can have them."""
    text = ascii_digits(cell)
    digits = re.sub(r"\D", "", text)
    if "+" in text:
        return [f"+{digits}"]
    if digits.startswith("00"):
        return [f"+{digits[2:]}"]
    prefix = phonenumbers.ndd_prefix_for_region(country, True) or ""
    return [f"+{calling_code(country)}{digits.removeprefix(prefix)}", f"+{digits}"]


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
        names = {"list": str(list_id)}
        path = "$.** ? (@.list_id == $list)"
        users = [
            select(kind.name).where(
                kind.program_id == actor.program_id,
                func.jsonb_path_exists(kind.tree, cast(path, JSONPATH), cast(names, JSONB)),
            )
            for kind in (Segment, Campaign)
        ]
        if (user := next((name for query in users for name in session.scalars(query.limit(1))), None)) is not None:
            raise Refused(
                "list-in-use", N_("“%(name)s” asks for this list. Change that first."), {"name": user}, status=409
            )
        session.delete(row)
        record(session, actor, "phone-list.removed", list_id)


def _user(session: Session, program_id: UUID, list_id: UUID) -> str | None:
    """The name of a segment or campaign with a condition about this list, if there is one."""
    path, names = cast("$.** ? (@.list_id == $list)", JSONPATH), cast({"list": str(list_id)}, JSONB)
    for kind in (Segment, Campaign):
        names_it = func.jsonb_path_exists(kind.tree, path, names)
        user = session.scalars(select(kind.name).where(kind.program_id == program_id, names_it).limit(1)).first()
        if user is not None:
            return user
    return None


def _own(program_id: UUID) -> Any:
    return select(PhoneList).where(PhoneList.program_id == program_id)
