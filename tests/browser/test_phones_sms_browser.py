"""The SMS app of the pretend phones, beside the real shop: from a code on a poster to the card in the wallet."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from app.cli.tour import running_demo
from sms.phones import normalise

pytestmark = pytest.mark.browser
SOON = 15_000  # milliseconds; usually a fraction of a second, but a busy machine runs the whole shop here


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A running demo."""
    folder: Path = tmp_path_factory.mktemp("demo")
    with running_demo(folder) as told:
        yield told


@pytest.fixture
def phones(browser: Browser, told: dict[str, Any]) -> Iterator[Page]:
    """The phones' page. Errors on it fail the test, and the phones are thrown away at the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(SOON)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(told["sandbox"]["phones_url"])
    yield page
    while page.locator(".stand").count():
        before = page.locator(".stand").count()
        page.get_by_role("button", name="Throw the phone away").first.click()
        expect(page.locator(".stand")).to_have_count(before - 1)
    context.close()
    assert errors == []


def add_phone(page: Page, kind: str, language: str = "English") -> Locator:
    """A phone without a card."""
    before = page.locator(".stand").count()
    page.get_by_label(kind, exact=True).check()
    page.get_by_label("The phone’s language").select_option(language)
    page.get_by_role("button", name="Add the phone").click()
    expect(page.locator(".stand")).to_have_count(before + 1)
    return page.locator(".stand").nth(before)


def text_from(told: dict[str, Any], number: str, body: str) -> None:
    """Text the shop by the pretend Twilio's control interface, past the phone."""
    form = {"from": normalise(number, "FI"), "body": body}
    assert requests.post(f"{told['sandbox']['control']['twilio']}/control/inbound", json=form, timeout=20).ok


def test_somebody_texts_the_code_on_the_page_and_gets_the_card_into_the_wallet(
    phones: Page, told: dict[str, Any]
) -> None:
    expect(phones.locator(".lead")).to_contain_text(told["texting"]["code"])
    phone = add_phone(phones, "iPhone")
    expect(phone.get_by_text("Text 48213 to join the shop")).to_be_visible()
    phones.evaluate("window.samePage = true")
    phone.get_by_label("Text message").fill("48213")
    phone.get_by_label("Text message").press("Enter")
    expect(phone.locator(".bubble.theirs")).to_contain_text("Welcome to Kulma Club!", timeout=SOON)
    expect(phone.get_by_label("Text message")).to_have_value("")

    phone.get_by_role("button", name="/c/").click()
    expect(phone.get_by_role("heading", name="Kulma Club")).to_be_visible()
    phone.get_by_role("button", name="Add to Apple Wallet").click()
    expect(phone.locator(".front .header")).to_contain_text("1 of 10")
    assert phones.evaluate("window.samePage")


def test_persian_digits_join_and_the_link_opens_the_shops_own_page(phones: Page) -> None:
    phone = add_phone(phones, "Android", "فارسی")
    phone.get_by_label("Text message").fill("سلام ۴۸۲۱۳")
    phone.get_by_role("button", name="Send").click()
    phone.get_by_role("button", name="/c/").click()
    with phones.context.expect_page() as opened:
        phone.get_by_role("link", name="See the whole page").click()
    expect(opened.value.get_by_role("heading", name="Kulma Club")).to_be_visible()
    opened.value.close()
    phone.get_by_role("button", name="Save to Google Wallet").click()
    expect(phone.locator(".front .fields")).to_contain_text("1/10")


def test_a_message_is_counted_until_it_is_read_and_a_draft_survives_it(phones: Page, told: dict[str, Any]) -> None:
    phone = add_phone(phones, "iPhone")
    phone.get_by_label("Text message").fill("99999")
    phone.get_by_role("button", name="Send").click()
    phone.get_by_label("Text message").fill("half a thought")
    phone.get_by_label("Text message").focus()
    expect(phone.locator(".bubble.theirs")).to_contain_text("We do not know this code", timeout=SOON)
    expect(phone.get_by_label("Text message")).to_have_value("half a thought")
    expect(phone.get_by_label("Text message")).to_be_focused()

    phone.get_by_role("button", name="Wallet", exact=True).click()
    expect(phone.get_by_text("No card on this phone.")).to_be_visible()
    text_from(told, str(phone.locator(".stand-number").text_content()), "48213")
    expect(phone.locator(".alert").first).to_contain_text("Your card:", timeout=SOON)
    phone.get_by_role("button", name="Messages, 1 new").click()
    expect(phone.get_by_role("button", name="Messages", exact=True)).to_be_visible()
    expect(phone.locator(".bubble.theirs")).to_have_count(2)


def test_the_sms_app_is_accessible_and_fits_a_narrow_screen(phones: Page) -> None:
    for kind, language in (("iPhone", "English"), ("Android", "فارسی")):
        phone = add_phone(phones, kind, language)
        phone.get_by_label("Text message").fill("48213")
        phone.get_by_label("Text message").press("Enter")
        expect(phone.locator(".bubble.theirs .link")).to_be_visible(timeout=SOON)
    phones.locator(".stand.android").get_by_role("button", name="/c/").click()
    expect(phones.get_by_role("button", name="Save to Google Wallet")).to_be_visible()
    found = Axe().run(phones)
    assert [] == [(one["id"], one["nodes"][0]["html"]) for one in found.response["violations"]]
    phones.set_viewport_size({"width": 390, "height": 844})
    assert 390 == phones.evaluate("document.documentElement.scrollWidth")
