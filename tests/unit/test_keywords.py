"""What a text message to the shop means. Whoever wants to stop is understood; a sentence never does it by accident."""

import string
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sms.keywords import CreditCode, Help, JoinCode, Other, Start, Stop, read

PROVIDER_STOPS = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"]
STOPS = [
    *PROVIDER_STOPS,
    *("stop all", "Opt-out", "Lopeta", "PERU", "Peruuta"),
    *("Стоп", "ОТПИСАТЬСЯ", "отмена", "لغو", "لغو ۱۱", "لغو11", "انصراف", "توقف"),
]
STARTS = ["START", "UNSTOP", "Yes", "Aloita", "Kyllä", "Старт", "Да", "شروع", "بله"]
HELPS = ["HELP", "Info", "Apua", "OHJE", "Помощь", "راهنما", "کمک"]
DIGITS = ["0123456789", "۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９", "०१२३४५६७८९"]
AROUND = st.text(" .!?\"'«»()—،؛؟…*\n\t\u200b\u200e\u200f\u202b\u202c\u2067\u2069\ufeff", max_size=4)
GAPS = ["", " ", "  ", "-", ".", "\u200f", "\n"]
CODES = st.from_regex(r"[0-9]{5}", fullmatch=True)
HARMLESS = ["join", "koodi", "код", "کد", "Hei", "please", "table", "liity", "#"]


def in_script(digits: str, script: str) -> str:
    return digits.translate(str.maketrans(string.digits, script))


@pytest.mark.parametrize(("words", "meant"), [(STOPS, Stop), (STARTS, Start), (HELPS, Help)])
@given(before=AROUND, after=AROUND, change=st.sampled_from([str, str.upper, str.lower, str.title]), data=st.data())
def test_keywords_count_in_any_case_and_with_anything_around(
    words: list[str], meant: type, before: str, after: str, change: Callable[[str], str], data: st.DataObject
) -> None:
    word = data.draw(st.sampled_from(words))
    assert isinstance(read(before + change(word) + after), meant)


@pytest.mark.parametrize("word", ["ＳＴＯＰ", "S T O P", "s.t.o.p", "ST\u200bOP", "لغو عضويت", "لغو\u200cعضویت", "ﻟﻐﻮ"])
def test_keywords_count_in_any_spelling_of_the_same(word: str) -> None:
    assert Stop() == read(word)


def test_it_knows_which_keywords_twilio_answers_by_itself() -> None:
    for word in PROVIDER_STOPS:
        assert Stop(provider_answers=True) == read(f" {word.title()}\n")
    assert (Start(True), Help(True)) == (read("UnStop"), read("info"))
    for word in ("stop!", "opt out", "lopeta", "стоп", "لغو"):
        assert Stop(provider_answers=False) == read(word)


@given(code=CODES, script=st.sampled_from(DIGITS), before=AROUND, after=AROUND)
def test_five_digits_of_any_script_are_a_join_code(code: str, script: str, before: str, after: str) -> None:
    assert JoinCode(code) == read(before + in_script(code, script) + after)


@given(code=CODES, script=st.sampled_from(DIGITS), gaps=st.lists(st.sampled_from(GAPS), min_size=4, max_size=4))
def test_a_join_code_may_be_spaced_out(code: str, script: str, gaps: list[str]) -> None:
    spaced = "".join(digit + gap for digit, gap in zip(code, [*gaps, ""], strict=True))
    assert JoinCode(code) == read(in_script(spaced, script))


@given(code=CODES, words=st.lists(st.sampled_from(HARMLESS), max_size=5), place=st.integers(0, 5))
def test_a_join_code_may_have_a_few_words_around_it(code: str, words: list[str], place: int) -> None:
    assert JoinCode(code) == read(" ".join([*words[:place], code, *words[place:]]))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("4 8 2 1 3", "48213"),
        ("join 48213", "48213"),
        ("JOIN:48213!", "48213"),
        ("کد ۴۸۲۱۳", "48213"),
        ("کد من ۴۸۲۱۳ است", "48213"),
        ("٤٨٢١٣", "48213"),
        ("４８２１３", "48213"),
        ("join48213", "48213"),
        ("00042", "00042"),
        ("48213 ☕🎉", "48213"),
        ("48-213", "48213"),
    ],
)
def test_join_codes_as_people_send_them(body: str, code: str) -> None:
    assert JoinCode(code) == read(body)


@given(st.text(string.digits, max_size=12))
def test_other_numbers_are_no_join_codes(digits: str) -> None:
    assume(len(digits) not in (5, 7))
    assert Other() == read(digits)


@pytest.mark.parametrize(
    "body",
    [
        "48213 or 48214",
        "table 4, code 48213",
        "a1b2c3d4e5",
        "I live in 00100 Helsinki and would like to know more",
        "+358 40 1234567",
        "",
        "   ",
        "☕",
        "\u200f",
        "Hello, when do you open?",
        "yes please",
        "help me find the shop",
        "endless summer",
        "perunat loppu",
        "Какая погода?",
        "سلام، کی باز هستید؟",
    ],
)
def test_what_is_neither_is_left_to_the_staff_and_does_nothing(body: str) -> None:
    assert Other(asks_to_stop=False) == read(body)


@pytest.mark.parametrize(
    "body",
    [
        "Please stop",
        "please st\u200bop, will you",
        "please stop sending me this!!",
        "Don't text me again",
        "Don’t send me messages",
        "remove me from your list",
        "No more messages",
        "stop 48213",
        "48213 stop",
        "Lopettakaa nämä viestit",
        "en halua enää viestejä",
        "Älkää lähettäkö enempää",
        "Poistakaa numeroni",
        "Перестаньте присылать",
        "больше не пишите мне",
        "не присылайте мне рекламу",
        "لطفا دیگر پیام نفرستید",
        "لطفاً لغو کنید",
        "دیگه نمی‌خوام",
        "دیگر نمی خواهم",
        "peru tilaukseni kiitos",
    ],
)
def test_a_sentence_that_asks_to_stop_is_flagged_and_never_joins(body: str) -> None:
    assert Other(asks_to_stop=True) == read(body)


def test_seven_digits_are_a_credit_code_which_no_log_shows() -> None:
    meant = read("my code ۰۰۱ ۲۳ ۴۵")
    assert CreditCode("0012345") == meant
    assert "0012345" not in repr(meant)


@given(st.text(max_size=200))
def test_any_text_is_understood_as_something(body: str) -> None:
    assert isinstance(read(body), Stop | Start | Help | JoinCode | CreditCode | Other)


@given(st.text(max_size=60))
def test_a_join_code_is_only_read_from_exactly_five_digits(body: str) -> None:
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", body).casefold())
    digits = "".join(str(int(char)) for char in plain if char.isdecimal())
    meant = read(body)
    if isinstance(meant, JoinCode):
        assert digits == meant.digits
