"""The push stand-in as a program: its control interface, its end, and that it is not for production."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certs import development
from certs.identity import SigningIdentity, save
from passes.apple.push import Push, Verdict
from passes.apple.push_auth import CertificateAuth, TokenAuth
from passes.apple.push_client import PushClient

TOPIC = "pass.fi.leima.demo"
HERE = Path(__file__).resolve().parents[2]


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Program:
    """A running stand-in."""

    process: subprocess.Popen[str]
    port: int
    control_port: int

    def call(self, method: str, path: str, body: object = None) -> Any:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
        url = f"http://127.0.0.1:{self.control_port}/control/{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=10) as reply:
            content = reply.read().decode()
        return content if reply.headers.get_content_type() == "text/plain" else json.loads(content)

    def client(self, auth: CertificateAuth | TokenAuth) -> PushClient:
        return PushClient(("127.0.0.1", self.port), auth=auth, clock=now, ca_pem=self.call("GET", "ca"), pause=0.01)


def run(folder: Path, *arguments: str, env: str = "test", before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-m", "sandbox.apns", "--ready", str(folder / "ready.json"), *arguments],
        cwd=HERE,
        env=os.environ | {"LEIMA_ENV": env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until_ready(process: subprocess.Popen[str], folder: Path) -> Program:
    for _ in range(1000):
        if (folder / "ready.json").exists():
            return Program(process, **json.loads((folder / "ready.json").read_text()))
        assert process.poll() is None
        time.sleep(0.02)
    raise AssertionError("the stand-in did not start")


@pytest.fixture(scope="module")
def identity() -> SigningIdentity:
    return development.make(TOPIC, "LEIMADEMO1", "Leima", now())


@pytest.fixture
def program(identity: SigningIdentity, tmp_path: Path) -> Iterator[Program]:
    save(identity, tmp_path / "certs")
    process = run(tmp_path, "--certs", str(tmp_path / "certs"))
    try:
        yield wait_until_ready(process, tmp_path)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_pushes_show_up_in_the_control_interface_at_once(program: Program, identity: SigningIdentity) -> None:
    token = program.call("POST", "devices", {"topic": TOPIC})["token"]

    with program.client(CertificateAuth(identity)) as client:
        client.send([Push(token, TOPIC)])
        [first] = program.call("GET", "pushes?since=0")["pushes"]
        assert (1, token, TOPIC, "{}") == (first["number"], first["token"], first["topic"], first["payload"])
        assert [] == program.call("GET", "pushes?since=1&wait=0.05")["pushes"]

        program.call("DELETE", f"devices/{token}")
        [gone] = client.send([Push(token, TOPIC)])
        assert Verdict.UNREGISTERED == gone.verdict


def test_it_misbehaves_on_demand_and_behaves_again(program: Program, identity: SigningIdentity) -> None:
    push = Push(program.call("POST", "devices", {})["token"], TOPIC)
    with program.client(CertificateAuth(identity)) as client:
        program.call("POST", "faults", {"reason": "ServiceUnavailable", "count": 1, "retry_after": 3})
        program.call("PATCH", "behaviour", {"latency": 0.05})
        started = time.monotonic()
        reasons = [client.send([push])[0].reason for _ in range(2)]
        assert ["ServiceUnavailable", ""] == reasons
        assert 0.1 <= time.monotonic() - started

        program.call("POST", "faults", {"reason": "TooManyRequests"})
        assert "TooManyRequests" == client.send([push])[0].reason
        program.call("DELETE", "faults")
        program.call("POST", "drop")
        assert Verdict.SENT == client.send([push])[0].verdict

        program.call("POST", "down")
        assert Verdict.RETRY == client.send([push])[0].verdict
        program.call("POST", "up")
        time.sleep(0.05)
        assert Verdict.SENT == client.send([push])[0].verdict
    assert 3 == program.call("GET", "status")["pushes"]


def test_keys_and_roots_can_be_brought_later(program: Program) -> None:
    key = generate_private_key(SECP256R1())
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    other = development.make("pass.fi.leima.other", "LEIMADEMO1", "Leima", now())
    assert other.root is not None
    token = program.call("POST", "devices", {})["token"]

    program.call("POST", "keys", {"team_id": "LEIMADEMO1", "key_id": "KEY1234567", "pem": pem})
    program.call("POST", "roots", other.root.public_bytes(Encoding.PEM).decode())
    with program.client(TokenAuth("LEIMADEMO1", "KEY1234567", key)) as by_key:
        assert Verdict.SENT == by_key.send([Push(token, TOPIC)])[0].verdict
    with program.client(CertificateAuth(other)) as by_certificate:
        assert Verdict.SENT == by_certificate.send([Push(token, "pass.fi.leima.other")])[0].verdict


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (("GET", "nothing", None), 404),
        (("POST", "faults", {"reason": "Whim"}), 400),
        (("POST", "faults", {"reasons": "Shutdown"}), 400),
        (("PATCH", "behaviour", {"speed": 1}), 400),
        (("DELETE", "devices/ab", None), 400),
        (("POST", "devices", "no JSON"), 400),
        (("POST", "roots", "no PEM"), 400),
    ],
)
def test_a_control_call_that_makes_no_sense_is_refused(
    program: Program, call: tuple[str, str, object], status: int
) -> None:
    with pytest.raises(HTTPError) as caught:
        program.call(*call)

    assert status == caught.value.code
    caught.value.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_asked_and_says_nothing(program: Program, number: signal.Signals) -> None:
    program.process.send_signal(number)
    output, _ = program.process.communicate(timeout=10)

    assert (0, "") == (program.process.returncode, output)


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    starter = run(tmp_path, before=("sh", "-c", '"$@" & wait', "sh"))
    wait_until_ready(starter, tmp_path)

    starter.kill()

    output, _ = starter.communicate(timeout=10)  # ends when the last holder of the pipe has
    assert "" == output


def test_it_does_not_run_with_production_settings(tmp_path: Path) -> None:
    process = run(tmp_path, env="production")
    output, _ = process.communicate(timeout=10)

    assert 1 == process.returncode
    assert "The sandbox does not run with production settings. Set LEIMA_ENV=demo (or test)\n" == output
