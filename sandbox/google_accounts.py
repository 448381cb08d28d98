"""The pretend service account, and the OAuth endpoint where it gets its access tokens (RFC 7523)."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from google.auth import crypt

from sandbox.google_jwt import BadToken, read

SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"
GOOGLES_TOKEN_ENDPOINT = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
"""What google-auth names as the audience, whatever token_uri the account's file has."""
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CLOCK_SKEW = timedelta(minutes=5)


class TokenRefused(Exception):
    """The token endpoint gives no token: an OAuth error (RFC 6749) and its description."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description


def service_account(file: Path, email: str, token_uri: str) -> dict[str, Any]:
    """The account in `file`, made on first use (takes ~0.1 s) and written as Google Cloud would write it."""
    known = json.loads(file.read_text("utf-8")) if file.exists() else {"private_key": _new_key()}
    info = {
        "type": "service_account",
        "project_id": "leima-sandbox",
        "private_key_id": known.get("private_key_id") or secrets.token_hex(20),
        "private_key": known["private_key"],
        "client_email": email,
        "client_id": "100000000000000000000",
        "token_uri": token_uri,
        "universe_domain": "googleapis.com",
    }
    file.touch(mode=0o600)
    file.write_text(json.dumps(info, indent=2), "utf-8")
    return info


def _new_key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


@dataclass(slots=True)
class Accounts:
    """Known service accounts by their e-mail address, and the tokens that they hold."""

    now: Callable[[], datetime]
    token_lifetime: timedelta = timedelta(hours=1)
    _verifiers: dict[str, crypt.Verifier] = field(default_factory=dict)
    _issuers: dict[str, set[str]] = field(default_factory=dict)
    _tokens: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def register(self, info: dict[str, Any], issuer_id: str) -> None:
        """Let the account of this service account file act for the issuer."""
        private = load_pem_private_key(info["private_key"].encode(), None)
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        with self._lock:
            self._verifiers[info["client_email"]] = crypt.RSAVerifier.from_string(public)
            self._issuers.setdefault(info["client_email"], set()).add(issuer_id)

    def verifier(self, email: str) -> crypt.Verifier | None:
        """What verifies the account's signatures; None for a stranger."""
        with self._lock:
            return self._verifiers.get(email)

    def may_act_for(self, email: str, issuer_id: str) -> bool:
        """Whether the issuer has let this account in."""
        with self._lock:
            return issuer_id in self._issuers.get(email, ())

    def issue(self, assertion: str, own_uri: str) -> dict[str, Any]:
        """An access token for a signed assertion. Raises TokenRefused."""
        try:
            claims = read(assertion, lambda claims: self.verifier(str(claims.get("iss"))))
        except BadToken as error:
            raise TokenRefused("invalid_grant", str(error)) from None
        now = self.now()
        if claims.get("aud") not in (GOOGLES_TOKEN_ENDPOINT, own_uri):
            raise TokenRefused("invalid_grant", "Invalid JWT: wrong audience")
        issued, expires = _moment(claims.get("iat")), _moment(claims.get("exp"))
        if expires - issued > timedelta(hours=1) or not (issued - _CLOCK_SKEW <= now < expires):
            raise TokenRefused(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe",
            )
        if SCOPE not in str(claims.get("scope", "")).split():
            raise TokenRefused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = "ya29." + secrets.token_urlsafe(48)
        with self._lock:
            self._tokens[token] = (claims["iss"], now + self.token_lifetime)
        return {
            "access_token": token,
            "expires_in": int(self.token_lifetime.total_seconds()),
            "token_type": "Bearer",
        }

    def holder(self, authorization: str) -> str | None:
        """The e-mail address of whoever holds the Bearer token; None when it is unknown or has expired."""
        with self._lock:
            email, until = self._tokens.get(authorization.removeprefix("Bearer "), (None, None))
        return email if until is not None and self.now() < until else None

    def revoke_tokens(self) -> None:
        """Make every token that was given out worthless."""
        with self._lock:
            self._tokens.clear()


def _moment(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TokenRefused("invalid_grant", "Invalid JWT: iat and exp must be whole seconds")
    return datetime.fromtimestamp(value, UTC)
