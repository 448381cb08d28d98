"""Credit by rule: on time, to everybody of the class once, whatever crashes, and to nobody else."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from uuid_utils.compat import uuid7

from app.db.credit import Credit, CreditRun, CreditSource, MemberClass, RunState
from app.db.delivery import Channel, OutboxRow
from app.db.ledger import AuditEntry, LedgerEntry
from app.db.messages import SmsMessage
from app.db.people import Member, MemberCard, MemberStatus
from app.db.purchases import Purchase
from app.jobs import tasks as task_job
from app.loyalty.ledger import Kind, Unit
from app.services import credit_granting, credit_policies, customer_classes, ledger_book, outbox, program_rules, upkeep
from app.services.errors import InvalidForm, Refused
from tests.factories import Shop, open_shop

# A Monday, two weeks before Helsinki's clocks go forward; 10:00 there is 8:00 UTC.
NOW = datetime(2027, 3, 15, 7, 30, tzinfo=UTC)
DUE = datetime(2027, 3, 15, 8, 0, tzinfo=UTC)
EVERYBODY = {f"{figure}_{end}": value for figure in ("recency", "frequency", "money") for end, value in
             (("min", "1"), ("max", "5"))}  # fmt: skip
FIXED = EVERYBODY | {"name": "Friends", "policy": "fixed", "amount": "5", "valid_days": "14"}
WEEKLY = FIXED | {"repeats": "on", "every_days": "7", "at_hour": "10"}
SHARE = EVERYBODY | {
    "name": "Friends",
    "policy": "share",
    "share": "2,5",
    "spending_days": "30",
    "smallest": "1",
    "cap": "20",
    "valid_days": "14",
}


@pytest.fixture(autouse=True)
def _morning(at: Callable[[datetime], None]) -> None:
    at(NOW)


def put(shop: Shop, class_id: UUID, members: Sequence[UUID]) -> None:
    """Have these members in the class, as classing would."""
    with shop.ctx.sessions.begin() as session:
        session.add_all(
            MemberClass(
                member_id=member_id,
                program_id=shop.program.id,
                class_id=class_id,
                purchases=0,
                spent_minor=0,
                recency=1,
                frequency=1,
                money=1,
            )
            for member_id in members
        )


def friends(shop: Shop, form: dict[str, str], count: int = 5) -> tuple[UUID, list[UUID]]:
    """A class with so many members; the first of them want offers by SMS."""
    class_id = customer_classes.save(shop.ctx, shop.owner, form)
    consents = {"sms_marketing": "Yes, text me offers."}
    members = [shop.member(number, consents=consents if number < 2 else {}).id for number in range(count)]
    put(shop, class_id, members)
    return class_id, sorted(members)


def spend(shop: Shop, member_id: UUID, amount_minor: int, days_ago: int = 1) -> None:
    with shop.ctx.sessions.begin() as session:
        session.add(
            Purchase(
                id=uuid7(),
                program_id=shop.program.id,
                member_id=member_id,
                at=NOW - timedelta(days=days_ago),
                recorded_at=NOW,
                amount_minor=amount_minor,
            )
        )


def start(shop: Shop, class_id: UUID, seen_at: datetime = NOW) -> UUID:
    return credit_policies.start_now(shop.ctx, shop.owner, class_id, seen_at)


def give(shop: Shop, run_id: UUID) -> None:
    assert credit_granting.work(shop.ctx, run_id, time.monotonic() + 60)


def credits(shop: Shop) -> dict[UUID, list[int]]:
    """Member → the amounts that they were given."""
    found: dict[UUID, list[int]] = {}
    with shop.ctx.sessions() as session:
        for credit in session.scalars(select(Credit).order_by(Credit.member_id)):
            found.setdefault(credit.member_id, []).append(credit.amount_minor)
    return found


def runs(shop: Shop) -> list[tuple[RunState, datetime, int, int]]:
    seen = credit_policies.recent(shop.ctx, shop.program.id)
    return [(run.state, run.due_at, run.members, run.granted_minor) for run in reversed(seen)]


def waiting(shop: Shop, channel: Channel) -> list[UUID]:
    with shop.ctx.sessions() as session:
        return list(session.scalars(select(OutboxRow.subject_id).where(OutboxRow.channel == channel)))


def test_everybody_of_the_class_gets_it_once_with_all_that_belongs_to_it(shop: Shop):
    class_id, members = friends(shop, FIXED)
    with shop.ctx.sessions() as session:
        before = {card.member_id: card.version for card in session.scalars(select(MemberCard))}
    run_id = start(shop, class_id)
    give(shop, run_id)
    assert {member: [500] for member in members} == credits(shop)
    last_day_ends = datetime(2027, 3, 29, 21, tzinfo=UTC)  # midnight in Helsinki, in summer time by then
    with shop.ctx.sessions() as session:
        for credit in session.scalars(select(Credit)):
            assert (500, CreditSource.CLASS, run_id, last_day_ends) == (
                credit.balance_minor,
                credit.source,
                credit.run_id,
                credit.expires_at,
            )
            assert credit.valid_from <= NOW
        for entry in session.scalars(select(LedgerEntry)):
            assert (Unit.CREDIT, Kind.GRANT, 500, entry.id) == (
                entry.unit,
                entry.kind,
                entry.amount,
                entry.operation_id,
            )
        for member in session.scalars(select(Member)):
            assert (500, last_day_ends) == (member.credit_minor, member.next_expiry_at)
            assert before[member.id] + 1 == member.card.version
            assert "5" in member.card.news
    assert [(RunState.DONE, NOW, 5, 2_500)] == runs(shop)


def test_only_who_wants_offers_gets_an_sms_and_it_holds_no_code(shop: Shop):
    class_id, _ = friends(shop, FIXED)
    give(shop, start(shop, class_id))
    with shop.ctx.sessions() as session:
        messages = list(session.scalars(select(SmsMessage)))
        theirs = {str(credit.id): credit.member_id for credit in session.scalars(select(Credit))}
    assert 2 == len(messages)
    assert {message.id for message in messages} == set(waiting(shop, Channel.SMS))
    for message in messages:
        assert ("credit", True, ["credit_id"]) == (message.template, message.marketing, list(message.params))
        assert message.member_id == theirs[message.params["credit_id"]]


def test_phones_are_woken_at_a_pace_that_the_server_can_answer(
    shop: Shop, at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(credit_granting, "BATCH", 2)
    monkeypatch.setattr(credit_granting, "PACE", 1)
    friends(shop, WEEKLY)
    at(DUE)
    credit_policies.plan_due(shop.ctx)
    woken: list[datetime] = []
    monkeypatch.setattr(
        credit_granting.wallets, "changed", lambda _session, _program, due, **_more: woken.extend(due.values())
    )
    late = DUE + timedelta(hours=3)  # the worker was away
    at(late)
    give(shop, credit_policies.recent(shop.ctx, shop.program.id)[0].id)
    assert [late + timedelta(seconds=place) for place in range(5)] == woken


def test_a_share_of_what_was_spent_lately_with_its_bounds(shop: Shop):
    class_id, (nobody, small, some, much, old) = friends(shop, SHARE)
    spend(shop, small, 3_979)
    spend(shop, some, 9_000)
    spend(shop, some, 1_020)
    spend(shop, much, 1_000_000)
    spend(shop, old, 50_000, days_ago=31)
    seen = credit_policies.preview(shop.ctx, shop.owner, class_id)
    assert (NOW, 5, 2, 251 + 2_000) == (seen.at, seen.members, seen.receivers, seen.cost_minor)
    give(shop, start(shop, class_id))
    assert {some: [251], much: [2_000]} == credits(shop)
    assert [(RunState.DONE, NOW, 2, 2_251)] == runs(shop)
    assert nobody not in credits(shop)


def test_who_left_or_is_blocked_gets_nothing(shop: Shop):
    class_id, members = friends(shop, FIXED)
    with shop.ctx.sessions.begin() as session:
        session.get_one(Member, members[0]).status = MemberStatus.LEFT
        session.get_one(Member, members[1]).status = MemberStatus.BLOCKED
    seen = credit_policies.preview(shop.ctx, shop.owner, class_id)
    assert (3, 3, 1_500) == (seen.members, seen.receivers, seen.cost_minor)
    give(shop, start(shop, class_id))
    assert set(members[2:]) == set(credits(shop))


@pytest.mark.parametrize("crashes_at", [1, 2, 3, 4])
def test_a_crash_between_costs_nobody_anything_and_gives_nobody_twice(
    shop: Shop, crashes_at: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(credit_granting, "BATCH", 2)
    class_id, members = friends(shop, FIXED, 7)
    run_id = start(shop, class_id)
    told, calls = credit_granting.wallets.changed, [0]

    def killed(*arguments: object, **more: object) -> None:
        calls[0] += 1
        if calls[0] == crashes_at:
            raise KeyboardInterrupt
        told(*arguments, **more)

    with monkeypatch.context() as crash:
        crash.setattr(credit_granting.wallets, "changed", killed)
        with pytest.raises(KeyboardInterrupt):
            credit_granting.work(shop.ctx, run_id, time.monotonic() + 60)
    assert 2 * (crashes_at - 1) == len(credits(shop))
    give(shop, run_id)
    give(shop, run_id)
    assert {member: [500] for member in members} == credits(shop)
    assert [(RunState.DONE, NOW, 7, 3_500)] == runs(shop)


def test_two_workers_at_once_give_nobody_twice(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(credit_granting, "BATCH", 2)
    class_id, members = friends(shop, FIXED, 9)
    run_id = start(shop, class_id)
    workers = [threading.Thread(target=give, args=(shop, run_id)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert {member: [500] for member in members} == credits(shop)
    assert [(RunState.DONE, NOW, 9, 4_500)] == runs(shop)


def test_a_slice_ends_in_time_and_the_worker_goes_on(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(credit_granting, "BATCH", 2)
    monkeypatch.setattr(task_job, "SLICE_SECONDS", 0.0)
    class_id, _ = friends(shop, FIXED)
    run_id = start(shop, class_id)
    slices = 0
    while rows := [row for row in outbox.claim(shop.ctx, Channel.TASK, 10) if row.payload["kind"] == "credit-run"]:
        outbox.told(shop.ctx, [outcome.row for outcome in task_job.work(shop.ctx, rows)])
        slices += 1
    assert (4, 5) == (slices, len(credits(shop)))
    assert run_id not in waiting(shop, Channel.TASK)


def test_who_stops_a_giving_is_sure_that_nobody_gets_more(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(credit_granting, "BATCH", 2)
    class_id, members = friends(shop, FIXED)
    run_id = start(shop, class_id)
    assert not credit_granting.work(shop.ctx, run_id, 0.0)
    credit_policies.stop(shop.ctx, shop.owner, run_id)
    credit_policies.stop(shop.ctx, shop.owner, run_id)
    give(shop, run_id)
    assert {member: [500] for member in members[:2]} == credits(shop)
    assert [(RunState.STOPPED, NOW, 2, 1_000)] == runs(shop)
    with shop.ctx.sessions() as session:
        actions = session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_id == run_id).order_by(AuditEntry.id)
        )
        assert ["credit-run.started", "credit-run.stopped"] == list(actions)


def test_a_strangers_giving_cannot_be_stopped(shop: Shop):
    class_id, _ = friends(shop, FIXED)
    run_id = start(shop, class_id)
    credit_policies.stop(shop.ctx, open_shop(shop.ctx, "other").owner, run_id)
    assert RunState.PLANNED == runs(shop)[0][0]


def test_a_removed_class_gives_nothing_more(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(credit_granting, "BATCH", 2)
    class_id, _ = friends(shop, FIXED)
    run_id = start(shop, class_id)
    assert not credit_granting.work(shop.ctx, run_id, 0.0)
    customer_classes.remove(shop.ctx, shop.owner, class_id)
    give(shop, run_id)
    assert (2, [RunState.STOPPED]) == (len(credits(shop)), [run[0] for run in runs(shop)])


def test_a_double_click_gives_once(shop: Shop):
    class_id, _ = friends(shop, FIXED)
    assert start(shop, class_id) == start(shop, class_id)
    with pytest.raises(Refused, match="already"):
        start(shop, class_id, NOW - timedelta(minutes=1))
    with pytest.raises(Refused, match="old"):
        start(shop, class_id, NOW - timedelta(hours=2))


def test_a_class_without_a_policy_cannot_give(shop: Shop):
    class_id, _ = friends(shop, EVERYBODY | {"name": "Friends", "policy": "none"})
    with pytest.raises(Refused, match="no credit"):
        credit_policies.preview(shop.ctx, shop.owner, class_id)


def test_a_giving_is_planned_once_at_its_hour_and_again_a_week_later(shop: Shop, at: Callable[[datetime], None]):
    class_id, _ = friends(shop, WEEKLY)
    credit_policies.plan_due(shop.ctx)
    assert [] == runs(shop)
    at(DUE)
    planners = [threading.Thread(target=credit_policies.plan_due, args=(shop.ctx,)) for _ in range(4)]
    for planner in planners:
        planner.start()
    for planner in planners:
        planner.join(10)
    assert [(RunState.PLANNED, DUE, 0, 0)] == runs(shop)
    assert DUE + timedelta(days=7) == customer_classes.one(shop.ctx, shop.owner, class_id).next_run_at
    at(DUE + timedelta(days=7))
    upkeep.run(shop.ctx, 60)
    at(DUE + timedelta(days=14))
    upkeep.run(shop.ctx, 60)
    # On the 28th the clocks went forward: 10:00 in Helsinki comes an hour earlier.
    next_run = customer_classes.one(shop.ctx, shop.owner, class_id).next_run_at
    assert (3, DUE + timedelta(days=21) - timedelta(hours=1)) == (len(runs(shop)), next_run)


def test_what_is_a_day_late_is_missed_and_the_newest_moment_is_kept(shop: Shop, at: Callable[[datetime], None]):
    class_id, _ = friends(shop, FIXED | {"repeats": "on", "every_days": "1", "at_hour": "10"})
    at(DUE + timedelta(days=5, hours=3))
    for _ in range(3):
        credit_policies.plan_due(shop.ctx)
    assert [
        (RunState.MISSED, DUE, 0, 0),
        (RunState.PLANNED, DUE + timedelta(days=5), 0, 0),
    ] == runs(shop)
    assert DUE + timedelta(days=6) == customer_classes.one(shop.ctx, shop.owner, class_id).next_run_at


def test_a_giving_that_waits_a_day_for_a_worker_is_missed(shop: Shop, at: Callable[[datetime], None]):
    friends(shop, WEEKLY)
    at(DUE)
    credit_policies.plan_due(shop.ctx)
    with shop.ctx.sessions() as session:
        run_id = session.scalars(select(CreditRun.id)).one()
    at(DUE + timedelta(hours=24, seconds=1))
    give(shop, run_id)
    assert ([RunState.MISSED], {}) == ([run[0] for run in runs(shop)], credits(shop))


def test_the_credit_lapses_like_any_other(shop: Shop, at: Callable[[datetime], None]):
    class_id, _ = friends(shop, FIXED, 2)
    give(shop, start(shop, class_id))
    at(NOW + timedelta(days=15))
    upkeep.run(shop.ctx, 60)
    with shop.ctx.sessions() as session:
        assert [0, 0] == list(session.scalars(select(Member.credit_minor)))
        assert {"lapsed"} == {credit.status.value for credit in session.scalars(select(Credit))}


def test_where_cards_show_the_code_everybody_has_one(shop: Shop):
    program_rules.save(
        shop.ctx, shop.owner, {"partial_use": "on", "code_on_card": "on", "undo_hours": "72", "attach_days": "14"}
    )
    class_id, _ = friends(shop, FIXED)
    give(shop, start(shop, class_id))
    with shop.ctx.sessions() as session:
        assert 5 == len({credit.code_hash for credit in session.scalars(select(Credit))} - {None})


def test_a_till_that_holds_a_member_only_delays_the_giving(shop: Shop):
    class_id, members = friends(shop, FIXED)
    run_id = start(shop, class_id)
    giver = threading.Thread(target=give, args=(shop, run_id))
    with shop.ctx.sessions.begin() as session:
        member = session.scalars(select(Member).where(Member.id == members[2]).with_for_update(of=Member)).one()
        giver.start()
        time.sleep(0.2)
        act = ledger_book.occasion(shop.cashier, NOW)
        ledger_book.write(session, member, act, Unit.STAMP, Kind.EARN, 1)
    giver.join(10)
    with shop.ctx.sessions() as session:
        member = session.get_one(Member, members[2])
        assert (1, 500, 5) == (member.stamps, member.credit_minor, len(credits(shop)))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"share": "0"}, "share"),
        ({"share": "101"}, "share"),
        ({"share": "2.555"}, "share"),
        ({"cap": "0.50"}, "cap"),
        ({"recency_min": "4", "recency_max": "3"}, "recency_max"),
        ({"money_max": "6"}, "money_max"),
        ({"name": ""}, "name"),
        ({"policy": "fixed"}, "amount"),
        ({"repeats": "on", "every_days": "0", "at_hour": "10"}, "every_days"),
        ({"repeats": "on", "every_days": "7", "at_hour": "9", "next_day": "2027-03-15"}, "next_day"),
    ],
)
def test_a_policy_that_cannot_be_right_is_told(shop: Shop, changes: dict[str, str], field: str):
    with pytest.raises(InvalidForm) as told:
        customer_classes.save(shop.ctx, shop.owner, SHARE | changes)
    assert [field] == list(told.value.errors)


def test_a_policy_is_shown_as_it_was_typed(shop: Shop):
    class_id = customer_classes.save(shop.ctx, shop.owner, SHARE)
    shown = customer_classes.class_form(shop.ctx, shop.owner, class_id)
    typed = SHARE | {"share": "2.5", "smallest": "1.00", "cap": "20.00", "repeats": "off", "next_day": ""}
    assert typed == {name: shown[name] for name in typed}
    customer_classes.save(shop.ctx, shop.owner, WEEKLY | {"next_day": "۱۴۰۶-۰۱-۰۱"}, class_id)
    shown = customer_classes.class_form(shop.ctx, shop.owner, class_id)
    assert ("on", "2027-03-21", "10") == (shown["repeats"], shown["next_day"], shown["at_hour"])


def test_two_classes_cannot_share_a_name(shop: Shop):
    customer_classes.save(shop.ctx, shop.owner, FIXED)
    with pytest.raises(InvalidForm):
        customer_classes.save(shop.ctx, shop.owner, FIXED)
    with pytest.raises(Refused):
        customer_classes.save(shop.ctx, shop.owner, FIXED | {"name": "Others"}, uuid4())
