"""The rules of visits: which of them count, when they were, and which rewards they give.

A member's visits are as many of the moments at which the card was shown as can be picked with the set hours between
them. Doors that were offline tell late and in any order: that number does not depend on the order, because it is a
property of the moments alone. Each moment that is told of raises it by one, or leaves it as it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

OLDEST = timedelta(days=30)
_SAME_CLOCK = timedelta(minutes=2)  # clocks that differ by less are taken for right


@dataclass(frozen=True, slots=True)
class Step:
    """A reward at the `at_visit`th visit, or with `every` at each multiple of it."""

    at_visit: int
    every: bool = False


def counted(moments: Iterable[datetime], apart: timedelta) -> list[datetime]:
    """The visits that count: the first moment, and each that is `apart` or more after the one counted before it.

    No other choice of moments that are `apart` has more of them.
    """
    kept: list[datetime] = []
    for moment in sorted(moments):
        if not kept or moment - kept[-1] >= apart:
            kept.append(moment)
    return kept


def in_the_way(told: Iterable[datetime], moment: datetime, apart: timedelta) -> datetime | None:
    """The visit because of which one at `moment` does not count, when those at `told` are known; None: it counts.

    It is the last one counted before it, or else the first one after it.
    """
    known = list(told)
    standing = counted(known, apart)
    if len(counted([*known, moment], apart)) > len(standing):
        return None
    before = [visit for visit in standing if visit <= moment]
    if before and moment - before[-1] < apart:
        return before[-1]
    return min(visit for visit in standing if visit > moment)


def moment_of(said: datetime | None, device_now: datetime | None, now: datetime) -> datetime | None:
    """When the card was shown, if the device says `said`, and its clock showed `device_now` when it sent that.

    A clock that is wrong is set right by how wrong it is now. A moment that has not come yet is now. None: it is
    longer ago than OLDEST.
    """
    if said is None:
        return now
    wrong_by = device_now - now if device_now is not None else timedelta()
    moment = min(said - wrong_by if abs(wrong_by) > _SAME_CLOCK else said, now)
    return moment if now - moment <= OLDEST else None


def is_due(step: Step, visits: int) -> bool:
    """Whether the visit that makes it `visits` gives this step's reward."""
    return visits % step.at_visit == 0 if step.every and visits > 0 else visits == step.at_visit


def left_to(step: Step, visits: int) -> int | None:
    """How many visits are left to the step's next reward, 1 or more; None when it gives no more."""
    if step.every:
        return step.at_visit - visits % step.at_visit
    return step.at_visit - visits if visits < step.at_visit else None
