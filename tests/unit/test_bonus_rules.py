"""The rules of bonus: values in, values out, and no fraction of anything anywhere."""

from datetime import date
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.bonus import (
    SHARE_PER,
    Earn,
    Rate,
    best_rate,
    crossings,
    earned,
    high_water,
    taken_back,
    taking,
)

GOLD, BAR = UUID(int=1), UUID(int=2)
TUESDAY = date(2027, 3, 2)
AMOUNTS = st.integers(0, 10**12)


@pytest.mark.parametrize(
    ("paid", "rate", "per", "expected"),
    [
        (1250, 300, SHARE_PER, 37),  # 3 % of 12.50 is 0.375: rounded down
        (33, 300, SHARE_PER, 0),
        (34, 300, SHARE_PER, 1),
        (1250, 10_000, SHARE_PER, 1250),
        (1250, 1, 100, 12),  # a point for each euro
        (750, 10, 500, 15),  # ten points for each five euros, in proportion
        (-500, 300, SHARE_PER, 0),
    ],
)
def test_a_purchase_earns_its_share_rounded_down(paid, rate, per, expected):
    assert expected == earned(paid, rate, per)


@given(AMOUNTS, st.integers(0, 10_000))
def test_nobody_gets_more_than_the_share_nor_loses_a_whole_unit_of_it(paid: int, rate: int):
    exact = Fraction(paid * rate, SHARE_PER)
    assert 0 <= exact - earned(paid, rate, SHARE_PER) < 1


@given(AMOUNTS, AMOUNTS, st.integers(0, 10_000))
def test_two_bills_never_earn_more_than_one_bill_of_their_sum(first: int, second: int, rate: int):
    apart = earned(first, rate, SHARE_PER) + earned(second, rate, SHARE_PER)
    assert apart <= earned(first + second, rate, SHARE_PER) <= apart + 1


def test_the_highest_rate_that_fits_counts():
    rates = [
        Rate(500, tier_id=GOLD),
        Rate(700, location_id=BAR),
        Rate(900, weekdays=(1,)),
        Rate(1100, first_day=date(2027, 3, 1), last_day=date(2027, 3, 2)),
        Rate(1300, tier_id=GOLD, location_id=BAR, weekdays=(1, 2)),
    ]
    assert 300 == best_rate(300, rates, date(2027, 3, 4))
    assert 500 == best_rate(300, rates, date(2027, 3, 4), tier_id=GOLD)
    assert 700 == best_rate(300, rates, date(2027, 3, 4), location_id=BAR, tier_id=GOLD)
    assert 900 == best_rate(300, rates, date(2027, 3, 9))
    assert 1100 == best_rate(300, rates, TUESDAY)
    assert 1300 == best_rate(300, rates, TUESDAY, location_id=BAR, tier_id=GOLD)


def test_a_lower_rate_than_the_usual_one_never_counts():
    assert 300 == best_rate(300, [Rate(100, tier_id=GOLD)], TUESDAY, tier_id=GOLD)


@given(AMOUNTS, AMOUNTS, st.none() | AMOUNTS)
def test_a_bill_takes_no_more_than_the_bill_the_balance_and_what_is_wanted(balance, bill, wanted):
    taken = taking(balance, bill, wanted)
    assert taken == min(balance, bill, *([] if wanted is None else [wanted]))


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_taking_back_leaves_no_balance_below_zero_and_tells_the_rest(given_: int, lapsed: int, balance: int):
    lapsed = min(lapsed, given_)
    taken, missing = taken_back(given_, lapsed, balance)
    assert 0 <= taken <= balance
    assert given_ == lapsed + taken + missing
    assert missing == 0 or taken == balance


@pytest.mark.parametrize(
    ("threshold", "before", "after", "every", "expected"),
    [
        (100, 0, 99, False, 0),
        (100, 99, 100, False, 1),
        (100, 100, 199, False, 0),
        (100, 0, 350, False, 1),
        (100, 0, 350, True, 3),
        (100, 199, 200, True, 1),
        (100, 350, 120, True, 0),
    ],
)
def test_a_threshold_is_reached_once_or_at_each_multiple(threshold, before, after, every, expected):
    assert expected == crossings(threshold, before, after, every=every)


@given(st.lists(st.integers(1, 300), max_size=20), st.integers(1, 200))
def test_many_small_purchases_reach_as_many_multiples_as_one_large_one(amounts: list[int], threshold: int):
    level = reached = 0
    for amount in amounts:
        reached += crossings(threshold, level, level + amount, every=True)
        level += amount
    assert reached == crossings(threshold, 0, level, every=True)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 80)), max_size=30), st.integers(1, 200), st.booleans())
def test_undoing_and_buying_again_never_gives_what_a_threshold_gives_twice(
    acts: list[tuple[bool, int]], threshold: int, every: bool
):
    """What a purchase gave goes with it when it is undone. So what stands is never more than one for each crossing of
    the highest sum that a standing purchase ever saw."""
    history: list[Earn] = []
    gifts: dict[UUID, int] = {}
    standing: dict[UUID, int] = {}
    level = 0
    for place, (undo, amount) in enumerate(acts, start=1):
        if undo and standing:
            chosen = sorted(standing)[amount % len(standing)]
            level -= standing[chosen]
            history.append(Earn(UUID(int=1000 + place), standing.pop(chosen), reverses_id=chosen))
            gifts.pop(chosen)
            continue
        id = UUID(int=place)
        mark = max(level, high_water(history))
        gifts[id] = crossings(threshold, mark, level + amount, every=every)
        level += amount
        history.append(Earn(id, amount))
        standing[id] = amount
        assert high_water(history) >= level
    assert sum(gifts.values()) <= crossings(threshold, 0, high_water(history), every=every)
