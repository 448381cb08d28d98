"""Faults on demand: what the next requests get instead of an answer."""

import time
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from sandbox.google_errors import ApiError


class Drop(Exception):
    """The connection is to be closed without an answer."""


@dataclass(slots=True)
class Fault:
    """The next `count` requests whose path holds `path` get `status`; 0 closes the connection without an answer.

    Each part of a batch is a request, and so is the batch (/batch). Tokens are asked for at /token.

    With `after`, the request is carried out first, and only its answer is lost.
    """

    status: int
    count: int = 1
    path: str = "/walletobjects/"
    reason: str = ""
    message: str = "A fault on demand."
    retry_after: int | None = None
    after: bool = False

    def happen(self) -> None:
        """Raises what the request gets."""
        if self.status == 0:
            raise Drop
        raise ApiError(self.status, self.message, self.reason, self.retry_after)


@dataclass(slots=True)
class Faults:
    """The faults that are waiting, and a latency in seconds that every answer has."""

    latency: float = 0.0
    _waiting: list[Fault] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def add(self, fault: Fault) -> None:
        """Let it wait for its requests."""
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """No more faults."""
        with self._lock:
            self._waiting.clear()
        self.latency = 0.0

    def wait(self) -> None:
        """Let the latency pass. Once for a batch, whatever it holds."""
        if self.latency:
            time.sleep(self.latency)

    def before(self, path: str) -> Fault | None:
        """Raise the fault that waits for this path; one with `after` is handed back."""
        fault = self._take(path)
        if fault is not None and not fault.after:
            fault.happen()
        return fault

    def _take(self, path: str) -> Fault | None:
        with self._lock:
            for fault in self._waiting:
                if fault.path in path:
                    fault.count -= 1
                    if fault.count <= 0:
                        self._waiting.remove(fault)
                    return fault
        return None


def fault_from(values: dict[str, Any]) -> Fault:
    """A fault from the control API's JSON. Raises ApiError 400 for what is no fault."""
    try:
        return Fault(
            status=int(values["status"]),
            count=int(values.get("count", 1)),
            path=str(values.get("path", "/walletobjects/")),
            reason=str(values.get("reason", "")),
            message=str(values.get("message", "A fault on demand.")),
            retry_after=values.get("retryAfter"),
            after=bool(values.get("after", False)),
        )
    except (KeyError, TypeError, ValueError):
        raise ApiError(400, "A fault needs a status, and may have count, path, reason, retryAfter and after") from None
