"""Backing a whole installation up, and restoring it into an empty one.

A backup is an archive of every table, as CSV, with the schema's revision: it is restored by migrating an empty database
to that revision, loading, and migrating on, so that it does not matter which PostgreSQL wrote it or is to have it. It
holds no secret: neither the secret key, nor the peppers, nor private keys, nor the value of any setting.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, MetaData, text

from app import clock
from app.db import migrate
from app.services import empty_place, held_work, table_copy
from app.services.archive import Archive, ArchiveError, Entry, opened, packed
from app.services.context import Context
from app.services.export_policy import POLICIES
from app.services.exporting import TABLES, secret_check
from app.services.loading import number_on
from app.services.table_copy import Rows, TableOut, prepare, read
from app.settings import PREFIX, Settings
from certs.identity import PASS_TYPE, folders

FORMAT, FORMAT_VERSION = "leima-backup", 1
CERTIFICATES = "certificates/"
PUBLIC_PARTS = ("certificate.pem", "wwdr.pem", "root.pem")
_REVISIONS = "alembic_version"
README = """This is a backup of a whole installation of Leima: every table as CSV, and its certificates' public parts.

To restore it into an empty installation: leima restore FILE
Not in it, and to be kept elsewhere: the settings, above all LEIMA_SECRET_KEY; code_peppers in the data folder (or
LEIMA_CODE_PEPPERS); key.pem of each certificate. Without the same secret key and peppers, cards that are installed,
links, API keys and codes stop working.
"""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back. `missing_settings` were set where the backup was made, and are not here."""

    made_at: str
    rows: int
    held: int
    paused: int
    same_secret: bool
    missing_settings: list[str]
    missing_peppers: list[str]
    missing_keys: list[str]  # pass types whose private key is not here


def stream(ctx: Context) -> Generator[bytes]:
    """A backup in pieces, of one moment. Close the generator when you need no more.

    Raises ArchiveError when the database has no schema yet.
    """
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with ctx.engine.connect().execution_options(**options) as connection, connection.begin():
        prepare(connection)
        revision = migrate.current(connection)
        if revision is None:
            raise ArchiveError("There is nothing to back up yet: the database has no tables")
        head = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "revision": revision,
            "made_at": clock.now().isoformat(timespec="seconds"),
            "secret_check": secret_check(ctx),
            "peppers": [pepper.id for pepper in ctx.peppers().held],
            "settings": set_here(ctx.settings),
        }
        yield from packed(_entries(connection, ctx.settings.data), head)


def set_here(settings: Settings) -> list[str]:
    """The variables that have another value than their default."""
    fields = Settings.model_fields.items()
    return [f"{PREFIX}{name.upper()}" for name, field in fields if getattr(settings, name) != field.default]


def _entries(connection: Connection, data: Path) -> Iterator[Entry]:
    yield Entry("README.txt", [README.encode()])
    # As the database has them: before an upgrade these are not the tables that the code knows.
    found = MetaData()
    found.reflect(connection)
    for table in found.sorted_tables:
        if table.name != _REVISIONS:
            policy = POLICIES.get(table.name)
            rows = TableOut(connection, Rows(table, table.columns.keys(), order=policy.order if policy else ()), {})
            yield rows.entry(f"{TABLES}{table.name}.csv")
    for folder in folders(data / "certs"):
        for name in PUBLIC_PARTS:
            if (folder / name).is_file():
                yield Entry(f"{CERTIFICATES}{folder.name}/{name}", [(folder / name).read_bytes()])


def restore(ctx: Context, file: IO[bytes]) -> Restored:
    """Restore a backup into an empty database: all of it or nothing. `file` can be sought in.

    Messages that were waiting are held, and campaigns paused, because nobody knows what went out since. Raises
    ArchiveError: the file is damaged or of a newer Leima, or there are data here.
    """
    archive = opened(file, FORMAT, FORMAT_VERSION)
    revision = archive.text("revision")
    empty_place.ensure_known(revision)
    archive.ensure_whole()
    with ctx.engine.begin() as connection:
        if full := empty_place.tables_with_rows(connection):
            raise ArchiveError(
                f"There are data in this installation already ({', '.join(full[:3])} …). Restore into an empty one: "
                "set LEIMA_DATA to a new folder, or LEIMA_DATABASE_URL to an empty database"
            )
        found = empty_place.at_revision(connection, revision)
        prepare(connection)
        with table_copy.told_in_words("The backup does not fit together"), empty_place.without_indexes(connection):
            rows = _load(connection, archive, found)
        migrate.upgrade_within(connection)
        held, paused = held_work.hold_restored(connection)
        connection.execute(text("ANALYZE"))
    keyless = _restore_certificates(archive, ctx.settings.data / "certs")
    here = set(set_here(ctx.settings))
    own = {pepper.id for pepper in ctx.peppers().held}
    return Restored(
        archive.text("made_at"),
        rows,
        held,
        paused,
        archive.text("secret_check") == secret_check(ctx),
        sorted(set(archive.head.get("settings", [])) - here),
        sorted(set(archive.head.get("peppers", [])) - own),
        keyless,
    )


def _load(connection: Connection, archive: Archive, found: MetaData) -> int:
    total = 0
    for table in found.sorted_tables:
        name = f"{TABLES}{table.name}.csv"
        packed_file = archive.files.get(name)
        if packed_file is None:
            raise ArchiveError(f"The backup has no {name}. Take another copy of it")
        with archive.open(name) as file:
            count = read(connection, table, file)
        if count != packed_file.rows:
            raise ArchiveError(f"{name} has {count} rows, and {packed_file.rows} were packed")
        total += count
        for column in table.columns:
            if column.identity is not None:
                number_on(connection, table, column.name)
    return total


def _restore_certificates(archive: Archive, certs: Path) -> list[str]:
    """Put the public parts where none are. Returns the pass types whose private key has to be brought."""
    for name in sorted(archive.files):
        _, _, path = name.partition(CERTIFICATES)
        pass_type, _, part = path.partition("/")
        if part not in PUBLIC_PARTS or not PASS_TYPE.fullmatch(pass_type) or (certs / pass_type / part).exists():
            continue
        certs.mkdir(mode=0o700, parents=True, exist_ok=True)
        (certs / pass_type).mkdir(mode=0o700, exist_ok=True)
        with archive.open(name) as file:
            (certs / pass_type / part).write_bytes(file.read())
    return [folder.name for folder in folders(certs) if not (folder / "key.pem").is_file()]
