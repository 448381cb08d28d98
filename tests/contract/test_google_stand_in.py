"""The stand-in is as strict as Google, and what it does for a customer reaches us as Google's callbacks do."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import requests
from google.auth import jwt

from passes.google import account
from passes.google.account import Account
from passes.google.callbacks import verify
from passes.google.client import GoogleWallet
from passes.google.errors import KeysUnavailable
from passes.google.outcome import DONE
from passes.google.root_keys import RootKeys, fetch_root_keys
from passes.google.save_link import save_link
from sandbox.google import EMAIL, ISSUER_ID, GoogleSandbox
from sandbox.google_faults import Fault

CLASS_ID, OBJECT_ID = f"{ISSUER_ID}.kahvi", f"{ISSUER_ID}.alice"
LOGO = {"sourceUri": {"uri": "https://leima.example/logo.png"}}
CLASS = {
    "id": CLASS_ID,
    "issuerName": "Kahvila Äijä",
    "programName": "Kanta-asiakkaat",
    "programLogo": LOGO,
    "reviewStatus": "UNDER_REVIEW",
}
OBJECT = {
    "id": OBJECT_ID,
    "classId": CLASS_ID,
    "state": "ACTIVE",
    "loyaltyPoints": {"label": "Leimoja", "balance": {"string": "3/10"}},
    "textModulesData": [{"id": "a", "header": "A", "body": "1"}, {"id": "b", "header": "B", "body": "2"}],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleSandbox]:
    """Kept for the module, because the service account's key is slow to make."""
    with GoogleSandbox(tmp_path_factory.mktemp("google")) as sandbox:
        yield sandbox


@pytest.fixture
def google(server: GoogleSandbox) -> GoogleSandbox:
    """As if it had just been started, and in no hurry."""
    server.state.clear()
    server.faults.clear()
    server.state.requests_per_second = 10_000
    return server


@pytest.fixture(scope="module")
def session(server: GoogleSandbox) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env, made.verify = False, str(server.ca_file)
        yield made


@pytest.fixture(scope="module")
def signer(server: GoogleSandbox) -> Account:
    return account.load(server.account_file)


@pytest.fixture
def wallet(google: GoogleSandbox, signer: Account) -> Iterator[GoogleWallet]:
    client = GoogleWallet(signer, base_url=google.url, ca_bundle=str(google.ca_file))
    yield client
    client.close()


@pytest.fixture
def receiver() -> Iterator[tuple[str, Queue[bytes]]]:
    """A web server of ours: its address, and the bodies that are posted to it. It fails the first time."""
    bodies: Queue[bytes] = Queue()
    failed = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            first = not failed.is_set()
            failed.set()
            self.send_response(500 if first else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            if not first:
                bodies.put(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/google/callback", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def put(wallet: GoogleWallet, **class_changes: Any) -> None:
    assert DONE == wallet.put_class(CLASS | class_changes)
    assert DONE == wallet.put_object(OBJECT)


def link(google: GoogleSandbox, signer: Account) -> str:
    at = datetime.now(UTC)
    return save_link(signer.signer, signer.email, CLASS_ID, OBJECT_ID, ["http://localhost"], at, google.save_url)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"nickname": "Äijä"}, "Unknown name"),
        ({"reviewStatus": "APPROVED"}, "reviewStatus"),
        ({"reviewStatus": None}, "reviewStatus"),
        ({"programLogo": None}, "programLogo"),
        ({"programName": ""}, "programName"),
        ({"hexBackgroundColor": "brown"}, "hex color"),
        ({"callbackOptions": {"url": "http://leima.example/"}}, "https"),
        ({"merchantLocations": [{"latitude": 60.0, "longitude": 24.0}] * 11}, "at most 10"),
        ({"messages": [{"header": "A", "body": "B"}] * 11}, "at most 10"),
        ({"multipleDevicesAndHoldersAllowedStatus": "EVERYBODY"}, "Invalid value"),
        ({"programLogo": {"sourceUri": {"uri": 3}}}, "Invalid value"),
    ],
)
def test_a_class_that_breaks_a_rule_is_refused(wallet: GoogleWallet, changes: dict[str, Any], word: str):
    result = wallet.put_class(CLASS | changes, new=True)
    assert "invalid" == result.code
    assert word in result.detail


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"state": None}, "state"),
        ({"state": "active!"}, "Invalid value"),
        ({"loyaltyPoints": {"balance": {"string": "3", "int": 3}}}, "exactly one"),
        ({"loyaltyPoints": {"label": "Leimoja"}}, "exactly one"),
        ({"loyaltyPoints": {"balance": {"int": "3"}}}, "Invalid value"),
        ({"barcode": {"type": "QR_CODE"}}, "barcode"),
        ({"barcode": {"type": "QR", "value": "1"}}, "Invalid value"),
        ({"textModulesData": [{"id": "a.b"}]}, "textModulesData"),
        ({"textModulesData": {}}, "a list is expected"),
        ({"heroImage": {"sourceUri": {"uri": "hero.png"}}}, "scheme"),
        ({"linksModuleData": {"uris": [{"uri": "leima.example"}]}}, "scheme"),
        ({"id": f"{ISSUER_ID}.ä"}, "Invalid resource ID"),
    ],
)
def test_an_object_that_breaks_a_rule_is_refused(wallet: GoogleWallet, changes: dict[str, Any], word: str):
    wallet.put_class(CLASS)
    result = wallet.put_object(OBJECT | changes, new=True)
    assert "invalid" == result.code
    assert word in result.detail


