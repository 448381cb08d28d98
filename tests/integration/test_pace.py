"""All processes keep one pace together, and each its own when Valkey is gone."""

import pytest
from redis import Redis

from app.services import pace
from app.services.context import Context
from app.services.pace import Pace
from app.wiring import connect_valkey


class Sleeps:
    """Notes how long somebody would have slept."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def paced(valkey: Redis, sleeps: Sleeps, per_second: float = 20, burst: int = 20) -> Pace:
    return Pace(valkey, "test", per_second, burst, sleep=sleeps)


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still, in this process and, in the script, in Valkey."""
    monkeypatch.setattr(pace.time, "monotonic", lambda: 1000.0)
    monkeypatch.setattr(pace, "_SCRIPT", pace._SCRIPT.replace("redis.call('TIME')", "{'1000', '0'}"))


@pytest.fixture
def no_valkey() -> Redis:
    return connect_valkey("unix:///nowhere/valkey.sock")


def test_a_rest_allows_a_burst_and_then_the_pace_is_kept(ctx: Context, frozen: None):
    sleeps = Sleeps()
    keep = paced(ctx.valkey, sleeps)
    for _ in range(25):
        keep(1)
    assert [pytest.approx(number / 20) for number in range(1, 6)] == sleeps.seconds


def test_two_processes_share_one_pace(ctx: Context, frozen: None):
    sleeps = [Sleeps(), Sleeps()]
    first, second = (paced(ctx.valkey, each) for each in sleeps)
    for _ in range(15):
        first(1)
        second(1)
    together = sorted(sleeps[0].seconds + sleeps[1].seconds)
    assert [pytest.approx(number / 20) for number in range(1, 11)] == together


def test_a_batch_counts_as_many_calls(ctx: Context, frozen: None):
    sleeps = Sleeps()
    keep = paced(ctx.valkey, sleeps)
    for _ in range(3):
        keep(20)
    assert [pytest.approx(1.0), pytest.approx(2.0)] == sleeps.seconds


def test_a_batch_larger_than_the_burst_goes_at_once_and_is_paid_for_after(ctx: Context, frozen: None):
    sleeps = Sleeps()
    keep = paced(ctx.valkey, sleeps)
    keep(100)
    keep(1)
    assert [pytest.approx(5.0 - 0.95)] == sleeps.seconds


def test_without_valkey_each_process_keeps_the_pace_by_itself(no_valkey: Redis, frozen: None):
    sleeps = [Sleeps(), Sleeps()]
    for each in sleeps:
        keep = paced(no_valkey, each)
        for _ in range(22):
            keep(1)
    assert [[pytest.approx(0.05), pytest.approx(0.1)]] * 2 == [each.seconds for each in sleeps]


def test_a_valkey_that_was_restarted_keeps_the_pace_again(ctx: Context, frozen: None):
    sleeps = Sleeps()
    keep = paced(ctx.valkey, sleeps)
    keep(20)
    ctx.valkey.flushdb()
    ctx.valkey.script_flush()
    for _ in range(21):
        keep(1)
    assert [pytest.approx(0.05)] == sleeps.seconds


def test_a_pace_that_is_far_behind_is_not_forgotten(ctx: Context, frozen: None):
    keep = paced(ctx.valkey, Sleeps())
    for _ in range(200):
        keep(20)  # 200 seconds of calls
    assert 300 < ctx.valkey.ttl("pace:test") <= 320
