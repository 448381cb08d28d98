"""The calls by which a customer without a card spends, as the OpenAPI document and the reference page tell of them."""

from typing import Any

from app.i18n import N_
from app.web.api import proof_schemas, schemas
from app.web.api.call import ENTRY_ID, MEMBER_ID, UUID_SCHEMA, Call

PROOF = "6a018f3c-4be1f0c7d2a95836e07b1f4c9d8a2e5360b7c1d4f8e9a0b3c6d5e2f1a4b7c8d9"
SPENDING_PROBLEMS = ("proof-needed", "proof-not-valid")
_MEMBER = ("member-not-found", "member-blocked", "member-left", "not-found")
_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "id": (N_("A member's id."), UUID_SCHEMA | {"examples": [MEMBER_ID]})
}

PROOF_CALLS = (
    Call(
        name="send_one_time_code",
        method="POST",
        path="/api/v1/members/{id}/one-time-code",
        summary=N_("Send a one-time code to a member's phone"),
        description=N_(
            "Who is known by phone number only cannot spend: numbers are no secret. Send a code, let the customer "
            "read it aloud, and confirm it with the next call. While a code is open the same one is sent again: once "
            "in 30 seconds, and 5 times an hour, at most."
        ),
        parameters=_PARAMETERS,
        body=schemas.Nothing,
        body_needed=False,
        answer=proof_schemas.OneTimeCodeSent,
        answers={200: N_("The SMS is on its way.")},
        example_answer={"expires_at": "2026-11-22T09:40:00Z"},
        own_problems=(*_MEMBER, "limiter-down"),
    ),
    Call(
        name="confirm_one_time_code",
        method="POST",
        path="/api/v1/members/{id}/proof",
        summary=N_("Confirm a one-time code"),
        description=N_("Each code gives one proof, to the key that had it sent. After 5 wrong tries it is over."),
        parameters=_PARAMETERS,
        body=proof_schemas.OneTimeCode,
        example_body={"one_time_code": "048213"},
        answer=proof_schemas.ProofGiven,
        answers={200: N_("The proof.")},
        example_answer={"proof": PROOF, "expires_at": "2026-11-22T10:05:00Z"},
        own_problems=("one-time-code-wrong", "one-time-code-over", "member-not-found", "not-found"),
    ),
    Call(
        name="use_credit",
        method="POST",
        path="/api/v1/members/{id}/credit/redeem",
        summary=N_("Use a member's credit"),
        description=N_(
            "Without the 7-digit code, for a customer who has shown the card or told a one-time code. The credit that "
            "lapses first is used first."
        ),
        parameters=_PARAMETERS,
        body=proof_schemas.CreditBill,
        example_body={"amount_minor": 800, "proof": PROOF, "receipt_no": "2026-004712"},
        answer=proof_schemas.CreditUsed,
        answers={200: N_("What comes off the bill, and what is left.")},
        example_answer={
            "entry_id": ENTRY_ID,
            "member_id": MEMBER_ID,
            "redeemed_minor": 800,
            "left_minor": 450,
            "lapsed_minor": 0,
            "expires_at": "2026-12-31T22:00:00Z",
        },
        own_problems=(*SPENDING_PROBLEMS, *_MEMBER, "no-credit", "location-not-found", "guard-blocked"),
        keyed=True,
    ),
)
