"""The OpenAPI document: valid, complete, and in step with routes, models and refusals."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import ValidationError

from app.i18n import LANGUAGES
from app.services.members import PURPOSES
from app.web.api import bodies, schemas
from app.web.api.bonus_schemas import BonusBill, RewardForPoints
from app.web.api.call import Call
from app.web.api.calls import CALLS
from app.web.api.code_schemas import CodeToCheck, CodeToRedeem
from app.web.api.openapi import document
from app.web.api.problems import KINDS, title
from app.web.api.proof_schemas import CreditBill, OneTimeCode
from app.web.api.purchase_schemas import NewPurchase
from app.web.api.reference import sections
from app.web.api.reward_schemas import RedeemedAt
from app.web.api.views import blueprint

BASE_URL = "https://leima.example"
ROOT = Path(__file__).parents[2]
REFUSING = [
    *(ROOT / "app/services").glob("*.py"),
    *(ROOT / "app/web/api").glob("*.py"),
]
SERVICES_OF_THE_API = {
    "till",
    "reward_use",
    "purchases",
    "purchase_holder",
    "stamp_checks",
    "receipts",
    "visits",
    "purchase_book",
    "reversal",
    "credit_reversal",
    "membership",
    "recognise",
    "spending_proofs",
    "credit_use",
    "bonus_use",
    "bonus_rules",
    "code_redeeming",
    "code_lookup",
    "code_attempts",
    "guard",
    "members",
    "saved_answers",
    "api_keys",
    "limits",
    "ledger_book",
}

# Kinds that those services know and no call of the API can give, each with its reason.
NEVER_AS_TYPE = {
    "api-key-not-found": "keys are ended in the office",
    "not-allowed": "keys may manage",
    "invalid-amount": "the schema has the same limits",
    "invalid-count": "the schema has the same limits",
    "invalid-phone": "told under invalid-fields",
    "invalid-email": "told under invalid-fields",
    "invalid-birth-date": "told under invalid-fields",
    "invalid-consent": "told under invalid-fields",
    "invalid-field": "told under invalid-fields",
    "invalid-moment": "told under invalid-fields",
    "wrong-currency": "told under invalid-fields",
    "link-not-found": "card links are opened by customers",
    "two-members": "the API is told whether it is a card or a phone number",
}
FROM_FLASK = {"not-found", "method-not-allowed", "bad-request", "internal-server-error", "invalid-fields"}


@pytest.fixture
def made() -> dict[str, Any]:
    return document(BASE_URL)


def test_the_document_is_valid_openapi(made: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(made).validate()
    assert "3.1.1" == made["openapi"]


def test_every_route_is_in_the_document_and_every_call_has_its_route(made: dict[str, Any]) -> None:
    app = Flask("routes")
    app.register_blueprint(blueprint)
    routes = {
        (method, str(rule).replace("<uuid:id>", "{id}").replace("<card_code>", "{card_code}"))
        for rule in app.url_map.iter_rules()
        if str(rule).startswith("/api/v1/")
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    told = {(method.upper(), path) for path, operations in made["paths"].items() for method in operations}

    assert routes == told


def test_each_call_tells_of_its_key_its_headers_and_its_problems(made: dict[str, Any]) -> None:
    assert [{"key": []}] == made["security"]
    for call in CALLS:
        operation = made["paths"][call.path][call.method.lower()]
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert call.keyed == ("Idempotency-Key" in names)
        assert {str(KINDS[kind].status) for kind in call.problems} <= set(operation["responses"])
        assert {"401", "429", "500"} <= set(operation["responses"])


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_examples_are_what_the_schemas_allow(made: dict[str, Any], call: Call) -> None:
    def check(example: object, model: type) -> None:
        schema = made["components"]["schemas"][model.__name__] | {"components": made["components"]}
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(example)

    check(call.example_answer, call.answer)
    assert set(call.answer.model_fields) == set(call.example_answer)
    if call.body is not None and call.example_body is not None:
        check(call.example_body, call.body)
        call.body.model_validate_json(json.dumps(call.example_body))


def test_a_problem_is_shown_as_it_is_answered(made: dict[str, Any]) -> None:
    assert "Member not found" == title("member-not-found")
    shown = {
        name: example["value"]
        for operations in made["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for name, example in answer["content"].get("application/problem+json", {}).get("examples", {}).items()
    }
    assert {kind: title(kind) for kind in shown} == {kind: value["title"] for kind, value in shown.items()}


def test_every_field_that_is_sent_is_described(made: dict[str, Any]) -> None:
    for model in (
        "NewMember",
        "NewStamps",
        "RedeemedAt",
        "OneTimeCode",
        "CreditBill",
        "BonusBill",
        "RewardForPoints",
        "CodeToCheck",
        "CodeToRedeem",
        "Consents",
        "NewPurchase",
        "PurchaseLine",
    ):
        for name, field in made["components"]["schemas"][model]["properties"].items():
            assert field.get("description"), f"{model}.{name}"


def test_every_refusal_of_the_services_has_a_kind_that_explains_it() -> None:
    raised = set()
    for path in REFUSING:
        if path.parent.name == "services" and path.stem not in SERVICES_OF_THE_API:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refused":
                kind = node.args[0]
                assert isinstance(kind, ast.Constant), f"{path.name}:{node.lineno} builds its kind"
                raised.add(kind.value)

    assert set() == raised - set(KINDS) - set(NEVER_AS_TYPE)
    assert set() == set(KINDS) - raised - FROM_FLASK


def test_the_schemas_agree_with_the_services() -> None:
    assert set(PURPOSES) == set(schemas.Consents.model_fields)
    language = document(BASE_URL)["components"]["schemas"]["NewMember"]["properties"]["language"]
    assert list(LANGUAGES) == language["anyOf"][0]["enum"]


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_odd = st.sampled_from([10**400, "", "x" * 5000, "a\0", "2026-13-01", "2026-01-01T10:00:00", "0000-00-00", "1", "1e5"])


@settings(max_examples=400)
@given(
    st.sampled_from(
        [
            schemas.NewMember,
            schemas.NewStamps,
            RedeemedAt,
            schemas.Nothing,
            OneTimeCode,
            CreditBill,
            BonusBill,
            RewardForPoints,
            CodeToCheck,
            CodeToRedeem,
            NewPurchase,
        ]
    ),
    st.data(),
)
def test_every_fault_in_a_body_is_told_in_our_own_words(model: type[schemas.Sent], data: st.DataObject) -> None:
    fields = dict.fromkeys((*model.model_fields, "surprise"), _values | _odd)
    body = data.draw(st.fixed_dictionaries({}, optional=fields) | _values)
    try:
        model.model_validate_json(json.dumps(body))
        faults = []
    except ValidationError as error:
        faults = error.errors()

    assert set() == {fault["type"] for fault in faults} - set(bodies.MESSAGES)


def test_the_reference_is_made_of_the_whole_document(made: dict[str, Any]) -> None:
    shown = {section.name: section for section in sections(made)}

    assert [call.name for call in CALLS] == list(shown)
    assert "consents.sms_marketing" in [row.path for row in shown["join_member"].fields]
    assert "issued.expires_at" in [row.path for row in shown["give_stamps"].answer_fields]
    assert 'Idempotency-Key: $(uuidgen)"' in shown["undo_entry"].curl
    assert f"curl {BASE_URL}/api/v1/program" in shown["show_program"].curl
