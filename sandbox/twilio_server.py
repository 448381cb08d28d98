"""The HTTP servers of the Twilio stand-in: one over TLS for programs, one without for people, tests and phones."""

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from sandbox.threaded_server import ThreadedServer

_LARGEST_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """`query` and `form` have the last value of each name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return last_values(self.body.decode("utf-8", "replace"))

    @property
    def json(self) -> dict[str, Any]:
        """The body's JSON object; empty when it is none."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Reply:
    """`content` becomes JSON, unless it is a text: that is sent as it is, with the Content-Type in `headers`."""

    status: int
    content: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class Drop(Exception):
    """The connection is to be closed without an answer."""


def last_values(encoded: str) -> dict[str, str]:
    """The names and last values in a query or a form; empty values count."""
    return {name: values[-1] for name, values in parse_qs(encoded, keep_blank_values=True).items()}


class Server:
    """Answers on a port of this machine (0: a free one), in threads of this process; over TLS with a `context`."""

    def __init__(self, port: int, answer: Callable[[Request], Reply], context: ssl.SSLContext | None = None) -> None:
        self._server = _Server(("127.0.0.1", port), context, answer)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="twilio-sandbox", daemon=True)
        self.url = f"{'https' if context else 'http'}://localhost:{self._server.server_port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and end."""
        self._server.shutdown()
        self._thread.join()
        self._server.close_all()


class _Server(ThreadedServer):
    def __init__(
        self, address: tuple[str, int], context: ssl.SSLContext | None, answer: Callable[[Request], Reply]
    ) -> None:
        self.answer = answer
        super().__init__(address, context, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "LeimaTwilioSandbox"

    def handle_any(self) -> None:
        """Answer the request, or close the connection when a fault says so."""
        target = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_BODY:
            self.close_connection = True
            return
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, target.path, last_values(target.query), headers, body)
        try:
            reply = cast(_Server, self.server).answer(request)
        except Drop:
            self.close_connection = True
            return
        text = reply.content if isinstance(reply.content, str) else json.dumps(reply.content, ensure_ascii=False)
        content = text.encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - the base class's names

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: what happened is in the control API."""
