"""Provider tokens: how the push stand-in checks the JWTs of teams that push with a .p8 key.

Source: Apple's “Establishing a token-based connection to APNs”: ES256, `kid`, `iss` and `iat`; at most an hour old;
renewed at most every 20 minutes.
"""

import json
from base64 import urlsafe_b64decode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

OLDEST = 3600.0
LEAST_BETWEEN = 1200.0

Key = tuple[str, str]
"""Team id and key id."""


class ProviderTokens:
    """The registered keys, and which tokens each was seen with. Not safe for several threads by itself."""

    def __init__(self) -> None:
        self._keys: dict[Key, EllipticCurvePublicKey] = {}
        self._seen: dict[Key, set[str]] = {}
        self._updated: dict[Key, float] = {}
        self._verified: dict[str, tuple[Key, float]] = {}

    def register(self, team_id: str, key_id: str, key: EllipticCurvePublicKey) -> None:
        """Accept tokens that this key verifies."""
        self._keys[(team_id, key_id)] = key

    def fault(self, authorization: str, at: float) -> str | None:
        """Apple's reason for refusing this authorization header at `at` (seconds since 1970); None when it is good."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "MissingProviderToken"
        if token not in self._verified:
            try:
                self._verified[token] = self._verify(token)
            except (ValueError, KeyError, TypeError, InvalidSignature):
                return "InvalidProviderToken"
        key, issued = self._verified[token]
        if abs(at - issued) > OLDEST:
            return "ExpiredProviderToken"
        seen = self._seen.setdefault(key, set())
        if seen and token not in seen:
            if at - self._updated.get(key, 0.0) < LEAST_BETWEEN:
                return "TooManyProviderTokenUpdates"
            self._updated[key] = at
        seen.add(token)
        return None

    def _verify(self, token: str) -> tuple[Key, float]:
        signed, _, signature = token.rpartition(".")
        head, claims = (json.loads(_base64(part)) for part in signed.split("."))
        raw = _base64(signature)
        if head["alg"] != "ES256" or len(raw) != 64 or type(claims["iat"]) is not int:
            raise ValueError("not a provider token")
        key = (claims["iss"], head["kid"])
        pair = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        self._keys[key].verify(encode_dss_signature(*pair), signed.encode(), ECDSA(SHA256()))
        return key, float(claims["iat"])


def _base64(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
