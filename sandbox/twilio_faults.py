"""What goes wrong at the Twilio stand-in: by the last digits of the number a message goes to, or on demand."""

import time
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

from sandbox.twilio_server import Drop, Reply

_MORE = "https://www.twilio.com/docs/errors/"

# The last five digits of the number that a message goes to: refused with this code and HTTP status.
REFUSED = {
    "21211": (400, "Invalid 'To' Phone Number"),
    "21408": (403, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number"),
    "21610": (400, "Attempt to send to unsubscribed recipient"),
    "21611": (429, "This 'From' number has exceeded the maximum number of queued messages"),
    "21614": (400, "'To' number is not a valid mobile number"),
    "20003": (401, "Authenticate"),
    "20429": (429, "Too Many Requests"),
}
# Taken, and then reported as undelivered or failed with this code.
UNDELIVERED = {
    "30001": "failed",
    "30003": "undelivered",
    "30004": "undelivered",
    "30005": "undelivered",
    "30006": "undelivered",
    "30007": "undelivered",
    "30008": "undelivered",
    "30450": "failed",
}
# What happens to the answer, by number and for faults on demand.
ANSWERS = {
    "00503": "refuse-503",
    "00500": "500-after-accepting",
    "00504": "hang-after-accepting",
    "00502": "drop-after-accepting",
    "00200": "callbacks-first",
}
KINDS = ("429", "refuse-503", "drop", *list(ANSWERS.values())[1:], *REFUSED, *UNDELIVERED)


class ApiError(Exception):
    """An answer as Twilio's API gives it."""

    def __init__(self, status: int, code: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after = status, code, message, retry_after

    def reply(self) -> Reply:
        """The error as Twilio words it."""
        content = {
            "code": self.code,
            "message": self.message,
            "more_info": f"{_MORE}{self.code}",
            "status": self.status,
        }
        return Reply(self.status, content, {"Retry-After": str(self.retry_after)} if self.retry_after else {})


def refusal(code: str) -> ApiError:
    """What a message is answered that is refused with this code of REFUSED."""
    status, words = REFUSED[code]
    return ApiError(status, int(code), words, retry_after=1 if status == 429 else None)


@dataclass(slots=True)
class Fault:
    """The next `count` messages, to this number if one is given, have this fate: one of KINDS."""

    kind: str
    count: int = 1
    to: str | None = None


@dataclass(slots=True)
class Faults:
    """The faults on demand, and a latency in seconds that every answer has."""

    latency: float = 0.0
    ended: Event = field(default_factory=Event)
    _waiting: list[Fault] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def add(self, fault: Fault) -> None:
        """Let it wait for its messages. Raises ValueError for a kind that there is not."""
        if fault.kind not in KINDS:
            raise ValueError(f"kind is one of: {', '.join(KINDS)}")
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """No more faults."""
        with self._lock:
            self._waiting.clear()
        self.latency = 0.0

    def take(self, to: str) -> str | None:
        """The fate of a message to this number, before anything else is looked at."""
        if self.latency:
            time.sleep(self.latency)
        with self._lock:
            for fault in self._waiting:
                if fault.to in (None, to):
                    fault.count -= 1
                    if fault.count <= 0:
                        self._waiting.remove(fault)
                    return fault.kind
        return ANSWERS.get(to[-5:])

    def before(self, kind: str | None) -> None:
        """What happens instead of accepting."""
        if kind == "429":
            raise ApiError(429, 20429, "Too Many Requests", retry_after=1)
        if kind == "refuse-503":
            raise ApiError(503, 20503, "Service Unavailable")
        if kind == "drop":
            raise Drop
        if kind in REFUSED:
            raise refusal(kind)

    def after(self, kind: str | None) -> None:
        """What happens to the answer of a message that was accepted."""
        if kind == "500-after-accepting":
            raise ApiError(500, 20500, "Internal Server Error")
        if kind == "hang-after-accepting":
            self.ended.wait(120)  # longer than any client's patience; the end of the stand-in ends it, too
            raise Drop
        if kind == "drop-after-accepting":
            raise Drop


def fault_from(values: dict[str, Any]) -> Fault:
    """A fault from the control API's JSON."""
    return Fault(str(values.get("kind", "")), int(values.get("count", 1)), values.get("to"))
