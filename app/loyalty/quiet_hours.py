"""Quiet hours: when offers may be sent, by the clock on the programme's wall."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Quiet from `start` until `end` of each day, usually over midnight. The same time twice: it is never quiet."""

    start: time
    end: time
    time_zone: str

    def are_on(self, at: datetime) -> bool:
        """Whether it is quiet at this moment."""
        wall = at.astimezone(ZoneInfo(self.time_zone)).time()
        if self.start <= self.end:
            return self.start <= wall < self.end
        return wall >= self.start or wall < self.end

    def held_until(self, at: datetime) -> datetime | None:
        """When the hours end, in UTC, if it is quiet at this moment; None when it is not.

        An end that the clock skips in spring comes as much later as it skips; one that it shows twice in autumn comes
        with the first.
        """
        if not self.are_on(at):
            return None
        zone = ZoneInfo(self.time_zone)
        today = at.astimezone(zone).date()
        ends = [
            datetime.combine(today + timedelta(days=days), self.end, zone).replace(fold=fold).astimezone(UTC)
            for days in (0, 1, 2)
            for fold in (0, 1)
        ]
        return min(end for end in ends if end >= at and not self.are_on(end))


def day_after(at: datetime, time_zone: str) -> datetime:
    """When the next day begins in this zone, in UTC."""
    zone = ZoneInfo(time_zone)
    tomorrow = at.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), zone).astimezone(UTC)
