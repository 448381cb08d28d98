"""The wallet-neutral card: everything that a pass shows, as frozen values.

`CardLook` is what all cards of one programme share in one language. `Card` is one member's card. Both wallets
render the same two values, so neither may contain anything that only one of them understands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from passes.colors import Color


@dataclass(frozen=True, slots=True)
class CardField:
    """One labelled value on the card.

    `key` is unique on the card. `label` and a text `value` are in the card's language. `change_message` holds one
    `%@`, which the phone replaces with the new value; only the one field that carries the news has one. With
    `currency` (ISO 4217), `value` is a Decimal in major units.
    """

    key: str
    label: str
    value: str | int | Decimal | date | datetime
    change_message: str = ""
    currency: str = ""


@dataclass(frozen=True, slots=True)
class CardLocation:
    """A place where the phone shows the card by itself. Degrees, WGS 84."""

    latitude: float
    longitude: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class StampCount:
    """How many stamps the card has, and how many fill it. 0 <= have <= needed; needed >= 1."""

    have: int
    needed: int


@dataclass(frozen=True, slots=True)
class CardLook:
    """What every card of a programme shares in one language.

    `images` are PNG files by their file name (`icon.png`, `logo@2x.png` …). `strings` translates texts of this
    look and of its cards for phones set to other languages: language tag → {text as on the card: translation}.
    `web_service_url` is https, or empty for a card that is never updated.
    """

    language: str
    organization_name: str
    program_name: str
    description: str
    background: Color
    foreground: Color
    label: Color
    images: Mapping[str, bytes]
    strings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    locations: tuple[CardLocation, ...] = ()
    web_service_url: str = ""
    logo_text: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One member's card.

    `serial` and `authentication_token` never change; `version` grows by one with every visible change. `code` is
    what the QR code holds, `code_text` how it is written beneath it. `voided` and `expires_at` end the card.
    """

    serial: str
    authentication_token: str
    version: int
    code: str
    code_text: str
    stamps: StampCount
    header: tuple[CardField, ...] = ()
    primary: tuple[CardField, ...] = ()
    secondary: tuple[CardField, ...] = ()
    auxiliary: tuple[CardField, ...] = ()
    back: tuple[CardField, ...] = ()
    voided: bool = False
    expires_at: datetime | None = None
