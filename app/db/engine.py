"""Connections to PostgreSQL."""

import select
from typing import Any

from psycopg import Error
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

# With the default of 4, from days when disks had arms, 100,000 rows are read whole to find 500 of them.
_OPTIONS = "-c timezone=utc -c random_page_cost=1.1"

# A server that vanished without a word (a cable, a machine) is noticed within half a minute.
_GONE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}


def make_engine(url: str, *, pool_size: int = 5) -> Engine:
    """An engine for a libpq URL (`postgresql://…`). Connections are checked before use: a database that was
    restarted costs a reconnect, not an error page."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            url = "postgresql+psycopg://" + url[len(scheme) :]
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=10,
        hide_parameters=True,  # errors are logged, and values are people's
        connect_args={"application_name": "leima", "connect_timeout": 5, "options": _OPTIONS} | _GONE,
    )
    event.listen(engine, "checkout", _ensure_open)
    return engine


def _ensure_open(_connection: object, entry: ConnectionPoolEntry, _use: object) -> None:
    """Have the pool connect anew when the server has closed this connection while nobody used it.

    A server that ends says so, or its kernel does: there is something to read although nothing was asked. To look costs
    a few microseconds; pool_pre_ping asks the server each time, a quarter of what a short read costs.
    """
    driver: Any = entry.driver_connection
    try:
        looked = select.poll()
        looked.register(driver.fileno(), select.POLLIN)
        ended = bool(looked.poll(0))
    except Error as error:  # psycopg knows already
        raise DisconnectionError from error
    if ended:
        raise DisconnectionError("the server has closed this connection")


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    return sessionmaker(engine, expire_on_commit=False)
