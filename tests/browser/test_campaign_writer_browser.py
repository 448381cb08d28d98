"""Writing a campaign in a browser: what is counted while typing, what the choices show, and that every page fits."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.services import segments, sms_rules
from tests.browser.conftest import Live, sign_in
from tests.factories import Shop

pytestmark = pytest.mark.browser
YES = {"sms_marketing": "Yes."}
PRICED = {
    "part_price": "0.07",
    "number_daily_cap": "20",
    "quiet_from": "00:00",
    "quiet_until": "00:00",
    "country_FI": "on",
}


def with_people(shop: Shop) -> None:
    sms_rules.save(shop.ctx, shop.owner, PRICED)
    for number, (name, language) in enumerate((("Erin Example", "en"), ("مریم رضایی " * 6, "fa"), ("", "fi"))):
        shop.member(number, name=name.strip(), language=language, consents=YES)


@pytest.mark.parametrize("window", ["page", "phone"])
def test_a_campaign_is_written_previewed_saved_and_sent(
    request: pytest.FixtureRequest, live: Live, window: str
) -> None:
    with_people(live.shop)
    opened: Page = request.getfixturevalue(window)
    sign_in(opened, "max")
    opened.goto("/office/campaigns")
    opened.get_by_role("link", name="New campaign").click()
    opened.get_by_label("Name of the campaign").fill("Spring buns")
    opened.get_by_label("Who gets it").select_option("everyone")
    expect(opened.locator(".segment-builder")).to_be_hidden()
    words = opened.get_by_label("Text, English")
    words.fill("{program}: buns today, ")
    count = opened.locator("#count-text_a_en")
    expect(count).to_contain_text("does not say how to get no more offers")
    group = opened.locator("[data-text=text_a_en]")
    group.get_by_role("button", name="First name").click()
    opened.keyboard.type("friend")
    words.press("End")
    group.get_by_role("button", name="Way out").click()
    expect(words).to_have_value("{program}: buns today, {first_name|friend}{stop}")
    expect(count).to_contain_text("1 part | €0.07")
    expect(count).not_to_contain_text("offers")
    words.press_sequentially("😀" + "x" * 20)
    expect(count).to_contain_text("These characters make the SMS cost about twice as much: 😀")
    words.fill("{program}: buns today, {first_name|friend}! {stop}")
    opened.get_by_role("button", name="Preview").click()
    expect(opened.locator(".readers li")).to_have_count(3)
    expect(opened.locator(".readers")).to_contain_text("buns today, Erin!")
    expect(opened.locator(".readers")).to_contain_text("buns today, friend!")
    opened.get_by_role("button", name="Save", exact=True).click()
    expect(opened.get_by_role("heading", name="Ready to send?")).to_be_visible()
    opened.get_by_role("button", name="Send now to 3 people").click()
    expect(opened.get_by_role("heading", level=1)).to_contain_text("Being sent")
    opened.get_by_role("button", name="Pause").click()
    expect(opened.get_by_role("heading", level=1)).to_contain_text("Paused")


def test_a_choice_shows_the_fields_that_it_needs(live: Live, page: Page) -> None:
    sign_in(page, "max")
    page.goto("/office/campaigns/new")
    expect(page.get_by_label("Time", exact=True)).to_be_hidden()
    for when, seen in {
        "once": ["day", "at_time"],
        "weekly": ["weekday", "at_time", "first_day", "last_day"],
        "birthday": ["offset_days", "at_time", "first_day", "last_day"],
        "now": [],
    }.items():
        page.locator("#when").select_option(when)
        fields = ["day", "weekday", "offset_days", "at_time", "first_day", "last_day"]
        assert [field in seen for field in fields] == [page.locator(f"#{field}").is_visible() for field in fields], when
    page.locator("#benefit").select_option("credit")
    assert [True, False] == [page.locator(f"#{name}").is_visible() for name in ("benefit_amount", "benefit_name")]
    page.locator("#link").select_option("address")
    assert page.locator("#link_address").is_visible()


def test_it_all_works_without_scripts(live: Live, browser: Browser) -> None:
    with_people(live.shop)
    context = browser.new_context(base_url=live.url, java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    sign_in(page, "max")
    page.goto("/office/campaigns/new")
    page.locator("[name=name]").fill("Spring buns")
    page.locator("[name=where-new]").select_option("reward")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("button", name="Remove").first.click()
    page.locator("#text_a_en").fill("{program}: buns! {stop}")
    page.get_by_role("button", name="Count them").click()
    expect(page.locator("#counted")).to_contain_text("Get an SMS")
    expect(page.locator("#count-text_a_en")).to_contain_text("1 part | €0.07")
    page.locator("#who").select_option("everyone")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".readers")).to_contain_text("Kulma Club: buns!")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("button", name="Send now to 3 people")).to_be_visible()
    context.close()


@pytest.mark.parametrize(("window", "language", "scheme"), [("page", "en", "light"), ("phone", "fa", "dark")])
def test_every_page_of_campaigns_is_accessible_and_fits(
    request: pytest.FixtureRequest, live: Live, window: str, language: str, scheme: str
) -> None:
    with_people(live.shop)
    built = {"name": "Finns " * 9, "where-kind": "all", "where-0-kind": "language", "where-0-language": "fi"}
    segments.save(live.shop.ctx, live.shop.owner, built)
    opened: Page = request.getfixturevalue(window)
    opened.emulate_media(color_scheme=scheme)
    sign_in(opened)
    opened.goto("/office/campaigns/new?lang=" + language)
    opened.locator("[name=name]").fill("ا" * 60)
    opened.locator("#who").select_option("everyone")
    opened.locator("#text_a_en").fill("{program}: " + "x" * 90 + " 😀 {first_name}")
    opened.locator("#link").select_option("card")
    opened.locator("#benefit").select_option("credit")
    opened.locator("#benefit_amount").fill("2.50")
    opened.locator("#when").select_option("birthday")
    opened.locator("button[name=action][value=preview]").last.click()
    expect(opened.locator("#look")).to_be_visible()
    check(opened, window, language)
    opened.locator(".save-bar .primary").click()
    expect(opened.locator("#ready-title")).to_be_visible()
    check(opened, window, language)
    one = opened.url
    for address in ("/office/campaigns", "/office/campaigns/rules", f"{one}/edit"):
        opened.goto(address)
        check(opened, window, language)


def check(opened: Page, window: str, language: str) -> None:
    if window == "phone":
        opened.set_viewport_size({"width": 360, "height": 640})
    assert opened.locator("html").get_attribute("dir") == ("rtl" if language == "fa" else "ltr")
    found = Axe().run(opened)
    assert found.violations_count == 0, f"{opened.url}: {found.generate_report()}"
    assert opened.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), opened.url
