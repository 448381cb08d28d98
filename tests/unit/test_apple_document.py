"""pass.json of a card: the compiled text equals the model, for any text and any number."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.apple.document import PassDocument, pass_json
from passes.apple.errors import PassError
from passes.card import Card, CardField
from tests.pass_samples import NOW, card, look, signing_identity

# Every character but lone surrogates, which are no text; NUL and other control characters included.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
VALUES = (
    TEXTS
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.dates()
    | st.datetimes(timezones=st.just(UTC))
)
FIELDS = st.builds(CardField, key=TEXTS, label=TEXTS | st.just(""), value=VALUES)
DOCUMENT = PassDocument(look(), signing_identity())


def read(document: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(document, parse_float=Decimal)
    return found


def modelled(one: Card) -> dict[str, Any]:
    """The model's pass.json, with numbers as `read` gives them."""

    def exact(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: exact(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [exact(inner) for inner in value]
        return Decimal(repr(value)) if isinstance(value, float) else value

    found: dict[str, Any] = exact(pass_json(look(), one, signing_identity()))
    return found


@given(
    fields=st.lists(FIELDS, max_size=8, unique_by=lambda field: field.key),
    groups=st.lists(st.sampled_from(["header", "primary", "secondary", "auxiliary", "back"]), min_size=8, max_size=8),
    code=TEXTS,
    code_text=TEXTS | st.just(""),
    voided=st.booleans(),
    expires_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_any_card_reads_back_as_the_model_says(
    fields: list[CardField], groups: list[str], code: str, code_text: str, voided: bool, expires_at: datetime | None
) -> None:
    placed: dict[str, Any] = {"header": (), "primary": (), "secondary": (), "auxiliary": (), "back": ()}
    for field, group in zip(fields, groups, strict=False):
        placed[group] += (field,)
    one = card(code=code, code_text=code_text, voided=voided, expires_at=expires_at, **placed)
    assert read(DOCUMENT.render(one)) == modelled(one)


@given(name=TEXTS, label=TEXTS, organization=TEXTS, back=TEXTS)
def test_names_and_labels_in_any_script_come_back_as_they_were(
    name: str, label: str, organization: str, back: str
) -> None:
    own_look = look(organization_name=organization)
    one = card(secondary=(CardField("member", label, name),), back=(CardField("terms", "", back),))
    found = read(PassDocument(own_look, signing_identity()).render(one))
    member = {"key": "member", "label": label, "value": name}
    assert (found["organizationName"], found["storeCard"]["secondaryFields"]) == (organization, [member])
    assert found["storeCard"]["backFields"][0]["value"] == back


def test_values_of_another_card_never_leak_into_the_same_layout() -> None:
    first, second = card(serial="one", code="CODE1"), card(serial="two", code="CODE2", code_text="CODE 2")
    DOCUMENT.render(first)
    assert read(DOCUMENT.render(second)) == modelled(second)


def test_a_card_with_the_same_fields_but_other_labels_or_kinds_shows_its_own() -> None:
    for value in ("5", 5, Decimal("5.0"), NOW, NOW.date()):
        for label in ("Pisteet", "Points"):
            one = card(auxiliary=(CardField("points", label, value),))
            assert read(DOCUMENT.render(one)) == modelled(one)


def test_many_layouts_do_not_fill_the_memory() -> None:
    document = PassDocument(look(), signing_identity())
    for number in range(600):
        document.render(card(auxiliary=(CardField("n", f"Label {number}", number),)))
    assert len(document._forms) <= 256


@pytest.mark.parametrize("first", ["", "Alice"])
def test_a_field_without_a_text_is_left_out(first: str) -> None:
    document = PassDocument(look(), signing_identity())
    for name in (first, "", "Bob"):
        shown = read(document.render(card(secondary=(CardField("member", "Jäsen", name),))))["storeCard"]
        assert [field["value"] for field in shown.get("secondaryFields", [])] == ([name] if name else [])


def test_money_is_written_digit_by_digit() -> None:
    exact = card(secondary=(CardField("credit", "Saldo", Decimal("9007199254740993.10"), currency="EUR"),))
    assert b'"value":9007199254740993.10,' in DOCUMENT.render(exact)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "half a character in a value": ({"back": (CardField("a", "A", "\ud83d"),)}, "half a character"),
    "half a character in a label": ({"back": (CardField("a", "\ud83d", "x"),)}, "half a character"),
    "half a character in the code": ({"code": "\ud83d"}, "can't be written|half a character"),
    "no code": ({"code": ""}, "no message|no serial number or no code"),
    "no serial number": ({"serial": ""}, "serial"),
    "a short token": ({"authentication_token": "short"}, "at least 16 characters"),
    "not a number": ({"back": (CardField("a", "A", Decimal("NaN")),)}, "can't show the number NaN"),
    "an end without a zone": ({"expires_at": datetime(2027, 1, 1)}, "no time zone"),  # noqa: DTZ001
    "yes or no": ({"back": (CardField("a", "A", True),)}, "of the kind bool"),
    "the same key twice": ({"back": (CardField("stamps", "A", "1"),)}, "have the key “stamps”"),
    "a change message without its place": ({"back": (CardField("a", "A", "1", "Uusi"),)}, "exactly one %@"),
}


@pytest.mark.parametrize(("changes", "reason"), WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("warm", [False, True], ids=["first card", "later card"])
def test_a_card_that_phones_would_refuse_is_refused_with_the_reason(
    changes: dict[str, Any], reason: str, warm: bool
) -> None:
    document = PassDocument(look(), signing_identity())
    if warm:
        document.render(card())
        document.render(card(expires_at=NOW + timedelta(days=1)))
        document.render(card(back=(CardField("a", "A", "x"),)))
        document.render(card(back=(CardField("a", "A", Decimal(1)),)))
    with pytest.raises(PassError, match=reason):
        document.render(replace(card(), **changes))
