"""A worker's place: connections and clients that are made once, after the fork, and kept between jobs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.db.delivery import Channel
from app.jobs.outcome import Outcome
from app.services.context import Context
from app.services.outbox import Claimed

Deliver = Callable[[Sequence[Claimed]], Sequence[Outcome]]


@dataclass
class Stop:
    """Whether this process was asked to stop. No threading.Event: a signal's handler that sets one while the main
    thread is inside of it waits for itself."""

    asked: bool = False


@dataclass
class Station:
    """The context, how each channel is delivered, and whether this process was asked to stop."""

    context: Context
    channels: dict[Channel, Deliver]
    stop: Stop = field(default_factory=Stop)


_here: Station | None = None


def take(made: Station) -> None:
    """This process works here from now on. RQ calls jobs by name, so they find it by asking."""
    global _here
    _here = made


def station() -> Station:
    if _here is None:
        raise RuntimeError("This process is not a worker: start `python worker.py`.")
    return _here
