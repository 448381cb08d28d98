"""What is announced is told once its change is committed: once, in order, again when it failed, and by one worker."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from app.db.delivery import Channel, OutboxRow, OutboxState
from app.services import dead_rows, outbox
from app.services.context import Context
from app.services.outbox import Claimed
from tests.factories import Shop

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
SetClock = Callable[[datetime], None]


class Desk:
    """The outbox of one shop, at a clock that the test sets."""

    def __init__(self, shop: Shop, at: SetClock) -> None:
        self.shop, self.ctx, self._at = shop, shop.ctx, at
        self.now = NOON
        self.wait(0)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self._at(self.now)

    def announce(self, subject: UUID, delay: float = 0, **values: object) -> None:
        due_at = self.now + timedelta(seconds=delay)
        with self.ctx.sessions.begin() as session:
            outbox.announce(session, Channel.APPLE, self.shop.program.id, subject, due_at, **values)  # type: ignore[arg-type]

    def claim(self, limit: int = 100) -> list[Claimed]:
        return outbox.claim(self.ctx, Channel.APPLE, limit)

    def claim_one(self) -> Claimed:
        (row,) = self.claim()
        return row

    def fail(
        self, row: Claimed, error: str = "503", *, permanent: bool = False, retry_after: float | None = None
    ) -> None:
        outbox.failed(self.ctx, row, error, permanent=permanent, retry_after=retry_after)

    def rows(self) -> list[OutboxRow]:
        with self.ctx.sessions() as session:
            return list(session.scalars(select(OutboxRow).order_by(OutboxRow.id)))

    def states(self) -> list[OutboxState]:
        return [row.state for row in self.rows()]


@pytest.fixture
def desk(shop: Shop, at: SetClock) -> Desk:
    made = Desk(shop, at)
    with made.ctx.sessions.begin() as session:
        session.query(OutboxRow).delete()  # what opening the shop announced
    return made


def test_changes_that_wait_become_one_row_with_the_newest_payload(desk: Desk):
    card = uuid4()
    for number in range(5):
        desk.announce(card, notify=number == 2, payload={"number": number})
    row = desk.claim_one()
    assert (card, True, {"number": 4}) == (row.subject_id, row.notify, row.payload)


def test_a_change_makes_a_scheduled_row_due_at_once_and_never_later(desk: Desk):
    card = uuid4()
    desk.announce(card, delay=3600)
    assert [] == desk.claim()
    desk.announce(card)
    desk.announce(card, delay=3600)
    assert card == desk.claim_one().subject_id


def test_what_is_due_first_is_claimed_first_and_no_more_than_asked_for(desk: Desk):
    cards = [uuid4() for _ in range(5)]
    for place, card in enumerate(cards):
        desk.announce(card, delay=-place)
    assert set(cards[-2:]) == {row.subject_id for row in desk.claim(limit=2)}
    assert set(cards[:-2]) == {row.subject_id for row in desk.claim()}


def test_channels_do_not_see_each_others_rows(desk: Desk):
    desk.announce(uuid4())
    assert [] == outbox.claim(desk.ctx, Channel.GOOGLE, 10)
    assert [Channel.APPLE] == outbox.due_channels(desk.ctx)


def test_what_was_told_is_gone(desk: Desk):
    desk.announce(uuid4())
    outbox.told(desk.ctx, desk.claim())
    assert [] == desk.rows()
    assert [] == outbox.due_channels(desk.ctx)


def test_a_claimed_row_is_nobody_elses_until_its_lease_runs_out(desk: Desk):
    desk.announce(uuid4())
    first = desk.claim_one()
    desk.wait(outbox.LEASE.total_seconds() - 1)
    assert ([], []) == (desk.claim(), outbox.due_channels(desk.ctx))
    desk.wait(1)
    assert [Channel.APPLE] == outbox.due_channels(desk.ctx)
    second = desk.claim_one()
    assert (first.id, first.attempts + 1) == (second.id, second.attempts)


def test_a_worker_that_lives_keeps_what_it_holds(desk: Desk):
    desk.announce(uuid4())
    row = desk.claim_one()
    for _ in range(5):
        desk.wait(outbox.LEASE.total_seconds() - 1)
        outbox.extend(desk.ctx, [row])
        assert [] == desk.claim()


@pytest.mark.parametrize("outcome", ["told", "failed", "dead", "extended"])
def test_who_lost_the_lease_has_no_say_any_more(desk: Desk, outcome: str):
    desk.announce(uuid4())
    slow = desk.claim_one()
    desk.wait(outbox.LEASE.total_seconds())
    quick = desk.claim_one()
    before = [(row.id, row.state, row.due_at, row.attempts) for row in desk.rows()]
    desk.wait(1)
    match outcome:
        case "told":
            outbox.told(desk.ctx, [slow])
        case "extended":
            outbox.extend(desk.ctx, [slow])
        case _:
            desk.fail(slow, permanent=outcome == "dead")
    assert before == [(row.id, row.state, row.due_at, row.attempts) for row in desk.rows()]
    outbox.told(desk.ctx, [quick])
    assert [] == desk.rows()


def test_a_change_while_a_row_is_told_waits_for_it_and_is_told_after(desk: Desk):
    card = uuid4()
    desk.announce(card, payload={"number": 1})
    first = desk.claim_one()
    desk.announce(card, payload={"number": 2})
    assert [] == desk.claim()
    outbox.told(desk.ctx, [first])
    assert {"number": 2} == desk.claim_one().payload


def test_a_dead_workers_row_and_a_newer_change_become_one(desk: Desk):
    card = uuid4()
    desk.announce(card, notify=True, payload={"number": 1})
    desk.claim_one()
    desk.announce(card, payload={"number": 2})
    desk.wait(outbox.LEASE.total_seconds())
    row = desk.claim_one()
    assert (True, {"number": 2}) == (row.notify, row.payload)
    outbox.told(desk.ctx, [row])
    assert [] == desk.rows()


def test_what_failed_is_tried_again_later_and_later(desk: Desk):
    desk.announce(uuid4(), notify=True, payload={"number": 1})
    waits = []
    for attempt in range(1, 13):
        row = desk.claim_one()
        assert (attempt, True, {"number": 1}) == (row.attempts, row.notify, row.payload)
        desk.fail(row)
        (waiting,) = desk.rows()
        waits.append((waiting.due_at - desk.now).total_seconds())
        assert [] == desk.claim()
        desk.wait(waits[-1])
    for attempt, seconds in enumerate(waits):
        middle = min(outbox.LONGEST_DELAY, outbox.FIRST_DELAY * 2**attempt)
        assert 0.75 * middle <= seconds <= min(1.25 * middle, outbox.LONGEST_DELAY)
    assert 1 < len({seconds / outbox.FIRST_DELAY / 2**attempt for attempt, seconds in enumerate(waits[:5])})  # jitter


def test_the_other_side_may_say_when_but_not_for_ever(desk: Desk):
    for asked, granted in ((30.0, 30.0), (1e9, outbox.LONGEST_DELAY)):
        desk.announce(uuid4())
        desk.fail(desk.claim_one(), retry_after=asked)
        assert timedelta(seconds=granted) == desk.rows()[-1].due_at - desk.now


def test_a_change_after_failures_is_tried_at_once_and_starts_anew(desk: Desk):
    card = uuid4()
    desk.announce(card)
    for _ in range(6):
        desk.fail(desk.claim_one())
        desk.wait(outbox.LONGEST_DELAY)
    desk.fail(desk.claim_one())
    desk.announce(card)
    row = desk.claim_one()
    assert (1, desk.now) == (row.attempts, row.since)


def test_a_failure_joins_a_newer_change_and_leaves_it_its_payload(desk: Desk):
    card = uuid4()
    desk.announce(card, notify=True, payload={"number": 1})
    row = desk.claim_one()
    desk.announce(card, payload={"number": 2})
    desk.fail(row)
    (waiting,) = desk.rows()
    assert (OutboxState.WAITING, desk.now, True, {"number": 2}) == (
        waiting.state,
        waiting.due_at,
        waiting.notify,
        waiting.payload,
    )


def test_what_can_not_be_told_is_shown_to_staff_with_the_reason(desk: Desk):
    card = uuid4()
    desk.announce(card)
    desk.fail(desk.claim_one(), "403 BadCertificate", permanent=True)
    (found,) = dead_rows.newest(desk.ctx, desk.shop.program.id)
    assert (card, "403 BadCertificate", 1, NOON) == (found.subject_id, found.error, found.attempts, found.since)
    desk.wait(7 * 86400)
    assert ([], []) == (desk.claim(), outbox.due_channels(desk.ctx))


def test_after_a_day_of_tries_it_is_given_up(desk: Desk):
    desk.announce(uuid4())
    tries = 0
    while OutboxState.DEAD not in desk.states():
        desk.fail(desk.claim_one())
        tries += 1
        desk.wait((desk.rows()[0].due_at - desk.now).total_seconds())
    assert timedelta(days=1) <= desk.now - NOON < timedelta(days=1, hours=1)
    assert 60 < tries < 200


def test_a_card_has_one_dead_row_at_most(desk: Desk):
    card = uuid4()
    for error in ("first", "second"):
        desk.announce(card)
        desk.fail(desk.claim_one(), error, permanent=True)
    assert ["second"] == [row.error for row in dead_rows.newest(desk.ctx, desk.shop.program.id)]


def test_a_success_clears_what_had_failed_for_the_same_card_alone(desk: Desk):
    card, other = uuid4(), uuid4()
    for subject in (card, other):
        desk.announce(subject)
        desk.fail(desk.claim_one(), permanent=True)
    desk.announce(card)
    outbox.told(desk.ctx, desk.claim())
    assert [other] == [row.subject_id for row in dead_rows.newest(desk.ctx, desk.shop.program.id)]


def test_a_dead_row_is_tried_again_on_request(desk: Desk):
    desk.announce(uuid4(), notify=True)
    desk.fail(desk.claim_one(), permanent=True)
    (found,) = dead_rows.newest(desk.ctx, desk.shop.program.id)
    for _ in range(2):  # a double click
        dead_rows.revive(desk.ctx, desk.shop.program.id, found.id)
    row = desk.claim_one()
    assert (1, True) == (row.attempts, row.notify)


def test_reviving_leaves_a_newer_change_its_payload(desk: Desk):
    card = uuid4()
    desk.announce(card, payload={"after": "half"})
    desk.fail(desk.claim_one(), permanent=True)
    desk.announce(card, payload={"after": ""})
    dead_rows.revive(desk.ctx, desk.shop.program.id, desk.rows()[0].id)
    assert [{"after": ""}] == [row.payload for row in desk.rows()]


def test_another_programmes_dead_row_can_not_be_revived(desk: Desk):
    desk.announce(uuid4())
    desk.fail(desk.claim_one(), permanent=True)
    dead_rows.revive(desk.ctx, uuid4(), desk.rows()[0].id)
    assert [OutboxState.DEAD] == desk.states()


def test_nothing_is_announced_for_a_change_that_was_rolled_back(desk: Desk):
    with desk.ctx.sessions() as session:
        outbox.announce(session, Channel.APPLE, desk.shop.program.id, uuid4(), desk.now)
        session.flush()
        session.rollback()
    assert ([], []) == (desk.rows(), outbox.due_channels(desk.ctx))


def test_workers_at_the_same_time_never_claim_the_same_card(desk: Desk):
    cards = [uuid4() for _ in range(60)]
    for card in cards:
        desk.announce(card, payload={"number": 1})
    desk.claim(limit=30)
    for card in cards:
        desk.announce(card, payload={"number": 2})
    desk.wait(outbox.LEASE.total_seconds())  # thirty cards have two rows now, of which either could be claimed
    claimed: list[UUID] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        while rows := desk.claim(limit=7):
            claimed.extend(row.subject_id for row in rows)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(cards) == sorted(claimed)


def test_many_cards_are_announced_at_once_each_for_its_own_moment(ctx: Context, desk: Desk):
    due = {uuid4(): desk.now + timedelta(seconds=place) for place in range(3)}
    with ctx.sessions.begin() as session:
        outbox.announce_all(session, Channel.APPLE, desk.shop.program.id, due)
        outbox.announce_all(session, Channel.APPLE, desk.shop.program.id, {})
    assert due == {row.subject_id: row.due_at for row in desk.rows()}
