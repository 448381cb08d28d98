"""How long a sending takes at the sender's pace, when nothing goes out in quiet hours."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.loyalty.quiet_hours import QuietHours

_MOST_DAYS = 366


def ends_at(begin: datetime, lasts: timedelta, quiet: QuietHours) -> datetime | None:
    """When a sending that begins at `begin` and takes `lasts`, quiet hours not counted, is over, in UTC.

    None when that is more than a year ahead.
    """
    at, left = quiet.held_until(begin) or begin, lasts
    for _ in range(_MOST_DAYS):
        closes = _closes(at, quiet)
        if closes is None or at + left <= closes:
            return (at + left).astimezone(UTC)
        left -= closes - at
        at = quiet.held_until(closes) or closes
    return None


def _closes(at: datetime, quiet: QuietHours) -> datetime | None:
    """The next moment after `at` when it becomes quiet; None when it is never quiet."""
    if quiet.start == quiet.end:
        return None
    zone = ZoneInfo(quiet.time_zone)
    today = at.astimezone(zone).date()
    starts = (datetime.combine(today + timedelta(days=days), quiet.start, zone).astimezone(UTC) for days in range(3))
    return min(start for start in starts if start > at)
