"""Which friends count, and where months begin."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.referrals import Gift, Joining, Reason, judge, month_of

PEOPLE = [UUID(int=number) for number in range(1, 7)]
ZONES = ("Europe/Helsinki", "Asia/Tehran", "UTC", "America/Sao_Paulo", "Pacific/Apia")
joinings = st.builds(
    Joining,
    friend=st.sampled_from(PEOPLE),
    chain=st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True).map(tuple),
    new=st.booleans(),
    returned=st.booleans(),
    device_owners=st.frozensets(st.sampled_from(PEOPLE)),
    referrer_active=st.booleans(),
    referrer_stopped=st.booleans(),
)


@given(joinings)
def test_only_a_newcomer_in_an_unseen_browser_by_somebody_elses_link_counts(joining: Joining):
    clean = (
        joining.new
        and not joining.returned
        and joining.friend not in joining.chain
        and not joining.device_owners - {joining.friend}
        and joining.referrer_active
        and not joining.referrer_stopped
    )
    assert clean == judge(joining).good


@given(joinings)
def test_a_ring_is_never_good_and_always_told_to_the_guard(joining: Joining):
    verdict = judge(joining)
    if joining.friend in joining.chain[1:]:
        assert (Reason.RING, False) == (verdict.reason, verdict.held)
        assert verdict.rule is not None


@given(joinings)
def test_what_is_held_might_be_a_friend(joining: Joining):
    if judge(joining).held:
        assert joining.new
        assert joining.friend not in joining.chain


moments = st.integers(631_152_000, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(moments, st.sampled_from(ZONES))
def test_every_moment_lies_in_its_month_and_the_next_month_follows_at_once(at: datetime, zone: str):
    begins, ends = month_of(at, zone)
    assert begins <= at < ends
    wall = begins.astimezone(ZoneInfo(zone))
    assert (1, at.astimezone(ZoneInfo(zone)).month) == (wall.day, wall.month)
    assert month_of(ends, zone)[0] == ends
    assert timedelta(days=27) < ends - begins < timedelta(days=32)


def test_a_gift_of_nothing_is_none():
    assert not Gift()
    assert Gift(stamps=1)
    assert Gift(bonus=1)
