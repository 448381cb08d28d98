"""The page behind the link that ends offers by SMS."""

import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db.ledger import AuditEntry
from app.db.people import Consent, MemberStatus
from app.i18n import LANGUAGES
from app.services import members, sms_gate, unsubscribing
from app.services.views import MemberView
from app.web.factory import create_app
from tests.factories import Shop
from tests.integration.campaign_links import recipient, run_of

PAGE = "/u/Token_0001"
WORDING = "Café Kulma may send me offers by SMS. I can stop them at any time."


@pytest.fixture
def erin(shop: Shop) -> MemberView:
    """Has agreed to offers, and got one."""
    member = shop.member(1, name="Erin", consents={"sms_marketing": WORDING})
    recipient(shop, run_of(shop), member)
    return member


def words(shop: Shop, member: MemberView) -> list[tuple[bool, str, str]]:
    with shop.ctx.sessions() as session:
        rows = session.scalars(select(Consent).where(Consent.member_id == member.id).order_by(Consent.id))
        return [(row.granted, row.source, row.wording) for row in rows]


def wants(shop: Shop, member: MemberView) -> bool:
    with shop.ctx.sessions() as session:
        return sms_gate.wants_offers(session, member.id)


def test_looking_at_the_page_ends_nothing(client: FlaskClient, shop: Shop, erin: MemberView) -> None:
    for _ in range(2):
        client.get(PAGE)
        client.head(PAGE)
    assert wants(shop, erin)
    page = client.get(PAGE).text
    assert "Café Kulma" in page
    assert "Stop the offers" in page
    assert "Your card, stamps, rewards and credit stay as they are." in page


def test_one_button_ends_the_offers_and_says_so(client: FlaskClient, shop: Shop, erin: MemberView) -> None:
    answer = client.post(PAGE)
    assert (303, PAGE) == (answer.status_code, answer.location)
    page = client.get(PAGE).text
    assert "You get no offers by SMS" in page
    assert "Stop the offers" not in page
    assert (False, "link", "Café Kulma may send me no more offers by SMS.") == words(shop, erin)[-1]
    assert not wants(shop, erin)


def test_saying_it_twice_is_the_same_as_once(client: FlaskClient, shop: Shop, erin: MemberView) -> None:
    assert [303, 303, 303] == [client.post(PAGE).status_code for _ in range(3)]
    assert 2 == len(words(shop, erin))


def test_two_phones_at_once_leave_one_word(shop: Shop, erin: MemberView) -> None:
    meet = threading.Barrier(4)

    def stop() -> None:
        meet.wait()
        unsubscribing.set_offers(shop.ctx, "Token_0001", False, "en")

    threads = [threading.Thread(target=stop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2 == len(words(shop, erin))


def test_a_mistake_can_be_undone_there_and_then(client: FlaskClient, shop: Shop, erin: MemberView) -> None:
    client.post(PAGE)
    assert WORDING in client.get(PAGE).text
    assert 303 == client.post(f"{PAGE}/again").status_code
    assert wants(shop, erin)
    assert (True, "link", WORDING) == words(shop, erin)[-1]


def test_what_was_done_is_in_the_audit_log(client: FlaskClient, shop: Shop, erin: MemberView) -> None:
    client.post(PAGE)
    with shop.ctx.sessions() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "consent.stopped")).one()
    assert (erin.id, None, {"purpose": "sms_marketing"}) == (entry.subject_id, entry.staff_id, entry.details)


def test_someone_who_left_may_stop_but_not_start(client: FlaskClient, shop: Shop, erin: MemberView) -> None:
    members.set_status(shop.ctx, shop.owner, erin.id, MemberStatus.LEFT)
    assert 303 == client.post(PAGE).status_code
    assert not wants(shop, erin)
    assert "Get offers again" not in client.get(PAGE).text
    assert 403 == client.post(f"{PAGE}/again").status_code


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_speaks_the_members_language_and_keeps_its_words(
    client: FlaskClient, shop: Shop, language: str
) -> None:
    member = shop.member(1, language=language, consents={"sms_marketing": "yes"})
    recipient(shop, run_of(shop), member)
    assert f'<html lang="{language}"' in client.get(PAGE).text
    client.post(PAGE)
    kept = words(shop, member)[-1][2]
    assert (kept == "Café Kulma may send me no more offers by SMS.") == (language == "en")
    assert "Café Kulma" in kept


def test_the_page_tells_nothing_of_the_member(client: FlaskClient, shop: Shop, erin: MemberView) -> None:
    page = client.get(PAGE).text
    for private in (erin.name, erin.phone, erin.card_code, members.card_token(shop.ctx, erin)):
        assert private not in page


def test_an_unknown_token_ends_nobodys_offers(client: FlaskClient, shop: Shop, erin: MemberView) -> None:
    for path in ("/u/Token_0002", "/u/token_0001", "/u/x", "/u/Token_0001x"):
        assert [404, 404] == [client.get(path).status_code, client.post(path).status_code]
    assert wants(shop, erin)


def test_no_other_site_can_press_the_button(shop: Shop, erin: MemberView) -> None:
    browser = create_app(shop.ctx).test_client()
    assert 400 == browser.post(PAGE).status_code
    assert wants(shop, erin)


def test_members_of_two_shops_stop_one_of_them(
    client: FlaskClient, shop: Shop, erin: MemberView, other_shop: Callable[[], Shop]
) -> None:
    there = other_shop()
    elsewhere = there.member(1, consents={"sms_marketing": "yes"})
    client.post(PAGE)
    assert (False, True) == (wants(shop, erin), wants(there, elsewhere))


@pytest.fixture
def other_shop(shop: Shop) -> Callable[[], Shop]:
    from tests.factories import open_shop

    return lambda: open_shop(shop.ctx, "toinen", name="Toinen Club", organization_name="Toinen")


def test_the_card_link_of_the_same_message_still_opens(client: FlaskClient, shop: Shop, erin: MemberView) -> None:
    client.post(PAGE)
    card = client.get("/l/Token_0001", headers={"User-Agent": "Mozilla/5.0", "Accept-Language": "en"}).location
    assert urlsplit(members.card_url(shop.ctx, erin)).path == card
