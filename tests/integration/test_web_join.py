"""Joining on the web: what people type, what they are told, and what is kept of it."""

import io
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db.people import Consent, MemberStatus
from app.services import join_codes, member_search, members, overview, programs
from app.services.context import Context
from app.web.factory import create_app
from tests.factories import PROGRAM_FORM, Shop
from tests.integration.sms_shop import SmsShop, open_sms_shop

NEWCOMER = {"phone": "040 123 4567", "terms": "on"}


def joins(client: FlaskClient, **typed: str) -> TestResponse:
    return client.post("/join/kulma", data=NEWCOMER | typed)


def shown(answer: TestResponse) -> str:
    """The page without the nonce of its style sheet, which is another one each time."""
    return re.sub('nonce="[^"]*"', "", answer.text)


@pytest.fixture
def desk(ctx: Context, shop: Shop, tmp_path: Path) -> Iterator[SmsShop]:
    with open_sms_shop(ctx, shop, tmp_path) as made:
        yield made


@pytest.fixture
def by_sms(desk: SmsShop) -> FlaskClient:
    """Somebody before an installation that sends card links by SMS."""
    app = create_app(desk.ctx)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    return app.test_client()


@pytest.mark.parametrize(
    "typed",
    ["040 123 4567", "0401234567", "+358 40 1234567", "00358401234567", "۰۴۰۱۲۳۴۵۶۷", "(040) 123-4567"],
)
def test_every_way_to_write_a_number_is_the_same_member(client: FlaskClient, shop: Shop, typed: str) -> None:
    answer = joins(client, phone=typed)
    assert answer.status_code == 303
    found = members.find(shop.ctx, shop.cashier, "+358401234567")
    assert answer.location == urlsplit(members.card_url(shop.ctx, found)).path
    assert client.get(answer.location).status_code == 200


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "Write a phone number"),
        ("coffee please", "digits only"),
        ("09 123 4567", "This is a landline"),
        ("040 12", "No phone has this number"),
        ("+210 123 4567", "No country has the code"),
    ],
)
def test_a_wrong_number_is_explained_at_its_field_and_nothing_typed_is_lost(
    client: FlaskClient, shop: Shop, typed: str, told: str
) -> None:
    answer = joins(client, phone=typed, name="Erin", city="Turku", via="table-1")
    assert answer.status_code == 422
    assert told in answer.text.partition('id="phone-error"')[2].partition("</p>")[0]
    for kept in ('value="Erin"', 'value="Turku"', 'value="table-1"'):
        assert kept in answer.text
    assert member_search.search(shop.ctx, shop.owner)[0] == []


def test_errors_are_in_the_language_of_the_page(client: FlaskClient, shop: Shop) -> None:
    client.get("/join/kulma?lang=fa")
    answer = joins(client, phone="12")
    assert answer.status_code == 422
    assert '<html lang="fa" dir="rtl"' in answer.text


def test_all_that_is_wrong_is_said_at_once(client: FlaskClient, shop: Shop) -> None:
    answer = client.post("/join/kulma", data={"phone": "12", "birth_date": "yesterday"})
    assert answer.status_code == 422
    assert [f'id="{field}-error"' in answer.text for field in ("phone", "birth_date", "terms")] == [True] * 3
    assert "<details open" in answer.text.replace(' class="more-fields"', "")


def test_nobody_joins_without_accepting_the_terms(client: FlaskClient, shop: Shop) -> None:
    answer = client.post("/join/kulma", data={"phone": "0401234567"})
    assert answer.status_code == 422
    assert "Please accept the terms" in answer.text
    assert member_search.search(shop.ctx, shop.owner)[0] == []


def test_everything_told_is_kept(client: FlaskClient, shop: Shop) -> None:
    joins(client, name=" زهرا 🎉 ", email="zahra@example.com", birth_date="۱۹۹۰-۰۲-۰۳", city="Espoo")
    found = members.find(shop.ctx, shop.cashier, "0401234567")
    assert ("زهرا 🎉", "zahra@example.com", date(1990, 2, 3), "Espoo") == (
        found.name,
        found.email,
        found.birth_date,
        found.city,
    )


def test_the_channel_tag_travels_from_the_poster_to_the_member(client: FlaskClient, shop: Shop) -> None:
    page = client.get("/join/kulma?via=Table 1").text
    assert '<input type="hidden" name="via" value="table-1">' in page
    assert "/join/kulma?lang=fi&amp;via=table-1" in page
    joins(client, via="table-1")
    assert overview.joins_by_channel(shop.ctx, shop.owner) == [("table-1", 1)]


