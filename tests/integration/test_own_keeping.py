"""On the customer's own pages: the usual, receipts kept for a warranty, all data on one page, erasing; and privacy."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db.delivery import GoogleObject
from app.db.joining import Asked, JoinQuestion, JoinRules, QuestionKind
from app.db.keeping import Warranty
from app.db.messages import SmsMessage
from app.db.people import Member, MemberStatus
from app.i18n import LANGUAGES
from app.services import (
    members,
    one_time_codes,
    purchases,
    retention,
    retention_rules,
    sms_sending,
    sms_texts,
    usual,
    warranties,
    warranty_reminders,
)
from app.services.context import Actor
from app.services.members import JoinRequest
from app.services.own_data_sections import SECTIONS
from app.services.purchases import Line, PurchaseRequest
from app.services.views import MemberView
from app.web.own_data_words import TITLES
from tests.factories import Shop
from tests.integration.test_own_page import a_life, own
from tests.integration.test_retention import FORM

NOON = datetime(2027, 3, 1, 10, tzinfo=UTC)


def bought(shop: Shop, member: MemberView, *lines: Line, receipt_no: str = "R-1") -> str:
    request = PurchaseRequest(3000, member_id=member.id, receipt_no=receipt_no, lines=lines)
    return str(purchases.record(shop.ctx, shop.cashier, request)[0]["purchase_id"])


def test_what_is_bought_most_stands_first_and_discounts_are_not_bought(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    for _ in range(3):
        bought(shop, member, Line("Latte", "17", "2", 900), Line("Discount", amount_minor=-100))
    bought(shop, member, Line("Bun", amount_minor=350), Line("Latte, large", "17", amount_minor=950))
    found = usual.of_member(shop.ctx, member.id)
    assert [("Latte, large", 4, 950), ("Bun", 1, 350)] == [(one.name, one.times, one.amount_minor) for one in found]
    page = client.get(own(shop, member) + "/receipts").text
    assert "bought 4 times" in page


def test_a_purchase_that_was_taken_back_is_not_usual(shop: Shop) -> None:
    member = shop.member(1)
    request = PurchaseRequest(300, member_id=member.id, lines=[Line("Bun")])
    done, _ = purchases.record(shop.ctx, shop.cashier, request)
    purchases.undo(shop.ctx, shop.cashier, done["purchase_id"])
    assert [] == usual.of_member(shop.ctx, member.id)


def test_a_receipt_is_kept_for_months_or_until_a_day_and_no_longer(
    client: FlaskClient, shop: Shop, at: Callable[[datetime], None]
) -> None:
    at(NOON)
    member = shop.member(1)
    path = f"{own(shop, member)}/receipts/{bought(shop, member, Line('Kettle', amount_minor=3000))}"
    for typed in ({"months": "24", "remind": "on"}, {"ends_on": "2027-03-20", "remind": "on", "note": "In the drawer"}):
        assert 303 == client.post(path, data={"name": "Kettle"} | typed).status_code
    found = warranties.of_member(shop.ctx, member.id)
    assert [("Kettle", date(2027, 3, 20), None), ("Kettle", date(2029, 3, 1), date(2029, 1, 30))] == [
        (one.name, one.ends_on, one.remind_on) for one in found
    ]
    page = client.get(path).text
    for shown in ("Warranty until 1 March 2029", "In the drawer", "R-1", "€30.00"):
        assert shown in page
    assert "Kettle" in client.get(own(shop, member) + "/receipts").text
    assert 303 == client.post(f"{own(shop, member)}/warranties/{found[0].id}/remove").status_code
    assert [date(2029, 3, 1)] == [one.ends_on for one in warranties.of_member(shop.ctx, member.id)]


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"name": "", "months": "24"}, "name"),
        ({"name": "Kettle"}, "months"),
        ({"name": "Kettle", "months": "500"}, "months"),
        ({"name": "Kettle", "ends_on": "2020-01-01"}, "ends_on"),
        ({"name": "Kettle", "ends_on": "soon"}, "ends_on"),
    ],
)
def test_what_is_wrong_with_a_warranty_is_said_at_its_field(
    client: FlaskClient, shop: Shop, typed: dict[str, str], field: str
) -> None:
    member = shop.member(1)
    answer = client.post(f"{own(shop, member)}/receipts/{bought(shop, member)}", data=typed)
    assert 422 == answer.status_code
    assert f'id="{field}-error"' in answer.text
    assert [] == warranties.of_member(shop.ctx, member.id)


def test_nobody_sees_or_keeps_somebody_elses_receipt(client: FlaskClient, shop: Shop) -> None:
    erin, frank = shop.member(1), shop.member(2)
    path = f"{own(shop, frank)}/receipts/{bought(shop, erin)}"
    assert 404 == client.get(path).status_code
    assert 404 == client.post(path, data={"name": "Kettle", "months": "24"}).status_code


def test_the_tills_own_warranties_are_kept_also_for_who_joins_later(shop: Shop, at: Callable[[datetime], None]) -> None:
    at(NOON)
    lines = [Line("Kettle", amount_minor=3000, warranty_months=24), Line("Bun", amount_minor=300)]
    waiting = PurchaseRequest(3300, phone="+358401230001", lines=lines)
    purchases.record(shop.ctx, shop.api, waiting)
    member, _ = members.join(shop.ctx, Actor(shop.program.id), JoinRequest(phone="+358401230001"), source="web")
    assert [("Kettle", date(2029, 3, 1))] == [
        (one.name, one.ends_on) for one in warranties.of_member(shop.ctx, member.id)
    ]


@pytest.mark.parametrize("in_wallet", [True, False])
def test_the_reminder_comes_once_on_the_card_or_else_by_sms(
    shop: Shop, at: Callable[[datetime], None], *, in_wallet: bool
) -> None:
    at(NOON)
    member = shop.member(1)
    bought(shop, member, Line("Kettle", amount_minor=3000, warranty_months=24))
    if in_wallet:
        with shop.ctx.sessions.begin() as session:
            session.add(GoogleObject(card_id=member.card_id, installs=1))
    for moment, expected in ((datetime(2029, 1, 30, 5, tzinfo=UTC), 0), (datetime(2029, 1, 30, 8, tzinfo=UTC), 1)):
        at(moment)
        for _ in range(2):
            assert warranty_reminders.remind(shop.ctx)
        with shop.ctx.sessions() as session:
            sms = session.scalars(select(SmsMessage).where(SmsMessage.template == sms_texts.WARRANTY)).all()
            news = session.get_one(Member, member.id).card.news
            assert expected * (not in_wallet) == len(sms)
            assert bool(expected and in_wallet) == ("The warranty of Kettle ends on 1 Mar 2029" in news)
            for message in sms:
                words = sms_sending.body_of(shop.ctx, session, message)
                assert words.startswith("Kulma Club: the warranty of Kettle ends on 1 Mar 2029. Your receipt: http")


def test_everything_stands_on_one_page_for_paper(client: FlaskClient, shop: Shop) -> None:
    member = a_life(shop, 1, "Erin")
    page = client.get(own(shop, member) + "/everything").text
    for shown in ("Erin", "R-Erin", "€7.00", "What you have agreed to", "Autumn for Erin", "data-print"):
        assert shown in page
    assert members.card_token(shop.ctx, member) not in page.replace(own(shop, member).removesuffix("/me"), "")


def test_every_section_has_its_title() -> None:
    assert {section.name for section in SECTIONS} == set(TITLES)


def test_erasing_oneself_takes_two_steps_and_a_tick(client: FlaskClient, shop: Shop) -> None:
    member = a_life(shop, 1, "Erin")
    path = own(shop, member) + "/erase"
    page = client.get(path).text
    for shown in ("Free coffee", "€7.00", "What the shop keeps, without you"):
        assert shown in page
    answer = client.post(path)
    assert 422 == answer.status_code
    assert 'id="sure-error"' in answer.text
    assert "You are erased" in client.post(path, data={"sure": "on"}).text
    assert 404 == client.get(own_path := path.removesuffix("/erase")).status_code
    assert 404 == client.get(own_path.removesuffix("/me")).status_code


def test_where_the_owner_wants_it_a_code_from_the_phone_is_needed(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    retention_rules.save(shop.ctx, shop.owner, FORM | {"code_to_erase": "on"})
    path = own(shop, member) + "/erase"
    assert 'name="sure"' not in client.get(path).text
    assert 422 == client.post(path, data={"sure": "on"}).status_code
    assert 303 == client.post(path + "/code").status_code
    with shop.ctx.sessions() as session:
        message = session.scalars(select(SmsMessage).where(SmsMessage.template == sms_texts.ERASE_CODE)).one()
        code = one_time_codes.of_message(shop.ctx, session, message.params)
    wrong = "000000" if code != "000000" else "000001"
    assert 422 == client.post(path, data={"sure": "on", "one_time_code": wrong}).status_code
    assert MemberStatus.ACTIVE is members.by_id(shop.ctx, shop.owner, member.id).status
    assert "You are erased" in client.post(path, data={"sure": "on", "one_time_code": code}).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_privacy_page_tells_what_is_set_up_in_each_language(client: FlaskClient, shop: Shop, language: str) -> None:
    page = client.get(f"/privacy/kulma?lang={language}").text
    assert f'<html lang="{language}"' in page
    assert "Kulmakatu 1, Helsinki" in page


def test_the_privacy_page_follows_the_rules(client: FlaskClient, shop: Shop) -> None:
    before = client.get("/privacy/kulma?lang=en").text
    for shown in ("Your birthday, if you like", "Who leaves is erased after 90 days.", "730 days"):
        assert shown in before
    with shop.ctx.sessions.begin() as session:
        session.add(JoinRules(program_id=shop.program.id, birth_date=Asked.OFF, city=Asked.REQUIRED))
        session.add(
            JoinQuestion(
                program_id=shop.program.id, position=0, kind=QuestionKind.TEXT, texts={"en": "Your dog's name?"}
            )
        )
    retention_rules.save(shop.ctx, shop.owner, FORM | {"left_days": "10", "message_days": "40"})
    after = client.get("/privacy/kulma?lang=en").text
    assert "Your birthday" not in after
    for shown in ('<dt dir="auto">Your city</dt>', "Your dog&#39;s name?", "after 10 days.", "40 days"):
        assert shown in after


def test_ways_to_the_privacy_page_are_where_people_look(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    for path in ("/join/kulma", own(shop, member)):
        assert 'href="/privacy/kulma?lang=en"' in client.get(path).text
    assert 404 == client.get("/privacy/nobody").status_code


def test_an_own_page_of_a_member_who_is_not_seen_says_so_and_lets_them_stay(
    client: FlaskClient, shop: Shop, at: Callable[[datetime], None]
) -> None:
    at(NOON)
    member = shop.member(1)
    retention_rules.save(shop.ctx, shop.owner, FORM | {"inactive_days": "100"})
    at(NOON + timedelta(days=90))
    card = own(shop, member).removesuffix("/me")
    assert "Keep my card" not in client.get(card).text
    assert retention.run(shop.ctx, 10**12)
    assert "Keep my card" in client.get(card).text
    assert 303 == client.post(own(shop, member) + "/stay").status_code
    assert "Keep my card" not in client.get(card).text


def test_a_repeated_call_keeps_a_warranty_once(shop: Shop) -> None:
    member = shop.member(1)
    request = PurchaseRequest(3000, member_id=member.id, lines=[Line("Kettle", warranty_months=12)])
    for _ in range(2):
        purchases.record(shop.ctx, shop.api, request, key="the same")
    with shop.ctx.sessions() as session:
        assert 1 == len(session.scalars(select(Warranty.id)).all())
