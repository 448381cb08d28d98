"""Whatever Apple answers, each phone is pushed in the end, or forgotten, or staff can see why not."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from app import clock
from app.db.delivery import AppleDevice, Channel, InstallEvent, OutboxRow, OutboxState
from app.jobs import drain, holding
from app.jobs.outcome import Outcome
from app.services import dead_rows, outbox
from app.services.outbox import Claimed
from app.wiring import Identities
from certs import development
from certs.identity import SigningIdentity
from sandbox.apns_rules import Fault
from tests.factories import Shop
from tests.integration.apple_shop import PASS_TYPE, AppleShop, open_apple_shop


@pytest.fixture
def kulma(shop: Shop, pass_identity: SigningIdentity, tmp_path: Path) -> Iterator[AppleShop]:
    with open_apple_shop(shop, pass_identity, tmp_path) as opened:
        yield opened


def make_due(kulma: AppleShop) -> None:
    """As if the time until the next try had passed; and the client waits no more before it connects again."""
    with kulma.ctx.sessions.begin() as session:
        session.execute(
            update(OutboxRow)
            .where(OutboxRow.state == OutboxState.WAITING)
            .values(due_at=clock.now() - timedelta(seconds=1))
        )
    kulma.clients.close()


def test_a_stamp_wakes_the_phone_once_however_many_come_at_a_time(kulma: AppleShop):
    member = kulma.shop.member()
    token = kulma.phone(member)
    before = kulma.pushes(token)
    for _ in range(5):
        kulma.stamp(member)
    kulma.deliver()
    assert [*before, 10] == kulma.pushes(token)
    assert [] == kulma.rows()


def test_a_new_phone_is_told_silently_because_it_may_hold_an_older_card(kulma: AppleShop):
    assert [5] == kulma.pushes(kulma.phone(kulma.shop.member()))


def test_a_card_that_is_on_no_phone_leaves_nothing_to_tell(kulma: AppleShop):
    kulma.stamp(kulma.shop.member())
    assert [] == kulma.rows()


def test_a_phone_that_went_away_meanwhile_needs_no_push(kulma: AppleShop):
    member = kulma.shop.member()
    token = kulma.phone(member)
    kulma.stamp(member)
    with kulma.ctx.sessions.begin() as session:
        session.delete(session.scalars(select(AppleDevice)).one())
    kulma.deliver()
    assert ([5], []) == (kulma.pushes(token), kulma.rows())


def test_a_phone_whose_card_is_gone_is_forgotten_and_counted_as_a_removal(kulma: AppleShop):
    member = kulma.shop.member()
    token = kulma.phone(member)
    kulma.apns.rules.unregister(token, clock.now() + timedelta(seconds=1))
    kulma.stamp(member)
    kulma.deliver()
    assert ([], []) == (kulma.tokens(), kulma.rows())
    with kulma.ctx.sessions() as session:
        assert [True, False] == list(session.scalars(select(InstallEvent.added).order_by(InstallEvent.id)))


def test_old_news_of_a_token_that_registered_again_forgets_nobody(kulma: AppleShop):
    member = kulma.shop.member()
    token = kulma.phone(member)
    kulma.apns.rules.unregister(token, clock.now() - timedelta(minutes=5))
    kulma.stamp(member)
    kulma.deliver()
    assert ([token], []) == (kulma.tokens(), kulma.rows())


@pytest.mark.parametrize("reason", ["BadDeviceToken", "DeviceTokenNotForTopic"])
def test_a_token_that_never_was_one_is_forgotten(kulma: AppleShop, reason: str):
    member = kulma.shop.member()
    token = kulma.phone(member)
    kulma.apns.rules.add_fault(Fault(reason))
    kulma.stamp(member)
    kulma.deliver()
    assert (0, []) == (kulma.tokens().count(token), kulma.rows())


def test_a_dead_phone_does_not_keep_the_members_other_phone_from_the_news(kulma: AppleShop):
    member = kulma.shop.member()
    old, new = kulma.phone(member), kulma.phone(member)
    kulma.apns.rules.unregister(old, clock.now() + timedelta(seconds=1))
    kulma.stamp(member)
    kulma.deliver()
    assert ([new], [], 10) == (kulma.tokens(), kulma.rows(), kulma.pushes(new)[-1])


def test_when_one_of_two_phones_was_not_reached_both_are_told_again(kulma: AppleShop):
    member = kulma.shop.member()
    tokens = [kulma.phone(member), kulma.phone(member)]
    before = [len(kulma.pushes(token)) for token in tokens]
    kulma.apns.rules.add_fault(Fault("ServiceUnavailable", token=tokens[0], count=1))
    kulma.stamp(member)
    kulma.deliver()
    assert ["503 ServiceUnavailable"] == [row.error for row in kulma.rows()]
    make_due(kulma)
    kulma.deliver()
    assert [1, 2] == [len(kulma.pushes(token)) - number for token, number in zip(tokens, before, strict=True)]
    assert [] == kulma.rows()


@pytest.mark.parametrize("reason", ["TooManyRequests", "InternalServerError", "ServiceUnavailable", "Shutdown"])
def test_what_apple_can_not_take_now_is_tried_again(kulma: AppleShop, reason: str):
    member = kulma.shop.member()
    token = kulma.phone(member)
    kulma.apns.rules.add_fault(Fault(reason, count=1, retry_after=20))
    kulma.stamp(member)
    kulma.deliver()
    (row,) = kulma.rows()
    assert (OutboxState.WAITING, 1) == (row.state, row.attempts)
    assert timedelta(seconds=15) < row.due_at - clock.now() <= timedelta(seconds=20)
    make_due(kulma)
    kulma.deliver()
    assert ([5, 10], []) == (kulma.pushes(token), kulma.rows())


def test_half_the_answers_503_only_delays(kulma: AppleShop):
    members = [kulma.shop.member(number) for number in range(10)]
    tokens = [kulma.phone(member) for member in members]
    for member in members:
        kulma.stamp(member)
    kulma.apns.rules.add_fault(Fault("ServiceUnavailable", share=0.5))
    tries = 0
    while kulma.rows():
        assert tries < 20, "it does not come to an end"
        kulma.deliver()
        make_due(kulma)
        tries += 1
    assert [[5, 10]] * 10 == [kulma.pushes(token) for token in tokens]
    assert tries > 1


def test_pushes_wait_while_apple_is_away_and_arrive_after(kulma: AppleShop):
    member = kulma.shop.member()
    token = kulma.phone(member)
    kulma.apns.down()
    for _ in range(3):
        kulma.stamp(member)
        make_due(kulma)
        kulma.deliver()
    assert [(member.card_id, OutboxState.WAITING)] == kulma.states()
    kulma.apns.up()
    make_due(kulma)
    kulma.deliver()
    assert ([5, 10], []) == (kulma.pushes(token), kulma.rows())


def test_a_failing_handshake_is_tried_again(kulma: AppleShop):
    member = kulma.shop.member()
    token = kulma.phone(member)
    kulma.clients.close()
    kulma.apns.behaviour.refuse_handshakes = True
    kulma.stamp(member)
    kulma.deliver()
    (row,) = kulma.rows()
    assert (OutboxState.WAITING, True) == (row.state, row.error.startswith("TlsFailed: "))
    kulma.apns.behaviour.refuse_handshakes = False
    make_due(kulma)
    kulma.deliver()
    assert ([5, 10], []) == (kulma.pushes(token), kulma.rows())


def test_a_connection_that_is_cut_in_the_middle_is_tried_again(kulma: AppleShop):
    members = [kulma.shop.member(number) for number in range(5)]
    tokens = [kulma.phone(member) for member in members]
    kulma.apns.behaviour.drop_after = 2
    for member in members:
        kulma.stamp(member)
    for _ in range(3):
        kulma.deliver()
        make_due(kulma)
    assert [] == kulma.rows()
    assert all(kulma.pushes(token)[-1] == 10 for token in tokens)


def test_an_expired_certificate_is_shown_to_staff_and_a_renewed_one_pushes(
    kulma: AppleShop,
):
    member = kulma.shop.member()
    token = kulma.phone(member)
    expired = development.make(PASS_TYPE, "LEIMATEAM1", "Leima", datetime.now(UTC) - timedelta(days=4000))
    renewed = kulma.ctx.identity
    kulma.clients._context = replace(kulma.ctx, identity=lambda _pass_type: expired)
    kulma.stamp(member)
    kulma.deliver()
    (found,) = dead_rows.newest(kulma.ctx, kulma.shop.program.id)
    assert (member.card_id, True) == (found.subject_id, found.error.startswith("CertificateExpired: "))
    kulma.clients._context = replace(kulma.ctx, identity=renewed)
    dead_rows.revive(kulma.ctx, kulma.shop.program.id, found.id)
    kulma.deliver()
    assert ([5, 10], []) == (kulma.pushes(token), kulma.rows())


def test_a_certificate_that_apple_does_not_trust_is_shown_to_staff(
    shop: Shop, pass_identity: SigningIdentity, tmp_path: Path
):
    stranger = development.make(PASS_TYPE, "LEIMATEAM1", "Leima", datetime.now(UTC))
    with open_apple_shop(shop, stranger, tmp_path) as kulma:
        member = shop.member()
        kulma.register(member, kulma.apns.rules.issue(PASS_TYPE), "device-1")
        kulma.deliver()
        (found,) = dead_rows.newest(kulma.ctx, shop.program.id)
        assert found.error.startswith("CertificateRefused: ")


def test_a_missing_certificate_is_shown_to_staff(kulma: AppleShop, tmp_path: Path):
    member = kulma.shop.member()
    kulma.register(member, kulma.apns.rules.issue(PASS_TYPE), "device-1")
    kulma.clients._context = replace(kulma.ctx, identity=Identities(tmp_path).find)
    kulma.deliver()
    (found,) = dead_rows.newest(kulma.ctx, kulma.shop.program.id)
    assert found.error.startswith("NoCredentials: ")


def test_one_row_that_breaks_us_holds_up_no_other(kulma: AppleShop):
    members = [kulma.shop.member(number) for number in range(4)]
    tokens = [kulma.phone(member) for member in members]
    for member in members:
        kulma.stamp(member)
    here = kulma.station
    right = here.channels[Channel.APPLE]

    def breaks(rows: list[Claimed]) -> list[Outcome]:
        if any(row.subject_id == members[1].card_id for row in rows):
            raise ValueError("a phone number that staff should not read here")
        return list(right(rows))

    here.channels[Channel.APPLE] = breaks
    drain.empty(here, Channel.APPLE)
    (row,) = kulma.rows()
    assert (members[1].card_id, OutboxState.WAITING) == (row.subject_id, row.state)
    assert "ValueError: a fault of Leima's. The log tells more" == row.error
    assert [10, 5, 10, 10] == [kulma.pushes(token)[-1] for token in tokens]


def test_a_slow_answer_does_not_cost_the_lease(kulma: AppleShop, monkeypatch: pytest.MonkeyPatch):
    member = kulma.shop.member()
    token = kulma.phone(member)
    monkeypatch.setattr(outbox, "LEASE", timedelta(seconds=0.4))
    kulma.apns.behaviour.slow[token] = 1.0
    kulma.stamp(member)
    rows = outbox.claim(kulma.ctx, Channel.APPLE, 10)
    with holding.held(kulma.ctx, rows, every=0.1):
        outcomes = kulma.station.channels[Channel.APPLE](rows)
        assert [] == outbox.claim(kulma.ctx, Channel.APPLE, 10)
    outbox.told(kulma.ctx, [outcome.row for outcome in outcomes])
    assert ([5, 10], []) == (kulma.pushes(token), kulma.rows())


def test_a_worker_that_is_to_stop_leaves_the_rest_to_others(kulma: AppleShop):
    member = kulma.shop.member()
    token = kulma.phone(member)
    kulma.stamp(member)
    here = kulma.station
    here.stop.asked = True
    assert not drain.empty(here, Channel.APPLE)
    assert [5] == kulma.pushes(token)
    kulma.deliver()
    assert [5, 10] == kulma.pushes(token)
