"""Colours: what an owner types becomes exactly that colour, or a sentence that says how to mend it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.colors import (
    BLACK,
    READABLE,
    WHITE,
    Color,
    ColorError,
    contrast,
    label_on,
    mix,
    parse,
    readable_on,
    warning,
)

colors = st.builds(Color, *[st.integers(0, 255)] * 3)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("#1A2B3C", Color(26, 43, 60)),
        ("1a2b3c", Color(26, 43, 60)),
        (" #F0c ", Color(255, 0, 204)),
        ("fff", WHITE),
        ("#۱۲۳۴۵۶", Color(0x12, 0x34, 0x56)),
        ("＃１２３４５６", Color(0x12, 0x34, 0x56)),
        ("rgb(12, 34, 56)", Color(12, 34, 56)),
        ("RGB( 12 34 56 )", Color(12, 34, 56)),
        ("rgb 12,34,56", Color(12, 34, 56)),
        ("rgb(۱۲، ۳۴، ۵۶)", Color(12, 34, 56)),
        ("rgb(100%, 50%, 0%)", Color(255, 128, 0)),
        ("rgb(١٠٠٪، ٥٠٪، ٠٪)", Color(255, 128, 0)),
        ("cmyk(0, 70%, 90%, 10%)", Color(230, 69, 23)),
        ("cmyk(0,70,90,10)", Color(230, 69, 23)),
        ("CMYK 0 70 90 10", Color(230, 69, 23)),
        ("cmyk(0, 0, 0, 0)", WHITE),
        ("cmyk(0, 0, 0, 100)", BLACK),
        ("cmyk(12.5%, 0, 0, 0)", Color(223, 255, 255)),
        ("\u200frgb(1, 2, 3)\u200f", Color(1, 2, 3)),
    ],
)
def test_a_colour_is_read_as_people_type_it(typed: str, expected: Color) -> None:
    assert expected == parse(typed)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", "Write a colour, for example #1A2B3C."),
        ("#12", "A HEX colour has three or six digits, and this has 2. Example: #1A2B3C."),
        ("#12345G", "“g” is not a HEX digit: they are 0 to 9 and A to F. Example: #1A2B3C."),
        ("1a2b3o", "“o” is not a HEX digit: they are 0 to 9 and A to F. Example: #1A2B3C."),
        ("#11223344", "A card's colour cannot be see-through. Write three or six HEX digits, for example #1A2B3C."),
        (
            "rgb(12, 34)",
            "rgb needs three numbers, for red, green and blue, and this has 2. Example: rgb(12, 34, 56).",
        ),
        (
            "rgba(1, 2, 3, 0.5)",
            "rgb needs three numbers, for red, green and blue, and this has 4. Example: rgb(12, 34, 56).",
        ),
        (
            "rgb(12, 34, 256)",
            "256 is out of range: the numbers of rgb go from 0 to 255. Example: rgb(12, 34, 56).",
        ),
        ("rgb(101%, 0%, 0%)", "101% is out of range: the numbers of rgb go from 0 to 100. Example: rgb(12, 34, 56)."),
        ("rgb(10%, 20, 30)", "Put a percent sign after all three numbers or after none. Example: rgb(12, 34, 56)."),
        ("rgb(12, x, 3)", "“x” is not a number. Write it like rgb(12, 34, 56) or cmyk(0, 70, 90, 10)."),
        ("rgb(1, 2, 3", "A bracket is missing. Write it like rgb(12, 34, 56) or cmyk(0, 70, 90, 10)."),
        (
            "cmyk(0, 70, 90)",
            "cmyk needs four numbers, for cyan, magenta, yellow and black, and this has 3. "
            "Example: cmyk(0, 70, 90, 10).",
        ),
        (
            "cmyk(0, -1, 90, 10)",
            "-1 is out of range: the numbers of cmyk go from 0 to 100. Example: cmyk(0, 70, 90, 10).",
        ),
        ("0 70 90 10", "Say what the numbers are. Write rgb(12, 34, 56) or cmyk(0, 70, 90, 10)."),
        ("blue", "This is not a colour we can read. Write #1A2B3C, rgb(12, 34, 56) or cmyk(0, 70, 90, 10)."),
    ],
)
def test_a_typo_is_answered_with_what_is_wrong_and_an_example(typed: str, expected: str) -> None:
    with pytest.raises(ColorError) as caught:
        parse(typed)
    assert expected == str(caught.value)
    assert expected == (caught.value.message % caught.value.params if caught.value.params else caught.value.message)


@given(st.text(max_size=40))
def test_any_text_is_a_colour_or_a_plain_sentence(text: str) -> None:
    try:
        color = parse(text)
    except ColorError:
        return
    assert color == parse(color.hex)


@given(colors)
def test_every_way_to_write_a_colour_reads_back_as_that_colour(color: Color) -> None:
    assert color == parse(color.hex)
    assert color == parse(color.hex.upper().removeprefix("#"))
    assert color == parse(color.apple)


@given(st.integers(0, 255))
def test_cmyk_greys_keep_their_lightness(lightness: int) -> None:
    black = 100 - lightness * 100 / 255
    assert Color(lightness, lightness, lightness) == parse(f"cmyk(0, 0, 0, {black:.6f})")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (BLACK, WHITE, 21.0),
        (WHITE, WHITE, 1.0),
        (Color(0x76, 0x76, 0x76), WHITE, 4.542),  # the well-known lightest grey that passes on white
        (Color(0x77, 0x77, 0x77), WHITE, 4.478),
        (Color(255, 0, 0), WHITE, 3.998),
    ],
)
def test_contrast_is_that_of_wcag(a: Color, b: Color, expected: float) -> None:
    assert expected == round(contrast(a, b), 3)
    assert contrast(a, b) == contrast(b, a)


@given(colors)
def test_text_and_labels_chosen_for_a_background_can_always_be_read(background: Color) -> None:
    assert contrast(readable_on(background), background) >= READABLE
    assert contrast(label_on(background), background) >= READABLE
    assert warning(readable_on(background), background) is None


def test_labels_are_softer_than_the_text_where_the_background_allows() -> None:
    assert Color(179, 179, 179) == label_on(BLACK)
    assert Color(77, 77, 77) == label_on(WHITE)


def test_low_contrast_is_warned_of_and_never_rounded_up_to_the_limit() -> None:
    found = warning(Color(0x77, 0x77, 0x77), WHITE)
    assert found is not None
    assert found.params == {"ratio": Decimal("4.4")}
    assert "contrast is 4.4" in found.message % found.params
    assert warning(Color(0x76, 0x76, 0x76), WHITE) is None


@given(colors, colors)
def test_mixing_goes_from_one_colour_to_the_other(base: Color, over: Color) -> None:
    assert base == mix(base, over, 0)
    assert over == mix(base, over, 1)


@pytest.mark.parametrize("parts", [(256, 0, 0), (0, -1, 0), (0, 0, 300)])
def test_a_colour_outside_srgb_cannot_be_made(parts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="0 to 255"):
        Color(*parts)
