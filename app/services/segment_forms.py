"""The form in which a segment is built: conditions and groups as fields, as far as they are filled in.

Each has a place, such as `where-0-1` for the second part of the first group. Its fields are named after it:
`where-0-1-kind`, `where-0-1-least`. A button named `segment` adds (`add:where-0`) or removes (`remove:where-0-1`), so
that the form needs no JavaScript.
"""

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from uuid import UUID

from babel.numbers import get_currency_precision

from app.i18n import N_
from app.loyalty.segment_facts import Field, FieldType, Leaf, SegmentError
from app.loyalty.segment_leaves import LEAVES
from app.loyalty.segments import EVERYONE, MOST_DEPTH, Group, How, Node, check
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader

BUTTON = "segment"
ROOT = "where"
GROUP = "group"  # what is chosen to add a group
_PLACE = rf"{ROOT}(?:-\d{{1,3}}){{0,4}}"
_FIELD = re.compile(rf"({_PLACE})-([a-z_]+)")
_ACT = re.compile(rf"(add|remove):({_PLACE})")
# What a new condition begins with, so that one or two numbers are all there is to type.
_FIRST_VALUES = {
    "last_visit": {"least": "30", "never": "not"},
    "visits": {"least": "1", "days": "90"},
    "spending": {"days": "90"},
    "stamps": {"most": "2"},
    "birthday": {"days": "7"},
}
Options = list[tuple[str, str]]  # the value and the shown name
Names = dict[str, Options]


@dataclass
class Draft:
    """A condition or group as it was typed. `kind` is a How for a group."""

    kind: str
    values: dict[str, str] = field(default_factory=dict)
    parts: list["Draft"] = field(default_factory=list)
    place: str = ROOT

    @property
    def is_group(self) -> bool:
        return self.kind in tuple(How)

    @property
    def may_hold_groups(self) -> bool:
        """Whether a group within this one would not be too deep."""
        return self.place.count("-") + 1 < MOST_DEPTH

    def every(self) -> Iterator["Draft"]:
        """This and all its parts."""
        yield self
        for part in self.parts:
            yield from part.every()

    @property
    def typed(self) -> dict[str, str]:
        """All fields by their names in the form."""
        fields = {f"{one.place}-{name}": value for one in self.every() for name, value in one.values.items()}
        return fields | {f"{one.place}-kind": one.kind for one in self.every()}


def acted(form: Mapping[str, str]) -> bool:
    """Whether one of the builder's own buttons was pressed: the page is to be shown again, and nothing saved."""
    return BUTTON in form


def draft(form: Mapping[str, str]) -> Draft:
    """What was typed, after what the pressed button does to it. Places are numbered anew. Raises nothing."""
    found: dict[str, dict[str, str]] = {}
    for name, value in form.items():
        if (named := _FIELD.fullmatch(name)) is not None:
            found.setdefault(named[1], {})[named[2]] = value
    root = _found(ROOT, found)
    if (act := _ACT.fullmatch(form.get(BUTTON, ""))) is not None:
        _act(root, act[1], act[2], found.get(act[2], {}).get("new", ""))
    return _numbered(root, ROOT)


def _found(place: str, found: Mapping[str, Mapping[str, str]]) -> Draft:
    values = dict(found.get(place, {}))
    kind = values.pop("kind", How.ALL.value)
    values.pop("new", None)
    if kind not in tuple(How) and place != ROOT:
        known = LEAVES[kind].fields if kind in LEAVES else {}
        return Draft(kind, {name: value for name, value in values.items() if name in known}, place=place)
    inner = (other for other in found if other.rpartition("-")[0] == place and "kind" in found[other])
    parts = [_found(other, found) for other in sorted(inner, key=lambda other: int(other.rpartition("-")[2]))]
    return Draft(kind if kind in tuple(How) else How.ALL.value, {}, parts, place)


