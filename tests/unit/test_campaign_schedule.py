"""When campaigns that repeat are due: by the wall clock, across summer time, and never twice for one day."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.campaign_schedule import day_bounds, is_late, local_day, moment, next_due

HELSINKI = "Europe/Helsinki"
ZONES = st.sampled_from([HELSINKI, "America/New_York", "Asia/Tehran", "Australia/Lord_Howe", "UTC"])
MOMENTS = st.integers(1_577_836_800, 2_051_222_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
TIMES = st.builds(time, st.integers(0, 23), st.integers(0, 59))


def test_a_time_that_summer_time_skips_comes_as_much_later_as_it_skips():
    due = next_due(datetime(2027, 3, 27, 12, tzinfo=UTC), time(3, 30), None, HELSINKI)
    assert datetime(2027, 3, 28, 1, 30, tzinfo=UTC) == due
    assert time(4, 30) == due.astimezone(ZoneInfo(HELSINKI)).time()


def test_a_time_that_comes_twice_is_due_once_at_its_first():
    first = next_due(datetime(2027, 10, 30, 12, tzinfo=UTC), time(3, 30), None, HELSINKI)
    assert datetime(2027, 10, 31, 0, 30, tzinfo=UTC) == first
    assert datetime(2027, 11, 1, 1, 30, tzinfo=UTC) == next_due(first, time(3, 30), None, HELSINKI)


def test_monday_at_nine_is_at_nine_before_and_after_the_clocks_change():
    before = next_due(datetime(2027, 3, 20, tzinfo=UTC), time(9), 0, HELSINKI)
    after = next_due(before, time(9), 0, HELSINKI)
    assert [7, 6] == [before.hour, after.hour]
    assert timedelta(days=7, hours=-1) == after - before


def test_days_of_the_clocks_change_are_23_and_25_hours_long():
    lengths = [end - start for start, end in (day_bounds(date(2027, *day), HELSINKI) for day in ((3, 28), (10, 31)))]
    assert [timedelta(hours=23), timedelta(hours=25)] == lengths


def test_late_is_more_than_six_hours():
    due = datetime(2027, 6, 1, 10, tzinfo=UTC)
    assert [False, True] == [is_late(due, due + timedelta(hours=6, seconds=more)) for more in (0, 1)]


@given(MOMENTS, TIMES, st.one_of(st.none(), st.integers(0, 6)), ZONES)
def test_the_next_is_later_on_the_right_day_and_none_is_left_out(after, at, weekday, zone):
    due = next_due(after, at, weekday, zone)
    day = local_day(due, zone)
    assert due > after
    assert due - after <= timedelta(days=8 if weekday is not None else 2)
    assert weekday in (None, day.weekday())
    assert due == moment(day, at, zone)
    earlier = moment(day - timedelta(days=7 if weekday is not None else 1), at, zone)
    assert earlier <= after


@given(MOMENTS, TIMES, ZONES)
def test_each_day_has_one_run(after, at, zone):
    dues = [next_due(after, at, None, zone)]
    for _ in range(20):
        dues.append(next_due(dues[-1], at, None, zone))
    days = [local_day(due, zone) for due in dues]
    assert [days[0] + timedelta(days=number) for number in range(21)] == days
