"""The till in a real browser: a scanner and a keyboard, double clicks, the camera, and what eyes and readers get."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import segno
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.db.people import Role
from app.services import members, programs, till
from app.services.context import Actor
from app.services.views import MemberView
from tests.browser.conftest import QUIET, Live, at_the_till, chromium_path, settled
from tests.factories import Shop

pytestmark = pytest.mark.browser

A_PERSON = 70  # milliseconds between two keys


def scan(page: Page, code: str) -> None:
    """What a keyboard-wedge scanner does: it types, very fast, and presses Enter."""
    page.keyboard.type(code)
    page.keyboard.press("Enter")


def scanned(page: Page, member: MemberView) -> None:
    scan(page, member.card_code)
    page.wait_for_url(f"**/till/m/{member.id}")
    settled(page)


def stamps(shop: Shop, member: MemberView) -> int:
    return members.by_id(shop.ctx, shop.cashier, member.id).stamps


def result(page: Page) -> str:
    return page.locator("#result .till-headline").inner_text()


@pytest.fixture(params=["page", "phone"])
def window(request: pytest.FixtureRequest) -> Page:
    """The till on a desktop and on a phone, with a cashier signed in."""
    opened: Page = request.getfixturevalue(request.param)
    at_the_till(opened)
    return opened


def test_a_cashier_serves_a_customer_with_the_keyboard_alone(window: Page, live: Live) -> None:
    member = live.shop.member(name="Aino")
    till.give_stamps(live.shop.ctx, live.shop.owner, member.card_code, count=8)
    scanned(window, member)
    expect(window.locator("#code")).to_be_focused()
    window.keyboard.press("ArrowUp")
    window.keyboard.press("F2")
    expect(window.locator("#amount")).to_be_focused()
    window.keyboard.type("12,50", delay=A_PERSON)
    window.keyboard.press("Escape")
    window.keyboard.press("Enter")
    expect(window.locator("#result")).to_contain_text("2 stamps given")
    expect(window.locator("#result")).to_contain_text("A reward to use: Free coffee")
    expect(window.locator("#announce")).to_contain_text("2 stamps given")
    settled(window)
    window.keyboard.press("F8")
    expect(window.locator("#result")).to_contain_text("Reward used: Free coffee")
    settled(window)
    window.keyboard.press("F9")
    expect(window.locator("#result")).to_contain_text("Undone")
    assert len(members.by_id(live.shop.ctx, live.shop.cashier, member.id).rewards) == 1
    settled(window)
    window.keyboard.press("Escape")
    window.wait_for_url("**/till")


def test_a_double_click_gives_one_stamp(window: Page, live: Live) -> None:
    member = live.shop.member()
    scanned(window, member)
    window.get_by_role("button", name="Give stamp", exact=True).dblclick()
    expect(window.locator("#result")).to_contain_text("1 stamp given")
    assert stamps(live.shop, member) == 1


def test_enter_pressed_twice_or_held_gives_one_stamp(page: Page, live: Live) -> None:
    at_the_till(page)
    member = live.shop.member()
    scanned(page, member)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_contain_text("1 stamp given")
    settled(page)
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert stamps(live.shop, member) == 1


def test_the_same_card_scanned_twice_or_three_times_gives_nothing(page: Page, live: Live) -> None:
    at_the_till(page)
    member = live.shop.member()
    for _ in range(3):
        scan(page, member.card_code)
    page.wait_for_url(f"**/till/m/{member.id}")
    scan(page, member.card_code)
    page.wait_for_timeout(500)
    assert stamps(live.shop, member) == 0
    expect(page.locator("#member")).to_be_visible()


def test_the_end_of_a_scan_that_reaches_the_next_page_does_nothing(page: Page, live: Live) -> None:
    at_the_till(page)
    member = live.shop.member()
    scan(page, member.card_code)
    page.wait_for_url(f"**/till/m/{member.id}")
    # The page believes that it was shown a minute later than it was: all keys come too early.
    page.add_init_script("const now = performance.now(); performance.now = () => now + 60_000")
    page.reload()
    settled(page)
    page.keyboard.press("Enter")
    scan(page, member.card_code[9:])
    page.wait_for_timeout(500)
    expect(page.locator("#code")).to_have_value("")
    expect(page.locator("#member")).to_be_visible()
    assert stamps(live.shop, member) == 0


@pytest.mark.parametrize("focused", ["Give stamp", "Sign out", "Undo"])
def test_a_scan_never_presses_the_button_that_has_the_focus(page: Page, live: Live, focused: str) -> None:
    at_the_till(page)
    first, second = live.shop.member(1), live.shop.member(2)
    till.give_stamps(live.shop.ctx, live.shop.cashier, first.card_code)
    scanned(page, first)
    page.get_by_role("button", name=focused, exact=True).focus()
    scanned(page, second)
    assert (stamps(live.shop, first), stamps(live.shop, second)) == (1, 0)


def test_a_card_scanned_into_another_field_is_looked_up(page: Page, live: Live) -> None:
    at_the_till(page)
    first, second = live.shop.member(1), live.shop.member(2)
    scanned(page, first)
    page.keyboard.press("F2")
    page.keyboard.type("12", delay=A_PERSON)
    page.wait_for_timeout(250)
    scanned(page, second)
    assert (stamps(live.shop, first), stamps(live.shop, second)) == (0, 0)


def test_a_scanned_receipt_stays_in_its_field(page: Page, live: Live) -> None:
    at_the_till(page)
    member = live.shop.member()
    scanned(page, member)
    page.get_by_label("Receipt number").focus()
    scan(page, "00012345")
    page.wait_for_timeout(300)
    expect(page.get_by_label("Receipt number")).to_have_value("00012345")
    assert stamps(live.shop, member) == 0


def test_a_reload_and_the_back_button_give_nothing(page: Page, live: Live) -> None:
    at_the_till(page)
    member = live.shop.member()
    scanned(page, member)
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_be_visible()
    page.reload()
    page.go_back()
    page.go_forward()
    assert stamps(live.shop, member) == 1


def test_a_required_amount_is_asked_for(page: Page, live: Live) -> None:
    live.shop.change_program(smallest_purchase="3.50")
    at_the_till(page)
    member = live.shop.member()
    scanned(page, member)
    page.keyboard.press("Enter")
    expect(page.locator("#amount")).to_be_focused()
    page.keyboard.type("3", delay=A_PERSON)
    page.wait_for_timeout(A_PERSON)
    page.keyboard.press("Enter")
    assert result(page) == "No stamp: the purchase must be €3.50 or more."
    expect(page.locator("#amount")).to_be_focused()
    page.locator("#amount").fill("3.50")
    page.wait_for_timeout(A_PERSON)
    page.keyboard.press("Enter")
    expect(page.locator("#result.good")).to_contain_text("1 stamp given")


def test_plus_counts_until_a_digit_makes_it_a_phone_number(page: Page, live: Live) -> None:
    at_the_till(page)
    member = live.shop.member(7)
    scanned(page, live.shop.member(1))
    page.keyboard.press("+")
    page.keyboard.press("+")
    expect(page.locator("#count")).to_have_value("3")
    page.keyboard.press("-")
    expect(page.locator("#count")).to_have_value("2")
    page.keyboard.type("+358401230007", delay=A_PERSON)
    expect(page.locator("#code")).to_have_value("+358401230007")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/till/m/{member.id}")


def test_a_stranger_joins_by_phone_number(window: Page, live: Live) -> None:
    scan(window, "0409999999")
    expect(window.get_by_role("heading", name="Not a member yet")).to_be_visible()
    window.get_by_label(re.compile("^Name")).fill("Aino")
    window.get_by_label("I have told the customer the terms, and they agree.").check()
    window.get_by_role("button", name="Join this number").click()
    expect(window.locator("#result")).to_contain_text("New member")
    expect(window.get_by_role("heading", name="Aino")).to_be_visible()


def test_what_could_not_be_read_can_be_mended_or_scanned_over(page: Page, live: Live) -> None:
    at_the_till(page)
    member = live.shop.member()
    scan(page, "HELLO")
    expect(page.locator("#result.bad")).to_be_visible()
    expect(page.locator("#code")).to_have_value("HELLO")
    scanned(page, member)


def test_a_chosen_place_is_kept(page: Page, live: Live) -> None:
    programs.save_location(live.shop.ctx, Actor(live.shop.program.id), {"name": "Satama"})
    at_the_till(page)
    page.get_by_label("This till is at").select_option("Satama")
    with page.expect_navigation():
        page.get_by_role("button", name="Set the place").click()
    settled(page)
    member = live.shop.member()
    scanned(page, member)
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_be_visible()
    assert till.history(live.shop.ctx, live.shop.cashier, member.id)[0].location == "Satama"


def test_everything_works_without_scripts(browser: Browser, live: Live) -> None:
    context = browser.new_context(base_url=live.url, java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    at_the_till(page, scripts=False)
    member = live.shop.member()
    page.locator("#code").fill(member.card_code)
    page.get_by_role("button", name="Find").click()
    page.get_by_label("Number of stamps").fill("10")
    page.get_by_role("button", name="Give stamp").click()
    page.get_by_role("button", name="Use the reward: Free coffee").click()
    assert result(page) == "Reward used: Free coffee"
    page.get_by_role("button", name="Undo").click()
    assert result(page) == "Undone"
    context.close()


@pytest.mark.parametrize(("window", "language"), [("page", "en"), ("phone", "fa")], indirect=["window"])
def test_no_page_of_the_till_has_a_barrier_or_scrolls_sideways(window: Page, live: Live, language: str) -> None:
    member = live.shop.member(name="مریم حسینی")
    till.give_stamps(live.shop.ctx, live.shop.cashier, member.card_code, count=11)
    programs.save_location(live.shop.ctx, Actor(live.shop.program.id), {"name": "Satama"})
    window.goto(f"/till?lang={language}")
    assert window.locator("html").get_attribute("dir") == {"en": "ltr", "fa": "rtl"}[language]
    assert_no_barrier(window)
    scanned(window, member)
    assert_no_barrier(window)
    window.keyboard.press("Enter")
    window.wait_for_selector("#result.good")
    assert_no_barrier(window)
    for code in ("0409999999", "HELLO"):
        window.goto("/till")
        settled(window)
        scan(window, code)
        window.wait_for_selector("#result.bad")
        assert_no_barrier(window)


@pytest.mark.parametrize("outcome", ["good", "bad"])
def test_the_outcome_can_be_read_from_the_first_moment_of_its_flash(page: Page, live: Live, outcome: str) -> None:
    at_the_till(page)
    if outcome == "good":
        scanned(page, live.shop.member())
        page.keyboard.press("Enter")
    else:
        scan(page, "HELLO")
    shown = page.wait_for_selector(f"#result.{outcome}")
    assert shown is not None
    flashes = "panel => { panel.style.animation = 'till-flash 1s paused'; return panel.getAnimations().length }"
    assert 1 == shown.evaluate(flashes)
    assert_no_barrier(page)


def assert_no_barrier(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_persian_tills_count_in_persian_digits(page: Page, live: Live) -> None:
    at_the_till(page)
    page.goto("/till?lang=fa")
    member = live.shop.member()
    scanned(page, member)
    page.keyboard.press("ArrowUp")
    expect(page.locator("#count")).to_have_value("۲")
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_be_visible()
    assert stamps(live.shop, member) == 2


def test_sounds_can_be_muted_for_good(page: Page, live: Live) -> None:
    at_the_till(page)
    page.get_by_role("button", name="Mute the sounds").click()
    page.reload()
    expect(page.get_by_role("button", name="Mute the sounds")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#code")).to_be_focused()


class TestCamera:
    def test_without_a_code_before_it_keeps_looking_and_can_be_closed(self, page: Page, live: Live) -> None:
        at_the_till(page)
        with page.expect_response("**/till/frame") as answer:
            page.get_by_role("button", name="Scan with the camera").click()
        assert answer.value.status == 204
        expect(page.locator("#camera-note")).to_have_text("Hold the code of the card before the camera.")
        page.get_by_role("button", name="Close the camera").click()
        expect(page.locator("#camera")).to_be_hidden()

    def test_a_picture_that_the_server_refuses_says_why(self, page: Page, live: Live) -> None:
        page.add_init_script(
            "HTMLCanvasElement.prototype.toBlob = (done) => done(new Blob(['x'], { type: 'image/jpeg' }))"
        )
        at_the_till(page)
        page.get_by_role("button", name="Scan with the camera").click()
        expect(page.locator("#camera-note")).to_have_text("The camera's picture could not be read.")

    def test_a_refused_camera_says_what_to_do(self, page: Page, live: Live) -> None:
        page.add_init_script(
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError') }"
        )
        at_the_till(page)
        page.get_by_role("button", name="Scan with the camera").click()
        expect(page.locator("#camera-note")).to_contain_text("The camera may not be used here.")

    def test_the_browsers_own_reader_is_used_where_there_is_one(self, page: Page, live: Live) -> None:
        member = live.shop.member()
        page.add_init_script(
            "window.BarcodeDetector = class { static async getSupportedFormats() { return ['qr_code'] }"
            f" async detect() {{ return [{{ rawValue: '{member.card_code}' }}] }} }}"
        )
        page.on("request", lambda request: pytest.fail("asked the server") if "/frame" in request.url else None)
        at_the_till(page)
        page.get_by_role("button", name="Scan with the camera").click()
        page.wait_for_url(f"**/till/m/{member.id}")

    def test_a_card_before_the_camera_is_looked_up(self, held_up: tuple[Page, MemberView]) -> None:
        page, member = held_up
        at_the_till(page, "mary")
        page.get_by_role("button", name="Scan with the camera").click()
        page.wait_for_url(f"**/till/m/{member.id}")


@pytest.fixture
def held_up(browser: Browser, live: Live, tmp_path: Path) -> Iterator[tuple[Page, MemberView]]:
    """A browser whose camera sees a member's card."""
    member = live.shop.member()
    assert live.shop.people[Role.MANAGER].login == "mary"
    qr = BytesIO()
    segno.make(member.card_code, micro=False).save(qr, kind="png", scale=8)
    picture = Image.new("L", (640, 480), 190)
    picture.paste(Image.open(qr).convert("L"), (190, 110))
    picture.convert("RGB").save(tmp_path / "camera.mjpeg", "JPEG")
    started = browser.browser_type.launch(
        executable_path=chromium_path(), args=[*QUIET, f"--use-file-for-fake-video-capture={tmp_path}/camera.mjpeg"]
    )
    context = started.new_context(base_url=live.url, locale="en-GB", permissions=["camera"])
    yield context.new_page(), member
    started.close()
