"""JSON Web Tokens signed with RS256, read strictly (RFC 7515)."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from google.auth import crypt


class BadToken(Exception):
    """The token is malformed, or its signature is not the sender's."""


def read(token: str, verifier_for: Callable[[dict[str, Any]], crypt.Verifier | None]) -> dict[str, Any]:
    """The claims of a token whose signature the verifier of its sender accepts. Raises BadToken."""
    try:
        head_part, claims_part, signature_part = token.split(".")
        head, claims = json.loads(_decode(head_part)), json.loads(_decode(claims_part))
        signature = _decode(signature_part)
    except (ValueError, binascii.Error):
        raise BadToken("Invalid JWT: not three base64url parts with JSON") from None
    if not isinstance(head, dict) or not isinstance(claims, dict) or head.get("alg") != "RS256":
        raise BadToken("Invalid JWT: the algorithm must be RS256")
    verifier = verifier_for(claims)
    if verifier is None:
        raise BadToken("Invalid JWT: the issuer is not known")
    if not verifier.verify(f"{head_part}.{claims_part}".encode(), signature):
        raise BadToken("Invalid JWT Signature.")
    return claims


def _decode(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
