"""What a cashier types at the till is bounded, and much bonus for one member is shown to the manager."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from app import clock
from app.db.guard import AlertState
from app.db.people import Role
from app.loyalty.guarding import Rule
from app.services import guard_desk, program_rules, till, typed_purchases
from app.services.context import Actor
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration import bonus_shop
from tests.integration.bonus_shop import NOON, SetClock, faults, refused


@pytest.fixture
def kulma(shop: Shop, at: SetClock) -> Shop:
    """A shop that gives ten percent of each purchase."""
    at(NOON)
    bonus_shop.set_bonus(shop)
    return shop


def type_in(shop: Shop, member: MemberView, amount_minor: int | None, actor: Actor | None = None) -> None:
    till.give_stamps(shop.ctx, actor or shop.cashier, member.card_code, amount_minor=amount_minor)


def shown(shop: Shop) -> list[tuple[Rule, AlertState]]:
    return [(alert.rule, alert.state) for alert in guard_desk.every(shop.ctx, shop.owner)]


def test_a_cashier_types_up_to_a_thousand_and_a_manager_more(kulma: Shop):
    member = kulma.member()
    type_in(kulma, member, 100_000)
    assert "amount-too-large" == refused(lambda: type_in(kulma, member, 100_001))
    assert 10_000 == bonus_shop.bonus_of(kulma, member)
    type_in(kulma, member, 100_001, kulma.actor(Role.MANAGER))
    type_in(kulma, member, 100_001, kulma.api)
    assert 30_000 == bonus_shop.bonus_of(kulma, member)


def test_what_is_refused_is_said_with_what_to_do_in_the_cashiers_language(kulma: Shop, sign_in):
    browser: FlaskClient = sign_in(Role.CASHIER)
    sent = {"amount": "1000.01", "count": "1", "key": "k"}
    told = {
        "en": "More than €1,000.00 cannot be typed here. Check the amount. If it is right, ask a manager to type it.",
        "fi": "pyydä esihenkilöä syöttämään se",
        "ru": "попросите управляющего ввести её",
        "fa": "از مدیر بخواهید آن را وارد کند",
    }
    for language, words in told.items():
        answer = browser.post(f"/till/m/{kulma.member().id}/stamps?lang={language}", data=sent)
        assert 422 == answer.status_code
        assert words in answer.text


def test_the_owner_sets_the_largest_purchase(kulma: Shop, sign_in):
    owner: FlaskClient = sign_in(Role.OWNER)
    page = owner.get("/office/guard").text
    assert 'value="1000.00"' in page
    assert "Empty: €1,000.00." in page
    assert 303 == owner.post("/office/guard/largest", data={"largest_typed": "50"}).status_code
    member = kulma.member()
    type_in(kulma, member, 5000)
    assert "amount-too-large" == refused(lambda: type_in(kulma, member, 5001))
    assert 303 == owner.post("/office/guard/largest", data={"largest_typed": ""}).status_code
    type_in(kulma, member, 100_000)
    assert program_rules.Rules() == program_rules.get(kulma.ctx, kulma.program.id)


@pytest.mark.parametrize(
    ("typed", "kind"), [("0", "too-small"), ("much", "invalid-amount"), ("9" * 11, "invalid-amount")]
)
def test_a_largest_purchase_that_cannot_be_is_refused(kulma: Shop, typed: str, kind: str):
    form = {"largest_typed": typed}
    assert {"largest_typed": kind} == faults(lambda: typed_purchases.save(kulma.ctx, kulma.owner, form))


@pytest.mark.parametrize(
    ("currency", "minor"),
    [
        ("EUR", 100_000),
        ("PLN", 1_000_000),
        ("JPY", 100_000),
        ("RUB", 10_000_000),
        ("KWD", 1_000_000),
        ("XOF", 1_000_000),
        ("IRR", 10**9),
        ("SYP", None),
    ],
)
def test_where_the_unit_is_small_the_usual_largest_is_more(currency: str, minor: int | None):
    assert minor == typed_purchases.usual_largest(currency)


def test_saving_other_rules_keeps_the_largest_purchase(kulma: Shop):
    typed_purchases.save(kulma.ctx, kulma.owner, {"largest_typed": "50"})
    program_rules.save(kulma.ctx, kulma.owner, {"undo_hours": "1", "attach_days": "2"})
    assert {"largest_typed": "50.00"} == typed_purchases.as_typed(kulma.ctx, kulma.program.id)


def test_five_typed_purchases_for_one_member_in_a_day_are_nothing_odd_and_six_are(kulma: Shop, at: SetClock):
    member = kulma.member()
    for _ in range(5):
        type_in(kulma, member, 500)
    assert [] == shown(kulma)
    type_in(kulma, member, 500)
    assert [(Rule.MEMBER_BONUS, AlertState.SHOWN)] == shown(kulma)
    at(clock.now() + timedelta(days=2))
    assert "guard-blocked" == refused(lambda: type_in(kulma, member, 500))


def test_bonus_of_a_tiers_own_rate_is_counted_too(kulma: Shop):
    bonus_shop.set_bonus(kulma, rate="0")
    member = kulma.member()
    for _ in range(6):
        type_in(kulma, member, 500)
    assert [(Rule.MEMBER_BONUS, AlertState.SHOWN)] == shown(kulma)


def test_the_manager_sees_the_purchases_behind_it(kulma: Shop, sign_in):
    member = kulma.member()
    for amount_minor in (90_000, 20_000, 100, 100, 100, 100):
        type_in(kulma, member, amount_minor)
    bonus_shop.buy(kulma, member, 7000)
    (alert,) = guard_desk.every(kulma.ctx, kulma.owner)
    page = sign_in(Role.MANAGER).get(f"/office/guard/{alert.id}").text
    assert [True, True, False] == [f"Bonus for a purchase of €{sum_}" in page for sum_ in ("900.00", "200.00", "70.00")]
    assert "Charlie" in page


def test_other_days_other_members_tills_and_what_earns_no_bonus_are_nothing_odd(kulma: Shop, at: SetClock):
    anna, bert = kulma.member(1), kulma.member(2)
    for _ in range(4):
        type_in(kulma, anna, 90_000)
        type_in(kulma, bert, 90_000)
    for _ in range(6):
        type_in(kulma, bert, 90_000, kulma.api)
        type_in(kulma, anna, None)
    at(clock.now() + timedelta(days=2))
    type_in(kulma, anna, 90_000)
    bonus_shop.set_bonus(kulma, smallest_purchase="900")
    for _ in range(6):
        type_in(kulma, bert, 89_900)
    assert [] == shown(kulma)
