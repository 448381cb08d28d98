"""A campaign's messages: each member who may get it gets it once, whatever happens meanwhile."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from app import clock
from app.db.campaigns import CampaignState, RunPhase
from app.db.delivery import OutboxState
from app.db.messages import SmsDay, SmsMessage, SmsRules
from app.db.people import Consent, Member, MemberStatus, Role
from app.services import (
    campaign_batches,
    campaign_control,
    campaign_rules,
    campaign_sending,
    campaigns,
    sms_reports,
    sms_sending,
)
from app.services.campaign_rules import Rules
from app.services.campaign_sending import Turn
from app.services.errors import Refused
from sandbox.twilio_faults import Fault
from sms.delivery_states import State
from tests.factories import Shop
from tests.integration.campaign_shop import NOON, CampaignShop, open_campaign_shop

Clock = Callable[[datetime], None]


@pytest.fixture
def desk(ctx, shop: Shop, tmp_path: Path, at: Clock) -> Iterator[CampaignShop]:
    with open_campaign_shop(ctx, shop, tmp_path) as made:
        at(NOON)  # not before: the stand-in's certificate is of today
        yield made


def test_everybody_of_the_segment_gets_it_once_and_the_campaign_is_done(desk: CampaignShop) -> None:
    desk.members(25)
    campaign = desk.started(texts={"a": {"en": "Hi {first_name|friend}, buns!"}})
    desk.send()
    desk.due()
    desk.send()
    assert {desk.phone(number): 1 for number in range(25)} == desk.arrived()
    assert {"accepted": 25} == desk.messages()
    assert {"handed": 25} == desk.reasons(campaign)
    assert ["Hi Anna, buns!"] == desk.sms.on_phone(desk.phone(7))
    assert ("done", [RunPhase.DONE]) == (desk.state(campaign), [run.phase for run in desk.runs(campaign)])
    assert [] == desk.rows()


def test_an_empty_segment_is_done_at_once(desk: CampaignShop) -> None:
    campaign = desk.started()
    desk.send()
    assert ("done", {}) == (desk.state(campaign), desk.reasons(campaign))


def test_who_joins_while_it_is_being_sent_gets_nothing_of_it(desk: CampaignShop) -> None:
    desk.members(3)
    campaign = desk.started()
    desk.members(3, first=100)
    desk.send()
    assert ({"handed": 3}, 3) == (desk.reasons(campaign), sum(desk.arrived().values()))


def test_two_people_who_start_it_at_the_same_moment_start_one_run(desk: CampaignShop) -> None:
    desk.members(2)
    made = desk.made()
    runs = []
    people = [
        threading.Thread(
            target=lambda: runs.append(campaign_control.start_now(desk.ctx, desk.owner, made.id, made.version))
        )
        for _ in range(4)
    ]
    for person in people:
        person.start()
    for person in people:
        person.join()
    desk.work_tasks()
    desk.send()
    assert (4, 1) == (len(runs), len(set(runs)))
    assert (1, [1, 1]) == (len(desk.runs(made)), list(desk.arrived().values()))


def test_only_what_somebody_has_seen_is_started(desk: CampaignShop) -> None:
    made = desk.made()
    campaigns.update(desk.ctx, desk.owner, made.id, made.values.__class__(name="Rolls"), made.version)
    with pytest.raises(Refused) as refused:
        campaign_control.start_now(desk.ctx, desk.owner, made.id, made.version)
    assert "campaign-changed" == refused.value.kind


def test_what_is_changed_after_the_start_changes_no_message(desk: CampaignShop) -> None:
    desk.members(1)
    campaign = desk.started()
    with pytest.raises(Refused) as refused:
        campaigns.update(desk.ctx, desk.owner, campaign.id, campaign.values.__class__(name="Rolls"), campaign.version)
    assert "campaign-started" == refused.value.kind
    desk.send()
    assert ["Buns today!"] == desk.sms.on_phone(desk.phone(0))


@pytest.mark.parametrize("act", [campaign_control.pause, campaign_control.stop])
def test_pausing_and_stopping_act_from_the_next_batch_on(ctx, shop: Shop, tmp_path: Path, at: Clock, act) -> None:
    with open_campaign_shop(ctx, shop, tmp_path, per_second=5) as desk:
        at(NOON)
        desk.members(30)
        campaign = desk.started()
        batches = []

        def paced(parts: int) -> None:
            batches.append(parts)
            if len(batches) == 7:  # in the middle of the second batch of five
                act(desk.ctx, desk.owner, campaign.id)

        desk.sender.pace = paced
        desk.send()
        assert 10 == sum(desk.arrived().values())
        assert {"handed": 10, "planned": 20} == desk.reasons(campaign)
        assert [] == desk.rows()
        if act is campaign_control.pause:
            campaign_control.resume(desk.ctx, desk.owner, campaign.id)
            while desk.rows():
                desk.send()
            assert {desk.phone(number): 1 for number in range(30)} == desk.arrived()
            assert "done" == desk.state(campaign)
        else:
            with pytest.raises(Refused):
                campaign_control.resume(desk.ctx, desk.owner, campaign.id)


def test_who_opts_out_leaves_changes_number_or_is_blocked_meanwhile_is_skipped(desk: CampaignShop) -> None:
    ids = desk.members(6)
    campaign = desk.started()
    desk.sms.text("STOP", desk.phone(0))
    with desk.ctx.sessions.begin() as session:
        for place, status in ((1, MemberStatus.LEFT), (2, MemberStatus.BLOCKED)):
            session.execute(update(Member).where(Member.id == ids[place]).values(status=status))
        session.execute(update(Member).where(Member.id == ids[3]).values(phone="+358409999999"))
        session.execute(update(Member).where(Member.id == ids[4]).values(phone="erased"))
    desk.send()
    assert {
        "handed": 1,
        "skipped no-consent": 1,
        "skipped left": 1,
        "skipped blocked": 1,
        "skipped number-changed": 1,
        "skipped erased": 1,
    } == desk.reasons(campaign)
    assert [desk.phone(5)] == [message.to for message in desk.sms.twilio.messages.all if message.body == "Buns today!"]


def test_numbers_of_other_countries_are_skipped(desk: CampaignShop) -> None:
    (member,) = desk.members(1)
    with desk.ctx.sessions.begin() as session:
        session.execute(update(Member).where(Member.id == member).values(phone="+4915112345678"))
    campaign = desk.started()
    desk.send()
    assert {"skipped country": 1} == desk.reasons(campaign)


def test_who_has_got_enough_offers_lately_gets_no_more(desk: CampaignShop, at: Clock) -> None:
    desk.members(2)
    campaign_rules.save(desk.ctx, desk.owner, Rules(most_offers=1, offer_days=7))
    first, together = desk.started(), desk.started(name="At the same time")
    desk.send()
    later = desk.started(name="Later")
    at(NOON + timedelta(days=8))
    again = desk.started(name="A week later")
    desk.send()
    assert {"handed": 2} == desk.reasons(first) == desk.reasons(again)
    assert {"skipped too-often": 2} == desk.reasons(together) == desk.reasons(later)


def test_in_the_quiet_hours_a_run_waits_and_goes_on_by_itself(desk: CampaignShop, at: Clock) -> None:
    desk.members(2)
    at(datetime(2027, 6, 16, 19, tzinfo=UTC))  # 22:00 in Helsinki
    campaign = desk.started()
    desk.send()
    (row,) = desk.rows()
    opens = datetime(2027, 6, 17, 5, tzinfo=UTC)
    assert (opens, {"held": "quiet-hours"}) == (row.due_at, row.payload)
    assert {"planned": 2} == desk.reasons(campaign)
    at(opens)
    desk.send()
    assert {"handed": 2} == desk.reasons(campaign)


def test_a_daily_cap_that_is_reached_holds_the_rest_until_tomorrow(desk: CampaignShop, at: Clock) -> None:
    desk.members(10)
    with desk.ctx.sessions.begin() as session:
        session.add(
            SmsRules(
                program_id=desk.shop.program.id,
                part_price_micro=100_000,
                country_prices_micro={},
                daily_cap_minor=40,
                number_daily_cap=20,
                countries=[],
            )
        )
    campaign = desk.started()
    desk.send()
    assert {"handed": 4, "planned": 6} == desk.reasons(campaign)
    (row,) = desk.rows()
    tomorrow = datetime(2027, 6, 17, 5, tzinfo=UTC)  # when the quiet hours end
    assert (tomorrow, {"held": "daily-cap"}) == (row.due_at, row.payload)
    for days in (0, 1):
        at(tomorrow + timedelta(days=days))
        desk.send()
    assert {desk.phone(number): 1 for number in range(10)} == desk.arrived()
    with desk.ctx.sessions() as session:
        days_cost = session.scalars(select(SmsDay.cost_micro).order_by(SmsDay.day)).all()
    assert [400_000, 400_000, 200_000] == days_cost


def test_a_provider_that_is_busy_for_long_loses_nobody_and_gets_nobody_twice(desk: CampaignShop, at: Clock) -> None:
    desk.members(12)
    campaign = desk.started()
    for number in range(12):
        desk.sms.twilio.faults.add(Fault("429", count=8, to=desk.phone(number)))
    moments, begun = 0, clock.now()
    while desk.state(campaign) != "done":
        desk.send()
        at(max((row.due_at for row in desk.rows()), default=clock.now()))
        moments += 1
        assert moments < 400
    assert clock.now() - begun > timedelta(minutes=9)
    assert {desk.phone(number): 1 for number in range(12)} == desk.arrived()
    with desk.ctx.sessions() as session:
        assert [(12, 12)] == [(day.messages, day.parts) for day in session.scalars(select(SmsDay))]


def test_a_provider_that_refuses_our_account_pauses_the_campaign(desk: CampaignShop) -> None:
    desk.members(1, first=20003)
    desk.members(2)
    campaign = desk.started()
    desk.send()
    assert "paused" == desk.state(campaign)
    assert desk.reasons(campaign) == Counter(planned=3 - desk.arrived().total(), handed=desk.arrived().total())
    assert [OutboxState.DEAD] == [row.state for row in desk.rows()]


def test_refusals_for_good_are_kept_with_their_reason(desk: CampaignShop) -> None:
    (member,) = desk.members(1, first=21610)  # the stand-in: has opted out
    desk.members(1, first=21614)
    campaign = desk.started()
    desk.send()
    assert ({"handed": 2}, {"failed": 2}) == (desk.reasons(campaign), desk.messages())
    with desk.ctx.sessions() as session:
        assert {"opted-out", "no-sms"} == set(session.scalars(select(SmsMessage.reason)))
        newest = session.scalars(select(Consent).where(Consent.member_id == member).order_by(Consent.at.desc())).first()
        assert newest is not None
        assert not newest.granted
        assert [(0, 0)] == [(day.messages, day.parts) for day in session.scalars(select(SmsDay))]


def look_for_lost(desk: CampaignShop, at: Clock) -> None:
    """Some minutes later the chore finds what nobody knows of, and the SMS channel settles it."""
    at(clock.now() + sms_sending.grace(desk.ctx))
    sms_reports.ask(desk.ctx, desk.shop.program.id, float("inf"))
    desk.sms.deliver()


@pytest.mark.parametrize("kind", ["500-after-accepting", "drop-after-accepting", "hang-after-accepting"])
def test_what_may_have_been_taken_is_looked_for_and_never_sent_twice(desk: CampaignShop, at: Clock, kind: str) -> None:
    desk.members(3)
    desk.sms.twilio.faults.add(Fault(kind))
    campaign = desk.started()
    desk.send()
    assert {"accepted": 2, "unknown": 1} == desk.messages()
    look_for_lost(desk, at)
    assert (0, {"handed": 3}) == (desk.messages()["unknown"], desk.reasons(campaign))
    assert {desk.phone(number): 1 for number in range(3)} == desk.arrived()


@pytest.mark.parametrize("taken", [0, 2])
def test_a_crash_after_the_claim_loses_nobody_and_sends_nobody_two(desk: CampaignShop, at: Clock, taken: int) -> None:
    desk.members(4)
    campaign = desk.started()
    batch = campaign_sending.claim(desk.ctx, desk.runs(campaign)[0].id, 4)
    for one in batch.messages[:taken]:
        desk.ctx.sms.send(one.outgoing)  # and here the worker is killed
    assert (Turn.GO, {"sending": 4}) == (batch.turn, desk.messages())
    look_for_lost(desk, at)
    assert {desk.phone(number): 1 for number in range(4)} == desk.arrived()
    assert {"accepted", "delivered"} >= set(desk.messages())


@pytest.mark.parametrize("act", [campaign_control.pause, campaign_control.stop])
def test_what_a_crash_left_is_not_sent_while_the_campaign_is_paused_or_stopped(
    desk: CampaignShop, at: Clock, act
) -> None:
    desk.members(2)
    campaign = desk.started()
    campaign_sending.claim(desk.ctx, desk.runs(campaign)[0].id, 4)
    act(desk.ctx, desk.owner, campaign.id)
    look_for_lost(desk, at)
    waits = act is campaign_control.pause
    assert ({}, {"queued" if waits else "failed": 2}) == (desk.arrived(), desk.messages())
    if waits:
        campaign_control.resume(desk.ctx, desk.owner, campaign.id)
        desk.sms.deliver()
        assert {desk.phone(number): 1 for number in range(2)} == desk.arrived()


def test_what_waited_too_long_in_the_worker_is_not_sent_by_it(desk: CampaignShop, at: Clock) -> None:
    """Its machine slept: the messages may be looked for by another one soon, and are planned again."""
    desk.members(3)
    campaign = desk.started()
    desk.sender.pace = lambda parts: at(clock.now() + sms_sending.grace(desk.ctx))
    row = next(iter(desk.rows())).subject_id
    batch = campaign_sending.claim(desk.ctx, row, 3)
    assert 3 == len(batch.messages)
    claimed = type("Row", (), {"program_id": desk.shop.program.id, "subject_id": row})
    desk.sender._hand_over(claimed, batch)  # type: ignore[arg-type]
    assert ({}, {"planned": 3}) == (desk.arrived(), desk.reasons(campaign))
    assert {} == desk.messages()


def test_a_b_and_held_out_are_stable_shares_of_those_who_would_get_it(desk: CampaignShop) -> None:
    desk.members(400)
    desk.members(50, first=1000, wanted=False)
    both = {"a": {"en": "Buns"}, "b": {"en": "Rolls"}}
    campaign = desk.started(texts=both, b_percent=50, holdout_percent=20)
    found = desk.reasons(campaign)
    assert (400, 50) == (found["holdout"] + found["planned"], found["skipped no-consent"])
    assert 50 < found["holdout"] < 110
    desk.send()
    bodies = [message.body for message in desk.sms.twilio.messages.all]
    assert found["planned"] == len(bodies)
    assert 0.35 < bodies.count("Rolls") / len(bodies) < 0.65
    assert len({one.token for one in desk.recipients(campaign)}) == 450


def test_staff_read_the_words_and_not_the_link(desk: CampaignShop) -> None:
    desk.members(1)
    desk.started(texts={"a": {"en": "Buns: {link}"}}, link="card")
    desk.send()
    (sent,) = desk.sms.on_phone(desk.phone(0))
    with desk.ctx.sessions() as session:
        message = session.scalars(select(SmsMessage)).one()
        token = session.scalar(text("SELECT token FROM campaign_recipients"))
        shown = sms_sending.body_of(desk.ctx, session, message, hide_link=True)
    assert f"Buns: {desk.ctx.settings.base_url}/l/{token}" == sent
    assert "Buns: …/c/…" == shown
    assert (True, "") == (message.marketing, message.text)


def test_an_approved_campaign_is_started_by_whoever_has_not_changed_it_since(desk: CampaignShop) -> None:
    desk.members(1)
    campaign_rules.save(desk.ctx, desk.owner, Rules(second_person=True))
    marketer, manager = desk.shop.actor(Role.MARKETER), desk.shop.actor(Role.MANAGER)
    made = campaigns.create(desk.ctx, marketer, desk.made().values)
    with pytest.raises(Refused) as refused:
        campaign_control.start_now(desk.ctx, marketer, made.id, made.version)
    assert "needs-approval" == refused.value.kind
    campaign_control.submit(desk.ctx, marketer, made.id, made.version)
    with pytest.raises(Refused) as refused:
        campaign_control.approve(desk.ctx, marketer, made.id, made.version)
    assert "not-allowed" == refused.value.kind
    campaign_control.approve(desk.ctx, manager, made.id, made.version)
    campaign_control.start_now(desk.ctx, marketer, made.id, made.version)
    assert CampaignState.RUNNING.value == desk.state(made)


def test_who_wrote_it_does_not_approve_it(desk: CampaignShop) -> None:
    made = desk.made()
    campaign_control.submit(desk.ctx, desk.owner, made.id, made.version)
    with pytest.raises(Refused) as refused:
        campaign_control.approve(desk.ctx, desk.owner, made.id, made.version)
    assert "own-campaign" == refused.value.kind
    assert State.QUEUED.value not in desk.messages()


def test_a_batch_whose_outcome_cannot_be_written_takes_no_later_one_with_it(
    ctx, shop: Shop, tmp_path: Path, at: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, fails = campaign_batches.record, iter([True])

    def record(*given: object) -> None:
        if next(fails, False):
            raise OperationalError("UPDATE", {}, Exception("the connection was lost"))
        right(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(campaign_batches, "record", record)
    with open_campaign_shop(ctx, shop, tmp_path, per_second=10) as desk:
        at(NOON)
        desk.members(25)
        desk.started()
        with pytest.raises(OperationalError):
            desk.send()
        assert {"sending": 10, "accepted": 10} == desk.messages()
        # What is in doubt is looked for at the provider, and the rest is sent when the run's turn comes again.
        assert 20 == sum(desk.arrived().values())
