"""Segments as trees: what is kept, what is refused, and what each condition means."""

import json
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.loyalty import birthdays
from app.loyalty.segment_facts import Facts, SegmentError, Visit
from app.loyalty.segment_leaves import (
    LEAVES,
    BirthdayWithin,
    Campaigned,
    HoldsReward,
    InWallet,
    Joined,
    LastVisit,
    NeverCame,
    Spending,
    Visits,
)
from app.loyalty.segments import EVERYONE, MOST_LEAVES, Group, How, leaves, matches, read, written
from tests.segment_trees import NOW, ZONE, some_tree

THINGS = {name: [uuid4()] for name in ("classes", "lists", "locations", "campaigns", "tiers", "groups")}
THINGS |= {"answers": [f"{uuid4()}.0"]}  # type: ignore[dict-item] # a question's id, and the number of a choice
LEAP_CHILD = date(2000, 2, 29)


def facts(**values: object) -> Facts:
    return Facts(NOW, ZONE, "en", datetime(2026, 5, 1, tzinfo=UTC), **values)  # type: ignore[arg-type]


def visit(days: float, amount_minor: int | None = 500) -> Visit:
    return Visit(NOW - timedelta(days=days), amount_minor, None)


@given(some_tree(THINGS))
def test_a_tree_that_was_kept_is_read_as_it_was(tree: Group):
    assert tree == read(json.loads(json.dumps(written(tree))))


@given(some_tree(THINGS))
def test_none_of_is_the_opposite_of_any_of(tree: Group):
    someone = facts(visits=(visit(2),), rewards=1)
    assert matches(Group(How.ANY, tree.of), someone) is not matches(Group(How.NONE, tree.of), someone)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*LEAVES, *How]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["kind", "of", "days", "least", "most", "x"]) | st.text(), inner, max_size=4)
    ),
)


@given(JSON)
def test_whatever_is_read_is_a_tree_or_refused_in_words(data: object):
    try:
        said = isinstance(read(data), Group) and "a tree"
    except SegmentError as refused:
        said = str(refused)
    assert said


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, ""),
        ({"kind": "visits", "days": 3, "least": 1}, ""),
        ({"kind": "all", "of": [{"kind": "visits", "days": 0, "least": 1}]}, "days"),
        ({"kind": "all", "of": [{"kind": "visits", "days": True, "least": 1}]}, "days"),
        ({"kind": "all", "of": [{"kind": "visits", "days": 3}]}, "least"),
        ({"kind": "all", "of": [{"kind": "visits", "days": 3, "least": 2, "most": 1}]}, "most"),
        ({"kind": "all", "of": [{"kind": "language", "language": "xx"}]}, "language"),
        ({"kind": "all", "of": [{"kind": "class", "class_id": "1 OR 1=1"}]}, "class_id"),
        ({"kind": "all", "of": [{"kind": "joined", "first": "2027-02-30"}]}, "first"),
        ({"kind": "all", "of": [{"kind": "joined", "first": "2027-02-02", "last": "2027-02-01"}]}, "last"),
        ({"kind": "all", "of": [{"kind": "reward", "sql": "1=1"}]}, "sql"),
        ({"kind": "all", "of": [{"kind": "any", "of": []}]}, ""),
        ({"kind": "any", "of": []}, ""),
    ],
)
def test_a_tree_that_cannot_be_is_refused_with_its_field(data: object, field: str):
    with pytest.raises(SegmentError) as refused:
        read(data)
    assert field == refused.value.field


def test_three_groups_deep_is_the_most_and_so_are_thirty_conditions():
    reward: dict[str, object] = {"kind": "reward"}
    deep = {"kind": "all", "of": [{"kind": "any", "of": [{"kind": "none", "of": [reward]}]}]}
    assert read(deep)
    with pytest.raises(SegmentError):
        read({"kind": "all", "of": [deep]})
    assert MOST_LEAVES == len(list(leaves(read({"kind": "all", "of": [reward] * MOST_LEAVES}))))
    with pytest.raises(SegmentError):
        read({"kind": "all", "of": [reward] * (MOST_LEAVES + 1)})


def test_without_conditions_it_is_everybody_but_who_left():
    assert matches(EVERYONE, facts())
    assert EVERYONE == read(written(EVERYONE))
    assert not matches(EVERYONE, facts(active=False))
    assert not matches(Group(How.NONE, (HoldsReward(),)), facts(active=False))


def test_days_since_the_last_visit_are_whole_days():
    nearly_two = facts(visits=(visit(1.99), visit(400)))
    assert LastVisit(least=1, most=1).fits(nearly_two)
    assert not LastVisit(least=2).fits(nearly_two)
    assert not LastVisit(most=0).fits(nearly_two)


def test_who_never_came_is_away_only_when_asked_for():
    assert not LastVisit(least=30).fits(facts())
    assert LastVisit(least=30, never="too").fits(facts())
    assert NeverCame().fits(facts())
    assert Visits(days=30, most=0).fits(facts())


def test_a_visit_without_a_sum_counts_as_a_visit_without_money():
    someone = facts(visits=(visit(1, None), visit(2, 700), visit(31, 900)))
    assert Visits(days=30, least=2, most=2).fits(someone)
    assert Spending(days=30, least=700, most=700).fits(someone)


def test_a_leap_day_child_has_a_birthday_each_year():
    assert date(2027, 2, 28) == birthdays.celebrated(LEAP_CHILD, 2027)
    assert date(2028, 2, 29) == birthdays.celebrated(LEAP_CHILD, 2028)
    assert date(1900, 2, 28) == birthdays.celebrated(LEAP_CHILD, 1900)
    # In Helsinki it is 20 February 2027: seven days on is the 27th.
    assert not BirthdayWithin(7).fits(facts(birth_date=LEAP_CHILD))
    assert BirthdayWithin(8).fits(facts(birth_date=LEAP_CHILD))


@given(st.dates(date(1900, 1, 1), date(2026, 1, 1)), st.dates(date(2026, 1, 1), date(2040, 1, 1)), st.integers(0, 366))
def test_a_birthday_is_near_when_this_years_or_next_years_is(born: date, today: date, days: int):
    near = any(
        today <= birthdays.celebrated(born, today.year + after) <= today + timedelta(days=days) for after in (0, 1)
    )
    assert near == ((born.month, born.day) in set(birthdays.coming(today, days)))


def test_days_of_joining_are_the_programmes_own():
    late = Facts(NOW, ZONE, "en", datetime(2027, 1, 31, 22, 30, tzinfo=UTC))  # in Helsinki it is February
    assert Joined(first=date(2027, 2, 1), last=date(2027, 2, 1)).fits(late)
    assert not Joined(last=date(2027, 1, 31)).fits(late)


def test_who_did_not_get_a_campaign_has_neither_answered_nor_kept_silent():
    campaign: UUID = uuid4()
    reached = facts(got=frozenset({campaign}))
    assert Campaigned(campaign, "silent").fits(reached)
    assert not Campaigned(campaign, "answered").fits(reached)
    assert not Campaigned(campaign, "silent").fits(facts())


def test_a_card_may_be_in_both_wallets():
    both = facts(wallets=frozenset({"apple", "google"}))
    assert [True, True, True, False] == [InWallet(name).fits(both) for name in ("apple", "google", "any", "none")]
