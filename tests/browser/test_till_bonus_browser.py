"""Bonus at the till in a real browser, on a desktop and on a phone, also in Persian: paid, undone, with keys alone."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.services.views import MemberView
from tests.browser.conftest import Live, at_the_till, settled
from tests.integration.bonus_shop import POINTS, bonus_of, buy, pay, reward_type, set_bonus

pytestmark = pytest.mark.browser


@pytest.fixture(params=["page", "phone"])
def window(request: pytest.FixtureRequest) -> Page:
    opened: Page = request.getfixturevalue(request.param)
    return opened


@pytest.fixture
def member(live: Live) -> MemberView:
    """A member with ten euros of bonus."""
    set_bonus(live.shop)
    made = live.shop.member(7, name="Aino")
    buy(live.shop, made, 10_000)
    return made


def scan(page: Page, member: MemberView) -> None:
    page.keyboard.type(member.card_code)
    page.keyboard.press("Enter")
    page.wait_for_selector("#member")
    settled(page)


def assert_sound(page: Page) -> None:
    """Nothing sticks out sideways, and axe finds nothing."""
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize(
    ("language", "typed", "shown"), [("en", "4", "Take €4.00 off the bill"), ("fa", "۴", "۴٫۰۰")], ids=["en", "fa"]
)
def test_a_bill_is_paid_with_the_keyboard_alone(
    live: Live, window: Page, member: MemberView, language: str, typed: str, shown: str
) -> None:
    at_the_till(window, "charlie", language=language)
    scan(window, member)
    assert_sound(window)
    window.keyboard.press("F6")
    expect(window.locator("#bonus_bill")).to_be_focused()
    window.locator("#bonus_bill").fill(typed)
    window.keyboard.press("Enter")
    expect(window.locator("#result")).to_contain_text(shown)
    assert 600 == bonus_of(live.shop, member)
    assert_sound(window)


@pytest.mark.parametrize("language", ["en", "fa"])
def test_what_was_used_of_an_undone_purchase_is_told(
    live: Live, window: Page, member: MemberView, language: str
) -> None:
    bought = buy(live.shop, member, 5000)
    pay(live.shop, member, 1400)
    at_the_till(window, "mary", language=language)
    scan(window, member)
    window.evaluate(
        "id => { document.querySelector('.till-acts [name=operation_id]').value = id }", str(bought["entry_id"])
    )
    window.keyboard.press("F9")
    expected = "Bonus worth €4.00 of this purchase was used already" if language == "en" else "۴٫۰۰"
    expect(window.locator("#result")).to_contain_text(expected)
    assert 0 == bonus_of(live.shop, member)
    assert_sound(window)


def test_a_double_click_on_pay_with_bonus_pays_once(live: Live, page: Page, member: MemberView) -> None:
    at_the_till(page)
    scan(page, member)
    page.locator("#bonus_bill").fill("3")
    page.get_by_role("button", name="Pay with bonus").dblclick()
    expect(page.locator("#result")).to_contain_text("Take €3.00 off the bill")
    page.wait_for_timeout(300)
    assert 700 == bonus_of(live.shop, member)


def test_a_reward_is_given_for_points_and_used(live: Live, window: Page) -> None:
    set_bonus(live.shop, POINTS)
    reward_type(live.shop, price=10)
    member = live.shop.member(8)
    buy(live.shop, member, 1500)
    at_the_till(window)
    scan(window, member)
    assert_sound(window)
    window.get_by_role("button", name="Give Cake for 10 milkshakes").click()
    expect(window.locator("#result")).to_contain_text("Bonus left: 5 milkshakes")
    window.keyboard.press("F8")
    expect(window.locator("#result")).to_contain_text("Reward used: Cake")


@pytest.mark.parametrize("language", ["en", "fa"])
def test_the_owner_sets_up_named_points_and_only_their_fields_are_shown(
    live: Live, window: Page, language: str
) -> None:
    at_the_till(window, "alice", language=language)
    window.goto("/office/bonus")
    expect(window.locator("#share")).to_be_hidden()
    assert_sound(window)
    window.locator("#kind").select_option("points")
    expect(window.locator("#share")).to_be_hidden()
    for name, value in POINTS.items():
        if name != "kind":
            window.locator(f"#{name}").fill(value)
    window.locator(".bonus-form .button.primary").click()
    expect(window.locator(".bonus-example")).to_contain_text(re.compile("12 milkshakes|۱۲ میلک‌شیک"))
    for summary in window.locator(".bonus-add summary").all():
        summary.click()
    assert_sound(window)
