"""A programme's data, all of them, for its owner to take along: an archive of CSV files, written as it is read.

Everything is of one moment (one REPEATABLE READ transaction), and nothing is kept in memory or on a disk here: a
million members take as much room as one. The same data give the same bytes, wherever they are.
"""

from collections.abc import Generator, Iterator
from uuid import UUID

from sqlalchemy import Connection, func, select, text

from app.db import migrate
from app.db.programs import Picture, Program
from app.i18n import N_
from app.services import audit, export_policy
from app.services.archive import Entry, packed
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.table_copy import TableOut, prepare

FORMAT, FORMAT_VERSION = "leima-export", 1
TABLES, PICTURES = "tables/", "pictures/"
_LOCK = 5362  # any fixed number that no other advisory lock of ours has

README = """These are all the data of one Leima programme.

tables/*.csv    a file for each table: UTF-8, commas, a heading line. Nothing between two commas is NULL, "" is an empty
                text. Moments are ISO 8601 in UTC, days ISO 8601, bytes base64, and what holds several values is JSON.
                Money is in minor units (cents). The columns are told in app/db of Leima's source code.
pictures/*.png  logos, named by their SHA-256
manifest.json   the tables' numbers of rows, and the SHA-256 of each file

To have the same programme in another installation of Leima: leima load FILE
Cards that are installed, personal links, API keys and codes go on working there only with the same LEIMA_SECRET_KEY and
the same code peppers. Neither is in this file: take them along by another way. Nor are the staff's passwords, unless
they were asked for.

Opening a table in a spreadsheet: import it as text. A value is here as somebody typed it, and one that begins with =
would be taken for a formula.

These are people's data. Keep the file where only you can read it, and delete it when it has served.
"""


def stream(ctx: Context, actor: Actor, *, passwords: bool = False) -> Generator[bytes]:
    """The archive in pieces. The data are of the moment of this call, which the audit log tells.

    With `passwords` the hashes of the staff's passwords go along. Close the generator when you need no more: until then
    a transaction is open. Raises Refused while another export of this programme is being made.
    """
    made = _stream(ctx, actor, passwords)
    next(made)
    return made


def file_name(slug: str, day: str) -> str:
    return f"leima-{slug}-{day}.zip"


def secret_check(ctx: Context) -> str:
    """What tells whether another installation has the same secret, and nothing of the secret itself."""
    return ctx.keyed_hash("export", "secret check")[:32]


def _stream(ctx: Context, actor: Actor, passwords: bool) -> Generator[bytes]:
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with ctx.engine.connect().execution_options(**options) as connection, connection.begin():
        _ensure_alone(connection, actor.program_id)
        prepare(connection)
        program = connection.execute(
            select(Program.id, Program.slug, Program.name).filter_by(id=actor.program_id)
        ).one()
        head = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "revision": migrate.current(connection),
            "program": {"id": str(program.id), "slug": program.slug, "name": program.name},
            "secret_check": secret_check(ctx),
            "passwords": passwords,
        }
        with ctx.sessions.begin() as session:
            audit.record(session, actor, "data.exported", passwords=passwords)
        yield b""
        yield from packed(_entries(connection, program.id, passwords), head)


def _ensure_alone(connection: Connection, program_id: UUID) -> None:
    """This is the transaction's first statement: what it sees is of now."""
    key = func.hashtext(str(program_id))
    if not connection.execute(select(func.pg_try_advisory_xact_lock(_LOCK, key))).scalar_one():
        words = N_("These data are being taken out already. Wait until that is done.")
        raise Refused("export-running", words, status=409)


def _entries(connection: Connection, program_id: UUID, passwords: bool) -> Iterator[Entry]:
    yield Entry("README.txt", [README.encode()])
    values = {"program": program_id}
    for table in export_policy.exported():
        rows = TableOut(connection, export_policy.rows(table, passwords=passwords), values)
        yield rows.entry(f"{TABLES}{table.name}.csv")
    yield from _pictures(connection, program_id)


def _pictures(connection: Connection, program_id: UUID) -> Iterator[Entry]:
    mine = text(export_policy.scope("pictures").replace(export_policy.PROGRAM, ":program"))
    query = select(Picture.sha256).where(mine).order_by(Picture.sha256)
    for sha256 in connection.scalars(query, {"program": program_id}).all():
        content = connection.execute(select(Picture.content).where(Picture.sha256 == sha256)).scalar_one()
        yield Entry(f"{PICTURES}{sha256}.png", [content])
