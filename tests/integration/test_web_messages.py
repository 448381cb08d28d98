"""The office's messages and join codes: who sees what, and what may be written to whom."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db.ledger import AuditEntry
from app.db.people import Consent, Role
from app.services import conversations, join_codes, messages, sms_rules
from app.services.context import Context
from app.services.views import MemberView
from app.web.factory import create_app
from sms.delivery_states import State
from tests.factories import PASSWORD, Shop, open_shop
from tests.integration.sms_shop import SmsShop, open_sms_shop

SignIn = Callable[[Role], FlaskClient]
STRANGER = "+358401239999"


@pytest.fixture
def desk(ctx: Context, shop: Shop, tmp_path: Path) -> Iterator[SmsShop]:
    with open_sms_shop(ctx, shop, tmp_path) as made:
        yield made


@pytest.fixture
def office(desk: SmsShop) -> SignIn:
    app = create_app(desk.ctx)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)

    def signed_in(role: Role) -> FlaskClient:
        browser = app.test_client()
        browser.post("/staff/sign-in", data={"login": desk.shop.people[role].login, "password": PASSWORD})
        return browser

    return signed_in


@pytest.fixture
def erin(desk: SmsShop) -> MemberView:
    """A member who wants offers, and has got the card's link."""
    made = desk.shop.member(1, name="Erin", consents={"sms_marketing": "Yes."})
    messages.send_card_link(desk.ctx, made)
    desk.deliver()
    return made


def page_of(member: MemberView) -> str:
    return f"/office/messages/member/{member.id}"


def test_conversations_are_newest_first_and_what_asks_to_stop_is_on_top(
    desk: SmsShop, office: SignIn, erin: MemberView
) -> None:
    desk.text("Please stop writing to me", erin.phone)
    desk.text("Are you open?")
    page = office(Role.MANAGER).get("/office/messages").text
    flagged, _, everything = page.partition('id="all-title"')
    assert "Erin" in flagged
    assert "Asks to stop" in flagged
    assert "Are you open?" not in flagged
    # The newest is the helpful answer to the stranger.
    assert 0 < everything.index("reply with the shop") < everything.index("Erin")


def test_a_marketer_reads_but_sees_no_numbers_and_cannot_write(desk: SmsShop, office: SignIn, erin: MemberView) -> None:
    marketer = office(Role.MARKETER)
    for path in ("/office/messages", page_of(erin)):
        page = marketer.get(path).text
        assert "Erin" in page
        assert "040" not in page.partition("<main")[2]
        assert "+358 ** *****01" in page
    assert 403 == marketer.post(page_of(erin), data={"text": "Hi", "key": "k"}).status_code
    assert 'name="text"' not in marketer.get(page_of(erin)).text


def test_no_page_shows_the_link_that_opens_a_card(desk: SmsShop, office: SignIn, erin: MemberView) -> None:
    for path in ("/office/messages", page_of(erin)):
        page = office(Role.OWNER).get(path).text
        assert "Kulma Club: your card is here: …/c/…" in page
        assert "localhost:8400/c/" not in page


def test_states_and_reasons_are_in_words(desk: SmsShop, office: SignIn) -> None:
    landline = "+358401221614"
    desk.text("hello", landline)
    desk.deliver()
    (_, reply) = desk.messages(landline)
    page = office(Role.MANAGER).get(f"/office/messages/{reply.id}").text
    assert "Not sent" in page
    assert "This number is a landline or cannot get text messages." in page


def test_another_programmes_conversations_are_not_there(desk: SmsShop, office: SignIn, erin: MemberView) -> None:
    other = open_shop(desk.ctx, "other")
    theirs = other.member(7)
    messages.send_card_link(desk.ctx, theirs)
    (message,) = desk.messages(theirs.phone)
    manager = office(Role.MANAGER)
    assert "0007" not in manager.get("/office/messages").text
    assert [404] * 3 == [
        manager.get(path).status_code
        for path in (page_of(theirs), f"/office/messages/{message.id}", f"/office/messages/{uuid4()}")
    ]
    assert 404 == manager.post(page_of(theirs), data={"text": "Hi", "kind": "service", "key": "k"}).status_code


