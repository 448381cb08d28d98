"""Members are asked in their turn and never more often; they answer once; and the shop sees what they say."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app.db.messages import SmsMessage
from app.db.nps import NpsAsk
from app.db.people import MemberCard
from app.loyalty.nps import Group, Tally
from app.services import (
    cards,
    consents,
    members,
    nps,
    nps_asking,
    nps_desk,
    nps_figures,
    nps_rules,
    programs,
    sms_sending,
    till,
)
from app.services.errors import InvalidForm, Refused
from app.services.views import MemberView
from tests.factories import Shop, open_shop
from tests.integration.referral_shop import work

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
