"""A whole installation in a folder of its own, for benchmarks: engines, web, worker, stand-ins, and many cards.

    with Installation(web_workers=2) as here:
        here.start_web()
        cards = here.fill(1000)

Everything runs as in production, durable database included; only phones, Apple and Google are stand-ins.
"""

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import requests
from sqlalchemy import Engine, text

from app import settings as settings_module
from app.db import migrate
from app.services import api_keys, programs
from app.services.context import Actor
from app.wiring import Wired
from certs import development, identity

ROOT = Path(__file__).resolve().parent.parent
PASS_TYPE = "pass.fi.leima.demo"
START_SECONDS = 60.0
STOP_SECONDS = 30.0

PROGRAM = {
    "name": "Kulma Club",
    "organization_name": "Café Kulma",
    "language": "en",
    "time_zone": "Europe/Helsinki",
    "country": "FI",
    "currency": "EUR",
    "brand_color": "#0b5d4e",
    "theme": "dark",
    "welcome_text": "Welcome! Show this card at the till.",
    "terms_text": "One stamp for each hot drink. Thirty stamps give a free coffee of any size.",
    "contact_text": "Café Kulma, Fleminginkatu 8, Helsinki",
    "website": "https://kulma.example",
    "stamps_needed": "30",
    "reward_name": "Free coffee",
    "pass_type_identifier": PASS_TYPE,
}


@dataclass(frozen=True, slots=True)
class BenchCard:
    """A card that is on one phone."""

    card_id: UUID
    member_id: UUID
    device: str
    push_token: str


class Installation:
    """One programme, and whatever was started. Everything stops, and the folder goes, at the end of `with`."""

    def __init__(self, *, web_workers: int = 2) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="leima-bench-")
        self.folder = Path(self._folder.name)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("LEIMA_")} | {
            "LEIMA_ENV": "demo",
            "LEIMA_DATA": str(self.folder),
            "LEIMA_PORT": str(self.port),
            "LEIMA_WEB_WORKERS": str(web_workers),
            "LEIMA_LOG_LEVEL": "warning",
            "LEIMA_WALLET_URL": "https://localhost:9",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.sandbox: dict[str, Any] = {}
        self.identity = development.make(PASS_TYPE, "LEIMADEMO1", "Café Kulma", datetime.now(UTC))
        identity.save(self.identity, self.folder / "certs")

    def __enter__(self) -> "Installation":
        self._wired = Wired(settings_module.load(self.environment))
        self.context = self._wired.context
        migrate.upgrade(self.context.engine)
        self.program = programs.create(self.context, "bench", PROGRAM)
        return self

    def __exit__(self, *failure: object) -> None:
        for process in reversed(self.processes.values()):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        self._wired.close()
        self._folder.cleanup()

    @property
    def pass_root(self) -> Path:
        """The PEM of the root that pretend phones trust passes by."""
        return self.folder / "certs" / PASS_TYPE / "root.pem"

    def api_key(self) -> str:
        """A new key for till software."""
        return api_keys.create(self.context, Actor(self.program.id, may_manage=True), {"name": "Till"})[1]

    def set(self, **values: str) -> None:
        """Settings (LEIMA_…, in lower case) for what is started from now on."""
        self.environment |= {f"LEIMA_{name.upper()}": value for name, value in values.items()}

    def start_sandbox(self) -> None:
        """Apple's and Google's stand-ins, and TLS before the web server, in one process."""
        folder = self.folder / "sandbox"
        folder.mkdir()
        arguments = ["--folder", str(folder), "--app-url", self.url, "--port", "0", "--pass-root", str(self.pass_root)]
        self._start("sandbox", "-m", "sandbox", *arguments)
        self.sandbox = json.loads(self._wait_for(lambda: _text(folder / "sandbox.json")))
        self.set(**{name: self.sandbox[key] for name, key in
                    (("wallet_url", "wallet_url"), ("apns_address", "apns"), ("ca_file", "ca_file"))})  # fmt: skip

    def start_web(self) -> None:
        """Gunicorn, as `leima serve` starts it."""
        self._start("web", "-m", "gunicorn", "wsgi:app")
        self._wait_for(self._is_ready)

    def start_worker(self) -> None:
        """The background process with all its channels."""
        self._start("worker", "worker.py")

    def fill(self, cards: int) -> list[BenchCard]:
        """Make that many members; see `fill`."""
        return fill(self.context.engine, self.program.id, cards, cards)

    def _start(self, name: str, *arguments: str) -> None:
        self.processes[name] = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=self.environment)

    def _is_ready(self) -> str:
        try:
            return "ready" if requests.get(f"{self.url}/readyz", timeout=2).status_code == 200 else ""
        except requests.RequestException:
            return ""

    def _wait_for(self, made: Callable[[], str]) -> str:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if found := made():
                return found
            if ended := [name for name, process in self.processes.items() if process.poll() is not None]:
                raise RuntimeError(f"ended while starting: {', '.join(ended)}")
            time.sleep(0.05)
        raise RuntimeError(f"not ready within {START_SECONDS:.0f} s")


