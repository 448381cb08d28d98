"""One row of an old register as somebody who may join: every cell is checked, and what is wrong is said plainly."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cache

from babel import Locale, UnknownLocaleError

from app.i18n import LANGUAGES, N_
from app.services.forms import calendar_day, plain_line
from app.services.members import EMAIL
from app.services.old_cards import normal
from app.services.register_columns import STAMPS_ON
from sms.digits import ascii_digits
from sms.phones import PhoneError, normalise

MOST_STAMPS = 1000
# A person with a mistake in one of these is left out, so that they can be mended and sent again. In the other columns
# only the cell with the mistake is left out.
DECISIVE = frozenset({"phone", "stamps"})

_SCIENTIFIC = re.compile(r"\+?(\d(?:[.,]\d+)?)[eE]\+?(\d{1,2})")
_ROUND = re.compile(r"(\d+)[.,]0+")
_LANGUAGE_NAMES = {
    "en": "en eng english englanti английский англ انگلیسی",
    "fi": "fi fin finnish suomi suomeksi финский фин فنلاندی",
    "ru": "ru rus russian venäjä русский рус روسی",
    "fa": "fa fas per persian farsi persia персидский фарси فارسی",
}
_LANGUAGES = {name: code for code, names in _LANGUAGE_NAMES.items() for name in names.split()}
_YES = frozenset(
    ["1", "x", "y", "yes", "true", "ok", "on", "kyllä", "k", "joo", "да", "д", "بله", "بلی", "آری", "✓", "✔", "+"]
)
_NO = frozenset(["0", "-", "n", "no", "false", "off", "ei", "e", "нет", "н", "خیر", "نه", "✗", "✘"])


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one cell. `message` is English, to be translated, with placeholders for `params`."""

    field: str
    kind: str
    message: str
    params: dict[str, object]

    @property
    def decisive(self) -> bool:
        """Whether the person is left out because of it."""
        return self.field in DECISIVE or self.field.startswith(STAMPS_ON)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody from the register. An empty text, None and 0 are what the file does not say."""

    phone: str
    name: str = ""
    email: str = ""
    birth_date: date | None = None
    city: str = ""
    language: str = ""
    stamps: int = 0
    old_card: str = ""
    consent: bool = False
    joined_on: date | None = None
    further: Mapping[str, int] = field(default_factory=dict)  # a further stamp card's id → its stamps


class RowReader:
    """Reads rows by `columns` (field → place). `country` is where numbers and dates are written, `today` its day."""

    def __init__(self, columns: Mapping[str, int], country: str, today: date) -> None:
        self._columns = columns
        self._country = country
        self._today = today
        self._faults: list[Fault] = []

    def read(self, record: Sequence[str]) -> tuple[Person | None, list[Fault]]:
        """The person in a row, or None for one who is left out, and all that is wrong with the row."""
        self._faults = []
        cells = {field: record[place].strip() for field, place in self._columns.items() if place < len(record)}
        person = Person(
            phone=self._phone(cells.get("phone", "")),
            name=plain_line(f"{cells.get('name', '')} {cells.get('last_name', '')}", 80),
            email=self._email(cells.get("email", "")),
            birth_date=self._day("birth_date", cells.get("birth_date", "")),
            city=plain_line(cells.get("city", ""), 60),
            language=self._language(cells.get("language", "")),
            stamps=self._stamps("stamps", cells.get("stamps", "")),
            old_card=self._old_card(cells.get("old_card", "")),
            consent=self._consent(cells.get("consent", "")),
            joined_on=self._day("joined_on", cells.get("joined_on", "")),
            further={
                column.removeprefix(STAMPS_ON): stamps
                for column, cell in cells.items()
                if column.startswith(STAMPS_ON) and (stamps := self._stamps(column, cell))
            },
        )
        left_out = any(fault.decisive for fault in self._faults)
        return None if left_out else person, self._faults

    def _wrong(self, field: str, kind: str, message: str, params: Mapping[str, object] | None = None) -> None:
        self._faults.append(Fault(field, kind, message, dict(params or {})))

    def _phone(self, cell: str) -> str:
        typed = unspoilt(cell)
        if typed is None:
            self._spoilt("phone")
            return ""
        try:
            return normalise(typed, self._country)
        except PhoneError as error:
            if phone := _without_plus(typed, self._country):
                return phone
            self._wrong("phone", "invalid-phone", error.message, error.params)
            return ""

    def _spoilt(self, field: str) -> None:
        self._wrong(
            field,
            "spreadsheet-number",
            N_(
                "The spreadsheet has shortened this number, and its last digits are lost. "
                "Format the column as text, enter the numbers anew, and save the file again."
            ),
        )

    def _email(self, cell: str) -> str:
        if not cell:
            return ""
        if len(cell) <= 254 and cell.isprintable() and EMAIL.fullmatch(cell):
            return cell
        self._wrong("email", "invalid-email", N_("This e-mail address is not complete. Example: name@example.com"))
        return ""

    def _day(self, field: str, cell: str) -> date | None:
        text = re.sub(r"[T ]\d{1,2}:\d\d.*$", "", ascii_digits(cell)).strip(" .")
        if not text:
            return None
        if re.fullmatch(r"\d{1,2}[./-]\d{1,2}[./-]\d\d", text):
            self._wrong(
                field, "short-year", N_("Write the year with four digits: nobody knows the century of this one.")
            )
            return None
        if re.fullmatch(r"\d{5}", text):
            self._wrong(
                field, "day-number", N_("The spreadsheet saved this day as a number. Format the column as dates.")
            )
            return None
        day = day_in(text, self._country)
        if day is None:
            self._wrong(
                field, "invalid-date", N_("This is no day. Write it as year-month-day, for example 2027-01-31.")
            )
        elif not date(1900, 1, 1) <= day <= self._today:
            self._wrong(field, "day-out-of-range", N_("This day cannot be right. Please check the year."))
            return None
        return day

    def _language(self, cell: str) -> str:
        if not cell:
            return ""
        name = cell.casefold()
        if code := _LANGUAGES.get(name) or _LANGUAGES.get(re.split(r"[-_ ]", name)[0]):
            return code
        self._wrong(
            "language",
            "unknown-language",
            N_("Leima does not speak this language. It knows: %(languages)s."),
            {"languages": ", ".join(LANGUAGES.values())},
        )
        return ""

    def _stamps(self, column: str, cell: str) -> int:
        text = ascii_digits(cell).replace("٫", ".")
        if found := _ROUND.fullmatch(text):
            text = found[1]
        if not text:
            return 0
        if text.isascii() and text.isdigit() and len(text) <= 9 and int(text) <= MOST_STAMPS:
            return int(text)
        self._wrong(
            column,
            "invalid-number",
            N_("Enter a whole number from %(least)s to %(most)s."),
            {"least": 0, "most": MOST_STAMPS},
        )
        return 0

    def _old_card(self, cell: str) -> str:
        if not cell:
            return ""
        typed = unspoilt(cell)
        if typed is None:
            self._spoilt("old_card")
            return ""
        if number := normal(typed):
            return number
        self._wrong(
            "old_card",
            "invalid-old-card",
            N_("Write the number of the old card: it has a digit, and 40 characters at most."),
        )
        return ""

    def _consent(self, cell: str) -> bool:
        answer = ascii_digits(cell).casefold()
        if answer and answer not in _YES | _NO:
            self._wrong("consent", "unclear-consent", N_("This is neither yes nor no, so it counts as no."))
        return answer in _YES


def unspoilt(cell: str) -> str | None:
    """A number as it was before a spreadsheet got at it: '3.58401234567E+11', '401234567.0', '="0401234567"'.

    None when digits are lost for good, as in '4,0442E+08'.
    """
    text = ascii_digits(cell).strip()
    if found := re.fullmatch(r'="(.*)"', text):
        text = found[1]
    text = text.removeprefix("'").strip()
    if found := _SCIENTIFIC.fullmatch(text):
        mantissa, exponent = found[1].replace(",", "."), int(found[2])
        if len(mantissa.replace(".", "")) != exponent + 1:
            return None
        return str(int(Decimal(mantissa).scaleb(exponent)))
    found = _ROUND.fullmatch(text)
    return found[1] if found and len(found[1]) >= 5 else text


def _without_plus(typed: str, country: str) -> str:
    """The number that has lost the + before its country code; empty when it is none."""
    if not re.fullmatch(r"[1-9][\d ()-]{6,20}", typed):
        return ""
    try:
        return normalise(f"+{typed}", country)
    except PhoneError:
        return ""


def day_in(text: str, country: str) -> date | None:
    """A day in one of the common orders, or None: 31.1.2027, 2027-01-31, 1/31/2027 where the month comes first.

    Years before 1700 are of the Jalali calendar.
    """
    parts = re.fullmatch(r"(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})", text.replace(" ", ""))
    if parts is None:
        return _compact(text)
    first, middle, last = parts.groups()
    if len(first) == 4:
        year, month, day = first, middle, last
    elif len(last) != 4:
        return None
    elif "/" in text and month_first(country) and int(middle) <= 31 and int(first) <= 12:
        year, month, day = last, first, middle
    else:
        year, month, day = last, middle, first
    try:
        return calendar_day(f"{year}-{month}-{day}")
    except ValueError:
        return None


def _compact(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date() if re.fullmatch(r"\d{8}", text) else None  # noqa: DTZ007 - a day
    except ValueError:
        return None


@cache
def month_first(country: str) -> bool:
    """Whether people in this country write 1/31/2027."""
    try:
        pattern: str = Locale.parse(f"und_{country}").date_formats["short"].pattern
    except (UnknownLocaleError, ValueError):
        return False
    return pattern.startswith("M")
