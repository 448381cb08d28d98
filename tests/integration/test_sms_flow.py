"""Texting with the shop: joining by code, the words to stop and start, and what is kept of it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text

from app.db import tables
from app.db.messages import SmsMessage
from app.db.people import Consent, MemberStatus
from app.services import join_codes, member_search, members, messages, sms_incoming
from app.services.members import JoinRequest
from sms.delivery_states import State
from tests.factories import Shop, open_shop
from tests.integration.sms_shop import SmsShop, open_sms_shop

PHONE = "+358401239999"


@pytest.fixture
def desk(ctx, shop: Shop, tmp_path: Path) -> Iterator[SmsShop]:
    with open_sms_shop(ctx, shop, tmp_path) as made:
        join_codes.create(made.ctx, shop.owner, {"code": "04821", "via": "window"})
        yield made


def agreed(desk: SmsShop) -> None:
    """The person at PHONE is a member who wants offers."""
    wanted = JoinRequest(PHONE, consents={"sms_marketing": "Send me offers."})
    members.join(desk.ctx, desk.shop.owner, wanted, source="web")


def consents(desk: SmsShop) -> list[tuple[bool, str, str, datetime]]:
    with desk.ctx.sessions() as session:
        rows = session.scalars(select(Consent).where(Consent.purpose == "sms_marketing").order_by(Consent.id))
        return [(row.granted, row.source, row.wording, row.at) for row in rows]


@pytest.mark.parametrize(
    "body",
    [
        "04821",
        "۰۴۸۲۱",
        "٠٤٨٢١",
        "０４８２１",
        "०४८२१",
        " 0 4 8 2 1 ",
        "04-821!",
        "Join 04821 please",
        "کد ۰۴۸۲۱",
    ],
)
def test_a_text_with_the_code_gets_the_card(desk: SmsShop, body: str) -> None:
    desk.text(body)
    desk.deliver()
    member = members.find(desk.ctx, desk.shop.cashier, PHONE)
    assert ("window", "en") == (member.via, member.language)
    assert [f"Welcome to Kulma Club! Your card: {members.card_url(desk.ctx, member)}"] == desk.on_phone()


def test_the_reply_is_in_the_language_of_the_codes_programme(desk: SmsShop) -> None:
    desk.shop.change_program(language="fi")
    desk.text("04821")
    desk.deliver()
    assert "fi" == members.find(desk.ctx, desk.shop.cashier, PHONE).language
    assert "Welcome" not in desk.on_phone()[0]


def test_texting_again_gives_the_same_card(desk: SmsShop) -> None:
    for _ in range(2):
        desk.text("04821")
        desk.deliver()
    assert 1 == len(member_search.search(desk.ctx, desk.shop.owner)[0])
    first, second = desk.on_phone()
    assert first.rpartition(" ")[2] == second.rpartition(" ")[2]


def test_a_message_that_the_provider_brings_twice_is_answered_once(desk: SmsShop) -> None:
    for _ in range(2):
        desk.text("04821", sid="SM" + "1" * 32)
        desk.deliver()
    assert 1 == len(desk.on_phone())


def test_someone_who_left_may_join_again(desk: SmsShop) -> None:
    desk.text("04821")
    member = members.find(desk.ctx, desk.shop.cashier, PHONE)
    members.set_status(desk.ctx, desk.shop.owner, member.id, MemberStatus.LEFT)
    desk.text("04821")
    desk.deliver()
    assert MemberStatus.ACTIVE is members.find(desk.ctx, desk.shop.cashier, PHONE).status
    assert 2 == len(desk.on_phone())


def test_someone_blocked_is_told_to_ask_the_staff(desk: SmsShop) -> None:
    member = members.join(desk.ctx, desk.shop.owner, JoinRequest(PHONE), source="till")[0]
    members.set_status(desk.ctx, desk.shop.owner, member.id, MemberStatus.BLOCKED)
    desk.text("04821")
    desk.deliver()
    assert ["This number cannot join by itself. Please ask the staff."] == desk.on_phone()


def test_joins_are_counted_by_the_codes_channel(desk: SmsShop) -> None:
    join_codes.create(desk.ctx, desk.shop.owner, {"code": "11111", "via": "Table 1"})
    for number in range(3):
        desk.text("11111" if number else "04821", phone=f"+35840123000{number}")
    counted = {code.code: (code.via, code.joins) for code in join_codes.every(desk.ctx, desk.shop.program.id)}
    assert {"04821": ("window", 1), "11111": ("table-1", 2)} == counted


def test_a_code_that_was_switched_off_joins_nobody(desk: SmsShop) -> None:
    (code,) = join_codes.every(desk.ctx, desk.shop.program.id)
    join_codes.set_active(desk.ctx, desk.shop.owner, code.id, False)
    desk.text("04821")
    assert [] == member_search.search(desk.ctx, desk.shop.owner)[0]


def test_each_code_leads_to_its_own_programme(desk: SmsShop) -> None:
    other = open_shop(desk.ctx, "other", name="Other Club")
    join_codes.create(desk.ctx, other.owner, {"code": "22222"})
    desk.text("04821")
    desk.text("22222")
    desk.deliver()
    assert ["Welcome to Kulma Club!", "Welcome to Other Club!"] == sorted(
        body.partition("!")[0] + "!" for body in desk.on_phone()
    )
    for shop in (desk.shop, other):
        assert PHONE == members.find(desk.ctx, shop.cashier, PHONE).phone


def test_what_sounds_like_stopping_is_answered_with_how_to_stop(desk: SmsShop) -> None:
    desk.text("Please stop this")
    desk.deliver()
    assert "STOP to end offers" in desk.on_phone()[0]


def test_what_is_not_understood_gets_one_helpful_reply_a_day(desk: SmsShop) -> None:
    for body in ("11111", "99999", "hello?", "4821357"):
        desk.text(body)
        desk.deliver()
    assert ["We do not know this code. Please text the 5 digits that you see in the shop."] == desk.on_phone()


def test_texting_without_end_is_not_answered_without_end(desk: SmsShop) -> None:
    for _ in range(14):
        desk.text("04821")
    desk.deliver()
    assert 10 == len(desk.on_phone())


@pytest.mark.parametrize(
    ("stop", "start"),
    [("Stop.", "START"), ("LOPETA", "aloita"), ("Стоп", "старт"), ("لغو", "شروع"), ("unsubscribe", "Unstop")],
)
def test_the_words_to_stop_and_start_are_kept_as_consent(desk: SmsShop, at, stop: str, start: str) -> None:
    agreed(desk)
    first, second = datetime(2027, 1, 2, 3, 4, tzinfo=UTC), datetime(2027, 1, 2, 3, 5, tzinfo=UTC)
    at(first)
    desk.text(stop)
    at(second)
    desk.text(start)
    assert [(False, "sms", stop, first), (True, "sms", start, second)] == consents(desk)[1:]
    desk.deliver()
    assert 2 == len(desk.on_phone())


@pytest.mark.parametrize("word", ["HELP", "apua", "помощь", "راهنما"])
def test_help_says_who_this_is_and_how_to_get_out(desk: SmsShop, word: str) -> None:
    desk.text(word)
    desk.deliver()
    (said,) = desk.on_phone()
    assert [True] * 3 == [part in said for part in ("Kulma Club", "STOP", "Kulmakatu 1, Helsinki")]


def test_stop_holds_for_every_programme_of_the_number(desk: SmsShop) -> None:
    agreed(desk)
    other = open_shop(desk.ctx, "other")
    members.join(desk.ctx, other.owner, JoinRequest(PHONE, consents={"sms_marketing": "Yes."}), source="web")
    desk.text("STOP")
    assert [True, True, False, False] == [granted for granted, *_ in consents(desk)]


def test_what_the_provider_has_answered_by_itself_is_not_answered_again(desk: SmsShop) -> None:
    agreed(desk)
    sms_incoming.receive(desk.ctx, sms_incoming.Incoming("twilio", "SM9", PHONE, "STOP", answered=True))
    assert 0 == desk.waiting()
    assert False is consents(desk)[-1][0]


@pytest.mark.parametrize("body", ["Please stop sending me these", "Älkää lähettäkö enää", "Прекратите это"])
def test_a_sentence_that_asks_to_stop_is_flagged_and_changes_nothing_by_itself(desk: SmsShop, body: str) -> None:
    agreed(desk)
    desk.text(body)
    assert [True] == [message.flagged for message in desk.messages(PHONE) if message.state is None]
    assert 1 == len(consents(desk))


@pytest.mark.parametrize(
    "body", ["4821357", "۴۸۲۱۳۵۷", "my code is 482 1357", "why does the code 4821357 that I got today not work here?"]
)
def test_what_could_be_a_credit_code_is_not_kept(desk: SmsShop, body: str) -> None:
    desk.text(body)
    (kept, *_) = desk.messages(PHONE)
    assert "•••••••" in kept.text
    assert not any(digits in kept.text for digits in ("4821357", "۴۸۲۱۳۵۷", "482 1357"))


def test_a_sender_that_is_no_phone_and_a_broken_text_do_no_harm(desk: SmsShop) -> None:
    desk.text("04821", phone="12345")
    desk.text("hel\0lo")
    with desk.ctx.sessions() as session:
        assert ["hello"] == session.scalars(select(SmsMessage.text).where(SmsMessage.state.is_(None))).all()


def test_the_link_rests_nowhere_but_on_the_phone(desk: SmsShop, capfd: pytest.CaptureFixture[str]) -> None:
    messages.send_card_link(desk.ctx, desk.shop.member(1))
    desk.text("04821")
    with desk.ctx.engine.connect() as connection:
        waiting = str(connection.execute(text("SELECT * FROM outbox")).all())
    desk.deliver()
    with desk.ctx.engine.connect() as connection:
        kept = "".join(str(connection.execute(select(table)).all()) for table in tables.metadata.sorted_tables)
    (link,) = desk.on_phone()
    assert "/c/" in link
    assert [False] * 3 == ["/c/" in place for place in (waiting, kept, "".join(capfd.readouterr()))]
    assert {State.ACCEPTED} == {message.state for message in desk.messages("+358401230001")}
