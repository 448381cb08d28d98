"""Single reads where every tenth of a millisecond counts: what thousands of phones ask for after one change."""

from typing import Any

import psycopg
from sqlalchemy import Engine, Select
from sqlalchemy.dialects.postgresql.psycopg import dialect
from sqlalchemy.exc import OperationalError


class Lookup:
    """A SELECT that is compiled once and read outside of a transaction: 0.1 ms, where a session takes 0.6 ms.

    One statement sees one state of the database, so it needs no transaction. Values come as psycopg has them: enums
    as text. Parameters are the query's bindparams.
    """

    def __init__(self, query: Select[*tuple[Any, ...]]) -> None:
        self.text = str(query.compile(dialect=dialect()))  # type: ignore[no-untyped-call] # SQLAlchemy's own lack

    def all(self, engine: Engine, **values: object) -> list[tuple[Any, ...]]:
        """The rows. Raises OperationalError, as sessions do, when the database is away."""
        pooled = engine.raw_connection()
        try:
            connection: Any = pooled.driver_connection
            connection.autocommit = True
            rows: list[tuple[Any, ...]] = connection.execute(self.text, values).fetchall()
            connection.autocommit = False
        except BaseException as error:
            pooled.invalidate()  # nobody knows what state it is in
            if isinstance(error, psycopg.OperationalError):
                raise OperationalError(self.text, None, error) from error
            raise
        finally:
            pooled.close()
        return rows

    def first(self, engine: Engine, **values: object) -> tuple[Any, ...] | None:
        """The only row, if there is one. Raises OperationalError when the database is away."""
        rows = self.all(engine, **values)
        return rows[0] if rows else None
