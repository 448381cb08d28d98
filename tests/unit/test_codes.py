"""Seven-digit credit codes: hard to guess, and a slip of the finger never redeems a stranger's credit."""

import random
import secrets
import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms.codes import CodeSpaceFull, choose, code_hash, draw, grouped, guess_odds, near, needs_phone_digits, read

CODE = st.from_regex(r"[0-9]{7}", fullmatch=True)
SCRIPTS = ["0123456789", "۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９"]
GAPS = ["", " ", "-", "–", "\u200f", "\u00a0"]
PEPPER = bytes(range(32))
PROGRAM, OTHER_PROGRAM = UUID(int=1), UUID(int=2)


def swaps(code: str) -> set[str]:
    made = set()
    for place in range(6):
        digits = list(code)
        digits[place], digits[place + 1] = digits[place + 1], digits[place]
        made.add("".join(digits))
    return made - {code}


@given(CODE)
def test_near_codes_are_exactly_one_wrong_digit_or_one_swap_away(code: str) -> None:
    found = near(code)
    wrong = {other for other in found if sum(a != b for a, b in zip(code, other, strict=True)) == 1}
    assert 63 == len(wrong)
    assert swaps(code) == found - wrong
    assert code not in found
    assert all(len(other) == 7 and other.isdigit() for other in found)


@given(CODE)
def test_nearness_is_mutual(code: str) -> None:
    assert all(code in near(other) for other in near(code))


def test_no_chosen_code_is_near_another() -> None:
    chance, active = random.Random(7), set()
    for _ in range(3000):
        code = choose(lambda codes: not active.isdisjoint(codes), lambda: draw(chance.randrange))
        assert active.isdisjoint(near(code) | {code})
        active.add(code)


def test_a_full_code_space_is_an_error_and_no_endless_loop() -> None:
    drawn: list[str] = []

    def draw_one() -> str:
        drawn.append(draw(secrets.randbelow))
        return drawn[-1]

    with pytest.raises(CodeSpaceFull, match="No free code"):
        choose(lambda codes: True, draw_one, tries=25)
    assert 25 == len(drawn)


def test_leading_zeros_are_digits() -> None:
    assert ("0000000", "0000042", "9999999") == (draw(lambda n: 0), draw(lambda n: 42), draw(lambda n: n - 1))
    assert "0000042" == read("0000042")
    assert read("42") is None


@given(CODE, st.sampled_from(SCRIPTS), st.lists(st.sampled_from(GAPS), min_size=7, max_size=7))
def test_a_code_is_read_in_any_script_and_grouping(code: str, script: str, gaps: list[str]) -> None:
    typed = "".join(digit + gap for digit, gap in zip(code, gaps, strict=True))
    assert code == read(typed.translate(str.maketrans(string.digits, script)))
    assert code == read(grouped(code))


@pytest.mark.parametrize("text", ["", "123456", "12345678", "123456a", "1234567.", "+1234567", "one23", "½234567"])
def test_anything_else_is_no_code(text: str) -> None:
    assert read(text) is None


@given(CODE, CODE)
def test_hashes_differ_by_code_program_and_pepper(code: str, other: str) -> None:
    own = code_hash(PEPPER, PROGRAM, code)
    assert (code == other) == (own == code_hash(PEPPER, PROGRAM, other))
    assert own != code_hash(PEPPER, OTHER_PROGRAM, code)
    assert own != code_hash(PEPPER[::-1], PROGRAM, code)
    assert 32 == len(own)


def test_hashes_stay_the_same_for_ever() -> None:
    expected = "f1bb6f11dce0860b94e11b0e8930cb2c0184f02d01a5658495a4837e801f501a"
    assert expected == code_hash(PEPPER, PROGRAM, "0012345").hex()


def test_a_short_pepper_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        code_hash(b"short", PROGRAM, "0012345")


def test_guessing_odds_are_those_of_the_rules() -> None:
    assert pytest.approx(0.01, rel=0.01) == guess_odds(1_000, 100)
    assert pytest.approx(0.634, rel=0.01) == guess_odds(100_000, 100)
    assert (0.0, 0.0, 1.0) == (guess_odds(0, 100), guess_odds(10, 0), guess_odds(10**7, 1))


def test_the_phones_digits_are_asked_when_a_hundred_guesses_reach_a_tenth_of_a_percent() -> None:
    assert [False, False, True, True] == [needs_phone_digits(active) for active in (0, 100, 101, 10_000)]
    assert guess_odds(100, 100) < 0.001 <= guess_odds(101, 100)
