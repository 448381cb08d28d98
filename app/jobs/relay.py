"""The relay: looks every second for what is due and nobody rang for. One leader, by an advisory lock."""

import time
from datetime import timedelta

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from app import clock
from app.jobs.station import Stop
from app.logs import log
from app.services import doorbell, outbox, upkeep
from app.services.context import Context

TICK_SECONDS = 1.0
# Any fixed number that no other advisory lock of ours has.
LEADER_LOCK = 5347
_UPKEEP_EVERY = timedelta(minutes=1)
_LOOK_SECONDS = 0.1
# A leader whose machine lost its power says no goodbye: PostgreSQL is to notice within half a minute.
_KEEPALIVES = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"


class Relay:
    """Ticks until told to stop. Whoever holds the lock leads; the others look whether it became free."""

    def __init__(self, context: Context, stop: Stop) -> None:
        self.context = context
        self.stop = stop
        self._connection: Connection | None = None
        self._leading = False
        self._kept_up_at = clock.now() - _UPKEEP_EVERY

    def run(self) -> None:
        while not self.stop.asked:
            self.look()
            next_tick = time.monotonic() + TICK_SECONDS
            while not self.stop.asked and time.monotonic() < next_tick:
                time.sleep(_LOOK_SECONDS)
        self.close()

    def look(self) -> bool:
        """Tick if this one leads. Returns whether it does. Nothing that goes wrong ends the relay."""
        try:
            leads = self._leads()
            if leads:
                self._tick()
            return leads
        except SQLAlchemyError as error:
            log().warning("relay.database_unreachable", reason=type(error).__name__)
        except Exception:
            log().error("relay.failed", exc_info=True)
        self.close()
        return False

    def close(self) -> None:
        """Give the lead back."""
        connection, self._connection, self._leading = self._connection, None, False
        if connection is not None:
            try:
                connection.close()
            except SQLAlchemyError as error:
                log().warning("relay.connection_was_lost", reason=type(error).__name__)

    def _tick(self) -> None:
        """Ring for every channel that has something due, and do the chores when their time has come."""
        for channel in outbox.due_channels(self.context):
            doorbell.ring(self.context.valkey, channel)
        now = clock.now()
        # A clock that was set back must not stop the chores either.
        if not timedelta() <= now - self._kept_up_at < _UPKEEP_EVERY and upkeep.run(self.context):
            self._kept_up_at = now

    def _leads(self) -> bool:
        """The lock lives as long as its connection: when the leader dies, PostgreSQL gives it to the next."""
        if self._connection is None:
            self._connection = self.context.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._connection.detach()  # closing it really closes it, and so lets the lock go
            self._connection.exec_driver_sql(_KEEPALIVES)
        question = "SELECT true" if self._leading else "SELECT pg_try_advisory_lock(:key)"
        self._leading = bool(self._connection.execute(text(question), {"key": LEADER_LOCK}).scalar())
        return self._leading
