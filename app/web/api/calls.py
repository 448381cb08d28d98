"""The calls of the API, as the OpenAPI document and the reference page tell of them."""

from dataclasses import dataclass, field
from typing import Any

from app.i18n import N_
from app.web.api import schemas

_MEMBER_ID = "019aaa6e-6f0e-7c51-9f3b-1c2f6a1f0d01"
_REWARD_ID = "019aaa6e-71b2-7d02-8a4e-5b0c7d9e2f10"
_ENTRY_ID = "019aaa6e-70a4-7e13-b6c5-9d8e7f6a5b42"
_UNDO_ID = "019aaa6e-72c3-7f24-a7d6-0e1f2a3b4c53"
_LOCATION_ID = "019aaa6e-6e00-7a40-8e2a-0b1c2d3e4f01"
_CARD_CODE = "7K3M9QX2V8T4HJ5N"

_ALWAYS = ("unauthorized", "too-many-tries", "internal-server-error")
_BODY = ("malformed-json", "wrong-content-type", "body-too-large", "invalid-fields")
_KEYED = ("idempotency-key-missing", "invalid-idempotency-key", "idempotency-key-reused")
_MEMBER = ("member-not-found", "member-blocked", "member-left")


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


_UUID = {"type": "string", "format": "uuid"}
_REWARD = {"id": _REWARD_ID, "name": "Free coffee", "expires_at": "2027-01-31T22:00:00Z"}
_MEMBER_EXAMPLE: dict[str, Any] = {
    "id": _MEMBER_ID,
    "card_code": _CARD_CODE,
    "card_url": "https://leima.example/c/pV1c0Jc8m2Qq0y7mB3xk5A",
    "status": "active",
    "phone": "+358401234567",
    "name": "Maija",
    "email": "",
    "birth_date": None,
    "city": "Helsinki",
    "language": "fi",
    "via": "till-2",
    "joined_at": "2026-11-22T09:30:00Z",
    "stamps": 1,
    "stamps_needed": 10,
    "rewards": [],
}
_ACT_EXAMPLE: dict[str, Any] = {
    "entry_id": _ENTRY_ID,
    "member_id": _MEMBER_ID,
    "card_code": _CARD_CODE,
    "stamps": 0,
    "stamps_needed": 10,
    "rewards": 1,
}

CALLS = (
    Call(
        name="show_program",
        method="GET",
        path="/api/v1/program",
        summary=N_("Read the programme"),
        description=N_("What a till needs to set itself up: currency, stamps on a full card, locations."),
        answer=schemas.Program,
        answers={200: N_("The programme of this API key.")},
        example_answer={
            "id": "019aaa6e-6d00-7b30-9d1a-0a1b2c3d4e5f",
            "name": "Kulma Club",
            "organization_name": "Café Kulma",
            "language": "fi",
            "country": "FI",
            "currency": "EUR",
            "time_zone": "Europe/Helsinki",
            "stamps_needed": 10,
            "smallest_purchase_minor": 300,
            "reward_name": "Free coffee",
            "starts_on": None,
            "locations": [{"id": _LOCATION_ID, "name": "Kulma"}],
            "location_id": _LOCATION_ID,
        },
        own_problems=(),
    ),
    Call(
        name="join_member",
        method="POST",
        path="/api/v1/members",
        summary=N_("Make someone a member"),
        description=N_(
            "A known phone number is the same member: the answer is 200, and what is known is not overwritten. "
            "So the call can be repeated without an Idempotency-Key. Someone who left is back with this call."
        ),
        body=schemas.NewMember,
        example_body={
            "phone": "040 123 4567",
            "name": "Maija",
            "city": "Helsinki",
            "language": "fi",
            "consents": {
                "terms": "I join Kulma Club and accept its terms.",
                "sms_marketing": "Café Kulma may send me offers by SMS.",
            },
            "via": "till-2",
        },
        answer=schemas.Member,
        answers={201: N_("The new member."), 200: N_("The member who has this phone number already.")},
        example_answer=_MEMBER_EXAMPLE,
        own_problems=("member-blocked",),
    ),
    Call(
        name="show_member",
        method="GET",
        path="/api/v1/members/{card_code}",
        summary=N_("Find a member by card"),
        description=N_("Members who left or are blocked are found too: look at status."),
        parameters={
            "card_code": (
                N_("What the scanner read, or what was typed. Look-alikes (O, I, L), spaces and hyphens are forgiven."),
                {"type": "string", "examples": [_CARD_CODE]},
            )
        },
        answer=schemas.Member,
        answers={200: N_("The member.")},
        example_answer=_MEMBER_EXAMPLE | {"rewards": [_REWARD]},
        own_problems=("member-not-found", "unreadable-code"),
    ),
    Call(
        name="give_stamps",
        method="POST",
        path="/api/v1/stamps",
        summary=N_("Give stamps"),
        description=N_(
            "Name the member by card_code or by phone. A card that gets full turns into a reward at once: see issued."
        ),
        body=schemas.NewStamps,
        example_body={"card_code": _CARD_CODE, "count": 1, "amount_minor": 1250, "receipt_no": "2026-004711"},
        answer=schemas.StampsGiven,
        answers={200: N_("The balance after it, and the rewards that it gave.")},
        example_answer=_ACT_EXAMPLE | {"given": 1, "issued": [_REWARD]},
        own_problems=(*_MEMBER, "not-started", "amount-needed", "purchase-too-small", "location-not-found"),
        keyed=True,
    ),
    Call(
        name="redeem_reward",
        method="POST",
        path="/api/v1/rewards/{id}/redeem",
        summary=N_("Use a reward"),
        description=N_("Once. Give the customer the thing after the answer has come."),
        parameters={"id": (N_("A reward's id, from the member or from issued."), _UUID | {"examples": [_REWARD_ID]})},
        body=schemas.RedeemedAt,
        body_needed=False,
        example_body={"location": "Kulma"},
        answer=schemas.RewardRedeemed,
        answers={200: N_("The balance after it.")},
        example_answer=_ACT_EXAMPLE | {"stamps": 3, "rewards": 0, "redeemed": _REWARD_ID},
        own_problems=(
            "reward-not-found",
            "reward-used",
            "reward-expired",
            "reward-withdrawn",
            "member-blocked",
            "member-left",
            "location-not-found",
            "not-found",
        ),
        keyed=True,
    ),
    Call(
        name="undo_entry",
        method="POST",
        path="/api/v1/entries/{id}/undo",
        summary=N_("Undo stamps or a redeemed reward"),
        description=N_(
            "Takes back one call with everything that came of it: stamps and the reward they gave, "
            "or the use of a reward, which can be used again after this."
        ),
        parameters={"id": (N_("The entry_id of the call to undo."), _UUID | {"examples": [_ENTRY_ID]})},
        body=schemas.Nothing,
        body_needed=False,
        answer=schemas.EntryUndone,
        answers={200: N_("The balance after it.")},
        example_answer=_ACT_EXAMPLE
        | {"entry_id": _UNDO_ID, "stamps": 9, "rewards": 0, "undone": _ENTRY_ID, "issued": []},
        own_problems=("entry-not-found", "already-undone", "stamps-used", "reward-used", "not-found"),
        keyed=True,
    ),
)
