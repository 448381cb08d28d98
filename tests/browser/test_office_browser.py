"""The office in a browser: the owner's way from nothing to a working card, by mouse and on a phone."""

from io import BytesIO

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from app.db.people import Role
from app.services import programs, till
from tests.browser.conftest import Live, sign_in
from tests.factories import PASSWORD

pytestmark = pytest.mark.browser

PAGES = (
    "/office",
    "/office/program",
    "/office/locations",
    "/office/locations/new",
    "/office/staff",
    "/office/staff/new",
    "/office/members",
    "/office/delivery",
    "/office/keys",
    "/staff/password",
)


def background(page: Page) -> str:
    color: str = page.locator(".wallet-card").evaluate("card => getComputedStyle(card).backgroundColor")
    return color


def logo() -> dict[str, object]:
    file = BytesIO()
    Image.new("RGB", (80, 30), "orange").save(file, "PNG")
    return {"name": "logo.png", "mimeType": "image/png", "buffer": file.getvalue()}


def fits(page: Page) -> bool:
    """Whether nothing sticks out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_an_owner_brands_the_card_and_sees_it_before_saving(page: Page, live: Live) -> None:
    sign_in(page)
    page.get_by_role("link", name="Programme", exact=True).click()
    assert background(page) == "rgb(11, 93, 78)"
    page.get_by_label("Brand colour", exact=True).fill("cmyk(0, 100, 100, 40)")
    expect(page.locator(".wallet-card")).to_have_css("background-color", "rgb(153, 0, 0)")
    expect(page.get_by_label("Pick the brand colour")).to_have_value("#990000")
    page.get_by_label("Brand colour", exact=True).fill("cmyk(0, 100")
    expect(page.locator(".wallet-card")).to_have_css("background-color", "rgb(11, 93, 78)")
    page.get_by_label("Pick the brand colour").fill("#ffdd33")
    expect(page.get_by_label("Brand colour", exact=True)).to_have_value("#ffdd33")
    expect(page.locator(".wallet-card")).to_have_css("background-color", "rgb(255, 221, 51)")
    page.get_by_label("Card", exact=True).select_option("light")
    expect(page.get_by_text("This colour is pale on a white card")).to_be_visible()
    page.get_by_label("Name of the programme").fill("Torni Club")
    expect(page.locator(".wallet-name")).to_have_text("Torni Club")
    page.get_by_label("Show").select_option("reward")
    expect(page.locator(".wallet-fields")).to_contain_text("1 × Free coffee")
    page.locator("#logo").set_input_files(logo())
    expect(page.locator("img.wallet-logo")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. New cards show it at once, cards in wallets within minutes.")).to_be_visible()
    expect(page.get_by_text("This colour is pale on a white card")).to_be_visible()
    expect(page.get_by_alt_text("The logo that is saved")).to_be_visible()
    saved = programs.get(live.shop.ctx, live.shop.program.id)
    assert ("Torni Club", "#ffdd33", "light") == (saved.name, saved.brand_color, saved.theme.value)
    assert saved.logo_id is not None


def test_a_mistake_leads_to_its_field(page: Page) -> None:
    sign_in(page)
    page.goto("/office/program")
    page.get_by_label("Stamps that fill a card").fill("99")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("alert").get_by_role("link", name="Stamps that fill a card").click()
    field = page.get_by_label("Stamps that fill a card")
    expect(field).to_be_focused()
    expect(field).to_have_value("99")
    expect(field).to_have_attribute("aria-invalid", "true")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_an_owner_adds_a_location_and_hires_a_cashier_who_signs_in(page: Page, live: Live) -> None:
    sign_in(page)
    page.get_by_role("link", name="Programme", exact=True).click()
    page.get_by_role("link", name="Locations", exact=True).click()
    page.get_by_role("link", name="Add a location").click()
    page.get_by_label("Name of the location").fill("Torni")
    page.get_by_label("Latitude").fill("60,1679")
    page.get_by_label("Longitude").fill("24.9384")
    page.get_by_role("button", name="Save").dblclick()
    expect(page.get_by_role("link", name="Torni")).to_be_visible()
    assert ["Kulma", "Torni"] == [place.name for place in programs.locations(live.shop.ctx, live.shop.program.id)]
    page.get_by_role("link", name="Staff", exact=True).click()
    page.get_by_role("link", name="Add someone").click()
    page.locator("#name").fill("Eve")
    page.get_by_label("Sign-in name").fill("eve")
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("#location_id").select_option(label="Torni")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Eve")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "eve", "/till")
    assert page.goto("/office").status == 403  # type: ignore[union-attr]


def test_a_key_is_copied_when_it_is_made_and_ended_after_a_question(page: Page) -> None:
    sign_in(page)
    page.goto("/office/keys")
    page.get_by_label("What it is for").fill("Web shop")
    page.get_by_role("button", name="Make the key").click()
    secret = page.locator("#secret").input_value()
    assert secret.startswith("leima_")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert secret == page.evaluate("navigator.clipboard.readText()")
    page.get_by_label("End the key Web shop").click()
    page.get_by_role("button", name="End the key").click()
    expect(page.get_by_text("The key has ended.")).to_be_visible()


def test_a_manager_finds_a_member_and_blocks_the_card(page: Page, live: Live) -> None:
    live.shop.member(1, name="Aino Virtanen")
    live.shop.member(2, name="Bob")
    sign_in(page, "mary")
    page.get_by_role("link", name="Members", exact=True).click()
    page.get_by_label("Name or phone number").fill("0401230001")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Bob")).to_have_count(0)
    assert page.url.endswith("/office/members")
    page.get_by_role("link", name="Aino Virtanen").click()
    page.get_by_text("Block the card").click()
    page.get_by_role("button", name="Block").click()
    expect(page.get_by_text("This card is blocked.")).to_be_visible()
    page.get_by_role("button", name="Unblock").click()
    expect(page.get_by_role("heading", name="Aino Virtanen Active")).to_be_visible()


@pytest.mark.parametrize(("window", "language", "scheme"), [("page", "en", "light"), ("phone", "fa", "dark")])
def test_every_office_page_is_accessible_and_fits(
    request: pytest.FixtureRequest, live: Live, window: str, language: str, scheme: str
) -> None:
    opened: Page = request.getfixturevalue(window)
    member = live.shop.member(1, name="مریم رضایی" * 7, via="poster")
    till.give_stamps(live.shop.ctx, live.shop.cashier, member.card_code, count=13, amount_minor=1250)
    opened.emulate_media(color_scheme=scheme)
    sign_in(opened)
    charlie = live.shop.people[Role.CASHIER]
    more = (
        f"/office/members/{member.id}",
        f"/office/staff/{charlie.id}",
        f"/office/locations/{live.shop.location.id}",
    )
    for address in PAGES + more:
        opened.goto(f"{address}?lang={language}")
        assert opened.locator("html").get_attribute("dir") == ("rtl" if language == "fa" else "ltr")
        found = Axe().run(opened)
        assert found.violations_count == 0, f"{address}: {found.generate_report()}"
        assert fits(opened), address
        if window == "phone":
            opened.set_viewport_size({"width": 360, "height": 640})
            assert fits(opened), address


def test_the_programme_is_set_up_without_javascript_too(live: Live, page: Page) -> None:
    context = page.context.browser.new_context(base_url=live.url, java_script_enabled=False)  # type: ignore[union-attr]
    plain = context.new_page()
    sign_in(plain)
    plain.goto("/office/program")
    expect(plain.locator(".wallet-card")).to_have_css("background-color", "rgb(11, 93, 78)")
    expect(plain.get_by_label("Pick the brand colour")).to_be_hidden()
    plain.get_by_label("Brand colour", exact=True).fill("#990000")
    plain.get_by_role("button", name="Save").click()
    expect(plain.locator(".wallet-card")).to_have_css("background-color", "rgb(153, 0, 0)")
    context.close()
