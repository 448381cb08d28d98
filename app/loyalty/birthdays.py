"""Birthdays as days of a year, whatever the year has for February."""

from collections.abc import Iterator
from datetime import date, timedelta

MonthDay = tuple[int, int]
_LEAP_DAY = (2, 29)


def celebrated(birth_date: date, year: int) -> date:
    """The birthday in `year`. Whoever was born on 29 February has it on the 28th when there is none."""
    if (birth_date.month, birth_date.day) == _LEAP_DAY and not _is_leap(year):
        return date(year, 2, 28)
    return birth_date.replace(year=year)


def born_on(day: date) -> list[MonthDay]:
    """The birth days, as (month, day), that are celebrated on this day."""
    leapers = [_LEAP_DAY] if (day.month, day.day) == (2, 28) and not _is_leap(day.year) else []
    return [(day.month, day.day), *leapers]


def coming(today: date, days: int) -> Iterator[MonthDay]:
    """The birth days that are celebrated from today until so many days ahead, both included."""
    for ahead in range(days + 1):
        yield from born_on(today + timedelta(days=ahead))


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
