"""Holding rows while they are told, however long the other side takes."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from app.logs import log
from app.services import outbox
from app.services.context import Context
from app.services.outbox import Claimed

EVERY_SECONDS = outbox.LEASE.total_seconds() / 3
# Whoever has not ended after ten minutes hangs: then another worker may try.
MOST_TIMES = 120


@contextmanager
def held(context: Context, rows: Sequence[Claimed], every: float = EVERY_SECONDS) -> Iterator[None]:
    """Extend the leases of these rows, every so many seconds, until the block ends."""
    ended = threading.Event()

    def hold() -> None:
        for _ in range(MOST_TIMES):
            if ended.wait(every):
                return
            try:
                outbox.extend(context, rows)
            except SQLAlchemyError as error:
                log().warning("outbox.lease_not_extended", reason=type(error).__name__)

    thread = threading.Thread(target=hold, name="holding", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
