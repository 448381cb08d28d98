"""RFM: members scored by recency, frequency and money, the class that fits the scores, and the credit of a policy.

Score 1 is the worst. The installation's own scoring is done in SQL (app.services.classing), by these very rules.
Whoever bought nothing in the window scores 1 in everything, and is no part of the quantiles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import NamedTuple, TypeVar

Key = TypeVar("Key")
# (least, most), both inclusive
Range = tuple[int, int]
_WHOLE_BP = 10_000


@dataclass(frozen=True, slots=True)
class Figures:
    """What a member bought in the window: when last, how often, for how much (minor units)."""

    last_at: datetime
    purchases: int
    spent_minor: int


class Scores(NamedTuple):
    recency: int
    frequency: int
    money: int


WORST = Scores(1, 1, 1)


@dataclass(frozen=True, slots=True)
class Limits:
    """One limit fewer than there are scores in each list, from the best score's to the second worst's.

    Days at most since the last purchase; purchases at least; minor units at least.
    """

    recency_days: Sequence[int]
    purchases: Sequence[int]
    spent_minor: Sequence[int]


def by_thresholds(figures: Figures, limits: Limits, at: datetime) -> Scores:
    """The scores at the moment `at`. A day is 24 hours."""
    return Scores(
        1 + sum(figures.last_at >= at - timedelta(days=days) for days in limits.recency_days),
        1 + sum(figures.purchases >= least for least in limits.purchases),
        1 + sum(figures.spent_minor >= least for least in limits.spent_minor),
    )


def by_quantiles(buyers: Mapping[Key, Figures], scores: int) -> dict[Key, Scores]:
    """The scores of everybody who bought in the window, each figure by itself.

    A score tells what share of the buyers one is better than: with five, whoever is better than four fifths scores 5,
    whoever is better than fewer than a fifth scores 1. So equal figures have equal scores.
    """
    ranked = [
        _ranked({key: figures.last_at.timestamp() for key, figures in buyers.items()}, scores),
        _ranked({key: figures.purchases for key, figures in buyers.items()}, scores),
        _ranked({key: figures.spent_minor for key, figures in buyers.items()}, scores),
    ]
    return {key: Scores(*(ranking[key] for ranking in ranked)) for key in buyers}


def _ranked(values: Mapping[Key, float], scores: int) -> dict[Key, int]:
    worse: dict[float, int] = {}
    for place, value in enumerate(sorted(values.values())):
        worse.setdefault(value, place)
    return {key: 1 + worse[value] * scores // len(values) for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class ClassRanges:
    """The scores that a class takes."""

    recency: Range
    frequency: Range
    money: Range

    def fits(self, scores: Scores) -> bool:
        return all(least <= score <= most for score, (least, most) in zip(scores, self.all, strict=True))

    @property
    def all(self) -> tuple[Range, Range, Range]:
        return self.recency, self.frequency, self.money


def first_fit(classes: Sequence[ClassRanges], scores: Scores) -> int | None:
    """The place of the first class that takes these scores, or None."""
    return next((place for place, ranges in enumerate(classes) if ranges.fits(scores)), None)


def grid(classes: Sequence[ClassRanges], scores: int) -> list[tuple[Scores, int]]:
    """Every combination of scores that some class takes, with the place of the first that does."""
    every = (Scores(*each) for each in product(range(1, scores + 1), repeat=3))
    return [(each, place) for each in every if (place := first_fit(classes, each)) is not None]


def rescaled(ranges: ClassRanges, old: int, new: int) -> ClassRanges:
    """The same class when `old` scores become `new`: it keeps every score that it takes a part of."""
    moved = [((least - 1) * new // old + 1, -(-most * new // old)) for least, most in ranges.all]
    return ClassRanges(*moved)


class Proposal(NamedTuple):
    """A class to begin with; its name is by `kind`."""

    kind: str
    ranges: ClassRanges


def proposal(scores: int) -> list[Proposal]:
    """Five classes that leave nobody out, in their order: best, loyal, new, at_risk, lost."""
    middle = scores // 2 + 1
    top = max(middle, scores - scores // 4)
    high, low, every = (middle, scores), (1, middle - 1), (1, scores)
    return [
        Proposal("best", ClassRanges((top, scores), (top, scores), (top, scores))),
        Proposal("loyal", ClassRanges(high, high, every)),
        Proposal("new", ClassRanges(high, low, every)),
        Proposal("at_risk", ClassRanges(low, high, every)),
        Proposal("lost", ClassRanges(low, low, every)),
    ]


@dataclass(frozen=True, slots=True)
class Policy:
    """What credit a member of a class gets: a fixed amount or a share (hundredths of a percent) of their spending.

    More than `cap_minor` is cut to it; less than `smallest_minor` is not given. All amounts are in minor units.
    """

    fixed_minor: int = 0
    share_bp: int = 0
    smallest_minor: int = 0
    cap_minor: int | None = None

    def amount(self, spent_minor: int) -> int:
        """Minor units; 0: nothing is given. Half a minor unit is rounded up."""
        amount = self.fixed_minor + (spent_minor * self.share_bp + _WHOLE_BP // 2) // _WHOLE_BP
        if self.cap_minor is not None:
            amount = min(amount, self.cap_minor)
        return amount if amount >= self.smallest_minor else 0
