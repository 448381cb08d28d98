"""pass.json of a card.

`pass_json` builds it from the model and checks it. `PassDocument` does that once for each layout of fields, keeps the
text with the places that differ from card to card, and fills them: ~10 µs a card instead of ~100.
"""

import hashlib
import json
import re
import secrets
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from json.encoder import encode_basestring
from operator import attrgetter, itemgetter
from typing import Any, Literal, TypeAlias

from certs.identity import SigningIdentity
from passes.apple.errors import PassError
from passes.apple.fields import Slot, day, field_for, moment, number
from passes.apple.model import MIN_TOKEN_LENGTH, Barcode, Coupon, Location, Pass, StoreCard, barcode_encoding
from passes.card import Card, CardField, CardLook, StampCount
from passes.colors import Color

Style: TypeAlias = Literal["storeCard", "coupon"]

_GROUPS = ("header", "primary", "secondary", "auxiliary", "back")
_LAYOUT = attrgetter("key", "label", "change_message", "currency")
_PLAINEST = Card("0", "0" * MIN_TOKEN_LENGTH, 0, "0", "", StampCount(0, 1))
_OWN_VALUES = 5
"""How many values every card has besides those of its fields."""
_MAX_FORMS = 256
"""Layouts kept per look. A programme has a handful; more means that labels vary with the member."""


def _encode_number(value: Decimal) -> str:
    return str(number(value))  # JSON has exponents, too


def _encode_moment(value: datetime) -> str:
    return f'"{moment(value)}"'


def _encode_day(value: date) -> str:
    return f'"{day(value)}"'


_ENCODERS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring,
    int: int.__repr__,
    Decimal: _encode_number,
    datetime: _encode_moment,
    date: _encode_day,
}


def pass_json(look: CardLook, card: Card, identity: SigningIdentity, style: Style = "storeCard") -> dict[str, Any]:
    """The card's pass.json. Decimals are left as they are. Raises PassError when Wallet would refuse it."""
    card = _without_empty_fields(card)
    fields = card.header + card.primary + card.secondary + card.auxiliary + card.back
    return _model(look, card, identity, style, _values(card, fields)).json_dict()


