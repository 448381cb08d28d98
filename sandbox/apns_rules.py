"""The rules by which the stand-in for Apple's push service judges a push. No I/O; safe to use from several threads.

Source: Apple's “Sending notification requests to APNs” and “Handling notification responses from APNs”.
"""

import json
import re
import secrets
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.x509.oid import NameOID

from certs.identity import name_part
from sandbox.apns_tokens import ProviderTokens
from sandbox.http2_server import Answer, Request

LARGEST_PAYLOAD = 4096

STATUSES = {
    "BadDeviceToken": 400,
    "BadMessageId": 400,
    "BadPriority": 400,
    "BadExpirationDate": 400,
    "BadTopic": 400,
    "DeviceTokenNotForTopic": 400,
    "InvalidPushType": 400,
    "MissingDeviceToken": 400,
    "MissingTopic": 400,
    "PayloadEmpty": 400,
    "TopicDisallowed": 400,
    "BadCertificate": 403,
    "ExpiredProviderToken": 403,
    "InvalidProviderToken": 403,
    "MissingProviderToken": 403,
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "ExpiredToken": 410,
    "Unregistered": 410,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "Shutdown": 503,
}
"""Apple's reasons and the HTTP status that each comes with."""

_PATH = "/3/device/"
_APNS_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TOKEN = re.compile(r"[0-9A-Fa-f]{64,200}")
_TOPIC = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_PUSH_TYPES = {"alert", "background", "complication", "controls", "fileprovider", "liveactivity", "location", "mdm"}
_PUSH_TYPES |= {"pushtotalk", "voip", "widgets"}


class Refusal(Exception):
    """Apple's reason for not taking a push."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Device:
    """A device token that the stand-in has issued. `gone` says when the pass left the phone; None while it is there."""

    topic: str | None = None
    gone: datetime | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A push that was taken, with its number in the log, the first being 1."""

    number: int
    token: str
    topic: str
    priority: int
    payload: str
    at: str


@dataclass(slots=True)
class Fault:
    """An answer given instead of the one by the rules.

    `reason` is one of STATUSES. It is given to pushes for `token`, or to all when that is None: to the next `count` of
    them (None: to all), or to a `share` of them between 0 and 1, evenly spread. `retry_after` is in seconds.
    """

    reason: str
    token: str | None = None
    count: int | None = None
    share: float = 1.0
    retry_after: int | None = None
    _due: float = field(default=0.0, init=False)

    def hits(self, token: str) -> bool:
        """Whether this push is to be answered so; counts it."""
        if self.count == 0 or self.token not in (None, token):
            return False
        self._due += self.share
        if self._due < 1.0 - 1e-9:
            return False
        self._due -= 1.0
        if self.count is not None:
            self.count -= 1
        return True


@dataclass(slots=True)
class Sender:
    """Who is at the other end of a connection: the holder of a certificate, or nobody known yet."""

    topic: str | None = None

    @classmethod
    def of(cls, certificate: bytes | None) -> "Sender":
        """The sender with this certificate (DER), whose chain TLS has verified."""
        if certificate is None:
            return cls()
        return cls(name_part(x509.load_der_x509_certificate(certificate).subject, NameOID.USER_ID))


