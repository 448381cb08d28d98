"""The pages of a campaign's figures: who may see what, files, and what they say."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db.campaigns import CampaignState, RecipientState, RunPhase
from app.db.ledger import AuditEntry
from app.db.people import Role
from app.services import campaign_choosing, campaign_gate, campaign_log, campaign_reasons
from app.services.campaign_log import Show
from app.services.context import Context
from app.web.office.campaign_tables import SORTS, TABLES
from sms.delivery_states import State
from sms.reasons import Reason
from tests.factories import Shop, open_shop
from tests.integration.campaign_story import Story

SENT = datetime(2027, 3, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
SignIn = Callable[[Role], FlaskClient]


def rows_of(answer: object) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))  # type: ignore[attr-defined]


@pytest.fixture
def story(shop: Shop, at: Callable[[datetime], None]) -> Story:
    at(SENT + 3 * DAY)
    story = Story(shop, SENT)
    alice, bob, carol, dave = (
        shop.member(number, name=name) for number, name in enumerate(("Alice", "=1+1", "Carol", "Dave"))
    )
    story.click(story.recipient(alice, State.DELIVERED))
    story.recipient(bob, State.FAILED, why="unknown-number")
    story.recipient(carol, state=RecipientState.SKIPPED, reason="too-often")
    story.recipient(dave, state=RecipientState.HOLDOUT)
    story.buy(alice, DAY, 1250)
    return story


def test_the_page_says_what_came_of_it(sign_in: SignIn, story: Story):
    page = sign_in(Role.MARKETER).get(f"/office/campaigns/{story.id}/figures").text
    for words in ("of 4 chosen", "€12.50", "€0.30", "Too few people to say", "There is no phone with this number."):
        assert words in page
    assert "Visits are counted until 15 March 2027 12:00" in page
    assert 'id="progress"' not in page


def test_every_table_can_be_taken_along(sign_in: SignIn, story: Story):
    browser = sign_in(Role.MARKETER)
    for name in TABLES:
        answer = browser.get(f"/office/campaigns/{story.id}/figures/{name}.csv")
        assert (HTTPStatus.OK, "text/csv") == (answer.status_code, answer.mimetype)
    groups = rows_of(browser.get(f"/office/campaigns/{story.id}/figures/groups.csv"))
    assert ["Got it", "50.0", "1", "2", "1", "50.0", "1", "12.50", "625.00"] == groups[1]
    assert ["Left out to compare", "0.0", "0", "1", "", "", "0", "0.00", "0.00"] == groups[2]
    assert HTTPStatus.NOT_FOUND == browser.get(f"/office/campaigns/{story.id}/figures/salaries.csv").status_code


def test_files_are_written_as_spreadsheets_of_the_reader_expect_them(sign_in: SignIn, story: Story):
    text = sign_in(Role.OWNER).get(f"/office/campaigns/{story.id}/figures/groups.csv?lang=fi").text
    assert ";50,0;1;2;1;50,0;1;12,50;625,00\r\n" in text


def test_progress_is_told_to_the_script_and_the_page(sign_in: SignIn, shop: Shop):
    going = Story(shop, SENT, state=CampaignState.RUNNING)
    run = going.run(SENT + DAY, RunPhase.SENDING)
    going.recipient(shop.member(1), State.DELIVERED, run=run)
    going.recipient(shop.member(2), state=RecipientState.PLANNED, run=run)
    browser = sign_in(Role.MARKETER)
    assert {"done": 1, "of": 2, "moving": True, "state": "running", "words": "1 of 2 sent"} == browser.get(
        f"/office/campaigns/{going.id}/progress"
    ).json
    page = browser.get(f"/office/campaigns/{going.id}/figures").text
    assert 'max="2" value="1"' in page
    assert "Look again" in page


def test_the_pages_say_until_when_the_quiet_hours_hold_a_campaign_back(
    sign_in: SignIn, shop: Shop, at: Callable[[datetime], None]
):
    night = datetime(2027, 3, 1, 21, tzinfo=UTC)  # 23:00 in Helsinki
    at(night)
    going = Story(shop, SENT, state=CampaignState.RUNNING)
    going.recipient(shop.member(1), state=RecipientState.PLANNED, run=going.run(night, RunPhase.SENDING))
    browser = sign_in(Role.MARKETER)
    words = "These are quiet hours: the rest goes out from 2 March 2027 08:00."
    pages = [f"/office/campaigns/{going.id}", f"/office/campaigns/{going.id}/figures"]
    assert [True, True] == [words in browser.get(page).text for page in pages]
    at(night + DAY / 2)
    assert [False, False] == ["These are quiet hours" in browser.get(page).text for page in pages]


def test_marketers_see_phones_masked_and_take_no_list_along(sign_in: SignIn, story: Story):
    marketer, manager = sign_in(Role.MARKETER), sign_in(Role.MANAGER)
    address = f"/office/campaigns/{story.id}/log"
    page = marketer.get(address).text
    assert "+358 ** *****00" in page
    assert "log.csv" not in page
    assert "040 1230000" in manager.get(address).text
    assert HTTPStatus.FORBIDDEN == marketer.get(f"{address}.csv").status_code


def test_the_log_as_a_file_holds_no_formulas_and_is_written_down(sign_in: SignIn, ctx: Context, story: Story):
    rows = rows_of(sign_in(Role.MANAGER).get(f"/office/campaigns/{story.id}/log.csv"))
    assert [
        ["Alice", " +358401230000", "A", "SMS", "Delivered", "", "1 March 2027 12:00", "1", "2"],
        [
            "'=1+1",
            " +358401230001",
            "A",
            "SMS",
            "Not sent",
            "There is no phone with this number.",
            "1 March 2027 12:00",
            "0",
            "2",
        ],
        ["Carol", " +358401230002", "A", "SMS", "Held back", "Has got enough offers lately", "", "0", "0"],
        ["Dave", " +358401230003", "A", "SMS", "Left out to compare", "", "", "0", "0"],
    ] == rows[1:]
    with ctx.sessions() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "campaign.exported")).one()
        assert (story.id, {"show": "all", "reason": ""}, story.shop.people[Role.MANAGER].id) == (
            entry.subject_id,
            entry.details,
            entry.staff_id,
        )


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Alice", "=1+1", "Carol", "Dave"]),
        ("show=delivered", ["Alice"]),
        ("show=failed", ["=1+1"]),
        ("show=skipped", ["Carol"]),
        ("show=holdout", ["Dave"]),
        ("show=clicked", ["Alice"]),
        ("show=planned", []),
        ("show=on-card", []),
        ("show=waiting", []),
        ("show=unknown", []),
        ("reason=too-often", ["Carol"]),
        ("reason=unknown-number", ["=1+1"]),
    ],
)
def test_the_log_can_be_narrowed(sign_in: SignIn, story: Story, query: str, names: list[str]):
    rows = rows_of(sign_in(Role.OWNER).get(f"/office/campaigns/{story.id}/log.csv?{query}"))
    assert names == [row[0].removeprefix("'") for row in rows[1:]]


def test_the_log_goes_on_where_it_stopped(ctx: Context, sign_in: SignIn, story: Story, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(campaign_log, "PAGE", 3)
    monkeypatch.setattr(campaign_log, "_SLICE", 2)
    first, more = campaign_log.page(ctx, story.shop.owner, story.id)
    rest, none = campaign_log.page(ctx, story.shop.owner, story.id, after=first[-1].number)
    assert (["Alice", "=1+1", "Carol"], True, ["Dave"], False) == (
        [row.name for row in first],
        more,
        [row.name for row in rest],
        none,
    )
    slices = campaign_log.export(ctx, story.shop.owner, story.id)
    assert [["Alice", "=1+1"], ["Carol", "Dave"]] == [[row.name for row in rows] for rows in slices]
    page = sign_in(Role.OWNER).get(f"/office/campaigns/{story.id}/log").text
    assert f"after={first[-1].number}" in page


@pytest.mark.parametrize("query", ["show=", "show=nobody", "after=-5", "after=x", f"after={10**30}", "reason=%27"])
def test_odd_addresses_are_answered(sign_in: SignIn, story: Story, query: str):
    answer = sign_in(Role.OWNER).get(f"/office/campaigns/{story.id}/log?{query}")
    assert answer.status_code == (HTTPStatus.NOT_FOUND if query.startswith("show=") else HTTPStatus.OK)


def test_another_programmes_campaign_is_not_found(ctx: Context, sign_in: SignIn, shop: Shop):
    theirs = Story(open_shop(ctx, "toinen"), SENT)
    browser = sign_in(Role.OWNER)
    for place in ("figures", "figures/steps.csv", "progress", "log", "log.csv"):
        for campaign_id in (theirs.id, UUID(int=1)):
            answer = browser.get(f"/office/campaigns/{campaign_id}/{place}")
            assert HTTPStatus.NOT_FOUND == answer.status_code, place


def test_campaigns_are_compared_and_sorted_by_any_column(sign_in: SignIn, shop: Shop, story: Story):
    later = Story(shop, SENT + DAY, name="Autumn")
    later.recipient(shop.member(9), State.DELIVERED)
    browser = sign_in(Role.MARKETER)
    assert HTTPStatus.OK == browser.get("/office/campaigns/compare").status_code
    names = {}
    for key in SORTS:
        for down in (0, 1):
            rows = rows_of(browser.get(f"/office/campaigns/compare.csv?sort={key}&down={down}"))
            names[key, down] = [row[0] for row in rows[1:]]
            assert HTTPStatus.OK == browser.get(f"/office/campaigns/compare?sort={key}&down={down}").status_code
    assert ["Autumn", "Spring"] == names["name", 0] == names["sent", 1] == names["money", 0] == names["people", 0]
    assert ["Spring", "Autumn"] == names["name", 1] == names["money", 1] == names["opened", 1]
    page = browser.get("/office/campaigns/compare?sort=money&down=1").text
    assert 'aria-sort="descending"' in page
    assert page.index("Spring") < page.index("Autumn")


def test_without_campaigns_there_is_nothing_to_compare(sign_in: SignIn, shop: Shop):
    assert "No campaign has been sent yet." in sign_in(Role.MARKETER).get("/office/campaigns/compare").text


def test_every_reason_has_words():
    ours = [
        value
        for module in (campaign_choosing, campaign_gate)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and not name.startswith("_")
    ]
    assert ours
    for reason in ours:
        assert reason != campaign_reasons.held(reason)
    for reason in Reason:
        assert reason != campaign_reasons.failed(reason)
    assert "E-77" == campaign_reasons.failed("E-77")
    assert "Nobody said why" == campaign_reasons.failed("") == campaign_reasons.held("")


def test_every_choice_of_the_log_is_offered(sign_in: SignIn, story: Story):
    page = sign_in(Role.OWNER).get(f"/office/campaigns/{story.id}/log").text
    assert all(f'value="{show}"' in page for show in Show)
