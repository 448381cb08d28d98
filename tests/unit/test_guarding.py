"""An odd pattern is shown first, and blocks when it comes again after the manager had time to look."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.guarding import DEFAULTS, MEMORY, Rule, Step, step

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_every_rule_has_a_default():
    assert set(Rule) == set(DEFAULTS)


def test_the_first_time_is_shown():
    assert Step.SHOW == step(None, HOUR, AT)


def test_what_goes_on_within_the_window_is_the_same_occurrence():
    assert Step.GO_ON == step(AT, HOUR, AT + HOUR)


def test_the_next_time_is_blocked():
    assert Step.BLOCK == step(AT, HOUR, AT + HOUR + timedelta(seconds=1))


def test_what_is_long_ago_is_shown_anew():
    assert Step.SHOW == step(AT, HOUR, AT + MEMORY + timedelta(seconds=1))


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=90)))
def test_nobody_is_blocked_who_was_not_shown_a_window_ago(since: timedelta):
    blocked = step(AT - since, HOUR, AT) is Step.BLOCK
    assert blocked == (HOUR < since <= MEMORY)
