"""The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1), made from calls, schemas and problems."""

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from app.i18n import N_
from app.web.api import (
    bonus_schemas,
    code_schemas,
    group_schemas,
    program_schemas,
    proof_schemas,
    purchase_schemas,
    reward_schemas,
    schemas,
    visit_schemas,
)
from app.web.api.call import Call
from app.web.api.calls import CALLS
from app.web.api.problems import KINDS, title

VERSION = "1.0.0"
TITLE = N_("Leima's API for tills and web shops")
DESCRIPTION = N_(
    "Bodies are JSON in UTF-8, amounts are whole numbers in minor units (cents), times are RFC 3339 in UTC. "
    "A refused call has changed nothing."
)
KEY_DESCRIPTION = N_(
    "A new value for each act at the till, 1 to 80 visible ASCII characters, such as a UUID. The same value with the "
    "same body gets the first answer again and changes nothing; with another body it is refused with 409."
)
REPLAYED_DESCRIPTION = N_("true when this is the saved answer to an earlier call with the same Idempotency-Key.")
LANGUAGE_DESCRIPTION = N_("The language of a problem's detail: en, fi, ru or fa.")

_SENT: tuple[type[BaseModel], ...] = (
    schemas.NewMember,
    schemas.NewStamps,
    reward_schemas.RedeemedAt,
    schemas.Nothing,
    proof_schemas.OneTimeCode,
    proof_schemas.CreditBill,
    code_schemas.CodeToCheck,
    code_schemas.CodeToRedeem,
    purchase_schemas.NewPurchase,
    visit_schemas.NewVisit,
    bonus_schemas.BonusBill,
    bonus_schemas.RewardForPoints,
    group_schemas.ListedProducts,
)
_ANSWERED: tuple[type[BaseModel], ...] = (
    program_schemas.Program,
    schemas.Member,
    schemas.StampsGiven,
    reward_schemas.RewardRedeemed,
    schemas.EntryUndone,
    proof_schemas.OneTimeCodeSent,
    proof_schemas.ProofGiven,
    proof_schemas.CreditUsed,
    code_schemas.CodeChecked,
    code_schemas.CodeRedeemed,
    purchase_schemas.PurchaseRecorded,
    purchase_schemas.Purchase,
    purchase_schemas.PurchaseUndone,
    visit_schemas.VisitRecorded,
    bonus_schemas.BonusUsed,
    bonus_schemas.RewardBought,
    group_schemas.MemberPrices,
    schemas.Problem,
)
_KEY_HEADER = {"name": "Idempotency-Key", "in": "header", "required": True, "description": KEY_DESCRIPTION}
_KEY_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 80, "pattern": "^[\\x21-\\x7e]+$"}


class _Plain(GenerateJsonSchema):
    """Without a title for each field: the fields' names say as much."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@cache
def document(base_url: str) -> dict[str, Any]:
    """The document of the installation at this address. It is shared: callers must not change it."""
    paths: dict[str, Any] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, base_url)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": TITLE,
            "version": VERSION,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": base_url}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The owner makes keys in the office. A key is shown once.",
                }
            },
            "headers": {
                "Idempotency-Replayed": {
                    "description": REPLAYED_DESCRIPTION,
                    "schema": {"type": "string", "enum": ["true"]},
                }
            },
        },
    }


def _schemas() -> dict[str, Any]:
    _, made = models_json_schema(
        [(model, "validation") for model in _SENT] + [(model, "serialization") for model in _ANSWERED],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Plain,
    )
    found: dict[str, Any] = made["$defs"]
    return found


def _operation(call: Call, base_url: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": call.name,
        "summary": call.summary,
        "description": call.description,
        "parameters": _parameters(call),
        "responses": _answers(call) | _refusals(call, base_url),
    }
    if call.body is not None:
        content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{call.body.__name__}"}}
        if call.example_body is not None:
            content["example"] = call.example_body
        operation["requestBody"] = {"required": call.body_needed, "content": {"application/json": content}}
    return operation


def _parameters(call: Call) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
        for name, (description, schema) in call.parameters.items()
    ]
    if call.keyed:
        found.append(_KEY_HEADER | {"schema": _KEY_SCHEMA})
    language = {"name": "Accept-Language", "in": "header", "description": LANGUAGE_DESCRIPTION}
    return [*found, language | {"schema": {"type": "string"}}]


def _answers(call: Call) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if call.keyed:
        headers["headers"] = {"Idempotency-Replayed": {"$ref": "#/components/headers/Idempotency-Replayed"}}
    content = {
        "schema": {"$ref": f"#/components/schemas/{call.answer.__name__}"},
        "example": call.example_answer,
    }
    return {
        str(status): {"description": meaning, **headers, "content": {"application/json": content}}
        for status, meaning in call.answers.items()
    }


def _refusals(call: Call, base_url: str) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for kind in call.problems:
        by_status.setdefault(KINDS[kind].status, []).append(kind)
    return {str(status): _refusal(status, kinds, base_url) for status, kinds in sorted(by_status.items())}


def _refusal(status: int, kinds: list[str], base_url: str) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if status == 401:
        headers["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    if status == 429:
        headers["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    examples = {
        kind: {
            "summary": KINDS[kind].what_to_do,
            "value": {
                "type": f"{base_url}/api/problems/{kind}",
                "title": title(kind),
                "status": status,
                "detail": KINDS[kind].meaning,
            },
        }
        for kind in kinds
    }
    return {
        "description": " ".join(f"{kind}: {KINDS[kind].meaning}" for kind in kinds),
        **headers,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
        },
    }
