"""The customer's own pages and the page that ends offers, in a phone's browser."""

from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.services import members, purchases, till
from app.services.purchases import Line, PurchaseRequest
from app.services.views import MemberView
from tests.browser.conftest import Live
from tests.integration.campaign_links import recipient, run_of

pytestmark = pytest.mark.browser

NAMES = {"en": "Maximiliana Konstantinopolitanskaya-Featherstonehaugh", "fa": "زهرا محمدی"}


def customer(live: Live, language: str) -> MemberView:
    """Somebody with receipts and consents, who got a campaign."""
    shop = live.shop
    agreed = {"terms": "I accept the terms of Kulma Club.", "sms_marketing": "Café Kulma may send me offers by SMS."}
    member = shop.member(1, name=NAMES[language], language=language, consents=agreed)
    lines = [Line("Latte", quantity="2", amount_minor=900), Line("Cinnamon bun " * 9, amount_minor=350)]
    purchases.record(
        shop.ctx, shop.cashier, PurchaseRequest(1250, card=member.card_code, receipt_no="R-17", lines=lines)
    )
    till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=2, amount_minor=480)
    recipient(shop, run_of(shop), member)
    return member


def me(live: Live, member: MemberView) -> str:
    return urlsplit(members.card_url(live.shop.ctx, member)).path + "/me"


def sound(page: Page) -> None:
    """No violation of an accessibility rule, and nothing sticks out at the side, also of a small phone."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    for width in (390, 360):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fa", "dark")])
def test_the_pages_are_accessible_and_fit(phone: Page, live: Live, scheme: str, language: str) -> None:
    path = me(live, customer(live, language))
    phone.emulate_media(color_scheme=scheme)
    for address in (path, f"{path}/receipts", f"{path}/friend", "/u/Token_0001"):
        phone.goto(address)
        assert phone.locator("html").get_attribute("lang") == language
        for summary in phone.locator("summary").all():
            summary.click()
        sound(phone)


def test_somebody_changes_their_language_and_the_page_follows(phone: Page, live: Live) -> None:
    member = customer(live, "en")
    phone.goto(me(live, member))
    phone.get_by_label("Language of your card and messages").select_option("fa")
    phone.get_by_role("button", name="Save").click()
    expect(phone.locator("html")).to_have_attribute("dir", "rtl")
    expect(phone.get_by_role("status")).to_be_visible()
    assert members.by_id(live.shop.ctx, live.shop.cashier, member.id).language == "fa"
    sound(phone)


def test_a_wrong_birthday_is_said_at_its_field(phone: Page, live: Live) -> None:
    phone.goto(me(live, customer(live, "fa")))
    phone.locator("#birth_date").fill("۱۴۰۵-۱۳-۰۱")
    phone.locator("form[action$='/details'] button").click()
    expect(phone.locator("#birth_date-error")).to_be_visible()
    expect(phone.locator("#birth_date")).to_have_value("۱۴۰۵-۱۳-۰۱")
    sound(phone)


def test_offers_are_stopped_by_the_link_and_agreed_to_again_on_ones_own_page(phone: Page, live: Live) -> None:
    member = customer(live, "en")
    phone.goto("/u/Token_0001")
    phone.get_by_role("button", name="Stop the offers").click()
    expect(phone.get_by_role("heading", name="You get no offers by SMS")).to_be_visible()
    sound(phone)
    phone.goto(me(live, member))
    phone.get_by_role("button", name="Agree: Offers by SMS").click()
    expect(phone.get_by_role("button", name="Stop: Offers by SMS")).to_be_visible()
    phone.get_by_text("What you have said of this").click()
    for how in ("on your own page", "by the link in a message", "on the page for joining"):
        expect(phone.get_by_text(how).first).to_be_visible()
    sound(phone)


def test_the_data_is_saved_as_a_file(phone: Page, live: Live) -> None:
    phone.goto(me(live, customer(live, "en")))
    for button, ending in (("ZIP", ".zip"), ("JSON", ".json")):
        with phone.expect_download() as download:
            phone.get_by_role("link", name=button).click()
        name = download.value.suggested_filename
        assert name.startswith("kulma-my-data-")
        assert name.endswith(ending)


def test_a_short_link_opens_the_card(phone: Page, live: Live) -> None:
    member = customer(live, "en")
    phone.goto("/l/Token_0001?next=https://evil.example/")
    assert urlsplit(phone.url).path == me(live, member).removesuffix("/me")
    phone.get_by_role("link", name="Receipts and history").click()
    expect(phone.get_by_text("R-17").first).to_be_visible()
