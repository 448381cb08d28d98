"""The card's page and the join poster in a browser."""

import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import zxingcpp
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from pydantic import SecretStr
from werkzeug.serving import make_server

from app.db.people import MemberStatus
from app.services import members, programs, till
from app.services.context import Context
from app.web.factory import create_app
from tests.browser.conftest import Live, sign_in
from tests.factories import PROGRAM_FORM, Shop

pytestmark = pytest.mark.browser


def card_path(live: Live, stamps: int = 13, **values: object) -> str:
    member = live.shop.member(1, **values)
    if stamps:
        till.give_stamps(live.shop.ctx, live.shop.cashier, member.card_code, count=stamps)
    return urlsplit(members.card_url(live.shop.ctx, member)).path


def fits(page: Page) -> bool:
    """Whether nothing sticks out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def photographed(page: Page, selector: str) -> str:
    """What a camera reads from a part of the page."""

    picture = Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("L")
    (code,) = zxingcpp.read_barcodes(picture)
    return str(code.text)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("language", "name", "program"),
    [
        ("en", "Maximiliana Konstantinopolitanskaya-Featherstonehaugh von und zu Hohenlohe 🎉", {}),
        ("fa", "زهرا محمدی", {"brand_color": "#f2c14e"}),
        ("en", "", {"theme": "light", "brand_color": "#c83c1e", "stamps_needed": "30"}),
    ],
)
def test_the_card_is_accessible_and_fits(
    phone: Page, live: Live, scheme: str, language: str, name: str, program: dict[str, str]
) -> None:
    live.shop.change_program(**program)
    path = card_path(live, name=name, language=language)
    phone.emulate_media(color_scheme=scheme)
    phone.goto(path)
    for summary in phone.locator("summary").all():
        summary.click()
    found = Axe().run(phone)
    assert found.violations_count == 0, found.generate_report()
    assert fits(phone)
    phone.set_viewport_size({"width": 360, "height": 640})
    assert fits(phone)


def test_a_scanner_reads_the_code_from_the_screen(phone: Page, live: Live) -> None:
    path = card_path(live)
    phone.goto(path)
    member = members.by_link(live.shop.ctx, path.rpartition("/")[2])
    assert photographed(phone, ".pass-code") == member.card_code


def test_leaving_asks_first(phone: Page, live: Live) -> None:
    path = card_path(live)
    phone.goto(path)
    phone.locator("summary", has_text="Leave the programme").click()
    phone.get_by_role("button", name="Leave the programme").click()  # the browser asks for the tick
    token = path.rpartition("/")[2]
    assert members.by_link(live.shop.ctx, token).status is MemberStatus.ACTIVE
    phone.get_by_label("Yes, I want to leave.").check()
    phone.get_by_role("button", name="Leave the programme").click()
    expect(phone.get_by_role("status")).to_contain_text("You have left this programme")
    assert members.by_link(live.shop.ctx, token).status is MemberStatus.LEFT
    found = Axe().run(phone)
    assert found.violations_count == 0, found.generate_report()


@pytest.fixture
def with_google(ctx: Context, shop: Shop) -> Iterator[Live]:
    """A server of an installation that has a Google issuer account."""
    settings = {
        "wallet_url": "https://kulma.example",
        "google_issuer_id": "3388000000000000001",
        "google_account": SecretStr("{}"),
    }
    on = replace(ctx, settings=ctx.settings.model_copy(update=settings))
    server = make_server("127.0.0.1", 0, create_app(on), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield Live(f"http://localhost:{server.server_port}", shop)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("language", ["en", "fa"])
@pytest.mark.parametrize("device", ["iPhone 15", "Pixel 7", "Desktop Firefox"])
def test_the_wallet_of_the_device_is_the_larger_button_above(
    browser: Browser, with_google: Live, device: str, language: str
) -> None:
    agents = {
        "iPhone 15": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile/15E148 Safari/604.1",
        "Pixel 7": "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/138.0.0.0 Mobile Safari/537.36",
        "Desktop Firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    }
    for width in (360, 1280):
        context = browser.new_context(viewport={"width": width, "height": 800}, user_agent=agents[device])
        page = context.new_page()
        page.goto(with_google.url + card_path(with_google, stamps=0, language=language))
        apple, google = (page.locator(".wallet-button", has_text=name) for name in ("Apple Wallet", "Google Wallet"))
        above, below = apple.bounding_box(), google.bounding_box()
        assert above is not None
        assert below is not None
        if device == "Desktop Firefox":
            assert above["height"] == below["height"]
        else:
            first, second = (above, below) if device == "iPhone 15" else (below, above)
            assert (True, True) == (first["y"] < second["y"], first["height"] > second["height"] >= 44)
        assert fits(page)
        found = Axe().run(page)
        context.close()
        assert found.violations_count == 0, found.generate_report()


def test_the_poster_is_one_sheet_of_the_chosen_paper(page: Page, live: Live) -> None:
    sign_in(page, start="/office/poster")
    page.get_by_label("Place").fill("Table 1")
    page.get_by_label("Paper").select_option("A5")
    page.get_by_role("button", name="Show the poster").click()
    assert photographed(page, ".sheet-code") == "http://localhost:8400/join/kulma?via=table-1"
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    assert printed.count(b"/Type /Page\n") == 1
    assert b"/MediaBox [0 0 420" in printed  # 148 mm are 420 points


def test_the_fullest_poster_still_fits_its_sheet(page: Page, live: Live) -> None:
    logo = io.BytesIO()
    Image.new("RGB", (60, 60), "orange").save(logo, "PNG")
    words = {"name": "Ravintola " + "K" * 50, "organization_name": "Osuus " * 10, "reward_name": "Ilmainen " * 6}
    programs.update(
        live.shop.ctx, live.shop.owner, PROGRAM_FORM | words | {"stamps_needed": "30"}, logo=logo.getvalue()
    )
    sign_in(page, start="/office/poster")
    assert page.evaluate("(s => s.scrollHeight <= s.clientHeight)(document.querySelector('.sheet'))")
    assert photographed(page, ".sheet-code") == "http://localhost:8400/join/kulma?via=poster"
