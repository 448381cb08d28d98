"""The doorbell and the relay: a commit calls the worker, and what nobody rang for is found within a second."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session, sessionmaker

from app import clock
from app.db.delivery import Channel, OutboxRow
from app.db.people import Member
from app.jobs import relay
from app.jobs.relay import Relay
from app.jobs.station import Stop
from app.services import doorbell, night_settling, outbox, till, upkeep
from app.services.context import Context
from app.wiring import connect_valkey
from tests.factories import Shop


def jobs(ctx: Context, channel: Channel = Channel.APPLE) -> int:
    return doorbell.queue(ctx.valkey, channel).count


def announce(session: Session, shop: Shop, channel: Channel = Channel.APPLE) -> None:
    outbox.announce(session, channel, shop.program.id, uuid4(), clock.now())


def silence(ctx: Context) -> None:
    """As if Valkey had been killed: no bell was ever rung."""
    ctx.valkey.flushdb()


@pytest.fixture
def quiet(shop: Shop) -> Shop:
    """A shop with nothing to tell."""
    with shop.ctx.sessions.begin() as session:
        session.query(OutboxRow).delete()
    silence(shop.ctx)
    return shop


@pytest.fixture
def relays(ctx: Context) -> Iterator[list[Relay]]:
    made = [Relay(ctx, Stop()), Relay(ctx, Stop())]
    yield made
    for each in made:
        each.close()


def test_a_commit_rings_and_many_commits_ring_once(ctx: Context, quiet: Shop):
    for _ in range(10):
        with ctx.sessions.begin() as session:
            announce(session, quiet)
    assert (1, 0) == (jobs(ctx), jobs(ctx, Channel.GOOGLE))


def test_a_commit_without_anything_to_tell_does_not_ring(ctx: Context, quiet: Shop):
    with ctx.sessions.begin() as session:
        session.execute(text("SELECT 1"))
    assert 0 == jobs(ctx)


def test_a_rollback_does_not_ring_nor_does_the_next_commit(ctx: Context, quiet: Shop):
    with ctx.sessions() as session:
        announce(session, quiet)
        session.rollback()
        session.execute(text("SELECT 1"))
        session.commit()
    assert 0 == jobs(ctx)


def test_a_savepoint_neither_rings_early_nor_swallows_the_bell(ctx: Context, quiet: Shop):
    with ctx.sessions() as session:
        announce(session, quiet)
        with session.begin_nested():
            announce(session, quiet)
        nested = session.begin_nested()
        nested.rollback()
        assert 0 == jobs(ctx)
        session.commit()
    assert 1 == jobs(ctx)


def test_while_no_worker_runs_the_queue_does_not_grow(ctx: Context, quiet: Shop):
    for channel in (Channel.APPLE, Channel.GOOGLE):
        for _ in range(20):
            ctx.valkey.delete(f"doorbell:{channel.value}")  # what five seconds do
            doorbell.ring(ctx.valkey, channel)
        assert 1 == jobs(ctx, channel)


def test_a_change_after_the_worker_came_rings_again(ctx: Context, quiet: Shop):
    doorbell.ring(ctx.valkey, Channel.APPLE)
    doorbell.queue(ctx.valkey, Channel.APPLE).empty()  # the worker took the job
    doorbell.answered(ctx.valkey, Channel.APPLE)
    doorbell.ring(ctx.valkey, Channel.APPLE)
    assert 1 == jobs(ctx)


def test_without_valkey_a_stamp_is_given_all_the_same(ctx: Context, quiet: Shop):
    member = quiet.member()
    with_deaf_bell = sessionmaker(ctx.engine, expire_on_commit=False)
    doorbell.ring_after_commits(with_deaf_bell, connect_valkey("unix:///nowhere/valkey.sock"))
    deaf = replace(ctx, sessions=with_deaf_bell)
    with deaf.sessions.begin() as session:
        announce(session, quiet)
    answer, _ = till.give_stamps(deaf, quiet.cashier, member.card_code)
    assert (1, [Channel.APPLE]) == (answer["stamps"], outbox.due_channels(ctx))


def test_a_valkey_that_hangs_is_asked_once_and_not_by_every_commit(ctx: Context, quiet: Shop):
    asked: list[str] = []

    class Hangs(Redis):
        def execute_command(self, *arguments: object, **options: object) -> object:
            asked.append(str(arguments[0]))
            raise TimeoutError("Timeout reading from socket")

    sessions = sessionmaker(ctx.engine, expire_on_commit=False)
    doorbell.ring_after_commits(sessions, Hangs())
    for _ in range(5):
        with sessions.begin() as session:
            announce(session, quiet)
    assert ["SET"] == asked


def test_the_relay_rings_for_what_nobody_rang_for(ctx: Context, quiet: Shop, relays: list[Relay]):
    with ctx.sessions.begin() as session:
        announce(session, quiet, Channel.GOOGLE)
    silence(ctx)
    assert relays[0].look()
    assert (0, 1) == (jobs(ctx), jobs(ctx, Channel.GOOGLE))


def test_the_relay_rings_for_a_lease_that_ran_out_and_a_retry_that_is_due(
    ctx: Context, quiet: Shop, relays: list[Relay]
):
    with ctx.sessions.begin() as session:
        announce(session, quiet)
    outbox.claim(ctx, Channel.APPLE, 1)
    silence(ctx)
    relays[0].look()
    assert 0 == jobs(ctx)
    with ctx.sessions.begin() as session:
        session.execute(update(OutboxRow).values(due_at=clock.now() - timedelta(seconds=1)))
    relays[0].look()
    assert 1 == jobs(ctx)


def test_one_of_two_relays_leads(relays: list[Relay]):
    assert [[True, False]] * 3 == [[each.look() for each in relays] for _ in range(3)]


def test_the_other_relay_leads_when_the_leader_stops(relays: list[Relay]):
    leader, other = relays
    assert [True, False] == [leader.look(), other.look()]
    leader.close()
    assert until(other.look)  # PostgreSQL takes a moment to see that the connection is gone
    assert not leader.look()


def test_the_other_relay_leads_when_the_leaders_connection_is_cut(ctx: Context, relays: list[Relay]):
    leader, other = relays
    assert [True, False] == [leader.look(), other.look()]
    cut_leader(ctx)
    assert until(other.look)
    assert [False, True] == [leader.look(), other.look()]


def test_a_leader_whose_connection_is_cut_comes_back_when_it_is_alone(ctx: Context, relays: list[Relay]):
    leader = relays[0]
    assert leader.look()
    cut_leader(ctx)
    assert until(leader.look)


def test_a_fault_in_a_chore_ends_no_relay(
    ctx: Context, quiet: Shop, relays: list[Relay], monkeypatch: pytest.MonkeyPatch
):
    def breaks(_ctx: Context) -> bool:
        raise ValueError("a chore's fault")

    monkeypatch.setattr(relay.upkeep, "run", breaks)
    with ctx.sessions.begin() as session:
        announce(session, quiet)
    silence(ctx)
    assert not relays[0].look()
    assert 1 == jobs(ctx)


def test_a_relay_that_is_told_to_stop_stops(ctx: Context):
    stop = Stop()
    running = Relay(ctx, stop)
    thread = threading.Thread(target=running.run)
    thread.start()
    stop.asked = True
    thread.join(10)
    assert not thread.is_alive()


def test_what_lapsed_is_closed_by_the_relay_a_little_at_a_time(
    ctx: Context, quiet: Shop, relays: list[Relay], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(night_settling, "TOGETHER", 1)
    shop = quiet
    shop.change_program(stamp_valid_days="30")
    members = [shop.member(number) for number in range(3)]
    for member in members:
        till.give_stamps(ctx, shop.cashier, member.card_code)
    with ctx.sessions.begin() as session:
        session.execute(update(Member).values(next_expiry_at=clock.now() - timedelta(days=1)))
        session.execute(text("UPDATE ledger_entries SET expires_at = now() - interval '1 day'"))
    assert night_settling.settle_lapsed(ctx, until=time.monotonic())  # no time: one member, and more to do
    assert [0, 1, 1] == sorted(stamps(ctx))
    for _ in members:  # a slow machine may close just one a look
        relays[0].look()
    assert [0, 0, 0] == stamps(ctx)


def test_a_member_who_can_not_be_settled_stops_nobody_else(ctx: Context, quiet: Shop, monkeypatch: pytest.MonkeyPatch):
    shop = quiet
    shop.change_program(stamp_valid_days="30")
    members = [shop.member(number) for number in range(2)]
    for member in members:
        till.give_stamps(ctx, shop.cashier, member.card_code)
    with ctx.sessions.begin() as session:
        session.execute(text("UPDATE ledger_entries SET expires_at = now() - interval '1 day'"))
        for age, member in enumerate(members):
            late = clock.now() - timedelta(days=2 - age)
            session.execute(update(Member).where(Member.id == member.id).values(next_expiry_at=late))
    right = night_settling.settle_all

    def breaks(session: Session, due: Sequence[Member], at: datetime) -> list[Member]:
        if members[0].id in {member.id for member in due}:
            raise ValueError("a fault of ours")
        return right(session, due, at)

    monkeypatch.setattr(night_settling, "settle_all", breaks)
    assert upkeep.run(ctx, 60.0)
    assert [0, 1] == sorted(stamps(ctx))


def test_whoever_is_at_a_till_is_left_to_the_till(ctx: Context, quiet: Shop):
    shop = quiet
    shop.change_program(stamp_valid_days="30")
    members = [shop.member(number) for number in range(2)]
    for member in members:
        till.give_stamps(ctx, shop.cashier, member.card_code)
    with ctx.sessions.begin() as session:
        session.execute(update(Member).values(next_expiry_at=clock.now() - timedelta(days=1)))
        session.execute(text("UPDATE ledger_entries SET expires_at = now() - interval '1 day'"))
    with ctx.sessions.begin() as at_the_till:
        at_the_till.execute(select(Member.id).where(Member.id == members[0].id).with_for_update(of=Member))
        night_settling.settle_lapsed(ctx, float("inf"))
        assert [0, 1] == sorted(stamps(ctx))
    night_settling.settle_lapsed(ctx, float("inf"))
    assert [0, 0] == stamps(ctx)


def stamps(ctx: Context) -> list[int]:
    with ctx.sessions() as session:
        return [member.stamps for member in session.query(Member)]


def cut_leader(ctx: Context) -> None:
    """What a restart of PostgreSQL does to the leader's connection, and to no other."""
    leader = text(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :key AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with ctx.engine.begin() as connection:
        assert [True] == list(connection.scalars(leader, {"key": relay.LEADER_LOCK}))


def until(condition: object) -> bool:
    """Whether it comes true within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False
