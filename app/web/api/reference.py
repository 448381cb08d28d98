"""The OpenAPI document, put into the order in which people read it: for the page /api/docs."""

import json
import shlex
from dataclasses import dataclass
from typing import Any

_NAMES = {"string": "string", "integer": "integer", "boolean": "true/false", "number": "number"}


@dataclass(frozen=True, slots=True)
class Row:
    """One field: `path` as in a problem's errors, `kind` as its JSON type and limits."""

    path: str
    kind: str
    needed: bool
    description: str


@dataclass(frozen=True, slots=True)
class Section:
    """One call, ready to be shown."""

    name: str
    method: str
    path: str
    summary: str
    description: str
    keyed: bool
    parameters: list[Row]
    fields: list[Row]
    answers: list[tuple[str, str]]
    answer_fields: list[Row]
    curl: str
    example: str
    problems: list[tuple[str, str]]


def sections(document: dict[str, Any]) -> list[Section]:
    """Every call of the document, in its order."""
    return [
        _section(document, method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def _section(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> Section:
    answers = {status: answer for status, answer in operation["responses"].items() if status < "300"}
    content = next(iter(answers.values()))["content"]["application/json"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    path_parameters = [one for one in operation["parameters"] if one["in"] == "path"]
    return Section(
        name=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation["description"],
        keyed=any(one["name"] == "Idempotency-Key" for one in operation["parameters"]),
        parameters=[
            Row(one["name"], _kind(document, one["schema"]), True, one["description"]) for one in path_parameters
        ],
        fields=_rows(document, body["schema"]) if body else [],
        answers=[(status, answer["description"]) for status, answer in answers.items()],
        answer_fields=_rows(document, content["schema"]),
        curl=_curl(document, method, path, operation, body.get("example")),
        example=_shown(content["example"]),
        problems=[
            (status, kind)
            for status, answer in operation["responses"].items()
            for kind in answer["content"].get("application/problem+json", {}).get("examples", {})
        ],
    )


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema behind a $ref, or beside null."""
    choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"]
    if choices:
        return _resolved(document, schema | choices[0] | {"anyOf": []})
    if "$ref" in schema:
        found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return found
    return schema


def _rows(document: dict[str, Any], schema: dict[str, Any], before: str = "") -> list[Row]:
    whole = _resolved(document, schema)
    rows: list[Row] = []
    for name, field in whole.get("properties", {}).items():
        inner = _resolved(document, field)
        rows.append(
            Row(
                before + name,
                _kind(document, field),
                name in whole.get("required", []),
                field.get("description", inner.get("description", "")),
            )
        )
        rows += _rows(document, inner.get("items", inner), f"{before}{name}.")
    return rows


def _kind(document: dict[str, Any], field: dict[str, Any]) -> str:
    choices = [choice for choice in field.get("anyOf", []) if choice.get("type") != "null"]
    if len(choices) > 1:
        return " | ".join(_kind(document, choice) for choice in choices)
    schema = _resolved(document, field)
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"])
    if schema.get("type") == "array":
        return f"[{_kind(document, schema['items'])}]"
    name = schema.get("format") or _NAMES.get(schema.get("type", ""), "object")
    if "maximum" in schema:
        return f"{name} {schema['minimum']}–{schema['maximum']}"
    return f"{name} ≤ {schema['maxLength']}" if "maxLength" in schema else str(name)


def _curl(
    document: dict[str, Any], method: str, path: str, operation: dict[str, Any], body: dict[str, Any] | None
) -> str:
    for one in operation["parameters"]:
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", one["schema"]["examples"][0])
    lines = [f"curl {'' if method == 'get' else '-X ' + method.upper() + ' '}{document['servers'][0]['url']}{path}"]
    lines.append('-H "Authorization: Bearer $LEIMA_KEY"')
    if any(one["name"] == "Idempotency-Key" for one in operation["parameters"]):
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    if body is not None:
        lines.append('-H "Content-Type: application/json"')
        lines.append("-d " + shlex.quote(_shown(body)).replace("\n", "\n  "))
    return " \\\n  ".join(lines)


def _shown(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
