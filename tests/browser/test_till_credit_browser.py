"""Credit at the till in a real browser: the one box with a card, a phone number and a code; keys, scans and doubles."""

import re
from contextlib import suppress

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Page, expect
from sqlalchemy import select

from app.db.credit import Credit
from app.db.messages import SmsMessage
from app.services import code_lookup, members, old_cards, sms_sending, till
from app.services.views import MemberView
from tests.browser.conftest import Live, at_the_till, settled
from tests.factories import Shop
from tests.integration import code_shop

pytestmark = pytest.mark.browser

A_PERSON = 70  # milliseconds between two keys


@pytest.fixture(params=["page", "phone"])
def window(request: pytest.FixtureRequest) -> Page:
    """The till on a desktop and on a phone, with a cashier signed in."""
    opened: Page = request.getfixturevalue(request.param)
    at_the_till(opened)
    return opened


@pytest.fixture
def member(live: Live) -> MemberView:
    """A member with three stamps, a reward, and a phone number that ends in 0007."""
    made = live.shop.member(7, name="Aino")
    till.give_stamps(live.shop.ctx, live.shop.cashier, made.card_code, count=13)
    return made


@pytest.fixture
def coupon(live: Live, member: MemberView) -> code_shop.Coupon:
    """Credit of 12.50 of that member."""
    return code_shop.give(live.shop.ctx, live.shop, member.id, 1250)


def typed(page: Page, text: str) -> None:
    """What a person does: keys one after the other, then Enter."""
    page.keyboard.type(text, delay=A_PERSON)
    page.wait_for_timeout(A_PERSON)
    page.keyboard.press("Enter")


def scan(page: Page, code: str) -> None:
    """What a keyboard-wedge scanner does: it types, very fast, and presses Enter."""
    page.keyboard.type(code)
    page.keyboard.press("Enter")


def balance(shop: Shop, coupon: code_shop.Coupon) -> int:
    with shop.ctx.sessions() as session:
        return session.get_one(Credit, coupon.credit_id).balance_minor


def sent_code(shop: Shop) -> str:
    with shop.ctx.sessions() as session:
        message = session.scalars(select(SmsMessage).where(SmsMessage.template == "one_time")).one()
        return re.findall(r"\b\d{6}\b", sms_sending.body_of(shop.ctx, session, message))[0]


def test_seven_digits_an_amount_and_it_is_done_with_the_keyboard_alone(
    window: Page, live: Live, coupon: code_shop.Coupon
) -> None:
    typed(window, coupon.code)
    expect(window.get_by_role("heading", name="Credit: €12.50")).to_be_visible()
    expect(window.locator("#amount")).to_be_focused()
    settled(window)
    typed(window, "8,00")
    expect(window.locator("#result.good")).to_contain_text("Take €8.00 off the bill")
    expect(window.locator("#result.good")).to_contain_text("Left: €4.50")
    expect(window.locator("#announce")).to_contain_text("Take €8.00 off the bill")
    expect(window.locator("#code")).to_be_focused()
    assert balance(live.shop, coupon) == 450


def test_enter_pressed_again_and_again_redeems_once_and_gives_no_stamp(
    page: Page, live: Live, member: MemberView, coupon: code_shop.Coupon
) -> None:
    at_the_till(page)
    typed(page, coupon.code)
    settled(page)
    page.keyboard.type("8", delay=A_PERSON)
    for _ in range(3):
        page.keyboard.press("Enter")
    expect(page.locator("#result.good")).to_be_visible()
    settled(page)
    for _ in range(3):
        page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert balance(live.shop, coupon) == 450
    assert members.by_id(live.shop.ctx, live.shop.cashier, member.id).stamps == 3


def test_a_double_click_a_reload_and_the_back_button_redeem_once(
    window: Page, live: Live, coupon: code_shop.Coupon
) -> None:
    typed(window, coupon.code)
    settled(window)
    window.locator("#amount").fill("8")
    window.get_by_role("button", name="Use credit").dblclick()
    expect(window.locator("#result.good")).to_be_visible()
    window.reload()
    with suppress(Error):  # the browser asks before it would look the code up again
        window.go_back()
    window.wait_for_timeout(300)
    assert balance(live.shop, coupon) == 450


def test_an_empty_bill_is_asked_for_and_the_code_need_not_be_typed_again(
    page: Page, live: Live, coupon: code_shop.Coupon
) -> None:
    at_the_till(page)
    typed(page, coupon.code)
    settled(page)
    page.keyboard.press("Enter")
    expect(page.locator("#result.bad")).to_be_visible()
    expect(page.locator("#amount")).to_be_focused()
    settled(page)
    typed(page, "20")
    expect(page.locator("#result.good")).to_contain_text("Take €12.50 off the bill")
    expect(page.locator("#result.good")).to_contain_text("The credit is used up.")


def test_a_wrong_code_stands_in_the_box_to_be_mended(window: Page, live: Live, coupon: code_shop.Coupon) -> None:
    slip = f"{coupon.code[:-1]}{(int(coupon.code[-1]) + 1) % 10}"
    typed(window, slip)
    expect(window.locator("#result.bad")).to_have_text(re.compile("This code is not valid."))
    expect(window.locator("#code")).to_have_value(slip)
    expect(window.locator("#code")).to_be_focused()
    settled(window)
    typed(window, coupon.code)
    expect(window.get_by_role("heading", name="Credit: €12.50")).to_be_visible()


