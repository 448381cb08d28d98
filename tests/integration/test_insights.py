"""The owner's overview: every number of some weeks."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

import pytest
from flask.testing import FlaskClient

from app.db.delivery import Wallet
from app.db.people import MemberStatus, Role
from app.services import credit_use, credits, insights, members, programs, till
from app.services.context import Context
from app.services.insights import OTHERS, Given
from tests.factories import Shop, open_shop
from tests.integration.campaign_story import Story

# Midnight between Sunday and Monday in Helsinki is 22:00 on Sunday in UTC.
MONDAY = datetime(2027, 2, 28, 22, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
NOW = MONDAY + 2 * DAY
SignIn = Callable[[Role], FlaskClient]
SetClock = Callable[[datetime], None]


@pytest.fixture
def story(shop: Shop) -> Story:
    """For its ways to write rows."""
    return Story(shop, MONDAY)


def four_weeks(shop: Shop) -> insights.Insights:
    return insights.insights(shop.ctx, shop.owner, 4)


def test_weeks_begin_on_the_programmes_monday(shop: Shop, at: SetClock):
    moments = ((MONDAY - SECOND, "old"), (MONDAY, "new"), (MONDAY - 21 * DAY - SECOND, "before"))
    for number, (moment, via) in enumerate(moments):
        at(moment)
        shop.member(number, via=via)
    at(NOW)
    found = four_weeks(shop)
    assert (date(2027, 2, 8), date(2027, 2, 15), date(2027, 2, 22), date(2027, 3, 1)) == found.weeks
    assert [("new", [0, 0, 0, 1]), ("old", [0, 0, 1, 0])] == found.joined


def test_channels_beyond_the_busiest_are_added_up(shop: Shop, at: SetClock):
    at(NOW)
    number = 0
    for place, via in enumerate(("", "a", "b", "c", "d", "e", "f")):
        for _ in range(9 - place):
            shop.member(number := number + 1, via=via)
    found = four_weeks(shop)
    assert [("", 9), ("a", 8), ("b", 7), ("c", 6), ("d", 5), (OTHERS, 7)] == [
        (via, sum(counts)) for via, counts in found.joined
    ]


def test_members_are_counted_by_how_often_they_came(shop: Shop, story: Story, at: SetClock):
    at(NOW)
    for number, times in enumerate((0, 1, 2, 2, 3, 5, 6, 10, 11, 30)):
        member = shop.member(number)
        for visit in range(times):
            story.buy(member, timedelta(hours=-visit))
    undone, early, left = (shop.member(number) for number in (20, 21, 22))
    story.buy(undone, DAY, undone_at=NOW)
    story.buy(early, -22 * DAY)
    story.buy(left, DAY)
    members.set_status(shop.ctx, shop.owner, left.id, MemberStatus.LEFT)
    found = four_weeks(shop)
    assert [3, 1, 2, 2, 2, 2] == found.frequencies
    assert (12, 9, [0, 0, 0, 1]) == (found.members, found.came_in_all, found.left)


def test_people_who_come_twice_in_a_week_count_once(shop: Shop, story: Story, at: SetClock):
    at(NOW)
    alice, bob = shop.member(1), shop.member(2)
    for member, hours in ((alice, 1), (alice, 30), (bob, 2), (bob, -1)):
        story.buy(member, timedelta(hours=hours))
    assert [0, 0, 1, 2] == four_weeks(shop).came


def test_cards_added_to_and_removed_from_wallets(shop: Shop, story: Story, at: SetClock):
    at(NOW)
    member = shop.member(1)
    story.install(member, DAY)
    story.install(member, -DAY)
    story.install(member, DAY, added=False)
    found = four_weeks(shop)
    assert ({Wallet.APPLE: [0, 0, 1, 1], Wallet.GOOGLE: [0] * 4}, [0, 0, 0, 1]) == (
        found.added,
        found.removed[Wallet.APPLE],
    )


def test_what_was_given_and_used_where_without_what_was_undone(ctx: Context, shop: Shop, at: SetClock):
    at(NOW - 7 * DAY)
    member = shop.member(1)
    form = {"amount": "10.00", "last_day": "2027-04-30", "reason": "x"}
    credits.grant(ctx, shop.owner, member.id, form, key="grant")
    till.give_stamps(ctx, shop.cashier, member.card_code, count=10)
    at(NOW)
    harbour = programs.save_location(ctx, shop.owner, {"name": "Harbour"})
    [reward] = members.by_id(ctx, shop.cashier, member.id).rewards
    till.redeem_reward(ctx, shop.cashier, reward.id, card_code=member.card_code, location=harbour.id)
    credit_use.use(ctx, shop.cashier, member.id, bill_minor=300, card_code=member.card_code)
    undone, _ = credit_use.use(ctx, shop.cashier, member.id, bill_minor=200, card_code=member.card_code)
    till.undo(ctx, shop.owner, undone["entry_id"])
    found = four_weeks(shop)
    assert [Given(), Given(), Given(10, 1, 0, 1000, 0), Given(0, 0, 1, 0, 300)] == found.given
    assert {"Harbour": Given(0, 0, 1, 0, 0), "Kulma": Given(10, 1, 0, 1000, 300)} == dict(found.locations)


def test_an_empty_programme_has_noughts(shop: Shop, at: SetClock):
    at(NOW)
    found = four_weeks(shop)
    assert ([], [0] * 4, [0] * 6, [Given()] * 4, []) == (
        found.joined,
        found.came,
        found.frequencies,
        found.given,
        found.locations,
    )


def test_another_programmes_people_do_not_count(ctx: Context, shop: Shop, at: SetClock):
    at(NOW)
    other = open_shop(ctx, "toinen")
    other.member(1, via="poster")
    assert (0, []) == (four_weeks(shop).members, four_weeks(shop).joined)


@pytest.mark.parametrize("weeks", ["", "?weeks=4", "?weeks=52", "?weeks=5", "?weeks=x"])
def test_the_page_and_its_files_are_shown_for_every_period(sign_in: SignIn, shop: Shop, at: SetClock, weeks: str):
    shop.member(1, via="poster")
    browser = sign_in(Role.MARKETER)
    page = browser.get(f"/office/insights{weeks}")
    assert HTTPStatus.OK == page.status_code
    assert 7 == page.text.count('role="img"') + page.text.count("Nothing yet.")
    expected = {"?weeks=4": 4, "?weeks=52": 52}.get(weeks, 12)
    for name in ("joined", "people", "wallets", "stamps", "credit"):
        rows = list(csv.reader(io.StringIO(browser.get(f"/office/insights/{name}.csv{weeks}").text)))
        assert expected == len(rows) - 1, name
    for name in ("visits", "locations"):
        assert HTTPStatus.OK == browser.get(f"/office/insights/{name}.csv{weeks}").status_code
    assert HTTPStatus.NOT_FOUND == browser.get("/office/insights/salaries.csv").status_code
