"""When something that is repeated every so many days is due, at an hour of the local day."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def moment(day: date, hour: int, time_zone: str) -> datetime:
    """This hour of this day, in UTC. An hour that summer time skips is the one after it; one that comes twice, its
    first."""
    return datetime.combine(day, time(hour), tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def first_due(at: datetime, hour: int, time_zone: str) -> datetime:
    """The next time after `at` when it is this hour."""
    today = at.astimezone(ZoneInfo(time_zone)).date()
    due = moment(today, hour, time_zone)
    return due if due > at else moment(today + timedelta(days=1), hour, time_zone)


def next_due(due: datetime, every_days: int, hour: int, time_zone: str, after: datetime) -> datetime:
    """The first of the moments that follow `due` every so many days which is later than `after`."""
    day = due.astimezone(ZoneInfo(time_zone)).date() + timedelta(days=every_days)
    behind = (after.astimezone(ZoneInfo(time_zone)).date() - day).days
    if behind > 0:
        day += timedelta(days=behind // every_days * every_days)
    while (found := moment(day, hour, time_zone)) <= after:
        day += timedelta(days=every_days)
    return found


def last_due(at: datetime, hour: int, time_zone: str) -> datetime:
    """The last time until `at` when it was this hour."""
    today = at.astimezone(ZoneInfo(time_zone)).date()
    due = moment(today, hour, time_zone)
    return due if due <= at else moment(today - timedelta(days=1), hour, time_zone)
