"""Texts, numbers, dates and money in a person's language.

English is the source. Translations are read from app/translations/<language>.po as they are: there is no compile
step that could be forgotten. Nothing here knows about requests, so passes, SMS, the command line and the web pages
all speak through the same object.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from gettext import c2py
from pathlib import Path
from zoneinfo import ZoneInfo

import jdatetime
from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, get_currency_precision

LANGUAGES = {"en": "English", "fi": "suomi", "ru": "русский", "fa": "فارسی"}
RIGHT_TO_LEFT = frozenset({"fa"})
TRANSLATIONS = Path(__file__).parent / "translations"

# One locale a language; en-GB because 24-hour times and day-before-month are what our shops' customers read.
_LOCALES = {"en": "en_GB", "fi": "fi_FI", "ru": "ru_RU", "fa": "fa_IR"}
_PERSIAN_DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
_JALALI_MONTHS = (
    "فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور", "مهر", "آبان", "آذر", "دی", "بهمن", "اسفند",
)  # fmt: skip


def N_(message: str) -> str:  # noqa: N802 - the name that gettext tools look for
    """Mark a text for translation where it is defined, to be translated where it is shown."""
    return message


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of an ISO 4217 currency, to be put into a sentence."""

    amount_minor: int
    currency: str

    def __str__(self) -> str:
        return translator("en").money(self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True)
class Weekdays:
    """Days of the week (0 is Monday), to be put into a sentence."""

    days: tuple[int, ...]

    def __str__(self) -> str:
        return translator("en").weekdays(self.days)


@cache
def _catalog(language: str) -> Catalog:
    path = TRANSLATIONS / f"{language}.po"
    if language == "en" or not path.exists():
        return Catalog(locale=_LOCALES[language])
    with path.open("rb") as file:
        return read_po(file, locale=_LOCALES[language])


@cache
def _plural_index(expression: str) -> Callable[[int], int]:
    return c2py(expression)


@dataclass(frozen=True, slots=True)
class Translator:
    """Everything a page or pass needs to speak one language."""

    language: str

    @property
    def locale(self) -> Locale:
        return Locale.parse(_LOCALES[self.language])

    @property
    def direction(self) -> str:
        """'rtl' or 'ltr', for the HTML dir attribute."""
        return "rtl" if self.language in RIGHT_TO_LEFT else "ltr"

    def gettext(self, message: str, **values: object) -> str:
        """The message in this language. Placeholders are %(name)s; see `shown` for numbers."""
        entry = _catalog(self.language).get(message)
        text = entry.string if entry and isinstance(entry.string, str) and entry.string else message
        return self._fill(text, values)

    def ngettext(self, singular: str, plural: str, n: int, **values: object) -> str:
        """The right plural form for n, which is also the placeholder %(n)s."""
        catalog = _catalog(self.language)
        entry = catalog.get(singular)
        forms = entry.string if entry and isinstance(entry.string, tuple) else ()
        index = _plural_index(catalog.plural_expr)(n)
        text = forms[index] if index < len(forms) and forms[index] else (singular if n == 1 else plural)
        return self._fill(text, {"n": n, **values})

    def _fill(self, text: str, values: dict[str, object]) -> str:
        if not values:
            return text
        return text % {name: self.shown(value) for name, value in values.items()}

    def shown(self, value: object) -> object:
        """A value as it stands in a sentence: numbers, days and money as people of this language write them."""
        match value:
            case bool() | str():
                return value
            case int() | Decimal():
                return self.number(value)
            case Money():
                return self.money(value.amount_minor, value.currency)
            case Weekdays():
                return self.weekdays(value.days)
            case date() if not isinstance(value, datetime):
                return self.date(value)
            case _:
                return value

    def weekdays(self, days: Sequence[int]) -> str:
        """Days of the week (0 is Monday) by name, one after the other."""
        names = self.locale.days["stand-alone"]["wide"]
        return self.listed([str(names[day]) for day in sorted(days)])

    def listed(self, words: Sequence[str]) -> str:
        """Words one after the other."""
        return ("، " if self.language == "fa" else ", ").join(words)

    def digits(self, text: str) -> str:
        """The same text with the digits that people of this language read."""
        return text.translate(_PERSIAN_DIGITS) if self.language == "fa" else text

    def figure(self, written: str) -> str:
        """A number that Babel has written, in these digits. Where lines run from the right, a minus would fall to the
        number's right end without the mark before it."""
        shown = self.digits(written)
        return f"\N{LEFT-TO-RIGHT MARK}{shown}" if self.language == "fa" and shown.startswith("-") else shown

    def number(self, value: int | Decimal) -> str:
        return _number(self, value)

    def money(self, amount_minor: int, currency: str) -> str:
        """An amount in minor units, e.g. (1250, 'EUR') → '€12.50'."""
        return self.figure(
            str(
                format_currency(
                    major_units(amount_minor, currency), currency, locale=self.locale, numbering_system="default"
                )
            )
        )

    def price(self, micro: int, currency: str) -> str:
        """Millionths of a currency's unit, with all the decimals they have: (74500, 'EUR') → '€0.0745'."""
        amount = Decimal(micro).scaleb(-6)
        shown = format_currency(
            amount, currency, locale=self.locale, numbering_system="default", decimal_quantization=False
        )
        return self.figure(str(shown))

    def short_date(self, value: date) -> str:
        """A calendar day where there is little room, as on a wallet card: 31 Dec 2026; Jalali for Persian."""
        if self.language == "fa":
            return self.date(value)
        return str(format_date(value, "d MMM yyyy" if self.language == "en" else "medium", locale=self.locale))

    def date(self, value: date) -> str:
        """A calendar day as people write it; Jalali for Persian."""
        if self.language == "fa":
            day = jdatetime.date.fromgregorian(date=value)
            return self.digits(f"{day.day} {_JALALI_MONTHS[day.month - 1]} {day.year}")
        return str(format_date(value, "d MMMM yyyy" if self.language == "en" else "long", locale=self.locale))

    def typed_day(self, text: str) -> str:
        """A day as it stands in a form, year-month-day, in the calendar that people of this language type."""
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return text
        if self.language != "fa":
            return text
        return self.digits(jdatetime.date.fromgregorian(date=day).strftime("%Y-%m-%d"))

    def moment(self, value: datetime, zone: str) -> str:
        """A moment in a programme's time zone, as day and time."""
        local = value.astimezone(ZoneInfo(zone))
        time = format_datetime(local, "HH:mm", locale=self.locale)
        return f"{self.date(local.date())} {self.digits(str(time))}"


def major_units(amount_minor: int, currency: str) -> Decimal:
    """Minor units to major, by ISO 4217: (1250, 'EUR') → Decimal('12.50'), (500, 'JPY') → Decimal('500')."""
    return Decimal(amount_minor).scaleb(-get_currency_precision(currency))


@cache
def translator(language: str) -> Translator:
    """The translator for a language tag; 'fi-FI' means fi, and what we do not speak becomes English."""
    short = language.replace("_", "-").split("-")[0].lower()
    return Translator(short if short in LANGUAGES else "en")


@lru_cache(4096, typed=True)
def _number(text: Translator, value: int | Decimal) -> str:
    """Kept, because cards show small numbers over and over, and Babel takes its time."""
    return text.figure(str(format_decimal(value, locale=text.locale, numbering_system="default")))
