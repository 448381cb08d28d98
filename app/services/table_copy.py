"""Tables as CSV files, and back, by PostgreSQL's own COPY: as quick as it can be, and never a table in memory.

CSV, because COPY writes and reads it by itself, every spreadsheet, database and language reads it, and it tells NULL
(nothing between the commas) from an empty text (""). UTF-8; RFC 4180, but for lines that end in LF alone; a heading
line; moments as ISO 8601 in UTC with microseconds, days as ISO 8601, true and false, bytes as base64, JSON as JSON.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

import psycopg
from sqlalchemy import Column, Connection, Table, text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.types import Boolean, DateTime, LargeBinary, String

from app.services.archive import PIECE, ArchiveError, Entry

# Rows of a COPY wait in the server's memory for their foreign keys to be checked, so that one COPY takes a part only.
BLOCK = 4 * 1024 * 1024
_LONGEST_HEADING = 64 * 1024


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows and columns of a table. `where` is SQL of ours, with %(name)s for parameters; `instead` has SQL that
    stands for a column."""

    table: Table
    columns: Sequence[str]
    where: str = "true"
    instead: Mapping[str, str] | None = None
    order: Sequence[str] = ()


def prepare(connection: Connection) -> None:
    """Have this transaction write and read values in one form, whatever the server's settings."""
    connection.execute(
        text("SELECT set_config(name, value, true) FROM (VALUES ('datestyle', 'ISO, YMD'), ('timezone', 'UTC'), "
             "('extra_float_digits', '1'), ('standard_conforming_strings', 'on')) AS wanted (name, value)")
    )  # fmt: skip


class TableOut:
    """A table's CSV in pieces. `count` is the number of rows so far."""

    def __init__(self, connection: Connection, rows: Rows, values: Mapping[str, object]) -> None:
        self._connection, self._rows, self._values = connection, rows, values
        self.count = -1  # the heading is no row

    def __iter__(self) -> Iterator[bytes]:
        waiting: list[bytes] = []
        size = 0
        with driver(self._connection).cursor() as cursor, cursor.copy(_out(self._rows), self._values) as copy:
            for line in copy:  # one for each row: PostgreSQL's protocol has it so
                waiting.append(bytes(line))
                size += len(line)
                self.count += 1
                if size >= PIECE:
                    yield b"".join(waiting)
                    waiting.clear()
                    size = 0
        yield b"".join(waiting)

    def entry(self, name: str) -> Entry:
        """This table as a file to pack."""
        made = Entry(name, [])

        def told() -> Iterator[bytes]:
            yield from self
            made.rows = self.count

        made.pieces = told()
        return made


@contextmanager
def told_in_words(what: str) -> Iterator[None]:
    """Have what the database says of rows that do not fit raised as ArchiveError, with the values: for who has the file
    in their hands."""
    try:
        yield
    except (IntegrityError, DataError) as error:
        raise ArchiveError(_said(what, error.orig)) from None
    except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as error:
        raise ArchiveError(_said(what, error)) from None


def _said(what: str, error: BaseException | None) -> str:
    if not isinstance(error, psycopg.Error):
        return f"{what}. Nothing was changed"
    table = f" (table {error.diag.table_name})" if error.diag.table_name else ""
    said = error.diag.message_detail or error.diag.message_primary or str(error)
    return f"{what}{table}: {said.rstrip('.')}. Nothing was changed"


def primary_key(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def quoted(name: str) -> str:
    """A name of ours in SQL."""
    return '"' + name.replace('"', '""') + '"'


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """psycopg's own connection, in the same transaction."""
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def _out(rows: Rows) -> str:
    shown = ", ".join(
        f"{(rows.instead or {}).get(name) or _written(rows.table.columns[name])} AS {quoted(name)}"
        for name in rows.columns
    )
    order = ", ".join(_ordered(rows.table.columns[name]) for name in rows.order or primary_key(rows.table))
    table = quoted(rows.table.name)
    query = f"SELECT {shown} FROM {table} WHERE {rows.where} ORDER BY {order}"  # noqa: S608 - names of our tables
    return f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER true, ENCODING 'UTF8')"