def test_consents_are_kept_with_the_wording_that_was_shown(client: FlaskClient, shop: Shop) -> None:
    page = client.get("/join/kulma").text
    joins(client, sms_marketing="on")
    with shop.ctx.sessions() as session:
        kept = {row.purpose: (row.granted, row.source, row.wording) for row in session.scalars(select(Consent))}
    assert kept == {
        "terms": (True, "web", f"I accept the terms of Kulma Club.\n\n{shop.program.terms_text}"),
        "sms_marketing": (True, "web", "Café Kulma may send me offers by SMS. I can stop them at any time."),
    }
    for _, _, wording in kept.values():
        assert wording.partition("\n\n")[0] in page
    assert 'name="sms_marketing" type="checkbox" value="on">' in page  # not ticked beforehand


def test_marketing_is_only_for_those_who_tick_it(client: FlaskClient, shop: Shop) -> None:
    joins(client)
    with shop.ctx.sessions() as session:
        assert session.scalars(select(Consent.purpose)).all() == ["terms"]


def test_the_longest_terms_can_be_agreed_to(client: FlaskClient, shop: Shop) -> None:
    shop.change_program(terms_text="x" * 4000)
    assert joins(client).status_code == 303


def test_a_second_submit_gives_the_same_card_and_changes_nothing(client: FlaskClient, shop: Shop) -> None:
    first = joins(client, name="Erin")
    second = joins(client, name="Mallory")
    assert first.location == second.location
    assert [member.name for member in member_search.search(shop.ctx, shop.owner)[0]] == ["Erin"]


def test_someone_who_left_is_back_with_what_they_had(client: FlaskClient, shop: Shop) -> None:
    card = joins(client).location
    members.leave(shop.ctx, card.rpartition("/")[2])
    assert joins(client).location == card
    assert members.find(shop.ctx, shop.cashier, "0401234567").status is MemberStatus.ACTIVE


def test_a_blocked_number_is_sent_to_the_staff(client: FlaskClient, shop: Shop) -> None:
    joins(client)
    blocked = members.find(shop.ctx, shop.cashier, "0401234567")
    members.set_status(shop.ctx, shop.owner, blocked.id, MemberStatus.BLOCKED)
    answer = joins(client)
    assert answer.status_code == 403
    assert "Please ask the staff" in answer.text


def test_the_page_speaks_the_browsers_language_else_the_programmes(client: FlaskClient, shop: Shop) -> None:
    def language(accepted: str) -> str:
        page = client.get("/join/kulma", headers={"Accept-Language": accepted}).text
        return page.partition('<html lang="')[2][:2]

    assert [language(accepted) for accepted in ("ru-RU,ru;q=0.9", "fa", "sv")] == ["ru", "fa", "en"]
    shop.change_program(language="fi")
    assert language("sv") == "fi"


def test_a_newcomer_gets_the_card_in_the_language_of_the_page(client: FlaskClient, shop: Shop) -> None:
    client.post("/join/kulma", data=NEWCOMER, headers={"Accept-Language": "fi"})
    assert members.find(shop.ctx, shop.cashier, "0401234567").language == "fi"


def test_an_unknown_programme_is_a_clear_miss(client: FlaskClient, shop: Shop) -> None:
    answer = client.get("/join/nowhere")
    assert answer.status_code == 404
    assert "There is no such programme." in answer.text


def test_one_address_cannot_join_without_end(client: FlaskClient, shop: Shop) -> None:
    statuses = [joins(client, phone="nonsense").status_code for _ in range(121)]
    assert statuses == [422] * 120 + [429]


def test_forms_need_their_csrf_token(app: Flask, shop: Shop) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    assert joins(app.test_client()).status_code == 400


def test_a_logo_may_be_kept_for_a_year(client: FlaskClient, shop: Shop) -> None:
    file = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(file, "PNG")
    program = programs.update(shop.ctx, shop.owner, PROGRAM_FORM, logo=file.getvalue())
    address = f"/picture/{program.logo_id}.png"
    assert address in client.get("/join/kulma").text
    picture = client.get(address)
    assert picture.mimetype == "image/png"
    assert picture.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert client.get(f"/picture/{shop.program.id}.png").status_code == 404


def test_by_sms_the_link_comes_to_the_phone_and_opens_the_card(by_sms: FlaskClient, desk: SmsShop) -> None:
    answer = joins(by_sms, name="Erin")
    assert answer.status_code == 200
    desk.deliver()
    (message,) = desk.on_phone("+358401234567")
    link = message.partition("Kulma Club: your card is here: ")[2]
    assert link.startswith("http://localhost:8400/c/")
    card = by_sms.get(urlsplit(link).path)
    assert card.status_code == 200
    assert "Erin" in card.text


