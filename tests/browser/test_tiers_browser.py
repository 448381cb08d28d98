"""Tiers and groups in a browser: set up without code, and seen by everybody; every page is accessible and fits."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.services import group_pricing, member_groups, members
from tests.browser.conftest import Live, sign_in
from tests.integration.tier_shop import buy, set_tiers

pytestmark = pytest.mark.browser


def test_from_no_tiers_to_a_golden_card(page: Page, live: Live) -> None:
    shop = live.shop
    anna = shop.member(1, name="Anna")
    sign_in(page)
    page.goto("/office/tiers")
    page.get_by_role("link", name="Set tiers up").click()
    page.get_by_label("Members have tiers").check()
    page.locator("#name-0").fill("Gold")
    page.locator("#needs-0").fill("20")
    page.locator("#color-0").fill("#d4af37")
    page.get_by_label("In which time").select_option("calendar")
    expect(page.get_by_label("Days that count")).to_be_hidden()
    page.get_by_role("button", name="Show the sizes first").click()
    expect(page.get_by_role("row", name="In no tier")).to_contain_text("1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("From €20.00 in a calendar year")).to_be_visible()
    buy(shop, anna.id, 2000)
    page.goto(f"/office/members/{anna.id}")
    mark = page.locator(".tier-mark")
    expect(mark).to_have_text("Gold")
    expect(mark).to_have_css("background-color", "rgb(212, 175, 55)")
    page.goto(members.card_url(shop.ctx, anna).removeprefix(shop.ctx.settings.base_url))
    expect(page.locator(".pass")).to_have_css("background-color", "rgb(212, 175, 55)")


def test_a_group_is_filled_and_priced_with_the_keyboard(page: Page, live: Live) -> None:
    shop = live.shop
    anna = shop.member(1, name="Anna")
    sign_in(page)
    page.goto("/office/groups/new")
    page.locator("#name").fill("VIP")
    page.keyboard.press("Enter")
    page.locator("#code").fill("040 123 0001")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Anna")).to_be_visible()
    expect(page.get_by_label("Price", exact=True)).to_be_hidden()
    page.get_by_label("Percent off").fill("10")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Everything: 10% off")).to_be_visible()
    page.goto(f"/till/m/{anna.id}")
    expect(page.locator(".till-groups")).to_contain_text("VIP")


@pytest.mark.parametrize(("window", "language", "scheme"), [("page", "en", "light"), ("phone", "fa", "dark")])
def test_every_page_of_tiers_and_groups_is_accessible_and_fits(
    request: pytest.FixtureRequest, live: Live, window: str, language: str, scheme: str
) -> None:
    shop = live.shop
    set_tiers(shop)
    anna = shop.member(1, name="Anna", language=language)
    buy(shop, anna.id, 6000)
    vip = member_groups.save(shop.ctx, shop.owner, {"name": "VIP", "details": "Free milk", "on_card": "on"})
    group_pricing.add(shop.ctx, shop.owner, vip, {"kind": "off", "off": "10"})
    group_pricing.add(shop.ctx, shop.owner, vip, {"product": "Coffee", "kind": "price", "price": "2.50"})
    member_groups.add(shop.ctx, shop.owner, vip, anna.card_code)
    page: Page = request.getfixturevalue(window)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of two words
    sign_in(page)
    pages = {
        "tiers": "/office/tiers",
        "tiers_edit": "/office/tiers/edit",
        "groups": "/office/groups",
        "group": f"/office/groups/{vip}",
        "group_edit": f"/office/groups/{vip}/edit",
        "member": f"/office/members/{anna.id}",
        "till": f"/till/m/{anna.id}",
        "card": members.card_url(shop.ctx, anna).removeprefix(shop.ctx.settings.base_url),
    }
    for address in pages.values():
        page.goto(f"{address}{'&' if '?' in address else '?'}lang={language}")
        faults = Axe().run(page).response["violations"]
        assert [] == [(address, fault["id"], fault["nodes"][0]["html"]) for fault in faults]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
