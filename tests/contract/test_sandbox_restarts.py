"""A sandbox that is killed and started again is the same to the app that goes on running."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.tiny_pass_service import TinyPassService, serving

ROOT = Path(__file__).parents[2]


@contextmanager
def running(folder: Path, app_url: str) -> Iterator[dict[str, Any]]:
    """What a sandbox says when it listens; it is killed at the end."""
    file = folder / "sandbox.json"
    before = file.stat().st_mtime_ns if file.exists() else 0
    command = [sys.executable, "-m", "sandbox", "--folder", str(folder), "--app-url", app_url, "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"LEIMA_ENV": "test"})
    try:
        deadline = time.monotonic() + 60
        while not file.exists() or file.stat().st_mtime_ns == before:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield json.loads(file.read_text())
    finally:
        process.kill()
        process.wait()


def test_addresses_and_trust_outlive_a_killed_sandbox(tmp_path: Path) -> None:
    with serving(TinyPassService()) as (host, port):
        with running(tmp_path, f"http://{host}:{port}") as first:
            trusted = Path(first["ca_file"]).read_bytes()
        with running(tmp_path, f"http://{host}:{port}") as second, requests.Session() as session:
            session.trust_env = False
            session.verify = first["ca_file"]
            assert 404 == session.get(f"{first['wallet_url']}/c/nobody", timeout=10).status_code
            assert 200 == session.get(first["google"]["keys_url"], timeout=10).status_code
    phones = ("phones_url",)  # the demo gives the page a port of its own choice
    assert {name: first[name] for name in first if name not in phones} == {
        name: second[name] for name in second if name not in phones
    }
    assert trusted == Path(second["ca_file"]).read_bytes()


def test_one_authority_vouches_for_everything(tmp_path: Path) -> None:
    with serving(TinyPassService()) as (host, port), running(tmp_path, f"http://{host}:{port}") as told:
        ca_of_apns = requests.get(f"{told['control']['apns']}/control/ca", timeout=10).text
        assert Path(told["ca_file"]).read_text() == ca_of_apns
        assert [Path(told["ca_file"])] == list(tmp_path.rglob("ca.pem"))
