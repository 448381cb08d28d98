"""The wallets page in a browser: an owner sees what did not arrive, and has it tried again."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import delete

from app import clock
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.services import dead_rows
from app.services.views import MemberView
from tests.browser.conftest import Live, sign_in

pytestmark = pytest.mark.browser


def fits(page: Page) -> bool:
    """Whether nothing sticks out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.fixture
def members(live: Live) -> list[MemberView]:
    """Three members whose cards were not told, one that is tried again, and one that waits."""
    found = [live.shop.member(number, name=name) for number, name in enumerate(("Aino Virtanen", "مریم رضایی" * 7, ""))]
    now = clock.now()
    with live.shop.ctx.sessions.begin() as session:
        session.execute(delete(OutboxRow))  # of opening the shop
        for member, channel, state, error in (
            (found[0], Channel.APPLE, OutboxState.DEAD, "0 CertificateExpired"),
            (found[1], Channel.GOOGLE, OutboxState.DEAD, "x" * 300),
            (found[2], Channel.APPLE, OutboxState.DEAD, "403 InvalidProviderToken"),
            (found[0], Channel.GOOGLE, OutboxState.WAITING, "Google Wallet is out of order for the moment"),
            (found[1], Channel.APPLE, OutboxState.WAITING, ""),
        ):
            session.add(
                OutboxRow(
                    channel=channel,
                    program_id=live.shop.program.id,
                    subject_id=member.card_id,
                    state=state,
                    error=error,
                    attempts=3 if error else 0,
                    due_at=now,
                    created_at=now,
                )
            )
    return found


def test_an_owner_is_led_to_what_did_not_arrive_and_tries_it_again(
    page: Page, live: Live, members: list[MemberView]
) -> None:
    sign_in(page)
    expect(page.get_by_text("3 updates did not arrive in wallets.")).to_be_visible()
    page.get_by_role("link", name="See which and why").click()
    expect(page.get_by_role("link", name="Wallets", exact=True)).to_have_attribute("aria-current", "page")
    row = page.get_by_role("listitem").filter(has_text="has expired")
    expect(row.get_by_role("link", name="Aino Virtanen")).to_be_visible()
    row.get_by_text("The message itself").click()
    expect(row.get_by_text("0 CertificateExpired")).to_be_visible()
    row.get_by_role("button", name="Try again").dblclick()
    expect(page.get_by_role("status")).to_contain_text("It is being tried again.")
    expect(page.get_by_role("button", name="Try again")).to_have_count(2)
    page.get_by_role("button", name="Try all again").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What did not arrive")).to_have_count(0)
    assert [] == dead_rows.newest(live.shop.ctx, live.shop.program.id)


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fa", "dark")])
@pytest.mark.parametrize("login", ["alice", "max"])
def test_the_page_is_accessible_and_fits_on_a_phone(
    phone: Page, members: list[MemberView], login: str, language: str, scheme: str
) -> None:
    phone.emulate_media(color_scheme=scheme)
    sign_in(phone, login)
    phone.goto(f"/office/delivery?lang={language}")
    for details in phone.locator("details.said").all():
        details.locator("summary").click()
    found = Axe().run(phone)
    assert found.violations_count == 0, found.generate_report()
    for width in (390, 360):
        phone.set_viewport_size({"width": width, "height": 844})
        assert fits(phone)
    expect(phone.locator("main form button.small")).to_have_count(3 if login == "alice" else 0)
