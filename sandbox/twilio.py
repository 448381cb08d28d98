"""A stand-in for Twilio's messaging over TLS: sends, lists, signed delivery reports, messages from phones, faults.

    LEIMA_ENV=demo python -m sandbox.twilio --port 8453 --control-port 8454 --folder var/sandbox/twilio

What programs use is on `--port` over TLS; the control interface is on `--control-port` without. In `--folder` it writes
`ca.pem`, which clients have to trust, and `twilio.json` with the addresses and credentials to use. The last five digits
of a phone number choose its fate: sandbox/twilio_faults.py has the tables.
"""

import argparse
import base64
import hmac
import json
import os
import secrets
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Event
from typing import Any

from app import clock
from sandbox.authority import Authority
from sandbox.twilio_control import Control
from sandbox.twilio_faults import UNDELIVERED, ApiError, Faults
from sandbox.twilio_journal import Journal
from sandbox.twilio_messages import Message, Messages
from sandbox.twilio_posting import Poster, Signer
from sandbox.twilio_server import Reply, Request, Server

NUMBER = "+358457399999"
FILE, MESSAGES = "twilio.json", "messages.jsonl"


class TwilioSandbox:
    """The stand-in in threads of this process. `with TwilioSandbox(…) as twilio:` starts and stops it.

    `folder` keeps the authority (unless one is given), the account's identifiers and the messages, so that they are the
    same when it is started again.
    `inbound_url` is where the app takes messages from phones; with `shared_key`, webhooks are signed with a key of
    their own by HMAC-SHA256. `app_ca` is what the app's certificate is checked by. `seed` decides the order of reports.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        control_port: int = 0,
        inbound_url: str | None = None,
        shared_key: bool = False,
        app_ca: Path | None = None,
        now: Callable[[], datetime] = clock.now,
        seed: int = 1,
        authority: Authority | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = authority or Authority.kept_in(folder, clock.now())
        self.ca_file, self._file = authority.ca_file, folder / FILE
        kept = self._kept()
        self.account: str = kept["account_sid"]
        self.auth_token: str = kept["auth_token"]
        self.service: str = kept["messaging_service"]
        self.api_key: tuple[str, str] = (kept["api_key"], kept["api_secret"])
        self.key_id: str = kept["shared_key_id"]
        self.key_secret: str = kept["shared_key"]
        self.number = NUMBER
        signer = Signer(self.key_secret, self.key_id, "HMAC_SHA256") if shared_key else Signer(self.auth_token)
        journal = Journal(folder / MESSAGES)
        self.messages, self.faults = Messages(now, NUMBER, self.service, journal), Faults()
        self.poster = Poster(self.messages, self.account, signer, str(app_ca) if app_ca else None, seed)
        self.poster.inbound_url = inbound_url
        self.control = Control(self.messages, self.poster, self.faults)
        servers = (Server(port, self._answer, authority.context()), Server(control_port, self.control.answer))
        self._servers = servers
        self.url, self.control_url = servers[0].url, servers[1].url
        self._file.write_text(json.dumps({**kept, **self.addresses()}, indent=2) + "\n", "utf-8")

    def addresses(self) -> dict[str, str]:
        """What twilio.json holds beside the credentials."""
        return {
            "base_url": self.url,
            "control_url": f"{self.control_url}/control/",
            "ca_bundle": str(self.ca_file),
            "number": self.number,
        }

    def start(self) -> None:
        """Begin to answer. What was under way when it was killed is reported now."""
        for message in self.messages.unfinished():
            self.poster.report(message)
        for server in self._servers:
            server.start()

    def stop(self) -> None:
        """Close all connections and end; reports that wait are posted first."""
        self.faults.ended.set()
        for server in self._servers:
            server.stop()
        self.poster.stop()

    def __enter__(self) -> "TwilioSandbox":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _answer(self, request: Request) -> Reply:
        place = f"/2010-04-01/Accounts/{self.account}/Messages"
        try:
            self._authenticate(request)
            if request.path == f"{place}.json":
                return self._create(request) if request.method == "POST" else self._list(request, place)
            if request.method == "GET" and request.path.startswith(f"{place}/"):
                sid = request.path.removeprefix(f"{place}/").removesuffix(".json")
                return Reply(200, self.messages.with_sid(sid).resource(self.account))
            raise ApiError(404, 20404, f"The requested resource {request.path} was not found")
        except ApiError as error:
            return error.reply()

    def _authenticate(self, request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        for user, password in ((self.account, self.auth_token), self.api_key):
            if hmac.compare_digest(given, b"Basic " + base64.b64encode(f"{user}:{password}".encode())):
                return
        raise ApiError(401, 20003, "Authenticate")

    def _create(self, request: Request) -> Reply:
        form = request.form
        kind = self.faults.take(form.get("To", ""))
        self.faults.before(kind)
        message = self.messages.create(form, kind if kind in UNDELIVERED else "")
        shown = message.resource(self.account)
        if kind == "callbacks-first":
            self.poster.report_now(message)
        else:
            self.poster.report(message)
        self.faults.after(kind)
        return Reply(201, shown)

    def _list(self, request: Request, place: str) -> Reply:
        query = request.query
        size, page = min(int(query.get("PageSize", 50)), 1000), int(query.get("Page", 0))
        found = [message for message in reversed(self.messages.since(0, 0)) if _matches(message, query)]
        shown = found[page * size : (page + 1) * size]
        more = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in query.items() if name != "Page")
        last = (page + 1) * size >= len(found)
        content = {
            "messages": [message.resource(self.account) for message in shown],
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + len(shown),
            "uri": f"{place}.json",
            "next_page_uri": None if last else f"{place}.json?{more}&Page={page + 1}",
        }
        return Reply(200, content)

    def _kept(self) -> dict[str, str]:
        try:
            kept: dict[str, str] = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            kept = {}
        made = {
            "account_sid": f"AC{secrets.token_hex(16)}",
            "auth_token": secrets.token_hex(16),
            "api_key": f"SK{secrets.token_hex(16)}",
            "api_secret": secrets.token_hex(16),
            "messaging_service": f"MG{secrets.token_hex(16)}",
            "shared_key_id": f"webhooks_sharedkey_{secrets.token_hex(13)}",
            "shared_key": secrets.token_hex(32),
        }
        return {name: kept.get(name, value) for name, value in made.items()}


def _matches(message: Message, query: Any) -> bool:
    """The API's filters. The date is that of sending: a message that waits still has none, and is left out."""
    if query.get("To", message.to) != message.to or query.get("From", message.sender) != message.sender:
        return False
    for name, value in query.items():
        if not name.startswith("DateSent"):
            continue
        if message.sent_at is None:
            return False
        day, asked = message.sent_at.date(), _moment(value).date()
        if not {"DateSent": day == asked, "DateSent>": day >= asked, "DateSent<": day <= asked}[name]:
            return False
    return True


def _moment(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return parsedate_to_datetime(value)


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM, SIGINT or the end of the process that started this one. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.twilio", description="A stand-in for Twilio's messaging")
    parser.add_argument("--port", type=int, default=0, help="on this machine only; 0: a free one")
    parser.add_argument("--control-port", type=int, default=0, help="the control interface, without TLS; 0: a free one")
    parser.add_argument("--folder", type=Path, required=True, help="for the files that clients need")
    parser.add_argument("--inbound-url", help="where the app takes messages from phones")
    given = parser.parse_args(arguments)
    if os.environ.get("LEIMA_ENV", "production") == "production":
        sys.stderr.write("The sandbox is not for production. Set LEIMA_ENV=demo (or test)\n")
        return 2
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    parent = os.getppid()
    ports = {"port": given.port, "control_port": given.control_port}
    with TwilioSandbox(given.folder, **ports, inbound_url=given.inbound_url) as twilio:
        sys.stdout.write(f"{twilio.url}\n")
        sys.stdout.flush()
        while not ended.wait(0.5) and os.getppid() == parent:
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
