"""When stamps count more than once: windows of weekdays, hours, days and places, by the programme's own clock."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """One rule, as app.db.stamps.DoubleWindow has it. Nothing in a field is no limit."""

    factor: int
    weekdays: frozenset[int] = frozenset()
    from_time: time | None = None
    until_time: time | None = None
    first_day: date | None = None
    last_day: date | None = None
    location_ids: frozenset[UUID] = frozenset()


def holds(window: Window, at: datetime, time_zone: str, location_id: UUID | None = None) -> bool:
    """Whether the window is open at the moment `at`, for a purchase at this location (None: nobody knows where).

    It opens when the clock on the wall first shows `from_time` and closes when it next shows `until_time`, or would: a
    time that summer time skips is the moment of the change, and an hour that comes twice is one stretch of two hours.
    """
    if window.location_ids and location_id not in window.location_ids:
        return False
    zone = ZoneInfo(time_zone)
    today = at.astimezone(zone).date()
    # Clocks that go back over midnight show yesterday once more when today's window has begun.
    return any(_open(window, day, at, zone) for day in (today - _A_DAY, today, today + _A_DAY))


def factor(
    windows: Iterable[Window],
    at: datetime,
    time_zone: str,
    location_id: UUID | None = None,
    double_until: datetime | None = None,
) -> int:
    """How many times stamps count: the highest of all windows that are open, and of a campaign's double stamps. They
    are not multiplied."""
    campaign = 2 if double_until is not None and at < double_until else 1
    return max([campaign, *(window.factor for window in windows if holds(window, at, time_zone, location_id))])


def _open(window: Window, day: date, at: datetime, zone: ZoneInfo) -> bool:
    """Whether the window that begins on this day is open."""
    if window.weekdays and day.weekday() not in window.weekdays:
        return False
    if (window.first_day and day < window.first_day) or (window.last_day and day > window.last_day):
        return False
    begins = datetime.combine(day, window.from_time or time.min)
    ends = datetime.combine(day, window.until_time or time.min)
    if ends <= begins:
        ends += _A_DAY
    return _reached(begins, at, zone) and not _reached(ends, at, zone)


def _reached(wall: datetime, at: datetime, zone: ZoneInfo) -> bool:
    """Whether clocks of this zone have shown `wall`, or something later, by the moment `at`."""
    shown = at.astimezone(zone).replace(tzinfo=None)
    return shown >= wall or at >= wall.replace(tzinfo=zone).astimezone(UTC)
