"""The pretend iPhone does what a real one does: through real TLS, real pushes, and a web service."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from passes.apple.push import Push, Verdict
from passes.apple.push_auth import CertificateAuth
from passes.apple.push_client import PushClient
from passes.card import CardField
from sandbox.iphone import CannotAdd, Iphone
from sandbox.push_feed import PushFeed, RemotePushService
from sandbox.runner import Sandbox
from tests.pass_samples import NOW, root_pem, signing_identity
from tests.tiny_pass_service import TinyPassService, serving, stamps

SERIAL = "serial-1"
TOPIC = "pass.fi.leima.test"
Told = Callable[[str], bool]


@pytest.fixture
def service() -> TinyPassService:
    made = TinyPassService()
    made.put(SERIAL, **stamps(3))
    return made


@pytest.fixture
def sandbox(service: TinyPassService, tmp_path: Path) -> Iterator[Sandbox]:
    with serving(service) as (host, port), Sandbox(tmp_path, f"http://{host}:{port}", 0, [root_pem()]) as running:
        service.base = running.proxy.url
        yield running


@pytest.fixture
def phone(sandbox: Sandbox) -> Iterator[Iphone]:
    made = Iphone(str(sandbox.ca_file), sandbox.roots, sandbox.pushes)
    yield made
    made.stop()


@pytest.fixture
def push(sandbox: Sandbox, service: TinyPassService) -> Iterator[Callable[[], list[Verdict]]]:
    """Tells every registered phone that something has changed."""
    auth = CertificateAuth(signing_identity())
    with PushClient(sandbox.apns.address, auth=auth, clock=lambda: NOW, ca_pem=sandbox.apns.ca_pem) as client:

        def send() -> list[Verdict]:
            return [one.verdict for one in client.send([Push(token, TOPIC) for token in service.registered.values()])]

        yield send


def url(sandbox: Sandbox) -> str:
    return f"{sandbox.proxy.url}/c/{SERIAL}/apple.pkpass"


def shown(phone: Iphone) -> str:
    return str(phone.passes[SERIAL].fields()["stamps"]["value"])


def asked(phone: Iphone) -> list[tuple[str, int]]:
    return [(exchange.method, exchange.status) for exchange in phone.requests]


def test_a_stamp_appears_on_the_card_and_on_the_lock_screen(sandbox, service, phone, push):
    phone.add(url(sandbox))
    assert "3/10" == shown(phone)
    assert [("GET", 200), ("POST", 201)] == asked(phone)

    service.put(SERIAL, **stamps(4))
    assert [Verdict.SENT] == push()

    assert phone.log.wait_for(lambda: "message" in phone.log.kinds())
    assert "4/10" == shown(phone)
    assert ["Leimoja nyt 4/10"] == [message.text for message in phone.lock_screen]
    assert [("GET", 200), ("POST", 201), ("GET", 200), ("GET", 200)] == asked(phone)
    assert ["added", "registered", "push", "serials", "pass", "message"] == phone.log.kinds()


def test_a_push_without_news_costs_one_request(sandbox, service, phone, push):
    phone.add(url(sandbox))
    service.put(SERIAL, **stamps(4))
    push()
    assert phone.log.wait_for(lambda: "message" in phone.log.kinds())
    before = len(phone.requests)

    push()

    assert phone.log.wait_for(lambda: phone.log.kinds()[-1] == "serials")
    assert [("GET", 204)] == asked(phone)[before:]


def test_pulling_down_fetches_only_what_is_new(sandbox, service, phone):
    phone.add(url(sandbox))
    service.put(SERIAL, **stamps(5))
    assert phone.refresh(SERIAL)
    assert not phone.refresh(SERIAL)
    assert [200, 304] == [exchange.status for exchange in phone.requests][-2:]


def test_a_phone_that_was_off_gets_the_last_push_when_it_is_on_again(sandbox, service, phone, push):
    phone.add(url(sandbox))
    phone.switch_off()
    for have in (4, 5, 6):
        service.put(SERIAL, **stamps(have))
        push()
    last = sandbox.apns.rules.pushes()[-1].number
    deadline = time.monotonic() + 10
    while sandbox.pushes.handed_on < last:  # else one that is still under way arrives after the phone is on
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert 2 == len(phone.requests)

    phone.switch_on()

    assert phone.log.wait_for(lambda: "message" in phone.log.kinds())
    assert ["Leimoja nyt 6/10"] == [message.text for message in phone.lock_screen]
    assert 1 == phone.log.kinds().count("push")


def test_a_web_service_that_is_out_is_asked_again(sandbox, service, phone, push):
    phone.add(url(sandbox))
    service.put(SERIAL, **stamps(4))
    service.statuses = [503, 500]
    push()
    assert phone.log.wait_for(lambda: "message" in phone.log.kinds())
    assert "4/10" == shown(phone)
    assert 2 == phone.log.kinds().count("failed")


def test_a_removed_card_is_unregistered(sandbox, service, phone, push):
    phone.add(url(sandbox))
    phone.remove(SERIAL)
    assert {} == service.registered
    assert ("DELETE", 200) == asked(phone)[-1]


def test_a_phone_that_was_thrown_away_makes_pushes_bounce(sandbox, service, phone, push):
    phone.add(url(sandbox))
    phone.erase()
    assert [Verdict.UNREGISTERED] == push()


def test_a_new_version_that_breaks_a_rule_is_not_taken_and_the_service_hears_why(sandbox, service, phone, push):
    phone.add(url(sandbox))
    service.put(SERIAL, **stamps(4))
    service.damage = lambda data: data[:-40]
    push()
    assert phone.log.wait_for(lambda: "complaint" in phone.log.kinds())
    assert "3/10" == shown(phone)
    # The complaint is posted after it is noted.
    assert phone.log.wait_for(lambda: bool(service.logs), 0.5) or service.logs
    assert "not a sound ZIP archive" in service.logs[0]


def test_a_pass_that_breaks_a_rule_is_refused_in_plain_words(phone, service):
    service.base = "https://localhost:1"
    with pytest.raises(CannotAdd, match=r"^This pass cannot be added: The file is not a sound ZIP archive"):
        phone.add(service.signed(SERIAL)[100:])
    assert {} == phone.passes


def test_a_phone_that_trusts_another_root_refuses_the_pass(sandbox, service):
    stranger = Iphone(str(sandbox.ca_file), [], sandbox.pushes)
    with pytest.raises(CannotAdd, match="do not lead to a root that this phone trusts"):
        stranger.add(url(sandbox))
    stranger.stop()


def test_every_phone_that_has_the_card_hears_of_a_stamp(sandbox, service, push):
    phones = [Iphone(str(sandbox.ca_file), sandbox.roots, sandbox.pushes) for _ in range(12)]
    for phone in phones:
        phone.add(url(sandbox))
    service.put(SERIAL, **stamps(4))
    push()
    for phone in phones:
        assert phone.log.wait_for(lambda phone=phone: "message" in phone.log.kinds())
        phone.stop()
    assert ["4/10"] * 12 == [shown(phone) for phone in phones]


def test_a_card_is_registered_when_the_web_service_is_back(sandbox, service, phone):
    data = service.signed(SERIAL)
    service.statuses = [503]
    phone.add(data)
    assert phone.log.wait_for(lambda: "registered" in phone.log.kinds())
    assert [(phone.device, SERIAL)] == list(service.registered)


def test_several_fields_that_speak_give_one_general_message(sandbox, service, phone, push):
    phone.add(url(sandbox))
    news = CardField("news", "Uutinen", "Uusi", change_message="%@")
    service.put(SERIAL, **stamps(4, secondary=(news,)))
    push()
    assert phone.log.wait_for(lambda: "message" in phone.log.kinds())
    assert ["Card updated"] == [message.text for message in phone.lock_screen]


def test_fields_without_a_change_message_change_in_silence(sandbox, service, phone, push):
    phone.add(url(sandbox))
    service.put(SERIAL, **stamps(3, secondary=(CardField("member", "Jäsen", "Bob"),)))
    push()
    assert phone.log.wait_for(lambda: "pass" in phone.log.kinds())
    assert [] == phone.lock_screen


def test_the_card_speaks_the_phones_language(sandbox, phone):
    phone.language = "fa"
    held = phone.add(url(sandbox))
    face = held.face("fa", NOW)
    assert ["مهرها"] == [field.label for field in face.groups["header"]]
    assert "۱٬۲۵۰" == next(field.value for field in face.groups["auxiliary"] if field.key == "visits")


def test_a_phone_in_another_process_hears_pushes_through_the_control_interface(sandbox, service, push):
    feed = PushFeed(RemotePushService(sandbox.control.url))
    phone = Iphone(str(sandbox.ca_file), sandbox.roots, feed)
    phone.add(url(sandbox))
    service.put(SERIAL, **stamps(4))
    push()
    assert phone.log.wait_for(lambda: "message" in phone.log.kinds())
    feed.stop()
    phone.stop()


def test_from_push_to_new_card_takes_a_fraction_of_a_second(sandbox, service, phone, push):
    phone.add(url(sandbox))
    seconds = []
    for have in range(4, 10):
        service.put(SERIAL, **stamps(have))
        begun = time.monotonic()
        push()
        assert phone.log.wait_for(lambda now=f"{have}/10": shown(phone) == now)
        seconds.append(time.monotonic() - begun)
    assert sorted(seconds)[len(seconds) // 2] < 0.5, seconds


def command(folder: Path, *more: str) -> list[str]:
    given = ["--folder", str(folder), "--app-url", "http://127.0.0.1:9", "--port", "0", *more]
    return [sys.executable, "-m", "sandbox", *given]


@pytest.mark.parametrize("environment", [{"LEIMA_ENV": "production"}, {}])
def test_the_sandbox_does_not_run_in_production(tmp_path, environment):
    rest = {name: value for name, value in os.environ.items() if name != "LEIMA_ENV"}
    done = subprocess.run(command(tmp_path), env=rest | environment, capture_output=True, text=True, check=False)
    assert (2, "") == (done.returncode, done.stdout)
    assert "Sandbox code can't run in production settings" in done.stderr


def test_nor_does_it_inside_another_process(tmp_path, monkeypatch):
    monkeypatch.setenv("LEIMA_ENV", "production")
    with pytest.raises(RuntimeError, match="can't run in production"):
        Sandbox(tmp_path, "http://127.0.0.1:9")


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        arguments = [*command(tmp_path)[:-1], str(taken.getsockname()[1])]
        environment = os.environ | {"LEIMA_ENV": "test"}
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert (1, "") == (done.returncode, done.stdout)
    assert "is in use by another program" in done.stderr
    assert not (tmp_path / "sandbox.json").exists()


def test_the_process_says_where_it_listens_keeps_its_addresses_and_stops_cleanly(tmp_path):
    (tmp_path / "root.pem").write_bytes(root_pem())
    folder = tmp_path / "sandbox"
    told = []
    for _ in range(2):
        started = time.time()
        process = subprocess.Popen(
            command(folder, "--pass-root", str(tmp_path / "root.pem")),
            env=os.environ | {"LEIMA_ENV": "test"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        file = folder / "sandbox.json"
        while not (file.exists() and file.stat().st_mtime >= started - 0.01):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        told.append(json.loads(file.read_text()))
        page = requests.get(told[-1]["phones_url"], timeout=10)
        assert (200, True) == (page.status_code, "Pretend phones" in page.text)
        process.send_signal(signal.SIGTERM)
        assert b"" == process.communicate(timeout=20)[0]
        assert 0 == process.returncode
    assert {"ca_file", "wallet_url", "apns", "google", "twilio", "phones_url", "control"} == told[0].keys()
    for name in ("ca_file", "wallet_url", "apns", "google"):
        assert told[0][name] == told[1][name]
