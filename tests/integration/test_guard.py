"""Odd patterns at the till are shown to the manager with their evidence, blocked the next time, and can be allowed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from app import clock
from app.db.guard import AlertState
from app.db.ledger import AuditEntry
from app.db.people import Role
from app.loyalty.guarding import Rule
from app.services import code_redeeming, code_troubles, guard_desk, members, till
from app.services.context import Actor
from app.services.errors import InvalidForm, Refused
from app.wiring import connect_valkey, make_limiter
from tests.factories import Shop, open_shop

Clock = Callable[[datetime], None]


def thresholds(**values: str) -> dict[str, str]:
    form = {}
    for rule in Rule:
        form |= {f"{rule}_most": "1000", f"{rule}_minutes": "60", f"{rule}_active": "on"}
    return form | values


def give(shop: Shop, member, *, count: int = 1, actor: Actor | None = None) -> None:
    till.give_stamps(shop.ctx, actor or shop.cashier, member.card_code, count=count)


@contextmanager
def refused(kind: str) -> Iterator[None]:
    with pytest.raises(Refused) as caught:
        yield
    assert kind == caught.value.kind


@pytest.fixture
def strict(shop: Shop) -> Shop:
    """A shop where more than two stamps within an hour to one member are odd."""
    guard_desk.save_thresholds(shop.ctx, shop.owner, thresholds(member_stamps_most="2"))
    return shop


def test_many_stamps_to_one_member_are_shown_and_nothing_is_stopped(strict: Shop):
    member = strict.member()
    for _ in range(4):
        give(strict, member)
    (alert,) = guard_desk.every(strict.ctx, strict.owner)
    assert (Rule.MEMBER_STAMPS, member.id, AlertState.SHOWN, 1) == (
        alert.rule,
        alert.subject_id,
        alert.state,
        alert.times,
    )


def test_the_evidence_is_what_was_done(strict: Shop):
    member = strict.member()
    for _ in range(3):
        give(strict, member)
    (alert,) = guard_desk.every(strict.ctx, strict.owner)
    _, evidence = guard_desk.one(strict.ctx, strict.owner, alert.id)
    assert [("earn", 1, "Charlie", "Kulma")] * 3 == [
        (act.kind, act.amount, act.staff, act.location) for act in evidence
    ]


def test_the_next_time_it_is_blocked_and_a_manager_can_allow_it(strict: Shop, at: Clock):
    member = strict.member()
    for _ in range(3):
        give(strict, member)
    at(clock.now() + timedelta(hours=2))
    for _ in range(2):
        with refused("guard-blocked"):
            give(strict, member)
    (alert,) = guard_desk.every(strict.ctx, strict.owner)
    assert (AlertState.BLOCKED, 2) == (alert.state, alert.times)
    guard_desk.decide(strict.ctx, strict.owner, alert.id, AlertState.FINE)
    give(strict, member)
    assert AlertState.FINE == guard_desk.every(strict.ctx, strict.owner)[0].state


def test_what_was_refused_gave_nothing(strict: Shop, at: Clock):
    member = strict.member()
    for _ in range(3):
        give(strict, member)
    at(clock.now() + timedelta(hours=2))
    with refused("guard-blocked"):
        give(strict, member)
    assert 3 == members.by_id(strict.ctx, strict.cashier, member.id).stamps


def test_another_member_is_served_meanwhile(strict: Shop, at: Clock):
    member, other = strict.member(1), strict.member(2)
    for _ in range(3):
        give(strict, member)
    at(clock.now() + timedelta(hours=2))
    with refused("guard-blocked"):
        give(strict, member)
    give(strict, other)


def test_a_repeat_of_the_same_request_is_not_counted(strict: Shop):
    member = strict.member()
    for _ in range(5):
        till.give_stamps(strict.ctx, strict.cashier, member.card_code, key="the same")
    assert [] == guard_desk.every(strict.ctx, strict.owner)


def test_a_manager_may_block_at_once_and_show_again(strict: Shop):
    member = strict.member()
    for _ in range(3):
        give(strict, member)
    (alert,) = guard_desk.every(strict.ctx, strict.owner)
    guard_desk.decide(strict.ctx, strict.owner, alert.id, AlertState.BLOCKED)
    with refused("guard-blocked"):
        give(strict, member)
    guard_desk.decide(strict.ctx, strict.owner, alert.id, AlertState.SHOWN)
    give(strict, member)


def test_all_of_it_is_in_the_audit_log(strict: Shop):
    member = strict.member()
    for _ in range(3):
        give(strict, member)
    (alert,) = guard_desk.every(strict.ctx, strict.owner)
    guard_desk.decide(strict.ctx, strict.owner, alert.id, AlertState.FINE)
    with strict.ctx.sessions() as session:
        actions = session.scalars(
            select(AuditEntry.action).where(AuditEntry.action.like("guard.%")).order_by(AuditEntry.at)
        ).all()
    assert ["guard.thresholds", "guard.shown", "guard.fine"] == actions


def test_undoing_again_and_again_is_odd(shop: Shop):
    guard_desk.save_thresholds(shop.ctx, shop.owner, thresholds(till_undos_most="1"))
    member = shop.member()
    for _ in range(2):
        answer, _ = till.give_stamps(shop.ctx, shop.cashier, member.card_code)
        till.undo(shop.ctx, shop.cashier, UUID(answer["entry_id"]))
    (alert,) = guard_desk.every(shop.ctx, shop.owner)
    assert (Rule.TILL_UNDOS, "staff", "Charlie") == (alert.rule, alert.subject, alert.who)


def test_one_receipt_for_several_members_is_odd(shop: Shop):
    guard_desk.save_thresholds(shop.ctx, shop.owner, thresholds(till_receipts_most="1"))
    for number in range(3):
        till.give_stamps(shop.ctx, shop.cashier, shop.member(number).card_code, receipt_no="R-1")
    assert [Rule.TILL_RECEIPTS] == [alert.rule for alert in guard_desk.every(shop.ctx, shop.owner)]


def test_a_rule_that_is_off_sees_nothing(shop: Shop):
    guard_desk.save_thresholds(shop.ctx, shop.owner, thresholds(member_stamps_most="1", member_stamps_active=""))
    member = shop.member()
    for _ in range(3):
        give(shop, member)
    assert [] == guard_desk.every(shop.ctx, shop.owner)


def test_two_at_once_make_one_alert(strict: Shop):
    member = strict.member()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: give(strict, member), range(8)))
    (alert,) = guard_desk.every(strict.ctx, strict.owner)
    assert (AlertState.SHOWN, 1) == (alert.state, alert.times)


def test_stamps_are_given_while_nobody_can_count(strict: Shop, monkeypatch: pytest.MonkeyPatch):
    member = strict.member()
    dead = replace(strict, ctx=replace(strict.ctx, limiter=make_limiter(connect_valkey("redis://127.0.0.1:1/0"))))
    for _ in range(3):
        give(dead, member)


def test_thresholds_must_be_numbers(shop: Shop):
    with pytest.raises(InvalidForm) as refused:
        guard_desk.save_thresholds(shop.ctx, shop.owner, thresholds(till_codes_most="many"))
    assert ["till_codes_most"] == list(refused.value.errors)


def test_strangers_see_nothing_of_it(strict: Shop):
    member = strict.member()
    for _ in range(3):
        give(strict, member)
    (alert,) = guard_desk.every(strict.ctx, strict.owner)
    other = open_shop(strict.ctx, "other")
    assert [] == guard_desk.every(strict.ctx, other.owner)
    with refused("alert-not-found"):
        guard_desk.decide(strict.ctx, other.owner, alert.id, AlertState.FINE)


def test_the_page_shows_the_alert_and_takes_the_decision(strict: Shop, sign_in):
    member = strict.member(name="Aino")
    for _ in range(3):
        give(strict, member)
    manager = sign_in(Role.MANAGER)
    page = manager.get("/office/guard").get_data(as_text=True)
    assert "Stamps to one member" in page
    assert "Aino" in page
    (alert,) = guard_desk.every(strict.ctx, strict.owner)
    assert "Charlie" in manager.get(f"/office/guard/{alert.id}").get_data(as_text=True)
    assert 303 == manager.post(f"/office/guard/{alert.id}", data={"decision": "fine"}).status_code
    assert 403 == sign_in(Role.MARKETER).get("/office/guard").status_code


def test_many_joins_at_one_till_are_odd(shop: Shop):
    guard_desk.save_thresholds(shop.ctx, shop.owner, thresholds(till_joins_most="1"))
    for number in range(2):
        request = members.JoinRequest(phone=f"+35840123{number:04d}")
        members.join(shop.ctx, shop.cashier, request, source="till")
    (alert,) = guard_desk.every(shop.ctx, shop.owner)
    assert (Rule.TILL_JOINS, "Charlie") == (alert.rule, alert.who)
    assert 2 == len(guard_desk.one(shop.ctx, shop.owner, alert.id)[1])


def test_customers_who_join_by_themselves_are_not_counted(shop: Shop):
    guard_desk.save_thresholds(shop.ctx, shop.owner, thresholds(till_joins_most="1"))
    for number in range(3):
        shop.member(number)
    assert [] == guard_desk.every(shop.ctx, shop.owner)


def test_a_manager_sees_who_is_paused_after_wrong_codes_and_ends_the_pause(shop: Shop, sign_in):
    def paused() -> bool:
        with pytest.raises(Refused) as caught:
            code_redeeming.check(shop.ctx, shop.cashier, "0000000")
        return caught.value.kind == "codes-paused"

    while not paused():
        pass
    manager = sign_in(Role.MANAGER)
    assert "Paused after wrong codes: Charlie" in manager.get("/office/guard").text
    assert 303 == manager.post(f"/office/guard/codes/{shop.cashier.staff_id}/lift").status_code
    assert not paused()


def test_a_pause_of_another_programme_cannot_be_ended(shop: Shop):
    with refused("alert-not-found"):
        code_troubles.end_pause(shop.ctx, open_shop(shop.ctx, "other").owner, shop.people[Role.CASHIER].id)
