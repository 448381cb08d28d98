"""Shares of people compared."""

from decimal import Decimal
from math import sqrt

from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.shares import Difference, Share, Verdict, compare


def test_shares_are_per_100_with_one_decimal():
    assert (Decimal("33.3"), Decimal("0.1"), Decimal("100.0"), None) == (
        Share(1, 3).per_100,
        Share(1, 2000).per_100,  # half a tenth is rounded up
        Share(7, 7).per_100,
        Share(0, 0).per_100,
    )


def test_of_too_few_nothing_is_said():
    assert Difference(Verdict.TOO_FEW) == compare(Share(99, 99), Share(0, 1000))
    assert Difference(Verdict.TOO_FEW) == compare(Share(900, 1000), Share(0, 99))
    assert Difference(Verdict.TOO_FEW) == compare(Share(9, 1000), Share(0, 1000))
    assert Verdict.TOO_FEW is not compare(Share(10, 100), Share(0, 100)).verdict


def test_what_may_be_chance_is_called_so():
    assert Difference(Verdict.CHANCE, Decimal("-4.1"), Decimal("5.5")) == compare(Share(120, 1000), Share(22, 200))


def test_a_clear_difference_is_told_with_its_bounds():
    assert Difference(Verdict.MORE, Decimal("6.9"), Decimal("13.1")) == compare(Share(200, 1000), Share(100, 1000))
    assert Difference(Verdict.FEWER, Decimal("-13.1"), Decimal("-6.9")) == compare(Share(100, 1000), Share(200, 1000))


@given(st.integers(100, 10**6), st.integers(100, 10**6), st.data())
def test_turning_the_groups_round_turns_the_answer_round(one: int, two: int, data: st.DataObject):
    first, second = (Share(data.draw(st.integers(0, people)), people) for people in (one, two))
    there, back = compare(first, second), compare(second, first)
    assert (there.low, there.high) == (-back.high, -back.low)
    turned = {Verdict.MORE: Verdict.FEWER, Verdict.FEWER: Verdict.MORE}
    assert turned.get(there.verdict, there.verdict) is back.verdict


@given(st.integers(100, 10**6), st.integers(100, 10**6), st.data())
def test_the_bounds_are_those_of_the_paper(one: int, two: int, data: st.DataObject):
    first, second = (Share(data.draw(st.integers(10, people)), people) for people in (one, two))
    parts = [(share.did + 1) / (share.people + 2) for share in (first, second)]
    spread = sum(part * (1 - part) / (share.people + 2) for part, share in zip(parts, (first, second), strict=True))
    expected = 100 * (parts[0] - parts[1] - 1.96 * sqrt(spread))
    assert abs(expected - float(compare(first, second).low)) <= 0.0501
