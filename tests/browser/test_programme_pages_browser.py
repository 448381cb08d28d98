"""Pages of the whole programme that no other test looks at, on a light desktop and on a dark Persian phone."""

from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from app.services import members
from tests.browser.conftest import Live, sign_in
from tests.factories import Shop
from tests.integration.bonus_shop import buy, set_bonus
from tests.integration.reward_shop import give, make_type
from tests.integration.visit_shop import count_visits, give_at

pytestmark = pytest.mark.browser


def fill(shop: Shop, language: str) -> list[str]:
    """Rewards, bonus and visits of a member; the pages that show them."""
    set_bonus(shop)
    count_visits(shop, hours=0, purchases=True)
    give_at(shop, 5, every=True, name="Breakfast for two persons by the window, with coffee")
    erin = shop.member(1, name="Maximiliana Konstantinopolitanskaya-Featherstonehaugh", language=language)
    buy(shop, erin, 123_456)
    cake = make_type(shop, name="Half price", value="percent", percent="50", weekday_0="on", valid_days="30")
    give(shop, erin, cake)
    own = urlsplit(members.card_url(shop.ctx, erin)).path
    return [
        "/office/rewards",
        f"/office/rewards/{cake.id}",
        "/office/visits",
        "/office/staff-figures",
        "/office/your-data",
        f"/office/members/{erin.id}",
        f"/office/members/{erin.id}/bonus",
        f"/office/members/{erin.id}/erase",
        f"/till/m/{erin.id}",
        own,
        "/fresh/no-such-link",
    ]


@pytest.mark.parametrize(("window", "language", "scheme"), [("page", "en", "light"), ("phone", "fa", "dark")])
def test_the_programmes_pages_are_accessible_and_fit(
    request: pytest.FixtureRequest, live: Live, window: str, language: str, scheme: str
) -> None:
    opened: Page = request.getfixturevalue(window)
    opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of two words
    sign_in(opened)
    _look(opened, language, ["/office/rewards", "/office/visits"])
    _look(opened, language, fill(live.shop, language))


def _look(opened: Page, language: str, addresses: list[str]) -> None:
    for address in addresses:
        opened.goto(f"{address}?lang={language}")
        opened.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        faults = Axe().run(opened).response["violations"]
        assert [] == [(address, fault["id"], fault["nodes"][0]["html"]) for fault in faults]
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
