"""One HTTP/2 connection to a push service: many requests at once, each answered, lost, or free to go elsewhere.

ngh2 (libnghttp2) speaks HTTP/2, Python's ssl speaks TLS, and this module moves the bytes between them. It knows nothing
of Apple. Sources: RFC 9113, sections 5.1.2 (stream limits), 6.8 (GOAWAY) and 8.7 (what may be sent again).
"""

import contextlib
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import ngh2

Header = tuple[bytes, bytes]
Headers = list[Header]

MOST_STREAMS = 1000
"""Requests that are open at a time, when the server allows more or sets no limit."""

_PING_SECONDS = 2.0
_READ = 64 * 1024
_LARGEST_BODY = 4096

_OUR_CERTIFICATE = {
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "TLSV1_ALERT_UNKNOWN_CA",
    "TLSV1_ALERT_ACCESS_DENIED",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
}
"""OpenSSL's names of the alerts by which a server says that it does not like the client's certificate."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer to one request. `body` holds its first four kilobytes."""

    status: int
    headers: Sequence[Header]
    body: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody knows whether the server got the request. `permanent` when trying again unchanged can't help."""

    reason: str
    detail: str
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class Unseen:
    """The server has not looked at the request: it may go on another connection at once.

    `said` is what the server gave as its reason for closing the connection, if it did.
    """

    said: bytes = b""


Outcome = Answer | Lost | Unseen


class ConnectError(Exception):
    """No connection could be made."""

    def __init__(self, lost: Lost) -> None:
        super().__init__(lost.detail)
        self.lost = lost


@dataclass(slots=True)
class _Stream:
    index: int
    opened: float
    headers: Sequence[Header] = ()
    body: bytes = b""


