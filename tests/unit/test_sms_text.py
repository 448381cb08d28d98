"""What a message costs: the parts we count are the parts that the provider bills."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms.text import PartCount, count_parts, downgraded

GSM7 = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", PartCount("GSM-7", 0, 0)),
        ("a" * 160, PartCount("GSM-7", 160, 1)),
        ("a" * 161, PartCount("GSM-7", 161, 2)),
        ("a" * 306, PartCount("GSM-7", 306, 2)),
        ("a" * 307, PartCount("GSM-7", 307, 3)),
        ("€" * 80, PartCount("GSM-7", 160, 1)),
        ("a" * 159 + "€", PartCount("GSM-7", 161, 2)),
        ("^{}\\[~]|€\f", PartCount("GSM-7", 20, 1)),
        ("Kahvi on tänään -50 %", PartCount("GSM-7", 21, 1)),
        ("س" * 70, PartCount("UCS-2", 70, 1)),
        ("س" * 71, PartCount("UCS-2", 71, 2)),
        ("б" * 134, PartCount("UCS-2", 134, 2)),
        ("б" * 135, PartCount("UCS-2", 135, 3)),
        ("☕" * 70, PartCount("UCS-2", 70, 1)),
        ("🎁" * 35, PartCount("UCS-2", 70, 1)),
        ("🎁" * 36, PartCount("UCS-2", 72, 2)),
        ("a" * 100 + "🎁", PartCount("UCS-2", 102, 2)),
        ("a\tb", PartCount("UCS-2", 3, 1)),
    ],
)
def test_parts_are_counted_as_the_network_does(text: str, expected: PartCount) -> None:
    assert expected == count_parts(text)


def test_a_character_is_never_cut_in_two() -> None:
    assert count_parts("a" * 152 + "€" + "a" * 152).parts == 3  # 306 units would fit two parts, but € straddles them
    assert count_parts("ب" * 66 + "🎁" + "ب" * 66).parts == 3


def test_the_basic_alphabet_is_that_of_ts_23_038() -> None:
    assert len(set(GSM7)) == 127  # 128 codes, one of which is the escape
    assert PartCount("GSM-7", 127, 1) == count_parts(GSM7)


@given(st.text(GSM7, max_size=800))
def test_plain_text_takes_the_fewest_parts_that_can_hold_it(text: str) -> None:
    expected = 0 if not text else 1 if len(text) <= 160 else ceil(len(text) / 153)
    assert PartCount("GSM-7", len(text), expected) == count_parts(text)


@given(st.text(max_size=300))
def test_units_of_ucs2_are_utf16_code_units(text: str) -> None:
    count = count_parts(text + "ب")
    assert ("UCS-2", len((text + "ب").encode("utf-16-le", "surrogatepass")) // 2) == (count.encoding, count.units)
    assert ceil(count.units / 67) - 1 <= count.parts <= ceil(count.units / 66)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("“Free” coffee", '"Free" coffee'),
        ("it’s ‘yours’", "it's 'yours'"),
        ("Mon–Fri — see you", "Mon-Fri - see you"),
        ("10\N{NO-BREAK SPACE}€", "10 €"),
        ("soon…", "soon..."),
        ("« kahvi »", '" kahvi "'),
        ("kah\N{SOFT HYPHEN}vi", "kahvi"),
        ("a\u0308", "ä"),
    ],
)
def test_typographic_signs_are_spelt_plainly_where_that_saves_a_part(written: str, plain: str) -> None:
    padding = "x" * 100
    assert padding + plain == downgraded(padding + written)
    assert count_parts(padding + written).parts == 2
    assert count_parts(padding + plain).parts == 1


@pytest.mark.parametrize("text", ["“Free” coffee", "“سلام” " * 30, "“Привет” " * 30, "x" * 200, "á" * 100])
def test_nothing_changes_where_nothing_is_saved(text: str) -> None:
    assert text == downgraded(text)


@given(st.text(st.characters() | st.sampled_from("“”’–…\xa0 aä€")), st.integers(0, 120))
def test_the_downgrade_never_costs_more_and_keeps_every_letter(text: str, padding: int) -> None:
    text = text + "x" * padding
    cheaper = downgraded(text)
    assert count_parts(cheaper).parts <= count_parts(text).parts
    assert cheaper == downgraded(cheaper)
