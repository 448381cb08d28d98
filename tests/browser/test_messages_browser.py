"""The office's messages and join codes in a browser, and the way back to a lost card."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.db.messages import SmsMessage
from app.services import join_codes, messages, sms_incoming
from app.services.sms_incoming import Incoming
from tests.browser.conftest import Live, sign_in

pytestmark = pytest.mark.browser


def test_the_parts_of_a_message_are_counted_as_it_is_typed(page: Page, live: Live) -> None:
    erin = live.shop.member(1, name="Erin")
    sign_in(page)
    page.goto(f"/office/members/{erin.id}")
    page.locator("main").get_by_role("link", name="Messages").click()
    expect(page.get_by_role("button", name="Count the parts")).to_be_hidden()
    page.get_by_label("Text").fill("x" * 161)
    expect(page.get_by_role("status")).to_contain_text("2 parts | 161 characters (GSM-7)")
    page.get_by_label("Text").fill("Your umbrella is here.")
    expect(page.get_by_role("status")).to_contain_text("1 part | 22 characters")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".bubble.out")).to_contain_text("Your umbrella is here.")
    expect(page.get_by_label("Text")).to_have_value("")


@pytest.mark.parametrize(("window", "language", "scheme"), [("page", "en", "light"), ("phone", "fa", "dark")])
def test_every_page_of_messages_is_accessible_and_fits(
    request: pytest.FixtureRequest, live: Live, window: str, language: str, scheme: str
) -> None:
    ctx, shop = live.shop.ctx, live.shop
    member = shop.member(1, name="مریم رضایی" * 7)
    messages.send_card_link(ctx, member)
    join_codes.create(ctx, shop.owner, {"code": "04821", "via": "a-rather-long-name-of-a-place"})
    for number, phone in enumerate((member.phone, "+358401239999")):
        sms_incoming.receive(ctx, Incoming("console", f"SM{number}", phone, "Please stop " + "x" * 200))
    with ctx.sessions() as session:
        stranger = session.query(SmsMessage.id).filter_by(phone="+358401239999").first()
        assert stranger is not None
    opened: Page = request.getfixturevalue(window)
    opened.emulate_media(color_scheme=scheme)
    sign_in(opened)
    addresses = (
        "/office/messages",
        f"/office/messages/member/{member.id}",
        f"/office/messages/{stranger.id}",
        "/office/join-codes",
        "/join/kulma/link",
    )
    for address in addresses:
        opened.goto(f"{address}?lang={language}")
        assert opened.locator("html").get_attribute("dir") == ("rtl" if language == "fa" else "ltr")
        found = Axe().run(opened)
        assert found.violations_count == 0, f"{address}: {found.generate_report()}"
        if window == "phone":
            opened.set_viewport_size({"width": 360, "height": 640})
        assert opened.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), address
