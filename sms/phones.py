"""Phone numbers: whatever people type, as E.164, if it can get a text message.

The rules of every country's numbers come from Google's libphonenumber (the `phonenumbers` package).
"""

import re
import unicodedata
from collections.abc import Mapping

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

from sms.digits import ascii_digits

_LONGEST_TYPED = 40
_NONE = "–"
_TYPED = re.compile(r"\+?[0-9 ()\-./]+")
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−", "-"))
_TEXTABLE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.VOIP})


class PhoneError(ValueError):
    """A number that cannot be used.

    `message` is an English sentence, which is also the key of its translations, with %(name)s placeholders for
    `params`. str(error) is the filled English sentence; it never holds the number.
    """

    def __init__(self, message: str, params: Mapping[str, object] | None = None) -> None:
        self.message = message
        self.params = dict(params or {})
        super().__init__(message % self.params if self.params else message)


def normalise(text: str, country: str) -> str:
    """The E.164 number that a person in `country` (ISO 3166 alpha-2) means; otherwise PhoneError says why not.

    National and international forms, a leading 00, digits of any script, spaces, brackets and direction marks are
    all read. Landlines are refused, as they get no text messages, except where a country cannot tell them apart.
    """
    region = country.upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"no phone numbers are known for the country {country!r}")
    example = {"example": _example(region)}
    typed = _plain(text)
    if not typed:
        raise PhoneError("Write a phone number, for example %(example)s.", example)
    if len(typed) > _LONGEST_TYPED or not _TYPED.fullmatch(typed):
        raise PhoneError("Write the phone number with digits only, for example %(example)s.", example)
    try:
        number = phonenumbers.parse(_with_plus(typed), region)
    except NumberParseException as error:
        raise _unreadable(error, example) from error
    _require_textable(number, example)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def masked(e164: str) -> str:
    """The number with only its country code and last two digits to be read: '+358 ** *****67'. '–' for none."""
    if not e164.startswith("+"):
        return _NONE
    shown = phonenumbers.format_number(phonenumbers.parse(e164), PhoneNumberFormat.INTERNATIONAL)
    code, _, rest = shown.partition(" ")
    return f"{code} {re.sub('[0-9]', '*', rest[:-2])}{rest[-2:]}"


def shown(e164: str, country: str) -> str:
    """The number as people in `country` write it: national form for their own, international for others. '–' for
    what is none: who was erased has no number."""
    if not e164.startswith("+"):
        return _NONE
    number = phonenumbers.parse(e164)
    own = phonenumbers.region_code_for_number(number) == country.upper()
    return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL if own else PhoneNumberFormat.INTERNATIONAL)


def country_of(e164: str) -> str:
    """The ISO 3166 country of a number; empty for one of no country."""
    region = phonenumbers.region_code_for_number(phonenumbers.parse(e164)) if e164.startswith("+") else ""
    return region if region in phonenumbers.SUPPORTED_REGIONS else ""


def calling_code(country: str) -> int:
    """What the numbers of this country begin with, after the +."""
    return int(phonenumbers.country_code_for_region(country))


def is_country(code: str) -> bool:
    """Whether this is an ISO 3166 country with phone numbers."""
    return code in phonenumbers.SUPPORTED_REGIONS


def _plain(text: str) -> str:
    """ASCII digits and spaces, without the direction marks that copying from a right-to-left page brings along."""
    flat = ascii_digits(unicodedata.normalize("NFKC", text)).translate(_DASHES)
    flat = "".join(char for char in flat if unicodedata.category(char) != "Cf")
    return " ".join(flat.split())


def _with_plus(typed: str) -> str:
    """00 means + also where the country's own prefix for calls abroad is another one."""
    return re.sub(r"^\(?0 ?0", "+", typed)


def _example(region: str) -> str:
    number = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL) if number else "+358 40 1234567"


def _unreadable(error: NumberParseException, example: Mapping[str, object]) -> PhoneError:
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return PhoneError("No country has the code that this phone number begins with. Check the digits after the +.")
    if error.error_type == NumberParseException.TOO_LONG:
        return PhoneError("This phone number has too many digits. It looks like %(example)s.", example)
    return PhoneError("This phone number has too few digits. It looks like %(example)s.", example)


def _require_textable(number: PhoneNumber, example: Mapping[str, object]) -> None:
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible in (ValidationResult.TOO_SHORT, ValidationResult.IS_POSSIBLE_LOCAL_ONLY):
        raise PhoneError("This phone number has too few digits. It looks like %(example)s.", example)
    if possible == ValidationResult.TOO_LONG:
        raise PhoneError("This phone number has too many digits. It looks like %(example)s.", example)
    if not phonenumbers.is_valid_number(number):
        raise PhoneError("No phone has this number. Check the digits; it looks like %(example)s.", example)
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.FIXED_LINE:
        raise PhoneError("This is a landline, which gets no text messages. Write a mobile number.")
    if kind not in _TEXTABLE:
        raise PhoneError("This number belongs to a service, which gets no text messages. Write a mobile number.")
