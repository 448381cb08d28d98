"""The link behind 'Add to Google Wallet'.

Source: https://developers.google.com/wallet/generic/web/javascript-button#google-wallet-api-jwt
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from google.auth import jwt
from google.auth.crypt import Signer

from passes.google.errors import PassError
from passes.google.ids import check_identifier

SAVE_URL = "https://pay.google.com/gp/v/save/"
Objects: TypeAlias = Literal["loyaltyObjects", "offerObjects"]
"""What the link puts on a phone: a card, or a coupon."""
MOST_CHARACTERS = 1800
"""Browsers and Google's own page cut longer links (developers.google.com/wallet, 'safe length of an encoded JWT')."""


def save_link(
    signer: Signer,
    issuer_email: str,
    class_id: str,
    object_id: str,
    origins: Sequence[str],
    at: datetime,
    save_url: str = SAVE_URL,
    objects: Objects = "loyaltyObjects",
) -> str:
    """A link that puts the object on a phone. It names the object by its id: class and object must exist by then.

    `issuer_email` is the service account's. `origins` are the sites that show the button, e.g. https://leima.example.
    Raises PassError for a malformed id, and when the link is longer than 1800 characters.
    """
    payload = {
        "iss": issuer_email,
        "aud": "google",
        "typ": "savetowallet",
        "iat": int(at.timestamp()),  # a fraction here makes Google's page say 'Something went wrong'
        "origins": list(origins),
        "payload": {
            objects: [{"id": check_identifier(object_id), "classId": check_identifier(class_id)}],
        },
    }
    token: bytes = jwt.encode(signer, payload)
    link = save_url + token.decode("ascii")
    if len(link) > MOST_CHARACTERS:
        raise PassError(
            f"The link to Google Wallet has {len(link)} characters, more than {MOST_CHARACTERS}. "
            "Use shorter ids and fewer origins"
        )
    return link
