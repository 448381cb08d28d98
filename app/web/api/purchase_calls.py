"""The purchase calls, as the OpenAPI document and the reference page tell of them."""

from typing import Any

from app.i18n import N_
from app.web.api import purchase_schemas, schemas
from app.web.api.call import ENTRY_ID, MEMBER_ID, REWARD, UNDO_ID, UUID_SCHEMA, Call

_PURCHASE_ID = "019aaa6e-7345-7a35-b8e7-1f2a3b4c5d64"
_LINES = [
    {"name": "Flat white", "product": "1017", "quantity": "2", "amount_minor": 900},
    {"name": "Cheese, by weight", "quantity": "0.350", "amount_minor": 350},
]
_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "id": (N_("A purchase's id."), UUID_SCHEMA | {"examples": [_PURCHASE_ID]})
}

PURCHASE_CALLS = (
    Call(
        name="record_purchase",
        method="POST",
        path="/api/v1/purchases",
        summary=N_("Post a purchase"),
        description=N_(
            "Every receipt may be posted, with or without a customer. With one it earns a stamp by the programme's "
            "rules; one that earns none is kept all the same, and no_stamp says why. Under a phone number of nobody "
            "yet it waits some days (14, unless the owner changed it), and is theirs when they join."
        ),
        body=purchase_schemas.NewPurchase,
        example_body={
            "amount_minor": 1250,
            "currency": "EUR",
            "phone": "040 123 4567",
            "receipt_no": "2026-004711",
            "at": "2026-11-22T11:30:00+02:00",
            "lines": _LINES,
        },
        answer=purchase_schemas.PurchaseRecorded,
        answers={201: N_("The purchase is kept."), 200: N_("It was kept before, with the same Idempotency-Key.")},
        example_answer={
            "purchase_id": _PURCHASE_ID,
            "member_id": MEMBER_ID,
            "waiting": False,
            "entry_id": ENTRY_ID,
            "given": 1,
            "no_stamp": None,
            "stamp_cards": [{"id": None, "name": "", "given": 1, "stamps": 0, "stamps_needed": 10}],
            "stamps": 0,
            "stamps_needed": 10,
            "rewards": 1,
            "bonus": 37,
            "bonus_given": 37,
            "issued": [REWARD],
        },
        own_problems=("member-not-found", "member-blocked", "unreadable-code", "location-not-found"),
        keyed=True,
    ),
    Call(
        name="show_purchase",
        method="GET",
        path="/api/v1/purchases/{id}",
        summary=N_("Read a purchase"),
        description=N_("Also one whose stamps were given at Leima's own till."),
        parameters=_PARAMETERS,
        answer=purchase_schemas.Purchase,
        answers={200: N_("The purchase.")},
        example_answer={
            "id": _PURCHASE_ID,
            "member_id": MEMBER_ID,
            "waiting": False,
            "at": "2026-11-22T09:30:00Z",
            "recorded_at": "2026-11-22T09:30:02Z",
            "amount_minor": 1250,
            "currency": "EUR",
            "receipt_no": "2026-004711",
            "lines": _LINES,
            "location": "Kulma",
            "entry_id": ENTRY_ID,
            "undone_at": None,
        },
        own_problems=("purchase-not-found", "not-found"),
    ),
    Call(
        name="undo_purchase",
        method="POST",
        path="/api/v1/purchases/{id}/undo",
        summary=N_("Undo a purchase"),
        description=N_(
            "For a slip or a refund of the whole purchase. Takes back all that it gave: stamps, rewards, bonus. Bonus "
            "that was used since is told as bonus_missing_minor."
        ),
        parameters=_PARAMETERS,
        body=schemas.Nothing,
        body_needed=False,
        answer=purchase_schemas.PurchaseUndone,
        answers={200: N_("The balance after it.")},
        example_answer={
            "purchase_id": _PURCHASE_ID,
            "entry_id": UNDO_ID,
            "member_id": MEMBER_ID,
            "stamps": 9,
            "rewards": 0,
            "bonus": 0,
            "bonus_missing_minor": 12,
            "issued": [],
        },
        own_problems=(
            "purchase-not-found",
            "already-undone",
            "stamps-used",
            "reward-used",
            "guard-blocked",
            "not-found",
        ),
        keyed=True,
    ),
)
