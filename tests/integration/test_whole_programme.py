"""The whole programme at once: any history, at any tills, and the books are right."""

import pytest

from app import clock
from tests.factories import Shop
from tests.integration.whole_books import assert_books
from tests.integration.whole_hunt import Hunt, deadlocks
from tests.integration.whole_shop import Clock, WholeShop, finish, play


@pytest.mark.parametrize(
    ("seed", "tills", "points"), [(1, 1, False), (2, 1, True), (3, 4, False), (4, 4, True)], ids=str
)
def test_any_history_replayed_from_the_ledger_gives_every_balance_and_conserves_what_was_given(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int, tills: int, points: bool
) -> None:
    days = Clock()
    monkeypatch.setattr(clock, "now", days.now)
    here = WholeShop(shop, points=points)
    play(here, days, seed, rounds=12, tills=tills, acts=12 // tills)
    assert_books(here)
    finish(here)
    assert_books(here)


def test_tills_chores_campaigns_phones_and_erasures_never_wait_for_each_other_for_ever(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = Clock()
    monkeypatch.setattr(clock, "now", days.now)
    hunt = Hunt(shop)
    monkeypatch.setattr(clock, "now", hunt.now)
    before = deadlocks(shop.ctx)
    hunt.run(6.0, seed=5)
    assert (before, "") == (deadlocks(shop.ctx), "\n".join(hunt.faults))
    days.moment = hunt.now()
    monkeypatch.setattr(clock, "now", days.now)
    finish(hunt)
    assert_books(hunt)
