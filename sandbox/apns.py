"""A stand-in for Apple's push service: real HTTP/2, real TLS, real certificates and tokens, Apple's rules and reasons.

    LEIMA_ENV=demo python -m sandbox.apns --port 8443 --control-port 8444 --certs var/certs

Tests run it inside themselves (`with ApnsSandbox(roots=[…]) as apns:`). It misbehaves on demand: see Behaviour, Fault
and sandbox/apns_control.py. Measured on two shared cores, it takes 14,000 pushes a second.
"""

import argparse
import asyncio
import json
import os
import signal
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from cryptography.hazmat.primitives.serialization import Encoding

from certs.identity import load_all
from sandbox.apns_control import ControlServer
from sandbox.apns_rules import PushRules, Sender
from sandbox.authority import Authority
from sandbox.http2_server import Answer, Http2Connection, Request

HOST = "127.0.0.1"


@dataclass(slots=True)
class Behaviour:
    """How the stand-in's network behaves; may be changed at any time.

    `latency` are seconds before each answer, `slow` more of them for single device tokens. `max_streams` is announced
    to new connections. `goaway_after` requests each new connection is sent GOAWAY, with `goaway_reason` when given.
    After `drop_after` more requests the connection is cut, once. `refuse_handshakes` fails TLS for new connections.
    """

    latency: float = 0.0
    slow: dict[str, float] = field(default_factory=dict)
    max_streams: int = 1000
    goaway_after: int | None = None
    goaway_reason: str = ""
    drop_after: int | None = None
    refuse_handshakes: bool = False


def _now() -> datetime:
    return datetime.now(UTC)


class ApnsSandbox:
    """The server, in a thread of its own. `roots` are the PEMs that client certificates must lead to.

    Clients know it by `authority`; without one it makes its own. `ca_pem` is what they have to trust.
    """

    def __init__(
        self,
        roots: Iterable[bytes] = (),
        *,
        authority: Authority | None = None,
        port: int = 0,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self.rules = PushRules(clock)
        self.behaviour = Behaviour()
        with tempfile.TemporaryDirectory(prefix="leima-sandbox-") as folder:
            known_by = authority or Authority.kept_in(Path(folder), _now())
            self._context, self.ca_pem = known_by.context("h2"), known_by.ca_pem
        # A client without a certificate may come: it has to bring a token then.
        self._context.verify_mode = ssl.CERT_OPTIONAL
        self._context.sni_callback = self._on_handshake
        for root in roots:
            self.trust(root)
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="apns-sandbox", daemon=True)
        self._server: asyncio.Server | None = None
        self._senders: dict[Http2Connection, Sender] = {}

    def __enter__(self) -> "ApnsSandbox":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect to."""
        return HOST, self._port

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._senders)

    def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._thread.start()
        try:
            self.up()
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """Cut all connections and end the thread."""
        self.rules.close()
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def trust(self, root: bytes) -> None:
        """Accept, in new connections, client certificates that lead to this root (PEM)."""
        self._context.load_verify_locations(cadata=root.decode())

    def up(self) -> None:
        """Listen again after `down`, on the same port."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def down(self) -> None:
        """Stop listening and cut all connections, as a service that is out."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)

    def drop(self) -> None:
        """Cut all connections; new ones are taken."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await self._loop.create_server(self._connection, HOST, self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._drop()

    async def _drop(self) -> None:
        for connection in list(self._senders):
            connection.abort()
        while self._senders:
            await asyncio.sleep(0.001)

    def _on_handshake(self, tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
        return ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE if self.behaviour.refuse_handshakes else None

    def _connection(self) -> Http2Connection:
        return Http2Connection(
            self._context,
            self._on_requests,
            max_streams=self.behaviour.max_streams,
            goaway_after=self.behaviour.goaway_after,
            goaway_reason=self.behaviour.goaway_reason,
            on_open=self._on_open,
            on_lost=self._on_lost,
        )

    def _on_open(self, connection: Http2Connection) -> None:
        self._senders[connection] = Sender.of(connection.certificate)

    def _on_lost(self, connection: Http2Connection) -> None:
        self._senders.pop(connection, None)

    def _on_requests(self, connection: Http2Connection, requests: Sequence[Request]) -> None:
        sender, behaviour = self._senders[connection], self.behaviour
        by_delay: dict[float, list[tuple[int, Answer]]] = {}
        for request in requests:
            if behaviour.drop_after is not None:
                behaviour.drop_after -= 1
                if behaviour.drop_after < 0:
                    behaviour.drop_after = None
                    connection.abort()
                    return
            delay = behaviour.latency
            if behaviour.slow:
                delay += behaviour.slow.get(request.headers[":path"].rpartition("/")[2], 0.0)
            by_delay.setdefault(delay, []).append((request.stream_id, self.rules.judge(sender, request)))
        for delay, answers in by_delay.items():
            if delay:
                self._loop.call_later(delay, connection.answer, answers)
            else:
                connection.answer(answers)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until SIGTERM, SIGINT or the end of the process that started this one."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.apns", description="A stand-in for Apple's push service")
    parser.add_argument("--port", type=int, default=0, help="HTTP/2 port for pushes; 0: a free one")
    parser.add_argument("--control-port", type=int, default=0, help="HTTP/1.1 port of the control interface")
    parser.add_argument("--ready", type=Path, help="file to write both ports to, as JSON, once they take calls")
    parser.add_argument("--certs", type=Path, help="folder of certificates whose development roots are trusted")
    chosen = parser.parse_args(arguments)
    if os.environ.get("LEIMA_ENV", "production") == "production":
        sys.exit("The sandbox does not run with production settings. Set LEIMA_ENV=demo (or test)")
    parent = os.getppid()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    identities = load_all(chosen.certs).values() if chosen.certs else ()
    roots = [identity.root.public_bytes(Encoding.PEM) for identity in identities if identity.root]
    with ApnsSandbox(roots, port=chosen.port) as apns, closing(ControlServer(apns, chosen.control_port)) as control:
        if chosen.ready:
            unfinished = chosen.ready.with_suffix(".new")
            unfinished.write_text(json.dumps({"port": apns.address[1], "control_port": control.port}))
            unfinished.rename(chosen.ready)
        while not ended.wait(0.5) and os.getppid() == parent:
            pass


if __name__ == "__main__":
    main()
