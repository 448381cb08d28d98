"""Tables that pages show and spreadsheets open: the same cells, as people write them and as machines read them."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from flask import Response, stream_with_context

from app.i18n import Money, major_units
from app.web.language import text

_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Price:
    """An amount in millionths of a currency's unit, shown with all its decimals."""

    micro: int
    currency: str


Cell = str | int | Decimal | Money | Price | None


@dataclass(frozen=True, slots=True)
class Table:
    """`name` is in its file's name. All texts are in the reader's language; each row's first cell is its head."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def shown(cell: Cell) -> str:
    """As people of the reader's language write it; what is not known is a dash."""
    match cell:
        case None:
            return "–"
        case Price():
            return text().price(cell.micro, cell.currency)
        case _:
            return str(text().shown(cell))


def download(table: Table) -> Response:
    return _file(f"{table.name}.csv", list(_lines([table.columns, *table.rows], text().language)))


def as_file(name: str, rows: Iterable[Sequence[Cell]]) -> Response:
    """A CSV file for spreadsheets, sent row by row: with a mark for UTF-8, the separator and decimal sign of the
    reader's language, and no formulas."""
    return _file(name, stream_with_context(_lines(rows, text().language)))


def _file(name: str, lines: Iterable[str]) -> Response:
    answer = Response(lines, mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _lines(rows: Iterable[Sequence[Cell]], language: str) -> Iterator[str]:
    yield "\ufeff"
    written = io.StringIO()
    writer = csv.writer(written, delimiter="," if language == "en" else ";")
    for row in rows:
        writer.writerow([_plain(cell, language) for cell in row])
        yield written.getvalue()
        written.seek(0)
        written.truncate()


def _plain(cell: Cell, language: str) -> str:
    match cell:
        case None:
            return ""
        case str():
            return f"'{cell}" if cell.startswith(_FORMULA_SIGNS) else cell
        case Money():
            number = str(major_units(cell.amount_minor, cell.currency))
        case Price():
            number = str(Decimal(cell.micro).scaleb(-6))
        case _:
            number = str(cell)
    return number.replace(".", ",") if language in ("fi", "ru") else number
