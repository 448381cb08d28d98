"""The rules of bonus: what a purchase earns, what a bill takes, and which thresholds it crosses. Whole numbers only.

Bonus is counted in the minor units of the programme's currency, or in points. What is not whole is dropped, once, at
the end: nobody is ever given more than the share that was promised.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

# A share of money is in hundredths of a percent: so much bonus for each so many minor units.
SHARE_PER = 10_000

# Nobody holds more, in minor units or points, whatever the rules and sums are. Far from what the database holds.
MOST_HELD = 10**12


@dataclass(frozen=True, slots=True)
class Rate:
    """Another rate than the usual one. What is None or empty does not matter; days are both included, 0 is Monday."""

    rate: int
    tier_id: UUID | None = None
    location_id: UUID | None = None
    weekdays: tuple[int, ...] = ()
    first_day: date | None = None
    last_day: date | None = None

    def fits(self, day: date, location_id: UUID | None, tier_id: UUID | None) -> bool:
        """Whether it holds for what a member of this tier buys on this day at this place."""
        return (
            self.tier_id in (None, tier_id)
            and self.location_id in (None, location_id)
            and (not self.weekdays or day.weekday() in self.weekdays)
            and (self.first_day is None or self.first_day <= day)
            and (self.last_day is None or day <= self.last_day)
        )


@dataclass(frozen=True, slots=True)
class Earn:
    """What a purchase earned, or the undoing of that (`reverses_id`; then `amount` is that of the earn)."""

    id: UUID
    amount: int
    reverses_id: UUID | None = None


def best_rate(
    usual: int, others: Iterable[Rate], day: date, location_id: UUID | None = None, tier_id: UUID | None = None
) -> int:
    """The rate that counts: the highest of those that fit."""
    return max([usual, *(other.rate for other in others if other.fits(day, location_id, tier_id))])


def earned(paid_minor: int, rate: int, per: int) -> int:
    """What a purchase earns: `rate` for each `per` minor units, in proportion, rounded down."""
    return max(paid_minor, 0) * rate // per


def taking(balance: int, bill_minor: int, wanted: int | None = None) -> int:
    """What comes off a bill: as much as is wanted (None: all), never more than the bill or the balance."""
    return max(min(balance, bill_minor, balance if wanted is None else wanted), 0)


def taken_back(given: int, lapsed: int, balance: int) -> tuple[int, int]:
    """What undoing an earn takes, and what it misses: the balance goes no lower than 0.

    What lapsed of the earn was of use to nobody, so it is neither taken from other earns nor missed.
    """
    due = given - lapsed
    taken = min(due, balance)
    return taken, due - taken


def crossings(threshold: int, before: int, after: int, *, every: bool) -> int:
    """How often the threshold (or, with `every`, each of its multiples) is reached on the way from before to after."""
    if every:
        return max(after // threshold - before // threshold, 0)
    return int(before < threshold <= after)


def high_water(earns: Iterable[Earn]) -> int:
    """The highest sum that a purchase which stands ever brought its member to; earns come in the order of writing.

    What was given for a threshold stays while the purchase that crossed it stands. So when an older purchase is undone
    and the sum falls below the threshold, crossing it once more gives nothing again.
    """
    everything = list(earns)
    undone = {earn.reverses_id for earn in everything}
    mark = level = 0
    for earn in everything:
        level += earn.amount if earn.reverses_id is None else -earn.amount
        if earn.reverses_id is None and earn.id not in undone:
            mark = max(mark, level)
    return mark
