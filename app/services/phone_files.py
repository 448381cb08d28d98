"""The members behind a file of phone numbers. The file itself is not kept."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import phonenumbers
from sqlalchemy import ARRAY, String, func, literal, select
from sqlalchemy.orm import Session

from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_
from app.services import register_columns, register_file
from app.services.errors import Refused
from app.services.register_file import RegisterFile
from sms.digits import ascii_digits
from sms.phones import PhoneError, calling_code, normalise

MOST_ROWS = 100_000
MOST_ERRORS = 50
_AT_A_TIME = 10_000
# Rows that are looked at one by one, to say what is wrong with them: each takes a tenth of a millisecond.
_MOST_DOUBTFUL = 5_000
# Keeps members, none of whom it was given before.
Keep = Callable[[set[UUID]], None]


@dataclass(frozen=True, slots=True)
class RowError:
    """A row without a phone number that can be read. `row` is what a spreadsheet shows."""

    row: int
    error: PhoneError


@dataclass
class Report:
    """What came of a file: `strangers` are numbers that are no member's; of all `faulty` rows the first in `errors`."""

    rows: int = 0
    members: int = 0
    strangers: int = 0
    faulty: int = 0
    errors: list[RowError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PhoneFile:
    """A file that can be read, and the column in which the numbers are."""

    file: RegisterFile
    column: int


def opened(data: bytes, language: str) -> PhoneFile:
    """Raises Refused for a file that cannot be read."""
    file = register_file.read(data, language)
    if file.rows > MOST_ROWS:
        message = N_("The file has more than %(most)s rows. Please divide it.")
        raise Refused("unreadable-register", message, {"most": MOST_ROWS}, field="file")
    return PhoneFile(file, _column(file))


def keep_members(session: Session, program: Program, phones: PhoneFile, keep: Keep) -> Report:
    """Have those kept who have a number of the file and are members of the programme, whatever has become of them."""
    return _Import(session, program, keep).take(phones.file, phones.column)


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

    def __init__(self, session: Session, program: Program, keep: Keep) -> None:
        self._session = session
        self._program = program
        self._keep_them = keep
        self._known: set[UUID] = set()
        self._doubtful = 0
        self.report = Report()

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
            self._keep_them(new)
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
