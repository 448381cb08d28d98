"""Where the parts of a chart stand, and that their colours can be told from what is behind them."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web import charts
from app.web.charts import WIDTH, Drawing, Label, Rect

STATIC = Path(__file__).parents[2] / "app/web/static"
LENGTH = pytest.approx


def mirrored(drawing: Drawing) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]], list[tuple[float, str, str]]]:
    """All places of a drawing, turned round."""
    return (
        [(LENGTH(WIDTH - one.x - one.width, abs=0.2), one.y, one.width, one.height) for one in drawing.rects],
        [(LENGTH(WIDTH - x, abs=0.2), y) for line in drawing.lines for x, y in line.points],
        [(LENGTH(WIDTH - one.x, abs=0.2), one.text, one.anchor) for one in drawing.labels],
    )


def places(drawing: Drawing) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]], list[tuple[float, str, str]]]:
    return (
        [(one.x, one.y, one.width, one.height) for one in drawing.rects],
        [point for line in drawing.lines for point in line.points],
        [(one.x, one.text, one.anchor) for one in drawing.labels],
    )


def test_bars_are_as_long_as_their_values():
    drawing = charts.bars([("Delivered", 200, "200"), ("Clicked", 50, "50"), ("Came", 0, "0")])
    assert (Rect(0, 20, 284, 16, 0), Rect(0, 62, 71, 16, 0), Rect(0, 104, 0, 16, 0)) == drawing.rects
    assert (Label(0, 14, "Delivered"), Label(290, 32, "200")) == drawing.labels[:2]
    assert 126 == drawing.height


def test_long_names_take_more_lines_and_move_what_is_beneath():
    drawing = charts.bars([("word " * 15, 10, "10"), ("Next", 5, "5")])
    assert ["word " * 9 + "word", "word " * 4 + "word", "10", "Next", "5"] == [label.text for label in drawing.labels]
    assert ([14, 29, 47, 71, 89], [35, 77], 99) == (
        [label.y for label in drawing.labels],
        [rect.y for rect in drawing.rects],
        drawing.height,
    )


def test_bars_of_nothing_but_noughts_and_of_nothing_are_drawn_too():
    assert [0] == [rect.width for rect in charts.bars([("Came", 0, "0")]).rects]
    assert Drawing(0) == charts.bars([])
    assert () == charts.stacked([], []).rects
    assert () == charts.lines([], []).lines


def test_shares_are_drawn_exactly():
    drawing = charts.bars([("a", Decimal("12.5"), ""), ("b", Decimal("25.0"), "")])
    assert [142, 284] == [rect.width for rect in drawing.rects]


def test_a_column_is_as_high_as_its_parts_together():
    drawing = charts.stacked([[5, 3], [0, 10]], ["1 March", "8 March"], numbers=["0", "5", "10"])
    first, second, third = drawing.rects
    assert (65, 0) == (first.height, first.series)
    assert (38, 1) == (second.height, second.series)  # 39, less the gap that parts it from what it stands on
    assert LENGTH(first.y) == second.y + second.height + 1
    assert (130, 14, 1) == (third.height, third.y, third.series)
    assert (144, 79, 14) == drawing.grid


def test_lines_go_through_the_middle_of_their_weeks():
    [line] = charts.lines([[0, 5, 10]], ["a", "b", "c"]).lines
    assert ((96.7, 144), (202, 79), (307.3, 14)) == line.points
    assert "M96.7 144 L202 79 L307.3 14" == line.path


def test_only_the_first_the_middle_and_the_last_week_are_named():
    drawing = charts.lines([[1] * 12], [str(week) for week in range(12)])
    assert [("0", "start"), ("6", "middle"), ("11", "end")] == [(one.text, one.anchor) for one in drawing.labels]


@pytest.mark.parametrize(
    ("most", "top"), [(0, 2), (1, 2), (3, 4), (5, 10), (11, 20), (21, 40), (41, 100), (101, 200), (Decimal("10.1"), 20)]
)
def test_axes_end_at_round_numbers(most: int, top: int):
    assert (top, (0, top // 2, top)) == (charts.top_of(most), charts.ticks(most))


weeks = st.lists(st.lists(st.integers(0, 10**9), min_size=3, max_size=3), min_size=1, max_size=53)


@given(weeks)
def test_nothing_is_drawn_outside_and_right_to_left_is_the_mirror_image(columns: list[list[int]]):
    names = [str(number) for number in range(len(columns))]
    turned = [list(values) for values in zip(*columns, strict=True)]
    for make in (
        lambda rtl: charts.stacked(columns, names, numbers=["0", "1", "2"], rtl=rtl),
        lambda rtl: charts.lines(turned, names, numbers=["0", "1", "2"], rtl=rtl),
        lambda rtl: charts.bars([(name, column[0], "x") for name, column in zip(names, columns, strict=True)], rtl=rtl),
    ):
        there, back = make(False), make(True)
        for drawing in (there, back):
            for rect in drawing.rects:
                assert rect.x >= -0.11
                assert rect.x + rect.width <= WIDTH + 0.11
                assert rect.y >= -0.11
                assert 0 <= rect.height <= drawing.height
            for x, y in (point for line in drawing.lines for point in line.points):
                assert 0 <= x <= WIDTH
                assert 0 <= y <= drawing.height
        assert mirrored(there) == places(back)
        assert (there.height, there.grid) == (back.height, back.grid)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_series_stands_out_from_the_panel(scheme: str):
    """WCAG 2.2, 1.4.11: 3 to 1 for graphics."""

    def variables(file: str) -> dict[str, str]:
        light, dark = (STATIC / file).read_text().split("@media (prefers-color-scheme: dark)", 1)
        wanted = light if scheme == "light" else dark
        return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", wanted))

    panel = luminance(variables("leima.css")["panel"])
    series = [value for name, value in variables("figures.css").items() if name.startswith("series-")]
    assert charts.SERIES == len(set(series))
    for colour in series:
        low, high = sorted((luminance(colour), panel))
        assert (high + 0.05) / (low + 0.05) >= 3, colour
