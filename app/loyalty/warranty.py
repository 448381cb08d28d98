"""How long a warranty lasts, and when its holder is reminded."""

from calendar import monthrange
from datetime import date, timedelta

LONGEST_MONTHS = 240
REMIND_DAYS = 30


def ends_on(bought: date, months: int) -> date:
    """The last day of a warranty of so many months: the same day of the month, or the month's last one."""
    year, month = divmod(bought.year * 12 + bought.month - 1 + months, 12)
    return date(year, month + 1, min(bought.day, monthrange(year, month + 1)[1]))


def remind_on(last_day: date, today: date, days: int = REMIND_DAYS) -> date | None:
    """The day of the reminder, `days` before the last one; None when that is over: who keeps it today knows."""
    day = last_day - timedelta(days=days)
    return day if day > today else None
