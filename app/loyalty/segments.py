"""Segments: a tree of conditions that chooses members. Kept as JSON, and never anything but these conditions.

    {"kind": "all", "of": [{"kind": "visits", "least": 3, "most": null, "days": 90},
                           {"kind": "none", "of": [{"kind": "reward"}]}]}

Members who left or are blocked are never chosen. An 'all' without conditions is every member.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

from app.i18n import N_
from app.loyalty.segment_facts import Facts, Field, FieldType, Leaf, SegmentError
from app.loyalty.segment_leaves import LEAVES

MOST_DEPTH = 3  # groups in groups, the outermost counted
MOST_LEAVES = 30
_LONGEST_CHANNEL = 32
_ANSWER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9]{1,3}")


class How(StrEnum):
    ALL = "all"
    ANY = "any"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions and groups of which all, any or none are to be true."""

    how: How = How.ALL
    of: tuple["Group | Leaf", ...] = ()


Node = Group | Leaf
EVERYONE = Group()


def matches(tree: Group, facts: Facts) -> bool:
    """Whether the segment has this member."""
    return facts.active and _fits(tree, facts)


def _fits(node: Node, facts: Facts) -> bool:
    if not isinstance(node, Group):
        return node.fits(facts)
    found = [_fits(part, facts) for part in node.of]
    match node.how:
        case How.ALL:
            return all(found)
        case How.ANY:
            return any(found)
        case How.NONE:
            return not any(found)


def leaves(node: Node) -> Iterator[Leaf]:
    """All conditions of a tree, from left to right."""
    if not isinstance(node, Group):
        yield node
        return
    for part in node.of:
        yield from leaves(part)


def check(tree: Group) -> Group:
    """The tree, when it is neither too deep nor too large and no group is empty. Raises SegmentError."""
    if tree != EVERYONE:
        _check_groups(tree, 1)
    if sum(1 for _ in leaves(tree)) > MOST_LEAVES:
        raise SegmentError(N_("A segment has %(most)s conditions at most."), {"most": MOST_LEAVES})
    return tree


def _check_groups(group: Group, depth: int) -> None:
    if depth > MOST_DEPTH:
        raise SegmentError(N_("Groups can be nested %(most)s deep at most."), {"most": MOST_DEPTH})
    if not group.of:
        raise SegmentError(N_("This group is empty: add a condition, or remove it."))
    for part in group.of:
        if isinstance(part, Group):
            _check_groups(part, depth + 1)


def written(node: Node) -> dict[str, object]:
    """As JSON keeps it."""
    if isinstance(node, Group):
        return {"kind": node.how.value, "of": [written(part) for part in node.of]}
    return {"kind": node.kind} | {name: _plain(getattr(node, name)) for name in node.fields}


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value


def read(data: object) -> Group:
    """The tree that was kept as JSON. Raises SegmentError for whatever `written` does not make."""
    node = _read(data, 1)
    if not isinstance(node, Group):
        raise SegmentError(N_("A segment begins with a group: all, any or none of its conditions."))
    return check(node)


def _read(data: object, depth: int) -> Node:
    if not isinstance(data, Mapping):
        raise SegmentError(N_("A condition has a kind and its values."))
    kind = data.get("kind")
    if kind in tuple(How):
        if depth > MOST_DEPTH:
            raise SegmentError(N_("Groups can be nested %(most)s deep at most."), {"most": MOST_DEPTH})
        _require_names(data, {"kind", "of"})
        parts = data.get("of")
        if not isinstance(parts, list):
            raise SegmentError(N_("A group has a list of conditions."))
        return Group(How(kind), tuple(_read(part, depth + 1) for part in parts))
    leaf = LEAVES.get(kind) if isinstance(kind, str) else None
    if leaf is None:
        raise SegmentError(N_("There is no condition of the kind “%(kind)s”."), {"kind": str(kind)[:40]})
    _require_names(data, {"kind", *leaf.fields})
    return leaf(**{name: _value(name, field, data.get(name)) for name, field in leaf.fields.items()})


def _require_names(data: Mapping[str, object], known: set[str]) -> None:
    for name in data:
        if name not in known:
            raise SegmentError(N_("The condition has no field “%(name)s”."), {"name": str(name)[:40]}, str(name))


def _value(name: str, field: Field, value: object) -> object:
    """One value, checked. Raises SegmentError."""
    if value is None and field.optional:
        return None
    if not isinstance(value, bool):
        match field.type, value:
            case ((FieldType.NUMBER | FieldType.MONEY), int()) if field.least <= value <= field.most:
                return value
            case FieldType.CHOICE, str() if value in field.options:
                return value
            case FieldType.CHANNEL, str() if len(value) <= _LONGEST_CHANNEL and "\0" not in value:
                return value
            case FieldType.DAY, str():
                return _day(name, value)
            case FieldType.THING, str():
                return _id(name, value)
            case FieldType.ANSWER, str() if _ANSWER.fullmatch(value):
                return value
    raise SegmentError(N_("The value of “%(name)s” cannot be right."), {"name": name}, name)


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SegmentError(N_("The value of “%(name)s” cannot be right."), {"name": name}, name) from None


def _id(name: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise SegmentError(N_("The value of “%(name)s” cannot be right."), {"name": name}, name) from None
