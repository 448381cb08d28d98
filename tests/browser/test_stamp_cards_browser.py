"""Stamp cards and their times in a browser: from the office to the till and the card's page."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.services import double_windows, members, stamp_cards
from tests.browser.conftest import Live, sign_in

pytestmark = pytest.mark.browser


def test_a_second_card_is_set_stamped_at_the_till_and_seen_by_the_customer(page: Page, live: Live) -> None:
    shop = live.shop
    erin = shop.member(1, name="Erin")
    sign_in(page)
    page.goto("/office/stamps")
    page.get_by_role("link", name="Add a stamp card").click()
    page.get_by_label("Name of the stamp card").fill("Lunch")
    page.get_by_label("Stamps for a full card").fill("8")
    page.get_by_label("A full card gives").fill("Free lunch")
    page.get_by_label("Products").fill("Lunch\n1021")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("one stamp for each piece of: Lunch, 1021")).to_be_visible()
    page.get_by_role("link", name="Add a time").click()
    page.get_by_label("Name").fill("Always")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Stamps count twice: every day")).to_be_visible()
    page.goto(f"/till/m/{erin.id}")
    page.get_by_label("Lunch").check()
    page.get_by_role("button", name="Give stamp").click()
    expect(page.get_by_text("Lunch: 2 of 8")).to_be_visible()
    page.goto(f"/c/{members.card_token(shop.ctx, erin)}")
    expect(page.get_by_role("heading", name="Lunch")).to_be_visible()
    expect(page.get_by_text("6 more stamps, and you get: Free lunch")).to_be_visible()


@pytest.mark.parametrize(("window", "language", "scheme"), [("page", "en", "light"), ("phone", "fa", "dark")])
def test_every_page_of_stamps_is_accessible_and_fits(
    request: pytest.FixtureRequest, live: Live, window: str, language: str, scheme: str
) -> None:
    shop = live.shop
    opened: Page = request.getfixturevalue(window)
    opened.emulate_media(color_scheme=scheme)
    sign_in(opened)
    _look(opened, [f"/office/stamps?lang={language}", "/office/stamps/new", "/office/stamps/times/new"])
    form = {"name": "L" * 40, "stamps_needed": "30", "reward_name": "Free lunch", "products": "Lunch\n" + "x" * 60}
    form |= {"per_amount": "12.50", "smallest_purchase": "5", "birthday_stamps": "2", "stamp_valid_days": "90"}
    card = stamp_cards.save(shop.ctx, shop.owner, form)
    night = {"name": "Nights", "factor": "3", "weekday_4": "on", "weekday_5": "on", "from_time": "22", "until_time": ""}
    night |= {"from_time": "22:00", "until_time": "03:00", "first_day": "2026-12-01", "last_day": "2026-12-31"}
    times = double_windows.save(shop.ctx, shop.owner, night)
    member = shop.member(1)
    _look(
        opened,
        [
            "/office/stamps",
            "/office/stamps/first",
            f"/office/stamps/{card}",
            f"/office/stamps/times/{times}",
            f"/till/m/{member.id}",
            f"/c/{members.card_token(shop.ctx, member)}",
        ],
    )


def _look(opened: Page, addresses: list[str]) -> None:
    for address in addresses:
        opened.goto(address)
        found = Axe().run(opened)
        assert 0 == found.violations_count, found.generate_report()
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
