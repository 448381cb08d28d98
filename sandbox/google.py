"""A stand-in for Google Wallet over TLS: access tokens, walletobjects v1, save links, signed callbacks, faults.

    LEIMA_ENV=demo python -m sandbox.google --port 8443 --page-port 8444 --folder var/sandbox/google

What programs use is on `--port` over TLS. `--page-port` has the same without TLS, for people: browsers don't know the
sandbox's certificate, and the save link leads there. In `--folder` it writes `service-account.json`, as Google Cloud
would, `ca.pem`, which clients have to trust, and `google.json` with the addresses to use.
"""

import argparse
import json
import logging
import os
import signal
import ssl
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from app import clock
from sandbox.authority import Authority
from sandbox.google_accounts import Accounts, TokenRefused, service_account
from sandbox.google_api import Reply, WalletApi, reply_to
from sandbox.google_control import Control
from sandbox.google_errors import ApiError
from sandbox.google_faults import Drop, Faults
from sandbox.google_save import DEFAULT_USER, SavePage
from sandbox.google_signing import CallbackSender, CallbackSigner
from sandbox.google_state import WalletState
from sandbox.threaded_server import ThreadedServer

ISSUER_ID = "3388000000000000001"
EMAIL = "leima@leima-sandbox.iam.gserviceaccount.com"
_LARGEST_BODY = 10 * 1024 * 1024


class GoogleSandbox:
    """The stand-in in threads of this process. `with GoogleSandbox(…) as google:` starts and stops it.

    What it writes into `folder` is said above; the service account and the root key of callbacks stay the same when it
    is started again. `port` and `page_port` 0 take free ones. `now` is the clock for tokens, keys and quotas of a day.
    Clients know it by `authority`, and it so knows https addresses of callbacks; without one it keeps its own there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        authority: Authority | None = None,
        port: int = 0,
        page_port: int = 0,
        issuer_id: str = ISSUER_ID,
        now: Callable[[], datetime] = clock.now,
        token_lifetime: timedelta = timedelta(hours=1),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.issuer_id = issuer_id
        self.state, self.faults = WalletState(now), Faults()
        self.accounts = Accounts(now, token_lifetime)
        self.signer = CallbackSigner.kept_in(folder / "callback-root.pem", now)
        known_by = authority or Authority.kept_in(folder, clock.now())
        context, self.ca_file = known_by.context(), known_by.ca_file
        servers = (_Server(("127.0.0.1", port), context, self), _Server(("127.0.0.1", page_port), None, self))
        self.url = f"https://localhost:{servers[0].server_port}"
        self.page_url = f"http://localhost:{servers[1].server_port}"
        self.save_url, self.keys_url = f"{self.page_url}/gp/v/save/", f"{self.url}/gp/m/issuer/keys"
        self.account_file = folder / "service-account.json"
        self.accounts.register(service_account(self.account_file, EMAIL, f"{self.url}/token"), issuer_id)
        (folder / "google.json").write_text(json.dumps(self.addresses(), indent=2), "utf-8")
        self.sender = CallbackSender(self.ca_file)
        self.save_page = SavePage(self.state, self.accounts, self.signer, self.sender)
        self.api = WalletApi(self.state, self.accounts, self.faults)
        self.control = Control(self.state, self.accounts, self.faults, self.save_page, self.sender)
        self._running = [
            (server, Thread(target=server.serve_forever, args=(0.05,), name="google-sandbox", daemon=True))
            for server in servers
        ]

    def addresses(self) -> dict[str, str]:
        """What google.json holds: all that a client needs to know."""
        return {
            "issuer_id": self.issuer_id,
            "service_account": str(self.account_file),
            "base_url": self.url,
            "save_url": self.save_url,
            "keys_url": self.keys_url,
            "control_url": f"{self.page_url}/control/",
            "ca_bundle": str(self.ca_file),
        }

    def start(self) -> None:
        """Begin to answer."""
        for _server, thread in self._running:
            thread.start()

    def stop(self) -> None:
        """Close all connections and end; callbacks that wait are posted first."""
        for server, thread in self._running:
            server.shutdown()
            thread.join()
            server.close_all()
        self.sender.stop()

    def __enter__(self) -> "GoogleSandbox":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


class _Server(ThreadedServer):
    def __init__(self, address: tuple[str, int], context: ssl.SSLContext | None, sandbox: GoogleSandbox) -> None:
        self.sandbox = sandbox
        super().__init__(address, context, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "LeimaGoogleSandbox"

    def handle_any(self) -> None:
        """Answer the request, or close the connection when a fault says so."""
        sandbox = cast(_Server, self.server).sandbox
        try:
            reply = self._reply(sandbox)
        except ApiError as error:
            reply = reply_to(error)
        except Drop:
            self.close_connection = True
            return
        content = reply.content
        self.send_response(reply.status)
        for name, value in (reply.headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815 - the base class's names

    def _reply(self, sandbox: GoogleSandbox) -> Reply:
        body = self._body()
        target = urlsplit(self.path)
        authorization = self.headers.get("Authorization", "")
        if not target.path.startswith("/control/"):
            sandbox.faults.wait()
        if target.path.startswith("/walletobjects/"):
            reply, late_fault = sandbox.api.answer(self.command, self.path, authorization, body)
            if late_fault is not None:
                late_fault.happen()
            return reply
        if target.path == "/batch":
            return sandbox.api.batch(self.headers.get("Content-Type", ""), authorization, body)
        if target.path == "/token":
            return _token(sandbox, body)
        if target.path == "/gp/m/issuer/keys":
            sandbox.faults.before(target.path)
            return Reply(200, sandbox.signer.published_keys())
        if target.path.startswith("/gp/v/save/"):
            token = target.path.removeprefix("/gp/v/save/")
            if self.command == "POST":
                as_page = "text/html" in self.headers.get("Accept", "")
                return sandbox.save_page.save(token, _form(body).get("user", DEFAULT_USER), as_page)
            return sandbox.save_page.show(token)
        if target.path.startswith("/control/"):
            query = {name: values[-1] for name, values in parse_qs(target.query).items()}
            return sandbox.control.answer(self.command, target.path[len("/control/") :], query, _json(body))
        raise ApiError(404, f"{target.path} was not found.")

    def _body(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_BODY:
            self.close_connection = True
            raise ApiError(400, "The request is too large.")
        return self.rfile.read(length)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: what happened is in the control API."""


