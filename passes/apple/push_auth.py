"""How Leima proves to Apple's push service who it is: by the pass certificate, or by a team's push key."""

import json
import secrets
import ssl
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from certs.identity import SigningIdentity
from passes.apple.push import PushError

TOKEN_SECONDS = 40 * 60
"""How long one provider token is used. Apple wants a new one at most every 20 and at least every 60 minutes."""


@dataclass(frozen=True, slots=True)
class CertificateAuth:
    """The pass certificate opens the connection. It may push to its own pass type only."""

    identity: SigningIdentity

    def ensure_valid(self, at: datetime) -> None:
        """Raise certs.identity.CertificateError unless the certificate is valid at `at` (aware)."""
        self.identity.ensure_valid(at)

    def prepare(self, context: ssl.SSLContext) -> None:
        """Give `context` the certificate, its intermediate and the key.

        Python's TLS reads them from a file only. The key in that file is encrypted with a password that never leaves
        this process, so that a crash before the file's removal leaves nothing that opens anything.
        """
        password = secrets.token_bytes(24).hex().encode()
        identity = self.identity
        chain = b"".join(item.public_bytes(Encoding.PEM) for item in (identity.certificate, identity.intermediate))
        key = identity.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
        with tempfile.TemporaryDirectory(prefix="leima-push-") as folder:
            path = Path(folder) / "identity.pem"
            path.write_bytes(chain + key)
            context.load_cert_chain(path, password=password)

    def headers(self, at: datetime) -> Mapping[bytes, bytes]:
        """Nothing: the connection itself is the proof."""
        return {}


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """A team's .p8 push key signs a token that goes with every push. It may push to all pass types of its team."""

    team_id: str
    key_id: str
    key: EllipticCurvePrivateKey = field(repr=False, compare=False)

    @classmethod
    def from_p8(cls, team_id: str, key_id: str, pem: bytes) -> "TokenAuth":
        """The key in `pem`, the content of the file AuthKey_<key_id>.p8. Raises PushError when it is no such key."""
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise PushError("This is not a push key. Give the AuthKey_….p8 file as downloaded from Apple")
        return cls(team_id, key_id, key)

    def ensure_valid(self, at: datetime) -> None:
        """A key has no dates."""

    def prepare(self, context: ssl.SSLContext) -> None:
        """Nothing: the connection needs no certificate of ours."""

    def headers(self, at: datetime) -> Mapping[bytes, bytes]:
        """The authorization at `at` (aware)."""
        return {b"authorization": b"bearer " + self.token(at)}

    def token(self, at: datetime) -> bytes:
        """The provider token (an ES256 JWT) for the forty minutes that `at` lies in.

        Apple answers 429 when it sees new tokens too often. Every process makes the same bytes within the same forty
        minutes, since the issue time is rounded and the signature is deterministic (RFC 6979): workers that come and
        go need nothing in common.
        """
        issued = int(at.timestamp()) // TOKEN_SECONDS * TOKEN_SECONDS
        head = _part({"alg": "ES256", "kid": self.key_id})
        signed = head + b"." + _part({"iss": self.team_id, "iat": issued})
        r, s = decode_dss_signature(self.key.sign(signed, ECDSA(SHA256(), deterministic_signing=True)))
        return signed + b"." + _base64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def _part(value: Mapping[str, object]) -> bytes:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(value: bytes) -> bytes:
    return urlsafe_b64encode(value).rstrip(b"=")
