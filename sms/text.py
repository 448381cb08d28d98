"""What a text costs: how many SMS parts it makes, and the spelling that makes fewer.

GSM-7 is the default alphabet of 3GPP TS 23.038; one character outside it makes the whole message UCS-2, which holds
less than half as much.
"""

import unicodedata
from dataclasses import dataclass
from typing import Literal

_GSM7_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_EXTENSION = frozenset("\f^{}\\[~]|€")  # sent as an escape and a character: two units

# Characters whose plain spelling says the same. Letters are never touched: á is not a.
_PLAIN_SPELLING = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´‹›", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("\t\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}", " "),
        **dict.fromkeys("\N{EN SPACE}\N{EM SPACE}\N{THIN SPACE}\N{HAIR SPACE}\N{FIGURE SPACE}", " "),
        **dict.fromkeys("\N{SOFT HYPHEN}\N{ZERO WIDTH SPACE}\N{WORD JOINER}\N{ZERO WIDTH NO-BREAK SPACE}", ""),
        "…": "...",
        "•": "*",
        "×": "x",
    }
)


@dataclass(frozen=True, slots=True)
class PartCount:
    """`units` are septets (GSM-7) or UTF-16 code units (UCS-2); `parts` are what the provider bills."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    parts: int


def count_parts(text: str) -> PartCount:
    """How the text is sent. One part holds 160 (GSM-7) or 70 (UCS-2) units, each of several parts 153 or 67.

    A character is never cut in two: an extension character or an emoji that does not fit starts the next part.
    An empty text has no parts.
    """
    if all(char in _GSM7_BASIC or char in _GSM7_EXTENSION for char in text):
        costs = [2 if char in _GSM7_EXTENSION else 1 for char in text]
        return PartCount("GSM-7", sum(costs), _packed(costs, alone=160, joined=153))
    costs = [2 if ord(char) > 0xFFFF else 1 for char in text]
    return PartCount("UCS-2", sum(costs), _packed(costs, alone=70, joined=67))


def downgraded(text: str) -> str:
    """The text with plain quotes, dashes and spaces, if that makes fewer parts; otherwise the text as it is."""
    plain = unicodedata.normalize("NFC", text).translate(_PLAIN_SPELLING)
    return plain if count_parts(plain).parts < count_parts(text).parts else text


def _packed(costs: list[int], *, alone: int, joined: int) -> int:
    if sum(costs) <= alone:
        return 1 if costs else 0
    parts, used = 1, 0
    for cost in costs:
        if used + cost > joined:
            parts, used = parts + 1, 0
        used += cost
    return parts
