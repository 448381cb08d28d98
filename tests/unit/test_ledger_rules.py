"""The ledger's arithmetic, and the stamp card's rules: values in, values out."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.ledger import Entry, LedgerError, balance, came_from, lapsed, lots, next_lapse
from app.loyalty.stamps import Obstacle, StampRules, full_cards, lasts_until, obstacle

START = datetime(2027, 1, 1, 12, tzinfo=UTC)
RULES = StampRules(needed=10, time_zone="Europe/Helsinki")


def number(value: int) -> UUID:
    return UUID(int=value)


def earn(value: int, amount: int, days: int | None = None) -> Entry:
    return Entry(number(value), amount, START + timedelta(days=days) if days is not None else None)


def spend(value: int, amount: int) -> Entry:
    return Entry(number(value), -amount)


def undo(value: int, of: Entry) -> Entry:
    return Entry(number(value), -of.amount, reverses_id=of.id)


def left(entries: list[Entry]) -> list[tuple[int, int]]:
    return [(lot.entry_id.int, lot.left) for lot in lots(entries)]


def test_spending_takes_what_lapses_first():
    assert [(1, 1), (2, 3)] == left([earn(1, 5, days=30), earn(2, 3), earn(3, 2, days=10), spend(4, 6)])


def test_what_never_lapses_is_spent_last():
    assert [(1, 4)] == left([earn(1, 5), earn(2, 2, days=90), spend(3, 3)])


def test_undoing_a_spend_gives_back_to_the_lots_it_took_from():
    taken = spend(4, 6)
    entries = [earn(1, 5, days=30), earn(2, 3), earn(3, 2, days=10), taken]
    assert [(3, 2), (1, 5), (2, 3)] == left([*entries, undo(5, taken)])


def test_undoing_an_earn_closes_its_own_lot():
    given_first = earn(1, 2, days=5)
    assert [(2, 3)] == left([given_first, earn(2, 3, days=9), undo(3, given_first)])


def test_undoing_an_earn_that_was_partly_spent_takes_the_rest_from_the_others():
    given_first = earn(1, 2, days=5)
    assert [(2, 2)] == left([given_first, earn(2, 3, days=9), spend(3, 1), undo(4, given_first)])


def test_undoing_less_than_a_spend_gives_back_to_the_lots_that_still_live():
    taken = spend(3, 4)
    entries = [earn(1, 3, days=1), earn(2, 3), taken, earn(4, 1), Entry(number(5), 0, reverses_id=number(9))]
    assert {number(1): 3, number(2): 1} == came_from(entries, taken.id)
    entries = [earn(1, 5, days=1), taken, Entry(number(6), -1, lot_id=number(1)), earn(2, 3)]
    assert {number(1): 4} == came_from(entries, taken.id)
    assert [(2, 3)] == left([*entries, Entry(number(7), 0, reverses_id=taken.id)])


def test_undoing_an_earn_may_take_only_what_is_left():
    given_first = earn(1, 5)
    entries = [given_first, spend(2, 3), Entry(number(3), -2, reverses_id=given_first.id)]
    assert ([], 0) == (left(entries), balance(entries))


def test_an_expiry_closes_the_rest_of_its_lot():
    entries = [earn(1, 5, days=1), spend(2, 2), Entry(number(3), -3, lot_id=number(1)), earn(4, 1)]
    assert [(4, 1)] == left(entries)
    assert 1 == balance(entries)


@pytest.mark.parametrize(
    "entries",
    [
        [earn(1, 2), spend(2, 3)],
        [earn(1, 2), Entry(number(2), -1, lot_id=number(1))],
        [earn(1, 2), Entry(number(2), 1, reverses_id=number(9))],
    ],
    ids=["spent more than earned", "an expiry of less than the rest", "an undo of nothing"],
)
def test_entries_that_contradict_each_other_are_told(entries: list[Entry]):
    with pytest.raises(LedgerError):
        lots(entries)


def test_a_lot_lives_until_the_moment_it_lapses():
    living = lots([earn(1, 1, days=1)])
    moment = START + timedelta(days=1)
    assert [] == lapsed(living, moment - timedelta(microseconds=1))
    assert living == lapsed(living, moment)
    assert moment == next_lapse(living)


@given(st.lists(st.tuples(st.sampled_from(["earn", "spend", "undo", "expire"]), st.integers(0, 40)), max_size=40))
def test_any_history_leaves_lots_that_add_up_to_the_balance(acts: list[tuple[str, int]]):
    entries: list[Entry] = []
    undone: set[UUID] = set()
    for place, (act, amount) in enumerate(acts, start=1):
        living = lots(entries)
        held = sum(lot.left for lot in living)
        if act == "earn" and amount:
            entries.append(earn(place, amount, days=amount if amount % 3 else None))
        elif act == "spend" and 0 < amount <= held:
            entries.append(spend(place, amount))
        elif act == "expire" and living:
            lot = living[amount % len(living)]
            entries.append(Entry(number(place), -lot.left, lot_id=lot.entry_id))
        elif act == "undo":
            candidates = [
                entry
                for entry in entries
                if not entry.lot_id and not entry.reverses_id and entry.id not in undone and entry.amount <= held
            ]
            if candidates:
                chosen = candidates[amount % len(candidates)]
                undone.add(chosen.id)
                entries.append(undo(place, chosen))
        remaining = lots(entries)
        assert balance(entries) == sum(lot.left for lot in remaining)
        assert all(lot.left > 0 for lot in remaining)


@pytest.mark.parametrize(
    ("rules", "count", "amount", "expected"),
    [
        (RULES, 1, None, None),
        (RULES, 0, None, Obstacle.TOO_FEW),
        (RULES, -1, None, Obstacle.TOO_FEW),
        (RULES, 20, None, None),
        (RULES, 21, None, Obstacle.TOO_MANY),
        (StampRules(10, "Europe/Helsinki", smallest_purchase_minor=350), 1, None, Obstacle.PURCHASE_UNKNOWN),
        (StampRules(10, "Europe/Helsinki", smallest_purchase_minor=350), 1, 349, Obstacle.PURCHASE_TOO_SMALL),
        (StampRules(10, "Europe/Helsinki", smallest_purchase_minor=350), 1, 350, None),
    ],
)
def test_a_stamp_is_given_only_within_the_rules(rules, count, amount, expected):
    assert expected == obstacle(rules, count, amount, START)


def test_the_programme_starts_at_midnight_where_the_shop_is():
    rules = StampRules(10, "Europe/Helsinki", starts_on=date(2027, 1, 2))
    midnight = datetime(2027, 1, 1, 22, tzinfo=UTC)  # Helsinki is two hours ahead
    assert Obstacle.NOT_STARTED == obstacle(rules, 1, None, midnight - timedelta(seconds=1))
    assert obstacle(rules, 1, None, midnight) is None


@given(st.integers(0, 1000), st.integers(1, 30))
def test_full_cards_leave_less_than_one_card(stamps: int, needed: int):
    assert 0 <= stamps - full_cards(stamps, needed) * needed < needed


@pytest.mark.parametrize(
    ("given_at", "days", "expected"),
    [
        # Given on Monday, valid for one day: until the end of Tuesday.
        (datetime(2027, 1, 4, 9, tzinfo=UTC), 1, datetime(2027, 1, 5, 22, tzinfo=UTC)),
        # Summer time begins on 28 March 2027: midnight is an hour earlier in UTC.
        (datetime(2027, 3, 27, 9, tzinfo=UTC), 1, datetime(2027, 3, 28, 21, tzinfo=UTC)),
        # And ends on 31 October 2027.
        (datetime(2027, 10, 30, 9, tzinfo=UTC), 1, datetime(2027, 10, 31, 22, tzinfo=UTC)),
        # Half past eleven in the evening in Helsinki is still today there.
        (datetime(2027, 1, 4, 21, 30, tzinfo=UTC), 1, datetime(2027, 1, 5, 22, tzinfo=UTC)),
    ],
)
def test_what_is_given_lasts_until_the_end_of_a_local_day(given_at, days, expected):
    assert expected == lasts_until(given_at, days, "Europe/Helsinki")


def test_without_a_validity_nothing_ends():
    assert lasts_until(START, None, "Europe/Helsinki") is None