def _act(root: Draft, act: str, place: str, new: str) -> None:
    for one in root.every():
        if act == "add" and one.place == place and one.is_group and (new in LEAVES or new == GROUP):
            kind = How.ANY.value if new == GROUP else new
            one.parts.append(Draft(kind, dict(_FIRST_VALUES.get(kind, {})), place="new"))
            return
        if act == "remove" and any(part.place == place for part in one.parts):
            one.parts = [part for part in one.parts if part.place != place]
            return


def _numbered(one: Draft, place: str) -> Draft:
    return replace(
        one, place=place, parts=[_numbered(part, f"{place}-{number}") for number, part in enumerate(one.parts)]
    )


def draft_of(tree: Group, currency: str) -> Draft:
    """A tree as its form shows it."""
    return _numbered(_shown(tree, currency), ROOT)


def _shown(node: Node, currency: str) -> Draft:
    if isinstance(node, Group):
        return Draft(node.how.value, {}, [_shown(part, currency) for part in node.of])
    values = {name: _as_typed(one, getattr(node, name), currency) for name, one in node.fields.items()}
    return Draft(node.kind, values)


def _as_typed(one: Field, value: object, currency: str) -> str:
    if value is None:
        return ""
    if one.type is FieldType.MONEY and isinstance(value, int):
        return str(Decimal(value).scaleb(-get_currency_precision(currency)))
    return value.isoformat() if isinstance(value, date) else str(value)


def tree_of(typed: Draft, names: Names, currency: str) -> Group:
    """The segment that was typed. Raises InvalidForm: each field that is wrong by its name in the form."""
    reader = _Reader(typed, names, currency)
    node = reader.node(typed)
    if reader.errors:
        raise InvalidForm(reader.errors)
    try:
        return check(node if isinstance(node, Group) and node.of else EVERYONE)
    except SegmentError as error:
        raise InvalidForm({f"{ROOT}-kind": Refused("invalid-segment", error.message, error.params)}) from None


class _Reader:
    """Reads a draft, collecting what is wrong."""

    def __init__(self, typed: Draft, names: Names, currency: str) -> None:
        self._form = FormReader(typed.typed)
        self._names = names
        self._currency = currency

    @property
    def errors(self) -> dict[str, Refused]:
        return self._form.errors

    def node(self, one: Draft) -> Node:
        if one.is_group:
            if not one.parts and one.place != ROOT:
                message = N_("This group is empty: add a condition, or remove it.")
                self._form.wrong(f"{one.place}-kind", "empty-group", message)
            return Group(How(one.kind), tuple(self.node(part) for part in one.parts))
        if one.kind not in LEAVES:
            self._form.wrong(f"{ROOT}-kind", "unknown-condition", N_("Please choose one from the list."))
            return EVERYONE
        before = len(self.errors)
        values = {name: self._value(f"{one.place}-{name}", what) for name, what in LEAVES[one.kind].fields.items()}
        return self._leaf(one, values) if len(self.errors) == before else EVERYONE

    def _leaf(self, one: Draft, values: dict[str, object]) -> Leaf | Group:
        try:
            leaf: Leaf = LEAVES[one.kind](**values)
        except SegmentError as error:
            self._form.wrong(f"{one.place}-{error.field}", "invalid-condition", error.message, error.params)
            return EVERYONE
        return leaf

    def _value(self, name: str, what: Field) -> object:
        if what.optional and not self._form.form.get(name, "").strip():
            return None
        match what.type:
            case FieldType.NUMBER:
                return self._form.number(name, what.least, what.most)
            case FieldType.MONEY:
                return self._form.amount(name, self._currency)
            case FieldType.DAY:
                return self._form.day(name)
            case FieldType.CHOICE:
                return self._form.choice(name, what.options)
            case FieldType.CHANNEL:
                return self._form.line(name, 32, optional=True)
            case FieldType.ANSWER:
                return self._form.choice(name, {answer for answer, _ in self._names.get(what.options[0], [])})
            case FieldType.THING:
                return self._thing(name, {thing for thing, _ in self._names.get(what.options[0], [])})

    def _thing(self, name: str, known: Container[str]) -> UUID | None:
        chosen = self._form.choice(name, known)
        return UUID(chosen) if chosen else None
