"""The stamp picture: every stamp can be counted, in the wallet and on the page, in both reading directions."""

from io import BytesIO
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from passes.artwork import stamp_strip, stamp_strip_files, stamp_svg
from passes.colors import Color, mix, parse
from passes.stamp_layout import HEIGHT, MAX_STAMPS, WIDTH, place_kinds, stamp_layout, stamp_layouts

COFFEE, CREAM, ORANGE = parse("#3b2314"), parse("#f6e7d0"), parse("#f2a65a")
SVG = "{http://www.w3.org/2000/svg}"

needed_stamps = st.integers(1, MAX_STAMPS)
cards = needed_stamps.flatmap(lambda needed: st.tuples(st.integers(0, needed), st.just(needed)))


def opened(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png)).convert("RGB")


def pixel(picture: Image.Image, x: float, y: float) -> Color:
    return Color(*picture.getpixel((round(x), round(y))))


@given(needed_stamps)
def test_no_stamp_touches_another_or_the_edge(needed: int) -> None:
    layout = stamp_layout(needed)
    assert needed == len(layout.places)
    for place in layout.places:
        assert layout.radius < place.x < WIDTH - layout.radius
        assert layout.radius < place.y < HEIGHT - layout.radius
    for number, place in enumerate(layout.places):
        for other in layout.places[number + 1 :]:
            assert (place.x - other.x) ** 2 + (place.y - other.y) ** 2 > (2 * layout.radius) ** 2


@given(needed_stamps)
def test_stamps_fill_in_reading_order(needed: int) -> None:
    for before, after in pairwise(stamp_layout(needed).places):
        assert (before.y, before.x) < (after.y, after.x)
    for before, after in pairwise(stamp_layout(needed, rtl=True).places):
        assert (before.y, -before.x) < (after.y, -after.x)


@given(needed_stamps)
def test_stamps_are_large_enough_to_count(needed: int) -> None:
    assert stamp_layout(needed).radius >= 13


@given(cards)
def test_exactly_the_stamps_a_member_has_are_shown_as_filled(card: tuple[int, int]) -> None:
    have, needed = card
    kinds = place_kinds(have, needed)
    assert needed == len(kinds)
    assert have == sum(kind in ("stamp", "reward") for kind in kinds)
    assert (have == needed) == (kinds[-1] == "reward")


@pytest.mark.parametrize("rtl", [False, True])
def test_filled_empty_and_reward_places_differ_in_the_picture(rtl: bool) -> None:
    scale = 3
    picture = opened(stamp_strip(2, 4, COFFEE, CREAM, ORANGE, scale, rtl))
    layout = stamp_layout(4, rtl)
    above = layout.radius * 0.6  # between the mark and the inner ring

    def shade(number: int, dy: float) -> Color:
        place = layout.places[number]
        return pixel(picture, place.x * scale, (place.y + dy) * scale)

    assert [shade(0, -above), shade(1, -above)] == [CREAM, CREAM]
    empty = shade(2, -above)
    assert empty not in (CREAM, COFFEE)
    assert max(abs(empty.red - mix(COFFEE, CREAM, 0.07).red), 3) == 3
    assert shade(3, 0).red > 180  # the star in the accent colour
    assert pixel(picture, 2, 2) == COFFEE


def test_the_last_stamp_of_a_full_card_is_the_reward_in_the_accent_colour() -> None:
    layout = stamp_layout(5)
    picture = opened(stamp_strip(5, 5, COFFEE, CREAM, ORANGE, 2))
    last = layout.places[-1]
    assert pixel(picture, last.x * 2, (last.y - layout.radius * 0.68) * 2) == ORANGE
    assert pixel(picture, last.x * 2, last.y * 2) == COFFEE