def test_a_message_by_hand_goes_once_however_often_the_form_is_sent(
    desk: SmsShop, office: SignIn, erin: MemberView
) -> None:
    manager = office(Role.MANAGER)
    for _ in range(2):
        answer = manager.post(page_of(erin), data={"text": "Your bag is here.", "kind": "service", "key": "one"})
        assert 303 == answer.status_code
    desk.deliver()
    assert "Your bag is here." == desk.on_phone(erin.phone)[-1]
    assert 2 == len(desk.on_phone(erin.phone))
    page = manager.get(page_of(erin)).text
    assert "Mary" in page
    with desk.ctx.sessions() as session:
        assert "sms.written" in session.scalars(select(AuditEntry.action)).all()


def test_an_offer_goes_only_to_who_agreed_to_offers(desk: SmsShop, office: SignIn, erin: MemberView) -> None:
    never_quiet = {"number_daily_cap": "20", "quiet_from": "00:00", "quiet_until": "00:00"}
    sms_rules.save(desk.ctx, desk.shop.owner, never_quiet)
    offer = {"text": "Buns today", "kind": "marketing", "key": "one"}
    manager = office(Role.MANAGER)
    assert 303 == manager.post(page_of(erin), data=offer).status_code
    dave = desk.shop.member(2, name="Dave")
    answer = manager.post(page_of(dave), data=offer | {"key": "two"})
    assert 422 == answer.status_code
    assert "has not agreed to get offers by SMS" in answer.text
    assert "Buns today" in answer.text
    assert [] == desk.messages(dave.phone)
    desk.deliver()
    assert "Buns today" == desk.on_phone(erin.phone)[-1]


@pytest.mark.parametrize(
    ("typed", "told"), [("  ", "Write the message first."), ("я" * 500, "The message is too long")]
)
def test_what_cannot_be_sent_is_said_at_the_field(
    desk: SmsShop, office: SignIn, erin: MemberView, typed: str, told: str
) -> None:
    answer = office(Role.MANAGER).post(page_of(erin), data={"text": typed, "kind": "service", "key": "one"})
    assert 422 == answer.status_code
    assert told in answer.text.partition('id="text-error"')[2].partition("</p>")[0]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("Hello", ["1 part", "5 characters", "GSM-7"]),
        ("Привет", ["1 part", "UCS-2", "more parts"]),
        ("“Hello” – " + "x" * 140, ["1 part", "GSM-7", "save 2 parts"]),
        ("x" * 1000, ["7 parts", "too long: 6 parts"]),
    ],
)
def test_parts_are_counted_before_anything_is_sent_with_and_without_scripts(
    desk: SmsShop, office: SignIn, erin: MemberView, typed: str, told: list[str]
) -> None:
    manager = office(Role.MANAGER)
    fragment = manager.post("/office/messages/count", data={"text": typed}).text
    page = manager.post(page_of(erin), data={"text": typed, "kind": "service", "key": "one", "action": "count"})
    for shown in (fragment, page.text.partition('id="sms-count"')[2].partition("</p>")[0]):
        assert [True] * len(told) == [part in shown for part in told]
    assert 200 == page.status_code
    assert 1 == len(desk.messages(erin.phone))


def test_what_is_shown_is_what_is_sent(desk: SmsShop, office: SignIn, erin: MemberView) -> None:
    typed = "“Hello” – " + "x" * 140
    office(Role.MANAGER).post(page_of(erin), data={"text": typed, "kind": "service", "key": "one"})
    desk.deliver()
    assert ['"Hello" - ' + "x" * 140] * 2 == [desk.on_phone(erin.phone)[-1], desk.messages(erin.phone)[-1].text]


def test_a_flag_goes_when_it_was_read_and_the_decision_is_kept(desk: SmsShop, office: SignIn, erin: MemberView) -> None:
    desk.text("I want no more of your messages, please stop", erin.phone)
    message = next(one for one in desk.messages(erin.phone) if one.flagged)
    manager = office(Role.MANAGER)
    assert 303 == manager.post(f"/office/messages/{message.id}/settle", data={"answer": "stop"}).status_code
    assert [] == conversations.flagged(desk.ctx, desk.shop.owner)
    with desk.ctx.sessions() as session:
        newest = session.scalars(select(Consent).order_by(Consent.id.desc())).first()
        assert newest is not None
        assert (False, "office", message.text) == (newest.granted, newest.source, newest.wording)


