"""Sends pushes to Apple Wallet: one kept HTTP/2 connection, many pushes on it at a time."""

import contextlib
import json
import os
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType

from certs.identity import CertificateError
from passes.apple.push import PAYLOAD, TOKEN, Push, PushError, Result, Verdict, explain, verdict
from passes.apple.push_auth import CertificateAuth, TokenAuth
from passes.apple.push_connection import Answer, ConnectError, Headers, Lost, Outcome, PushConnection, Unseen

APPLE = ("api.push.apple.com", 443)
"""Passes know no other: Apple's development push service is for apps."""

LONGEST_PAUSE = 30.0
"""Seconds between tries to connect, at most."""


class PushClient:
    """Sends pushes with one set of credentials.

    `clock` gives the aware time, for the certificate's dates and the token's age. `ca_pem` is what the server's
    certificate is checked against, instead of the system's authorities. A connection is made within `connect_seconds`,
    an answer is awaited for `push_seconds`, and `send` as a whole ends within `send_seconds`. A connection that was
    silent for `silent_seconds` is tried with a ping before it is used again. When connecting fails, no other try is
    made for `pause` seconds, twice as long after each further failure.

    For one thread, and one process: a connection can't be shared with a forked child, which has to make a client of
    its own (`send` raises PushError when it doesn't).
    """

    def __init__(
        self,
        address: tuple[str, int] = APPLE,
        *,
        auth: CertificateAuth | TokenAuth,
        clock: Callable[[], datetime],
        ca_pem: str | None = None,
        connect_seconds: float = 5.0,
        push_seconds: float = 10.0,
        send_seconds: float = 60.0,
        silent_seconds: float = 30.0,
        pause: float = 0.5,
    ) -> None:
        self._address, self._auth, self._clock, self._ca_pem = address, auth, clock, ca_pem
        self._connect_seconds, self._push_seconds, self._send_seconds = connect_seconds, push_seconds, send_seconds
        self._silent_seconds, self._first_pause = silent_seconds, pause
        self._failures, self._not_before = 0, 0.0
        self._connection: PushConnection | None = None
        self._context: ssl.SSLContext | None = None
        self._process = os.getpid()

    def __enter__(self) -> "PushClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connection. The client may be used again."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def send(self, pushes: Sequence[Push]) -> list[Result]:
        """Send all, and tell what became of each, in their order.

        Never raises for what the network or Apple does: the results say it. After GOAWAY, what Apple has not looked at
        goes on a new connection at once. When the connection is lost, what was under way on it is RETRY.
        """
        if os.getpid() != self._process:
            raise PushError("A forked process has to make a push client of its own")
        results = {i: _malformed(push) for i, push in enumerate(pushes) if not TOKEN.fullmatch(push.token)}
        rest = [index for index in range(len(pushes)) if index not in results]
        deadline = time.monotonic() + self._send_seconds
        while rest:
            left = len(rest)
            outcomes = self._attempt([pushes[index] for index in rest], deadline)
            for index, outcome in zip(rest, outcomes, strict=True):
                if result := self._result(pushes[index], outcome):
                    results[index] = result
            rest = [index for index in rest if index not in results]
            # A server that only ever says GOAWAY must not keep us here: go on as long as something gets done.
            if len(rest) == left or time.monotonic() >= deadline:
                break
        for index in rest:
            detail = "The push service took no more pushes for now"
            results[index] = Result(pushes[index], Verdict.RETRY, reason="NotSent", detail=detail)
        return [results[index] for index in range(len(pushes))]

    def _attempt(self, pushes: Sequence[Push], deadline: float) -> Sequence[Outcome]:
        """What became of the pushes on one connection."""
        now = self._clock()
        try:
            self._auth.ensure_valid(now)
            connection = self._connected(deadline)
        except CertificateError as error:
            return [Lost("CertificateExpired", str(error), permanent=True)] * len(pushes)
        except ConnectError as error:
            return [error.lost] * len(pushes)
        proof = self._auth.headers(now)
        outcomes = connection.exchange(
            [(self._headers(push, proof), PAYLOAD) for push in pushes], self._push_seconds, deadline
        )
        if any(isinstance(outcome, Answer) for outcome in outcomes):
            self._failures = 0
        elif not connection.usable:
            self._failed()
        return outcomes

    def _headers(self, push: Push, proof: Mapping[bytes, bytes]) -> Headers:
        # No apns-push-type: Apple requires it for apps on watchOS only, and “background” would allow priority 5 alone
        # and let phones put it off. No apns-expiration: without it Apple keeps the newest push for a sleeping phone.
        return [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", self._address[0].encode()),
            (b":path", b"/3/device/" + push.token.encode()),
            (b"apns-topic", push.topic.encode()),
            (b"apns-priority", b"%d" % push.priority),
            *proof.items(),
        ]

    def _connected(self, deadline: float) -> PushConnection:
        """The kept connection if it still works, else a new one. Raises ConnectError."""
        if self._connection and self._connection.alive(self._silent_seconds):
            return self._connection
        self.close()
        wait = self._not_before - time.monotonic()
        if wait > 0:
            raise ConnectError(Lost("Waiting", f"The push service could not be reached; next try in {wait:.1f} s"))
        if self._context is None:
            self._context = self._tls()
        seconds = min(self._connect_seconds, max(0.1, deadline - time.monotonic()))
        try:
            self._connection = PushConnection(self._address, self._context, seconds)
        except ConnectError:
            self._failed()
            raise
        return self._connection

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self._ca_pem)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        self._auth.prepare(context)
        return context

    def _failed(self) -> None:
        pause = min(LONGEST_PAUSE, self._first_pause * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        self._not_before = time.monotonic() + pause

    def _result(self, push: Push, outcome: Outcome) -> Result | None:
        """What the outcome means; None when the push may go on a new connection at once."""
        if isinstance(outcome, Answer):
            return _answered(push, outcome)
        if isinstance(outcome, Unseen):
            # Apple says in GOAWAY why it closes a connection. A reason that lies with us would only come again.
            reason = str(_json(outcome.said).get("reason", ""))
            if not reason or verdict(403, reason) is not Verdict.REFUSED:
                return None
            return Result(push, Verdict.REFUSED, reason=reason, detail=explain(0, reason))
        what = Verdict.REFUSED if outcome.permanent else Verdict.RETRY
        wait = max(0.0, self._not_before - time.monotonic()) or None
        retry_after = wait if what is Verdict.RETRY else None
        return Result(push, what, reason=outcome.reason, retry_after=retry_after, detail=outcome.detail)


def _malformed(push: Push) -> Result:
    return Result(push, Verdict.BAD_TOKEN, reason="BadDeviceToken", detail="The token is not hexadecimal: nothing sent")


def _answered(push: Push, answer: Answer) -> Result:
    headers = dict(answer.headers)
    body = _json(answer.body)
    reason = str(body.get("reason", ""))
    what = verdict(answer.status, reason)
    timestamp = body.get("timestamp")
    known = what is Verdict.UNREGISTERED and isinstance(timestamp, int)
    retry_after = None
    with contextlib.suppress(KeyError, ValueError):
        retry_after = max(0.0, float(headers[b"retry-after"])) if what is Verdict.RETRY else None
    return Result(
        push,
        what,
        answer.status,
        reason,
        headers.get(b"apns-id", b"").decode("ascii", "replace"),
        # Milliseconds since 1970.
        datetime.fromtimestamp(timestamp / 1000, UTC) if known and isinstance(timestamp, int) else None,
        retry_after,
        explain(answer.status, reason) if what is Verdict.REFUSED else "",
    )


def _json(body: bytes) -> Mapping[str, object]:
    with contextlib.suppress(ValueError):
        loaded = json.loads(body)
        if isinstance(loaded, dict):
            return loaded
    return {}
