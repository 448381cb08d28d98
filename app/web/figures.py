"""A chart with the table that it is drawn from: the chart for a look, the table to read, and to take along."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from app.i18n import Money, major_units
from app.web import charts
from app.web.charts import Drawing, Value
from app.web.language import text
from app.web.tables import Cell, Table, shown


@dataclass(frozen=True, slots=True)
class Figure:
    """`drawing` is None where a picture would say no more than the table. `legend` names the series; `words` tell what
    the picture shows to those who do not see it."""

    table: Table
    drawing: Drawing | None = None
    legend: Sequence[str] = ()
    words: str = ""


def bars(table: Table, column: int = 1) -> Figure:
    """One bar a row, of the numbers of one column."""
    rows = [(str(row[0]), _number(row[column]), shown(row[column])) for row in table.rows]
    if not rows:
        return Figure(table)
    name, _, value = max(rows, key=lambda row: row[1])
    words = text().gettext("The longest bar: %(name)s, %(value)s.", name=name, value=value)
    return Figure(table, charts.bars(rows, rtl=_rtl()), words=words)


def stacked_weeks(table: Table, weeks: Sequence[date], series: Sequence[Sequence[int]]) -> Figure:
    """The series on each other, one column a week. The table's columns after the first are the series."""
    columns = [list(column) for column in zip(*series, strict=True)] if series else [[] for _ in weeks]
    most = max((sum(column) for column in columns), default=0)
    drawing = charts.stacked(columns, _days(weeks), numbers=_numbers(most), rtl=_rtl())
    return Figure(table, drawing, table.columns[1 : 1 + len(series)], _about(weeks, most))


def lines_of_weeks(table: Table, weeks: Sequence[date], series: Sequence[Sequence[int]], currency: str = "") -> Figure:
    """One line a series. The table's columns after the first are the series. With a currency, the series are sums of
    money in minor units."""
    major = [[major_units(value, currency) if currency else value for value in values] for values in series]
    most = max((value for values in major for value in values), default=0)
    drawing = charts.lines(major, _days(weeks), numbers=_numbers(most), rtl=_rtl())
    highest = max((value for values in series for value in values), default=0)
    words = _about(weeks, Money(highest, currency) if currency else highest)
    return Figure(table, drawing, table.columns[1 : 1 + len(series)], words)


def line_of_scores(table: Table, weeks: Sequence[date], scores: Sequence[int | None]) -> Figure:
    """One line of figures between -100 and 100, with no point where there is none."""
    raised = [None if score is None else score + 100 for score in scores]
    numbers = [text().number(number) for number in (-100, 0, 100)]
    drawing = charts.lines([raised], _days(weeks), numbers=numbers, top=200, rtl=_rtl())
    newest = next((score for score in reversed(scores) if score is not None), None)
    words = text().gettext(
        "From the week of %(first)s to that of %(last)s. The newest figure: %(newest)s.",
        first=weeks[0],
        last=weeks[-1],
        newest=shown(newest),
    )
    return Figure(table, drawing, table.columns[1:2], words)


def _about(weeks: Sequence[date], most: int | Money) -> str:
    words = text()
    return words.gettext(
        "From the week of %(first)s to that of %(last)s. The most in one week: %(most)s.",
        first=weeks[0],
        last=weeks[-1],
        most=most,
    )


def _days(weeks: Sequence[date]) -> list[str]:
    return [text().short_date(week) for week in weeks]


def _numbers(most: Value) -> list[str]:
    return [text().number(tick) for tick in charts.ticks(most)]


def _number(cell: Cell) -> Value:
    return cell if isinstance(cell, int | Decimal) else 0


def _rtl() -> bool:
    return text().direction == "rtl"
