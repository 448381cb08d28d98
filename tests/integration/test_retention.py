"""Forgetting by rule: who left, who was not seen, and old receipts, messages, clicks and log lines."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app import clock
from app.db.campaigns import ClickKind, LinkClick
from app.db.keeping import ErasedBy, Erasure, RetentionRules
from app.db.ledger import AuditEntry
from app.db.messages import SmsMessage
from app.db.people import Member, MemberStatus, Role
from app.db.purchases import Purchase
from app.services import (
    clicks,
    conversations,
    members,
    messages,
    own_page,
    purchases,
    retention,
    retention_preview,
    retention_rules,
    sms_texts,
    staying,
    till,
)
from app.services.clicks import Click
from app.services.purchases import Line, PurchaseRequest
from app.services.retention_rules import Rules
from app.services.views import MemberView
from tests.factories import Shop, open_shop
from tests.integration.campaign_links import recipient, run_of

Clock = Callable[[datetime], None]
BEGIN = datetime(2027, 1, 10, 10, tzinfo=UTC)  # noon in Helsinki
FORM = {
    "left_days": "30",
    "inactive_days": "",
    "receipt_days": "",
    "message_days": "",
    "click_days": "",
    "audit_days": "",
    "code_to_erase": "off",
}


def run(shop: Shop) -> bool:
    return retention.run(shop.ctx, time.monotonic() + 60)


def statuses(shop: Shop, *people: MemberView) -> list[MemberStatus]:
    with shop.ctx.sessions() as session:
        return [session.get_one(Member, person.id).status for person in people]


def sms(shop: Shop, template: str) -> list[SmsMessage]:
    with shop.ctx.sessions() as session:
        return list(session.scalars(select(SmsMessage).where(SmsMessage.template == template)))


def setting(shop: Shop, **days: str) -> Rules:
    return retention_rules.save(shop.ctx, shop.owner, FORM | days)


def test_who_left_is_erased_when_their_days_are_over(shop: Shop, at: Clock) -> None:
    at(BEGIN)
    erin, frank = shop.member(1), shop.member(2)
    setting(shop)
    members.set_status(shop.ctx, shop.owner, erin.id, MemberStatus.LEFT)
    for days, expected in ((29, MemberStatus.LEFT), (31, MemberStatus.ERASED)):
        at(BEGIN + timedelta(days=days))
        assert run(shop)
        assert [expected, MemberStatus.ACTIVE] == statuses(shop, erin, frank)
    with shop.ctx.sessions() as session:
        assert [ErasedBy.RULE] == session.scalars(select(Erasure.by)).all()


def test_it_is_done_once_a_day_of_the_programme_and_never_before_three_in_the_night(shop: Shop, at: Clock) -> None:
    at(BEGIN)
    erin = shop.member(1)
    setting(shop, left_days="1")
    members.set_status(shop.ctx, shop.owner, erin.id, MemberStatus.LEFT)
    run(shop)
    at(datetime(2027, 1, 12, 0, 30, tzinfo=UTC))  # 02:30 in Helsinki
    run(shop)
    assert [MemberStatus.LEFT] == statuses(shop, erin)
    at(datetime(2027, 1, 12, 1, 30, tzinfo=UTC))
    run(shop)
    assert [MemberStatus.ERASED] == statuses(shop, erin)
    with shop.ctx.sessions() as session:
        assert date(2027, 1, 12) == session.get_one(RetentionRules, shop.program.id).ran_on


def test_who_comes_back_in_time_is_kept(shop: Shop, at: Clock) -> None:
    at(BEGIN)
    erin = shop.member(1)
    setting(shop)
    members.set_status(shop.ctx, shop.owner, erin.id, MemberStatus.LEFT)
    at(BEGIN + timedelta(days=20))
    shop.member(1)
    at(BEGIN + timedelta(days=60))
    run(shop)
    assert [MemberStatus.ACTIVE] == statuses(shop, erin)


def test_who_was_not_seen_is_told_first_and_erased_two_weeks_later(shop: Shop, at: Clock) -> None:
    at(BEGIN)
    erin = shop.member(1)
    setting(shop, inactive_days="100")
    for day, told, expected in (
        (80, 0, MemberStatus.ACTIVE),
        (87, 1, MemberStatus.ACTIVE),
        (88, 1, MemberStatus.ACTIVE),
        (101, 1, MemberStatus.ACTIVE),
        (102, 1, MemberStatus.ERASED),
    ):
        at(BEGIN + timedelta(days=day))
        run(shop)
        with shop.ctx.sessions() as session:
            count = session.scalar(select(func.count()).where(SmsMessage.direction == "out"))
        assert (told, [expected]) == (count, statuses(shop, erin))


@pytest.mark.parametrize("sign", ["visit", "word", "button"])
def test_a_sign_of_life_after_the_warning_keeps_the_card(shop: Shop, at: Clock, sign: str) -> None:
    at(BEGIN)
    erin = shop.member(1)
    setting(shop, inactive_days="100")
    at(BEGIN + timedelta(days=87))
    run(shop)
    assert 1 == len(sms(shop, sms_texts.INACTIVE))
    token = members.card_token(shop.ctx, erin)
    assert date(2027, 4, 22) == staying.erased_on(shop.ctx, erin)
    if sign == "visit":
        till.give_stamps(shop.ctx, shop.cashier, erin.card_code)
    elif sign == "word":
        own_page.set_hearing(shop.ctx, token, "sms_marketing", True, "en")
    else:
        staying.stay(shop.ctx, token)
        staying.stay(shop.ctx, token)
    assert None is staying.erased_on(shop.ctx, erin)
    for day in (102, 130, 180):
        at(BEGIN + timedelta(days=day))
        run(shop)
        assert [MemberStatus.ACTIVE] == statuses(shop, erin)
    at(BEGIN + timedelta(days=87 + 88))
    run(shop)
    assert 2 == len(sms(shop, sms_texts.INACTIVE))  # and they are told again when the time comes


def test_a_rule_that_is_made_shorter_warns_before_it_erases(shop: Shop, at: Clock) -> None:
    at(BEGIN)
    erin = shop.member(1)
    at(BEGIN + timedelta(days=1000))
    setting(shop, inactive_days="100")
    run(shop)
    assert ([MemberStatus.ACTIVE], 1) == (statuses(shop, erin), len(sms(shop, sms_texts.INACTIVE)))
    at(BEGIN + timedelta(days=1015))
    run(shop)
    assert [MemberStatus.ERASED] == statuses(shop, erin)


def test_lines_of_receipts_go_and_their_sums_stay_unless_a_warranty_holds(shop: Shop, at: Clock) -> None:
    at(BEGIN)
    erin = shop.member(1)
    for name, months in (("Bun", None), ("Kettle", 2)):
        lines = [Line(name, amount_minor=500, warranty_months=months)]
        purchases.record(shop.ctx, shop.cashier, PurchaseRequest(500, member_id=erin.id, lines=lines))
    setting(shop, receipt_days="31")

    def kept() -> list[str]:
        with shop.ctx.sessions() as session:
            rows = session.scalars(select(Purchase).order_by(Purchase.id)).all()
        assert [500, 500] == [row.amount_minor for row in rows]
        return [str(line["name"]) for row in rows for line in row.lines or ()]

    for day, expected in ((30, ["Bun", "Kettle"]), (32, ["Kettle"]), (50, ["Kettle"]), (70, [])):
        at(BEGIN + timedelta(days=day))
        run(shop)
        assert expected == kept()


def test_what_messages_said_and_to_whom_goes_and_what_they_cost_stays(shop: Shop, at: Clock) -> None:
    at(BEGIN)
    erin = shop.member(1)
    messages.send_card_link(shop.ctx, erin)
    setting(shop, message_days="31")
    at(BEGIN + timedelta(days=20))
    shop.ctx.valkey.flushdb()  # one link a minute is sent, by a clock of its own
    messages.send_card_link(shop.ctx, erin)
    at(BEGIN + timedelta(days=32))
    run(shop)
    with shop.ctx.sessions() as session:
        old, new = session.scalars(select(SmsMessage).order_by(SmsMessage.id)).all()
    assert ("!", "", "", {}) == (old.phone[0], old.text, old.template, old.params)
    assert (erin.phone, sms_texts.CARD_LINK) == (new.phone, new.template)
    found, _ = conversations.every(shop.ctx, shop.owner)
    assert [erin.phone] == [one.phone for one in found]
    assert 1 == len(conversations.with_member(shop.ctx, shop.owner, erin.id).bubbles)
    assert 1 == len(conversations.with_sender(shop.ctx, shop.owner, old.id).bubbles)


def test_clicks_and_the_log_go(shop: Shop, at: Clock) -> None:
    at(BEGIN)
    erin = shop.member(1)
    row = recipient(shop, run_of(shop), erin)
    clicks.write(shop.ctx, [Click(row.number, ClickKind.PERSON, clock.now())])
    setting(shop, click_days="31", audit_days="31")
    at(BEGIN + timedelta(days=32))
    run(shop)
    with shop.ctx.sessions() as session:
        assert [] == session.scalars(select(LinkClick.id)).all()
        assert [] == session.scalars(select(AuditEntry.id).where(AuditEntry.at < BEGIN + timedelta(days=1))).all()


def test_what_was_begun_late_goes_on_the_next_time(shop: Shop, at: Clock) -> None:
    at(BEGIN)
    people = [shop.member(number) for number in range(1, 4)]
    setting(shop, left_days="1")
    for person in people:
        members.set_status(shop.ctx, shop.owner, person.id, MemberStatus.LEFT)
    at(BEGIN + timedelta(days=3))
    assert not retention.run(shop.ctx, time.monotonic() - 1)
    assert [MemberStatus.LEFT] * 3 == statuses(shop, *people)
    assert run(shop)
    assert [MemberStatus.ERASED] * 3 == statuses(shop, *people)


def test_more_than_one_batch_of_everything_goes(shop: Shop, at: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.retention_traces.BATCH", 2)
    monkeypatch.setattr(retention, "PEOPLE_AT_A_TIME", 2)
    at(BEGIN)
    erin = shop.member(1)
    gone = [shop.member(number) for number in range(2, 7)]
    for number in range(5):
        request = PurchaseRequest(500, member_id=erin.id, receipt_no=str(number), lines=[Line("Bun")])
        purchases.record(shop.ctx, shop.cashier, request)
    for person in gone:
        members.set_status(shop.ctx, shop.owner, person.id, MemberStatus.LEFT)
    setting(shop, receipt_days="31", audit_days="31")
    at(BEGIN + timedelta(days=40))
    assert run(shop)
    with shop.ctx.sessions() as session:
        assert [None] * 5 == session.scalars(select(Purchase.lines)).all()
    assert [MemberStatus.ERASED] * 5 == statuses(shop, *gone)


def test_the_preview_says_what_the_night_then_does(shop: Shop, at: Clock) -> None:
    at(BEGIN)
    erin, frank, gina = (shop.member(number) for number in range(1, 4))
    members.set_status(shop.ctx, shop.owner, frank.id, MemberStatus.LEFT)
    messages.send_card_link(shop.ctx, gina)
    purchases.record(shop.ctx, shop.cashier, PurchaseRequest(500, member_id=gina.id, lines=[Line("Bun")]))
    at(BEGIN + timedelta(days=200))
    till.give_stamps(shop.ctx, shop.cashier, gina.card_code)
    rules = retention_rules.read(FORM | {"inactive_days": "100", "receipt_days": "31", "message_days": "31"})
    seen = retention_preview.outlook(shop.ctx, shop.owner, rules)
    assert (1, 0, 1, 1, 1) == (
        seen.left,
        seen.unseen,
        seen.to_warn,
        seen.traces["receipt_days"],
        seen.traces["message_days"],
    )
    setting(shop, inactive_days="100", receipt_days="31", message_days="31")
    run(shop)
    assert [MemberStatus.ACTIVE, MemberStatus.ERASED, MemberStatus.ACTIVE] == statuses(shop, erin, frank, gina)
    after = retention_preview.outlook(shop.ctx, shop.owner, rules)
    assert (0, 0, 0, 0, 0) == (after.people, after.to_warn, *(after.traces[name] for name in sorted(after.traces)[1:]))


def test_another_programmes_people_are_left_alone(shop: Shop, at: Clock) -> None:
    at(BEGIN)
    other = open_shop(shop.ctx, "other")
    erin = other.member(1)
    members.set_status(shop.ctx, other.owner, erin.id, MemberStatus.LEFT)
    retention_rules.save(shop.ctx, other.owner, FORM | {"left_days": ""})
    setting(shop, left_days="1")
    at(BEGIN + timedelta(days=400))
    run(shop)
    assert [MemberStatus.LEFT] == statuses(shop, erin)


def test_the_office_shows_what_it_would_do_before_it_is_saved(
    sign_in: Callable[[Role], FlaskClient], shop: Shop, at: Clock
) -> None:
    at(BEGIN)
    members.set_status(shop.ctx, shop.owner, shop.member(1).id, MemberStatus.LEFT)
    at(BEGIN + timedelta(days=40))
    owner = sign_in(Role.OWNER)
    shown = owner.post("/office/retention", data=FORM)
    assert 200 == shown.status_code
    assert "1 person who has left is erased." in shown.text
    assert 90 == retention_rules.get(shop.ctx, shop.program.id).left_days
    assert 303 == owner.post("/office/retention", data=FORM | {"seen": "yes"}).status_code
    assert 30 == retention_rules.get(shop.ctx, shop.program.id).left_days
    with shop.ctx.sessions() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "retention.changed")).one()
    assert [90, 30] == entry.details["left_days"]


@pytest.mark.parametrize(("field", "typed"), [("left_days", "0"), ("inactive_days", "30"), ("message_days", "x")])
def test_what_is_wrong_is_said_at_its_field(
    sign_in: Callable[[Role], FlaskClient], shop: Shop, field: str, typed: str
) -> None:
    answer = sign_in(Role.OWNER).post("/office/retention", data=FORM | {field: typed, "seen": "yes"})
    assert 422 == answer.status_code
    assert f'id="{field}-error"' in answer.text
    assert Rules() == retention_rules.get(shop.ctx, shop.program.id)


def test_only_an_owner_changes_the_rules(sign_in: Callable[[Role], FlaskClient], shop: Shop) -> None:
    assert 200 == sign_in(Role.MANAGER).get("/office/retention").status_code
    assert 403 == sign_in(Role.MANAGER).post("/office/retention", data=FORM).status_code
    assert 403 == sign_in(Role.MARKETER).get("/office/retention").status_code


def test_a_manager_erases_a_member_with_a_reason(sign_in: Callable[[Role], FlaskClient], shop: Shop) -> None:
    member: Any = shop.member(1, name="Erin")
    manager, path = sign_in(Role.MANAGER), f"/office/members/{member.id}/erase"
    assert "Erin" in manager.get(path).text
    for data in ({"why": "asked"}, {"sure": "on", "why": "because"}):
        assert 422 == manager.post(path, data=data).status_code
    assert [MemberStatus.ACTIVE] == statuses(shop, member)
    assert 303 == manager.post(path, data={"sure": "on", "why": "asked"}).status_code
    assert [MemberStatus.ERASED] == statuses(shop, member)
    assert "Erin" not in manager.get("/office/members").text
    assert 404 == manager.get(f"/office/members/{member.id}").status_code
    assert 403 == sign_in(Role.MARKETER).post(path, data={"sure": "on", "why": "asked"}).status_code