def test_a_refused_change_changes_nothing(google: GoogleSandbox, wallet: GoogleWallet):
    put(wallet)
    before = google.state.shown(OBJECT_ID)
    assert "invalid" == wallet.put_object(OBJECT | {"barcode": {"type": "QR_CODE"}, "accountName": "Bob"}).code
    assert before == google.state.shown(OBJECT_ID)


def test_a_draft_can_have_no_cards_and_no_class_becomes_a_draft_again(wallet: GoogleWallet):
    assert DONE == wallet.put_class(CLASS | {"reviewStatus": "DRAFT"})
    assert "draft" in wallet.put_object(OBJECT).detail
    assert DONE == wallet.put_class(CLASS)
    assert "DRAFT" in wallet.put_class(CLASS | {"reviewStatus": "DRAFT"}).detail


def test_a_patch_replaces_lists_and_keeps_what_it_does_not_name(google: GoogleSandbox, wallet: GoogleWallet):
    put(wallet)
    wallet.put_object({"id": OBJECT_ID, "textModulesData": [{"id": "c", "body": "3"}], "accountName": "Alice"})
    kept = google.state.shown(OBJECT_ID)["object"]
    assert [{"id": "c", "body": "3"}] == kept["textModulesData"]
    assert ("Alice", "ACTIVE") == (kept["accountName"], kept["state"])


def test_saving_and_removing_a_card_calls_us_back(
    google: GoogleSandbox,
    wallet: GoogleWallet,
    signer: Account,
    session: requests.Session,
    receiver: tuple[str, Queue[bytes]],
):
    url, bodies = receiver
    put(wallet, callbackOptions={"url": url})
    assert "Kanta-asiakkaat – Kahvila Äijä" in session.get(link(google, signer)).text
    browser = {"Accept": "text/html"}
    assert "phone-1" in session.post(link(google, signer), data={"user": "phone-1"}, headers=browser).text
    saved = bodies.get(timeout=5)
    session.post(f"{google.url}/control/remove", json={"objectId": OBJECT_ID, "user": "phone-1"}).raise_for_status()
    removed = bodies.get(timeout=5)
    at = datetime.now(UTC)
    keys = RootKeys(session, google.keys_url)
    events = [verify(body, keys.at(at), ISSUER_ID, at) for body in (saved, removed)]
    assert [("save", CLASS_ID, OBJECT_ID), ("del", CLASS_ID, OBJECT_ID)] == [
        (event.event, event.class_id, event.object_id) for event in events
    ]
    session.post(f"{google.url}/control/repeat").raise_for_status()
    assert removed == bodies.get(timeout=5)
    assert 2 == len({event.nonce for event in events})


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"aud": "goggle"}, 400),
        ({"typ": "save"}, 400),
        ({"iat": 1.5}, 400),
        ({"iat": int(time.time()) + 3600}, 400),
        ({"origins": "leima.example"}, 400),
        ({"origins": ["https://leima.example"] * 60}, 400),
        ({"iss": "stranger@leima.example"}, 400),
        ({"payload": {}}, 400),
        ({"payload": {"loyaltyObjects": [{"id": f"{ISSUER_ID}.nobody"}]}}, 404),
        ({"payload": {"loyaltyObjects": [{"id": "3388000000000000002.x"}]}}, 403),
        ({"payload": {"loyaltyObjects": [{"id": OBJECT_ID, "classId": f"{ISSUER_ID}.other"}]}}, 400),
    ],
)
def test_a_wrong_link_saves_nothing(
    google: GoogleSandbox,
    wallet: GoogleWallet,
    signer: Account,
    session: requests.Session,
    claims: dict[str, Any],
    status: int,
):
    put(wallet)
    good = {
        "iss": EMAIL,
        "aud": "google",
        "typ": "savetowallet",
        "iat": int(time.time()),
        "origins": [],
        "payload": {"loyaltyObjects": [{"id": OBJECT_ID, "classId": CLASS_ID}]},
    }
    token = jwt.encode(signer.signer, good | claims).decode()
    assert status == session.post(google.save_url + token).status_code
    assert 200 == session.post(google.save_url + jwt.encode(signer.signer, good).decode()).status_code


