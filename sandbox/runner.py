"""The whole sandbox in one process: push service, Google Wallet, Twilio, TLS before the app, and the phones' page."""

import json
import logging
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from werkzeug.serving import WSGIRequestHandler, make_server

from app import clock
from sandbox.apns import ApnsSandbox
from sandbox.apns_control import ControlServer
from sandbox.authority import Authority
from sandbox.fault_panel import FaultPanel
from sandbox.google import GoogleSandbox
from sandbox.google_view import LocalWallet, WalletFeed
from sandbox.phone_browser import PhoneBrowser
from sandbox.phone_shelf import Shelf
from sandbox.phone_texts import Texts
from sandbox.phones import create_app
from sandbox.pkpass_signature import load_roots
from sandbox.push_feed import PushFeed
from sandbox.tls_proxy import TlsProxy
from sandbox.twilio import TwilioSandbox

FILE = "sandbox.json"
_HOST = "127.0.0.1"


class Sandbox:
    """Everything, in threads of this process. `with Sandbox(…) as sandbox:` starts and stops it.

    `folder` keeps the authority, Google's service account, Twilio's account with its messages, and sandbox.json, which
    is written when all listen. `app_url` is where the app answers plain HTTP, `port` where the phones' page does (0:
    anywhere). `pass_roots` are PEMs: by them the phones trust passes, and the push service its clients. `public_url` is
    the address that the app has given itself, to which Twilio posts and by which it signs. Raises RuntimeError with
    production settings.
    """

    def __init__(
        self, folder: Path, app_url: str, port: int = 0, pass_roots: Sequence[bytes] = (), public_url: str = ""
    ) -> None:
        if os.environ.get("LEIMA_ENV") == "production":
            raise RuntimeError("Sandbox code can't run in production settings")
        self.folder = folder
        self._before = _read(folder / FILE)
        self.authority = Authority.kept_in(folder, clock.now())
        # Cards that are on phones name the proxy's address, so it stays the same when the sandbox starts again.
        app = urlsplit(app_url)
        self.proxy = TlsProxy(
            self.authority.context(),
            (app.hostname or _HOST, app.port or 80),
            _port_in(self._before.get("wallet_url", "")),
        )
        self.apns = ApnsSandbox(pass_roots, authority=self.authority, port=_port_in(self._before.get("apns", "")))
        before = self._before.get("google", {})
        self.google = GoogleSandbox(
            folder / "google",
            authority=self.authority,
            port=_port_in(before.get("api_url", "")),
            page_port=_port_in(before.get("save_url", "")),
        )
        before = self._before.get("twilio", {})
        self.public_url = public_url.rstrip("/") or app_url
        self.twilio = TwilioSandbox(
            folder / "twilio",
            authority=self.authority,
            port=_port_in(before.get("api_url", "")),
            control_port=_port_in(self._before.get("control", {}).get("twilio", "")),
            inbound_url=f"{self.public_url}/sms/twilio/inbound",
        )
        self.ca_file = self.authority.ca_file
        self.pushes, self.changes = PushFeed(self.apns.rules), WalletFeed(LocalWallet(self.google))
        self.faults = FaultPanel(self.apns, self.google, self.twilio)
        self.roots = [root for pem in pass_roots for root in load_roots(pem)]
        self._app_url, self._port = app_url, port

    def __enter__(self) -> "Sandbox":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen everywhere, then write sandbox.json. Raises SystemExit, having said why, when the port is taken."""
        self.proxy.start()
        self.apns.start()
        self.google.start()
        self.twilio.start()
        self.control = ControlServer(self.apns, _port_in(self._before.get("control", {}).get("apns", "")))
        self.shelf = Shelf(
            wallet_url=self.proxy.url,
            ca_file=str(self.ca_file),
            roots=self.roots,
            pushes=self.pushes,
            changes=self.changes,
            texts=Texts(self.twilio),
            browser=PhoneBrowser(self.public_url, self.proxy.url, str(self.ca_file)),
            demo_file=self.folder.parent / "demo.json",
        )
        app = create_app(self.shelf, self.faults, self.public_url)
        self._server = make_server(_HOST, self._port, app, threaded=True, request_handler=_Quiet)
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="phones-page", daemon=True)
        self._thread.start()
        self.phones_url = f"http://localhost:{self._server.server_port}/sandbox/phones"
        self._write(self.folder / FILE)

    def stop(self) -> None:
        """Stop everything; phones first, so that they don't complain about the rest."""
        self.faults.close()
        self.shelf.close()
        self.pushes.stop()
        self.changes.stop()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.control.close()
        self.twilio.stop()
        self.google.stop()
        self.apns.stop()
        self.proxy.stop()

    def told(self) -> dict[str, Any]:
        """What sandbox.json says."""
        return {
            "ca_file": str(self.ca_file),
            "wallet_url": self.proxy.url,
            "apns": f"localhost:{self.apns.address[1]}",
            "google": {
                "issuer_id": self.google.issuer_id,
                "service_account": str(self.google.account_file),
                "api_url": self.google.url,
                "save_url": self.google.save_url,
                "keys_url": self.google.keys_url,
            },
            "twilio": {
                "account_sid": self.twilio.account,
                "auth_token": self.twilio.auth_token,
                "number": self.twilio.number,
                "messaging_service": self.twilio.service,
                "api_url": self.twilio.url,
            },
            "phones_url": self.phones_url,
            "control": {
                "apns": self.control.url,
                "google": self.google.page_url,
                "twilio": self.twilio.control_url,
            },
        }

    def _write(self, file: Path) -> None:
        part = file.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(json.dumps(self.told(), indent=2) + "\n", "utf-8")
        part.replace(file)


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: what happens is on the page."""


def _read(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _port_in(address: str) -> int:
    """The port in an address that a server had the last time, when it is free still; else 0, for any."""
    match = re.search(r"(?:localhost|127\.0\.0\.1):(\d+)", address)
    port = int(match[1]) if match else 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return 0
    return port


def silence() -> None:
    """Let libraries say warnings only: the process prints nothing of its own."""
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
