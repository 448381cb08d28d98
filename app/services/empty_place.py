"""Whether an installation holds any data, and making its database ready for those of another one."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, MetaData, inspect, text

from app.db import migrate
from app.services.archive import ArchiveError
from app.services.table_copy import quoted

_REVISIONS = "alembic_version"


def tables_with_rows(connection: Connection) -> list[str]:
    """The names of our tables that hold something, sorted; empty in a new installation."""
    names = sorted(set(inspect(connection).get_table_names()) - {_REVISIONS})
    return [name for name in names if _has_rows(connection, name)]


def _has_rows(connection: Connection, table: str) -> bool:
    return bool(connection.execute(text(f"SELECT EXISTS (SELECT 1 FROM {quoted(table)})")).scalar_one())  # noqa: S608 - a name of ours


_FOREIGN_KEYS = """SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid)
    FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace ORDER BY conname"""
_INDEXES = """SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relnamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
    ORDER BY 1"""


@contextmanager
def without_indexes(connection: Connection) -> Iterator[None]:
    """Load into an empty database without its indexes and foreign keys, which are made, and checked, at the end.

    Made at once they take a fraction of what they cost row by row. Nobody else sees the tables without them: all of it
    is one transaction.
    """
    keys = connection.execute(text(_FOREIGN_KEYS)).all()
    for table, name, _ in keys:
        connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
    indexes = connection.execute(text(_INDEXES)).all()
    for name, _ in indexes:
        connection.execute(text(f"DROP INDEX {name}"))
    yield
    connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
    for _, definition in indexes:
        connection.exec_driver_sql(definition)
    for table, name, definition in keys:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


def ensure_known(revision: str) -> None:
    """Raise ArchiveError when data are of a schema that this code can't bring to its own."""
    if not migrate.is_known(revision):
        raise ArchiveError(
            f"These data were written by a newer Leima (schema {revision}; this one knows up to {migrate.head()}): "
            "upgrade Leima first, then do this again"
        )


def at_revision(connection: Connection, revision: str) -> MetaData:
    """Have an empty database at this revision, and return its tables. Call tables_with_rows first.

    All of it is undone with the caller's transaction.
    """
    if migrate.current(connection) != revision:
        names = inspect(connection).get_table_names()
        if names:
            connection.execute(text(f"DROP TABLE {', '.join(map(quoted, names))}"))
        migrate.upgrade_within(connection, revision)
    found = MetaData()
    found.reflect(connection)
    found.remove(found.tables[_REVISIONS])
    return found
