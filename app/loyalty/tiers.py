"""Tiers: which one a member's history earns, how long it lasts, and what the next one takes.

Everything follows from the history alone, so that the order in which it was written, or looked at, does not matter. A
tier is earned while the figure of the period is at least what it needs; in calendar years, until the end of the year
after the one in which it was. It is held while it is earned, and for the days of grace after that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_INSTANT = timedelta(microseconds=1)  # the finest that a moment is kept


@dataclass(frozen=True, slots=True)
class Gain:
    """Something that counts: what was spent (minor units), a visit (1), or points earned. `amount` is not negative."""

    at: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class Period:
    """What counts together: the last `days` (of 24 hours), or with None the calendar year of the zone."""

    days: int | None
    grace_days: int
    time_zone: str

    @property
    def grace(self) -> timedelta:
        return timedelta(days=self.grace_days)

    def counts_after(self, at: datetime) -> datetime:
        """What was gained later than this moment counts at the moment `at`."""
        if self.days is not None:
            return at - timedelta(days=self.days)
        return self._new_year(self._year(at)) - _INSTANT

    def matters_after(self, at: datetime) -> datetime:
        """What was gained later than this moment may tell which tier is held at the moment `at`."""
        earliest = at - self.grace
        if self.days is not None:
            return earliest - timedelta(days=self.days)
        return self._new_year(self._year(earliest) - 1) - _INSTANT

    def figure(self, gains: Iterable[Gain], at: datetime) -> int:
        """What counts at the moment `at`, summed up."""
        after = self.counts_after(at)
        return sum(gain.amount for gain in gains if after < gain.at <= at)

    def figure_falls(self, gains: Iterable[Gain], at: datetime) -> datetime | None:
        """When some of what counts at the moment `at` does so no more; None when nothing counts."""
        after = self.counts_after(at)
        counting = [gain.at for gain in gains if gain.amount and after < gain.at <= at]
        if not counting:
            return None
        return (
            min(counting) + timedelta(days=self.days) if self.days is not None else self._new_year(self._year(at) + 1)
        )

    def night_after(self, moment: datetime) -> datetime:
        """The first midnight of the zone at or after the moment."""
        day = (moment.astimezone(ZoneInfo(self.time_zone)) - _INSTANT).date() + timedelta(days=1)
        return datetime.combine(day, time.min, tzinfo=ZoneInfo(self.time_zone)).astimezone(UTC)

    def earned_until(self, gains: Sequence[Gain], needs: int, at: datetime) -> datetime | None:
        """Until when (not included) a tier that needs so much, more than 0, is earned by what was gained until `at`;
        a moment that is over when it no longer is, None when it never was."""
        known = [gain for gain in gains if gain.at <= at]
        return self._rolling(known, needs) if self.days is not None else self._yearly(known, needs)

    def _rolling(self, gains: Sequence[Gain], needs: int) -> datetime | None:
        changes: dict[datetime, int] = {}
        for gain in gains:
            over = gain.at + timedelta(days=self.days or 0)
            changes[gain.at] = changes.get(gain.at, 0) + gain.amount
            changes[over] = changes.get(over, 0) - gain.amount
        figure, earned, until = 0, False, None
        for moment in sorted(changes):
            figure += changes[moment]
            if earned and figure < needs:
                until = moment
            earned = figure >= needs
        return until

    def _yearly(self, gains: Sequence[Gain], needs: int) -> datetime | None:
        years: dict[int, int] = {}
        for gain in gains:
            year = self._year(gain.at)
            years[year] = years.get(year, 0) + gain.amount
        reached = [year for year, figure in years.items() if figure >= needs]
        return self._new_year(max(reached) + 2) if reached else None

    def _year(self, at: datetime) -> int:
        return at.astimezone(ZoneInfo(self.time_zone)).year

    def _new_year(self, year: int) -> datetime:
        return datetime.combine(date(year, 1, 1), time.min, tzinfo=ZoneInfo(self.time_zone)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Standing:
    """The tier that a member holds, by its place on the ladder; None is none.

    It is lost at `until` unless more is gained before that; None: never, or there is none to lose.
    """

    place: int | None
    until: datetime | None = None


def standing(ladder: Sequence[int], gains: Sequence[Gain], period: Period, at: datetime) -> Standing:
    """Where these gains lead to at the moment `at`. `ladder`: what each tier needs, the lowest first."""
    for place in reversed(range(len(ladder))):
        if ladder[place] <= 0:
            return Standing(place)
        earned_until = period.earned_until(gains, ladder[place], at)
        if earned_until is not None and earned_until + period.grace > at:
            return Standing(place, earned_until + period.grace)
    return Standing(None)


def look_at(
    ladder: Sequence[int], gains: Sequence[Gain], period: Period, at: datetime, now: Standing
) -> datetime | None:
    """When to look again at who stands so `now` and gains nothing: when the tier is lost, or in the night after more is
    missing to the next one. None: nothing changes any more."""
    falls = None if now.place == len(ladder) - 1 else period.figure_falls(gains, at)
    looks = [now.until, period.night_after(falls) if falls else None]
    return min((moment for moment in looks if moment is not None), default=None)


def missing(ladder: Sequence[int], place: int | None, figure: int) -> int | None:
    """How much more than `figure` the tier above the one at `place` takes; None when there is none above."""
    above = 0 if place is None else place + 1
    return max(ladder[above] - figure, 0) if above < len(ladder) else None
