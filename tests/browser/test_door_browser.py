"""The door in a real browser: a scanner, a double scan, and a network and a sign-in that go and come back."""

import re
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app import clock
from app.db.people import MemberStatus
from app.db.visits import UncountedVisit, Visit
from app.services import members, programs
from app.services.views import MemberView
from tests.browser.conftest import Live, settled, sign_in
from tests.factories import PASSWORD, Shop
from tests.integration.visit_shop import count_visits, give_at

pytestmark = pytest.mark.browser


@pytest.fixture(params=["page", "phone"])
def window(request: pytest.FixtureRequest) -> Page:
    """The door on a desktop and on a phone."""
    found: Page = request.getfixturevalue(request.param)
    return found


def at_the_door(page: Page) -> None:
    sign_in(page, "charlie", "/till/door")
    ready(page)


def ready(page: Page) -> None:
    """Wait for a door that has asked for whom it counts, and is kept by the browser."""
    expect(page.locator("#net")).to_have_attribute("data-net", "online")
    settled(page)
    page.evaluate("() => navigator.serviceWorker.ready")


def scan(page: Page, code: str) -> None:
    page.keyboard.type(code)
    page.keyboard.press("Enter")


def shown(page: Page, outcome: str) -> str:
    expect(page.locator("#panel")).to_have_attribute("data-outcome", outcome)
    return page.locator("#headline").inner_text()


def visits(shop: Shop, member: MemberView) -> int:
    return members.by_id(shop.ctx, shop.cashier, member.id).visits


def told(shop: Shop) -> int:
    """How many visits the server was told of, whether they count or not."""
    with shop.ctx.sessions() as session:
        return len(session.scalars(select(Visit.id)).all()) + len(session.scalars(select(UncountedVisit.id)).all())


def test_a_scanner_checks_cards_in_and_a_card_that_is_held_there_counts_once(live: Live, window: Page):
    shop = live.shop
    count_visits(shop)
    give_at(shop, 5)
    anna, bert = shop.member(1, name="Anna Virtanen"), shop.member(2, name="Bert")
    at_the_door(window)
    scan(window, anna.card_code)
    assert "Welcome, Anna!" == shown(window, "good")
    expect(window.locator("#more")).to_contain_text("Visits left to Free coffee: 4")
    scan(window, anna.card_code)  # the scanner reads the card twice
    scan(window, bert.card_code)
    assert "Welcome, Bert!" == shown(window, "good")
    scan(window, anna.card_code)
    assert re.fullmatch(r"Already checked in at \d\d:\d\d", shown(window, "again"))
    assert (1, 1, 3) == (visits(shop, anna), visits(shop, bert), told(shop))
    assert "Virtanen" not in window.content()


def test_the_keyboard_is_the_scanners_wherever_the_focus_is(live: Live, page: Page):
    count_visits(live.shop)
    member = live.shop.member()
    at_the_door(page)
    page.locator("#mute").focus()
    page.wait_for_timeout(200)
    scan(page, member.card_code)
    assert "Welcome!" == shown(page, "good")
    expect(page.locator("#code")).to_be_focused()
    expect(page.locator("#mute")).to_have_attribute("aria-pressed", "false")


def test_a_reward_is_shown_and_a_stranger_is_told_so_and_listed(live: Live, page: Page):
    shop = live.shop
    count_visits(shop)
    give_at(shop, 1)
    member = shop.member(name="Anna")
    at_the_door(page)
    scan(page, member.card_code)
    shown(page, "reward")
    expect(page.locator("#more")).to_contain_text("Your reward: Free coffee")
    scan(page, "0000000000000000")
    assert "No member has this card or number." == shown(page, "bad")
    expect(page.locator("#refused-words")).to_have_text("Visits that do not count: 1")
    page.locator("#refused summary").click()
    expect(page.locator("#refused-list")).to_contain_text("…0000")
    assert "0" * 5 not in page.locator("#refused-list").inner_text()
    page.locator("#refused-clear").click()
    expect(page.locator("#refused")).to_be_hidden()


