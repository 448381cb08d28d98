"""Building a segment in a browser: with and without JavaScript, at both widths, also in Persian."""

import re
from collections.abc import Iterator
from datetime import date

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.services import segments
from tests.browser.conftest import Live, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def plain(browser: Browser, live: Live) -> Iterator[Page]:
    """A window whose browser runs no JavaScript."""
    context = browser.new_context(base_url=live.url, java_script_enabled=False, locale="en-GB")
    yield context.new_page()
    context.close()


def people(live: Live) -> None:
    live.shop.member(1, name="Erin", language="fi", birth_date=date(1990, 1, 2))
    live.shop.member(2, name="Dave", language="en")
    live.shop.member(3, name="Grace", language="fi", via="poster")


def add(page: Page, choice: str, place: str = "where") -> None:
    page.locator(f"#{place}-new").select_option(label=choice)
    page.locator(f'button[value="add:{place}"]').click()


@pytest.mark.parametrize("window", ["page", "phone"])
def test_members_are_counted_while_a_segment_is_built(request: pytest.FixtureRequest, live: Live, window: str) -> None:
    people(live)
    opened: Page = request.getfixturevalue(window)
    sign_in(opened, "max")
    opened.goto("/office/segments/new")
    found = opened.locator("#segment-result")
    expect(found).to_contain_text("3 members")
    opened.get_by_label("Name").fill("Finns")
    add(opened, "Language")
    expect(opened.locator("#where-0-language")).to_be_focused()
    opened.locator("#where-0-language").select_option("fi")
    expect(found).to_contain_text("2 members")
    expect(found).to_contain_text("+358 ** *****01")
    opened.locator("#where-kind").select_option("none")
    expect(found).to_contain_text("1 member")
    expect(found).to_contain_text("Dave")
    expect(opened.get_by_label("Name")).to_have_value("Finns")
    opened.get_by_role("button", name="Save").click()
    expect(opened.get_by_role("link", name="Finns")).to_be_visible()


def test_groups_are_added_and_removed_without_reloading(page: Page, live: Live) -> None:
    people(live)
    sign_in(page, "max")
    page.goto("/office/segments/new")
    page.evaluate("document.body.dataset.same = 'yes'")
    add(page, "A group of conditions")
    add(page, "Joined through", "where-0")
    page.locator("#where-0-0-via").select_option("poster")
    add(page, "Birthday soon", "where-0")
    page.locator("#where-0-1-days").fill("366")
    expect(page.locator("#segment-result")).to_contain_text("2 members")
    page.locator('button[value="remove:where-0-1"]').click()
    expect(page.locator("#where-0-new")).to_be_focused()
    expect(page.locator("#segment-result")).to_contain_text("1 member")
    page.locator("#where-0-0-via").select_option("")
    expect(page.locator("#segment-result")).to_contain_text("2 members")
    page.get_by_role("button", name="Remove this group").click()
    expect(page.locator("#segment-result")).to_contain_text("3 members")
    assert "yes" == page.evaluate("document.body.dataset.same")


def test_without_javascript_each_button_shows_the_page_again(plain: Page, live: Live) -> None:
    people(live)
    sign_in(plain, "max")
    plain.goto("/office/segments/new")
    plain.get_by_label("Name").fill("Finns")
    add(plain, "A group of conditions")
    add(plain, "Language", "where-0")
    plain.locator("#where-0-0-language").select_option("fi")
    plain.get_by_label("Name").press("Enter")
    expect(plain.locator("#segment-result")).to_contain_text("2 members")
    expect(plain.get_by_label("Name")).to_have_value("Finns")
    plain.get_by_role("button", name="Save").click()
    expect(plain.get_by_role("link", name="Finns")).to_be_visible()
    assert ["Finns"] == [one.name for one in segments.every(live.shop.ctx, live.shop.owner)]


def test_a_mistake_is_shown_at_its_field(page: Page, live: Live) -> None:
    sign_in(page, "max")
    page.goto("/office/segments/new")
    page.get_by_label("Name").fill("Lost")
    add(page, "Last visit")
    page.locator("#where-0-most").fill("3")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#where-0-most-error")).to_be_visible()
    page.locator("#where-0-least").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Lost")).to_be_visible()


@pytest.mark.parametrize(("window", "language", "scheme"), [("page", "en", "light"), ("phone", "fa", "dark")])
def test_every_page_of_segments_is_accessible_and_fits(
    request: pytest.FixtureRequest, live: Live, window: str, language: str, scheme: str
) -> None:
    people(live)
    form = {"name": "مشتریان خوب " * 4, "where-kind": "all"}
    kinds = ("last_visit", "visits", "spending", "stamps", "birthday")
    form |= {f"where-0-{number}-kind": kind for number, kind in enumerate(kinds)}
    form |= {f"where-0-{number}-least": "1" for number in range(4)} | {f"where-0-{n}-days": "30" for n in (1, 2, 4)}
    form |= {"where-0-kind": "any", "where-0-0-never": "too", "where-1-kind": "joined", "where-1-first": "2026-01-31"}
    segment_id = segments.save(live.shop.ctx, live.shop.owner, form)
    opened: Page = request.getfixturevalue(window)
    opened.emulate_media(color_scheme=scheme)
    sign_in(opened)
    for address in ("", "/new", f"/{segment_id}", "/lists/new"):
        opened.goto(f"/office/segments{address}?lang={language}")
        assert opened.locator("html").get_attribute("dir") == ("rtl" if language == "fa" else "ltr")
        found = Axe().run(opened)
        assert found.violations_count == 0, f"{address}: {found.generate_report()}"
        if window == "phone":
            opened.set_viewport_size({"width": 360, "height": 640})
        assert opened.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), address


def test_a_list_of_numbers_becomes_a_condition(page: Page, live: Live) -> None:
    people(live)
    sign_in(page)
    page.goto("/office/segments")
    page.get_by_role("link", name="Bring a list").click()
    page.get_by_label("Name").fill("Fair")
    content = b"Phone\n0401230001\nnobody\n"
    page.get_by_label("CSV file").set_input_files({"name": "fair.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_role("button", name="Make the list").click()
    expect(page.get_by_role("status")).to_contain_text("1 member is on the list.")
    expect(page.locator("main")).to_contain_text(re.compile("Row 3"))
    page.get_by_role("link", name="New segment").click()
    add(page, "List of phone numbers")
    expect(page.locator("#segment-result")).to_contain_text("1 member")
    expect(page.locator("#segment-result")).to_contain_text("Erin")
