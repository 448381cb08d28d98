"""Bringing a programme's data from another installation: the archive that app.services.exporting makes."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID

from sqlalchemy import Column, Connection, MetaData, Table, func, select, text

from app.db import migrate
from app.db.programs import Program
from app.services import empty_place, export_policy, exporting, held_work, table_copy
from app.services.archive import Archive, ArchiveError, opened
from app.services.context import Context
from app.services.export_policy import POLICIES
from app.services.exporting import PICTURES, TABLES
from app.services.table_copy import prepare, quoted, read


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came in. `held`: messages and tasks that were on their way and wait for somebody's word now."""

    slug: str
    name: str
    rows: int
    held: int
    same_secret: bool
    passwords: bool


def load(ctx: Context, file: IO[bytes]) -> Loaded:
    """Load a programme's data, all of them or none. `file` can be sought in.

    Everything is looked at before anything is written, and at the end every constraint holds.
    Raises ArchiveError: the file is damaged or of a newer Leima, its programme is here already, or what it says does
    not fit together.
    """
    archive = opened(file, exporting.FORMAT, exporting.FORMAT_VERSION)
    empty_place.ensure_known(archive.text("revision"))
    archive.ensure_whole()
    program = _program(archive)
    with ctx.engine.begin() as connection:
        is_empty = not empty_place.tables_with_rows(connection)
        found = _place(connection, archive, program, is_empty)
        prepare(connection)
        lightened = empty_place.without_indexes(connection) if is_empty else nullcontext()
        with table_copy.told_in_words("The file's rows do not fit into this installation"), lightened:
            rows = _tables(connection, archive, found)
        _number_on(connection, found)
        migrate.upgrade_within(connection)
        _ensure_only_its_own(connection, archive, program)
        held = held_work.hold_moved(connection, program)
        connection.execute(text("ANALYZE"))
    named: Any = archive.head["program"]
    same = archive.text("secret_check") == exporting.secret_check(ctx)
    return Loaded(named["slug"], named["name"], rows, held, same, bool(archive.head.get("passwords")))


def _program(archive: Archive) -> UUID:
    try:
        return UUID(archive.head["program"]["id"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ArchiveError("The file does not say of which programme it is. Take another copy of it") from None


def _place(connection: Connection, archive: Archive, program: UUID, is_empty: bool) -> MetaData:
    """The tables to load into. Data of an older schema are loaded into that one, which only an empty place can have."""
    revision = archive.text("revision")
    if is_empty:
        return empty_place.at_revision(connection, revision)
    if revision != migrate.current(connection):
        raise ArchiveError(
            f"These data are of another schema ({revision}) than this installation's, which holds data already. Load "
            "them into an empty installation; then take them out of that one again"
        )
    slug: Any = archive.head["program"].get("slug")
    here = select(Program.slug).where((Program.id == program) | (Program.slug == slug))
    if connection.scalars(here).first() is not None:
        raise ArchiveError(f"There is a programme {slug} in this installation already. Nothing was changed")
    found = MetaData()
    found.reflect(connection)
    return found


def _tables(connection: Connection, archive: Archive, found: MetaData) -> int:
    listed = {
        name.removeprefix(TABLES).removesuffix(".csv"): packed
        for name, packed in archive.files.items()
        if name.startswith(TABLES)
    }
    if unknown := sorted(name for name in listed if name not in found.tables or _is_left(name)):
        raise ArchiveError(f"The file has tables that do not belong into one: {', '.join(unknown)}")
    added = _offsets(connection, found)
    total = 0
    for table in found.sorted_tables:
        if table.name not in listed:
            continue
        packed = listed[table.name]
        if table.name == "pictures":
            count = _pictures(connection, archive, table, packed.name)
        else:
            with archive.open(packed.name) as file:
                merge = POLICIES[table.name].merge
                count = read(connection, table, file, added=added.get(table.name, {}), merge=merge)
        if count != packed.rows:
            raise ArchiveError(f"{packed.name} has {count} rows, and {packed.rows} were packed")
        total += count
    return total


def _is_left(table: str) -> bool:
    policy = POLICIES.get(table)
    return policy is not None and bool(policy.left_because)


def _pictures(connection: Connection, archive: Archive, table: Table, name: str) -> int:
    """Pictures lie beside their table, as files that anybody can open."""
    connection.execute(text("CREATE TEMP TABLE listed (LIKE pictures)"))
    connection.execute(text("ALTER TABLE listed ALTER content DROP NOT NULL"))
    listed = Table("listed", MetaData(), *(Column(column.name, column.type) for column in table.columns))
    with archive.open(name) as file:
        count = read(connection, listed, file)
    for sha256 in connection.scalars(select(listed.c.sha256)).all():
        packed = archive.files.get(f"{PICTURES}{sha256}.png")
        if packed is None or packed.sha256 != sha256:
            raise ArchiveError(f"The picture {sha256} is not in the file. Take another copy of it")
        with archive.open(packed.name) as picture:
            values = {"content": picture.read(), "sha256": sha256}
        connection.execute(text("UPDATE listed SET content = :content WHERE sha256 = :sha256"), values)
    connection.execute(text("INSERT INTO pictures SELECT * FROM listed ON CONFLICT DO NOTHING"))
    connection.execute(text("DROP TABLE listed"))
    return count


def _offsets(connection: Connection, found: MetaData) -> Mapping[str, Mapping[str, int]]:
    """What is added to numbers that this installation has given to other rows already: table → column → number."""
    added: dict[str, dict[str, int]] = {}
    for table in found.sorted_tables:
        for column in table.primary_key.columns:
            if column.identity is not None:
                highest = select(func.coalesce(func.max(column), 0))
                added.setdefault(table.name, {})[column.name] = connection.execute(highest).scalar_one()
    for table in found.sorted_tables:
        for key in table.foreign_keys:
            target = key.column
            if target.name in added.get(target.table.name, {}):
                added.setdefault(table.name, {})[key.parent.name] = added[target.table.name][target.name]
    return added


def _number_on(connection: Connection, found: MetaData) -> None:
    """Have each sequence go on after the highest number that is taken."""
    for table in found.sorted_tables:
        for column in table.columns:
            if column.identity is not None:
                number_on(connection, table, column.name)


def number_on(connection: Connection, table: Table, column: str) -> None:
    """Have the column's sequence go on after its highest number."""
    named = select(func.pg_get_serial_sequence(quoted(table.name), column))
    sequence = connection.execute(named).scalar_one()
    name, highest = quoted(table.name), f"max({quoted(column)})"
    setting = (
        f"SELECT setval('{sequence}', {highest}) FROM {name} HAVING {highest} >= (SELECT last_value FROM {sequence})"  # noqa: S608 - names of our tables
    )
    connection.execute(text(setting))


def _ensure_only_its_own(connection: Connection, archive: Archive, program: UUID) -> None:
    """A file's rows may be of its own programme alone: nothing is ever loaded into a stranger's."""
    for table in export_policy.exported():
        packed = archive.files.get(f"{TABLES}{table.name}.csv")
        if packed is None or POLICIES[table.name].where:
            continue
        mine = text(export_policy.scope(table.name).replace(export_policy.PROGRAM, ":program"))
        count = connection.execute(
            select(func.count()).select_from(table).where(mine), {"program": program}
        ).scalar_one()
        if count != packed.rows:
            raise ArchiveError(f"{packed.name} has rows of another programme. Nothing was changed")
