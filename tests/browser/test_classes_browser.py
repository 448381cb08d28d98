"""Classes and credit in a browser: what does not belong to a choice is put away, and every page is accessible."""

import time
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import update

from app import clock
from app.db.people import Member
from app.services import classing, credit_granting, credit_policies, customer_classes
from tests.browser.conftest import Live, sign_in

pytestmark = pytest.mark.browser


def test_from_five_proposed_classes_to_credit_on_the_cards(page: Page, live: Live) -> None:
    shop = live.shop
    erin = shop.member(1, name="Erin")
    with shop.ctx.sessions.begin() as session:  # a newcomer who has bought nothing would be in no class
        session.execute(update(Member).values(joined_at=clock.now() - timedelta(days=500)))
    sign_in(page)
    page.goto("/office/classes")
    page.get_by_role("button", name="Make these five").click()
    classing.work(shop.ctx, shop.program.id, 0.0)
    page.reload()
    page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Lost")).get_by_role(
        "link", name="Change"
    ).click()
    expect(page.get_by_label("Amount")).to_be_hidden()
    page.get_by_label("What each gets").select_option("fixed")
    expect(page.get_by_label("Share of spending, in percent")).to_be_hidden()
    page.get_by_label("Amount").fill("5")
    page.get_by_role("button", name="Show the sizes first").click()
    expect(page.get_by_role("row", name="Lost")).to_contain_text("€5.00")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Give now…").click()
    page.get_by_role("button", name="Give credit to 1 member").click()
    expect(page.get_by_text("Begins in a moment")).to_be_visible()
    credit_granting.work(shop.ctx, credit_policies.recent(shop.ctx, shop.program.id)[0].id, time.monotonic() + 60)
    page.reload()
    expect(page.get_by_text("1 member | €5.00")).to_be_visible()
    page.goto(f"/office/members/{erin.id}")
    expect(page.locator("main")).to_contain_text("€5.00")


@pytest.mark.parametrize(("window", "language", "scheme"), [("page", "en", "light"), ("phone", "fa", "dark")])
def test_every_page_of_classes_is_accessible_and_fits(
    request: pytest.FixtureRequest, live: Live, window: str, language: str, scheme: str
) -> None:
    shop = live.shop
    shop.member(1)
    opened: Page = request.getfixturevalue(window)
    opened.emulate_media(color_scheme=scheme)
    sign_in(opened)
    empty = [f"/office/classes?lang={language}"]
    _look(opened, empty)
    customer_classes.propose(shop.ctx, shop.owner)
    made = customer_classes.overview(shop.ctx, shop.program.id).classes[4].id
    form = customer_classes.class_form(shop.ctx, shop.owner, made)
    form |= {"policy": "share", "share": "5", "cap": "20", "repeats": "on", "next_day": "", "name": "x" * 40}
    customer_classes.save(shop.ctx, shop.owner, form, made)
    classing.work(shop.ctx, shop.program.id, 0.0)
    credit_policies.start_now(shop.ctx, shop.owner, made, credit_policies.preview(shop.ctx, shop.owner, made).at)
    _look(
        opened,
        [
            "/office/classes",
            "/office/classes/scoring",
            "/office/classes/new",
            f"/office/classes/{made}",
            f"/office/classes/{made}/give",
        ],
    )
    opened.goto("/office/classes/scoring")
    opened.locator("button[value=preview]").click()
    _check(opened)


def _look(opened: Page, addresses: list[str]) -> None:
    for address in addresses:
        opened.goto(address)
        _check(opened)


def _check(opened: Page) -> None:
    found = Axe().run(opened)
    assert 0 == found.violations_count, found.generate_report()
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
