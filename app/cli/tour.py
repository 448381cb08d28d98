"""`leima demo --tour`: the main job end to end, like a customer and a cashier, over HTTP.

Starts the demo in a folder of its own on a free port, walks it, verifies the pass with the openssl program, prints
each step with its outcome, and stops everything.
"""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import click
import requests

from app import embedded
from app.cli.demo_shop import PASS_TYPE

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90
_PHONE = "040 765 4321"


class StepFailed(Exception):
    """A step of the tour did not do what was promised. The text says what came instead."""


class Forms(HTMLParser):
    """The forms of a page: each one's address and the values that it would send."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given.get("action", ""), {}))
        elif tag == "input" and self.found and given.get("name") and given.get("type") != "checkbox":
            self.found[-1][1][given["name"]] = given.get("value", "")


class Visitor:
    """Somebody with a browser."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.http = requests.Session()

    def open(self, path: str) -> requests.Response:
        answer = self.http.get(urljoin(self.base, path), timeout=20)
        _expect(answer.status_code == 200, f"{path} answered {answer.status_code}")
        return answer

    def send(self, page: requests.Response, field: str, **values: str) -> requests.Response:
        """Fill in and send the form of `page` that has this field."""
        for action, hidden in Forms(page.text).found:
            if field in hidden:
                answer = self.http.post(urljoin(page.url, action), data=hidden | values, timeout=20)
                _expect(answer.status_code == 200, f"sending the form with {field} answered {answer.status_code}")
                return answer
        raise StepFailed(f"{page.url} has no form with {field}")


