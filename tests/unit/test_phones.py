"""Phone numbers: what people type becomes E.164, or a sentence that says what to do."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from sms.phones import PhoneError, masked, normalise, shown

ALICE = "+358401234567"

mobiles = st.sampled_from(
    [
        (region, phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE))
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        if phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    ]
)
digits_of_scripts = st.sampled_from(["0123456789", "۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９"])


@pytest.mark.parametrize(
    ("typed", "country", "expected"),
    [
        ("0401234567", "FI", ALICE),
        ("040 123 4567", "fi", ALICE),
        ("040-123 45 67", "FI", ALICE),
        ("040–1234567", "FI", ALICE),
        ("+358401234567", "FI", ALICE),
        ("+358 (0)40 123 4567", "FI", ALICE),
        ("00358 40 1234567", "FI", ALICE),
        ("00358401234567", "US", ALICE),
        ("00 358 40 1234567", "IR", ALICE),
        ("\u200e+358 40 1234567\u200f", "FI", ALICE),
        ("＋３５８ ４０ １２３４５６７", "FI", ALICE),
        ("040\N{NO-BREAK SPACE}1234567\n", "FI", ALICE),
        ("۰۹۱۲ ۳۴۵ ۶۷۸۹", "IR", "+989123456789"),
        ("٠٩١٢٣٤٥٦٧٨٩", "IR", "+989123456789"),
        ("989123456789", "IR", "+989123456789"),
        ("8 (912) 345-67-89", "RU", "+79123456789"),
        ("(415) 555-2671", "US", "+14155552671"),
    ],
)
def test_a_number_is_read_as_people_write_it(typed: str, country: str, expected: str) -> None:
    assert expected == normalise(typed, country)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", "Write a phone number, for example 041 2345678."),
        (" \u200f ", "Write a phone number, for example 041 2345678."),
        ("hello", "Write the phone number with digits only, for example 041 2345678."),
        ("040 1234567 ext. 5", "Write the phone number with digits only, for example 041 2345678."),
        ("+", "Write the phone number with digits only, for example 041 2345678."),
        ("1" * 41, "Write the phone number with digits only, for example 041 2345678."),
        ("112", "This phone number has too few digits. It looks like 041 2345678."),
        ("04", "This phone number has too few digits. It looks like 041 2345678."),
        ("()", "This phone number has too few digits. It looks like 041 2345678."),
        ("0401234567890123", "This phone number has too many digits. It looks like 041 2345678."),
        ("040 12", "No phone has this number. Check the digits; it looks like 041 2345678."),
        (
            "+0 40 1234567",
            "No country has the code that this phone number begins with. Check the digits after the +.",
        ),
        ("09 123 4567", "This is a landline, which gets no text messages. Write a mobile number."),
        ("+44 20 7183 8750", "This is a landline, which gets no text messages. Write a mobile number."),
        ("0800 123456", "This number belongs to a service, which gets no text messages. Write a mobile number."),
    ],
)
def test_an_unusable_number_is_answered_with_what_to_do(typed: str, expected: str) -> None:
    with pytest.raises(PhoneError) as caught:
        normalise(typed, "FI")
    assert expected == str(caught.value)
    assert expected == (caught.value.message % caught.value.params if caught.value.params else caught.value.message)


def test_a_country_that_cannot_tell_landlines_from_mobiles_is_not_refused() -> None:
    number = phonenumbers.parse("+14155552671")
    assert phonenumbers.number_type(number) == PhoneNumberType.FIXED_LINE_OR_MOBILE
    assert normalise("+1 415 555 2671", "FI") == "+14155552671"


@given(mobiles, digits_of_scripts, st.booleans())
def test_every_countrys_mobile_numbers_are_read_in_both_forms(
    mobile: tuple[str, phonenumbers.PhoneNumber], digits: str, international: bool
) -> None:
    country, number = mobile
    form = PhoneNumberFormat.INTERNATIONAL if international else PhoneNumberFormat.NATIONAL
    typed = phonenumbers.format_number(number, form).translate(str.maketrans("0123456789", digits))
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    assert e164 == normalise(typed, country)
    assert e164 == normalise(e164, "FI")
    assert e164 == normalise(shown(e164, country), country)


@given(st.text(max_size=50) | st.text("+0123456789 ()-", max_size=20), st.sampled_from(["FI", "IR", "RU", "US"]))
def test_any_text_is_a_number_or_a_plain_sentence(text: str, country: str) -> None:
    try:
        number = normalise(text, country)
    except PhoneError:
        return
    assert number == normalise(number, country)


@given(mobiles)
def test_a_masked_number_shows_only_the_country_and_two_digits(mobile: tuple[str, phonenumbers.PhoneNumber]) -> None:
    number = mobile[1]
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    read = [char for char in masked(e164) if char.isdigit()]
    assert f"{number.country_code}{e164[-2:]}" == "".join(read)


def test_numbers_are_shown_as_people_of_the_country_write_them() -> None:
    assert shown(ALICE, "FI") == "040 1234567"
    assert shown(ALICE, "IR") == "+358 40 1234567"
    assert masked(ALICE) == "+358 ** *****67"


def test_a_country_that_does_not_exist_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="'XX'"):
        normalise("040 1234567", "XX")
