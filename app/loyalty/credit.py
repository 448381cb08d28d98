"""The rules of credit: from when until when it pays, and what a bill takes of it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Taking:
    """What a bill takes of a credit, in minor units: `used` + `left` + `lapsing` is the balance before."""

    used: int
    left: int
    lapsing: int  # what is lost, because the programme lets a credit be used only once


def taking(balance_minor: int, bill_minor: int, *, partial_use: bool) -> Taking:
    """What a bill of `bill_minor` takes of a credit: all of it, or as much as the bill is."""
    used = min(balance_minor, bill_minor)
    rest = balance_minor - used
    return Taking(used, rest if partial_use else 0, 0 if partial_use else rest)


def day_begins(day: date, time_zone: str) -> datetime:
    """The moment (UTC) when a calendar day begins in a zone, also where summer time begins at midnight."""
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def validity(first_day: date, last_day: date, time_zone: str) -> tuple[datetime, datetime]:
    """From when and until when (not included) a credit of these days, both included, can be used."""
    return day_begins(first_day, time_zone), day_begins(last_day + timedelta(days=1), time_zone)


def day_of(moment: datetime, time_zone: str) -> date:
    """The calendar day of a moment, as the programme's shops count."""
    return moment.astimezone(ZoneInfo(time_zone)).date()


def last_day(expires_at: datetime, time_zone: str) -> date:
    """The last day on which something that is over at `expires_at` may be used."""
    return day_of(expires_at - timedelta(microseconds=1), time_zone)
