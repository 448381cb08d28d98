"""When a campaign that repeats is due, by the clock on the programme's wall."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

# A run whose turn comes later than this after it was due is shown, and not sent.
LATE = timedelta(hours=6)


def moment(day: date, at: time, time_zone: str) -> datetime:
    """This time of this day, in UTC. A time that summer time skips is as much later as it skips; one that comes twice
    is its first."""
    return datetime.combine(day, at.replace(fold=0), tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def local_day(at: datetime, time_zone: str) -> date:
    """The day on the programme's wall."""
    return at.astimezone(ZoneInfo(time_zone)).date()


def day_bounds(day: date, time_zone: str) -> tuple[datetime, datetime]:
    """When this day begins and ends, in UTC: 23 to 25 hours apart."""
    return moment(day, time(), time_zone), moment(day + timedelta(days=1), time(), time_zone)


def next_due(after: datetime, at: time, weekday: int | None, time_zone: str) -> datetime:
    """The first moment later than `after` when it is this time: of any day, or of this weekday (0 is Monday)."""
    day = local_day(after, time_zone)
    if weekday is not None:
        day += timedelta(days=(weekday - day.weekday()) % 7)
    step = timedelta(days=1 if weekday is None else 7)
    while (due := moment(day, at, time_zone)) <= after:
        day += step
    return due


def is_late(due_at: datetime, now: datetime) -> bool:
    """Whether this run has missed its turn."""
    return now - due_at > LATE
