"""What `leima doctor` says of one thing that it looked at."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BAD = "BAD"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `text` says what is there and, unless it is well, what to do."""

    state: State
    subject: str
    text: str
