"""Joining and getting the card, as on a customer's phone."""

import io
import re
import zipfile

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Live

pytestmark = pytest.mark.browser


def fits(page: Page) -> bool:
    """Whether nothing sticks out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_from_the_poster_to_the_pass_on_a_phone(phone: Page, live: Live) -> None:
    phone.goto("/join/kulma?via=table-1")
    phone.get_by_label("Mobile number").fill("040 123 4567")
    phone.get_by_label("Name").fill("Erin")
    phone.get_by_label("I accept the terms").check()
    phone.get_by_role("button", name="Get the card").click()
    expect(phone).to_have_url(re.compile(r"/c/[\w-]{22}$"))
    expect(phone.get_by_role("img", name="0 of 10 stamps")).to_be_visible()
    code = phone.get_by_role("img", name="QR code of your card").bounding_box()
    assert code is not None
    assert code["width"] >= 200  # 29 modules with the quiet zone: 7 pixels each, for a scanner at arm's length
    with phone.expect_download() as download:
        phone.get_by_role("link", name="Add to Apple Wallet").click()
    assert download.value.suggested_filename == "kulma.pkpass"
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as package:
        assert "signature" in package.namelist()


def test_joining_needs_only_the_keyboard(page: Page, live: Live) -> None:
    page.goto("/join/kulma")
    page.get_by_label("Mobile number").focus()
    page.keyboard.type("0401234567")
    while page.evaluate("document.activeElement.name") != "terms":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Kulma Club")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/c/[\w-]{22}$"))


def test_an_error_stands_at_its_field_and_what_was_typed_stays(phone: Page, live: Live) -> None:
    phone.goto("/join/kulma")
    phone.get_by_label("Mobile number").fill("09 123 4567")
    phone.get_by_label("I accept the terms").check()
    phone.get_by_role("button", name="Get the card").click()
    field = phone.get_by_label("Mobile number")
    expect(field).to_have_value("09 123 4567")
    expect(field).to_have_accessible_description(
        "This is a landline, which gets no text messages. Write a mobile number."
    )
    expect(phone.get_by_label("I accept the terms")).to_be_checked()


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fa", "dark")])
def test_the_join_page_is_accessible_and_fits(phone: Page, live: Live, language: str, scheme: str) -> None:
    live.shop.change_program(theme="light", brand_color="#f2c14e", stamps_needed="30", name="K" * 60)
    phone.emulate_media(color_scheme=scheme)
    phone.goto(f"/join/kulma?lang={language}")
    phone.get_by_role("button").last.click()  # with the errors on it, too
    expect(phone.get_by_role("alert")).to_be_visible()
    found = Axe().run(phone)
    assert found.violations_count == 0, found.generate_report()
    assert fits(phone)
    phone.set_viewport_size({"width": 360, "height": 640})
    assert fits(phone)
