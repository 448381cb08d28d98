"""Brand colours as people type them: HEX, rgb() or cmyk(); and whether text can be read on them.

Contrast is the ratio of WCAG 2.2 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio).
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from passes.errors import InputError

READABLE = 4.5  # WCAG 2.2 success criterion 1.4.3: the least contrast of normal text
_LABEL_STRENGTHS = (0.7, 0.8, 0.9)  # how much of the text colour a label keeps

_PUNCTUATION = str.maketrans({"٪": "%", "،": ",", "٫": ".", "−": "-", ";": ","})  # as Persian and Arabic write them
_NUMBERS = re.compile(r"^(rgba?|cmyk)\s*(\(?)(.*?)(\)?)$")
_NUMBER = re.compile(r"^(-?\d{1,9}(?:\.\d{1,9})?)(%?)$", re.ASCII)


class ColorError(InputError):
    """A colour that could not be read."""


@dataclass(frozen=True, slots=True)
class ContrastWarning:
    """Says that a text is hard to read. `message` and `params` are as in InputError."""

    message: str
    params: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Color:
    """An sRGB colour, 0-255 each."""

    red: int
    green: int
    blue: int

    def __post_init__(self) -> None:
        if not all(0 <= part <= 255 for part in (self.red, self.green, self.blue)):
            raise ValueError("red, green and blue go from 0 to 255")

    @property
    def hex(self) -> str:
        """'#1a2b3c', as HTML, SVG and Google Wallet write it."""
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    @property
    def apple(self) -> str:
        """'rgb(26, 43, 60)', as pass.json writes it."""
        return f"rgb({self.red}, {self.green}, {self.blue})"


BLACK = Color(0, 0, 0)
WHITE = Color(255, 255, 255)


def parse(text: str) -> Color:
    """The colour that a person typed, digits in any script; otherwise ColorError says what was wrong.

    Read are HEX with three or six digits, with or without #; rgb() with numbers 0-255 or percents; cmyk() with
    percents, whose signs may be left out. Brackets may be left out, and commas be spaces.
    CMYK becomes sRGB by 255 x (1 - ink) x (1 - black), without an ICC profile: near to what design programs show
    on a screen, but not the ink on a given paper.
    """
    plain = _plain(text)
    if not plain:
        raise ColorError("Write a colour, for example #1A2B3C.")
    if found := _NUMBERS.match(plain):
        word, opening, inside, closing = found.groups()
        if bool(opening) != bool(closing):
            raise ColorError("A bracket is missing. Write it like rgb(12, 34, 56) or cmyk(0, 70, 90, 10).")
        parts = [part for part in re.split(r"[\s,]+", inside) if part]
        return _from_cmyk(parts) if word == "cmyk" else _from_rgb(parts)
    if plain.startswith("#") or re.fullmatch(r"[0-9a-z]*[0-9][0-9a-z]*|[0-9a-f]+", plain):
        return _from_hex(plain.removeprefix("#").strip())
    if re.fullmatch(r"\(?[\d\s,.%-]+\)?", plain):
        raise ColorError("Say what the numbers are. Write rgb(12, 34, 56) or cmyk(0, 70, 90, 10).")
    raise ColorError("This is not a colour we can read. Write #1A2B3C, rgb(12, 34, 56) or cmyk(0, 70, 90, 10).")


def mix(base: Color, over: Color, share: float) -> Color:
    """`base` with `share` (0-1) of `over` laid on it, as a half-transparent layer looks."""

    def part(low: int, high: int) -> int:
        return int(low + (high - low) * share + 0.5)

    return Color(part(base.red, over.red), part(base.green, over.green), part(base.blue, over.blue))


def contrast(a: Color, b: Color) -> float:
    """WCAG contrast ratio, from 1 (the same) to 21 (black and white), in either order."""
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


def readable_on(background: Color) -> Color:
    """Black or white, whichever reads better. The contrast is at least 4.58, the square root of 21."""
    return max((WHITE, BLACK), key=lambda text: contrast(text, background))


def label_on(background: Color) -> Color:
    """A colour for small labels: softer than the text, as far as it stays readable on this background."""
    text = readable_on(background)
    shades = (mix(background, text, strength) for strength in _LABEL_STRENGTHS)
    return next((shade for shade in shades if contrast(shade, background) >= READABLE), text)


def warning(foreground: Color, background: Color) -> ContrastWarning | None:
    """What to tell someone whose text colour is hard to read on the background; None when it reads well."""
    ratio = contrast(foreground, background)
    if ratio >= READABLE:
        return None
    shown = Decimal(ratio).quantize(Decimal("0.1"), ROUND_DOWN)  # so that 4.49 is not shown as 4.5
    return ContrastWarning(
        "The text is hard to read on this background: the contrast is %(ratio)s, and 4.5 or more reads well.",
        {"ratio": shown},
    )


def _plain(text: str) -> str:
    """Lower case and ASCII digits, full-width and Persian punctuation made plain, direction marks left out."""
    flat = unicodedata.normalize("NFKC", text).translate(_PUNCTUATION).strip().lower()
    return "".join(
        str(unicodedata.decimal(char)) if char.isdecimal() else char
        for char in flat
        if unicodedata.category(char) != "Cf"
    )


def _from_hex(digits: str) -> Color:
    strange = next((char for char in digits if char not in "0123456789abcdef"), None)
    if strange is not None:
        raise ColorError(
            "“%(character)s” is not a HEX digit: they are 0 to 9 and A to F. Example: #1A2B3C.", {"character": strange}
        )
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    if len(digits) in (4, 8):
        raise ColorError("A card's colour cannot be see-through. Write three or six HEX digits, for example #1A2B3C.")
    if len(digits) != 6:
        raise ColorError(
            "A HEX colour has three or six digits, and this has %(count)s. Example: #1A2B3C.", {"count": len(digits)}
        )
    return Color(*bytes.fromhex(digits))


def _from_rgb(parts: list[str]) -> Color:
    if len(parts) != 3:
        raise ColorError(
            "rgb needs three numbers, for red, green and blue, and this has %(count)s. Example: rgb(12, 34, 56).",
            {"count": len(parts)},
        )
    numbers = [_number(part) for part in parts]
    signs = {sign for _, sign in numbers}
    if len(signs) > 1:
        raise ColorError("Put a percent sign after all three numbers or after none. Example: rgb(12, 34, 56).")
    top = 100 if signs == {"%"} else 255
    for part, (value, _) in zip(parts, numbers, strict=True):
        if not 0 <= value <= top:
            raise ColorError(
                "%(number)s is out of range: the numbers of rgb go from 0 to %(top)s. Example: rgb(12, 34, 56).",
                {"number": part, "top": top},
            )
    return Color(*(_whole(value * 255 / top) for value, _ in numbers))


def _from_cmyk(parts: list[str]) -> Color:
    if len(parts) != 4:
        raise ColorError(
            "cmyk needs four numbers, for cyan, magenta, yellow and black, and this has %(count)s. "
            "Example: cmyk(0, 70, 90, 10).",
            {"count": len(parts)},
        )
    numbers = [_number(part)[0] for part in parts]
    for part, value in zip(parts, numbers, strict=True):
        if not 0 <= value <= 100:
            raise ColorError(
                "%(number)s is out of range: the numbers of cmyk go from 0 to 100. Example: cmyk(0, 70, 90, 10).",
                {"number": part},
            )
    *inks, black = numbers
    return Color(*(_whole(255 * (100 - ink) * (100 - black) / 10000) for ink in inks))


def _number(part: str) -> tuple[Decimal, str]:
    found = _NUMBER.match(part)
    if not found:
        raise ColorError(
            "“%(text)s” is not a number. Write it like rgb(12, 34, 56) or cmyk(0, 70, 90, 10).", {"text": part[:20]}
        )
    return Decimal(found[1]), found[2]


def _whole(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_HALF_UP))


def _luminance(color: Color) -> float:
    """Relative luminance, 0 (black) to 1 (white)."""

    def linear(part: int) -> float:
        share = part / 255
        return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)

    return 0.2126 * linear(color.red) + 0.7152 * linear(color.green) + 0.0722 * linear(color.blue)
