"""The scores, the classes, the amounts of policies, and when runs are due."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from app.loyalty import schedule
from app.loyalty.rfm import (
    ClassRanges,
    Figures,
    Limits,
    Policy,
    Scores,
    by_quantiles,
    by_thresholds,
    first_fit,
    grid,
    proposal,
    rescaled,
)

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
LIMITS = Limits(recency_days=(7, 30), purchases=(10, 3), spent_minor=(10_000, 2_000))

some_figures = st.builds(
    Figures,
    last_at=st.integers(0, 40).map(lambda days: NOW - timedelta(days=days)),
    purchases=st.integers(1, 12),
    spent_minor=st.integers(0, 12_000),
)
START = datetime(2026, 1, 1, tzinfo=UTC)
moments = st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))
buyers = st.dictionaries(st.integers(), some_figures, min_size=1, max_size=40)


def figures(days: int = 0, purchases: int = 1, spent_minor: int = 0) -> Figures:
    return Figures(NOW - timedelta(days=days), purchases, spent_minor)


def test_a_limit_belongs_to_the_better_score():
    assert Scores(3, 3, 3) == by_thresholds(figures(7, 10, 10_000), LIMITS, NOW)
    assert Scores(2, 2, 2) == by_thresholds(figures(30, 3, 2_000), LIMITS, NOW)
    assert Scores(1, 1, 1) == by_thresholds(figures(31, 2, 1_999), LIMITS, NOW)


def test_five_different_buyers_have_the_five_scores():
    shop = {place: figures(40 - place, place, place * 100) for place in range(1, 6)}
    assert {place: Scores(place, place, place) for place in shop} == by_quantiles(shop, 5)


def test_when_all_buyers_are_alike_none_is_better():
    assert {Scores(1, 1, 1)} == set(by_quantiles(dict.fromkeys(range(9), figures()), 5).values())


@given(buyers, st.integers(2, 10))
def test_equal_figures_have_equal_scores_and_better_ones_never_lower(shop: dict[int, Figures], scores: int):
    scored = by_quantiles(shop, scores)
    for value, score in (("last_at", "recency"), ("purchases", "frequency"), ("spent_minor", "money")):
        pairs = sorted((getattr(shop[key], value), getattr(scored[key], score)) for key in shop)
        assert sorted(rank for _, rank in pairs) == [rank for _, rank in pairs]
        assert len({amount for amount, _ in pairs}) == len(set(pairs))
        assert pairs[0][1] == 1
        assert pairs[-1][1] <= scores


@given(buyers, st.integers(2, 10))
def test_a_score_of_k_of_n_means_better_than_that_share_of_the_buyers(shop: dict[int, Figures], scores: int):
    scored = by_quantiles(shop, scores)
    for key, mine in shop.items():
        worse = sum(other.spent_minor < mine.spent_minor for other in shop.values())
        assert (scored[key].money - 1) * len(shop) <= worse * scores < scored[key].money * len(shop)


@given(st.integers(2, 10))
def test_the_proposed_classes_leave_nobody_out(scores: int):
    classes = [each.ranges for each in proposal(scores)]
    assert scores**3 == len(grid(classes, scores))
    assert {0, 1, 2, 3, 4} == {place for _, place in grid(classes, scores)}


def test_with_five_scores_the_best_have_four_or_five_in_everything():
    assert ClassRanges((4, 5), (4, 5), (4, 5)) == proposal(5)[0].ranges


def test_a_member_is_in_the_first_class_that_fits():
    wide, narrow = ClassRanges((1, 5), (1, 5), (1, 5)), ClassRanges((5, 5), (5, 5), (5, 5))
    assert 0 == first_fit([narrow, wide], Scores(5, 5, 5))
    assert 1 == first_fit([narrow, wide], Scores(5, 4, 5))
    assert first_fit([narrow], Scores(5, 4, 5)) is None


@given(st.integers(2, 10), st.integers(2, 10))
def test_classes_stay_within_the_scores_when_their_number_changes(old: int, new: int):
    for each in proposal(old):
        for least, most in rescaled(each.ranges, old, new).all:
            assert 1 <= least <= most <= new
    assert proposal(old) == [(kind, rescaled(ranges, old, old)) for kind, ranges in proposal(old)]


def test_half_a_cent_is_rounded_up():
    share = Policy(share_bp=500)
    assert (0, 1, 1, 2) == (share.amount(9), share.amount(10), share.amount(29), share.amount(30))


def test_too_little_is_not_given_and_too_much_is_cut():
    share = Policy(share_bp=1_000, smallest_minor=200, cap_minor=500)
    assert (0, 200, 500) == (share.amount(1_994), share.amount(1_995), share.amount(9_999_999))
    assert 300 == Policy(fixed_minor=300).amount(0)
    assert 0 == Policy().amount(10_000)


@given(st.integers(0, 10**12), st.integers(0, 10_000), st.integers(0, 10**6), st.integers(1, 10**6))
def test_an_amount_is_nothing_or_between_the_smallest_and_the_cap(spent: int, share: int, smallest: int, cap: int):
    amount = Policy(share_bp=share, smallest_minor=smallest, cap_minor=cap).amount(spent)
    assert amount == 0 or smallest <= amount <= min(cap, spent + 1)


def test_ten_in_the_morning_stays_ten_in_the_morning_over_summer_time():
    before = schedule.moment(date(2027, 3, 21), 10, "Europe/Helsinki")
    after = schedule.next_due(before, 14, 10, "Europe/Helsinki", before)
    assert datetime(2027, 4, 4, 7, tzinfo=UTC) == after
    assert timedelta(days=14) - timedelta(hours=1) == after - before


def test_an_hour_that_does_not_exist_is_the_next_one_and_one_that_comes_twice_is_its_first():
    assert datetime(2027, 3, 28, 1, tzinfo=UTC) == schedule.moment(date(2027, 3, 28), 3, "Europe/Helsinki")
    assert datetime(2027, 10, 31, 0, tzinfo=UTC) == schedule.moment(date(2027, 10, 31), 3, "Europe/Helsinki")


@given(moments, st.integers(0, 23), st.integers(1, 90))
def test_runs_keep_their_days_however_late_one_looks(now: datetime, hour: int, every: int):
    zone = "Europe/Helsinki"
    start = schedule.moment(date(2025, 12, 1), hour, zone)
    due = schedule.next_due(start, every, hour, zone, now)
    days = (due.astimezone(ZoneInfo(zone)).date() - date(2025, 12, 1)).days
    assert days % every == 0
    assert due > now
    assert due <= now + timedelta(days=every, hours=25)


@given(moments, st.integers(0, 23))
def test_the_last_and_the_first_due_lie_around_now(now: datetime, hour: int):
    last, first = (found(now, hour, "Europe/Helsinki") for found in (schedule.last_due, schedule.first_due))
    assert last <= now < first
    assert timedelta(hours=22) <= first - last <= timedelta(hours=26)
