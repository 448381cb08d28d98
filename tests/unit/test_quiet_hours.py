"""Quiet hours hold offers by the clock on the wall, whatever summer time does to it."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.quiet_hours import QuietHours, day_after

HELSINKI = "Europe/Helsinki"
NIGHT = QuietHours(time(21), time(8), HELSINKI)
ZONES = st.sampled_from(
    [HELSINKI, "Asia/Tehran", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]
)
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 6 * 366 * 24 * 3600).map(lambda seconds: FIRST + timedelta(seconds=seconds))
HOURS = st.builds(QuietHours, st.times(), st.times(), ZONES)


def wall(day: int, hour: int, minute: int = 0, month: int = 11, fold: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZoneInfo(HELSINKI), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (wall(22, 7, 59), wall(22, 8)),
        (wall(22, 8), None),
        (wall(22, 20, 59), None),
        (wall(22, 21), wall(23, 8)),
        (wall(22, 23, 59), wall(23, 8)),
        (wall(22, 0), wall(22, 8)),
    ],
)
def test_the_night_is_quiet_from_nine_to_eight(at: datetime, until: datetime | None) -> None:
    assert until == NIGHT.held_until(at)


def test_hours_within_a_day_and_none_at_all() -> None:
    siesta = QuietHours(time(13), time(16), HELSINKI)
    assert wall(22, 16) == siesta.held_until(wall(22, 13))
    assert None is siesta.held_until(wall(22, 3))
    never = QuietHours(time(9), time(9), HELSINKI)
    assert {None} == {never.held_until(wall(22, hour)) for hour in range(24)}


def test_the_window_opens_at_eight_on_the_wall_also_when_the_clock_was_set() -> None:
    spring, autumn = wall(28, 22, month=3), wall(24, 22, month=10)
    assert timedelta(hours=9) == (NIGHT.held_until(spring) or spring) - spring
    assert timedelta(hours=11) == (NIGHT.held_until(autumn) or autumn) - autumn


def test_an_end_that_the_clock_skips_or_shows_twice_still_comes() -> None:
    early = QuietHours(time(21), time(3, 30), HELSINKI)
    skipped = early.held_until(wall(29, 2, month=3))
    assert skipped is not None
    assert (4, 30) == (skipped.astimezone(ZoneInfo(HELSINKI)).hour, skipped.astimezone(ZoneInfo(HELSINKI)).minute)
    assert wall(25, 3, 30, month=10) == early.held_until(wall(25, 2, month=10))
    # In the hour that is shown twice it is quiet twice.
    again = wall(25, 3, 30, month=10, fold=1)
    assert again == early.held_until(wall(25, 3, 10, month=10, fold=1))


@given(HOURS, MOMENTS)
def test_what_is_held_goes_when_it_is_no_longer_quiet_and_within_a_day(hours: QuietHours, at: datetime) -> None:
    until = hours.held_until(at)
    assert (until is not None) == hours.are_on(at)
    if until is not None:
        assert at < until <= at + timedelta(hours=26)
        assert not hours.are_on(until)


@given(HOURS, MOMENTS)
def test_nothing_is_held_longer_than_the_quiet_hours_last(hours: QuietHours, at: datetime) -> None:
    """Unless the clock skips their end."""
    until = hours.held_until(at)
    if until is not None and until.astimezone(ZoneInfo(hours.time_zone)).time() == hours.end:
        assert hours.are_on(until - timedelta(microseconds=1))


@given(ZONES, MOMENTS)
def test_the_next_day_begins_after_this_one_has_ended(zone: str, at: datetime) -> None:
    begins = day_after(at, zone)
    assert at < begins <= at + timedelta(hours=26)
    here, there = at.astimezone(ZoneInfo(zone)).date(), begins.astimezone(ZoneInfo(zone)).date()
    assert here + timedelta(days=1) == there
