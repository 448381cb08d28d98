"""Reading the file of an old register: its letters, its columns, its rows. Nothing here asks a database or a clock."""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.i18n import N_
from app.services.errors import Refused

MOST_BYTES = 20_000_000
MOST_ROWS = 200_000
MOST_COLUMNS = 200
MOST_FILE_NAME = 120
# The old one-byte code pages, tried for files that are not Unicode: encoding → name for people.
CODE_PAGES = {
    "cp1252": N_("Windows, Western European"),
    "cp1251": N_("Windows, Cyrillic"),
    "cp1256": N_("Windows, Arabic and Persian"),
}
_PAGE_OF_LANGUAGE = {"fa": "cp1256"}
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods are zip files, .xls is an OLE file
_DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # Excel's own


@dataclass(frozen=True, slots=True)
class RegisterFile:
    """A file that can be read.

    `content` is UTF-8 without a mark; `encoding` is what it was. `start` is the byte where the rows of people begin,
    `first_row` the number that a spreadsheet gives to the first of them. `headings` has a name for each column.
    """

    content: bytes
    encoding: str
    delimiter: str
    headings: list[str]
    has_heading: bool
    start: int
    first_row: int
    rows: int


def read(data: bytes, language: str, encoding: str = "") -> RegisterFile:
    """Look at a file once: what it is, where its rows begin, and how many there are.

    `language` is the programme's, for files that are not Unicode; `encoding` is one of CODE_PAGES when somebody chose.
    Raises Refused for what cannot be read as a table.
    """
    if len(data) > MOST_BYTES:
        raise _unreadable(N_("The file is larger than %(most)s MB. Please divide it."), most=MOST_BYTES // 10**6)
    if data.startswith(_WORKBOOKS):
        raise _unreadable(N_("This is a spreadsheet's own file. Save it there as CSV (UTF-8), and send that file."))
    text, found = decoded(data, language, encoding)
    delimiter, skipped = _separator(text)
    content = text.encode()
    start = len(text[:skipped].encode())
    above = 1 if skipped else 0
    headings, second, more_above = _first_record(content, start, delimiter)
    has_heading = _is_heading(headings)
    rows = _count(content, second if has_heading else start, delimiter)
    if not rows:
        raise _unreadable(N_("There is nobody in this file."))
    return RegisterFile(
        content,
        found,
        delimiter,
        _named(headings if has_heading else [""] * len(headings)),
        has_heading,
        second if has_heading else start,
        above + more_above + (1 if has_heading else 0) + 1,
        rows,
    )


def decoded(data: bytes, language: str, encoding: str = "") -> tuple[str, str]:
    """The file's text without NUL, and the encoding that it is in."""
    if not encoding:
        encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "") or _guess(data, language)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:  # a byte that has no letter, or half a letter at the end
        text = data.decode(encoding, "replace")
    text = text.removeprefix("\ufeff").replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    return text, encoding.removesuffix("-sig")


def _guess(data: bytes, language: str) -> str:
    head = data[:20_000]
    if head.count(0) > len(head) // 5:  # every other byte of plain text in UTF-16
        return "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
    try:
        data.decode()
    except UnicodeDecodeError:
        high = [byte > 127 for byte in data[:1_000_000]]
        alone = sum(high) - sum(a and b for a, b in pairwise(high))
        # Words in letters of another script are runs of high bytes; é and ä stand alone.
        return _PAGE_OF_LANGUAGE.get(language, "cp1251") if alone * 2 < sum(high) else "cp1252"
    return "utf-8"


def _separator(text: str) -> tuple[str, int]:
    """What stands between the columns, and how many characters of Excel's 'sep=;' line to skip."""
    if found := _SEPARATOR_LINE.match(text):
        return found[1], found.end()
    line = next((line for line in text[:50_000].split("\n") if line.strip()), "")
    outside = re.sub(r'"[^"]*"', "", line)
    return max(_DELIMITERS, key=outside.count), 0


class _Lines:
    """Hands lines to the csv reader, and knows the byte after the last one that it took."""

    def __init__(self, content: bytes, start: int) -> None:
        self._content = content
        self.taken = start

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.taken >= len(self._content):
            raise StopIteration
        end = self._content.find(b"\n", self.taken) + 1 or len(self._content)
        line, self.taken = self._content[self.taken : end], end
        return line.decode()


def records(content: bytes, start: int, delimiter: str) -> Iterator[tuple[list[str], int]]:
    """The records of a file from the byte `start` on, each with the byte where the next one begins.

    An empty line is an empty record. Raises Refused where the quotation marks do not match.
    """
    lines = _Lines(content, start)
    number = 0
    try:
        for record in csv.reader(lines, delimiter=delimiter, strict=True):
            number += 1
            yield record, lines.taken
    except csv.Error:
        raise _unreadable(
            N_('The quotation marks (") do not match: look at what stands after row %(row)s of the table.'), row=number
        ) from None


def _first_record(content: bytes, start: int, delimiter: str) -> tuple[list[str], int, int]:
    """The first record with something in it, the byte after it, and how many empty ones stand above."""
    for above, (record, after) in enumerate(records(content, start, delimiter)):
        if len(record) > MOST_COLUMNS:
            break
        if any(cell.strip() for cell in record):
            return record, after, above
    raise _unreadable(N_("This does not look like a table. Save the register as CSV, and send that file."))


def _count(content: bytes, start: int, delimiter: str) -> int:
    rows = last = 0
    for number, (record, _) in enumerate(records(content, start, delimiter), 1):
        if any(cell.strip() for cell in record):
            rows, last = rows + 1, number
        if number > MOST_ROWS:
            raise _unreadable(N_("The file has more than %(most)s rows. Please divide it."), most=MOST_ROWS)
    return last if rows else 0


def _is_heading(record: Sequence[str]) -> bool:
    """A first row with many digits in one of its cells is somebody already."""
    return not any(sum(char.isdecimal() for char in cell) >= 6 for cell in record)


def _named(headings: Sequence[str]) -> list[str]:
    """The columns' names on the page: cut to what fits, and a letter, as in a spreadsheet, for those without one."""
    return [" ".join(name.split())[:60] or column_letter(place) for place, name in enumerate(headings)]


def column_letter(place: int) -> str:
    """A, B … Z, AA, AB …: what a spreadsheet calls the column at `place`, from 0."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _unreadable(message: str, **params: object) -> Refused:
    return Refused("unreadable-register", message, params, field="file")