def test_visits_without_a_network_survive_a_reload_and_are_sent_once_and_in_order(live: Live, window: Page):
    shop = live.shop
    count_visits(shop)
    people = [shop.member(number, name=f"Guest{number}") for number in range(3)]
    gone = shop.member(9)
    at_the_door(window)
    window.context.set_offline(True)
    for person in (*people, people[0], gone):
        scan(window, person.card_code)
        assert "Noted" == shown(window, "noted")
    expect(window.locator("#waiting")).to_have_text("Visits waiting: 5")
    expect(window.locator("#net-words")).to_have_text("No network: visits are noted here")
    assert 0 == told(shop)

    window.reload()  # from what the browser keeps
    expect(window.locator("#waiting")).to_have_text("Visits waiting: 5")
    expect(window.locator("#shop")).to_have_text("Kulma Club")
    settled(window)
    scan(window, people[1].card_code)
    assert "Noted" == shown(window, "noted")
    members.set_status(shop.ctx, shop.owner, gone.id, MemberStatus.BLOCKED)

    window.context.set_offline(False)
    expect(window.locator("#waiting")).to_be_hidden()
    expect(window.locator("#refused-words")).to_have_text("Visits that do not count: 1")
    assert [1, 1, 1] == [visits(shop, person) for person in people]
    assert 5 == told(shop)
    with shop.ctx.sessions() as session:
        sent = session.scalars(select(Visit).order_by(Visit.recorded_at)).all()
        assert [person.id for person in people] == [visit.member_id for visit in sent]
        assert all(visit.recorded_at >= visit.at > clock.now() - timedelta(minutes=5) for visit in sent)
    window.reload()
    ready(window)
    window.wait_for_timeout(500)
    assert 5 == told(shop)


def test_an_answer_that_was_lost_on_the_way_does_not_count_twice(live: Live, page: Page):
    shop = live.shop
    count_visits(shop, hours=0)
    member = shop.member()
    at_the_door(page)
    lost: list[str] = []

    def lose_the_first(route) -> None:  # type: ignore[no-untyped-def]
        answer = route.fetch()
        if lost:
            return route.fulfill(response=answer)
        lost.append(answer.text())
        return route.abort()

    page.route("**/till/door/visits", lose_the_first)
    scan(page, member.card_code)
    assert "Noted" == shown(page, "noted")
    expect(page.locator("#waiting")).to_be_hidden()
    assert (1, 1) == (len(lost), visits(shop, member))


def test_signed_out_the_door_goes_on_noting_and_sends_after_the_next_sign_in(live: Live, page: Page):
    shop = live.shop
    count_visits(shop)
    first, second = shop.member(1), shop.member(2)
    at_the_door(page)
    page.context.clear_cookies()
    page.reload()
    expect(page.locator("#notice-words")).to_have_text("Nobody is signed in here. Cards are noted all the same.")
    settled(page)
    for member in (first, second):
        scan(page, member.card_code)
        assert "Noted" == shown(page, "noted")
    expect(page.locator("#notice-words")).to_contain_text("Waiting: 2")
    assert 0 == told(shop)
    page.locator("#sign-in").click()
    page.locator("#login").fill("dora")
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/till/door*")
    expect(page.locator("#net")).to_have_attribute("data-net", "online")
    expect(page.locator("#waiting")).to_be_hidden()
    assert (1, 1) == (visits(shop, first), visits(shop, second))


def test_a_door_remembers_where_it_stands_whoever_signs_in(live: Live, page: Page):
    shop = live.shop
    count_visits(shop)
    pool = programs.save_location(
        shop.ctx, shop.owner, {"name": "Pool", "address": "", "latitude": "", "longitude": ""}
    )
    at_the_door(page)
    expect(page.locator("#place")).to_have_value(str(shop.location.id))  # where the cashier belongs
    page.locator("#place").select_option("Pool")
    page.reload()
    ready(page)
    expect(page.locator("#place")).to_have_value(str(pool.id))
    scan(page, shop.member().card_code)
    shown(page, "good")
    with shop.ctx.sessions() as session:
        assert pool.id == session.scalars(select(Visit.location_id)).one()


def test_a_device_that_nobody_ever_signed_in_on_asks_for_it(live: Live, page: Page):
    page.goto("/till/door")
    expect(page.locator("#notice")).to_be_visible()
    settled(page)
    scan(page, live.shop.member().card_code)
    assert "Sign in first" == shown(page, "bad")


@pytest.mark.parametrize("language", ["en", "fa"])
def test_every_state_of_the_door_is_accessible_and_fits(live: Live, window: Page, language: str):
    shop = live.shop
    count_visits(shop)
    give_at(shop, 2)
    member = shop.member(name="Anna")
    at_the_door(window)
    window.goto(f"/till/door?lang={language}")
    ready(window)
    for outcome, act in (
        ("ready", lambda: None),
        ("good", lambda: scan(window, member.card_code)),
        ("bad", lambda: scan(window, "0000000000000000")),
        ("noted", lambda: (window.context.set_offline(True), scan(window, shop.member(2).card_code))),
    ):
        act()
        shown(window, outcome)
        found = Axe().run(window, options={"resultTypes": ["violations"]})
        assert [] == [violation["id"] for violation in found.response["violations"]], outcome
        assert window.evaluate("document.documentElement.scrollWidth <= innerWidth"), outcome
    window.context.set_offline(False)
