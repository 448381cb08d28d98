"""The stamps of a card as shapes: one drawing for the wallet's picture and for the web page.

Lengths are points in a strip of 375 x 123, the picture that a wallet shows behind the top of a store card. A shape's
`tone` is its share of the ink, from 0 (the background) to 1 (the full colour), so no two inks ever mix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, pi, sin
from typing import Literal

WIDTH = 375
HEIGHT = 123
MAX_STAMPS = 30  # more would be too small to tell apart on a phone
MAX_CARDS = 3  # one below the other

_MARGIN_X = 20
_MARGIN_Y = 10
_LARGEST_RADIUS = 34
_CARD_GAP = 5  # between two cards, beside the gap between any two rows
_FILLED_SHARE = 0.81  # of the room that a place has; the rest is the gap between two
_WIDEST_PITCH = 1.12  # the largest distance between two neighbours, in rooms
_ROW_COST = 0.9  # another row must make the stamps at least this much larger: one calm row is easier to count
_FINE_LINES_FROM = 15  # radius in points; on a smaller stamp the inner ring would only blur the mark


@dataclass(frozen=True, slots=True)
class Place:
    """Where one stamp goes: the centre of a circle, from the top left corner."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class StampLayout:
    """The places in the order in which they fill; the last one is the reward's. All have the same radius."""

    radius: float
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Disc:
    """A filled circle around the place's centre."""

    radius: float
    tone: float


@dataclass(frozen=True, slots=True)
class Ring:
    """A circle line whose middle has this radius."""

    radius: float
    width: float
    tone: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points with round ends and corners; a closed one is filled too."""

    points: tuple[tuple[float, float], ...]
    width: float
    tone: float
    closed: bool = False


Shape = Disc | Ring | Line
PlaceKind = Literal["stamp", "empty", "reward", "reward to come"]


def stamp_layout(needed: int, rtl: bool = False) -> StampLayout:
    """Places for 1 to 30 stamps, as large as they can be, in the direction in which the language is read."""
    return stamp_layouts([needed], rtl)[0]


def stamp_layouts(needed: Sequence[int], rtl: bool = False) -> list[StampLayout]:
    """The same for 1 to 3 cards, one below the other. All stamps have the same size, so that the cards line up."""
    if not 1 <= len(needed) <= MAX_CARDS:
        raise ValueError(f"a picture has 1 to {MAX_CARDS} cards, not {len(needed)}")
    for count in needed:
        if not 1 <= count <= MAX_STAMPS:
            raise ValueError(f"a card has 1 to {MAX_STAMPS} stamps, not {count}")
    band = (HEIGHT - 2 * _MARGIN_Y) / len(needed)
    height = band if len(needed) == 1 else band - _CARD_GAP
    rows = [_rows(count, height) for count in needed]
    room = min(_room(count, within, height) for count, within in zip(needed, rows, strict=True))
    pitch = min(_pitch(count, within, room) for count, within in zip(needed, rows, strict=True))
    layouts = []
    for card, (count, within) in enumerate(zip(needed, rows, strict=True)):
        middle = HEIGHT / 2 + (card - (len(needed) - 1) / 2) * band
        places = _places(count, within, pitch, min(height / within, room * _WIDEST_PITCH), middle)
        if rtl:
            places = [Place(WIDTH - place.x, place.y) for place in places]
        layouts.append(StampLayout(min(_LARGEST_RADIUS, room * _FILLED_SHARE / 2), tuple(places)))
    return layouts


def _rows(needed: int, height: float) -> int:
    return max((1, 2, 3), key=lambda count: _room(needed, count, height) * _ROW_COST**count)


def _pitch(needed: int, rows: int, room: float) -> float:
    """From one stamp to the next in a row."""
    return min((WIDTH - 2 * _MARGIN_X) / ceil(needed / rows), room * _WIDEST_PITCH)


def _places(needed: int, rows: int, pitch: float, row_pitch: float, middle: float) -> list[Place]:
    """The places of one card in `rows` rows around `middle`."""
    places: list[Place] = []
    for row in range(rows):
        in_row = ceil((needed - len(places)) / (rows - row))  # the upper rows are the longer ones
        y = middle + (row - (rows - 1) / 2) * row_pitch
        places += [Place(WIDTH / 2 + (column - (in_row - 1) / 2) * pitch, y) for column in range(in_row)]
    return places


def place_kinds(have: int, needed: int) -> tuple[PlaceKind, ...]:
    """What each place shows. 0 <= have <= needed."""
    if not 0 <= have <= needed:
        raise ValueError(f"a card of {needed} cannot have {have} stamps")
    stamps: list[PlaceKind] = ["stamp"] * min(have, needed - 1)
    empty: list[PlaceKind] = ["empty"] * (needed - 1 - len(stamps))
    return (*stamps, *empty, "reward" if have == needed else "reward to come")


def shapes(kind: PlaceKind, radius: float) -> tuple[Shape, ...]:
    """The shapes of one place around its centre, from the bottom up."""
    line = max(1.25, radius * 0.055)
    edge = radius - line / 2
    if kind == "empty":
        return (Disc(radius, 0.07), Ring(edge, line, 0.42))
    if kind == "reward to come":
        return (Disc(radius, 0.07), Ring(edge, line, 0.85), _star(radius, 0.85))
    mark = _check(radius) if kind == "stamp" else _star(radius, 0)
    if radius < _FINE_LINES_FROM:
        return (Disc(radius, 1), mark)
    return (Disc(radius, 1), Ring(radius * 0.86, radius * 0.05, 0), mark)


def _room(needed: int, rows: int, height: float) -> float:
    """The side of the square that each place has with this many rows in so much height."""
    return min((WIDTH - 2 * _MARGIN_X) / ceil(needed / rows), height / rows)


def _check(radius: float) -> Line:
    points = ((-0.39, 0.04), (-0.11, 0.32), (0.41, -0.27))
    return Line(tuple((x * radius, y * radius) for x, y in points), radius * 0.17, 0)


def _star(radius: float, tone: float) -> Line:
    """Five points, the first one up; the line around it rounds them."""
    spread = [(0.52 if corner % 2 == 0 else 0.24, pi * corner / 5) for corner in range(10)]
    points = tuple((far * sin(angle) * radius, (0.04 - far * cos(angle)) * radius) for far, angle in spread)
    return Line(points, radius * 0.12, tone, closed=True)
