"""Which tier a history leads to: never less than is earned, whatever the order, and lost when it is said to be."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.tiers import Gain, Period, Standing, look_at, missing, standing

NOW = datetime(2027, 6, 15, 12, tzinfo=UTC)
ZONE = "Europe/Helsinki"
LADDER = (0, 100, 300)
HOUR = timedelta(hours=1)
YEAR_ENDS = datetime(2027, 12, 31, 22, tzinfo=UTC)  # midnight in Helsinki

moments = st.integers(-3 * 365 * 24, 0).map(lambda hours: NOW + hours * HOUR)
histories = st.lists(st.builds(Gain, moments, st.integers(0, 200)), max_size=12)
periods = st.builds(
    Period, st.sampled_from((None, 1, 30, 365)), st.sampled_from((0, 1, 30)), st.sampled_from((ZONE, "Asia/Tehran"))
)
ladders = st.sets(st.integers(0, 500), max_size=4).map(lambda needs: tuple(sorted(needs)))


def place(standing: Standing) -> int:
    return -1 if standing.place is None else standing.place


def earned_now(ladder: tuple[int, ...], gains: list[Gain], period: Period, at: datetime) -> int:
    """The tier of the figure at a moment; in calendar years that of the last year counts on."""
    figures = [period.figure(gains, at)]
    if period.days is None:
        figures.append(period.figure(gains, period.counts_after(at)))
    return sum(max(figures) >= needs for needs in ladder) - 1


@given(ladders, histories, periods)
def test_a_tier_is_held_as_long_as_it_is_earned_and_for_the_grace_after_that(ladder, gains, period):
    turns = {gain.at for gain in gains}
    if period.days is not None:
        turns |= {gain.at + timedelta(days=period.days) for gain in gains}
    else:
        turns |= {period.counts_after(NOW) + timedelta(microseconds=1)}
    begin = NOW - period.grace
    looked_at = [NOW, begin, *(turn for turn in turns if begin < turn <= NOW)]
    if period.grace_days == 0:
        looked_at = [NOW]
    expected = max(earned_now(ladder, gains, period, moment) for moment in looked_at)
    assert expected == place(standing(ladder, gains, period, NOW))


@given(ladders, histories, periods, st.randoms(use_true_random=False))
def test_the_order_of_what_happened_does_not_matter(ladder, gains, period, random):
    shuffled = random.sample(gains, len(gains))
    assert standing(ladder, gains, period, NOW) == standing(ladder, shuffled, period, NOW)


@given(ladders, histories, periods, st.builds(Gain, moments, st.integers(0, 200)))
def test_more_never_leads_to_less(ladder, gains, period, more):
    before, after = standing(ladder, gains, period, NOW), standing(ladder, [*gains, more], period, NOW)
    assert place(after) >= place(before)
    if after.place == before.place and before.until is not None:
        assert after.until is not None
        assert after.until >= before.until


@given(ladders, histories, periods)
def test_a_tier_stays_until_its_moment_and_falls_at_it(ladder, gains, period):
    now = standing(ladder, gains, period, NOW)
    if now.until is None:
        assert now.place is None or ladder[now.place] == 0
        return
    assert now.until > NOW
    assert now == standing(ladder, gains, period, now.until - timedelta(microseconds=1))
    assert place(standing(ladder, gains, period, now.until)) < place(now)


@given(ladders, histories, periods)
def test_what_is_too_old_to_matter_changes_nothing(ladder, gains, period):
    recent = [gain for gain in gains if gain.at > period.matters_after(NOW)]
    assert standing(ladder, gains, period, NOW) == standing(ladder, recent, period, NOW)


@given(ladders, histories, periods)
def test_what_is_missing_leads_to_the_next_tier(ladder, gains, period):
    now = standing(ladder, gains, period, NOW)
    more = missing(ladder, now.place, period.figure(gains, NOW))
    if more is None:
        assert place(now) == len(ladder) - 1
        return
    assert more > 0
    assert place(now) + 1 <= place(standing(ladder, [*gains, Gain(NOW, more)], period, NOW))
    assert place(now) == place(standing(ladder, [*gains, Gain(NOW, more - 1)], period, NOW))


def test_a_purchase_counts_for_so_many_days_and_the_tier_lasts_for_the_grace_after_that():
    period = Period(30, 7, ZONE)
    bought = NOW - timedelta(days=29)
    assert Standing(1, bought + timedelta(days=37)) == standing(LADDER, [Gain(bought, 100)], period, NOW)


def test_what_is_not_bought_yet_does_not_count():
    assert Standing(0) == standing(LADDER, [Gain(NOW + HOUR, 500)], Period(30, 0, ZONE), NOW)


def test_a_calendar_tier_is_kept_to_the_end_of_the_next_year():
    period = Period(None, 0, ZONE)
    bought = Gain(datetime(2026, 3, 1, tzinfo=UTC), 300)
    assert Standing(2, YEAR_ENDS) == standing(LADDER, [bought], period, NOW)


def test_a_purchase_in_the_last_instant_of_the_year_belongs_to_it_whenever_it_arrives():
    period = Period(None, 0, ZONE)
    spring = Gain(datetime(2027, 3, 1, tzinfo=UTC), 250)
    last = Gain(YEAR_ENDS - timedelta(microseconds=1), 50)
    first = Gain(YEAR_ENDS, 50)
    later = YEAR_ENDS + HOUR
    assert 2 == standing(LADDER, [spring, last], period, later).place
    assert 1 == standing(LADDER, [spring, first], period, later).place


@given(histories, periods)
def test_what_counts_stays_the_same_until_it_falls(gains, period):
    falls = period.figure_falls(gains, NOW)
    before = period.figure(gains, NOW)
    if falls is None:
        assert 0 == before
    else:
        assert falls > NOW
        assert before == period.figure(gains, falls - timedelta(microseconds=1))
        assert before > period.figure(gains, falls)


@given(periods, moments)
def test_a_night_begins_at_midnight_of_the_zone_within_a_day(period, moment):
    night = period.night_after(moment)
    assert timedelta() <= night - moment <= timedelta(hours=25)
    assert time.min == night.astimezone(ZoneInfo(period.time_zone)).time()


@given(ladders, histories, periods)
def test_who_is_looked_at_when_told_never_shows_a_lower_goal_than_there_is_for_longer_than_a_day(ladder, gains, period):
    now = standing(ladder, gains, period, NOW)
    look = look_at(ladder, gains, period, NOW, now)
    soon = [NOW + timedelta(days=day) for day in (0, 20, 200, 500)]
    for moment in soon:
        if look is None or moment < look - timedelta(hours=25):
            assert now.place == standing(ladder, gains, period, moment).place
            shown = missing(ladder, now.place, period.figure(gains, NOW))
            assert shown == missing(ladder, now.place, period.figure(gains, moment))