def test_the_strip_comes_in_the_three_sizes_that_apple_names() -> None:
    files = stamp_strip_files(3, 10, COFFEE, CREAM)
    sizes = {name: Image.open(BytesIO(png)).size for name, png in files.items()}
    assert sizes == {"strip.png": (375, 123), "strip@2x.png": (750, 246), "strip@3x.png": (1125, 369)}
    assert sum(map(len, files.values())) < 25_000


@given(cards, st.booleans())
def test_equal_cards_give_equal_bytes(card: tuple[int, int], rtl: bool) -> None:
    drawn = [stamp_strip(*card, COFFEE, CREAM, ORANGE, 1, rtl) for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_another_stamp_is_another_picture() -> None:
    drawn = {stamp_strip(have, 12, COFFEE, CREAM) for have in range(13)}
    assert len(drawn) == 13


@given(cards, st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")), st.booleans())
def test_the_svg_says_its_label_and_needs_no_style_or_script(card: tuple[int, int], label: str, rtl: bool) -> None:
    svg = ElementTree.fromstring(stamp_svg(*card, COFFEE, CREAM, label=label, rtl=rtl))  # noqa: S314 - our own text
    assert ("img", label) == (svg.get("role"), svg.get("aria-label"))
    for element in svg.iter():
        assert element.tag in {f"{SVG}{tag}" for tag in ("svg", "rect", "circle", "path")}
        assert not [name for name in element.attrib if name in ("style", "id", "class") or name.startswith("on")]


@given(cards, st.booleans())
def test_the_page_and_the_wallet_show_the_stamps_at_the_same_places(card: tuple[int, int], rtl: bool) -> None:
    svg = ElementTree.fromstring(stamp_svg(*card, COFFEE, CREAM, ORANGE, label="x", rtl=rtl))  # noqa: S314 - our own text
    picture = opened(stamp_strip(*card, COFFEE, CREAM, ORANGE, 3, rtl))
    discs = [element for element in svg.iter(f"{SVG}circle") if element.get("fill") != "none"]
    assert card[1] == len(discs)
    for disc in discs:
        x, y, radius = (float(disc.attrib[name]) for name in ("cx", "cy", "r"))
        inside = pixel(picture, x * 3, (y - radius * 0.7) * 3)
        expected = parse(disc.attrib["fill"])
        assert max(abs(inside.red - expected.red), abs(inside.blue - expected.blue)) <= 8  # 32 tones


@pytest.mark.parametrize(("have", "needed"), [(0, 0), (0, 31), (-1, 5), (6, 5)])
def test_an_impossible_card_is_refused(have: int, needed: int) -> None:
    with pytest.raises(ValueError, match="stamps"):
        stamp_strip(have, needed, COFFEE, CREAM)
    with pytest.raises(ValueError, match="stamps"):
        stamp_svg(have, needed, COFFEE, CREAM, label="x")


@given(st.lists(st.integers(1, 30), min_size=1, max_size=3), st.booleans())
def test_several_cards_are_below_one_another_in_one_size_and_within_the_picture(needed: list[int], rtl: bool) -> None:
    layouts = stamp_layouts(needed, rtl)
    assert needed == [len(layout.places) for layout in layouts]
    assert 1 == len({layout.radius for layout in layouts})
    radius = layouts[0].radius
    places = [place for layout in layouts for place in layout.places]
    assert all(radius <= place.x <= WIDTH - radius and radius <= place.y <= HEIGHT - radius for place in places)
    for one, other in combinations(places, 2):
        assert (one.x - other.x) ** 2 + (one.y - other.y) ** 2 >= (2 * radius) ** 2
    for upper, lower in pairwise(layouts):
        assert max(place.y for place in upper.places) < min(place.y for place in lower.places)


@pytest.mark.parametrize("needed", [[], [5, 5, 5, 5], [5, 31], [0]])
def test_a_picture_has_one_to_three_cards_of_one_to_thirty_stamps(needed: list[int]) -> None:
    with pytest.raises(ValueError, match="1 to"):
        stamp_layouts(needed)
