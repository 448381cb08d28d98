"""A campaign's figures, its log, the comparison and the insights in a browser."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import update

from app import clock
from app.db.campaigns import CampaignRecipient, CampaignRun, CampaignState, RecipientState, RunPhase
from app.services import till
from sms.delivery_states import State
from tests.browser.conftest import Live, sign_in
from tests.integration.campaign_story import Story

pytestmark = pytest.mark.browser


def told(live: Live) -> Story:
    """A campaign with everything that its page can show."""
    story = Story(live.shop, clock.now() - timedelta(days=1), name=("Spring offer with a rather long name " * 2)[:60])
    for number, state in enumerate((State.DELIVERED, State.DELIVERED, State.FAILED, State.UNKNOWN, State.ACCEPTED)):
        member = live.shop.member(number, name="مریم رضایی" * 5 if number == 1 else "", via=f"channel-{number}")
        till.give_stamps(live.shop.ctx, live.shop.cashier, member.card_code, count=number + 1)
        recipient = story.recipient(member, state, why="pumping", variant="ab"[number % 2])
        story.click(recipient, times=number)
        story.buy(member, timedelta(hours=number), 123_456)
    story.recipient(live.shop.member(8), state=RecipientState.SKIPPED, reason="too-often")
    story.recipient(live.shop.member(9), state=RecipientState.HOLDOUT)
    story.recipient(live.shop.member(10), run=story.run(clock.now()), state=RecipientState.HANDED, after=timedelta(1))
    return story


@pytest.mark.parametrize(("window", "language", "scheme"), [("page", "en", "light"), ("phone", "fa", "dark")])
def test_every_page_of_figures_is_accessible_and_fits(
    request: pytest.FixtureRequest, live: Live, window: str, language: str, scheme: str
) -> None:
    story = told(live)
    opened: Page = request.getfixturevalue(window)
    opened.emulate_media(color_scheme=scheme)
    sign_in(opened)
    if window == "phone":
        opened.set_viewport_size({"width": 360, "height": 640})
    for address in (
        f"/office/campaigns/{story.id}/figures",
        f"/office/campaigns/{story.id}/log",
        "/office/campaigns/compare",
        "/office/insights",
    ):
        opened.goto(f"{address}?lang={language}")
        assert opened.locator("html").get_attribute("dir") == ("rtl" if language == "fa" else "ltr")
        for table in opened.locator("details.chart-table summary, details.how summary").all():
            table.click()
        found = Axe().run(opened)
        assert found.violations_count == 0, f"{address}: {found.generate_report()}"
        assert 0 == opened.evaluate("document.documentElement.scrollWidth - innerWidth"), address
        outside = opened.evaluate(OUTSIDE)
        assert [] == outside, f"{address}: {outside}"


# Texts of charts that are cut by their panel's edge.
OUTSIDE = """() => [...document.querySelectorAll("svg.drawing text")].filter((text) => {
  const [inner, outer] = [text.getBoundingClientRect(), text.closest(".panel").getBoundingClientRect()];
  return inner.left < outer.left || inner.right > outer.right;
}).map((text) => text.textContent)"""


def test_charts_speak_to_those_who_do_not_see_them(page: Page, live: Live) -> None:
    story = told(live)
    sign_in(page)
    page.goto(f"/office/campaigns/{story.id}/figures")
    picture = page.get_by_role("img", name="From chosen to came")
    expect(picture).to_have_accessible_description("The longest bar: Chosen, 8.")
    page.goto("/office/insights?weeks=4")
    expect(page.get_by_role("img", name="Stamps and rewards")).to_have_accessible_description(
        "From the week of "
        + page.locator("#stamps-title ~ details tbody th").first.text_content()  # type: ignore[operator]
        + " to that of "
        + page.locator("#stamps-title ~ details tbody th").last.text_content()  # type: ignore[operator]
        + ". The most in one week: 15."
    )


def test_persian_charts_run_from_right_to_left_with_persian_digits(page: Page, live: Live) -> None:
    story = told(live)
    sign_in(page)
    page.goto(f"/office/campaigns/{story.id}/figures?lang=fa")
    drawing = page.locator("svg.drawing").first
    boxes = [one.bounding_box() for one in drawing.locator("rect").all()[:2]]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["x"] < boxes[1]["x"]
    assert boxes[0]["x"] + boxes[0]["width"] == pytest.approx(boxes[1]["x"] + boxes[1]["width"], abs=1)
    expect(drawing.locator("text").nth(1)).to_have_text("۸")


@pytest.fixture
def going(live: Live) -> Iterator[Story]:
    story = Story(live.shop, clock.now(), state=CampaignState.RUNNING)
    run = story.run(clock.now() + timedelta(seconds=1), RunPhase.SENDING)
    story.recipient(live.shop.member(1), State.DELIVERED, run=run)
    for number in range(2, 5):
        story.recipient(live.shop.member(number), run=run, state=RecipientState.PLANNED)
    return story


def test_the_progress_bar_moves_by_itself_until_all_is_sent(page: Page, live: Live, going: Story) -> None:
    sign_in(page)
    page.goto(f"/office/campaigns/{going.id}/figures")
    expect(page.locator("#progress-words")).to_have_text("1 of 4 sent")
    with live.shop.ctx.sessions.begin() as session:
        handed = {"state": RecipientState.HANDED, "handed_at": clock.now()}
        session.execute(update(CampaignRecipient).where(CampaignRecipient.state == "planned").values(**handed))
    expect(page.locator("#progress-words")).to_have_text("4 of 4 sent")
    expect(page.locator("#progress")).to_have_js_property("value", 4)
    with live.shop.ctx.sessions.begin() as session:
        session.execute(update(CampaignRun).values(phase=RunPhase.DONE, finished_at=clock.now()))
    expect(page.locator("#progress")).to_have_count(0)
    expect(page.locator(".figure").first).to_contain_text("4")


def test_without_scripts_a_link_looks_again(live: Live, page: Page, going: Story) -> None:
    sign_in(page)
    page.route("**/figures.js", lambda route: route.abort())
    page.goto(f"/office/campaigns/{going.id}/figures")
    page.get_by_role("link", name="Look again").click()
    expect(page.locator("#progress-words")).to_have_text("1 of 4 sent")


def test_the_comparison_is_sorted_by_the_heads_of_its_columns(page: Page, live: Live) -> None:
    told(live)
    Story(live.shop, clock.now(), name="Autumn")
    sign_in(page)
    page.goto("/office/campaigns/compare")
    expect(page.locator("tbody th").first).to_contain_text("Autumn")
    page.get_by_role("link", name="Money in").click()
    expect(page.locator("tbody th").first).to_contain_text("Spring")
    expect(page.locator("th[aria-sort='descending']")).to_have_text("Money in ↓")
    page.get_by_role("link", name="Money in").click()
    expect(page.locator("tbody th").first).to_contain_text("Autumn")


def test_the_log_is_narrowed_to_one_reason_and_taken_along(phone: Page, live: Live) -> None:
    story = told(live)
    sign_in(phone)
    phone.goto(f"/office/campaigns/{story.id}/figures")
    phone.get_by_role("link", name="One by one").click()
    phone.get_by_label("Show").select_option("failed")
    phone.get_by_role("button", name="Show").click()
    expect(phone.locator(".rows .row")).to_have_count(1)
    phone.get_by_role("link", name="Only these").click()
    expect(phone.locator("main")).to_contain_text("Only: The provider suspects")
    with phone.expect_download() as download:
        phone.get_by_role("link", name="Save as CSV").click()
    assert "campaign.csv" == download.value.suggested_filename
    lines = download.value.path().read_text().splitlines()
    assert 2 == len(lines)
