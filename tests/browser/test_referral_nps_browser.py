"""A member's link for friends and the question's page, on phones and in the office, in English and Persian."""

from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.services import members, nps, nps_rules, referral_links, referral_rules
from app.services.views import MemberView
from tests.browser.conftest import Live, sign_in
from tests.integration.referral_shop import RULES, ReferralShop

pytestmark = pytest.mark.browser

TEXTS = {"text_en": "The best coffee in Helsinki, and a card for it.", "text_fa": "بهترین قهوهٔ هلسینکی با یک کارت."}
ASKING = {"active": "on", "after_visits": "3", "period_days": "90", "ask_by": "card"}


@pytest.fixture
def friends(live: Live) -> ReferralShop:
    referral_rules.save(live.shop.ctx, live.shop.owner, RULES | TEXTS)
    nps_rules.save(live.shop.ctx, live.shop.owner, ASKING)
    return ReferralShop(live.shop)


def own(live: Live, member: MemberView) -> str:
    return urlsplit(members.card_url(live.shop.ctx, member)).path


def sound(page: Page, *widths: int) -> None:
    """No violation of an accessibility rule, and nothing sticks out at the side."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    for width in widths:
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fa", "dark")])
def test_the_customers_pages_are_accessible_and_fit(
    phone: Page, live: Live, friends: ReferralShop, language: str, scheme: str
) -> None:
    anna = live.shop.member(1, language=language)
    friends.friend(2, anna)
    phone.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    token = nps.token_for(live.shop.ctx, anna.id, nps.PAGE)
    for address in (own(live, anna), f"{own(live, anna)}/me/friend", f"/n/{token}"):
        phone.goto(address)
        assert language == phone.locator("html").get_attribute("lang")
        sound(phone, 390, 360)
    code = referral_links.code_of(live.shop.ctx, anna.id)
    phone.goto(f"/r/{code}")
    phone.goto(f"{phone.url}&lang={language}")
    expect(phone.get_by_text(TEXTS[f"text_{language}"])).to_be_visible()
    sound(phone, 390, 360)


def test_a_friend_joins_by_the_link_on_a_phone(phone: Page, live: Live, friends: ReferralShop) -> None:
    anna = live.shop.member(1)
    phone.goto(f"/r/{referral_links.code_of(live.shop.ctx, anna.id)}")
    expect(phone.get_by_text("with your first purchase you get 1 stamp")).to_be_visible()
    phone.get_by_label("Mobile number").fill("040 123 0002")
    phone.get_by_label("I accept the terms").check()
    phone.get_by_role("button", name="Get the card").click()
    phone.wait_for_url("**/c/**")
    bert = members.find(live.shop.ctx, live.shop.cashier, "+358401230002")
    assert ("waiting", "") == friends.state(bert)


def test_the_link_is_shared_by_the_phones_own_way_where_it_has_one(
    phone: Page, live: Live, friends: ReferralShop
) -> None:
    anna = live.shop.member(1)
    phone.add_init_script("window.shared = []; navigator.share = async (what) => { window.shared.push(what); };")
    phone.goto(f"{own(live, anna)}/me/friend")
    phone.get_by_role("button", name="Share").click()
    (shared,) = phone.evaluate("window.shared")
    assert f"/r/{referral_links.code_of(live.shop.ctx, anna.id)}" in shared["text"]
    assert "Kulma Club" == shared["title"]


def test_the_question_is_answered_with_the_keyboard_alone(phone: Page, live: Live, friends: ReferralShop) -> None:
    anna = live.shop.member(1)
    phone.goto(f"/n/{nps.token_for(live.shop.ctx, anna.id, nps.PAGE)}")
    phone.locator("input[type=radio]").first.focus()
    for _ in range(9):
        phone.keyboard.press("ArrowRight")
    phone.keyboard.press("Tab")
    phone.keyboard.type("The buns!")
    phone.keyboard.press("Tab")
    phone.keyboard.press("Enter")
    expect(phone.get_by_role("heading", name="Thank you for your answer!")).to_be_visible()
    expect(phone.get_by_text("Your number: 9")).to_be_visible()


def test_the_question_needs_no_javascript(phone: Page, live: Live, friends: ReferralShop) -> None:
    anna = live.shop.member(1)
    address = f"/n/{nps.token_for(live.shop.ctx, anna.id, nps.PAGE)}"
    browser = phone.context.browser
    assert browser is not None
    plain = browser.new_context(base_url=live.url, java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = plain.new_page()
    page.goto(address)
    page.get_by_label("10", exact=True).check()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Your number: 10")).to_be_visible()
    plain.close()


def test_the_cards_page_leads_to_the_owners_own_survey(phone: Page, live: Live, friends: ReferralShop) -> None:
    survey = "https://survey.example/kulma"
    nps_rules.save(live.shop.ctx, live.shop.owner, ASKING | {"survey_url": survey})
    phone.goto(own(live, live.shop.member(1)))
    with phone.expect_request(survey):
        phone.locator("form.survey button").click()


@pytest.mark.parametrize("language", ["en", "fa"])
def test_the_office_pages_are_accessible_and_fit(page: Page, live: Live, friends: ReferralShop, language: str) -> None:
    shop = live.shop
    anna = shop.member(1, name="Anna")
    friends.friend(2, anna)
    friends.friend(3, anna, mark="m" * 22)
    friends.friend(4, anna, mark="m" * 22)
    for number, score in ((1, 2), (2, 9), (3, 10), (4, 7)):
        member = members.find(shop.ctx, shop.cashier, f"+35840123{number:04d}")
        token = nps.token_for(shop.ctx, member.id, nps.PAGE)
        nps.answer(shop.ctx, token, {"score": str(score), "comment": "Waited long" if score == 2 else ""})
    sign_in(page, "mary")
    for address in ("/office", "/office/referral", "/office/nps", "/office/nps/rules"):
        page.goto(f"{address}?lang={language}")
        sound(page, 1280, 390)
        page.set_viewport_size({"width": 1280, "height": 800})


def test_a_manager_sees_to_a_customer_and_lets_a_friend_count(page: Page, live: Live, friends: ReferralShop) -> None:
    shop = live.shop
    anna = shop.member(1, name="Anna")
    friends.friend(2, anna, mark="m" * 22)
    bert = friends.friend(3, anna, mark="m" * 22)
    nps.answer(shop.ctx, nps.token_for(shop.ctx, anna.id, nps.PAGE), {"score": "3", "comment": "Cold"})
    sign_in(page, "mary")
    page.get_by_role("link", name="Decide").click()
    page.get_by_role("button", name="It is a friend: reward").click()
    assert ("waiting", "") == friends.state(bert)
    page.goto("/office/nps")
    page.get_by_role("button", name="Seen to").click()
    expect(page.get_by_text("Seen to by Mary")).to_be_visible()
