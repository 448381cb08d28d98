"""When stamps count more than once: by the clock on the wall, minute by minute, also when it is changed."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.loyalty.windows import Window, factor, holds

HELSINKI = "Europe/Helsinki"
HERE, THERE = UUID(int=1), UUID(int=2)
# Zone, and the UTC day on which its clocks change: forwards and backwards, at 2, 3 and 4 in the morning, over midnight,
# and by half an hour.
CHANGES = [
    (HELSINKI, date(2027, 3, 28)),
    (HELSINKI, date(2027, 10, 31)),
    ("Europe/Berlin", date(2027, 3, 28)),
    ("Europe/Berlin", date(2027, 10, 31)),
    ("America/Havana", date(2027, 3, 14)),
    ("America/Havana", date(2027, 11, 7)),
    ("Asia/Beirut", date(2027, 3, 28)),
    ("Asia/Beirut", date(2027, 10, 30)),
    ("America/St_Johns", date(2006, 10, 29)),
    ("Australia/Lord_Howe", date(2027, 4, 3)),
    ("Asia/Tehran", date(2022, 3, 21)),
    ("Asia/Tehran", date(2022, 9, 21)),
]
ZONES = {zone: ZoneInfo(zone) for zone, _ in CHANGES}
TIMES = st.builds(lambda half: time(half // 2, 30 * (half % 2)), st.integers(0, 47))
WINDOWS = st.builds(
    Window,
    st.integers(2, 10),
    st.frozensets(st.integers(0, 6), max_size=4),
    st.none() | TIMES,
    st.none() | TIMES,
)


def somebody_at_the_wall(window: Window, zone: str, since: datetime, minutes: int) -> list[bool]:
    """Whether the window is open in each minute, as who watches a clock on the wall notes it: each day's window
    opens when the clock first shows its beginning or something later, and closes when it next does so for its end."""
    watched_from = since - timedelta(days=3)
    days: dict[date, list[datetime]] = {}
    opened: set[date] = set()
    closed: set[date] = set()
    notes = []
    for minute in range(3 * 24 * 60 + minutes):
        at = watched_from + timedelta(minutes=minute)
        wall = at.astimezone(ZONES[zone]).replace(tzinfo=None)
        today = wall.date()
        if today not in days:
            begins = datetime.combine(today, window.from_time or time())
            ends = datetime.combine(today, window.until_time or time())
            days[today] = [begins, ends if ends > begins else ends + timedelta(days=1)]
        for day, (begins, ends) in days.items():
            opened |= {day} if wall >= begins else set()
            closed |= {day} if wall >= ends else set()
        now = {day for day in opened - closed if not window.weekdays or day.weekday() in window.weekdays}
        if at >= since:
            notes.append(bool(now))
    return notes


@settings(max_examples=60)
@given(st.sampled_from(CHANGES), WINDOWS)
@example((HELSINKI, date(2027, 10, 31)), Window(2, frozenset({5}), time(22), time(3)))
@example(("Europe/Berlin", date(2027, 10, 31)), Window(2, frozenset({5}), time(22), time(3)))
@example(("Europe/Berlin", date(2027, 3, 28)), Window(2, frozenset({5}), time(2, 30), time(2, 30)))
def test_a_window_is_open_in_the_minutes_in_which_the_clock_on_the_wall_says_so(
    change: tuple[str, date], window: Window
) -> None:
    zone, day = change
    since = datetime.combine(day - timedelta(days=1), time(12), tzinfo=UTC)
    expected = somebody_at_the_wall(window, zone, since, 2 * 24 * 60)
    found = [holds(window, since + timedelta(minutes=minute), zone) for minute in range(2 * 24 * 60)]
    assert expected == found


@pytest.mark.parametrize(
    ("day", "until"),
    [
        (date(2027, 6, 5), datetime(2027, 6, 6, 0, tzinfo=UTC)),
        (date(2027, 3, 27), datetime(2027, 3, 28, 1, tzinfo=UTC)),  # at 3 clocks show 4: the night is over then
        (date(2027, 10, 30), datetime(2027, 10, 31, 0, tzinfo=UTC)),  # 3 comes twice: the night is over at the first
    ],
)
def test_a_night_of_double_stamps_until_three_ends_at_three_also_when_summer_time_begins_or_ends(
    day: date, until: datetime
) -> None:
    night = Window(2, frozenset({5}), time(22), time(3))
    second = timedelta(seconds=1)
    begins = datetime.combine(day, time(22), tzinfo=ZoneInfo(HELSINKI)).astimezone(UTC)
    found = [holds(night, at, HELSINKI) for at in (begins - second, begins, until - second, until)]
    assert [False, True, True, False] == found


def test_a_night_belongs_to_the_day_on_which_it_began() -> None:
    last_night = Window(
        2, from_time=time(22), until_time=time(3), last_day=date(2027, 6, 5), first_day=date(2027, 6, 5)
    )
    zone = ZoneInfo(HELSINKI)
    assert holds(last_night, datetime(2027, 6, 6, 2, 59, tzinfo=zone), HELSINKI)
    assert not holds(last_night, datetime(2027, 6, 5, 2, 59, tzinfo=zone), HELSINKI)
    assert not holds(last_night, datetime(2027, 6, 6, 22, tzinfo=zone), HELSINKI)


def test_a_window_of_one_place_is_open_there_alone() -> None:
    window = Window(2, location_ids=frozenset({HERE}))
    at = datetime(2027, 6, 5, 12, tzinfo=UTC)
    assert [True, False, False] == [holds(window, at, HELSINKI, place) for place in (HERE, THERE, None)]


@given(st.lists(st.integers(2, 10), max_size=4), st.booleans())
def test_the_highest_factor_counts_and_none_is_multiplied_with_another(factors: list[int], campaign: bool) -> None:
    at = datetime(2027, 6, 5, 12, tzinfo=UTC)
    until = at + timedelta(seconds=1) if campaign else at
    found = factor([Window(times) for times in factors], at, HELSINKI, None, until)
    assert max([*factors, 2 if campaign else 1]) == found