def fill(engine: Engine, program_id: UUID, cards: int, limit: int) -> list[BenchCard]:
    """Make that many members of the programme, each with a card on a phone of its own, in a database that has none;
    return `limit` of them, evenly spread."""
    with engine.begin() as connection:
        values = {"program": program_id, "cards": cards, "at": datetime.now(UTC), "pass_type": PASS_TYPE}
        for statement in _FILL:
            connection.execute(text(statement), values)
        rows = connection.execute(text(_FILLED), {"cards": cards, "step": max(1, cards // limit)})
        made = [BenchCard(*row) for row in rows][:limit]
    vacuum(engine)
    return made


def vacuum(engine: Engine) -> None:
    """What autovacuum does after a large change, now, so that it does not run in the middle of a measurement."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE members, cards, apple_devices, apple_registrations, outbox"))


# Serial n is in everything that has to be unique, so that the rows belong together without being read back.
_FILL = (
    """INSERT INTO members (id, program_id, phone, name, email, city, language, via, status, joined_at, stamps, rewards)
    SELECT uuidv7(), :program, '+358' || lpad(n::text, 9, '0'), 'Member ' || n, '', '', 'en', '', 'active', :at, 3, 0
    FROM generate_series(1, CAST(:cards AS int)) AS n""",
    """INSERT INTO cards (id, member_id, code, link_generation, link_hash, version, changed_at, news)
    SELECT uuidv7(), id, lpad(substr(phone, 5), 16, '0'), 1, encode(sha256(phone::bytea), 'hex'), 1,
           date_trunc('second', CAST(:at AS timestamptz)), '' FROM members""",
    """INSERT INTO apple_devices (id, library_identifier, pass_type, push_token, tag, token_at)
    SELECT uuidv7(), 'phone-' || n, :pass_type, encode(sha256(n::text::bytea), 'hex'), 1, :at
    FROM generate_series(1, CAST(:cards AS int)) AS n""",
    """INSERT INTO apple_registrations (device_id, card_id, tag, registered_at)
    SELECT apple_devices.id, cards.id, 1, :at FROM generate_series(1, CAST(:cards AS int)) AS n
    JOIN apple_devices ON library_identifier = 'phone-' || n JOIN cards ON code = lpad(n::text, 16, '0')""",
)
_FILLED = """SELECT cards.id, cards.member_id, library_identifier, push_token
    FROM generate_series(1, CAST(:cards AS int), CAST(:step AS int)) AS n
    JOIN apple_devices ON library_identifier = 'phone-' || n JOIN cards ON code = lpad(n::text, 16, '0')
    ORDER BY n"""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def machine() -> str:
    """One line about the machine and how busy others keep it."""
    load = " / ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, PostgreSQL 18; "
        f"load average {load} at the start."
    )


def cpu_of(here: Installation) -> dict[str, float]:
    """CPU seconds that the web processes and the database have used so far, from /proc."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            values = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        pid = int(folder.name)
        parents.setdefault(int(values[1]), []).append(pid)
        used[pid] = (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")

    def with_children(pid: int) -> float:
        return used.get(pid, 0.0) + sum(map(with_children, parents.get(pid, ())))

    database = int(next(here.folder.glob("engines/**/postmaster.pid")).read_text().split()[0])
    web = here.processes.get("web")
    return {"web": with_children(web.pid) if web else 0.0, "database": with_children(database)}


def share(values: list[float], part: float) -> float:
    """The value that this part of all values (0 to 1) don't exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""
