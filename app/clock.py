"""The only place that reads the time."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_pretended: ContextVar[datetime | None] = ContextVar("pretended", default=None)


def now() -> datetime:
    """The current time, aware, in UTC."""
    return _pretended.get() or datetime.now(UTC)


@contextmanager
def pretending(moment: datetime) -> Iterator[None]:
    """Within it this thread's time stands at `moment`, for a demo whose members have been there before."""
    token = _pretended.set(moment)
    try:
        yield
    finally:
        _pretended.reset(token)
