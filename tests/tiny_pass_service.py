"""A tiny issuer of one kind of pass with Apple's web service over HTTP, for tests of the pretend phones."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from passes.apple.package import MIME_TYPE, PassTemplate
from passes.card import Card, CardField, StampCount
from tests.pass_samples import NOW, card, look, signing_identity, strip


@dataclass
class TinyPassService:
    """Passes by serial number, and who has registered for them. `base` is the address that passes name."""

    base: str = ""
    cards: dict[str, Card] = field(default_factory=dict)
    changed_at: dict[str, datetime] = field(default_factory=dict)
    registered: dict[tuple[str, str], str] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """Statuses that the next requests are answered with instead."""
    damage: Callable[[bytes], bytes] = bytes

    def put(self, serial: str, **changes: Any) -> None:
        """A new version of a pass."""
        version = self.cards[serial].version + 1 if serial in self.cards else 1
        self.cards[serial] = card(serial=serial, version=version, **changes)
        before = self.changed_at.get(serial, NOW - timedelta(seconds=1))
        self.changed_at[serial] = (before + timedelta(seconds=1)).replace(microsecond=0)

    def signed(self, serial: str) -> bytes:
        template = PassTemplate.prepare(look(web_service_url=f"{self.base}/apple"), signing_identity())
        return self.damage(template.with_strip(strip()).sign(self.cards[serial], datetime.now(NOW.tzinfo)))

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.statuses:
            return self.statuses.pop(0), {}, b""
        parts = path.partition("?")[0].strip("/").split("/")
        if parts[0] == "c":
            return self._pass(parts[1]) if parts[1] in self.cards else (404, {}, b"")
        if parts[2] == "log":
            self.logs += json.loads(body)["logs"]
            return 200, {}, b""
        if parts[2] == "devices" and method == "GET":
            return self._changed(parts[3], path.partition("passesUpdatedSince=")[2])
        serial = parts[-1]
        if headers.get("Authorization") != f"ApplePass {self.cards[serial].authentication_token}":
            return 401, {}, b""
        if parts[2] == "passes":
            since = headers.get("If-Modified-Since")
            if since and self.changed_at[serial] <= parsedate_to_datetime(since):
                return 304, {}, b""
            return self._pass(serial)
        key = (parts[3], serial)
        if method == "DELETE":
            self.registered.pop(key, None)
            return 200, {}, b""
        status = 200 if key in self.registered else 201
        self.registered[key] = json.loads(body)["pushToken"]
        return status, {}, b""

    def _pass(self, serial: str) -> tuple[int, dict[str, str], bytes]:
        headers = {
            "Content-Type": MIME_TYPE,
            "Content-Disposition": 'attachment; filename="card.pkpass"',
            "Last-Modified": format_datetime(self.changed_at[serial], usegmt=True),
        }
        return 200, headers, self.signed(serial)

    def _changed(self, device: str, tag: str) -> tuple[int, dict[str, str], bytes]:
        mine = [serial for known, serial in self.registered if known == device]
        versions = {serial: self.cards[serial].version for serial in mine}
        newer = [serial for serial, version in versions.items() if version > int(tag or 0)]
        if not newer:
            return 204, {}, b""
        found = {"serialNumbers": newer, "lastUpdated": str(max(versions.values()))}
        return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()


def stamps(have: int, **more: Any) -> dict[str, Any]:
    """What changes on a card with a stamp."""
    header = (CardField("stamps", "Leimoja", f"{have}/10", change_message="Leimoja nyt %@"),)
    return {"stamps": StampCount(have, 10), "header": header, **more}


@contextmanager
def serving(service: TinyPassService) -> Iterator[tuple[str, int]]:
    """Serve it as plain HTTP; the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, content = service.answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status not in (204, 304):
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - the base class's names

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield ("127.0.0.1", server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
