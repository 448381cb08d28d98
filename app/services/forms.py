"""Reading what people type into forms: every field is checked, and all that is wrong is said at once."""

import re
from collections.abc import Container, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import available_timezones

import jdatetime
from babel.numbers import get_currency_precision, list_currencies
from phonenumbers import SUPPORTED_REGIONS

from app.db.programs import Theme
from app.i18n import LANGUAGES, N_
from app.services.errors import InvalidForm, Refused
from passes.colors import ColorError, parse
from sms.digits import ascii_digits

_PASS_TYPE = re.compile(r"pass\.[A-Za-z0-9.-]{3,110}")

# Field → longest text. The database columns are as long.
_TEXTS = {"welcome_text": 300, "terms_text": 4000, "contact_text": 500}
_LARGEST_SMALLEST_PURCHASE = 10**9  # minor units; its column holds 32 bits


def plain_line(text: str, longest: int) -> str:
    """One line of text without control characters, cut to `longest` characters."""
    return " ".join(_printable(text).split(" ")).strip()[:longest]


def _printable(text: str) -> str:
    """Without what cannot be shown; PostgreSQL would refuse some of it. Joiners of emoji and of Persian words stay."""
    return "".join(char if char.isprintable() or char in "\u200c\u200d" else " " for char in text)


def read_program(form: Mapping[str, str]) -> dict[str, object]:
    """Check what an owner typed; return the columns' values. Raises InvalidForm with every field that is wrong.

    Amounts are typed in major units ('3,50'), numbers in any script, days as whole numbers or empty.
    """
    reader = FormReader(form)
    values = _program_values(reader)
    if reader.errors:
        raise InvalidForm(reader.errors)
    return values


def draft_program(form: Mapping[str, str]) -> dict[str, object]:
    """The values of the fields that are right, for a picture of a form that is still being filled in."""
    reader = FormReader(form)
    values = _program_values(reader)
    return {name: value for name, value in values.items() if name.removesuffix("_minor") not in reader.errors}


@cache
def time_zones() -> frozenset[str]:
    """The names of all time zones. Asked once: it reads the whole time zone database, file by file."""
    return frozenset(available_timezones())


def _program_values(reader: "FormReader") -> dict[str, object]:
    values: dict[str, object] = {
        "name": reader.line("name", 60),
        "organization_name": reader.line("organization_name", 60),
        "language": reader.choice("language", LANGUAGES),
        "time_zone": reader.choice("time_zone", time_zones()),
        "country": reader.choice("country", SUPPORTED_REGIONS),
        "currency": reader.choice("currency", list_currencies() - {"XXX", "XTS"}),
        "brand_color": reader.color("brand_color"),
        "theme": Theme(reader.choice("theme", set(Theme), otherwise=Theme.DARK)),
        "website": reader.website("website"),
        "stamps_needed": reader.number("stamps_needed", 1, 30),
        "stamp_valid_days": reader.number("stamp_valid_days", 1, 3650, optional=True),
        "join_stamps": reader.number("join_stamps", 0, 29, optional=True) or 0,
        "reward_name": reader.line("reward_name", 60),
        "reward_valid_days": reader.number("reward_valid_days", 1, 3650, optional=True),
        "starts_on": reader.day("starts_on"),
        "pass_type_identifier": reader.pass_type("pass_type_identifier"),
        **{name: reader.paragraphs(name, longest) for name, longest in _TEXTS.items()},
    }
    if "currency" not in reader.errors:
        values["smallest_purchase_minor"] = reader.amount("smallest_purchase", str(values["currency"]))
    needed, joining = values["stamps_needed"], values["join_stamps"]
    if isinstance(needed, int) and isinstance(joining, int) and joining >= needed:
        reader.errors.setdefault(
            "join_stamps",
            Refused(
                "join-stamps-fill-card",
                N_("Joining must not fill the card by itself: give fewer stamps than a full card needs."),
            ),
        )
    return values


