"""What the owner changes in the office reaches every installed card: silently, and at a pace."""

from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image
from sqlalchemy import select, update

from app import clock
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.people import MemberCard
from app.jobs import refresh as job
from app.services import outbox, programs, refresh
from app.services.views import MemberView
from certs.identity import SigningIdentity
from tests.factories import PROGRAM_FORM, Shop
from tests.integration.apple_shop import AppleShop, open_apple_shop

OFFICE = {
    "text": {"welcome_text": "Welcome back!"},
    "reward": {"reward_name": "Free cake"},
    "colour": {"brand_color": "#aa2200"},
    "terms": {"terms_text": "New terms."},
}


@pytest.fixture
def kulma(shop: Shop, pass_identity: SigningIdentity, tmp_path: Path) -> Iterator[AppleShop]:
    with open_apple_shop(shop, pass_identity, tmp_path) as opened:
        while opened.rows(Channel.REFRESH):  # what opening the shop announced
            deliver(opened)
        yield opened


def make_due(kulma: AppleShop) -> None:
    """As if the seconds until the next batch, and until each card's turn, had passed."""
    with kulma.ctx.sessions.begin() as session:
        session.execute(
            update(OutboxRow)
            .where(OutboxRow.state == OutboxState.WAITING)
            .values(due_at=clock.now() - timedelta(seconds=1))
        )


def deliver(kulma: AppleShop) -> None:
    for channel in (Channel.REFRESH, Channel.APPLE):
        make_due(kulma)
        kulma.deliver(channel)


def versions(kulma: AppleShop) -> dict[UUID, int]:
    with kulma.ctx.sessions() as session:
        return {card.id: card.version for card in session.scalars(select(MemberCard))}


def installed(kulma: AppleShop, number: int) -> list[MemberView]:
    """Members with phones, in the order in which cards are renewed."""
    members = [kulma.shop.member(place) for place in range(number)]
    for member in members:
        kulma.phone(member)
    return sorted(members, key=lambda member: member.card_id)


def renewed(kulma: AppleShop, before: dict[UUID, int]) -> dict[UUID, int]:
    return {card: version - before[card] for card, version in versions(kulma).items() if version != before[card]}


@pytest.mark.parametrize("change", OFFICE)
def test_a_change_in_the_office_renews_the_installed_cards_silently(kulma: AppleShop, change: str):
    on_phone, elsewhere = kulma.shop.member(1), kulma.shop.member(2)
    token, before = kulma.phone(on_phone), versions(kulma)
    news = kulma_news(kulma)
    kulma.shop.change_program(**OFFICE[change])
    deliver(kulma)
    assert {on_phone.card_id: 1} == renewed(kulma, before)
    assert elsewhere.card_id in before
    assert ([5, 5], []) == (kulma.pushes(token), kulma.rows())
    assert news == kulma_news(kulma)


def kulma_news(kulma: AppleShop) -> list[str]:
    """What lock screens say: a text that stays the same is not shown again."""
    with kulma.ctx.sessions() as session:
        return list(session.scalars(select(MemberCard.news).order_by(MemberCard.id)))


def test_a_new_logo_renews_the_cards(kulma: AppleShop):
    token = kulma.phone(kulma.shop.member())
    picture = BytesIO()
    Image.new("RGB", (300, 300), "navy").save(picture, "PNG")
    programs.update(kulma.ctx, kulma.shop.owner, PROGRAM_FORM, logo=picture.getvalue())
    deliver(kulma)
    assert [5, 5] == kulma.pushes(token)


def test_a_new_location_renews_the_cards(kulma: AppleShop):
    token = kulma.phone(kulma.shop.member())
    form = {"name": "Harbour", "address": "Satama 2", "latitude": "60.16", "longitude": "24.95"}
    programs.save_location(kulma.ctx, kulma.shop.owner, form)
    deliver(kulma)
    assert [5, 5] == kulma.pushes(token)


def test_saving_without_a_change_renews_nothing(kulma: AppleShop):
    before = versions(kulma)
    kulma.shop.change_program()
    assert ([], {}) == (kulma.rows(Channel.REFRESH), renewed(kulma, before))


def test_news_while_cards_are_renewed_still_wakes_the_phone(kulma: AppleShop):
    member = kulma.shop.member()
    token = kulma.phone(member)
    kulma.shop.change_program(welcome_text="Hello!")
    kulma.deliver(Channel.REFRESH)
    kulma.stamp(member)
    deliver(kulma)
    assert [5, 10] == kulma.pushes(token)