def _written(column: Column[Any]) -> str:
    name = quoted(column.name)
    match column.type:
        case DateTime():
            return f"""to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        case LargeBinary():
            return f"translate(encode({name}, 'base64'), E'\\n', '')"
        case Boolean():
            return f"{name}::text"
        case _:
            return name


def _ordered(column: Column[Any]) -> str:
    # A server's collation may be any; the same rows are to come in the same order from each.
    return f'{quoted(column.name)} COLLATE "C"' if isinstance(column.type, String) else quoted(column.name)


def read(
    connection: Connection,
    table: Table,
    file: IO[bytes],
    *,
    added: Mapping[str, int] | None = None,
    merge: str = "",
) -> int:
    """Load a table's CSV; returns how many rows it had. Constraints hold.

    `added`: column → what is added to its numbers. `merge`: what becomes of a row that is there already, as SQL after
    ON CONFLICT. Raises ArchiveError when the file's columns are not the table's.
    """
    columns = _heading(file, table)
    names = ", ".join(map(quoted, columns))
    stepwise = merge or any((added or {}).get(name) or _is_binary(table.columns[name]) for name in columns)
    into = "incoming" if stepwise else quoted(table.name)
    onward = _onward(table, columns, added or {}, merge)
    count = 0
    with driver(connection).cursor() as cursor:
        if stepwise:
            cursor.execute(_incoming(table, columns))
        for block in blocks(file):
            with cursor.copy(f"COPY {into} ({names}) FROM STDIN (FORMAT csv, ENCODING 'UTF8')") as copy:
                copy.write(block)
            count += cursor.rowcount
            if stepwise:
                cursor.execute(onward)
                cursor.execute("TRUNCATE incoming")
        if stepwise:
            cursor.execute("DROP TABLE incoming")
    return count


def blocks(file: IO[bytes], size: int = BLOCK) -> Iterator[bytes]:
    """A CSV file in blocks of whole rows: they end where a line does, and no quoted text is open."""
    held = b""
    while piece := file.read(size):
        held += piece
        end = _whole(held)
        if end:
            yield held[:end]
            held = held[end:]
    if held:
        yield held


def _whole(held: bytes) -> int:
    """How many of these bytes, which begin with a row, are whole rows."""
    open_quotes = held.count(b'"')
    end = len(held)
    while (found := held.rfind(b"\n", 0, end)) >= 0:
        open_quotes -= held.count(b'"', found, end)
        if open_quotes % 2 == 0:
            return found + 1
        end = found
    return 0


def _heading(file: IO[bytes], table: Table) -> list[str]:
    columns = file.readline(_LONGEST_HEADING).decode("utf-8", "replace").rstrip("\r\n").split(",")
    if unknown := [name for name in columns if name not in table.columns]:
        raise ArchiveError(f"The file of {table.name} has columns that this Leima does not know: {', '.join(unknown)}")
    return columns


def _is_binary(column: Column[Any]) -> bool:
    return isinstance(column.type, LargeBinary)


def _incoming(table: Table, columns: Sequence[str]) -> str:
    """A table to hold a block: bytes are text in it."""
    shown = ", ".join(
        f"{quoted(name)}::text AS {quoted(name)}" if _is_binary(table.columns[name]) else quoted(name)
        for name in columns
    )
    return f"CREATE TEMP TABLE incoming AS SELECT {shown} FROM {quoted(table.name)} WITH NO DATA"  # noqa: S608 - names of our tables


def _onward(table: Table, columns: Sequence[str], added: Mapping[str, int], merge: str) -> str:
    def value(name: str) -> str:
        if _is_binary(table.columns[name]):
            return f"decode({quoted(name)}, 'base64')"
        return f"{quoted(name)} + {added[name]:d}" if added.get(name) else quoted(name)

    names, values = ", ".join(map(quoted, columns)), ", ".join(map(value, columns))
    statement = f"INSERT INTO {quoted(table.name)} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM incoming"  # noqa: S608 - names of our tables
    return f"{statement} ON CONFLICT {merge}" if merge else statement
