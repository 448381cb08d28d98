"""The client against the stand-in, over TLS: every answer that Google may give has its right end."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from passes.card import StampCount
from passes.google import account
from passes.google.account import SCOPE, Account, from_info
from passes.google.client import LARGEST_BATCH, GoogleWallet, ObjectPut
from passes.google.objects import ClassSettings, Message, ObjectSettings, loyalty_class, loyalty_object, message
from passes.google.outcome import DONE, KEY_REFUSED, NO_ANSWER, QUOTA, TOKEN_UNAVAILABLE, OutcomeKind
from sandbox.google import GoogleSandbox
from sandbox.google_accounts import service_account
from sandbox.google_faults import Fault
from tests.pass_samples import card, look


class Clock:
    """The stand-in's clock, which may be set forward."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleSandbox]:
    """Kept for the module, because the service account's key is slow to make."""
    with GoogleSandbox(tmp_path_factory.mktemp("google"), token_lifetime=timedelta(days=3)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def loaded(server: GoogleSandbox) -> Account:
    return account.load(server.account_file)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def google(server: GoogleSandbox, clock: Clock) -> GoogleSandbox:
    """As if it had just been started, and in no hurry."""
    server.state.clear()
    server.faults.clear()
    server.state.now = server.accounts.now = clock
    server.state.monotonic, server.state.requests_per_second = time.monotonic, 10_000
    return server


@pytest.fixture
def paced() -> list[int]:
    """How many calls were announced, each time."""
    return []


@pytest.fixture
def wallet(google: GoogleSandbox, loaded: Account, paced: list[int]) -> Iterator[GoogleWallet]:
    with connected(google, loaded, paced) as client:
        yield client


@contextmanager
def connected(
    google: GoogleSandbox, loaded: Account, paced: list[int] | None = None, **settings: Any
) -> Iterator[GoogleWallet]:
    """A client that has no token yet."""
    pace = [].append if paced is None else paced.append
    given = {"base_url": google.url, "ca_bundle": str(google.ca_file), "timeout": 5.0, "pace": pace}
    client = GoogleWallet(loaded.with_scopes([SCOPE]), **(given | settings))
    yield client
    client.close()


def a_class(google: GoogleSandbox, **changes: Any) -> dict[str, Any]:
    settings = ClassSettings(f"{google.issuer_id}.kahvi", "https://leima.example/logo-1f.png")
    return loyalty_class(look(**changes), settings)


def an_object(google: GoogleSandbox, name: str = "alice", have: int = 3, **settings: Any) -> dict[str, Any]:
    given = ObjectSettings(f"{google.issuer_id}.{name}", f"{google.issuer_id}.kahvi", "Leimoja")
    return loyalty_object(card(stamps=StampCount(have, 10)), look(), replace(given, **settings), datetime.now(UTC))


def balance(google: GoogleSandbox, name: str = "alice") -> str:
    shown = google.state.shown(f"{google.issuer_id}.{name}")
    return str(shown["object"]["loyaltyPoints"]["balance"]["string"])


def notifications(google: GoogleSandbox, name: str = "alice") -> list[str]:
    return [told["body"] for told in google.state.shown(f"{google.issuer_id}.{name}")["notifications"]]


def saved(google: GoogleSandbox, wallet: GoogleWallet) -> None:
    """Alice has the card on her phone."""
    assert DONE == wallet.put_class(a_class(google))
    assert DONE == wallet.put_object(an_object(google))
    google.state.save(f"{google.issuer_id}.alice", "phone-1")


def test_a_class_and_an_object_are_made_and_changed(google: GoogleSandbox, wallet: GoogleWallet, paced: list[int]):
    assert DONE == wallet.put_class(a_class(google), new=True)
    assert DONE == wallet.put_object(an_object(google), new=True)
    assert DONE == wallet.put_object(an_object(google, have=4))
    assert "4/10" == balance(google)
    assert [1, 1, 1] == paced


def test_what_google_has_not_is_made(google: GoogleSandbox, wallet: GoogleWallet, paced: list[int]):
    assert DONE == wallet.put_class(a_class(google))
    assert DONE == wallet.put_object(an_object(google))
    assert "3/10" == balance(google)
    assert [1, 1, 1, 1] == paced


def test_what_google_has_already_is_changed(google: GoogleSandbox, wallet: GoogleWallet):
    for have in (3, 5):
        assert DONE == wallet.put_class(a_class(google), new=True)
        assert DONE == wallet.put_object(an_object(google, have=have), new=True)
    assert "5/10" == balance(google)


def test_an_approved_class_can_be_changed_again(google: GoogleSandbox, wallet: GoogleWallet):
    for name in ("Kanta-asiakkaat", "Kahvikerho"):
        assert DONE == wallet.put_class(a_class(google, program_name=name))
    result, kept = wallet.get("loyaltyClass", f"{google.issuer_id}.kahvi")
    assert DONE == result
    assert ("Kahvikerho", "APPROVED") == (kept["programName"], kept["reviewStatus"])


def test_a_card_without_its_class_says_so(google: GoogleSandbox, wallet: GoogleWallet):
    result = wallet.put_object(an_object(google))
    assert (OutcomeKind.REFUSED, "class_missing") == (result.kind, result.code)


def test_what_was_taken_off_the_card_is_gone(google: GoogleSandbox, wallet: GoogleWallet):
    saved(google, wallet)
    full = {"account_name": "Alice", "rewards_label": "Palkinnot", "hero_url": "https://leima.example/hero.png"}
    wallet.put_object(an_object(google, **full))
    wallet.put_object(an_object(google))
    shown = google.state.shown(f"{google.issuer_id}.alice")["object"]
    assert not {"accountName", "secondaryLoyaltyPoints", "heroImage"} & shown.keys()


def test_a_milestone_notifies_and_a_stamp_does_not(google: GoogleSandbox, wallet: GoogleWallet):
    saved(google, wallet)
    assert DONE == wallet.put_object(an_object(google, have=8))
    assert DONE == wallet.put_object(an_object(google, have=9), notify=True)
    assert DONE == wallet.put_object(an_object(google, have=10))
    assert ["Leimoja: 9/10"] == notifications(google)


def test_the_fourth_notification_in_a_day_is_sent_silently(google: GoogleSandbox, wallet: GoogleWallet, clock: Clock):
    saved(google, wallet)
    results = [wallet.put_object(an_object(google, have=have), notify=True) for have in (4, 5, 6, 7)]
    assert [DONE, DONE, DONE, QUOTA] == results
    assert ("7/10", 3) == (balance(google), len(notifications(google)))
    clock.ahead = timedelta(hours=25)
    assert DONE == wallet.put_object(an_object(google, have=8), notify=True)
    assert 4 == len(notifications(google))


def test_messages_count_among_the_days_notifications(google: GoogleSandbox, wallet: GoogleWallet):
    saved(google, wallet)
    object_id = f"{google.issuer_id}.alice"
    news = [message(Message(f"m{number}", "Uutta", "Kesäjuomat ovat täällä")) for number in range(4)]
    assert [DONE, DONE, DONE, QUOTA] == [wallet.add_message(object_id, entry, notify=True) for entry in news]
    kept = google.state.shown(object_id)["object"]["messages"]
    assert ["TEXT_AND_NOTIFY"] * 3 + ["TEXT"] == [entry["messageType"] for entry in kept]
    assert 3 == len(notifications(google))


def test_a_message_to_an_unknown_card_is_refused(google: GoogleSandbox, wallet: GoogleWallet):
    result = wallet.add_message(f"{google.issuer_id}.nobody", message(Message("m1", "Hei", "Uutta")))
    assert (OutcomeKind.REFUSED, "missing") == (result.kind, result.code)


def test_many_cards_are_made_and_changed_in_batches(google: GoogleSandbox, wallet: GoogleWallet, paced: list[int]):
    wallet.put_class(a_class(google), new=True)
    wallet.put_object(an_object(google, "m7"), new=True)
    paced.clear()
    names = [f"m{number}" for number in range(LARGEST_BATCH + 5)]
    puts = [ObjectPut(an_object(google, name, have=6), new=name != "m3") for name in names]
    assert [DONE] * len(names) == wallet.put_objects(puts)
    assert {"6/10"} == {balance(google, name) for name in names}
    assert [LARGEST_BATCH, 2, 5] == paced


def test_each_card_of_a_batch_has_its_own_outcome(google: GoogleSandbox, wallet: GoogleWallet):
    saved(google, wallet)
    for _ in range(3):
        wallet.put_object(an_object(google), notify=True)
    foreign = an_object(google) | {"id": "3388000000000000002.x"}
    broken = an_object(google, "broken") | {"state": "ASLEEP"}
    results = wallet.put_objects(
        [
            ObjectPut(an_object(google, have=9), notify=True),
            ObjectPut(foreign),
            ObjectPut(broken, new=True),
            ObjectPut(an_object(google, "bob")),
        ]
    )
    assert ["notification_quota", "forbidden", "invalid", ""] == [result.code for result in results]
    assert ["9/10", "3/10"] == [balance(google), balance(google, "bob")]


def test_a_batch_of_nothing_asks_for_nothing(wallet: GoogleWallet, paced: list[int]):
    assert [] == wallet.put_objects([])
    assert [] == paced


def test_when_a_batch_fails_every_card_is_tried_again(google: GoogleSandbox, wallet: GoogleWallet):
    wallet.put_class(a_class(google))
    puts = [ObjectPut(an_object(google, name)) for name in ("alice", "bob")]
    google.faults.add(Fault(503, path="/batch"))
    assert ["server_error"] * 2 == [result.code for result in wallet.put_objects(puts)]
    google.faults.add(Fault(0, path="/batch"))
    assert [NO_ANSWER] * 2 == wallet.put_objects(puts)
    google.faults.add(Fault(200, path="/batch"))  # as a captive portal answers
    assert [NO_ANSWER] * 2 == wallet.put_objects(puts)
    assert [DONE] * 2 == wallet.put_objects(puts)


def test_more_than_twenty_requests_a_second_are_refused_for_now(google: GoogleSandbox, wallet: GoogleWallet):
    google.state.monotonic = lambda: 98.0
    wallet.put_class(a_class(google))
    google.state.requests_per_second = 20
    google.state.monotonic = lambda: 100.0
    puts = [ObjectPut(an_object(google, f"m{number}"), new=True) for number in range(20)]
    assert [DONE] * 20 == wallet.put_objects(puts)
    result = wallet.put_object(an_object(google), new=True)
    assert (OutcomeKind.RETRY, "rate_limit", 1.0) == (result.kind, result.code, result.retry_after)
    google.state.monotonic = lambda: 101.0
    assert DONE == wallet.put_object(an_object(google), new=True)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_when_google_is_out_of_order_the_call_is_tried_later(google: GoogleSandbox, wallet: GoogleWallet, status: int):
    google.faults.add(Fault(status))
    result = wallet.put_class(a_class(google))
    assert (OutcomeKind.RETRY, "server_error") == (result.kind, result.code)


def test_a_token_that_google_has_forgotten_is_renewed(google: GoogleSandbox, wallet: GoogleWallet):
    assert DONE == wallet.put_class(a_class(google))
    google.accounts.revoke_tokens()
    assert DONE == wallet.put_class(a_class(google))


def test_a_token_that_is_never_accepted_is_refused(google: GoogleSandbox, wallet: GoogleWallet):
    google.faults.add(Fault(401, count=3, path="loyaltyClass"))
    result = wallet.put_class(a_class(google))
    assert (OutcomeKind.REFUSED, "unauthorized") == (result.kind, result.code)


@pytest.mark.parametrize("status", [500, 503, 429, 0])
def test_without_the_token_endpoint_the_call_is_tried_later(google: GoogleSandbox, wallet: GoogleWallet, status: int):
    google.faults.add(Fault(status, path="/token"))
    assert TOKEN_UNAVAILABLE == wallet.put_class(a_class(google))
    assert DONE == wallet.put_class(a_class(google))


def test_a_deleted_key_is_said_plainly(google: GoogleSandbox, tmp_path: Path):
    deleted = from_info(service_account(tmp_path / "deleted.json", "deleted@leima.example", f"{google.url}/token"))
    with connected(google, deleted) as wallet:
        assert KEY_REFUSED == wallet.put_class(a_class(google))


def test_another_issuers_cards_are_out_of_reach(google: GoogleSandbox, wallet: GoogleWallet):
    result = wallet.put_class(a_class(google) | {"id": "3388000000000000002.kahvi"})
    assert (OutcomeKind.REFUSED, "forbidden") == (result.kind, result.code)


def test_the_doctor_sees_whether_the_account_may_act(google: GoogleSandbox, wallet: GoogleWallet):
    assert DONE == wallet.check(google.issuer_id)
    assert "forbidden" == wallet.check("3388000000000000002").code


def test_a_lost_connection_is_tried_later_and_does_no_harm(google: GoogleSandbox, wallet: GoogleWallet):
    saved(google, wallet)
    google.faults.add(Fault(0, path="loyaltyObject", after=True))
    assert NO_ANSWER == wallet.put_object(an_object(google, have=4))
    assert DONE == wallet.put_object(an_object(google, have=4))
    assert "4/10" == balance(google)


def test_a_slow_answer_is_given_up(google: GoogleSandbox, loaded: Account):
    with connected(google, loaded, timeout=0.3) as wallet:
        google.faults.latency = 1.0
        assert TOKEN_UNAVAILABLE == wallet.put_class(a_class(google))
    with connected(google, loaded, timeout=1.0) as wallet:
        google.faults.latency = 0.0
        assert DONE == wallet.put_class(a_class(google))
        google.faults.latency = 2.0
        assert NO_ANSWER == wallet.put_class(a_class(google))


def test_when_nobody_listens_the_call_is_tried_later(google: GoogleSandbox, loaded: Account):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with connected(google, loaded, base_url=f"https://localhost:{port}") as wallet:
        assert NO_ANSWER == wallet.put_class(a_class(google))


def test_a_stranger_in_googles_place_is_not_believed(google: GoogleSandbox, loaded: Account):
    with connected(google, loaded, ca_bundle=None) as wallet:
        assert TOKEN_UNAVAILABLE == wallet.put_class(a_class(google))


def test_nothing_but_google_wallet_is_asked(
    google: GoogleSandbox, wallet: GoogleWallet, monkeypatch: pytest.MonkeyPatch
):
    asked = set()
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: asked.add(host) or look_up(host, *rest, **more)
    )
    assert DONE == wallet.put_class(a_class(google))
    assert {"localhost"} == asked