class PushRules:
    """Devices, keys, faults and the log of accepted pushes. `clock` gives the aware time."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.devices: dict[str, Device] = {}
        self.faults: list[Fault] = []
        self.log: list[Accepted] = []
        self.changed = threading.Condition()
        """Notified when a push is accepted, and held while anything here is changed."""
        self._closed = False
        self._tokens = ProviderTokens()

    def issue(self, topic: str | None = None) -> str:
        """A new device token. With `topic`, only pushes to that pass type are for it."""
        token = secrets.token_hex(32)
        with self.changed:
            self.devices[token] = Device(topic)
        return token

    def unregister(self, token: str, at: datetime | None = None) -> None:
        """The pass left the phone at `at` (aware; now by default): pushes to the token are answered with 410."""
        with self.changed:
            self.devices[token].gone = at or self._clock()

    def register_key(self, team_id: str, key_id: str, key: EllipticCurvePublicKey) -> None:
        """Accept provider tokens signed with this key."""
        with self.changed:
            self._tokens.register(team_id, key_id, key)

    def add_fault(self, fault: Fault) -> None:
        """Answer by this fault; among several, the one added first that hits."""
        with self.changed:
            self.faults.append(fault)

    def clear_faults(self) -> None:
        """Answer by the rules again."""
        with self.changed:
            self.faults.clear()

    def close(self) -> None:
        """Wake everybody who waits for a push."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()

    def judge(self, sender: Sender, request: Request) -> Answer:
        """The answer to a push. An accepted one is in the log when this returns."""
        apns_id = request.headers.get("apns-id") or str(uuid.uuid4()).upper()
        if not _APNS_ID.fullmatch(apns_id):
            return _refused(Refusal("BadMessageId"), "")
        try:
            with self.changed:
                self._accept(sender, request)
        except _Answered as answered:
            return _refused(answered, apns_id, answered.timestamp, answered.retry_after)
        except Refusal as refusal:
            return _refused(refusal, apns_id)
        return Answer(200, ((b"apns-id", apns_id.encode()),))

    def pushes(self, since: int = 0, wait: float = 0.0) -> list[Accepted]:
        """The accepted pushes after the number `since`. Waits up to `wait` seconds for one when there is none."""
        with self.changed:
            if wait:
                self.changed.wait_for(lambda: len(self.log) > since or self._closed, wait)
            return self.log[since:]

    def _accept(self, sender: Sender, request: Request) -> None:
        headers = request.headers
        token = _device_token(headers)
        fault = next((fault for fault in self.faults if fault.hits(token)), None)
        if fault:
            gone = self._clock() if STATUSES[fault.reason] == 410 else None
            raise _Answered(fault.reason, gone, fault.retry_after)
        topic = self._authorized_topic(sender, headers)
        priority = _priority(headers)
        if not request.body:
            raise Refusal("PayloadEmpty")
        if len(request.body) > LARGEST_PAYLOAD:
            raise Refusal("PayloadTooLarge")
        device = self.devices.get(token)
        if device is None:
            raise Refusal("BadDeviceToken")
        if device.topic not in (None, topic):
            raise Refusal("DeviceTokenNotForTopic")
        if device.gone:
            raise _Answered("Unregistered", device.gone)
        payload = request.body.decode("utf-8", "replace")
        at = self._clock().isoformat()
        self.log.append(Accepted(len(self.log) + 1, token, topic, priority, payload, at))
        self.changed.notify_all()

    def _authorized_topic(self, sender: Sender, headers: dict[str, str]) -> str:
        topic = headers.get("apns-topic", "")
        authorization = headers.get("authorization", "")
        if sender.topic is None or authorization:
            reason = self._tokens.fault(authorization, self._clock().timestamp())
            if reason:
                raise Refusal(reason)
        if not topic:
            raise Refusal("MissingTopic")
        if not _TOPIC.fullmatch(topic):
            raise Refusal("BadTopic")
        if sender.topic is not None and not authorization and sender.topic != topic:
            raise Refusal("TopicDisallowed")
        return topic


class _Answered(Refusal):
    """A refusal with more than a reason."""

    def __init__(self, reason: str, timestamp: datetime | None = None, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.timestamp, self.retry_after = timestamp, retry_after


def _device_token(headers: dict[str, str]) -> str:
    path = headers.get(":path", "")
    if not path.startswith(_PATH):
        raise Refusal("BadPath")
    if headers.get(":method") != "POST":
        raise Refusal("MethodNotAllowed")
    token = path.removeprefix(_PATH)
    if not token:
        raise Refusal("MissingDeviceToken")
    if not _TOKEN.fullmatch(token):
        raise Refusal("BadDeviceToken")
    return token.lower()


def _priority(headers: dict[str, str]) -> int:
    priority = headers.get("apns-priority", "10")
    if priority not in ("1", "5", "10"):
        raise Refusal("BadPriority")
    push_type = headers.get("apns-push-type")
    if push_type is not None and push_type not in _PUSH_TYPES:
        raise Refusal("InvalidPushType")
    if push_type == "background" and priority == "10":
        raise Refusal("BadPriority")
    if not headers.get("apns-expiration", "0").isdigit():
        raise Refusal("BadExpirationDate")
    return int(priority)


def _refused(
    refusal: Refusal, apns_id: str, timestamp: datetime | None = None, retry_after: int | None = None
) -> Answer:
    headers = [(b"apns-id", apns_id.encode())] if apns_id else []
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % retry_after))
    body: dict[str, object] = {"reason": refusal.reason}
    if timestamp is not None:
        body["timestamp"] = int(timestamp.timestamp() * 1000)
    return Answer(STATUSES[refusal.reason], tuple(headers), json.dumps(body).encode())
