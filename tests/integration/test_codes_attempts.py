"""Guessing codes: whoever does is paused, managers hear of it, and everybody else goes on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from redis import Redis
from sqlalchemy import func, select

from app import wiring
from app.db.guard import Alert
from app.db.ledger import AuditEntry
from app.db.people import Role
from app.loyalty.guarding import Rule, Threshold
from app.services import code_attempts, code_redeeming, guard
from app.services.context import Actor, Context
from app.services.errors import Refused
from tests.factories import Shop, actor_for
from tests.integration.code_shop import NOON, give, give_group

WRONG = "9090909"


def guess(ctx: Context, actor: Actor, code: str = WRONG) -> str:
    """The kind of the refusal, or '' when the code was right."""
    try:
        code_redeeming.check(ctx, actor, code)
    except Refused as refused:
        return refused.kind
    return ""


def audited(ctx: Context, action: str) -> int:
    with ctx.sessions() as session:
        return session.scalar(select(func.count()).select_from(AuditEntry).where(AuditEntry.action == action)) or 0


def test_a_hundred_wrong_codes_in_a_minute_pause_the_cashier_tell_the_manager_and_let_others_work(
    ctx: Context, shop: Shop, at: Callable[[datetime], None]
) -> None:
    coupon = give(ctx, shop, shop.member().id, valid=(NOON - timedelta(1), NOON + timedelta(1)))
    kinds = []
    for number in range(100):
        at(NOON + timedelta(milliseconds=500 * number))
        kinds.append(guess(ctx, shop.cashier))

    assert ["code-not-valid"] * 5 + ["codes-paused"] * 95 == kinds
    assert "codes-paused" == guess(ctx, shop.cashier, coupon.code)
    assert "" == guess(ctx, actor_for(shop.second_cashier), coupon.code)
    assert "" == guess(ctx, shop.api, coupon.code)
    assert (1, 1) == (audited(ctx, "codes.paused"), audited(ctx, "codes.guessing"))
    with ctx.sessions() as session:
        alerts = session.execute(select(Alert.rule, Alert.subject_id, Alert.state)).all()
    assert [("till_codes", shop.cashier.staff_id, "shown")] == [tuple(row) for row in alerts]


def test_pauses_grow_and_are_forgotten_after_a_quiet_day(
    ctx: Context, shop: Shop, at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(guard.DEFAULTS, Rule.TILL_CODES, Threshold(10, 60, active=False))
    moment = NOON
    at(moment)
    for _ in range(5):
        assert "code-not-valid" == guess(ctx, shop.cashier)
    for seconds in (60, 120, 300, 900, 3600):
        at(moment + timedelta(seconds=seconds - 1))
        assert "codes-paused" == guess(ctx, shop.cashier)
        moment += timedelta(seconds=seconds)
        at(moment)
        if seconds < 900:  # in the window of ten minutes each further miss starts the next pause
            assert "code-not-valid" == guess(ctx, shop.cashier)
        else:
            for _ in range(5):
                assert "code-not-valid" == guess(ctx, shop.cashier)
    at(moment + timedelta(days=2))
    ctx.valkey.delete(f"codes:{shop.cashier.scope}:pause")  # its age ends it, by Valkey's own clock
    for _ in range(5):
        assert "code-not-valid" == guess(ctx, shop.cashier)
    at(moment + timedelta(days=2, seconds=60))
    assert "code-not-valid" == guess(ctx, shop.cashier)


def test_a_pause_ends_by_valkeys_own_clock_a_day_after_it(ctx: Context, shop: Shop) -> None:
    for _ in range(5):
        guess(ctx, shop.cashier)

    left = ctx.valkey.ttl(f"codes:{shop.cashier.scope}:pause")
    assert 24 * 3600 < int(str(left)) <= 24 * 3600 + 60


def test_right_codes_are_no_misses(ctx: Context, shop: Shop) -> None:
    coupon = give_group(ctx, shop, 1)[0]

    assert [""] * 8 == [guess(ctx, shop.cashier, coupon.code) for _ in range(8)]


def test_misses_older_than_ten_minutes_do_not_count(ctx: Context, shop: Shop, at: Callable[[datetime], None]) -> None:
    for number in range(12):
        at(NOON + timedelta(minutes=3 * number))
        assert "code-not-valid" == guess(ctx, shop.cashier)


def test_a_location_is_paused_after_twenty_misses_of_all_its_tills(ctx: Context, shop: Shop) -> None:
    coupon = give_group(ctx, shop, 1)[0]
    tills = [Actor(shop.program.id, api_key_id=shop.api.api_key_id, location_id=shop.location.id)]
    tills += [replace(person, location_id=shop.location.id) for person in (
        shop.cashier, actor_for(shop.second_cashier), shop.owner)]  # fmt: skip
    assert {"code-not-valid"} == {guess(ctx, till) for till in tills for _ in range(5)}

    fresh = replace(shop.actor(Role.MANAGER), location_id=shop.location.id)
    assert "codes-paused" == guess(ctx, fresh, coupon.code)
    assert "" == guess(ctx, replace(fresh, location_id=None), coupon.code)
    code_attempts.lift(ctx, shop.location.id)
    assert "" == guess(ctx, fresh, coupon.code)


def test_a_manager_may_lift_a_pause(ctx: Context, shop: Shop) -> None:
    for _ in range(6):
        guess(ctx, shop.cashier)
    code_attempts.lift(ctx, shop.cashier.scope)

    assert "code-not-valid" == guess(ctx, shop.cashier)


def test_guesses_at_the_same_moment_cannot_overrun_the_limit(ctx: Context, shop: Shop) -> None:
    with ThreadPoolExecutor(4) as threads:
        kinds = list(threads.map(lambda _: guess(ctx, shop.cashier), range(24)))

    assert 5 == kinds.count("code-not-valid")
    assert 19 == kinds.count("codes-paused")


def test_right_codes_at_the_same_moment_all_go_through(ctx: Context, shop: Shop) -> None:
    coupons = give_group(ctx, shop, 24)
    with ThreadPoolExecutor(4) as threads:
        assert [""] * 24 == list(threads.map(lambda coupon: guess(ctx, shop.api, coupon.code), coupons))


def test_without_valkey_no_code_can_be_tried(ctx: Context, shop: Shop) -> None:
    coupon = give_group(ctx, shop, 1)[0]
    nowhere = wiring.connect_valkey("redis://127.0.0.1:1")
    assert isinstance(nowhere, Redis)
    without = replace(ctx, valkey=nowhere)

    assert ["limiter-down"] * 2 == [guess(without, shop.cashier, code) for code in (coupon.code, WRONG)]
    with pytest.raises(Refused) as refused:
        code_redeeming.redeem(without, shop.cashier, coupon.code, amount_minor=100)
    assert ("limiter-down", 503) == (refused.value.kind, refused.value.status)
    nowhere.close()
    assert "" == guess(ctx, shop.cashier, coupon.code)