def _token(sandbox: GoogleSandbox, body: bytes) -> Reply:
    sandbox.faults.before("/token")
    try:
        return Reply(200, sandbox.accounts.issue(_form(body).get("assertion", ""), f"{sandbox.url}/token"))
    except TokenRefused as refused:
        return Reply(400, {"error": refused.error, "error_description": refused.description})


def _form(body: bytes) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        raise ApiError(400, "The body is not JSON.") from None


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM, SIGINT or the end of the process that started this one. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.google", description="A stand-in for Google Wallet")
    parser.add_argument("--port", type=int, default=0, help="on this machine only; 0: a free one")
    parser.add_argument("--page-port", type=int, default=0, help="the same without TLS, for browsers; 0: a free one")
    parser.add_argument("--folder", type=Path, required=True, help="for the files that clients need")
    given = parser.parse_args(arguments)
    if os.environ.get("LEIMA_ENV", "production") == "production":
        sys.stderr.write("The sandbox is not for production. Set LEIMA_ENV=demo (or test)\n")
        return 2
    logging.basicConfig(level=logging.WARNING)
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    parent = os.getppid()
    with GoogleSandbox(given.folder, port=given.port, page_port=given.page_port) as google:
        sys.stdout.write(f"{google.url}\n")
        sys.stdout.flush()
        while not ended.wait(0.5) and os.getppid() == parent:
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
