"""How far a message has got. Reports arrive late, out of order and repeatedly; the higher rank is the truth.

    queued → sending → accepted → sent → delivered | undelivered | failed, or unknown

`sending` is stored before the provider is asked, so that a crash leaves a trace. `unknown` means that it was asked and
nobody knows what came of it; any report from the provider settles that.
"""

from enum import StrEnum


class State(StrEnum):
    """The values are kept in the database."""

    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    SENT = "sent"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    DELIVERED = "delivered"


# No two ranks are equal: whatever the order of the reports, the end is the same. Phone companies do report a delivery
# after they have given a message up; then it has arrived.
RANK = {state: rank for rank, state in enumerate(State)}
FINAL = frozenset({State.FAILED, State.UNDELIVERED, State.DELIVERED})


def later(known: State, reported: State) -> State:
    """The state after a report: it never goes back."""
    return max(known, reported, key=RANK.__getitem__)
