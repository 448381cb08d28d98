"""NPS: from answers of 0 to 10 to one figure, and when somebody may be asked.

The figure is the share of promoters (9 and 10) less that of detractors (0 to 6), in whole percent points from -100 to
100, halves away from nought.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LOWEST, HIGHEST = 0, 10
DETRACTOR_TO, PROMOTER_FROM = 6, 9
# An answer may be changed for so long; who changes their mind later is asked again in the next period.
CHANGEABLE = timedelta(days=1)
# A question that lies about for longer is no longer about the visit.
ANSWERABLE = timedelta(days=60)


class Group(StrEnum):
    PROMOTER = "promoter"
    PASSIVE = "passive"
    DETRACTOR = "detractor"


# The lowest and the highest answer of each.
RANGES = {
    Group.PROMOTER: (PROMOTER_FROM, HIGHEST),
    Group.PASSIVE: (DETRACTOR_TO + 1, PROMOTER_FROM - 1),
    Group.DETRACTOR: (LOWEST, DETRACTOR_TO),
}


def group_of(score: int) -> Group:
    """Raises ValueError for what is no answer."""
    for group, (least, most) in RANGES.items():
        if least <= score <= most:
            return group
    raise ValueError(f"{score} is not between {LOWEST} and {HIGHEST}")


@dataclass(frozen=True, slots=True)
class Tally:
    """So many of each."""

    promoters: int = 0
    passives: int = 0
    detractors: int = 0

    @property
    def answers(self) -> int:
        return self.promoters + self.passives + self.detractors

    @property
    def score(self) -> int | None:
        """None without an answer."""
        if not self.answers:
            return None
        net = self.promoters - self.detractors
        whole = (200 * abs(net) + self.answers) // (2 * self.answers)
        return whole if net >= 0 else -whole

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.promoters + other.promoters, self.passives + other.passives, self.detractors + other.detractors
        )


def tally(scores: Iterable[tuple[int, int]]) -> Tally:
    """From pairs of an answer and how many gave it."""
    counts = dict.fromkeys(Group, 0)
    for score, times in scores:
        counts[group_of(score)] += times
    return Tally(counts[Group.PROMOTER], counts[Group.PASSIVE], counts[Group.DETRACTOR])


def is_due(asked_at: datetime | None, period_days: int, at: datetime) -> bool:
    """Whether the period since they were last asked is over. None: they never were."""
    return asked_at is None or at - asked_at >= timedelta(days=period_days)


def is_open(asked_at: datetime, answered_at: datetime | None, at: datetime) -> bool:
    """Whether an answer may be given, or changed, now."""
    return at - answered_at < CHANGEABLE if answered_at is not None else at - asked_at < ANSWERABLE