def test_only_what_certainly_was_not_sent_can_be_sent_again(desk: SmsShop, office: SignIn) -> None:
    phone = "+358401220003"  # the stand-in refuses our account
    refused = desk.shop.member(3)
    desk.text("hello", phone)
    desk.deliver()
    (_, reply) = desk.messages(phone)
    manager = office(Role.MANAGER)
    page = manager.get(f"/office/messages/{reply.id}").text
    assert [True] * 3 == [part in page for part in ("Not sent", "refuses our password", "Send again")]
    address = page.partition(f'action="/office/messages/{reply.id}/retry/')[2].partition('"')[0]
    assert 303 == manager.post(f"/office/messages/{reply.id}/retry/{address}").status_code
    assert 1 == len(desk.deliver())
    messages.send_card_link(desk.ctx, refused)
    desk.crash()
    (lost,) = desk.messages(refused.phone)
    assert State.SENDING is lost.state
    assert "Send again" not in manager.get(f"/office/messages/{lost.id}").text


def test_when_the_account_works_again_everything_is_tried_with_one_button(desk: SmsShop, office: SignIn) -> None:
    phones = ["+358401220003", "+358402220003"]
    for phone in phones:
        desk.text("hello", phone)
    desk.deliver()
    manager = office(Role.MANAGER)
    assert "2 messages did not go out" in manager.get("/office/messages").text
    assert "What did not arrive" not in manager.get("/office/delivery").text
    assert 303 == manager.post("/office/messages/retry").status_code
    assert 2 == len(desk.deliver())


def test_older_conversations_are_a_page_away(desk: SmsShop, office: SignIn) -> None:
    for number in range(conversations.PAGE + 2):
        messages.send_card_link(desk.ctx, desk.shop.member(number, name=f"Guest {number:02}"))
    manager = office(Role.MANAGER)
    first = manager.get("/office/messages").text
    more = first.partition('href="/office/messages?after=')[2].partition('"')[0]
    second = manager.get(f"/office/messages?after={more}").text
    shown = [[f"Guest {number:02}" in page for number in (0, 1, 2, 31)] for page in (first, second)]
    assert [[False, False, True, True], [True, True, False, False]] == shown


def test_join_codes_are_made_listed_and_switched(desk: SmsShop, office: SignIn) -> None:
    manager = office(Role.MANAGER)
    made = manager.post("/office/join-codes", data={"code": "۰۴۸۲۱", "via": "Table 1"})
    assert 303 == made.status_code
    page = manager.get(made.location).text
    assert [True] * 3 == [part in page for part in ("04821", "table-1", "Text 04821 to")]
    (code,) = join_codes.every(desk.ctx, desk.shop.program.id)
    for verb, active in (("off", False), ("off", False), ("on", True)):
        manager.post(f"/office/join-codes/{code.id}/{verb}")
        assert [active] == [one.active for one in join_codes.every(desk.ctx, desk.shop.program.id)]


def test_a_random_join_code_has_five_digits(desk: SmsShop, office: SignIn) -> None:
    office(Role.OWNER).post("/office/join-codes", data={"code": "", "via": ""})
    (code,) = join_codes.every(desk.ctx, desk.shop.program.id)
    assert (5, True, "") == (len(code.code), code.code.isdigit(), code.via)


@pytest.mark.parametrize(("typed", "told"), [("123", "A code has 5 digits."), ("22222", "This code is taken.")])
def test_a_wrong_join_code_is_explained_at_its_field(desk: SmsShop, office: SignIn, typed: str, told: str) -> None:
    other = open_shop(desk.ctx, "other")
    join_codes.create(desk.ctx, other.owner, {"code": "22222"})
    answer = office(Role.MANAGER).post("/office/join-codes", data={"code": typed, "via": ""})
    assert 422 == answer.status_code
    assert told in answer.text.partition('id="code-error"')[2].partition("</p>")[0]


def test_another_programmes_join_code_cannot_be_switched(desk: SmsShop, office: SignIn) -> None:
    other = open_shop(desk.ctx, "other")
    code = join_codes.create(desk.ctx, other.owner, {"code": "22222"})
    assert 404 == office(Role.OWNER).post(f"/office/join-codes/{code.id}/off").status_code


def test_the_poster_says_what_to_text(desk: SmsShop, office: SignIn) -> None:
    join_codes.create(desk.ctx, desk.shop.owner, {"code": "04821", "via": "window"})
    owner = office(Role.OWNER)
    assert "Or text \u206804821\u2069 to \u2066045 7399999\u2069" in owner.get("/office/poster?via=window").text
    assert "sheet-text" not in owner.get("/office/poster?via=door").text