def test_a_card_opens_the_credit_at_once(
    window: Page, live: Live, member: MemberView, coupon: code_shop.Coupon
) -> None:
    scan(window, member.card_code)
    window.wait_for_url(f"**/till/m/{member.id}")
    settled(window)
    window.keyboard.press("F7")
    expect(window.locator("#bill")).to_be_focused()
    typed(window, "8")
    expect(window.locator("#result.good")).to_contain_text("Take €8.00 off the bill")
    assert balance(live.shop, coupon) == 450


def test_a_phone_number_opens_it_with_the_code_that_was_sent(
    window: Page, live: Live, member: MemberView, coupon: code_shop.Coupon
) -> None:
    typed(window, "0401230007")
    expect(window.get_by_role("heading", name="Is it the customer?")).to_be_visible()
    expect(window.get_by_role("button", name="Use the reward")).to_have_count(0)
    expect(window.locator("#bill")).to_have_count(0)
    assert member.card_code not in window.content()
    settled(window)
    window.keyboard.press("F8")
    expect(window.locator("#one_time_code")).to_be_focused()
    settled(window)
    typed(window, f"{(int(sent_code(live.shop)) + 1) % 10**6:06d}")
    expect(window.locator("#result.bad")).to_contain_text("Tries left: 4.")
    expect(window.locator("#one_time_code")).to_be_focused()
    settled(window)
    typed(window, sent_code(live.shop))
    expect(window.locator("#result.good")).to_contain_text("The code is right.")
    settled(window)
    window.keyboard.press("F8")
    expect(window.locator("#result.good")).to_contain_text("Reward used: Free coffee")
    settled(window)
    window.keyboard.press("F7")
    typed(window, "8")
    expect(window.locator("#result.good")).to_contain_text("Take €8.00 off the bill")


def test_an_old_card_is_scanned_wherever_the_focus_is(
    page: Page, live: Live, member: MemberView, coupon: code_shop.Coupon
) -> None:
    at_the_till(page)
    old_cards.add(live.shop.ctx, live.shop.owner, member.id, "2000417")
    other = code_shop.give(live.shop.ctx, live.shop, live.shop.member(8).id, 500)
    scan(page, ";2000417=991?")
    page.wait_for_url(f"**/till/m/{member.id}")
    settled(page)
    page.keyboard.press("Escape")
    page.wait_for_url("**/till")
    settled(page)
    typed(page, other.code)
    expect(page.locator("#amount")).to_be_focused()
    settled(page)
    scan(page, "2000417")
    expect(page.get_by_role("heading", name="Aino")).to_be_visible()
    assert (balance(live.shop, coupon), balance(live.shop, other)) == (1250, 500)


def test_a_manager_takes_it_back_with_one_key(page: Page, live: Live, coupon: code_shop.Coupon) -> None:
    at_the_till(page, "mary")
    typed(page, coupon.code)
    settled(page)
    typed(page, "8")
    expect(page.locator("#result.good")).to_be_visible()
    settled(page)
    page.keyboard.press("F9")
    expect(page.locator("#result.good")).to_contain_text("Undone")
    assert balance(live.shop, coupon) == 1250


def test_persian_tills_read_persian_digits(page: Page, live: Live, coupon: code_shop.Coupon) -> None:
    at_the_till(page)
    page.goto("/till?lang=fa")
    settled(page)
    persian = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
    typed(page, coupon.code.translate(persian))
    expect(page.locator("#amount")).to_be_focused()
    settled(page)
    typed(page, "۸٫۵۰")
    expect(page.locator("#result.good")).to_contain_text("۸٫۵۰")
    assert balance(live.shop, coupon) == 400


def test_everything_works_without_scripts(browser: Browser, live: Live, coupon: code_shop.Coupon) -> None:
    context = browser.new_context(base_url=live.url, java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    at_the_till(page, scripts=False)
    page.locator("#code").fill(coupon.code)
    page.get_by_role("button", name="Find").click()
    page.get_by_label("The bill in EUR").fill("8")
    page.get_by_role("button", name="Use credit").click()
    expect(page.locator("#result .till-headline")).to_have_text("Take €8.00 off the bill")
    page.get_by_role("button", name="Send a code to the customer's phone").click()
    page.get_by_label("The 6 digits that the customer tells you").fill(sent_code(live.shop))
    page.get_by_role("button", name="Check the code").click()
    page.get_by_label("The bill in EUR").fill("1")
    page.get_by_role("button", name="Use credit").click()
    assert balance(live.shop, coupon) == 350
    context.close()


@pytest.mark.parametrize(("window", "language"), [("page", "en"), ("phone", "fa")], indirect=["window"])
def test_no_page_of_credit_has_a_barrier_or_scrolls_sideways(
    window: Page, live: Live, coupon: code_shop.Coupon, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.goto(f"/till?lang={language}")
    settled(window)
    steps = (
        lambda: typed(window, coupon.code),
        lambda: typed(window, "8"),
        lambda: typed(window, "0401230007"),
        lambda: window.keyboard.press("F8"),
        lambda: typed(window, "1"),
    )
    for step in steps:
        with window.expect_navigation():
            step()
        settled(window)
        assert_no_barrier(window)
    monkeypatch.setattr(code_lookup, "phone_digits_needed", lambda *_: True)
    window.goto("/till")
    settled(window)
    typed(window, coupon.code)
    expect(window.locator("#phone_last4")).to_be_focused()
    assert_no_barrier(window)


def assert_no_barrier(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
