"""What the office shows of delivery, and trying again what did not arrive."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from uuid_utils.compat import uuid7

from app import clock
from app.db.delivery import Channel, GoogleObject, InstallEvent, OutboxRow, OutboxState, Wallet
from app.db.people import Role
from app.services import apple_devices, delivery_overview, delivery_reasons, outbox
from app.services.context import Context
from app.services.delivery_overview import History, Moves
from app.services.views import MemberView
from passes.apple.push import DETAILS, VERDICTS
from passes.google.outcome import KEY_REFUSED, NO_ANSWER, TOKEN_UNAVAILABLE, Answer, outcome
from tests.factories import Shop, open_shop

SignIn = Callable[[Role], FlaskClient]
EXPIRED = "0 CertificateExpired"


def on_phone(shop: Shop, member: MemberView, device: str) -> None:
    card = apple_devices.authenticated(
        shop.ctx, "pass.fi.leima.test", str(member.card_id), shop.ctx.derived_token("apple-pass", member.card_id)
    )
    assert card is not None
    apple_devices.register(shop.ctx, card, device, "ab" * 32)


def off_phone(shop: Shop, member: MemberView, device: str) -> None:
    card = apple_devices.authenticated(
        shop.ctx, "pass.fi.leima.test", str(member.card_id), shop.ctx.derived_token("apple-pass", member.card_id)
    )
    assert card is not None
    apple_devices.unregister(shop.ctx, card, device)


def in_google(shop: Shop, member: MemberView, installs: int = 1) -> None:
    with shop.ctx.sessions.begin() as session:
        session.add(GoogleObject(card_id=member.card_id, version=1, installs=installs, notified_at=[]))


def row(
    shop: Shop,
    subject: UUID,
    *,
    channel: Channel = Channel.APPLE,
    state: OutboxState = OutboxState.DEAD,
    **values: object,
) -> int:
    now = clock.now()
    given = {"due_at": now, "created_at": now, "attempts": 12, "error": EXPIRED, "notify": False, "payload": {}}
    with shop.ctx.sessions.begin() as session:
        made = OutboxRow(
            channel=channel, program_id=shop.program.id, subject_id=subject, state=state, **(given | values)
        )
        session.add(made)
        session.flush()
        return made.id


def forget_rows(shop: Shop) -> None:
    with shop.ctx.sessions.begin() as session:
        session.execute(delete(OutboxRow).where(OutboxRow.program_id == shop.program.id))


def rows(ctx: Context) -> list[tuple[UUID, str, int, str]]:
    with ctx.sessions() as session:
        found = session.scalars(select(OutboxRow).order_by(OutboxRow.id))
        return [(row.subject_id, row.state.value, row.attempts, row.error) for row in found]


@pytest.fixture(autouse=True)
def told(shop: Shop) -> None:
    """Opening a shop changes its programme: as if wallets had been told of that."""
    forget_rows(shop)


@pytest.fixture
def other(ctx: Context, told: None) -> Shop:
    """Another shop of the same installation."""
    opened = open_shop(ctx, "other")
    forget_rows(opened)
    return opened


def test_cards_and_phones_of_each_wallet_are_counted(shop: Shop, other: Shop):
    alma, bob, carla = shop.member(1), shop.member(2), shop.member(3)
    shop.member(4)
    for device in ("phone", "watch"):
        on_phone(shop, alma, device)
    on_phone(shop, bob, "phone of bob")
    in_google(shop, bob)
    in_google(shop, carla, installs=0)
    on_phone(other, other.member(1), "elsewhere")
    seen = delivery_overview.delivery(shop.ctx, shop.owner)
    assert (2, 3, 1, False, 0) == (
        seen.installed.apple,
        seen.installed.phones,
        seen.installed.google,
        seen.installed.google_on,
        seen.installed.failed,
    )
    assert (4, 2) == (seen.members, seen.without_wallet)


def test_moves_are_counted_for_a_week_a_month_and_ever(shop: Shop, other: Shop):
    member, now = shop.member(), clock.now()
    moves = [(Wallet.APPLE, True, 3), (Wallet.APPLE, False, 10), (Wallet.APPLE, True, 40), (Wallet.GOOGLE, True, 29)]
    with shop.ctx.sessions.begin() as session:
        for wallet, added, days in moves:
            session.add(
                InstallEvent(
                    id=uuid7(),
                    program_id=shop.program.id,
                    card_id=member.card_id,
                    wallet=wallet,
                    added=added,
                    at=now - timedelta(days=days),
                )
            )
    on_phone(other, other.member(1), "elsewhere")
    assert [
        History(Wallet.APPLE, Moves(1, 0), Moves(1, 1), Moves(2, 1)),
        History(Wallet.GOOGLE, Moves(0, 0), Moves(1, 0), Moves(1, 0)),
    ] == delivery_overview.delivery(shop.ctx, shop.owner).histories


def test_a_card_that_came_and_went_is_one_of_each(shop: Shop):
    member = shop.member()
    on_phone(shop, member, "phone")
    off_phone(shop, member, "phone")
    seen = delivery_overview.delivery(shop.ctx, shop.owner)
    assert (0, 1) == (seen.installed.apple, seen.without_wallet)
    assert Moves(1, 1) == seen.histories[0].week


def test_an_empty_programme_says_how_cards_get_into_wallets(sign_in: SignIn):
    page = sign_in(Role.OWNER).get("/office/delivery").text
    assert "No card is in a wallet at the moment." in page
    assert "the wallets have been told everything" in page
    assert "Since the beginning" not in page
    assert "What did not arrive" not in page


def test_what_waits_says_how_much_and_since_when(shop: Shop, other: Shop, sign_in: SignIn):
    moment = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    waiting = {"state": OutboxState.WAITING, "attempts": 0, "error": ""}
    row(shop, uuid4(), created_at=moment, **waiting)
    row(shop, uuid4(), **waiting)
    row(other, uuid4(), **waiting)
    page = sign_in(Role.OWNER).get("/office/delivery").text
    assert [("Apple Wallet", "2", "22 November 2026 11:30")] == re.findall(
        r'<tr><td>([^<]*)</td><td class="number">([^<]*)</td><td>([^<]*)</td></tr>', page
    )
    assert "leima doctor" not in page


def test_what_should_have_been_told_by_now_is_pointed_out(shop: Shop, sign_in: SignIn):
    long_ago = clock.now() - timedelta(minutes=2)
    row(shop, uuid4(), state=OutboxState.WAITING, attempts=0, error="", due_at=long_ago)
    assert "Some of this should have been told by now." in sign_in(Role.OWNER).get("/office/delivery").text


def test_what_failed_says_to_whom_and_why_and_what_to_do(shop: Shop, sign_in: SignIn):
    row(shop, shop.member(1, name="<Aino>").card_id, created_at=datetime(2026, 11, 21, 22, 5, tzinfo=UTC))
    page = sign_in(Role.MANAGER).get("/office/delivery").text
    for part in (
        "<bdi>&lt;Aino&gt;</bdi>",
        "The certificate for Apple Wallet has expired.",
        "leima certs import",
        "<code>0 CertificateExpired</code>",
        "Tried 12 times since 22 November 2026 00:05",
        "Try again",
        "Try all again",
    ):
        assert part in page


def test_a_marketer_sees_neither_the_number_nor_buttons(shop: Shop, sign_in: SignIn):
    row(shop, shop.member(1).card_id)
    owner, marketer = (sign_in(role).get("/office/delivery").text for role in (Role.OWNER, Role.MARKETER))
    assert "040 1230001" in owner
    assert "0001" not in marketer
    assert "+358 ** *****01" in marketer
    assert "Try again" not in marketer


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("address", ["/office/delivery/retry", "/office/delivery/{row}/retry"])
def test_only_managers_try_again(shop: Shop, sign_in: SignIn, role: Role, address: str):
    card = shop.member().card_id
    answer = sign_in(role).post(address.format(row=row(shop, card)))
    if role in (Role.OWNER, Role.MANAGER):
        assert (303, "/office/delivery?again=1") == (answer.status_code, answer.location)
        assert [(card, "waiting", 0, "")] == rows(shop.ctx)
    else:
        assert 403 == answer.status_code
        assert [(card, "dead", 12, EXPIRED)] == rows(shop.ctx)


def test_trying_again_twice_is_as_once(shop: Shop, sign_in: SignIn):
    card = shop.member().card_id
    owner, dead = sign_in(Role.OWNER), row(shop, card)
    for _ in range(2):
        assert 303 == owner.post(f"/office/delivery/{dead}/retry").status_code
    for _ in range(2):
        assert 303 == owner.post("/office/delivery/retry").status_code
    assert [(card, "waiting", 0, "")] == rows(shop.ctx)
    assert "It is being tried again." in owner.get("/office/delivery?again=1").text


def test_another_programmes_rows_are_neither_shown_nor_tried(shop: Shop, other: Shop, sign_in: SignIn):
    card = other.member(1, name="Ulla").card_id
    dead, owner = row(other, card), sign_in(Role.OWNER)
    assert "Ulla" not in owner.get("/office/delivery").text
    assert "did not arrive" not in owner.get("/office").text
    owner.post(f"/office/delivery/{dead}/retry")
    owner.post("/office/delivery/retry")
    assert [(card, "dead", 12, EXPIRED)] == rows(shop.ctx)


@pytest.mark.parametrize("number", ["9223372036854775808", "-1", "x"])
def test_a_number_that_no_row_can_have_is_not_found(sign_in: SignIn, number: str):
    assert 404 == sign_in(Role.OWNER).post(f"/office/delivery/{number}/retry").status_code


def test_trying_all_again_joins_what_waits_and_keeps_its_state(shop: Shop):
    later = clock.now() + timedelta(hours=1)
    program = shop.program.id
    for after in ("a", "b"):
        row(shop, program, channel=Channel.REFRESH, notify=after == "a", payload={"after": after})
    card = shop.member().card_id
    row(shop, card, notify=True, payload={"after": "old"})
    row(shop, card, state=OutboxState.WAITING, attempts=0, error="", due_at=later, payload={"after": "new"})
    delivery_overview.revive_all(shop.ctx, program)
    with shop.ctx.sessions() as session:
        found = {row.channel: row for row in session.scalars(select(OutboxRow))}
    assert {Channel.APPLE: (True, {"after": "new"}), Channel.REFRESH: (True, {"after": "b"})} == {
        channel: (row.notify, row.payload) for channel, row in found.items()
    }
    assert all(row.state is OutboxState.WAITING and row.due_at < later for row in found.values())
    assert {Channel.APPLE, Channel.REFRESH} == set(outbox.due_channels(shop.ctx))


def test_more_failures_than_fit_are_counted_and_all_tried_again(shop: Shop, sign_in: SignIn):
    for _ in range(delivery_overview.SHOWN + 3):
        row(shop, uuid4())
    owner = sign_in(Role.OWNER)
    assert "… and 3 more." in owner.get("/office/delivery").text
    owner.post("/office/delivery/retry")
    assert {"waiting"} == {state for _, state, _, _ in rows(shop.ctx)}


def test_what_is_tried_again_says_why_and_when(shop: Shop, sign_in: SignIn):
    values = {"state": OutboxState.WAITING, "attempts": 3, "error": "503 ServiceUnavailable"}
    row(shop, shop.member(1, name="Aino").card_id, due_at=datetime(2026, 11, 22, 10, 0, tzinfo=UTC), **values)
    page = sign_in(Role.OWNER).get("/office/delivery").text
    assert "out of order at the moment" in page
    assert "Tried 3 times, the next try is on 22 November 2026 12:00" in page
    assert "What did not arrive" not in page


def test_the_start_page_counts_wallets_and_warns(shop: Shop, sign_in: SignIn):
    member = shop.member()
    on_phone(shop, member, "phone")
    owner = sign_in(Role.OWNER)
    calm = owner.get("/office").text
    assert "<dt>Cards in Apple Wallet</dt><dd>1</dd>" in calm
    assert "did not arrive" not in calm
    row(shop, member.card_id)
    assert "1 update did not arrive in a wallet." in owner.get("/office").text


def test_every_reason_of_apples_and_googles_has_words_of_its_own():
    apple, google = (
        delivery_reasons.in_words(Channel.APPLE, "?"),
        delivery_reasons.in_words(Channel.GOOGLE, "?"),
    )
    ours = delivery_reasons.in_words(Channel.REFRESH, "OperationalError: gone")
    unclear = [
        reason
        for reason in (*DETAILS, *VERDICTS)
        if VERDICTS.get(reason, None) not in {VERDICTS["BadDeviceToken"], VERDICTS["Unregistered"]}
        and delivery_reasons.in_words(Channel.APPLE, f"400 {reason}") in (apple, ours)
    ]
    assert [] == unclear
    answers = [outcome(Answer(status)) for status in (401, 403, 408, 429, 500, 503)]
    assert [] == [
        done.reason
        for done in (*answers, NO_ANSWER, TOKEN_UNAVAILABLE, KEY_REFUSED)
        if delivery_reasons.in_words(Channel.GOOGLE, done.reason) in (google, ours)
    ]


@pytest.mark.parametrize(
    ("channel", "error", "words"),
    [
        (Channel.APPLE, "", ""),
        (Channel.APPLE, "CertificateExpired: The certificate ran out", "The certificate for Apple Wallet has expired."),
        (Channel.APPLE, "500 InternalServerError: x", "Apple's push service is out of order at the moment."),
        (Channel.APPLE, "502", "Apple's push service is out of order at the moment."),
        (Channel.APPLE, "429", "Apple is too busy at the moment."),
        (Channel.APPLE, "400 SomethingNew", "Apple refused this update."),
        (Channel.APPLE, "KeyError: 'x'", "Something went wrong on our side."),
        (Channel.GOOGLE, "Google says that a value is not valid", "Google refused this card."),
        (Channel.GOOGLE, "LEIMA_GOOGLE_ACCOUNT is not JSON", "Google does not accept the key"),
        (
            Channel.GOOGLE,
            "Google Wallet is not set up here. It needs LEIMA_GOOGLE_ACCOUNT",
            "Google Wallet is not set up",
        ),
        (Channel.GOOGLE, "ValueError: x", "Something went wrong on our side."),
        (Channel.REFRESH, "ValueError: x", "Something went wrong on our side."),
    ],
)
def test_an_error_becomes_words(channel: Channel, error: str, words: str):
    assert delivery_reasons.in_words(channel, error).startswith(words)
    assert bool(error) == bool(words)
