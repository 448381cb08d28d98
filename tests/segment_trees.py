"""Segment trees drawn by hypothesis, and the moments around which they are asked."""

from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

from app.loyalty.segment_facts import Field, FieldType, Leaf
from app.loyalty.segment_leaves import LEAVES
from app.loyalty.segments import Group, How, Node

NOW = datetime(2027, 2, 20, 21, 30, tzinfo=UTC)  # 23:30 in Helsinki, in a year without 29 February
ZONE = "Europe/Helsinki"
DAYS = (0, 1, 3, 10, 30, 60)
MINOR = (0, 1, 500, 1000, 2500)
CHANNELS = ("", "web", "poster")
JOIN_DAYS = (date(2026, 12, 31), date(2027, 2, 20), date(2027, 2, 21))
_BIRTHDAY_DAYS = (0, 7, 8, 9, 40, 366)


def _values(name: str, kind: str, field: Field, things: dict[str, list[Any]]) -> st.SearchStrategy[object]:
    known: dict[FieldType, object] = {
        FieldType.MONEY: MINOR,
        FieldType.DAY: JOIN_DAYS,
        FieldType.CHOICE: field.options,
        FieldType.CHANNEL: CHANNELS,
    }
    if field.type in (FieldType.THING, FieldType.ANSWER):
        values = st.sampled_from(things[field.options[0]])
    elif field.type is FieldType.NUMBER:
        numbers = (
            _BIRTHDAY_DAYS if kind == "birthday" else DAYS if kind == "last_visit" or name == "days" else range(11)
        )
        values = st.sampled_from([number for number in numbers if field.least <= number <= field.most])
    else:
        values = st.sampled_from(list(known[field.type]))  # type: ignore[call-overload]
    return st.none() | values if field.optional else values


@st.composite
def some_leaf(draw: st.DrawFn, things: dict[str, list[Any]], kinds: tuple[str, ...] = tuple(LEAVES)) -> Leaf:
    """A condition that could stand in a segment; what it names is one of `things`."""
    kind = draw(st.sampled_from(kinds))
    values = {name: draw(_values(name, kind, field, things)) for name, field in LEAVES[kind].fields.items()}
    for least, most in (("least", "most"), ("first", "last")):
        if least in values and most in values:
            _put_in_order(values, least, most, JOIN_DAYS[0] if kind == "joined" else 1)
    return LEAVES[kind](**values)


def _put_in_order(values: dict[str, Any], least: str, most: str, otherwise: object) -> None:
    """At least one of the two, and the lesser first."""
    if values[least] is None and values[most] is None:
        values[least] = otherwise
    elif values[least] is not None and values[most] is not None:
        values[least], values[most] = sorted((values[least], values[most]))


def some_tree(things: dict[str, list[Any]], depth: int = 3) -> st.SearchStrategy[Group]:
    parts: st.SearchStrategy[Node] = some_leaf(things)
    if depth > 1:
        parts = st.one_of(some_leaf(things), some_tree(things, depth - 1))
    return st.builds(Group, st.sampled_from(How), st.lists(parts, min_size=1, max_size=3).map(tuple))
