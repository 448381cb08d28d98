"""What Google tells us when a customer adds a card to the wallet or removes it.

The message is signed with the scheme ECv2SigningOnly of Google Pay: root keys, which Google publishes, sign an
intermediate key, which signs the message. Sources: https://developers.google.com/wallet/retail/loyalty-cards/use-cases/
use-callbacks-for-saves-and-deletions and https://developers.google.com/pay/api/web/guides/resources/
payment-data-cryptography#verify-signature. A genuine callback is in tests/unit/test_google_callbacks.py.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from passes.google.errors import CallbackError
from passes.google.ids import issuer_of

PROTOCOL = "ECv2SigningOnly"
SENDER_ID = "GooglePayPasses"
"""Who signs, in genuine callbacks of 2025. One of Google's pages says GoogleWalletPasses."""
LARGEST_BODY = 64 * 1024
"""Bytes. Genuine callbacks have about 1 KB."""

Event = Literal["save", "del"]
_EVENTS = ("save", "del")
_ECDSA = ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class RootKey:
    """One of Google's published keys, good until `expires_at` (aware; None: no end is named)."""

    key: EllipticCurvePublicKey
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Callback:
    """A genuine event. The same `nonce` is the same event, sent again. After `expires_at` it counts no more."""

    event: Event
    class_id: str
    object_id: str
    nonce: str
    expires_at: datetime


def verify(
    body: bytes, root_keys: Sequence[RootKey], issuer_id: str, at: datetime, sender_id: str = SENDER_ID
) -> Callback:
    """The event in the body of a callback. Raises CallbackError for whatever Google did not sign for this issuer.

    Its nonce is not checked here: remember it until `expires_at`, and ignore what comes with it again.
    """
    if len(body) > LARGEST_BODY:
        raise CallbackError("malformed", f"The callback has more than {LARGEST_BODY} bytes")
    outer = _object(body, "The callback")
    if outer.get("protocolVersion") != PROTOCOL:
        raise CallbackError("protocol", f"The callback is not signed with {PROTOCOL}")
    intermediate = _intermediate(outer.get("intermediateSigningKey"), root_keys, sender_id, at)
    text = _text(outer, "signedMessage")
    signed = signed_bytes(sender_id, issuer_id, PROTOCOL, text)
    if not _is_signed(intermediate, _text(outer, "signature"), signed):
        raise CallbackError("signature", "Google did not sign this message for this issuer")
    return _callback(_object(text, "The signed message"), issuer_id, at)


def signed_bytes(*parts: str) -> bytes:
    """What is signed: each part as UTF-8 after its length in bytes (32 bits, the lowest byte first)."""
    encoded = [_utf8(part) for part in parts]
    return b"".join(len(part).to_bytes(4, "little") + part for part in encoded)


def public_key(value: str) -> EllipticCurvePublicKey:
    """A key as Google writes it: base64 of its SubjectPublicKeyInfo. Raises ValueError unless it is on P-256."""
    try:
        key = load_der_public_key(base64.b64decode(value, validate=True))
    except UnsupportedAlgorithm:
        raise ValueError("not a key that is known here") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("not a key on the curve P-256")
    return key


def from_millis(value: object) -> datetime:
    """A time in milliseconds since 1970, a number or its digits. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("not a time in milliseconds")
    try:
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    except (OverflowError, OSError):
        raise ValueError("not a time in milliseconds") from None


def _intermediate(given: Any, root_keys: Sequence[RootKey], sender_id: str, at: datetime) -> EllipticCurvePublicKey:
    if not isinstance(given, dict) or not isinstance(given.get("signatures"), list):
        raise CallbackError("malformed", "The callback has no intermediate signing key")
    signed_key = _text(given, "signedKey")
    signed = signed_bytes(sender_id, PROTOCOL, signed_key)
    valid = [root.key for root in root_keys if root.expires_at is None or root.expires_at > at]
    signatures = [signature for signature in given["signatures"] if isinstance(signature, str)]
    if not any(_is_signed(key, signature, signed) for key in valid for signature in signatures[:8]):
        raise CallbackError("intermediate", "None of Google's root keys signed the intermediate signing key")
    values = _object(signed_key, "The intermediate signing key")
    try:
        expires_at, key = from_millis(values.get("keyExpiration")), public_key(_text(values, "keyValue"))
    except ValueError:
        raise CallbackError("malformed", "The intermediate signing key can't be read") from None
    if expires_at <= at:
        raise CallbackError("intermediate_expired", "The intermediate signing key has expired")
    return key


def _callback(message: dict[str, Any], issuer_id: str, at: datetime) -> Callback:
    class_id, object_id = _text(message, "classId"), _text(message, "objectId")
    # The signature already covers the issuer as recipient; this guards against a message about others' cards.
    if issuer_of(class_id) != issuer_id or issuer_of(object_id) != issuer_id:
        raise CallbackError("issuer", "The callback is about another issuer's card")
    event = _text(message, "eventType")
    if event not in _EVENTS:
        raise CallbackError("event", "The callback is about an event that is not known here")
    try:
        expires_at = from_millis(message.get("expTimeMillis"))
    except ValueError:
        raise CallbackError("malformed", "The callback does not say when it expires") from None
    if expires_at <= at:
        raise CallbackError("expired", "The callback has expired")
    return Callback(cast(Event, event), class_id, object_id, _text(message, "nonce"), expires_at)


def _is_signed(key: EllipticCurvePublicKey, signature: str, signed: bytes) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), signed, _ECDSA)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _object(text: str | bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise CallbackError("malformed", f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise CallbackError("malformed", f"{what} is not a JSON object")
    return value


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise CallbackError("malformed", f"The callback has no {name}")
    return value


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise CallbackError("malformed", "The callback holds half a character (a lone surrogate)") from None
