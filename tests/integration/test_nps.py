"""Members are asked in their turn and never more often; they answer once; and the shop sees what they say."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app.db.messages import SmsMessage
from app.db.nps import NpsAsk
from app.db.people import Member, MemberCard
from app.loyalty.nps import Group, Tally
from app.services import (
    cards,
    consents,
    members,
    nps,
    nps_asking,
    nps_desk,
    nps_ending,
    nps_figures,
    nps_rules,
    programs,
    sms_sending,
    till,
    upkeep,
    visits,
)
from app.services.errors import InvalidForm, Refused
from app.services.views import MemberView
from tests.factories import Shop, open_shop
from tests.integration.referral_shop import work
from tests.integration.visit_shop import count_visits

Clock = Callable[[datetime], None]
RULES = {"active": "on", "after_visits": "2", "period_days": "30", "ask_by": "card"}
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
OFFERS = {consents.OFFERS_BY_SMS: "Café Kulma may send me offers by SMS."}


@pytest.fixture
def asking(shop: Shop, at: Clock) -> Shop:
    """A shop that asks after two purchases, once in thirty days at most."""
    at(NOON)
    nps_rules.save(shop.ctx, shop.owner, RULES)
    return shop


def buy(shop: Shop, member: MemberView) -> None:
    till.give_stamps(shop.ctx, shop.cashier, member.card_code)


def asks(shop: Shop, member: MemberView) -> list[NpsAsk]:
    with shop.ctx.sessions() as session:
        query = select(NpsAsk).where(NpsAsk.member_id == member.id).order_by(NpsAsk.asked_at)
        return list(session.scalars(query))


def answered(shop: Shop, member: MemberView, score: int, comment: str = "") -> None:
    token = nps.token_for(shop.ctx, member.id, nps.PAGE)
    nps.answer(shop.ctx, token, {"score": str(score), "comment": comment})


def test_somebody_is_asked_at_every_nth_visit_and_not_within_the_period(asking: Shop, at: Clock):
    anna = asking.member(1)
    buy(asking, anna)
    assert [] == asks(asking, anna)
    at(NOON + timedelta(hours=2))
    buy(asking, anna)
    assert 1 == len(asks(asking, anna))
    for hours in range(3, 8):
        at(NOON + timedelta(hours=hours))
        buy(asking, anna)
    assert 1 == len(asks(asking, anna))
    at(NOON + timedelta(days=31))
    buy(asking, anna)
    assert 2 == len(asks(asking, anna))


def come(shop: Shop, member: MemberView, moment: datetime) -> None:
    visits.record(shop.ctx, shop.cashier, member.card_code, at=moment)


def test_the_door_asks_at_the_nth_visit_without_any_purchase(asking: Shop, at: Clock):
    count_visits(asking)
    anna = asking.member(1)
    for day in range(4):
        at(NOON + timedelta(days=day))
        come(asking, anna, NOON + timedelta(days=day))
        come(asking, anna, NOON + timedelta(days=day))  # shown twice: it does not count
        assert (0 if day == 0 else 1) == len(asks(asking, anna))
    at(NOON + timedelta(days=1, hours=1))
    work(asking)
    assert "How did we do?" in news(asking, anna)


def test_a_door_that_was_offline_for_days_asks_once_in_any_order_and_not_for_what_was_before_the_question(
    asking: Shop, at: Clock
):
    count_visits(asking)
    anna = asking.member(1)
    sent = NOON + timedelta(days=20)
    at(sent)
    for day in (5, 1, 9, 3):
        come(asking, anna, NOON + timedelta(days=day))
    (ask,) = asks(asking, anna)
    assert (nps.VISIT, sent) == (ask.via, ask.asked_at)
    work(asking)  # the visit is long over
    assert "How did we do?" in news(asking, anna)
    # The period is over, but a late door tells only of visits from before the question.
    at(sent + timedelta(days=25))
    come(asking, anna, NOON + timedelta(days=17))
    come(asking, anna, NOON + timedelta(days=19))
    at(sent + timedelta(days=31))
    come(asking, anna, sent + timedelta(days=31))
    assert 1 == len(asks(asking, anna))
    at(sent + timedelta(days=32))
    come(asking, anna, sent + timedelta(days=32))
    assert 2 == len(asks(asking, anna))


def test_where_a_purchase_is_a_visit_door_and_till_together_ask_once(asking: Shop, at: Clock):
    count_visits(asking, purchases=True)
    anna = asking.member(1)
    come(asking, anna, NOON)
    at(NOON + timedelta(days=1))
    buy(asking, anna)
    come(asking, anna, NOON + timedelta(days=1))
    assert 1 == len(asks(asking, anna))


def version(shop: Shop, member: MemberView) -> int:
    with shop.ctx.sessions() as session:
        return session.scalars(select(MemberCard.version).where(MemberCard.member_id == member.id)).one()


def test_the_wallets_hear_that_a_question_is_over_once(asking: Shop, at: Clock):
    some = [asking.member(number) for number in range(1, 4)]
    for member in some:
        nps.token_for(asking.ctx, member.id, nps.CAMPAIGN)
    silent, answering, at_a_till = some
    before = [version(asking, member) for member in some]
    answered(asking, answering, 9)
    upkeep.run(asking.ctx, 60)
    assert [0, 1, 0] == [version(asking, member) - was for member, was in zip(some, before, strict=True)]
    answered(asking, answering, 10)  # a changed answer changes nothing on the card
    at(NOON + timedelta(days=60) - timedelta(seconds=1))
    upkeep.run(asking.ctx, 60)
    assert 1 == len(back_fields(asking, silent))
    at(NOON + timedelta(days=60))
    with asking.ctx.sessions.begin() as till_session:
        till_session.execute(select(Member.id).where(Member.id == at_a_till.id).with_for_update())
        assert not nps_ending.take_off(asking.ctx, 0)
    assert [1, 1, 0] == [version(asking, member) - was for member, was in zip(some, before, strict=True)]
    for _ in range(2):
        upkeep.run(asking.ctx, 60)
        assert [1, 1, 1] == [version(asking, member) - was for member, was in zip(some, before, strict=True)]
    assert [] == back_fields(asking, silent)


def test_many_questions_are_taken_off_in_small_transactions(asking: Shop, at: Clock):
    many = [asking.member(number) for number in range(1, nps_ending.TOGETHER + 2)]
    for member in many:
        nps.token_for(asking.ctx, member.id, nps.CAMPAIGN)
    at(NOON + timedelta(days=61))
    begun = time.monotonic()
    assert nps_ending.take_off(asking.ctx, begun)
    assert not nps_ending.take_off(asking.ctx, begun)
    assert {None} == {ask.on_card_until for member in many for ask in asks(asking, member)}


def test_the_card_asks_an_hour_later_on_its_lock_screen_and_its_back(asking: Shop, at: Clock):
    anna = asking.member(1)
    for hours in (0, 1):
        at(NOON + timedelta(hours=hours))
        buy(asking, anna)
    work(asking)
    assert "stamps" in news(asking, anna)
    at(NOON + timedelta(hours=2))
    work(asking)
    assert "How did we do?" in news(asking, anna)
    (ask,) = asks(asking, anna)
    (field,) = back_fields(asking, anna)
    assert f"/n/{ask.token}" in field
    nps.answer(asking.ctx, ask.token, {"score": "9"})
    assert [] == back_fields(asking, anna)


def news(shop: Shop, member: MemberView) -> str:
    with shop.ctx.sessions() as session:
        return session.scalars(select(MemberCard.news).where(MemberCard.member_id == member.id)).one()


def back_fields(shop: Shop, member: MemberView) -> list[str]:
    program = programs.get(shop.ctx, shop.program.id)
    card = cards.card(shop.ctx, program, members.by_id(shop.ctx, shop.owner, member.id), "http://localhost/c/x")
    return [str(field.value) for field in card.back if field.key == "survey"]


def test_in_quiet_hours_the_question_waits_for_the_morning(asking: Shop, at: Clock):
    anna = asking.member(1)
    late = datetime(2026, 11, 2, 19, 30, tzinfo=UTC)  # 21:30 in Helsinki
    for minutes in (0, 1):
        at(late + timedelta(minutes=minutes))
        buy(asking, anna)
    at(late + timedelta(hours=2))
    work(asking)
    assert "stamps" in news(asking, anna)
    at(datetime(2026, 11, 3, 6, 1, tzinfo=UTC))
    work(asking)
    assert "How did we do?" in news(asking, anna)


def test_by_sms_only_those_who_want_offers_are_asked_and_once(asking: Shop, at: Clock):
    nps_rules.save(asking.ctx, asking.owner, RULES | {"ask_by": "sms"})
    anna, bert = asking.member(1, consents=OFFERS), asking.member(2)
    for minutes in (0, 1):
        at(NOON + timedelta(minutes=minutes))
        buy(asking, anna)
        buy(asking, bert)
    at(NOON + timedelta(hours=2))
    for _ in range(2):
        for member in (anna, bert):
            nps_asking.bring(asking.ctx, asks(asking, member)[0].id, 0)
    with asking.ctx.sessions() as session:
        (message,) = session.scalars(select(SmsMessage)).all()
        body = sms_sending.body_of(asking.ctx, session, message)
        hidden = sms_sending.body_of(asking.ctx, session, message, hide_link=True)
    assert (anna.id, True) == (message.member_id, message.marketing)
    token = asks(asking, anna)[0].token
    assert body.endswith(f"/n/{token}")
    assert token not in hidden
    assert "How did we do?" in news(asking, bert)


def test_an_answer_may_be_changed_for_a_day_and_not_later(asking: Shop, at: Clock):
    anna = asking.member(1)
    token = nps.token_for(asking.ctx, anna.id, nps.PAGE)
    nps.answer(asking.ctx, token, {"score": "3", "comment": "Cold coffee"})
    at(NOON + timedelta(hours=23))
    nps.answer(asking.ctx, token, {"score": "9", "comment": "Warm after all"})
    at(NOON + timedelta(hours=25))
    with pytest.raises(Refused) as late:
        nps.answer(asking.ctx, token, {"score": "1"})
    assert "question-over" == late.value.kind
    (ask,) = asks(asking, anna)
    assert (9, "Warm after all") == (ask.score, ask.comment)


@pytest.mark.parametrize("score", ["", "11", "-1", "ten"])
def test_only_0_to_10_is_an_answer(asking: Shop, score: str):
    token = nps.token_for(asking.ctx, asking.member(1).id, nps.PAGE)
    with pytest.raises(InvalidForm) as wrong:
        nps.answer(asking.ctx, token, {"score": score})
    assert ["score"] == list(wrong.value.errors)


def test_whatever_asks_there_is_one_question_in_a_period(asking: Shop, at: Clock):
    anna = asking.member(1)
    first = nps.token_for(asking.ctx, anna.id, nps.CAMPAIGN)
    assert first == nps.token_for(asking.ctx, anna.id, nps.PAGE)
    nps.answer(asking.ctx, first, {"score": "10"})
    at(NOON + timedelta(days=5))
    assert first == nps.token_for(asking.ctx, anna.id, nps.CAMPAIGN)
    assert not nps.may_ask(asking.ctx, programs.get(asking.ctx, asking.program.id), anna.id)
    at(NOON + timedelta(days=31))
    assert nps.may_ask(asking.ctx, programs.get(asking.ctx, asking.program.id), anna.id)
    assert first != nps.token_for(asking.ctx, anna.id, nps.CAMPAIGN)


def test_those_who_were_let_down_wait_until_somebody_has_seen_to_it(asking: Shop):
    answered(asking, asking.member(1), 6, "Slow")
    answered(asking, asking.member(2), 7)
    (open_one,) = nps_desk.to_handle(asking.ctx, asking.owner)
    assert (6, "Slow", Group.DETRACTOR) == (open_one.score, open_one.comment, open_one.group)
    assert 1 == nps_desk.waiting(asking.ctx, asking.owner)
    nps_desk.handle(asking.ctx, asking.owner, open_one.id)
    nps_desk.handle(asking.ctx, asking.owner, open_one.id)
    assert 0 == nps_desk.waiting(asking.ctx, asking.owner)
    (seen,) = nps_desk.of_member(asking.ctx, asking.owner, open_one.member_id)
    assert "Alice" == seen.handled_by


def test_figures_are_by_week_place_and_nobody_elses(asking: Shop, at: Clock):
    other = open_shop(asking.ctx, "other")
    answered(other, other.member(9), 0)
    for number, score in enumerate((10, 9, 8, 2), 1):
        member = asking.member(number)
        if number < 3:
            buy(asking, member)
        answered(asking, member, score, "Well" if number == 1 else "")
    at(NOON + timedelta(days=7))
    answered(asking, asking.member(7), 10)
    found = nps_figures.figures(asking.ctx, asking.owner, 4)
    assert [Tally(), Tally(), Tally(2, 1, 1), Tally(1, 0, 0)] == list(found.by_week)
    assert [("", Tally(1, 1, 1)), ("Kulma", Tally(2, 0, 0))] == list(found.by_location)
    assert (40, 5, 5) == (found.all.score, found.all.answers, found.asked)
    rows, more = nps_desk.answers(asking.ctx, asking.owner, comments_only=True)
    assert (["Well"], None) == ([row.comment for row in rows], more)
    assert 5 == len(nps_desk.answers(asking.ctx, asking.owner)[0])


def test_another_programmes_answers_cannot_be_marked(asking: Shop):
    other = open_shop(asking.ctx, "other")
    answered(asking, asking.member(1), 1)
    (one,) = nps_desk.to_handle(asking.ctx, asking.owner)
    with pytest.raises(Refused) as refused:
        nps_desk.handle(other.ctx, other.owner, one.id)
    assert "answer-not-found" == refused.value.kind


def test_a_survey_of_ones_own_has_an_https_address(asking: Shop):
    for address in ("http://survey.example", "javascript:alert(1)", "survey"):
        with pytest.raises(InvalidForm) as wrong:
            nps_rules.save(asking.ctx, asking.owner, RULES | {"survey_url": address})
        assert ["survey_url"] == list(wrong.value.errors)
    rules = nps_rules.save(asking.ctx, asking.owner, RULES | {"survey_url": "survey.example/kulma"})
    assert "https://survey.example/kulma" == rules.survey_url
