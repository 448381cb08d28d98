"""What a reward takes off a bill, and when and where it may be used."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.loyalty import coupon_codes
from app.loyalty.coupons import Limits, Obstacle, RewardValue, obstacle, reminder, span, takes_off
from app.loyalty.credit import day_of, last_day

HELSINKI = "Europe/Helsinki"
ZONES = st.sampled_from([HELSINKI, "America/New_York", "Asia/Tehran", "Australia/Lord_Howe", "UTC"])
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
DAYS = st.dates(date(2020, 1, 1), date(2035, 1, 1))
HERE, THERE = UUID(int=1), UUID(int=2)
BILLS = st.integers(0, 10**12)


@given(st.sampled_from(RewardValue), st.integers(0, 10**9), BILLS)
def test_no_reward_takes_more_off_than_the_bill(value: RewardValue, amount: int, bill: int):
    assert 0 <= takes_off(value, amount, bill) <= bill


@given(st.integers(0, 10_000), BILLS)
def test_a_share_is_rounded_down_to_whole_minor_units(share: int, bill: int):
    off = takes_off(RewardValue.PERCENT, share, bill)
    assert off * 10_000 <= bill * share < (off + 1) * 10_000


@pytest.mark.parametrize(
    ("value", "amount", "bill", "off"),
    [
        (RewardValue.AMOUNT, 500, 1250, 500),
        (RewardValue.AMOUNT, 500, 320, 320),
        (RewardValue.PERCENT, 2000, 1250, 250),
        (RewardValue.PERCENT, 1250, 333, 41),
        (RewardValue.PERCENT, 10_000, 333, 333),
        (RewardValue.ITEM, 0, 1250, 0),
        (RewardValue.ACCESS, 0, 1250, 0),
    ],
)
def test_what_comes_off_a_bill(value: RewardValue, amount: int, bill: int, off: int):
    assert off == takes_off(value, amount, bill)


@given(MOMENTS, ZONES, st.none() | st.integers(1, 400), st.none() | DAYS, st.none() | DAYS)
def test_a_reward_is_usable_on_the_first_and_the_last_of_its_days_and_on_no_other(
    at: datetime, zone: str, days: int | None, first: date | None, last: date | None
):
    begins, ends = span(at, zone, days, first, last)
    limits = Limits(begins, ends)
    if begins is not None:
        assert begins > at
        assert first == day_of(begins, zone)
        assert obstacle(limits, begins - timedelta(microseconds=1), None, zone) in (Obstacle.NOT_YET, Obstacle.OVER)
    if ends is not None:
        assert obstacle(limits, ends, None, zone) is Obstacle.OVER
        final = last_day(ends, zone)
        assert last is None or final <= last
        if days is not None:
            assert final <= day_of(begins or at, zone) + timedelta(days=days)
    assert (ends is None) == (days is None and last is None)


@given(MOMENTS, st.integers(1, 400))
def test_a_day_of_validity_is_a_whole_day_also_when_the_clock_is_changed(at: datetime, days: int):
    _, ends = span(at, HELSINKI, days, None, None)
    assert ends is not None
    wall = ends.astimezone(ZoneInfo(HELSINKI))
    assert (0, 0) == (wall.hour, wall.minute)
    assert day_of(at, HELSINKI) + timedelta(days=days + 1) == wall.date()


@given(MOMENTS, ZONES, st.sets(st.integers(0, 6)))
def test_a_reward_for_some_days_of_the_week_is_refused_on_the_others(at: datetime, zone: str, weekdays: set[int]):
    today = at.astimezone(ZoneInfo(zone)).weekday()
    found = obstacle(Limits(weekdays=weekdays), at, None, zone)
    assert (None if not weekdays or today in weekdays else Obstacle.OTHER_DAY) == found


def test_a_night_belongs_to_the_day_that_the_shops_clock_shows():
    monday_night = datetime(2026, 11, 23, 21, 59, tzinfo=UTC)  # 23:59 on Monday in Helsinki
    tuesday = monday_night + timedelta(minutes=1)
    limits = Limits(weekdays=[0])
    assert [None, Obstacle.OTHER_DAY] == [
        obstacle(limits, moment, None, HELSINKI) for moment in (monday_night, tuesday)
    ]


@pytest.mark.parametrize(
    ("place", "found"), [(HERE, None), (THERE, Obstacle.OTHER_PLACE), (None, Obstacle.OTHER_PLACE)]
)
def test_a_reward_for_one_place_is_good_there_alone(place: UUID | None, found: Obstacle | None):
    assert found == obstacle(Limits(location_ids=[str(HERE)]), datetime(2026, 11, 22, tzinfo=UTC), place, HELSINKI)


@given(MOMENTS, st.integers(1, 400), st.none() | st.integers(0, 90), ZONES)
def test_nobody_is_reminded_before_they_get_a_reward_or_after_it_lapsed(
    at: datetime, days: int, before: int | None, zone: str
):
    _, ends = span(at, zone, days, None, None)
    moment = reminder(at, ends, before, zone)
    if moment is not None:
        assert ends is not None
        assert at < moment < ends
        assert before == (last_day(ends, zone) - day_of(moment, zone)).days


@given(st.uuids(), st.integers(0, 2**coupon_codes.SEAL_BITS - 1), st.booleans())
def test_a_coupons_code_names_its_reward_however_it_is_typed(reward_id: UUID, seal: int, typed: bool):
    code = coupon_codes.code_of(reward_id, seal)
    found = coupon_codes.read(f" {code[:9].lower()}-{code[9:]} " if typed else code)
    assert (reward_id, code) == found


@pytest.mark.parametrize("text", ["", "R", "7K3M9QX2V8T4HJ5N", "R" * 35, "+358401234567", "R" + "Z" * 34])
def test_what_is_no_coupons_code_is_read_as_none(text: str):
    assert coupon_codes.read(text) is None
