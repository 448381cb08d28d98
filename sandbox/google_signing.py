"""Google's side of callbacks: root and intermediate keys, messages signed with ECv2SigningOnly, and their delivery."""

import base64
import json
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from passes.google.callbacks import PROTOCOL, SENDER_ID, signed_bytes

_KEY_LIFE = timedelta(days=7)
_MESSAGE_LIFE = timedelta(hours=1)
_ATTEMPTS = 3
_TIMEOUT = 5.0
_logger = logging.getLogger(__name__)


def millis(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


@dataclass(slots=True)
class CallbackSigner:
    """Signs as Google does. The intermediate key is renewed when it has expired."""

    root: ec.EllipticCurvePrivateKey
    now: Callable[[], datetime]
    sender_id: str = SENDER_ID
    _intermediate: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def kept_in(cls, file: Path, now: Callable[[], datetime]) -> "CallbackSigner":
        """The signer whose root key is in `file`; made on first use, so that restarts keep what others remember."""
        if not file.exists():
            made = ec.generate_private_key(ec.SECP256R1())
            file.touch(mode=0o600)
            file.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        root = load_pem_private_key(file.read_bytes(), None)
        if not isinstance(root, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{file} does not hold an EC key. Delete it, and a new one is made")
        return cls(root, now)

    def published_keys(self) -> dict[str, Any]:
        """What the page with the root keys holds."""
        other = {"keyValue": public_text(self._intermediate), "protocolVersion": "ECv1"}
        own = {
            "keyValue": public_text(self.root),
            "protocolVersion": PROTOCOL,
            "keyExpiration": str(millis(self.now() + _KEY_LIFE)),
        }
        return {"keys": [other, own]}

    def sign(self, message: str, recipient_id: str, key_life: timedelta = _KEY_LIFE) -> bytes:
        """The body of a callback with this message, for this issuer."""
        signed_key = json.dumps(
            {"keyValue": public_text(self._intermediate), "keyExpiration": str(millis(self.now() + key_life))}
        )
        return json.dumps(
            {
                "signature": _signature(
                    self._intermediate, signed_bytes(self.sender_id, recipient_id, PROTOCOL, message)
                ),
                "intermediateSigningKey": {
                    "signedKey": signed_key,
                    "signatures": [_signature(self.root, signed_bytes(self.sender_id, PROTOCOL, signed_key))],
                },
                "protocolVersion": PROTOCOL,
                "signedMessage": message,
            }
        ).encode()

    def event(self, event: str, class_id: str, object_id: str) -> bytes:
        """The body of a callback about a save or a removal."""
        message = {
            "classId": class_id,
            "objectId": object_id,
            "eventType": event,
            "expTimeMillis": millis(self.now() + _MESSAGE_LIFE),
            "count": 1,
            "nonce": secrets.token_hex(16),
        }
        return self.sign(json.dumps(message, separators=(",", ":")), class_id.partition(".")[0])


def public_text(key: ec.EllipticCurvePrivateKey) -> str:
    """The public half as Google publishes it."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode("ascii")


def _signature(key: ec.EllipticCurvePrivateKey, signed: bytes) -> str:
    return base64.b64encode(key.sign(signed, ec.ECDSA(hashes.SHA256()))).decode("ascii")


class CallbackSender:
    """Posts callbacks one after the other, each up to three times until it is answered with 2xx.

    `ca_file` is what it trusts https addresses by.
    """

    def __init__(self, ca_file: Path) -> None:
        self.sent: list[dict[str, Any]] = []
        """What was posted where, and every answer's status (0: none came)."""
        self._ca_file = ca_file
        self._queue: SimpleQueue[tuple[str, bytes] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="google-callbacks", daemon=True)
        self._thread.start()

    def post(self, url: str, body: bytes) -> None:
        """Put a callback into the queue."""
        self._queue.put((url, body))

    def stop(self) -> None:
        """Post what is queued, then end."""
        self._queue.put(None)
        self._thread.join(_TIMEOUT)

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(self._ca_file)
            while (job := self._queue.get()) is not None:
                url, body = job
                entry = {"url": url, "body": body.decode("utf-8"), "statuses": []}
                self.sent.append(entry)
                for _attempt in range(_ATTEMPTS):
                    status = _post(session, url, body)
                    entry["statuses"].append(status)  # type: ignore[attr-defined]
                    if 200 <= status < 300:
                        break


def _post(session: requests.Session, url: str, body: bytes) -> int:
    try:
        return session.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=_TIMEOUT).status_code
    except requests.RequestException as error:
        _logger.warning("callback_not_delivered", extra={"error": type(error).__name__})
        return 0