def test_cards_are_renewed_at_a_pace(kulma: AppleShop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(refresh, "PACE", 2)
    installed(kulma, 4)
    kulma.shop.change_program(welcome_text="Hello!")
    begun = clock.now()
    kulma.deliver(Channel.REFRESH)
    due = sorted(row.due_at for row in kulma.rows())
    assert [0.5, 0.5, 0.5] == [(after - before).total_seconds() for before, after in pairwise(due)]
    assert begun <= due[0]


def test_batch_after_batch_until_every_card_is_renewed(kulma: AppleShop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(refresh, "BATCH", 2)
    monkeypatch.setattr(refresh, "PACE", 0.1)
    members, before = installed(kulma, 5), versions(kulma)
    kulma.shop.change_program(welcome_text="Hello!")
    batches = 0
    while kulma.rows(Channel.REFRESH):
        kulma.deliver(Channel.REFRESH)
        for row in kulma.rows(Channel.REFRESH):
            assert timedelta(0) < row.due_at - clock.now()  # the next one waits for its turn
        make_due(kulma)
        batches += 1
    assert (3, {member.card_id: 1 for member in members}) == (batches, renewed(kulma, before))


@pytest.mark.parametrize("killed", ["before the batch", "after the batch", "before it says that it is done"])
def test_a_kill_in_the_middle_leaves_no_card_behind(kulma: AppleShop, monkeypatch: pytest.MonkeyPatch, killed: str):
    monkeypatch.setattr(refresh, "BATCH", 2)
    members, before = installed(kulma, 5), versions(kulma)
    kulma.shop.change_program(welcome_text="Hello!")
    rows = outbox.claim(kulma.ctx, Channel.REFRESH, 1)
    match killed:
        case "after the batch":
            refresh.renew(kulma.ctx, rows[0].subject_id, "")
        case "before it says that it is done":
            job.renew_cards(kulma.ctx, rows)
    expire_leases(kulma)
    while kulma.rows(Channel.REFRESH):
        deliver(kulma)
    again = renewed(kulma, before)
    assert {member.card_id for member in members} == set(again)
    assert max(again.values()) <= 2


def test_a_second_change_in_the_middle_begins_from_the_first_card(kulma: AppleShop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(refresh, "BATCH", 2)
    monkeypatch.setattr(refresh, "PACE", 0.1)  # so that the next batch is not due before the second change
    members, before = installed(kulma, 4), versions(kulma)
    kulma.shop.change_program(welcome_text="Hello!")
    kulma.deliver(Channel.REFRESH)
    kulma.shop.change_program(welcome_text="Hello again!")
    while kulma.rows(Channel.REFRESH):
        deliver(kulma)
    assert [2, 2, 1, 1] == [renewed(kulma, before)[member.card_id] for member in members]


def test_a_second_change_while_a_batch_is_renewed_begins_from_the_first_card(
    kulma: AppleShop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(refresh, "BATCH", 2)
    members, before = installed(kulma, 4), versions(kulma)
    kulma.shop.change_program(welcome_text="Hello!")
    rows = outbox.claim(kulma.ctx, Channel.REFRESH, 1)
    kulma.shop.change_program(welcome_text="Hello again!")
    outbox.told(kulma.ctx, [outcome.row for outcome in job.renew_cards(kulma.ctx, rows)])
    while kulma.rows(Channel.REFRESH):
        deliver(kulma)
    assert [2, 2, 1, 1] == [renewed(kulma, before)[member.card_id] for member in members]


def test_last_modified_grows_with_each_renewal_within_one_second(kulma: AppleShop):
    member = kulma.shop.member()
    kulma.phone(member)
    moments = []
    for word in ("one", "two", "three"):
        kulma.shop.change_program(welcome_text=word)
        deliver(kulma)
        with kulma.ctx.sessions() as session:
            moments.append(session.scalars(select(MemberCard.changed_at).where(MemberCard.id == member.card_id)).one())
    assert moments == sorted({moment.replace(microsecond=0) for moment in moments})


def expire_leases(kulma: AppleShop) -> None:
    """As if the worker that holds them had been dead for a while."""
    with kulma.ctx.sessions.begin() as session:
        session.execute(
            update(OutboxRow)
            .where(OutboxRow.state == OutboxState.LEASED)
            .values(due_at=clock.now() - timedelta(seconds=1))
        )
