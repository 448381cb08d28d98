"""What became of a row that was to be told."""

from dataclasses import dataclass

from app.services.outbox import Claimed


@dataclass(frozen=True, slots=True)
class Outcome:
    """`error` is empty when it was told. `retry_after` is what the other side asked for, in seconds."""

    row: Claimed
    error: str = ""
    permanent: bool = False
    retry_after: float | None = None
