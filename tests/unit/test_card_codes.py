"""Card codes: every card reads back as itself however it is typed, and nothing else reads as a card."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.card_codes import LENGTH, RANDOM_BYTES, code_from, grouped, read

randoms = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)
codes = randoms.map(code_from)


@pytest.mark.parametrize(
    ("random", "expected"),
    [
        (bytes(10), "0000000000000000"),
        (bytes([255] * 10), "ZZZZZZZZZZZZZZZZ"),
        (bytes(9) + b"\x01", "0000000000000001"),
        (bytes.fromhex("00443214c74254b635cf"), "0123456789ABCDEF"),
    ],
)
def test_random_bytes_are_written_in_crockfords_base32(random: bytes, expected: str) -> None:
    assert expected == code_from(random)


@given(randoms, randoms)
def test_two_cards_never_share_a_code_unless_their_random_bytes_do(one: bytes, other: bytes) -> None:
    assert (one == other) == (code_from(one) == code_from(other))


@given(codes)
def test_a_code_reads_back_however_it_is_typed(code: str) -> None:
    persian = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
    arabic = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
    assert len(code) == LENGTH
    assert code == read(code)
    assert code == read(code.lower())
    assert code == read(grouped(code))
    assert code == read(grouped(code).replace("-", "\N{EN DASH}"))
    assert code == read(f" {grouped(code).replace('-', ' ')}\r\n")
    assert code == read(f"\u200f{code}\u200e")
    assert code == read(code.translate(persian))
    assert code == read(code.translate(arabic))
    assert code == read(code.replace("0", "O").replace("1", "I"))
    assert code == read(code.replace("0", "o").replace("1", "l"))


@given(codes)
def test_people_see_four_groups_of_four(code: str) -> None:
    assert [code[0:4], code[4:8], code[8:12], code[12:16]] == grouped(code).split("-")


@given(codes, st.integers(0, LENGTH - 1), st.sampled_from("Uu*$=~ü?/:٪éК"))
def test_a_sign_outside_the_alphabet_is_a_miss(code: str, place: int, sign: str) -> None:
    assert read(code[:place] + sign + code[place + 1 :]) is None


@given(codes, st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=1, max_size=5))
def test_a_code_too_long_or_too_short_is_a_miss(code: str, more: str) -> None:
    assert read(code + more) is None
    assert read(code[len(more) :]) is None


@given(codes)
def test_a_link_that_holds_a_code_is_not_a_code(code: str) -> None:
    assert read(f"https://leima.example/c/{code}") is None
    assert read(f"/c/{code}") is None


@given(st.text())
def test_any_text_is_a_code_or_a_miss(text: str) -> None:
    code = read(text)
    assert code is None or code == read(code)


def test_a_code_needs_exactly_its_random_bytes() -> None:
    with pytest.raises(ValueError, match="10 bytes, not 16"):
        code_from(bytes(16))
