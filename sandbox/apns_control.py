"""The control interface of the push stand-in, JSON over HTTP/1.1 on this machine only.

| call | does |
|---|---|
| GET /control/status | `{"port", "connections", "devices", "pushes", "behaviour"}` |
| GET /control/ca | the PEM that clients have to trust |
| GET /control/pushes?since=N&wait=S | accepted pushes after number N; waits up to S seconds (60 at most) for one |
| POST /control/devices `{"topic"}` | issues a device token: `{"token"}`; without a topic it takes pushes of any |
| DELETE /control/devices/TOKEN | the pass left that phone: 410 from now on |
| POST /control/keys `{"team_id", "key_id", "pem"}` | accepts tokens signed by the holder of this public key |
| POST /control/roots, a PEM | accepts client certificates that lead to this root |
| POST /control/faults `{"reason", "token", "count", "share", "retry_after"}` | answers so instead; see Fault |
| DELETE /control/faults | ends all faults |
| PATCH /control/behaviour | changes latency, stream limit and so on; see Behaviour |
| POST /control/drop, /control/down, /control/up | cuts connections; goes out of service; comes back |
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sandbox.apns_rules import STATUSES, Fault

if TYPE_CHECKING:
    from sandbox.apns import ApnsSandbox

LONGEST_WAIT = 60.0
_LARGEST_BODY = 64 * 1024


class ControlServer:
    """Serves the control interface of `apns` on `port` (0: a free one) from its making until `close`."""

    def __init__(self, apns: "ApnsSandbox", port: int = 0) -> None:
        handler = type("Handler", (_Handler,), {"apns": apns})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="apns-control", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The address that the calls' paths are added to."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    apns: "ApnsSandbox"
    protocol_version = "HTTP/1.1"
    timeout = 120

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what happened is in the log of pushes."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names are the base class's

    def _serve(self) -> None:
        url = urlsplit(self.path)
        name, _, rest = url.path.removeprefix("/control/").partition("/")
        call = getattr(self, f"_{self.command.lower()}_{name}", None) if url.path.startswith("/control/") else None
        body = self.rfile.read(min(int(self.headers.get("content-length") or 0), _LARGEST_BODY))
        if call is None:
            self._reply(HTTPStatus.NOT_FOUND, {"error": f"There is no {self.command} {url.path}"})
            return
        try:
            query = {key: values[-1] for key, values in parse_qs(url.query).items()}
            answer = call(rest, query, body)
        except (ValueError, KeyError, TypeError, OSError) as error:
            self._reply(HTTPStatus.BAD_REQUEST, {"error": f"{type(error).__name__}: {error}"})
            return
        self._reply(HTTPStatus.OK, answer)

    def _reply(self, status: HTTPStatus, answer: object) -> None:
        content, kind = (answer.encode(), "text/plain") if isinstance(answer, str) else (b"", "")
        if not kind:
            content, kind = json.dumps(answer).encode(), "application/json"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _get_status(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        apns, rules = self.apns, self.apns.rules
        counts = {"connections": apns.connections, "devices": len(rules.devices), "pushes": len(rules.log)}
        return {"port": apns.address[1], **counts, "behaviour": asdict(apns.behaviour)}

    def _get_ca(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        return self.apns.ca_pem

    def _get_pushes(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        wait = min(float(query.get("wait", 0)), LONGEST_WAIT)
        return {"pushes": [asdict(push) for push in self.apns.rules.pushes(int(query.get("since", 0)), wait)]}

    def _post_devices(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        return {"token": self.apns.rules.issue(_fields(body).get("topic"))}

    def _delete_devices(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        self.apns.rules.unregister(rest)
        return {}

    def _post_keys(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        given = _fields(body)
        key = load_pem_public_key(given["pem"].encode())
        if not isinstance(key, EllipticCurvePublicKey):
            raise ValueError("a push key is an elliptic curve key")
        self.apns.rules.register_key(given["team_id"], given["key_id"], key)
        return {}

    def _post_roots(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        self.apns.trust(body)
        return {}

    def _post_faults(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        fault = Fault(**_fields(body))
        if fault.reason not in STATUSES:
            raise ValueError(f"{fault.reason} is none of Apple's reasons")
        self.apns.rules.add_fault(fault)
        return {}

    def _delete_faults(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        self.apns.rules.clear_faults()
        return {}

    def _patch_behaviour(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        changed = replace(self.apns.behaviour, **_fields(body))
        for item in fields(changed):
            setattr(self.apns.behaviour, item.name, getattr(changed, item.name))
        return asdict(changed)

    def _post_drop(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        self.apns.drop()
        return {}

    def _post_down(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        self.apns.down()
        return {}

    def _post_up(self, rest: str, query: Mapping[str, str], body: bytes) -> object:
        self.apns.up()
        return {}


def _fields(body: bytes) -> dict[str, Any]:
    loaded = json.loads(body or b"{}")
    if not isinstance(loaded, dict):
        raise ValueError("the body has to be a JSON object")
    return loaded
