"""The refresh channel: renew all installed cards of a programme, a batch at a time."""

from collections.abc import Sequence

from app.jobs.outcome import Outcome
from app.services import outbox, refresh
from app.services.context import Context
from app.services.outbox import Claimed


def renew_cards(context: Context, rows: Sequence[Claimed]) -> list[Outcome]:
    """One batch of each programme. What is left is written as the next row, so that a kill costs one batch at most:
    a card that is renewed twice only looks once more."""
    for row in rows:
        reached = refresh.renew(context, row.subject_id, str(row.payload.get("after", "")))
        if reached is not None:
            outbox.go_on(context, row, {"after": reached}, seconds=refresh.BATCH / refresh.PACE)
    return [Outcome(row) for row in rows]
