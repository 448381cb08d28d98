"""The rules of credit: what a bill takes, and from when until when it pays; and a day in a member's calendar."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.i18n import translator
from app.loyalty.credit import Taking, day_of, last_day, taking, validity

ZONES = ("Europe/Helsinki", "Asia/Tehran", "Africa/Cairo", "America/Santiago", "Atlantic/Azores", "Pacific/Apia", "UTC")
AMOUNTS = st.integers(1, 10**12)


def test_a_bill_takes_no_more_than_it_is():
    assert Taking(used=400, left=850, lapsing=0) == taking(1250, 400, partial_use=True)


def test_a_bill_takes_no_more_than_there_is():
    assert Taking(used=1250, left=0, lapsing=0) == taking(1250, 9900, partial_use=True)


def test_what_a_bill_leaves_lapses_where_credit_is_used_once():
    assert Taking(used=400, left=0, lapsing=850) == taking(1250, 400, partial_use=False)


@given(AMOUNTS, AMOUNTS, st.booleans())
def test_nothing_is_lost_or_made_when_a_bill_is_paid(balance: int, bill: int, partial_use: bool):
    taken = taking(balance, bill, partial_use=partial_use)
    assert balance == taken.used + taken.left + taken.lapsing
    assert 0 < taken.used <= bill
    assert min(taken.left, taken.lapsing) == 0


@given(st.dates(date(2020, 1, 1), date(2035, 12, 31)), st.integers(0, 400), st.sampled_from(ZONES))
def test_a_credit_pays_on_its_first_and_last_day_and_not_outside(first: date, days: int, zone: str):
    last = first + timedelta(days=days)
    valid_from, expires_at = validity(first, last, zone)
    a_moment = timedelta(microseconds=1)
    assert (first - timedelta(days=1), first) == (day_of(valid_from - a_moment, zone), day_of(valid_from, zone))
    assert (last, last + timedelta(days=1)) == (last_day(expires_at, zone), day_of(expires_at, zone))


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2027, 3, 28), 23), (date(2027, 10, 31), 25), (date(2027, 6, 15), 24)], ids=str
)
def test_a_credit_of_one_day_lasts_as_long_as_the_day(day: date, hours: int):
    valid_from, expires_at = validity(day, day, "Europe/Helsinki")
    assert timedelta(hours=hours) == expires_at - valid_from


def test_a_credit_begins_with_a_day_that_has_no_midnight():
    """In Cairo summer time begins at midnight: the clock goes from 23:59 to 01:00."""
    valid_from, _ = validity(date(2027, 4, 30), date(2027, 5, 30), "Africa/Cairo")
    assert datetime(2027, 4, 29, 22, tzinfo=UTC) == valid_from
    assert 1 == valid_from.astimezone(ZoneInfo("Africa/Cairo")).hour


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", "31 Dec 2026"), ("fi", "31.12.2026"), ("ru", "31 дек. 2026 г."), ("fa", "۱۰ دی ۱۴۰۵")],
)
def test_a_short_day_is_in_the_members_calendar_and_digits(language: str, expected: str):
    assert expected == translator(language).short_date(date(2026, 12, 31)).replace("\N{NARROW NO-BREAK SPACE}", " ")