class Phones:
    """The pretend phones of the demo's sandbox."""

    KINDS = ("iphone", "android")
    PATIENCE_SECONDS = 10.0

    def __init__(self, address: str) -> None:
        self.address = address
        self.http = requests.Session()
        self.http.headers["Accept"] = "application/json"

    def add(self, kind: str, card_url: str) -> None:
        """Put the card on a new phone of this kind, as its owner does from the card's page."""
        form = {"kind": kind, "address": card_url, "language": "en"}
        answer = self.http.post(self.address, data=form, timeout=20)
        _expect(answer.status_code == 200, f"the pretend {kind} answered: {answer.text}")

    def shown(self) -> list[str]:
        """What the phones' cards say about the stamps: '2 of 10', however each wallet writes it."""
        cards = [phone["cards"][0] for phone in self._phones()]
        fields = [card["groups"]["header"][0] if "groups" in card else card["points"][0] for card in cards]
        return [" of ".join(re.findall(r"\d+", str(field))[-2:]) for field in fields]

    def wait_for(self, stamps: str) -> float:
        """Wait until all phones show it; return the seconds."""
        begun = time.monotonic()
        while self.shown() != [stamps] * len(self.KINDS):
            waited = time.monotonic() - begun
            _expect(waited < self.PATIENCE_SECONDS, f"after {waited:.0f} s the phones show {self.shown()}")
            time.sleep(0.02)
        return time.monotonic() - begun

    def lock_screen(self) -> str:
        """The newest message on the iPhone's lock screen."""
        messages = next(phone["lock_screen"] for phone in self._phones() if phone["kind"] == "iphone")
        _expect(bool(messages), "there is no message on the lock screen")
        return str(messages[-1]["text"])

    def _phones(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(self.address, timeout=20).json()
        return found


def walk() -> bool:
    """Walk the tour. True when every step did what was promised."""
    with tempfile.TemporaryDirectory(prefix="leima-tour-") as folder:
        data = Path(folder)
        try:
            with running_demo(data) as told:
                _steps(told, data)
            _step("Everything has stopped", _stopped(data))
        except StepFailed as failed:
            click.echo(f"  FAILED  {failed}")
            return False
    click.echo("The tour is complete.")
    return True


def _steps(told: dict[str, Any], data: Path) -> None:
    customer, cashier = Visitor(told["base_url"]), Visitor(told["base_url"])
    card = customer.send(customer.open(told["join_url"]), "phone", phone=_PHONE, name="Eve Tester", terms="on")
    _expect("/c/" in card.url, f"joining led to {card.url}")
    _step("A customer joins with a phone number and gets to the card", card.url)

    shown = _pass(customer, card.url)
    code = str(shown["barcode"]["message"])
    _verify(customer.open(f"{card.url}/apple.pkpass").content, data / "certs" / PASS_TYPE / "root.pem")
    _step("The Apple pass is signed, and openssl verifies it", f"card {code}, {_stamps(shown)}")

    phones = Phones(told["sandbox"]["phones_url"])
    for kind in Phones.KINDS:
        phones.add(kind, card.url)
    _step("A pretend iPhone and a pretend Android hold the card", " and ".join(phones.shown()))

    till = _sign_in(cashier, told)
    _step("A cashier signs in to the till", till.url)
    member = cashier.send(till, "code", code=code.lower())
    _expect("Eve Tester" in member.text, "the till does not show the customer")
    before = _stamps(shown)
    cashier.send(member, "count", count="1")
    cashier.send(member, "count", count="1")
    after = _stamps(_pass(customer, card.url))
    _expect((before, after) == ("1 of 10", "2 of 10"), f"after a doubled stamp the card says {after}")
    _step("A stamp sent twice (a double click) counts once", f"{before} → {after}")
    seconds = phones.wait_for("2 of 10")
    _step("Both phones show the stamp by themselves", f"after {seconds:.2f} s; lock screen: {phones.lock_screen()}")

    answer = _api(told, "stamps", {"card_code": code, "count": 8}, "tour-fill")
    again = _api(told, "stamps", {"card_code": code, "count": 8}, "tour-fill")
    _expect(answer == again and len(answer["issued"]) == 1, f"the API answered {answer}, then {again}")
    _step("Till software fills the card; the reward is there, once", answer["issued"][0]["name"])

    reward = answer["issued"][0]["id"]
    redeemed = _api(told, f"rewards/{reward}/redeem", {}, "tour-redeem")
    _expect(redeemed["rewards"] == 0, f"redeeming answered {redeemed}")
    _expect(_api_status(told, f"rewards/{reward}/redeem", {}, "tour-redeem-2") == 409, "a reward was redeemed twice")
    _step("The reward is redeemed; a second time is refused", answer["issued"][0]["name"])
    _step("The card begins anew", _stamps(_pass(customer, card.url)))


def _sign_in(cashier: Visitor, told: dict[str, Any]) -> requests.Response:
    person = next(person for person in told["staff"] if person["role"] == "cashier")
    page = cashier.open("/staff/sign-in")
    return cashier.send(page, "login", login=person["login"], password=person["password"])


def _pass(customer: Visitor, card_url: str) -> dict[str, Any]:
    """The pass.json of the card's Apple pass."""
    content = customer.open(f"{card_url}/apple.pkpass").content
    shown: dict[str, Any] = json.loads(zipfile.ZipFile(io.BytesIO(content)).read("pass.json"))
    return shown


def _stamps(shown: dict[str, Any]) -> str:
    return str(shown["storeCard"]["headerFields"][0]["value"])


def _verify(content: bytes, root: Path) -> None:
    """Verify the signature with the openssl program, as docs/certificates.md shows it."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    with tempfile.TemporaryDirectory() as folder:
        archive.extractall(folder, ["manifest.json", "signature"])
        command = ["openssl", "smime", "-verify", "-binary", "-inform", "DER", "-in", "signature"]
        command += ["-content", "manifest.json", "-CAfile", str(root), "-purpose", "any"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        except FileNotFoundError:
            raise StepFailed("the openssl program is not installed, so the pass could not be verified") from None
    _expect(done.returncode == 0, f"openssl refused the pass: {done.stderr.decode()}")


def _api(told: dict[str, Any], path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    answer = _api_post(told, path, body, key)
    _expect(answer.status_code == 200, f"the API answered {answer.status_code}: {answer.text}")
    found: dict[str, Any] = answer.json()
    return found


def _api_status(told: dict[str, Any], path: str, body: dict[str, Any], key: str) -> int:
    return _api_post(told, path, body, key).status_code


def _api_post(told: dict[str, Any], path: str, body: dict[str, Any], key: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {told['api_key']}", "Idempotency-Key": key}
    return requests.post(f"{told['base_url']}/api/v1/{path}", json=body, headers=headers, timeout=20)


@contextmanager
def running_demo(data: Path) -> Iterator[dict[str, Any]]:
    """A running demo in this folder, stopped at the end as Ctrl-C does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEIMA_")}
    environment |= {"LEIMA_DATA": str(data), "LEIMA_PORT": str(port)}
    with (data / "demo.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "demo"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            yield _when_ready(process, data, port)
        except (StepFailed, requests.RequestException) as error:
            log.seek(0)
            raise StepFailed(f"{error}\n--- what the demo printed ---\n{log.read()[-4000:]}") from error
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()


def _when_ready(process: subprocess.Popen[bytes], data: Path, port: int) -> dict[str, Any]:
    begun = time.monotonic()
    while time.monotonic() - begun < START_SECONDS:
        if process.poll() is not None:
            raise StepFailed(f"the demo ended with status {process.returncode} while it started")
        try:
            if requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200:
                _step("The demo starts", f"in {time.monotonic() - begun:.1f} s")
                told: dict[str, Any] = json.loads((data / "demo.json").read_text())
                return told
        except requests.RequestException:
            time.sleep(0.1)
    raise StepFailed(f"the demo did not answer within {START_SECONDS} s")


def _stopped(data: Path) -> str:
    _expect(not embedded.is_running(data), "the engines still run")
    return "no process is left"


def _expect(truth: bool, otherwise: str) -> None:
    if not truth:
        raise StepFailed(otherwise)


def _step(promise: str, outcome: str) -> None:
    click.echo(f"  ok      {promise}: {outcome}")
