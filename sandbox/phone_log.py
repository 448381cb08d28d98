"""What happened on a pretend phone, in order, for people to read and for tests to wait on."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Condition

from app import clock

_KEPT = 500


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `monotonic` is time.monotonic() of that moment, for measuring."""

    at: datetime
    monotonic: float
    kind: str
    text: str


@dataclass(slots=True)
class PhoneLog:
    """The last 500 events of a phone. `on_change` is called after each, from the thread where it happened."""

    now: Callable[[], datetime] = clock.now
    events: list[Event] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)
    on_change: Callable[[], None] = lambda: None

    def tell(self, kind: str, text: str) -> None:
        """Note what happened, and wake everybody who waits."""
        with self.changed:
            self.events.append(Event(self.now(), time.monotonic(), kind, text))
            del self.events[:-_KEPT]
            self.changed.notify_all()
        self.on_change()

    def wait_for(self, condition: Callable[[], bool], seconds: float = 10.0) -> bool:
        """Wait until the condition holds, which is looked at after each event. False when the time is over first."""
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def kinds(self) -> list[str]:
        """The kinds of all events, oldest first."""
        return [event.kind for event in self.events]
