"""Small charts, drawn on the server as SVG: bars, stacked bars, and lines over weeks.

This module only says where everything stands; the template office/_charts.html draws it, with the same numbers as a
table beneath. Lengths are in the units of the view box, which is WIDTH wide, so that texts can be read on a phone. In
languages that are written from right to left everything is mirrored; text anchors turn round by themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from textwrap import wrap

Value = int | Decimal

WIDTH = 360
SERIES = 6  # as many colours as figures.css has
_BAR, _ROW, _LINE = 16, 42, 15  # the heights of a bar, of the bar with its name, and of one line of the name
_LETTERS = 50  # as many fit into a line
_ROOM_FOR_VALUE = 76
_PLOT_TOP, _PLOT_HEIGHT, _DATES = 14, 130, 20
_AXIS = 44  # room for the numbers of the axis
_GAP = 1


@dataclass(frozen=True, slots=True)
class Rect:
    """`series` (0 and up) is its colour."""

    x: float
    y: float
    width: float
    height: float
    series: int


@dataclass(frozen=True, slots=True)
class Label:
    """`anchor` is SVG's: which part of the text is at `x`, in the reading direction."""

    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of one series through these points."""

    points: tuple[tuple[float, float], ...]
    series: int

    @property
    def path(self) -> str:
        return "M" + " L".join(f"{x:g} {y:g}" for x, y in self.points)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart as shapes. `grid` are the heights of thin lines across the plot, `plot` where it begins and ends."""

    height: float
    rects: tuple[Rect, ...] = ()
    lines: tuple[Line, ...] = ()
    labels: tuple[Label, ...] = ()
    grid: tuple[float, ...] = ()
    plot: tuple[float, float] = (0, WIDTH)


def bars(rows: Sequence[tuple[str, Value, str]], *, rtl: bool = False) -> Drawing:
    """One bar a row (name, value, value in words) beneath each other: its name above it, its value at its end."""
    most = max((value for _, value, _ in rows), default=0)
    rects, labels, top = [], [], 0
    for name, value, words in rows:
        length = _length(value, most, WIDTH - _ROOM_FOR_VALUE)
        for line in wrap(name, _LETTERS) or [""]:
            labels.append(Label(_turned(0, rtl), top + 14, line))
            top += _LINE
        labels.append(Label(_turned(length + 6, rtl), top + 32 - _LINE, words))
        rects.append(_rect(0, top + 20 - _LINE, length, _BAR, 0, rtl))
        top += _ROW - _LINE
    return Drawing(top, tuple(rects), labels=tuple(labels))


def stacked(
    columns: Sequence[Sequence[int]], names: Sequence[str], *, numbers: Sequence[str] = (), rtl: bool = False
) -> Drawing:
    """One column a week, in which the series stand on each other. `names` of the weeks; `numbers`: see `ticks`."""
    top = top_of(max((sum(column) for column in columns), default=0))
    step = (WIDTH - _AXIS) / max(len(columns), 1)
    width = max(step * 0.72, 1)
    rects = []
    for place, column in enumerate(columns):
        below = 0.0
        for series, value in enumerate(column):
            height = _length(value, top, _PLOT_HEIGHT)
            if not value:
                continue
            gap = _GAP if below and height > 2 * _GAP else 0
            x = _AXIS + place * step + (step - width) / 2
            y = _PLOT_TOP + _PLOT_HEIGHT - below - height
            rects.append(_rect(x, y, width, height - gap, series % SERIES, rtl))
            below += height
    return _plot(top, names, numbers, rtl, rects=tuple(rects))


def lines(
    series: Sequence[Sequence[Value | None]],
    names: Sequence[str],
    *,
    numbers: Sequence[str] = (),
    top: int = 0,
    rtl: bool = False,
) -> Drawing:
    """One line a series over the weeks, all on the same scale. `names` of the weeks; `numbers`: see `ticks`.

    A week whose value is None has no point. `top`: where the axis ends; 0 is where it has to.
    """
    top = top or top_of(max((value for values in series for value in values if value is not None), default=0))
    step = (WIDTH - _AXIS) / max(len(names), 1)
    drawn = []
    for number, values in enumerate(series):
        points = tuple(
            (
                _turned(_AXIS + (place + 0.5) * step, rtl),
                _rounded(_PLOT_TOP + _PLOT_HEIGHT - _length(value, top, _PLOT_HEIGHT)),
            )
            for place, value in enumerate(values)
            if value is not None
        )
        drawn.append(Line(points, number % SERIES))
    return _plot(top, names, numbers, rtl, lines=tuple(drawn))


def top_of(most: Value) -> int:
    """Where an axis ends: 1, 2 or 5 and noughts, or more of them; so that `most` fits and the half of it is whole."""
    size = 2
    while True:
        for times in (1, 2, 5):
            if size * times >= most:
                return size * times
        size *= 10


def ticks(most: Value) -> tuple[int, int, int]:
    """The numbers of an axis, which the caller writes in the reader's language and hands over as `numbers`."""
    top = top_of(most)
    return 0, top // 2, top


def _plot(
    top: int,
    names: Sequence[str],
    numbers: Sequence[str],
    rtl: bool,
    *,
    rects: tuple[Rect, ...] = (),
    lines: tuple[Line, ...] = (),
) -> Drawing:
    """The axes around it: three numbers, and the first, middle and last name."""
    bottom = _PLOT_TOP + _PLOT_HEIGHT
    grid = tuple(_rounded(bottom - _length(tick, top, _PLOT_HEIGHT)) for tick in ticks(top))
    labels = (
        [Label(_turned(_AXIS - 6, rtl), y + 4, number, "end") for y, number in zip(grid, numbers, strict=bool(numbers))]
        if numbers
        else []
    )
    labels += _named(names, bottom + _DATES - 4, rtl)
    plot = (_turned(WIDTH, rtl), _turned(_AXIS, rtl)) if rtl else (float(_AXIS), float(WIDTH))
    return Drawing(bottom + _DATES, rects, lines, tuple(labels), grid, plot)


def _named(names: Sequence[str], y: float, rtl: bool) -> list[Label]:
    step = (WIDTH - _AXIS) / max(len(names), 1)
    if not names:
        return []
    found = [Label(_turned(_AXIS, rtl), y, names[0])]
    middle = len(names) // 2
    if len(names) >= 5:
        found.append(Label(_turned(_AXIS + (middle + 0.5) * step, rtl), y, names[middle], "middle"))
    if len(names) >= 2:
        found.append(Label(_turned(WIDTH, rtl), y, names[-1], "end"))
    return found


def _length(value: Value, most: Value, room: int) -> float:
    return _rounded(float(Decimal(value) * room / Decimal(most))) if most else 0.0


def _rect(x: float, y: float, width: float, height: float, series: int, rtl: bool) -> Rect:
    return Rect(_rounded(WIDTH - x - width if rtl else x), _rounded(y), _rounded(width), _rounded(height), series)


def _turned(x: float, rtl: bool) -> float:
    return _rounded(WIDTH - x if rtl else x)


def _rounded(length: float) -> float:
    return round(length, 1)
