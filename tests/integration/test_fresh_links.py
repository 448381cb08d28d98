"""A new link when somebody else may have the old one: through the member's phone, once, within an hour."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app import clock
from app.db.delivery import AppleRegistration, Channel, GoogleObject, OutboxRow
from app.db.messages import SmsMessage
from app.db.people import MemberStatus
from app.jobs import drain, tasks
from app.jobs.station import Station
from app.services import (
    apple_devices,
    fresh_links,
    google_describing,
    members,
    short_links,
    sms_sending,
    sms_texts,
    till,
)
from app.services.context import Context
from app.services.errors import Refused
from app.services.views import MemberView
from certs.identity import SigningIdentity
from sandbox.google import GoogleSandbox
from tests.factories import Shop
from tests.integration.apple_shop import PASS_TYPE, open_apple_shop
from tests.integration.campaign_links import recipient, run_of
from tests.integration.google_shop import GoogleShop, fresh, google_shop, loaded


def asked(shop: Shop, member: MemberView) -> str:
    """The member asks on the page for joining; the token that the SMS has."""
    fresh_links.ask(shop.ctx, shop.program.id, member.phone)
    return newest_token(shop)


def newest_token(shop: Shop) -> str:
    with shop.ctx.sessions() as session:
        query = select(SmsMessage).where(SmsMessage.template == sms_texts.FRESH_LINK).order_by(SmsMessage.id.desc())
        body = sms_sending.body_of(shop.ctx, session, session.scalars(query).first())  # type: ignore[arg-type]
    found = re.search(r"/fresh/([\w-]+)", body)
    assert found is not None
    return found[1]


def test_the_old_link_its_code_and_what_leads_there_stop_at_once(shop: Shop) -> None:
    member = shop.member(1, name="Erin")
    till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=3)
    old = members.card_token(shop.ctx, member)
    recipient(shop, run_of(shop), member)
    new = fresh_links.renew(shop.ctx, asked(shop, member))
    with pytest.raises(Refused):
        members.by_link(shop.ctx, old)
    with pytest.raises(Refused):
        members.find(shop.ctx, shop.cashier, member.card_code)
    with pytest.raises(Refused):
        short_links.find(shop.ctx, "Token_0001")
    again = members.by_link(shop.ctx, new)
    assert (member.id, 3, "Erin") == (again.id, again.stamps, again.name)
    assert new == members.card_token(shop.ctx, again)
    assert again.id == members.find(shop.ctx, shop.cashier, again.card_code).id


def test_a_short_link_that_was_sent_afterwards_leads_to_the_new_page(shop: Shop) -> None:
    member = shop.member(1)
    new = fresh_links.renew(shop.ctx, asked(shop, member))
    recipient(shop, run_of(shop), member)
    assert new == short_links.find(shop.ctx, "Token_0001").card_token


def test_the_sms_works_once_and_for_an_hour(shop: Shop, at: Callable[..., None]) -> None:
    member = shop.member(1)
    token = asked(shop, member)
    fresh_links.opened(shop.ctx, token)
    at(clock.now() + timedelta(minutes=61))
    with pytest.raises(Refused):
        fresh_links.renew(shop.ctx, token)
    shop.ctx.valkey.flushdb()  # one a minute is sent, by a clock of its own
    second = asked(shop, member)
    fresh_links.renew(shop.ctx, second)
    with pytest.raises(Refused) as over:
        fresh_links.renew(shop.ctx, second)
    assert ("fresh-link-over", 404) == (over.value.kind, over.value.status)


@pytest.mark.parametrize("forge", ["", "x", "A" * 43, "ü" * 43, "last letter"])
def test_what_we_did_not_make_opens_nothing(shop: Shop, forge: str) -> None:
    token = asked(shop, shop.member(1))
    forged = token[:-1] + ("A" if token[-1] != "A" else "Q") if forge == "last letter" else forge
    with pytest.raises(Refused):
        fresh_links.opened(shop.ctx, forged)


def test_the_answer_is_the_same_for_a_number_that_nobody_has(client: FlaskClient, shop: Shop) -> None:
    shop.member(1)
    answers = [
        client.post("/join/kulma/link", data={"phone": f"+35840123000{number}", "stop_old": "on"}).text
        for number in (1, 2)
    ]
    shown = [re.sub(r'nonce="[^"]*"|value="[^"]*"', "", answer).replace("***02", "***01") for answer in answers]
    assert shown[0] == shown[1]
    with shop.ctx.sessions() as session:
        assert 1 == len(session.scalars(select(SmsMessage.id)).all())


def test_a_flood_of_requests_is_a_few_messages(shop: Shop, at: Callable[..., None]) -> None:
    member = shop.member(1)
    for _ in range(5):
        fresh_links.ask(shop.ctx, shop.program.id, member.phone)
    with shop.ctx.sessions() as session:
        assert 1 == len(session.scalars(select(SmsMessage.id)).all())


def test_looking_at_the_page_changes_nothing_and_the_button_does(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    old, token = members.card_token(shop.ctx, member), asked(shop, member)
    page = client.get(f"/fresh/{token}")
    assert (200, "no-referrer") == (page.status_code, page.headers["Referrer-Policy"])
    assert member.id == members.by_link(shop.ctx, old).id
    answer = client.post(f"/fresh/{token}")
    assert 303 == answer.status_code
    assert 200 == client.get(answer.location).status_code
    assert 404 == client.get(f"/c/{old}").status_code
    assert 404 == client.get(f"/fresh/{token}").status_code


def test_on_ones_own_page_the_way_is_sent_to_the_phone_too(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    old = members.card_token(shop.ctx, member)
    assert 303 == client.post(f"/c/{old}/me/link").status_code
    assert member.id == members.by_link(shop.ctx, old).id
    fresh_links.renew(shop.ctx, newest_token(shop))
    assert 404 == client.get(f"/c/{old}/me").status_code


def test_who_left_gets_a_new_link_too_and_stays_away(shop: Shop) -> None:
    member = shop.member(1)
    members.set_status(shop.ctx, shop.owner, member.id, MemberStatus.LEFT)
    new = fresh_links.renew(shop.ctx, asked(shop, member))
    assert MemberStatus.LEFT is members.by_link(shop.ctx, new).status


def test_phones_with_the_old_card_get_nothing_more(shop: Shop, pass_identity: SigningIdentity, tmp_path: Path) -> None:
    with open_apple_shop(shop, pass_identity, tmp_path) as kulma:
        member = shop.member(1)
        kulma.phone(member)
        secret = kulma.ctx.derived_token("apple-pass", member.card_id)
        fresh_links.renew(kulma.ctx, asked(shop, member))
        assert None is apple_devices.authenticated(kulma.ctx, PASS_TYPE, str(member.card_id), secret)
        with kulma.ctx.sessions() as session:
            assert [] == session.scalars(select(AppleRegistration.card_id)).all()
        new = kulma.ctx.derived_token("apple-pass", member.card_id, 2)
        assert None is not apple_devices.authenticated(kulma.ctx, PASS_TYPE, str(member.card_id), new)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleSandbox]:
    with GoogleSandbox(tmp_path_factory.mktemp("google")) as sandbox:
        yield sandbox


@pytest.fixture
def google(ctx: Context, server: GoogleSandbox) -> Iterator[GoogleShop]:
    with google_shop(ctx, fresh(server), loaded(server)) as opened:
        yield opened


def test_the_old_object_at_google_is_voided_and_the_new_one_is_another(google: GoogleShop) -> None:
    member = google.saved(1, name="Erin")
    fresh_links.renew(google.ctx, asked(google.shop, member))
    assert "ACTIVE" == google.shown(member)["state"]
    drain.empty(Station(google.ctx, {Channel.TASK: lambda rows: tasks.work(google.ctx, rows)}), Channel.TASK)
    shown = google.shown(member)
    assert "INACTIVE" == shown["state"]
    assert "Erin" not in str(shown)
    again = members.by_id(google.ctx, google.shop.owner, member.id)
    google.save(again)
    new = google.sandbox.state.shown(google_describing.object_id(google.ctx, again.card_id, again.link_generation))[
        "object"
    ]
    assert ("ACTIVE", again.card_code) == (new["state"], new["barcode"]["value"])
    assert member.card_code != again.card_code
    with google.ctx.sessions() as session:
        assert 1 == len(session.scalars(select(GoogleObject.card_id)).all())
        assert [] == session.scalars(select(OutboxRow.id).where(OutboxRow.channel == Channel.TASK)).all()
