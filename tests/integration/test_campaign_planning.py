"""Planning: what is due runs once, what is late is shown, and each occasion is written to once."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update

from app.db.campaigns import Medium, Repeat, RunPhase
from app.db.people import Member, MemberCard
from app.services import campaign_control, campaign_planning, campaigns
from app.services.campaigns import CampaignView
from app.services.errors import Refused
from tests.factories import Shop
from tests.integration.campaign_shop import NOON, CampaignShop, open_campaign_shop

Clock = Callable[[datetime], None]
NINE = time(9)


@pytest.fixture
def desk(ctx, shop: Shop, tmp_path: Path, at: Clock) -> Iterator[CampaignShop]:
    with open_campaign_shop(ctx, shop, tmp_path) as made:
        at(NOON)
        yield made


def scheduled(desk: CampaignShop, **changes: object) -> CampaignView:
    made = desk.made(**changes)
    campaign_control.schedule(desk.ctx, desk.owner, made.id, made.version)
    return campaigns.get(desk.ctx, desk.owner, made.id)


def run_at(desk: CampaignShop, at: Clock, moment: datetime) -> None:
    at(moment)
    campaign_planning.plan_due(desk.ctx)
    desk.work_tasks()
    desk.send()


def test_a_campaign_begins_at_its_time_once_whoever_plans(desk: CampaignShop, at: Clock) -> None:
    desk.members(2)
    campaign = scheduled(desk, starts_at=NOON + timedelta(hours=1))
    campaign_planning.plan_due(desk.ctx)
    assert [] == desk.runs(campaign)
    at(NOON + timedelta(hours=1))
    relays = [threading.Thread(target=campaign_planning.plan_due, args=(desk.ctx,)) for _ in range(3)]
    for relay in relays:
        relay.start()
    for relay in relays:
        relay.join()
    desk.work_tasks()
    desk.send()
    assert ([1, 1], 1, "done") == (list(desk.arrived().values()), len(desk.runs(campaign)), desk.state(campaign))


@pytest.mark.parametrize("late", [timedelta(hours=6, seconds=1), timedelta(days=1)])
def test_what_is_too_late_is_shown_and_not_sent(desk: CampaignShop, at: Clock, late: timedelta) -> None:
    desk.members(2)
    campaign = scheduled(desk, starts_at=NOON + timedelta(hours=1))
    run_at(desk, at, NOON + timedelta(hours=1) + late)
    assert {} == desk.arrived()
    assert [RunPhase.MISSED] == [run.phase for run in desk.runs(campaign)]
    assert "draft" == desk.state(campaign)


def test_a_run_that_no_worker_came_to_in_time_is_missed_too(desk: CampaignShop, at: Clock) -> None:
    desk.members(2)
    made = desk.made()
    campaign_control.start_now(desk.ctx, desk.owner, made.id, made.version)
    at(NOON + timedelta(hours=7))
    desk.work_tasks()
    assert ([RunPhase.MISSED], "draft") == ([run.phase for run in desk.runs(made)], desk.state(made))


def test_after_an_outage_a_weekly_campaign_goes_on_with_its_next_week(desk: CampaignShop, at: Clock) -> None:
    desk.members(1)
    campaign = scheduled(desk, repeat=Repeat.WEEKLY, weekday=0, at_time=NINE)
    for moment in (datetime(2027, 6, 21, 6, tzinfo=UTC), datetime(2027, 7, 1, tzinfo=UTC)):
        run_at(desk, at, moment)
    run_at(desk, at, datetime(2027, 7, 5, 6, tzinfo=UTC))
    phases = [run.phase for run in desk.runs(campaign)]
    assert [RunPhase.DONE, RunPhase.MISSED, RunPhase.DONE] == phases
    assert (2, "scheduled") == (desk.arrived()[desk.phone(0)], desk.state(campaign))


@pytest.mark.parametrize(
    ("day", "due"),
    [
        (date(2027, 3, 28), datetime(2027, 3, 28, 1, 30, tzinfo=UTC)),  # 03:30 is skipped: 04:30
        (date(2027, 10, 31), datetime(2027, 10, 31, 0, 30, tzinfo=UTC)),  # 03:30 comes twice: the first
    ],
)
def test_a_run_in_the_hour_that_is_skipped_or_comes_twice_is_one_run(
    desk: CampaignShop, at: Clock, day: date, due: datetime
) -> None:
    desk.members(1)
    at(due - timedelta(days=1))
    campaign = scheduled(desk, repeat=Repeat.WEEKLY, weekday=day.weekday(), at_time=time(3, 30))
    for minutes in (0, 30, 60, 90, 120):
        run_at(desk, at, due + timedelta(minutes=minutes))
    assert [due] == [run.due_at for run in desk.runs(campaign)]
    assert 1 == len(desk.recipients(campaign))


def test_a_birthday_is_written_to_once_a_year_some_days_before(desk: CampaignShop, at: Clock) -> None:
    ids = desk.members(3)
    with desk.ctx.sessions.begin() as session:
        for member, born in zip(ids, (date(1990, 6, 20), date(1992, 2, 29), date(1990, 6, 21)), strict=True):
            session.execute(update(Member).where(Member.id == member).values(birth_date=born))
    campaign = scheduled(desk, repeat=Repeat.BIRTHDAY, offset_days=3, at_time=NINE)
    for day in (date(2027, 6, 17), date(2027, 6, 18), date(2028, 2, 26), date(2029, 2, 25), date(2028, 6, 17)):
        run_at(desk, at, datetime(day.year, day.month, day.day, 8, tzinfo=UTC))
    found = sorted((one.member_id, one.occasion) for one in desk.recipients(campaign))
    assert found[:2] == [(ids[0], "2027"), (ids[0], "2028")] or found[:1] == [(ids[0], "2027")]
    assert (ids[2], "2027") in found
    assert (ids[1], "2028") in found
    assert (ids[1], "2029") in found


def test_days_after_a_visit_and_before_a_lapse_choose_by_the_local_day(desk: CampaignShop, at: Clock) -> None:
    ids = desk.members(3)
    with desk.ctx.sessions.begin() as session:
        for member, visit in zip(
            ids, ("2027-06-13 22:00+03", "2027-06-14 00:00+03", "2027-06-14 23:59+03"), strict=True
        ):
            session.execute(text("UPDATE members SET last_visit_at = :at WHERE id = :id"), {"at": visit, "id": member})
        for member, ends in ((ids[0], "2027-06-20 00:00+03"), (ids[1], "2027-06-21 00:00+03")):
            session.execute(text(_REWARD), {"program": desk.shop.program.id, "member": member, "ends": ends})
    visited = scheduled(desk, repeat=Repeat.AFTER_VISIT, offset_days=3, at_time=NINE)
    lapsing = scheduled(desk, repeat=Repeat.BEFORE_LAPSE, offset_days=2, at_time=NINE)
    run_at(desk, at, datetime(2027, 6, 17, 6, tzinfo=UTC))
    assert set(ids[1:]) == {one.member_id for one in desk.recipients(visited)}
    assert [ids[0]] == [one.member_id for one in desk.recipients(lapsing)]  # its last day is the 19th
    run_at(desk, at, datetime(2027, 6, 17, 7, tzinfo=UTC))  # nothing new
    run_at(desk, at, datetime(2027, 6, 18, 6, tzinfo=UTC))
    assert ids[:2] == [one.member_id for one in desk.recipients(lapsing)]


def test_a_campaign_that_is_paused_misses_its_time_and_goes_on_after_it(desk: CampaignShop, at: Clock) -> None:
    desk.members(1)
    campaign = scheduled(desk, repeat=Repeat.WEEKLY, weekday=3, at_time=NINE)  # tomorrow
    campaign_control.pause(desk.ctx, desk.owner, campaign.id)
    run_at(desk, at, NOON + timedelta(days=1, hours=8))
    assert ("paused", []) == (desk.state(campaign), desk.runs(campaign))
    campaign_control.resume(desk.ctx, desk.owner, campaign.id)
    run_at(desk, at, NOON + timedelta(days=1, hours=8))
    assert [RunPhase.MISSED] == [run.phase for run in desk.runs(campaign)]
    assert "scheduled" == desk.state(campaign)


def test_stopping_while_recipients_are_chosen_chooses_nobody(desk: CampaignShop) -> None:
    desk.members(2)
    made = desk.made()
    campaign_control.start_now(desk.ctx, desk.owner, made.id, made.version)
    campaign_control.stop(desk.ctx, desk.owner, made.id)
    desk.work_tasks()
    desk.send()
    assert ([], {}, "stopped") == (desk.recipients(made), desk.arrived(), desk.state(made))


def test_wallet_first_puts_it_on_the_card_and_texts_the_others(desk: CampaignShop) -> None:
    ids = desk.members(3)
    desk.members(1, first=50, wanted=False)
    with desk.ctx.sessions.begin() as session:
        session.execute(text(_GOOGLE), {"member": ids[0]})
    campaign = desk.started(medium=Medium.WALLET_FIRST)
    desk.send()
    assert {"handed": 3, "skipped no-consent": 1} == desk.reasons(campaign)
    assert {desk.phone(1): 1, desk.phone(2): 1} == desk.arrived()
    with desk.ctx.sessions() as session:
        card = session.query(MemberCard).filter_by(member_id=ids[0]).one()
        assert ("Buns today!", 2) == (card.news, card.version)
    only = desk.started(medium=Medium.WALLET)
    desk.send()
    assert {"handed": 1, "skipped no-wallet": 3} == desk.reasons(only)


def test_a_time_that_has_passed_is_not_scheduled(desk: CampaignShop) -> None:
    made = desk.made(starts_at=NOON - timedelta(minutes=1))
    with pytest.raises(Refused) as refused:
        campaign_control.schedule(desk.ctx, desk.owner, made.id, made.version)
    assert "time-passed" == refused.value.kind


def test_another_time_makes_a_draft_of_what_was_scheduled(desk: CampaignShop, at: Clock) -> None:
    desk.members(1)
    campaign = scheduled(desk, starts_at=NOON + timedelta(hours=1))
    other = campaigns.CampaignValues(**{**_fields(campaign), "starts_at": NOON + timedelta(hours=2)})
    assert "draft" == campaigns.update(desk.ctx, desk.owner, campaign.id, other, campaign.version).state
    run_at(desk, at, NOON + timedelta(hours=3))
    assert {} == desk.arrived()


def _fields(campaign: CampaignView) -> dict[str, object]:
    return {name: getattr(campaign.values, name) for name in campaign.values.__dataclass_fields__}


_REWARD = """INSERT INTO rewards (id, program_id, member_id, name, status, issued_at, expires_at)
    VALUES (uuidv7(), :program, :member, 'Free coffee', 'issued', '2027-06-01', :ends)"""
_GOOGLE = """INSERT INTO google_objects (card_id, version, installs, notified_at)
    SELECT id, 1, 1, '[]' FROM cards WHERE member_id = :member"""
