"""Receipts for a warranty, everything on paper, a new link, erasing, privacy and forgetting, as people see them."""

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.db.messages import SmsMessage
from app.db.people import Member, MemberStatus
from app.services import members, sms_sending, sms_texts
from tests.browser.conftest import Live, sign_in
from tests.browser.test_own_page_browser import customer, me, sound

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fa", "dark")])
def test_the_pages_are_accessible_and_fit(phone: Page, live: Live, scheme: str, language: str) -> None:
    path = me(live, customer(live, language))
    phone.emulate_media(color_scheme=scheme)
    phone.goto(f"{path}/receipts")
    receipt = phone.locator("a[href*='/me/receipts/']").first.get_attribute("href")
    for address in (receipt, f"{path}/everything", f"{path}/link", f"{path}/erase", f"/privacy/kulma?lang={language}"):
        assert address is not None
        phone.goto(address)
        assert phone.locator("html").get_attribute("lang") == language
        sound(phone)


def test_a_receipt_is_kept_for_its_warranty(phone: Page, live: Live) -> None:
    phone.goto(me(live, customer(live, "en")) + "/receipts")
    phone.get_by_role("link", name="Print or keep").last.click()
    expect(phone.get_by_role("button", name="Print")).to_be_visible()
    phone.get_by_role("button", name="Keep this receipt").click()
    expect(phone.locator("#months-error")).to_be_visible()
    phone.get_by_label("Months of warranty").fill("24")
    phone.get_by_role("button", name="Keep this receipt").click()
    expect(phone.get_by_role("status")).to_contain_text("kept until the warranty ends")
    sound(phone)
    phone.get_by_role("link", name="All receipts").click()
    expect(phone.get_by_role("heading", name="Kept for a warranty")).to_be_visible()


@pytest.mark.parametrize("language", ["en", "fa"])
def test_on_paper_there_is_all_of_it_and_no_button(page: Page, live: Live, language: str) -> None:
    page.goto(me(live, customer(live, language)) + "/everything")
    expect(page.locator("[data-print]")).to_be_visible()
    page.emulate_media(media="print")
    for hidden in (page.locator("[data-print]"), page.locator(".own-tabs"), page.locator(".footer")):
        expect(hidden).not_to_be_visible()
    for shown in ("R-17", "Kulma Club"):
        expect(page.get_by_text(shown).first).to_be_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_somebody_is_erased_in_two_steps(phone: Page, live: Live) -> None:
    member = customer(live, "en")
    phone.goto(me(live, member))
    phone.get_by_role("link", name="Have everything erased").click()
    phone.get_by_role("button", name="Erase everything").click()
    expect(phone.locator("#sure-error")).to_be_visible()
    phone.get_by_label("Yes, erase everything").check()
    phone.get_by_role("button", name="Erase everything").click()
    expect(phone.get_by_role("heading", name="You are erased")).to_be_visible()
    sound(phone)
    with live.shop.ctx.sessions() as session:
        assert MemberStatus.ERASED is session.get_one(Member, member.id).status


def test_a_new_link_is_asked_for_and_opened_from_the_sms(phone: Page, live: Live) -> None:
    member = customer(live, "en")
    phone.goto(me(live, member))
    phone.get_by_role("link", name="Somebody else may have my link").click()
    phone.get_by_role("button", name="Send me a new link by SMS").click()
    expect(phone.get_by_role("status")).to_contain_text("works for an hour")
    with live.shop.ctx.sessions() as session:
        row = session.scalars(select(SmsMessage).where(SmsMessage.template == sms_texts.FRESH_LINK)).one()
        found = re.search(r"/fresh/[\w-]+", sms_sending.body_of(live.shop.ctx, session, row))
    assert found is not None
    phone.goto(found[0])
    sound(phone)
    phone.get_by_role("button", name="End the old link and open the new one").click()
    expect(phone.get_by_text("Kulma Club").first).to_be_visible()
    assert members.card_token(live.shop.ctx, member) in phone.url
    answer = phone.goto(me(live, member).replace(members.card_token(live.shop.ctx, member), "A" * 22))
    assert answer is not None
    assert answer.status == 404


@pytest.mark.parametrize("language", ["en", "fa"])
def test_an_owner_sees_what_forgetting_would_do_and_saves_it(page: Page, live: Live, language: str) -> None:
    sign_in(page, start=f"/office/retention?lang={language}")
    page.locator("#inactive_days").fill("400")
    page.locator(".save-bar button").click()
    expect(page.locator("#asks-title")).to_be_visible()
    sound(page)
    page.locator("form:has([name=seen]) button").click()
    expect(page.locator("#inactive_days")).to_have_value("400")
    expect(page.get_by_role("status")).to_be_visible()
    sound(page)