def test_by_sms_nobody_learns_from_the_page_who_is_a_member(by_sms: FlaskClient, desk: SmsShop, shop: Shop) -> None:
    known = members.join(shop.ctx, shop.owner, members.JoinRequest("0401234567"), source="till")[0]
    blocked = members.join(shop.ctx, shop.owner, members.JoinRequest("0401234667"), source="till")[0]
    members.set_status(shop.ctx, shop.owner, blocked.id, MemberStatus.BLOCKED)
    phones = ("0401234567", "0401234667", "0401234767")
    pages = {
        (answer.status_code, shown(answer), answer.content_length)
        for answer in (joins(by_sms, phone=phone) for phone in phones)
    }
    assert len(pages) == 1
    (page,) = pages
    assert "+358\u00a0**\u00a0*****67" in page[1]
    assert members.card_token(shop.ctx, known) not in page[1]
    assert "/c/" not in page[1]
    desk.deliver()
    messages = [desk.on_phone(f"+358{phone[1:]}") for phone in phones]
    assert ["/c/" in message for (message,) in messages] == [True, False, True]
    assert "cannot join by itself" in messages[1][0]


def test_by_sms_a_double_click_costs_one_message(by_sms: FlaskClient, desk: SmsShop) -> None:
    assert shown(joins(by_sms)) == shown(joins(by_sms))
    desk.deliver()
    assert 1 == len(desk.on_phone("+358401234567"))


def test_by_sms_the_message_is_in_the_members_language(by_sms: FlaskClient, desk: SmsShop, shop: Shop) -> None:
    shop.change_program(name="باشگاه")
    by_sms.post("/join/kulma", data=NEWCOMER, headers={"Accept-Language": "fa"})
    assert members.find(shop.ctx, shop.cashier, "0401234567").language == "fa"
    desk.deliver()
    (message,) = desk.on_phone("+358401234567")
    assert "باشگاه" in message
    assert "your card" not in message


def test_a_lost_card_comes_again_to_its_number_and_the_page_tells_nobody_whose_it_is(
    by_sms: FlaskClient, desk: SmsShop, shop: Shop
) -> None:
    known = members.join(shop.ctx, shop.owner, members.JoinRequest("0401234567"), source="till")[0]
    left = members.join(shop.ctx, shop.owner, members.JoinRequest("0401234667"), source="till")[0]
    members.set_status(shop.ctx, shop.owner, left.id, MemberStatus.LEFT)
    assert 'href="/join/kulma/link"' in by_sms.get("/join/kulma").text
    assert by_sms.get("/join/kulma/link").status_code == 200
    pages = {
        (answer.status_code, shown(answer))
        for answer in (
            by_sms.post("/join/kulma/link", data={"phone": phone})
            for phone in ("0401234567", "0401234667", "0401234767")
        )
    }
    assert len(pages) == 1
    assert "has a card here, its link is on its way" in pages.pop()[1]
    desk.deliver()
    assert [f"Kulma Club: your card is here: {members.card_url(shop.ctx, known)}"] == desk.on_phone("+358401234567")
    assert [] == desk.on_phone("+358401234667") + desk.on_phone("+358401234767")
    assert len(member_search.search(shop.ctx, shop.owner)[0]) == 2


def test_a_lost_cards_number_is_checked_at_its_field(by_sms: FlaskClient, shop: Shop) -> None:
    answer = by_sms.post("/join/kulma/link", data={"phone": "12"})
    assert answer.status_code == 422
    assert 'id="phone-error"' in answer.text
    assert 'value="12"' in answer.text


def test_who_rather_texts_is_told_the_channels_code_and_the_number(
    by_sms: FlaskClient, desk: SmsShop, shop: Shop
) -> None:
    join_codes.create(shop.ctx, shop.owner, {"code": "04821", "via": "window"})
    page = by_sms.get("/join/kulma?via=window").text
    assert "Or text 04821 to \u2066045\u00a07399999\u2069." in page
    assert 'href="sms:+358457399999?&amp;body=04821"' in page
    assert "Or text" not in by_sms.get("/join/kulma").text


def test_without_a_number_nobody_is_asked_to_text(client: FlaskClient, shop: Shop) -> None:
    join_codes.create(shop.ctx, shop.owner, {"code": "04821", "via": "window"})
    assert "Or text" not in client.get("/join/kulma?via=window").text
