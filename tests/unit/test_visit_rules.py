"""Which visits count, whatever the order in which doors tell of them, and what they give."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.visits import OLDEST, Step, counted, in_the_way, is_due, left_to, moment_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MOMENTS = st.lists(st.integers(0, 72 * 60).map(lambda minutes: NOON + timedelta(minutes=minutes)), max_size=12)
APART = st.integers(0, 30).map(lambda hours: timedelta(hours=hours))


def told(order: list[datetime], apart: timedelta) -> int:
    """How many visits count when they are told of in this order."""
    known: list[datetime] = []
    number = 0
    for moment in order:
        number += in_the_way(known, moment, apart) is None
        known.append(moment)
    return number


@given(st.data(), MOMENTS, APART)
def test_any_order_of_arrival_counts_the_same_number_of_visits(
    st_data: st.DataObject, moments: list[datetime], apart: timedelta
):
    order = st_data.draw(st.permutations(moments))
    assert len(counted(moments, apart)) == told(order, apart)


@given(MOMENTS, APART)
def test_visits_that_count_are_the_set_hours_apart_and_no_choice_of_them_is_larger(moments, apart):
    kept = counted(moments, apart)
    assert all(later - earlier >= apart for earlier, later in pairwise(kept))
    longest: list[int] = []  # the largest choice that ends with each moment, found the slow way
    ordered = sorted(moments)
    for place, moment in enumerate(ordered):
        before = [longest[other] for other in range(place) if moment - ordered[other] >= apart]
        longest.append(1 + max(before, default=0))
    assert max(longest, default=0) == len(kept)


@given(MOMENTS, APART, st.integers(0, 72 * 60))
def test_what_is_in_the_way_of_a_visit_is_one_that_counts(moments, apart, minutes):
    moment = NOON + timedelta(minutes=minutes)
    found = in_the_way(moments, moment, apart)
    assert found is None or found in counted(moments, apart)


def test_a_second_visit_counts_from_the_very_moment_that_the_hours_are_over():
    apart = timedelta(hours=12)
    assert NOON == in_the_way([NOON], NOON + apart - timedelta(seconds=1), apart)
    assert in_the_way([NOON], NOON + apart, apart) is None


def test_the_later_of_two_visits_is_the_one_in_the_way_of_an_earlier_one_that_is_told_late():
    assert NOON == in_the_way([NOON], NOON - timedelta(hours=1), timedelta(hours=12))


@given(st.integers(-90, 90), st.integers(0, 40 * 24 * 60))
def test_a_wrong_clock_on_the_device_does_not_move_a_visit(days_wrong: int, minutes_ago: int):
    wrong, ago = timedelta(days=days_wrong), timedelta(minutes=minutes_ago)
    expected = NOON - ago if ago <= OLDEST else None
    assert expected == moment_of(NOON - ago + wrong, NOON + wrong, NOON)


def test_a_moment_that_has_not_come_yet_is_now():
    assert NOON == moment_of(NOON + timedelta(hours=3), None, NOON)
    assert NOON == moment_of(NOON + timedelta(seconds=90), NOON + timedelta(seconds=90), NOON)


def test_without_a_moment_it_is_now():
    assert NOON == moment_of(None, None, NOON)


@given(st.integers(1, 30), st.integers(1, 200))
def test_every_nth_visit_is_due_as_often_as_the_visits_are_full(at_visit: int, visits: int):
    step = Step(at_visit, every=True)
    assert visits // at_visit == sum(is_due(step, number) for number in range(1, visits + 1))


@given(st.integers(1, 30), st.booleans(), st.integers(0, 200))
def test_after_as_many_visits_as_are_left_the_reward_is_due_and_not_before(at_visit: int, every: bool, visits: int):
    step = Step(at_visit, every)
    left = left_to(step, visits)
    if left is None:
        assert not any(is_due(step, number) for number in range(visits + 1, visits + 100))
    else:
        assert [left] == [n for n in range(1, left + 1) if is_due(step, visits + n)]
