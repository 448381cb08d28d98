"""Shares of people compared: how many per 100, and whether a difference could be chance.

The interval of the difference is Agresti and Caffo's (The American Statistician 54, 2000): each group gets one more who
did and one more who did not, which keeps it honest in small groups. In 95 of 100 such comparisons it holds the truth.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

# Fewer people in either group, or fewer who did it in both together, and nothing is said.
LEAST_PEOPLE = 100
LEAST_WHO_DID = 10
_Z = Decimal("1.96")
_TENTH = Decimal("0.1")


class Verdict(StrEnum):
    TOO_FEW = "too_few"
    CHANCE = "chance"  # the difference may be chance
    MORE = "more"
    FEWER = "fewer"


@dataclass(frozen=True, slots=True)
class Share:
    """How many of these people did something."""

    did: int
    people: int

    @property
    def per_100(self) -> Decimal | None:
        """With one decimal; None of nobody."""
        return _tenths(Decimal(100 * self.did) / self.people) if self.people else None


@dataclass(frozen=True, slots=True)
class Difference:
    """By how many per 100 the first share is larger: between `low` and `high`. `verdict` says whether to believe it."""

    verdict: Verdict
    low: Decimal = Decimal(0)
    high: Decimal = Decimal(0)


def compare(first: Share, second: Share) -> Difference:
    """The first share less the second."""
    if min(first.people, second.people) < LEAST_PEOPLE or first.did + second.did < LEAST_WHO_DID:
        return Difference(Verdict.TOO_FEW)
    middle, spread = Decimal(0), Decimal(0)
    for share, sign in ((first, 1), (second, -1)):
        people = Decimal(share.people + 2)
        part = (share.did + 1) / people
        middle += sign * part
        spread += part * (1 - part) / people
    margin = _Z * spread.sqrt()
    low, high = middle - margin, middle + margin
    verdict = Verdict.MORE if low > 0 else Verdict.FEWER if high < 0 else Verdict.CHANCE
    return Difference(verdict, _tenths(100 * low), _tenths(100 * high))


def _tenths(value: Decimal) -> Decimal:
    return value.quantize(_TENTH, ROUND_HALF_UP)