class PushConnection:
    """An open connection. Connects when made, within `connect_seconds`; raises ConnectError.

    It waits for the server's first SETTINGS: they give the stream limit, and only they prove that the server took the
    client's certificate, since in TLS 1.3 the client's handshake ends before the server has looked at it.
    """

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, connect_seconds: float) -> None:
        self._http = ngh2.Connection(ngh2.Role.CLIENT)
        self._streams: dict[int, _Stream] = {}
        self._outcomes: list[Outcome] = []
        self._output = b""
        self._limit = MOST_STREAMS
        self._ready = self._ping_answered = False
        self._goaway: Unseen | None = None
        self._end: Lost | None = None
        deadline = time.monotonic() + connect_seconds
        self._socket = _connect(address, context, connect_seconds)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._heard = time.monotonic()
        self._http.initiate_connection({ngh2.Setting.ENABLE_PUSH: 0})
        while not self._ready and not self._end and time.monotonic() < deadline:
            self._turn(deadline)
        if not self._ready:
            silent = Lost("Timeout", f"{address[0]} took the connection but said nothing for {connect_seconds:g} s")
            lost = self._end or silent
            self.close()
            raise ConnectError(lost)

    @property
    def usable(self) -> bool:
        """Whether new requests can be sent on it, as far as one can know without trying."""
        return self._end is None and self._goaway is None and self._http.can_send_request

    def alive(self, silent_seconds: float) -> bool:
        """Whether a kept connection still works. After `silent_seconds` of silence this asks the server: up to 2 s."""
        if self.usable:
            self._turn(0.0)
        if self.usable and time.monotonic() - self._heard > silent_seconds:
            deadline = time.monotonic() + _PING_SECONDS
            self._ping_answered = False
            self._http.ping()
            while not self._ping_answered and self.usable and time.monotonic() < deadline:
                self._turn(deadline)
            return self._ping_answered and self.usable
        return self.usable

    def exchange(
        self, requests: Sequence[tuple[Headers, bytes]], each_seconds: float, deadline: float
    ) -> list[Outcome]:
        """Send requests (headers and body) and collect what became of each, in their order.

        Each is waited for `each_seconds`; what is not sent at `deadline` (time.monotonic) stays Unseen.
        """
        self._outcomes = [Unseen()] * len(requests)
        waiting = deque(range(len(requests)))
        while waiting or self._streams:
            now = time.monotonic()
            self._expire(now, each_seconds)
            if self._end or now >= deadline:
                break
            self._open(waiting, requests, now)
            if not self._streams and not (waiting and self.usable):
                break
            oldest = next(iter(self._streams.values()), None)
            self._turn(min(deadline, oldest.opened + each_seconds) if oldest else deadline)
        for stream in self._streams.values():
            self._outcomes[stream.index] = self._end or Lost("Timeout", "The server did not answer in time")
        if self._goaway:
            for index in waiting:
                self._outcomes[index] = self._goaway
        if self._streams or not self.usable:
            self.close()
        self._streams.clear()
        return self._outcomes

    def close(self) -> None:
        """Close at once. What is open is lost."""
        self._end = self._end or Lost("Closed", "The connection was closed")
        self._selector.close()
        self._socket.close()

    def _open(self, waiting: deque[int], requests: Sequence[tuple[Headers, bytes]], now: float) -> None:
        while waiting and len(self._streams) < self._limit and self.usable:
            index = waiting.popleft()
            headers, body = requests[index]
            stream_id = self._http.send_request(headers)
            self._http.send_data(stream_id, body, end_stream=True)
            self._streams[stream_id] = _Stream(index, now)

    def _expire(self, now: float, each_seconds: float) -> None:
        """Give up requests that have waited too long, and the connection when it was silent all that time."""
        for stream_id, stream in list(self._streams.items()):
            if now - stream.opened < each_seconds:
                return  # the others were opened later
            if self._heard <= stream.opened:
                self._end = Lost("Timeout", f"The server said nothing for {each_seconds:g} s")
                return
            self._outcomes[stream.index] = Lost("Timeout", f"The server did not answer in {each_seconds:g} s")
            del self._streams[stream_id]
            with contextlib.suppress(ngh2.NGH2Error):
                self._http.reset_stream(stream_id)

    def _turn(self, deadline: float) -> None:
        """Write what can be written, then wait until `deadline` at most for something to read, and read it."""
        try:
            self._write()
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._output else 0)
            self._selector.modify(self._socket, events)
            if self._selector.select(max(0.0, deadline - time.monotonic())):
                self._read()
                self._write()
        except (OSError, ngh2.NGH2Error) as error:
            self._end = self._alert() or _lost(error)

    def _alert(self) -> Lost | None:
        """Why the server closed, when it said so in a TLS alert that was overtaken by a failing write."""
        try:
            self._socket.recv(_READ)
        except ssl.SSLError as error:
            return _lost(error) if error.reason in _OUR_CERTIFICATE else None
        except OSError:
            return None
        return None

    def _write(self) -> None:
        while self._output or self._http.want_write:
            self._output = self._output or self._http.data_to_send()
            if not self._output:
                return
            try:
                self._output = self._output[self._socket.send(self._output) :]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(_READ)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not data:
                self._end = Lost("ConnectionLost", "The server closed the connection")
                return
            self._heard = time.monotonic()
            self._http.receive_data(data)
            self._take(self._http.events())

    def _take(self, events: Iterable[ngh2.Event]) -> None:
        for event in events:
            if isinstance(event, ngh2.ResponseReceived):
                if stream := self._streams.get(event.stream_id):
                    stream.headers = event.headers
            elif isinstance(event, ngh2.DataReceived):
                if (stream := self._streams.get(event.stream_id)) and len(stream.body) < _LARGEST_BODY:
                    stream.body += event.data
            elif isinstance(event, ngh2.StreamClosed):
                if stream := self._streams.pop(event.stream_id, None):
                    self._outcomes[stream.index] = self._outcome(stream, event.error_code)
            elif isinstance(event, ngh2.GoAwayReceived):
                self._goaway = Unseen(event.debug_data)
            elif isinstance(event, ngh2.SettingsReceived):
                self._ready = True
                self._limit = min(event.settings.get(ngh2.Setting.MAX_CONCURRENT_STREAMS, self._limit), MOST_STREAMS)
            elif isinstance(event, ngh2.PingAcknowledged):
                self._ping_answered = True

    def _outcome(self, stream: _Stream, error_code: int) -> Outcome:
        if error_code == ngh2.ErrorCode.REFUSED_STREAM:
            return self._goaway or Unseen()
        status = dict(stream.headers).get(b":status", b"")
        if not status.isdigit():
            return Lost("StreamReset", f"The server broke off the request (HTTP/2 error {error_code})")
        return Answer(int(status), stream.headers, stream.body)


def _connect(address: tuple[str, int], context: ssl.SSLContext, seconds: float) -> ssl.SSLSocket:
    try:
        plain = socket.create_connection(address, timeout=seconds)
    except OSError as error:
        reason = "Timeout" if isinstance(error, TimeoutError) else "ConnectFailed"
        raise ConnectError(Lost(reason, f"{address[0]}:{address[1]} can't be reached: {error}")) from error
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secure = context.wrap_socket(plain, server_hostname=address[0])
    except OSError as error:
        plain.close()
        raise ConnectError(_lost(error)) from error
    if secure.selected_alpn_protocol() != "h2":
        secure.close()
        raise ConnectError(Lost("NotHttp2", f"{address[0]}:{address[1]} does not speak HTTP/2"))
    secure.setblocking(False)
    return secure


def _lost(error: Exception) -> Lost:
    """What a failure of the network, of TLS or of HTTP/2 means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Lost("UntrustedServer", f"The server's certificate is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError) and error.reason in _OUR_CERTIFICATE:
        said = error.reason.partition("ALERT_")[2].replace("_", " ").lower()
        return Lost("CertificateRefused", f"The server does not accept our certificate: {said}", permanent=True)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return Lost("TlsFailed", f"No secure connection could be made: {error.reason or error}")
    if isinstance(error, ngh2.NGH2Error):
        return Lost("ProtocolError", f"The server broke the rules of HTTP/2: {error}")
    if isinstance(error, TimeoutError):
        return Lost("Timeout", "The server did not answer in time")
    return Lost("ConnectionLost", f"The connection was lost: {error}")
