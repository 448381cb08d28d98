"""One call of the API, as the OpenAPI document and the reference page tell of it, and what the examples share."""

from dataclasses import dataclass, field
from typing import Any

from app.web.api import schemas

MEMBER_ID = "019aaa6e-6f0e-7c51-9f3b-1c2f6a1f0d01"
REWARD_ID = "019aaa6e-71b2-7d02-8a4e-5b0c7d9e2f10"
CREDIT_ID = "019aaa6e-7446-7b46-89f8-2a3b4c5d6e75"
ENTRY_ID = "019aaa6e-70a4-7e13-b6c5-9d8e7f6a5b42"
UNDO_ID = "019aaa6e-72c3-7f24-a7d6-0e1f2a3b4c53"
LOCATION_ID = "019aaa6e-6e00-7a40-8e2a-0b1c2d3e4f01"
STAMP_CARD_ID = "019aaa6e-7549-7c58-80f9-3b4c5d6e7f86"
CARD_CODE = "7K3M9QX2V8T4HJ5N"
REWARD = {
    "id": REWARD_ID,
    "name": "Free coffee",
    "expires_at": "2027-01-31T22:00:00Z",
    "value": "item",
    "value_amount": 0,
    "valid_from": None,
    "location_ids": [],
    "weekdays": [],
}
UUID_SCHEMA = {"type": "string", "format": "uuid"}

_ALWAYS = ("unauthorized", "too-many-tries", "internal-server-error")
_BODY = ("malformed-json", "wrong-content-type", "body-too-large", "invalid-fields")
_KEYED = ("idempotency-key-missing", "invalid-idempotency-key", "idempotency-key-reused")


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `answers` maps a status to what it means; `problems` are kinds of app.web.api.problems."""

    name: str
    method: str
    path: str
    summary: str
    description: str
    answer: type[schemas.Answered]
    answers: dict[int, str]
    example_answer: dict[str, Any]
    own_problems: tuple[str, ...]
    parameters: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)  # name → what it is, its schema
    body: type[schemas.Sent] | None = None
    body_needed: bool = True
    example_body: dict[str, Any] | None = None
    keyed: bool = False

    @property
    def problems(self) -> tuple[str, ...]:
        body = () if self.body is None else _BODY
        return self.own_problems + (_KEYED if self.keyed else ()) + body + _ALWAYS
