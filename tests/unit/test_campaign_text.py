"""The texts of campaigns: fields, fallbacks, and what to mind before sending."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.loyalty import campaign_text
from app.loyalty.campaign_text import FIELDS, Field, TextError

WORDS = st.text(st.characters(exclude_characters="{}", exclude_categories=("Cs",)), max_size=40)
FALLBACKS = st.text(st.characters(exclude_characters="{}|", exclude_categories=("Cs",)), max_size=12).map(str.strip)
FIELD = st.builds(Field, st.sampled_from(sorted(FIELDS)), FALLBACKS)
VALUES = st.dictionaries(st.sampled_from(sorted(FIELDS)), st.text(max_size=20))


def written(piece: str | Field) -> str:
    if isinstance(piece, str):
        return piece
    return f"{{{piece.name}|{piece.fallback}}}" if piece.fallback else f"{{{piece.name}}}"


@given(st.lists(WORDS | FIELD), VALUES)
def test_every_word_stays_and_every_field_is_filled_in(pieces: list[str | Field], values: dict[str, str]) -> None:
    expected = "".join(
        piece if isinstance(piece, str) else (values.get(piece.name) or piece.fallback) for piece in pieces
    )
    assert expected == campaign_text.render("".join(map(written, pieces)), values)


@given(st.text(max_size=60))
def test_a_text_without_braces_is_sent_as_it_is_and_a_stray_brace_is_always_told(text: str) -> None:
    if "{" in text or "}" in text:
        with pytest.raises(TextError) as raised:
            campaign_text.parse(text)
        assert "" != str(raised.value)
    else:
        assert text == campaign_text.render(text, {"first_name": "Erin"})


@given(st.text(max_size=40))
def test_braces_in_a_name_mean_nothing(name: str) -> None:
    assert f"Hi {name or 'friend'}!" == campaign_text.render("Hi {first_name|friend}!", {"first_name": name})
    assert "{link}" == campaign_text.render("{name}", {"name": "{link}", "link": "https://evil.example"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Hi {frist_name}", "There is no field {frist_name}. These are known: {first_name}, {name}"),
        ("Hi {}", "There is no field {}."),
        ("Hi {first_name, come", "“{first_name, come” is not closed"),
        ("Hi {first_name {link}", "“{first_name ” is not closed"),
        ("Hi first_name}", "“Hi first_name}” closes nothing"),
        ("{{first_name}}", "“{” is not closed"),
    ],
)
def test_a_wrong_brace_is_explained(text: str, told: str) -> None:
    with pytest.raises(TextError) as raised:
        campaign_text.parse(text)
    assert told in str(raised.value)


def test_spaces_around_a_field_and_its_fallback_do_not_matter() -> None:
    assert (Field("first_name", "dear friend"),) == campaign_text.fields("{ first_name | dear friend }")


def kinds(text: str, *, link: bool = False, code: bool = False, by_sms: bool = True) -> list[str]:
    return [one.kind for one in campaign_text.cautions(text, "Kulma Club", link=link, code=code, by_sms=by_sms)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{program}: buns today. {stop}", []),
        ("Kulma club: buns today. Reply STOP to end.", []),
        ("Kulma Club: булочки. СТОП", []),
        ("Kulma Club: نان تازه. لغو", []),
        ("{program}: buns until the end of June", ["no-stop"]),
        ("{program}: buns, do not stop", ["no-stop"]),
        ("Buns today. {stop}", ["no-sender"]),
        ("{program} {first_name} {first_name} {stop}", ["no-fallback"]),
        ("{program} {first_name|friend} {credit|nothing} {stop}", []),
    ],
)
def test_what_is_missing_is_told(text: str, expected: list[str]) -> None:
    assert expected == kinds(text)


def test_a_link_and_a_code_that_nobody_would_get_are_told() -> None:
    assert ["no-link", "no-code"] == kinds("{program} {stop}", link=True, code=True)
    assert [] == kinds("{program}: {link} {code} {stop}", link=True, code=True)


def test_a_message_on_the_card_needs_no_sender_and_no_way_out() -> None:
    assert [] == kinds("Buns today", code=True, by_sms=False)


def test_the_way_out_can_be_put_at_the_end() -> None:
    assert "Buns today {stop}" == campaign_text.with_stop("Buns today \n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" * 80 + " 😀 ćafé", ("😀", "ć")),
        ("short 😀", ()),  # one part either way
        ("“Hello” – " + "x" * 100, ()),  # spelt plainly when it is sent
        ("Привет, у нас новые булочки! " * 4, ()),  # a language cannot be avoided
        ("{first_name|друг}, " + "buns " * 30, tuple("друг")),
        ("x" * 80 + "{first_name|friend}", ()),
    ],
)
def test_characters_that_double_the_cost_are_named(text: str, expected: tuple[str, ...]) -> None:
    assert expected == campaign_text.costly(text)


def test_cost_is_counted_with_what_the_fields_become() -> None:
    text = "Buns 😀 {link}"
    assert () == campaign_text.costly(text)
    assert ("😀",) == campaign_text.costly(text, "Buns 😀 https://" + "x" * 80)
    assert () == campaign_text.costly(text, "Buns 😀 мария " + "x" * 80)
