"""From answers to one figure, and when somebody may be asked."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.nps import ANSWERABLE, CHANGEABLE, Group, Tally, group_of, is_due, is_open, tally

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
tallies = st.builds(Tally, *(st.integers(0, 1000) for _ in range(3)))


@pytest.mark.parametrize(
    ("score", "group"),
    [(0, Group.DETRACTOR), (6, Group.DETRACTOR), (7, Group.PASSIVE), (8, Group.PASSIVE), (9, Group.PROMOTER)],
)
def test_answers_are_grouped_as_everywhere(score: int, group: Group):
    assert group == group_of(score)


@pytest.mark.parametrize("score", [-1, 11])
def test_other_numbers_are_no_answers(score: int):
    with pytest.raises(ValueError, match="between"):
        group_of(score)


@given(st.lists(st.integers(0, 10), min_size=1))
def test_the_figure_is_the_share_of_promoters_less_that_of_detractors(scores: list[int]):
    found = tally((score, 1) for score in scores)
    assert len(scores) == found.answers
    exact = Fraction(100 * (sum(s >= 9 for s in scores) - sum(s <= 6 for s in scores)), len(scores))
    assert found.score is not None
    assert abs(found.score - exact) <= Fraction(1, 2)
    assert -100 <= found.score <= 100


@given(tallies)
def test_the_figure_turns_round_with_its_answers(one: Tally):
    turned = Tally(one.detractors, one.passives, one.promoters)
    assert one.score == (None if turned.score is None else -turned.score)


@given(tallies, tallies)
def test_sums_of_answers_add_up(one: Tally, other: Tally):
    assert (one + other).answers == one.answers + other.answers


def test_without_answers_there_is_no_figure():
    assert Tally().score is None


def test_nobody_is_asked_within_the_period():
    assert is_due(None, 30, NOW)
    assert not is_due(NOW - timedelta(days=30) + timedelta(seconds=1), 30, NOW)
    assert is_due(NOW - timedelta(days=30), 30, NOW)


def test_a_question_is_open_for_a_time_and_an_answer_for_a_day():
    assert is_open(NOW, None, NOW + ANSWERABLE - timedelta(seconds=1))
    assert not is_open(NOW, None, NOW + ANSWERABLE)
    assert is_open(NOW, NOW, NOW + CHANGEABLE - timedelta(seconds=1))
    assert not is_open(NOW, NOW, NOW + CHANGEABLE)
