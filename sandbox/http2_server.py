"""HTTP/2 over TLS for stand-ins: small whole requests in, small answers out, many streams on each connection.

The protocol is libnghttp2's (through ngh2), the transport asyncio's. TLS is done here, not by asyncio, which closes a
connection whose handshake fails without sending the alert that tells the client why. Requests that arrive in one read
are handed over together and may be answered together: that is what makes thousands a second possible.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import ngh2

LARGEST_BODY = 64 * 1024
"""Bytes of a request's body that are kept; what comes after them is read and forgotten."""

_READ = 64 * 1024


@dataclass(slots=True)
class Request:
    """A request whose last byte has arrived. Header names are lower-case and include :method and :path."""

    stream_id: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass(slots=True)
class Answer:
    """What a stream is answered with."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


class Http2Connection(asyncio.Protocol):
    """One client's connection. `on_requests` gets the requests of each read; answer them with `answer`, at any time.

    `max_streams` is announced as SETTINGS_MAX_CONCURRENT_STREAMS. After `goaway_after` requests the client is sent
    GOAWAY, with `goaway_reason` as Apple gives it; what came before is answered still, and then the connection closes.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        on_requests: Callable[["Http2Connection", Sequence[Request]], None],
        *,
        max_streams: int,
        goaway_after: int | None = None,
        goaway_reason: str = "",
        on_open: Callable[["Http2Connection"], None] | None = None,
        on_lost: Callable[["Http2Connection"], None] | None = None,
    ) -> None:
        self._on_requests = on_requests
        self._on_open, self._on_lost = on_open, on_lost
        self._goaway_after, self._goaway_reason = goaway_after, goaway_reason
        self._http = ngh2.Connection(ngh2.Role.SERVER)
        self._http.initiate_connection({ngh2.Setting.MAX_CONCURRENT_STREAMS: max_streams})
        self._transport: asyncio.Transport | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._secure = False
        self._arriving: dict[int, Request] = {}
        self._unanswered: set[int] = set()
        self._received = 0
        self._closing = False
        self.certificate: bytes | None = None
        """The client's certificate in DER, verified by TLS; None when it sent none."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server makes no other
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._on_lost:
            self._on_lost(self)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            if not self._secure:
                self._tls.do_handshake()
                self._opened()
            while plain := self._tls.read(_READ):
                self._received_plain(plain)
        except ssl.SSLWantReadError:
            self._flush()
        except (ssl.SSLError, ngh2.NGH2Error):
            self._flush()  # the alert, or GOAWAY, that says what was wrong
            self._close()

    def _opened(self) -> None:
        self._secure = True
        self.certificate = self._tls.getpeercert(binary_form=True)
        if self._tls.selected_alpn_protocol() != "h2":
            self._close()
        elif self._on_open:
            self._on_open(self)

    def _received_plain(self, data: bytes) -> None:
        self._http.receive_data(data)
        complete = [request for event in self._http.events() if (request := self._take(event))]
        for position, request in enumerate(complete):
            self._received += 1
            self._unanswered.add(request.stream_id)
            if self._received == self._goaway_after:
                self.go_away(request.stream_id)
                complete = complete[: position + 1]
                break
        if complete:
            self._on_requests(self, complete)

    def _take(self, event: ngh2.Event) -> Request | None:
        """The request that `event` completes."""
        if isinstance(event, ngh2.RequestReceived):
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
            request = Request(event.stream_id, headers)
            if event.end_stream:
                return request
            self._arriving[event.stream_id] = request
        elif isinstance(event, ngh2.DataReceived):
            arriving = self._arriving.get(event.stream_id)
            if arriving is None:
                return None
            if len(arriving.body) < LARGEST_BODY:
                arriving.body += event.data
            if event.end_stream:
                return self._arriving.pop(event.stream_id)
        elif isinstance(event, ngh2.StreamClosed):
            self._arriving.pop(event.stream_id, None)
            self._unanswered.discard(event.stream_id)
        return None

    def answer(self, answers: Iterable[tuple[int, Answer]]) -> None:
        """Answer streams. Those that the client has closed meanwhile, and a lost connection, are passed over."""
        for stream_id, answer in answers:
            if stream_id not in self._unanswered:
                continue
            self._unanswered.discard(stream_id)
            headers = ((b":status", b"%d" % answer.status), *answer.headers)
            with contextlib.suppress(ngh2.NGH2Error):
                self._http.send_response(stream_id, headers, end_stream=not answer.body)
                if answer.body:
                    self._http.send_data(stream_id, answer.body, end_stream=True)
        self._flush()
        if self._closing and not self._unanswered:
            self._close()

    def go_away(self, last_stream_id: int) -> None:
        """Tell the client that streams above `last_stream_id` are not served; close when the others are answered."""
        reason = json.dumps({"reason": self._goaway_reason}).encode() if self._goaway_reason else b""
        self._http.send_goaway(last_stream_id=last_stream_id, debug_data=reason)
        self._closing = True

    def abort(self) -> None:
        """Cut the connection as a failing network does: nothing more is sent."""
        if self._transport:
            self._transport.abort()

    def _flush(self) -> None:
        if self._transport is None:
            return
        if self._secure and (plain := self._http.data_to_send()):
            self._tls.write(plain)
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def _close(self) -> None:
        if self._transport:
            self._transport.close()
