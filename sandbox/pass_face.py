"""A pass as an iPhone shows it: its texts in the phone's language, its fields, colours and pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_decimal, format_percent

from sandbox.pkpass_contents import GROUPS, STYLES, color

LANGUAGES = {"en": "English", "fi": "Suomi", "ru": "Русский", "fa": "فارسی"}
"""What a pretend phone may be set to."""
_LENGTHS = {"PKDateStyleShort": "short", "PKDateStyleMedium": "medium", "PKDateStyleLong": "long"}
_LENGTHS |= {"PKDateStyleFull": "full"}
_PERSIAN_DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
_BLACK, _WHITE = "#000000", "#ffffff"


@dataclass(frozen=True, slots=True)
class ShownField:
    """One field as it is on the screen."""

    key: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Face:
    """Everything that is drawn. Pictures are names of files in the pass, the sharpest there is; empty when none."""

    organization: str
    logo_text: str
    description: str
    background: str
    foreground: str
    label: str
    logo: str
    icon: str
    strip: str
    groups: dict[str, list[ShownField]]
    code: str
    code_text: str
    ended: str
    """“Expired” or “Voided” for a card that is over, else empty."""


@dataclass(frozen=True, slots=True)
class HeldPass:
    """A pass that passed the checks. `last_modified` is the web service's, as it wrote it; empty for an added file."""

    contents: dict[str, Any]
    files: dict[str, bytes] = field(repr=False)
    strings: dict[str, dict[str, str]] = field(repr=False)
    last_modified: str = ""

    @property
    def pass_type(self) -> str:
        return str(self.contents["passTypeIdentifier"])

    @property
    def serial(self) -> str:
        return str(self.contents["serialNumber"])

    @property
    def token(self) -> str:
        """What proves to the web service that this phone has the pass."""
        return str(self.contents.get("authenticationToken", ""))

    @property
    def service(self) -> str:
        """The web service's address without a slash at its end; empty for a pass that is never updated."""
        return str(self.contents.get("webServiceURL", "")).rstrip("/")

    @property
    def code(self) -> str:
        """What the QR code holds."""
        return str(next((one["message"] for one in self.contents.get("barcodes", [])), ""))

    def fields(self) -> dict[str, dict[str, Any]]:
        """All fields by key, as they are in pass.json."""
        return {one["key"]: one for group in self.groups().values() for one in group}

    def groups(self) -> dict[str, list[dict[str, Any]]]:
        """The fields of each group, as they are in pass.json."""
        style = next(self.contents[name] for name in STYLES if name in self.contents)
        return {name: style.get(name, []) for name in GROUPS}

    def localized(self, text: str, language: str) -> str:
        """The text in the phone's language, when the pass has it in that language."""
        return self.strings.get(language, {}).get(text, text)

    def shown(self, one: dict[str, Any], language: str) -> ShownField:
        """A field as a phone set to `language` shows it."""
        label = self.localized(str(one.get("label", "")), language)
        value = one["value"]
        if isinstance(value, str) and not {"dateStyle", "timeStyle"} & one.keys():
            return ShownField(str(one["key"]), label, self.localized(value, language))
        written = _date(value, one, language) if isinstance(value, str) else _number(value, one, language)
        digits = _PERSIAN_DIGITS if language == "fa" else {}
        return ShownField(str(one["key"]), label, written.translate(digits))

    def ended(self, at: datetime) -> str:
        """“Voided” or “Expired” when the card is over at `at`."""
        if self.contents.get("voided"):
            return "Voided"
        end = self.contents.get("expirationDate")
        return "Expired" if end and datetime.fromisoformat(end) <= at else ""

    def picture(self, kind: str, language: str = "") -> str:
        """The name of the sharpest picture of a kind; empty when there is none."""
        return next(
            (name for name in _picture_names(kind, language) if name in self.files),
            "",
        )

    def face(self, language: str, at: datetime) -> Face:
        """The pass as it is drawn at `at` on a phone set to `language`."""
        barcode: dict[str, Any] = next(iter(self.contents.get("barcodes", [])), {})
        return Face(
            organization=self.localized(self.contents["organizationName"], language),
            logo_text=self.localized(self.contents.get("logoText", ""), language),
            description=self.localized(self.contents["description"], language),
            background=color(self.contents.get("backgroundColor")) or _WHITE,
            foreground=color(self.contents.get("foregroundColor")) or _BLACK,
            label=color(self.contents.get("labelColor")) or color(self.contents.get("foregroundColor")) or _BLACK,
            logo=self.picture("logo", language),
            icon=self.picture("icon", language),
            strip=self.picture("strip", language),
            groups={
                name.removesuffix("Fields"): [self.shown(one, language) for one in group]
                for name, group in self.groups().items()
            },
            code=str(barcode.get("message", "")),
            code_text=str(barcode.get("altText", "")),
            ended=self.ended(at),
        )


def _picture_names(kind: str, language: str) -> Iterator[str]:
    for folder in (f"{language}.lproj/", "") if language else ("",):
        for scale in ("@3x", "@2x", ""):
            yield f"{folder}{kind}{scale}.png"


def _date(value: str, one: dict[str, Any], language: str) -> str:
    moment = datetime.fromisoformat(value)
    if one.get("ignoresTimeZone"):
        moment = moment.replace(tzinfo=UTC)
    date, time = _LENGTHS.get(one.get("dateStyle", "")), _LENGTHS.get(one.get("timeStyle", ""))
    if date and time:
        return format_datetime(moment, date, locale=language)
    return format_date(moment, date, language) if date else format_time(moment, time or "short", locale=language)


def _number(value: int | Decimal, one: dict[str, Any], language: str) -> str:
    if "currencyCode" in one:
        return format_currency(value, one["currencyCode"], locale=language, numbering_system="default")
    if one.get("numberStyle") == "PKNumberStylePercent":
        return format_percent(value, locale=language, numbering_system="default")
    return format_decimal(value, locale=language, numbering_system="default")
