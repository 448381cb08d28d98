"""Databases beside a test's own one, for what is restored, loaded or set up elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from app.services.context import Context


@contextmanager
def another_database(ctx: Context, name: str) -> Iterator[str]:
    """The URL of an empty database, which is dropped at the end with whoever is still connected."""
    here = ctx.engine.url.database
    new = f"{here}_{name}"
    with ctx.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _drop(connection, new)
        connection.execute(text(f"CREATE DATABASE {new}"))
        try:
            yield ctx.settings.database_url.get_secret_value().replace(f"/{here}?", f"/{new}?")
        finally:
            _drop(connection, new)


def _drop(connection: Connection, name: str) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            return
        except ProgrammingError as error:  # autovacuum is at it, and may not be sent away by us
            if not isinstance(error.orig, InsufficientPrivilege) or time.monotonic() > until:
                raise
            time.sleep(0.2)
