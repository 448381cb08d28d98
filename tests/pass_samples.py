"""Looks, cards and a signing identity for tests of passes."""

import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from PIL import Image

from certs import development
from certs.identity import SigningIdentity
from passes.card import Card, CardField, CardLocation, CardLook, StampCount
from passes.colors import Color

NOW = datetime.now(UTC)
"""One moment for the whole run: openssl checks certificates against the real clock."""


@cache
def signing_identity() -> SigningIdentity:
    """A development identity; its root is what verifiers trust."""
    return development.make("pass.fi.leima.test", "LEIMATEST1", "Leima", NOW)


def root_pem() -> bytes:
    root = signing_identity().root
    assert root is not None
    return root.public_bytes(Encoding.PEM)


@cache
def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(file, "PNG")
    return file.getvalue()


def strip(height: int = 123) -> dict[str, bytes]:
    return {"strip.png": png(375, height), "strip@2x.png": png(750, 2 * height), "strip@3x.png": png(1125, 3 * height)}


def look(**changes: Any) -> CardLook:
    """Alice's café, in Finnish, with everything that a look may have."""
    given: dict[str, Any] = {
        "language": "fi",
        "organization_name": "Kahvila Äijä",
        "program_name": "Kanta-asiakkaat",
        "description": "Leimakortti",
        "background": Color(60, 36, 21),
        "foreground": Color(255, 255, 255),
        "label": Color(230, 200, 160),
        "images": {"icon.png": png(29, 29), "icon@2x.png": png(58, 58), "logo.png": png(160, 50)},
        "strings": {"en": {"Leimoja": "Stamps"}, "fa": {"Leimoja": "مهرها"}, "ru": {"Leimoja": "Штампы"}},
        "locations": (CardLocation(60.1699, 24.9384, "Kahvi odottaa"), CardLocation(60.1876, 24.9613)),
        "web_service_url": "https://leima.example/apple/",
        "logo_text": "Äijä",
    }
    return CardLook(**(given | changes))


def card(**changes: Any) -> Card:
    """A card with a field of every kind."""
    given: dict[str, Any] = {
        "serial": "0190a5c2-7d3e-7000-8000-000000000001",
        "authentication_token": "a-token-of-24-characters",
        "version": 3,
        "code": "QMCP54WJ0G1D2MMP",
        "code_text": "QMCP 54WJ 0G1D 2MMP",
        "stamps": StampCount(3, 10),
        "header": (CardField("stamps", "Leimoja", "3/10", change_message="Leimoja nyt %@"),),
        "primary": (CardField("reward", "Etusi", "10. kahvi on ilmainen"),),
        "secondary": (
            CardField("member", "Jäsen", "Alice"),
            CardField("credit", "Saldo", Decimal("12.50"), currency="EUR"),
        ),
        "auxiliary": (CardField("visits", "Käyntejä", 1250), CardField("since", "Jäsen", date(2026, 1, 31))),
        "back": (
            CardField("terms", "Ehdot", 'Rivi 1\nRivi 2 "lainattu" \\ 100 %'),
            CardField("until", "Voimassa", NOW + timedelta(days=30)),
        ),
    }
    return Card(**(given | changes))