class Opening:
    """What pass.json of every card of a layout begins with, and how far its digest and checksum have come."""

    __slots__ = ("crc32", "sha1", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.sha1 = hashlib.sha1(text, usedforsecurity=False)
        self.crc32 = zlib.crc32(text)


@dataclass(frozen=True, slots=True)
class _Form:
    """pass.json of one layout."""

    opening: Opening
    pieces: list[bytes]
    """The rest of the text as UTF-8; every second piece is an empty place for a value."""
    encode: Callable[[list[Any]], list[str]]
    """Turns values, in the order of _values, into JSON."""
    in_text_order: Callable[[list[bytes]], tuple[bytes, ...]]

    def fill(self, encoded: list[str]) -> bytes:
        """The text after the opening, with the values that `encode` gave."""
        # JSON texts hold no raw NUL, so one join, encode and split turns all of them into UTF-8 at once.
        utf8 = "\0".join(encoded).encode().split(b"\0")
        pieces = self.pieces.copy()
        pieces[::2] = self.in_text_order(utf8)
        return b"".join(pieces)


class PassDocument:
    """Makes pass.json for the cards of one look. Safe to share between threads."""

    def __init__(self, look: CardLook, identity: SigningIdentity, style: Style = "storeCard") -> None:
        """Raises PassError when the look itself would make every card wrong."""
        self._look, self._identity, self._style = look, identity, style
        self._min_token_length = MIN_TOKEN_LENGTH if look.web_service_url else 0
        self._forms: dict[tuple[object, ...], _Form] = {}
        pass_json(look, _PLAINEST, identity, style)

    def render(self, card: Card) -> bytes:
        """pass.json as UTF-8, without fields whose text is empty. Raises PassError for a value that can't be shown."""
        opening, rest = self.parts(card)
        return opening.text + rest

    def parts(self, card: Card) -> tuple[Opening, bytes]:
        """The same as its opening, which many cards share, and the rest."""
        fields = card.header + card.primary + card.secondary + card.auxiliary + card.back
        values = _values(card, fields)
        layout = (
            card.voided,
            not card.code_text,
            card.code.isascii() or barcode_encoding(card.code),
            len(card.header),
            len(card.primary),
            len(card.secondary),
            len(card.auxiliary),
            *map(_LAYOUT, fields),
            *map(type, values),
        )
        try:
            form = self._forms.get(layout) or self._compile(layout, card, values)
            encoded = form.encode(values)
            if '""' in encoded:
                if not card.serial or not card.code:
                    raise PassError("The card has no serial number or no code")
                if any(field.value == "" for field in fields):
                    return self.parts(_without_empty_fields(card))
            if len(card.authentication_token) < self._min_token_length:
                raise PassError(f"The authentication token must have at least {MIN_TOKEN_LENGTH} characters")
            return form.opening, form.fill(encoded)
        except UnicodeEncodeError:
            raise PassError("A text on the card holds half a character (a lone surrogate). Type it anew") from None

    def _compile(self, layout: tuple[object, ...], card: Card, values: list[Any]) -> _Form:
        # Nobody can guess the mark, so no text of a shop or a member can pass for one of our places.
        mark = secrets.token_hex(16)
        slots: list[Any] = [Slot(f"{mark}{place:04d}") for place in range(len(values))]
        # Without these, other parts of the text change, too; a field is never empty here (see render).
        slots[:_OWN_VALUES] = [
            slot if value else value for slot, value in zip(slots, values[:_OWN_VALUES], strict=False)
        ]
        model = _model(self._look, card, self._identity, self._style, slots)
        text = json.dumps(model.json_dict(), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        pieces = re.split(f'"{mark}([0-9]{{4}})"', text)
        places = [int(place) for place in pieces[1::2]]
        pieces[1::2] = [""] * len(places)
        form = _Form(
            opening=Opening(pieces[0].encode()),
            pieces=[piece.encode() for piece in pieces[1:]],
            encode=_encode_all([_encoder(type(value)) for value in values]),
            in_text_order=itemgetter(*places),
        )
        # A dict's get and set are atomic. Two threads may compile the same layout; either result will do.
        if len(self._forms) >= _MAX_FORMS:
            self._forms = {}
        self._forms[layout] = form
        return form


def _values(card: Card, fields: Sequence[CardField]) -> list[Any]:
    """Everything that may differ between cards of the same layout."""
    own = (card.serial, card.authentication_token, card.code, card.code_text, card.expires_at or "")
    return [*own, *[field.value for field in fields]]


def _without_empty_fields(card: Card) -> Card:
    def kept(fields: tuple[CardField, ...]) -> tuple[CardField, ...]:
        return tuple(field for field in fields if field.value != "")

    return replace(
        card,
        header=kept(card.header),
        primary=kept(card.primary),
        secondary=kept(card.secondary),
        auxiliary=kept(card.auxiliary),
        back=kept(card.back),
    )


def _encoder(kind: type) -> Callable[[Any], str]:
    for base in kind.__mro__:
        if base in _ENCODERS:
            return _ENCODERS[base]
    raise PassError(f"A card can't show a value of the kind {kind.__name__}")


def _encode_all(encoders: list[Callable[[Any], str]]) -> Callable[[list[Any]], list[str]]:
    if all(encoder is encode_basestring for encoder in encoders):
        return lambda values: list(map(encode_basestring, values))
    # The layout has one encoder for each value; zip's strict=True would look again, for a microsecond a card.
    return lambda values: [encode(value) for encode, value in zip(encoders, values)]  # noqa: B905


def _model(look: CardLook, card: Card, identity: SigningIdentity, style: Style, values: Sequence[Any]) -> Pass:
    """The pass as a model, with `values` (see _values) in place of the card's own."""
    serial, token, code, code_text, expires_at, *field_values = values
    information = StoreCard() if style == "storeCard" else Coupon()
    remaining = iter(field_values)
    for group in _GROUPS:
        getattr(information, f"{group}Fields").extend(
            field_for(f.key, next(remaining), f.label, f.change_message, f.currency, type(f.value))
            for f in getattr(card, group)
        )
    made = Pass(
        information,
        passTypeIdentifier=identity.pass_type_identifier,
        organizationName=look.organization_name,
        teamIdentifier=identity.team_identifier,
    )
    made.serialNumber, made.description, made.logoText = serial, look.description, look.logo_text
    made.backgroundColor = _rgb(look.background)
    made.foregroundColor, made.labelColor = _rgb(look.foreground), _rgb(look.label)
    made.suppressStripShine = True  # the shine of old systems would lie over the stamps
    made.barcodes = [Barcode(code, altText=code_text, messageEncoding=barcode_encoding(card.code))]
    made.locations = [Location(p.latitude, p.longitude, relevantText=p.text) for p in look.locations]
    if look.web_service_url:
        made.webServiceURL, made.authenticationToken = look.web_service_url, token
    made.voided, made.expirationDate = card.voided, expires_at or None
    return made


def _rgb(color: Color) -> str:
    return f"rgb({color.red}, {color.green}, {color.blue})"
