"""The page of pretend phones, as somebody sees it who tries Leima out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.cli.tour import running_demo
from passes.apple.push import Push
from passes.apple.push_auth import CertificateAuth
from passes.apple.push_client import PushClient
from sandbox.runner import Sandbox
from tests.pass_samples import NOW, root_pem, signing_identity
from tests.tiny_pass_service import TinyPassService, serving, stamps

pytestmark = pytest.mark.browser
Stamp = Callable[[int], None]
SOON = 15_000  # milliseconds; usually a tenth of a second, but a busy machine runs the whole shop here


@pytest.fixture
def service() -> TinyPassService:
    made = TinyPassService()
    made.put("alice", **stamps(3))
    return made


@pytest.fixture
def sandbox(service: TinyPassService, tmp_path: Path) -> Iterator[Sandbox]:
    with serving(service) as (host, port), Sandbox(tmp_path, f"http://{host}:{port}", 0, [root_pem()]) as running:
        service.base = running.proxy.url
        yield running


@pytest.fixture
def stamp(sandbox: Sandbox, service: TinyPassService) -> Iterator[Stamp]:
    auth = CertificateAuth(signing_identity())
    with PushClient(sandbox.apns.address, auth=auth, clock=lambda: NOW, ca_pem=sandbox.apns.ca_pem) as client:

        def give(have: int) -> None:
            service.put("alice", **stamps(have))
            client.send([Push(token, "pass.fi.leima.test") for token in service.registered.values()])

        yield give


@pytest.fixture
def phones(browser: Browser, sandbox: Sandbox) -> Iterator[Page]:
    """The page with one pretend iPhone. Errors on it fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(10_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(sandbox.phones_url)
    page.get_by_label("The address of a card").fill("http://localhost:8400/c/alice")
    page.get_by_role("button", name="Add the phone").click()
    expect(page.locator(".stand")).to_have_count(1)
    yield page
    context.close()
    assert errors == []


def test_a_stamp_changes_the_card_and_speaks_on_the_lock_screen_without_a_reload(phones: Page, stamp: Stamp) -> None:
    expect(phones.locator(".front .header")).to_contain_text("3/10")
    phones.evaluate("window.samePage = true")
    stamp(4)
    expect(phones.locator(".alert").first).to_contain_text("Leimoja nyt 4/10", timeout=1000)
    expect(phones.locator(".front .header")).to_contain_text("4/10", timeout=1000)
    assert phones.evaluate("window.samePage")


def test_the_card_is_drawn_in_its_own_colours(phones: Page) -> None:
    assert "rgb(60, 36, 21)" == phones.locator(".pass.front").evaluate("card => getComputedStyle(card).backgroundColor")


def test_the_card_is_turned_with_the_keyboard_and_stays_turned_when_it_changes(phones: Page, stamp: Stamp) -> None:
    phones.locator(".turn").focus()
    phones.keyboard.press("Space")
    expect(phones.locator(".pass.back")).to_be_visible()
    expect(phones.locator(".pass.front")).to_be_hidden()
    stamp(5)
    expect(phones.locator(".alert").first).to_contain_text("5/10")
    expect(phones.locator(".pass.back")).to_be_visible()


def test_a_drawing_that_comes_late_does_not_cover_a_newer_one(phones: Page, stamp: Stamp) -> None:
    phones.evaluate(
        """() => {
            const ask = window.fetch;
            let wait = 600;
            window.fetch = async (...what) => {
                const answer = await ask(...what);
                const text = await answer.clone().text();
                const late = wait;
                wait = 0;
                answer.text = () => new Promise((done) => setTimeout(done, late, text));
                return answer;
            };
        }"""
    )
    stamp(4)
    phones.wait_for_timeout(1000)
    expect(phones.locator(".alert").first).to_contain_text("4/10", timeout=1)
    expect(phones.locator(".front .header")).to_contain_text("4/10", timeout=1)


def test_who_turns_a_card_with_the_keyboard_stays_there_when_it_changes(phones: Page, stamp: Stamp) -> None:
    phones.locator(".turn").focus()
    stamp(4)
    expect(phones.locator(".alert").first).to_contain_text("4/10")
    expect(phones.locator(".turn")).to_be_focused()


def test_a_phone_that_somebody_else_adds_takes_nothing_from_a_form_that_is_being_filled_in(phones: Page) -> None:
    phones.get_by_label("Android", exact=True).check()
    phones.get_by_label("Its phone number").fill("045 7398")
    assert phones.request.post(phones.url.partition("#")[0], form={"kind": "iphone"}).ok
    expect(phones.locator(".stand")).to_have_count(2)
    expect(phones.get_by_label("Android", exact=True)).to_be_checked()
    expect(phones.get_by_label("Its phone number")).to_have_value("045 7398")


def test_the_phone_may_be_set_to_a_language_that_runs_from_right_to_left(phones: Page) -> None:
    phones.get_by_label("Language", exact=True).select_option("fa")
    expect(phones.locator(".front .header dt")).to_have_text("مهرها")
    expect(phones.locator(".device")).to_have_attribute("dir", "rtl")


def test_a_phone_that_was_off_catches_up(phones: Page, stamp: Stamp) -> None:
    phones.get_by_role("button", name="Turn off for a while").click()
    expect(phones.get_by_text("Switched off", exact=True)).to_be_visible()
    stamp(4)
    stamp(6)
    phones.get_by_role("button", name="Turn on").click()
    expect(phones.locator(".alert").first).to_contain_text("6/10")
    expect(phones.locator(".alert")).to_have_count(1)


def test_a_card_is_removed_and_added_again(phones: Page, service: TinyPassService) -> None:
    phones.get_by_role("button", name="Remove the card").click()
    expect(phones.get_by_text("No card on this phone.")).to_be_visible()
    assert {} == service.registered
    phones.get_by_role("button", name="Add the card again").click()
    expect(phones.locator(".pass.front")).to_be_visible()


def test_a_phone_is_thrown_away(phones: Page) -> None:
    phones.get_by_role("button", name="Throw the phone away").click()
    expect(phones.locator(".stand")).to_have_count(0)


def test_trouble_is_told_and_ended(phones: Page) -> None:
    phones.get_by_role("button", name="Make it fail").click()
    expect(phones.get_by_text("Apple 503 for 10 seconds")).to_be_visible()
    phones.get_by_role("button", name="Everything works again").click()
    expect(phones.get_by_text("Apple 503 for 10 seconds")).to_have_count(0)


def test_the_page_is_accessible(phones: Page) -> None:
    # A phone's screen is a drawing of shop's own colours, so its contrast is the shop's.
    found = Axe().run(phones, options={"rules": {"color-contrast": {"enabled": False}}})
    assert [] == [(one["id"], one["nodes"][0]["html"]) for one in found.response["violations"]]
    found = Axe().run(phones, context={"exclude": [[".device"]]})
    assert [] == [(one["id"], one["nodes"][0]["html"]) for one in found.response["violations"]]


def test_nothing_is_cut_off_on_a_narrow_screen(phones: Page) -> None:
    phones.set_viewport_size({"width": 360, "height": 780})
    assert 360 == phones.evaluate("document.documentElement.scrollWidth")


def test_both_phones_of_a_customer_show_a_stamp_of_the_real_shop(browser: Browser, tmp_path: Path) -> None:
    with running_demo(tmp_path) as told:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(told["sandbox"]["phones_url"])
        for number, kind in enumerate(("iPhone", "Android"), start=1):
            page.get_by_label(kind, exact=True).check()
            page.get_by_label("Whose card?").select_option("Bob Miller")
            page.get_by_role("button", name="Add the phone").click()
            expect(page.locator(".stand")).to_have_count(number)
        iphone, android = page.locator(".stand.iphone"), page.locator(".stand.android")
        expect(iphone.locator(".front .header")).to_contain_text("4 of 10")
        expect(android.locator(".front .fields")).to_contain_text("4/10")
        before = stamp_pictures(page)

        give_stamps(told, "Bob Miller", 1)
        expect(iphone.locator(".alert").first).to_contain_text("Coffee: 5 of 10", timeout=SOON)
        expect(iphone.locator(".front .header")).to_contain_text("5 of 10", timeout=SOON)
        expect(android.locator(".front .fields")).to_contain_text("5/10", timeout=SOON)
        after = stamp_pictures(page)
        assert (2, 2, set()) == (len(before), len(after), before & after)

        give_stamps(told, "Bob Miller", 5)
        for phone in (iphone, android):
            expect(phone.locator(".alert").first).to_contain_text("Your reward is here: Free coffee", timeout=SOON)
        page.close()


def give_stamps(told: dict[str, Any], name: str, count: int) -> None:
    """As till software does."""
    [code] = [member["card_code"] for member in told["members"] if member["name"] == name]
    headers = {"Authorization": f"Bearer {told['api_key']}", "Idempotency-Key": f"browser-{count}"}
    body = {"card_code": code, "count": count}
    assert requests.post(f"{told['base_url']}/api/v1/stamps", json=body, headers=headers, timeout=20).ok


def stamp_pictures(page: Page) -> set[str]:
    """The addresses of the stamp pictures that are shown, each loaded and drawn."""
    pictures = page.locator(".pass-strip img, .hero")
    page.wait_for_function("[...document.querySelectorAll('.pass-strip img, .hero')].every(one => one.naturalWidth)")
    return {str(one.get_attribute("src")) for one in pictures.all()}
