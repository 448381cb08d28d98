"""`leima demo --tour`: the main job end to end, like a customer and a cashier, over HTTP.

Starts the demo in a folder of its own on a free port, walks it, verifies the pass with the openssl program, prints
each step with its outcome, and stops everything.
"""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import requests

from app import embedded
from app.cli import tour_programme, tour_sms
from app.cli.demo_shop import PASS_TYPE
from app.cli.tour_people import Phones, StepFailed, Visitor, expect, shown_pass, sign_in, step

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90
_PHONE = "040 765 4321"


def walk() -> bool:
    """Walk the tour. True when every step did what was promised."""
    with tempfile.TemporaryDirectory(prefix="leima-tour-") as folder:
        data = Path(folder)
        try:
            with running_demo(data) as told:
                _steps(told, data)
            step("Everything has stopped", _stopped(data))
        except StepFailed as failed:
            click.echo(f"  FAILED  {failed}")
            return False
    click.echo("The tour is complete.")
    return True


def _steps(told: dict[str, Any], data: Path) -> None:
    phones = Phones(told["sandbox"]["phones_url"])
    _stamps_and_reward(told, data, phones)
    phone, card = tour_sms.texting(told, phones)
    tour_sms.credit(told, phones, phone, card)
    tour_sms.campaign(told, phones, phone)
    code = tour_programme.two_cards_and_bonus(told, card)
    tour_programme.tier(told, phones, phone, card, code)
    tour_programme.coupon(told, phones, phone, card, code)
    friends_card = tour_programme.friend(told, card, code)
    tour_programme.nps(told, card)
    tour_programme.own_data(told, friends_card)
    tour_programme.owners_data(data)


def _stamps_and_reward(told: dict[str, Any], data: Path, phones: Phones) -> None:
    customer, cashier = Visitor(told["base_url"]), Visitor(told["base_url"])
    card = customer.send(customer.open(told["join_url"]), "phone", phone=_PHONE, name="Eve Tester", terms="on")
    expect("/c/" in card.url, f"joining led to {card.url}")
    step("A customer joins with a phone number and gets to the card", card.url)

    shown = shown_pass(customer, card.url)
    code = str(shown["barcode"]["message"])
    _verify(customer.open(f"{card.url}/apple.pkpass").content, data / "certs" / PASS_TYPE / "root.pem")
    step("The Apple pass is signed, and openssl verifies it", f"card {code}, {_stamps(shown)}")

    for kind in Phones.KINDS:
        phones.add(kind, card.url)
    step("A pretend iPhone and a pretend Android hold the card", " and ".join(phones.shown()))

    till = sign_in(cashier, told)
    step("A cashier signs in to the till", till.url)
    member = cashier.send(till, "code", code=code.lower())
    expect("Eve Tester" in member.text, "the till does not show the customer")
    before = _stamps(shown)
    cashier.send(member, "count", count="1")
    cashier.send(member, "count", count="1")
    after = _stamps(shown_pass(customer, card.url))
    expect((before, after) == ("1 of 10", "2 of 10"), f"after a doubled stamp the card says {after}")
    step("A stamp sent twice (a double click) counts once", f"{before} → {after}")
    seconds = phones.wait_for("2 of 10")
    step("Both phones show the stamp by themselves", f"after {seconds:.2f} s; lock screen: {phones.lock_screen()}")

    answer = _api(told, "stamps", {"card_code": code, "count": 8}, "tour-fill")
    again = _api(told, "stamps", {"card_code": code, "count": 8}, "tour-fill")
    expect(answer == again and len(answer["issued"]) == 1, f"the API answered {answer}, then {again}")
    step("Till software fills the card; the reward is there, once", answer["issued"][0]["name"])

    reward = answer["issued"][0]["id"]
    shown_card = {"card_code": code}  # to spend, the customer shows the card
    redeemed = _api(told, f"rewards/{reward}/redeem", shown_card, "tour-redeem")
    expect(redeemed["rewards"] == 0, f"redeeming answered {redeemed}")
    second = _api_status(told, f"rewards/{reward}/redeem", shown_card, "tour-redeem-2")
    expect(second == 409, f"redeeming the reward again answered {second}")
    step("The reward is redeemed; a second time is refused", answer["issued"][0]["name"])
    step("The card begins anew", _stamps(shown_pass(customer, card.url)))


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
    expect(done.returncode == 0, f"openssl refused the pass: {done.stderr.decode()}")


def _api(told: dict[str, Any], path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    answer = _api_post(told, path, body, key)
    expect(answer.status_code == 200, f"the API answered {answer.status_code}: {answer.text}")
    found: dict[str, Any] = answer.json()
    return found


def _api_status(told: dict[str, Any], path: str, body: dict[str, Any], key: str) -> int:
    return _api_post(told, path, body, key).status_code


def _api_post(told: dict[str, Any], path: str, body: dict[str, Any], key: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {told['api_key']}", "Idempotency-Key": key}
    return requests.post(f"{told['base_url']}/api/v1/{path}", json=body, headers=headers, timeout=20)


@contextmanager
def running_demo(data: Path, *, history: bool = False) -> Iterator[dict[str, Any]]:
    """A running demo in this folder, stopped at the end as Ctrl-C does; with or without months behind it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEIMA_")}
    environment |= {"LEIMA_DATA": str(data), "LEIMA_PORT": str(port)}
    command = [sys.executable, "-m", "app.cli", "demo", "--history" if history else "--no-history"]
    with (data / "demo.log").open("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
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
                step("The demo starts", f"in {time.monotonic() - begun:.1f} s")
                told: dict[str, Any] = json.loads((data / "demo.json").read_text())
                return told
        except requests.RequestException:
            time.sleep(0.1)
    raise StepFailed(f"the demo did not answer within {START_SECONDS} s")


def _stopped(data: Path) -> str:
    expect(not embedded.is_running(data), "the engines still run")
    return "no process is left"
