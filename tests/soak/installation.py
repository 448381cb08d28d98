"""A whole installation in a folder: `leima serve` with its engines, and a stand-in for Apple's push service."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import requests
from cryptography.hazmat.primitives.serialization import Encoding

from app import embedded, settings
from app.settings import Settings
from certs import development, identity
from sandbox.apns import ApnsSandbox

PASS_TYPE = "pass.fi.leima.test"
ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("postgres", "valkey", "web", "web master", "apple worker", "relay", "worker")
START_SECONDS, STOP_SECONDS = 60.0, 90.0


@dataclass(frozen=True)
class Process:
    """A line of ps."""

    pid: int
    parent: int
    command: str


def processes() -> list[Process]:
    """Every process of this machine."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True)
    lines = (line.split(None, 2) for line in listed.stdout.splitlines())
    return [Process(int(pid), int(parent), rest[0] if rest else "") for pid, parent, *rest in lines]


def below(pid: int, among: list[Process]) -> list[Process]:
    """The descendants of a process, nearest first."""
    children = [process for process in among if process.parent == pid]
    return children + [found for child in children for found in below(child.pid, among)]


class Installation:
    """Starts when entered; `kill` is kill -9 of one of TARGETS, and whoever watches over it starts it again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        own = development.make(PASS_TYPE, "LEIMATEAM1", "Leima", datetime.now(UTC))
        identity.save(own, folder / "certs")
        self.apns = ApnsSandbox([own.root.public_bytes(Encoding.PEM)] if own.root else [])
        self.seen_pids: set[int] = set()

    def __enter__(self) -> "Installation":
        self.apns.start()
        (self.folder / "ca.pem").write_text(self.apns.ca_pem)
        environment = {
            "LEIMA_ENV": "demo",
            "LEIMA_DATA": str(self.folder),
            "LEIMA_PORT": str(_free_port()),
            "LEIMA_LOG_LEVEL": "warning",
            "LEIMA_CARD_LINK": "page",
            "LEIMA_WALLET_URL": "https://localhost:9",
            "LEIMA_CA_FILE": str(self.folder / "ca.pem"),
            "LEIMA_APNS_ADDRESS": f"{self.apns.address[0]}:{self.apns.address[1]}",
        }
        self.settings: Settings = settings.load(environment)
        self.url = f"http://127.0.0.1:{self.settings.port}"
        with (self.folder / "serve.log").open("wb") as log:
            self._serve = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve"],
                cwd=ROOT,
                env=os.environ | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def stop(self) -> None:
        """As Ctrl-C does."""
        self._note()
        self._serve.send_signal(signal.SIGINT)
        try:
            self._serve.wait(STOP_SECONDS)
        finally:
            if self._serve.poll() is None:
                os.killpg(self._serve.pid, signal.SIGKILL)
                self._serve.wait()
            self.apns.stop()

    def left_over(self, seconds: float = 20) -> list[Process]:
        """Processes of this installation that live on after its end."""
        deadline = time.monotonic() + seconds
        while True:
            left = [found for found in processes() if found.pid in self.seen_pids and self._is_ours(found)]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.1)

    def kill(self, target: str, chance: random.Random) -> bool:
        """kill -9. False when it does not run at the moment, because it was killed just before."""
        found = self._find(target)
        if not found:
            return False
        try:
            os.kill(chance.choice(found), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def _find(self, target: str) -> list[int]:
        if target in ("postgres", "valkey"):
            return _lock_holder(self.folder / "engines" / f"{target}.lock")
        ours = self._note()
        masters = [
            process.pid for process in ours if "gunicorn" in process.command and process.parent == self._serve.pid
        ]
        match target:
            case "web master":
                return masters
            case "web":
                return [process.pid for process in ours if process.parent in masters]
            case "worker":
                return [process.pid for process in ours if process.command.endswith("worker.py")]
            case "apple worker":
                return [process.pid for process in ours if process.command.endswith("worker.py apple")]
            case _:
                return [process.pid for process in ours if process.command.endswith("worker.py relay")]

    def _note(self) -> list[Process]:
        ours = below(self._serve.pid, processes())
        self.seen_pids |= {process.pid for process in ours}
        for engine in ("postgres", "valkey", "supervisor"):
            self.seen_pids |= set(_lock_holder(self.folder / "engines" / f"{engine}.lock"))
        return ours

    def _is_ours(self, process: Process) -> bool:
        """A number may have been given to another process in the meantime."""
        return any(word in process.command for word in ("gunicorn", "worker.py", "app.embedded", str(self.folder)))

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._serve.poll() is None:
            try:
                if requests.get(f"{self.url}/readyz", timeout=2).ok and self._find("apple worker"):
                    return
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"leima serve did not start:\n{(self.folder / 'serve.log').read_text()[-2000:]}")

    def is_running(self) -> bool:
        """Whether the engines run."""
        return embedded.is_running(self.folder)


def _lock_holder(lock: Path) -> list[int]:
    try:
        return [int(lock.read_text())]
    except (OSError, ValueError):
        return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