def test_a_tampered_link_saves_nothing(
    google: GoogleSandbox, wallet: GoogleWallet, signer: Account, session: requests.Session
):
    put(wallet)
    head, claims, signature = link(google, signer).split(".")
    flipped = ("A" if claims[20] != "A" else "B") + claims[21:]
    assert 400 == session.post(f"{head}.{claims[:20]}{flipped}.{signature}").status_code


def test_one_customer_may_have_the_card_on_several_devices(
    google: GoogleSandbox, wallet: GoogleWallet, signer: Account, session: requests.Session
):
    put(wallet)
    for user in ("phone-1", "tablet"):
        answer = session.post(link(google, signer), data={"user": user})
        assert {"saved": [OBJECT_ID], "user": user} == answer.json()
    assert ["phone-1", "tablet"] == google.state.shown(OBJECT_ID)["users"]


def test_a_pretend_phone_hears_of_a_change_at_once(
    google: GoogleSandbox, wallet: GoogleWallet, session: requests.Session
):
    put(wallet)
    last = session.get(f"{google.url}/control/changes?since=0").json()["last"]
    answers: Queue[tuple[float, Any]] = Queue()

    def wait() -> None:
        heard = session.get(f"{google.url}/control/changes?since={last}&timeout=10").json()
        answers.put((time.monotonic(), heard))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.1)  # so that the phone is waiting when the change comes
    changed = time.monotonic()
    wallet.put_object(OBJECT | {"accountName": "Alice"})
    at, heard = answers.get(timeout=5)
    thread.join()
    assert [{"n": last + 1, "kind": "object", "id": OBJECT_ID}] == heard["changes"]
    assert at - changed < 1
    shown = session.get(f"{google.url}/control/objects/{OBJECT_ID}").json()
    assert "Alice" == shown["object"]["accountName"]


def test_faults_come_on_demand(google: GoogleSandbox, wallet: GoogleWallet, session: requests.Session):
    session.post(f"{google.url}/control/faults", json={"status": 503, "count": 2}).raise_for_status()
    codes = [wallet.put_class(CLASS).code for _ in range(3)]
    assert ["server_error", "server_error", ""] == codes
    assert 400 == session.post(f"{google.url}/control/faults", json={"count": 2}).status_code


def test_root_keys_are_kept_while_google_cannot_be_reached(google: GoogleSandbox, session: requests.Session):
    keys, at = RootKeys(session, google.keys_url), datetime.now(UTC)
    first = keys.at(at)
    google.faults.add(Fault(503, count=2, path="/issuer/keys"))
    assert first == keys.at(at + timedelta(minutes=59))
    assert list(first) == list(keys.at(at + timedelta(hours=2)))
    with pytest.raises(KeysUnavailable):
        keys.at(at + timedelta(days=8))
    assert 1 == len(keys.at(at + timedelta(hours=2)))


def test_only_keys_of_the_right_protocol_are_taken(google: GoogleSandbox, session: requests.Session):
    published = session.get(google.keys_url).json()["keys"]
    assert ["ECv1", "ECv2SigningOnly"] == [entry["protocolVersion"] for entry in published]
    assert 1 == len(fetch_root_keys(session, google.keys_url))


def test_an_assertion_that_is_not_ours_gets_no_token(google: GoogleSandbox, session: requests.Session, signer: Account):
    now = int(time.time())
    good = {"iss": EMAIL, "aud": f"{google.url}/token", "iat": now, "exp": now + 3600, "scope": signer.scopes[0]}
    wrong: list[dict[str, Any]] = [
        {"iss": "stranger@leima.example"},
        {"aud": "https://leima.example"},
        {"exp": now - 1},
        {"exp": now + 7200},
        {"iat": now + 600},
        {"iat": now + 0.5},
        {"scope": "email"},
    ]
    answers = [
        session.post(f"{google.url}/token", data={"assertion": jwt.encode(signer.signer, good | change).decode()})
        for change in wrong
    ]
    assert [400] * len(wrong) == [answer.status_code for answer in answers]
    token = jwt.encode(signer.signer, good).decode()
    assert 200 == session.post(f"{google.url}/token", data={"assertion": token}).status_code


def test_the_stand_in_does_not_run_in_production(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name != "LEIMA_ENV"}
    command = [sys.executable, "-m", "sandbox.google", "--folder", str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert 2 == ended.returncode
    assert "not for production" in ended.stderr


def test_the_program_writes_what_clients_need_and_ends_when_told(tmp_path: Path):
    command = [sys.executable, "-m", "sandbox.google", "--folder", str(tmp_path)]
    environment = os.environ | {"LEIMA_ENV": "test"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        settings = json.loads((tmp_path / "google.json").read_text())
        wallet = GoogleWallet(
            account.load(Path(settings["service_account"])),
            base_url=settings["base_url"],
            ca_bundle=settings["ca_bundle"],
        )
        assert DONE == wallet.check(settings["issuer_id"])
        wallet.close()
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(10)
    assert url == settings["base_url"]