class FormReader:
    """Reads one form, collecting what is wrong with each field."""

    def __init__(self, form: Mapping[str, str]) -> None:
        self.form = form
        self.errors: dict[str, Refused] = {}

    def wrong(self, field: str, kind: str, message: str, params: Mapping[str, object] | None = None) -> None:
        self.errors[field] = Refused(kind, message, params, field=field)

    def line(self, field: str, longest: int, *, optional: bool = False) -> str:
        text = plain_line(self.form.get(field, ""), len(self.form.get(field, "")))
        if not text and not optional:
            self.wrong(field, "required", N_("Please fill this in."))
        return self._short(field, text, longest)

    def paragraphs(self, field: str, longest: int) -> str:
        lines = self.form.get(field, "").splitlines()
        return self._short(field, "\n".join(_printable(line).rstrip() for line in lines).strip(), longest)

    def _short(self, field: str, text: str, longest: int) -> str:
        if len(text) > longest:
            self.wrong(
                field,
                "too-long",
                N_("This has %(count)s characters, and %(most)s fit. Please shorten it."),
                {"count": len(text), "most": longest},
            )
        return text

    def choice(self, field: str, allowed: Container[str], otherwise: str = "") -> str:
        text = self.form.get(field, "").strip() or otherwise
        if text not in allowed:
            self.wrong(field, "unknown-choice", N_("Please choose one from the list."))
            return otherwise
        return text

    def color(self, field: str) -> str:
        text = plain_line(self.form.get(field, ""), 60)
        try:
            parse(text)
        except ColorError as error:
            self.wrong(field, "invalid-color", error.message, error.params)
        return text

    def number(self, field: str, least: int, most: int, *, optional: bool = False) -> int | None:
        text = ascii_digits(self.form.get(field, "")).strip()
        if not text and optional:
            return None
        if text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most:
            return int(text)
        self.wrong(
            field,
            "invalid-number",
            N_("Enter a whole number from %(least)s to %(most)s."),
            {"least": least, "most": most},
        )
        return None

    def amount(self, field: str, currency: str, most: int = _LARGEST_SMALLEST_PURCHASE) -> int:
        text = self.form.get(field, "").strip()
        if not text:
            return 0
        try:
            amount = minor_units(text, currency)
        except Refused as error:
            self.wrong(field, error.kind, error.message, error.params)
            return 0
        if amount > most:
            self.wrong(field, "invalid-amount", N_("This amount cannot be right."))
        return amount

    def day(self, field: str) -> date | None:
        text = ascii_digits(self.form.get(field, "")).strip()
        if not text:
            return None
        try:
            return calendar_day(text)
        except ValueError:
            self.wrong(field, "invalid-date", N_("Enter the day as year-month-day, for example 2027-01-31."))
            return None

    def website(self, field: str) -> str:
        text = plain_line(self.form.get(field, ""), 2000)
        if text and "://" not in text:
            text = f"https://{text}"
        if text and (len(text) > 200 or not _is_web_address(text)):
            self.wrong(field, "invalid-website", N_("Enter a web address, for example https://example.com."))
        return text

    def pass_type(self, field: str) -> str:
        text = self.form.get(field, "").strip()
        if text and not _PASS_TYPE.fullmatch(text):
            self.wrong(field, "invalid-pass-type", N_("A pass type identifier looks like pass.com.example.loyalty."))
        return text


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        return False
    named = re.fullmatch(r"[^\s.]+(\.[^\s.]+)+", host)
    return parts.scheme in ("http", "https") and bool(named) and not re.search(r"[\s<>\"]", text)


def calendar_day(text: str) -> date:
    """A day typed as year-month-day. A year before 1700 is of the Jalali calendar: 1405-09-01 is 2026-11-22.

    Raises ValueError for a day that is not in the calendar.
    """
    found = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", text.replace("/", "-"))
    if found is None:
        raise ValueError(text)
    year, month, day = (int(part) for part in found.groups())
    if year >= 1700:
        return date(year, month, day)
    converted: date = jdatetime.date(year, month, day).togregorian()
    return converted


def chosen_id(typed: str) -> UUID | None:
    """The id behind a choice; None when nothing was chosen."""
    try:
        return UUID(typed)
    except ValueError:
        return None


def minor_units(text: str, currency: str) -> int:
    """An amount as typed ('3.50', '3,50', '۳٫۵۰') in minor units. Raises Refused for nonsense or too fine an amount.

    '1,000' euros are refused: whoever types that may mean a thousand, or one.
    """
    plain = re.sub(r"[\s٬]", "", ascii_digits(text)).replace("٫", ".").replace(",", ".")
    precision = get_currency_precision(currency)
    found = re.fullmatch(r"(\d{1,10})(?:\.(\d*))?", plain)
    if found is None or len(found[2] or "") > precision:
        raise Refused(
            "invalid-amount",
            N_("Enter an amount such as %(example)s."),
            {"example": "12.50" if precision == 2 else "12" if precision == 0 else "12.500"},
            field="amount",
        )
    return int(Decimal(plain).scaleb(precision))


def degrees(reader: FormReader, field: str, most: int) -> float | None:
    text = ascii_digits(reader.form.get(field, "")).strip().replace(",", ".").replace("٫", ".").replace("−", "-")
    if not text:
        return None
    if re.fullmatch(r"-?\d{1,3}(\.\d{1,15})?", text) and abs(float(text)) <= most:
        return float(text)
    reader.wrong(
        field, "invalid-degrees", N_("Enter degrees such as 60.1699, from -%(most)s to %(most)s."), {"most": most}
    )
    return None
