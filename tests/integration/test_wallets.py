"""A change of a card reaches every phone that holds it, also when phones come and go at that very moment."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from app.db.delivery import AppleDevice, AppleRegistration, OutboxState
from app.db.people import MemberCard
from app.services import apple_devices, members, till
from app.services.apple_devices import MOST_DEVICES
from app.services.card_news import announce
from app.services.views import MemberView
from certs.identity import SigningIdentity
from tests.factories import Shop
from tests.integration.apple_shop import PASS_TYPE, AppleShop, open_apple_shop


@pytest.fixture
def kulma(shop: Shop, pass_identity: SigningIdentity, tmp_path: Path) -> Iterator[AppleShop]:
    with open_apple_shop(shop, pass_identity, tmp_path) as opened:
        yield opened


def together(*acts: Callable[[], object]) -> None:
    """All at the same time; a fault in one of them is raised here."""
    faults: list[BaseException] = []
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        start.wait()
        try:
            act()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == faults


def test_the_change_and_its_announcement_are_rolled_back_together(kulma: AppleShop):
    member = kulma.shop.member()
    token = kulma.phone(member)
    with kulma.ctx.sessions() as session:
        card = session.get_one(MemberCard, member.card_id)
        before = card.version
        program = session.get_one(members.Program, kulma.shop.program.id)
        announce(session, program, card.member, card.changed_at)
        session.flush()
        session.rollback()
    with kulma.ctx.sessions() as session:
        assert before == session.get_one(MemberCard, member.card_id).version
    kulma.deliver()
    assert ([5], []) == (kulma.pushes(token), kulma.rows())
    assert tag_of(kulma, token) == "1"


def tag_of(kulma: AppleShop, token: str) -> str:
    """The tag that the phone is given."""
    with kulma.ctx.sessions() as session:
        return str(session.scalars(select(AppleDevice.tag).where(AppleDevice.push_token == token)).one())


def test_a_stamp_that_is_refused_reaches_no_phone(kulma: AppleShop):
    member = kulma.shop.member()
    token = kulma.phone(member)
    with pytest.raises(till.Refused):
        till.give_stamps(kulma.ctx, kulma.shop.cashier, member.card_code, count=999)
    kulma.deliver()
    assert ([5], []) == (kulma.pushes(token), kulma.rows())


def test_every_phone_of_the_card_is_pushed_and_nobody_elses(kulma: AppleShop):
    alice, bob = kulma.shop.member(1), kulma.shop.member(2)
    hers, his = [kulma.phone(alice), kulma.phone(alice)], kulma.phone(bob)
    before = [len(kulma.pushes(token)) for token in (*hers, his)]
    kulma.stamp(alice)
    kulma.deliver()
    now = [len(kulma.pushes(token)) for token in (*hers, his)]
    assert [1, 1, 0] == [after - first for after, first in zip(now, before, strict=True)]


def test_a_phone_that_registers_while_a_stamp_is_given_misses_nothing(kulma: AppleShop):
    """The till has changed the card and has seen no phone, but has not committed yet, when the phone registers."""
    member = kulma.shop.member()
    token = kulma.apns.rules.issue(PASS_TYPE)
    with kulma.ctx.sessions.begin() as session:
        card = session.get_one(MemberCard, member.card_id)
        announce(session, session.get_one(members.Program, kulma.shop.program.id), card.member, card.changed_at)
        session.flush()
        registering = threading.Thread(target=kulma.register, args=(member, token, "device-1"))
        registering.start()
        registering.join(0.3)
        assert registering.is_alive(), "the phone registered, would be pushed, and get the old card"
    registering.join()
    assert [(member.card_id, OutboxState.WAITING)] == kulma.states()


def test_stamps_and_register_storms_never_wait_for_each_other(kulma: AppleShop):
    alice, bob = kulma.shop.member(1), kulma.shop.member(2)
    token = "ab" * 32

    def storm(member: MemberView, first: int) -> None:
        for number in range(first, first + 30):
            kulma.register(member, token, f"device-{number % 40}")

    def leave(member: MemberView) -> None:
        secret = kulma.ctx.derived_token("apple-pass", member.card_id)
        for number in range(60):
            card = apple_devices.authenticated(kulma.ctx, PASS_TYPE, str(member.card_id), secret)
            assert card is not None
            apple_devices.unregister(kulma.ctx, card, f"device-{number % 40}")

    def stamp(member: MemberView) -> None:
        for _ in range(20):
            kulma.stamp(member)

    together(
        lambda: storm(alice, 0),
        lambda: storm(bob, 10),
        lambda: leave(alice),
        lambda: stamp(alice),
        lambda: stamp(bob),
        lambda: [apple_devices.prune(kulma.ctx, token, None) for _ in range(10)],
    )


def test_a_full_card_drops_its_oldest_phones_while_it_is_stamped(kulma: AppleShop):
    member = kulma.shop.member()
    token = "ab" * 32
    for number in range(MOST_DEVICES):
        kulma.register(member, token, f"old-{number:02}")
    together(
        *(
            lambda who=who: [kulma.register(member, token, f"new-{who}-{number}") for number in range(10)]
            for who in range(2)
        ),
        lambda: [kulma.stamp(member) for _ in range(10)],
    )
    with kulma.ctx.sessions() as session:
        held = session.scalars(
            select(AppleDevice.library_identifier)
            .join(AppleRegistration)
            .where(AppleRegistration.card_id == member.card_id)
        ).all()
        known = session.scalars(select(AppleDevice.library_identifier)).all()
    assert (MOST_DEVICES, 20) == (len(held), sum(name.startswith("new-") for name in held))
    assert sorted(held) == sorted(known)  # phones without a card are forgotten


def test_fifty_changes_by_two_tills_end_with_the_newest_tag_and_one_row(kulma: AppleShop):
    member = kulma.shop.member()
    token = kulma.phone(member)
    together(*(lambda: [kulma.stamp(member) for _ in range(25)] for _ in range(2)))
    assert ("51", [(member.card_id, OutboxState.WAITING)]) == (tag_of(kulma, token), kulma.states())
    kulma.deliver()
    assert [5, 10] == kulma.pushes(token)
