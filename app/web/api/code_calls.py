"""The calls about 7-digit credit codes, as the OpenAPI document and the reference page tell of them."""

from app.i18n import N_
from app.web.api import code_schemas
from app.web.api.call import CREDIT_ID, ENTRY_ID, MEMBER_ID, Call

_TRIED = (
    "code-not-valid",
    "phone-digits-needed",
    "invalid-phone-digits",
    "codes-paused",
    "limiter-down",
    "guard-blocked",
    "location-not-found",
)
_EXPIRES_AT = "2026-12-31T22:00:00Z"

CODE_CALLS = (
    Call(
        name="check_code",
        method="POST",
        path="/api/v1/codes/check",
        summary=N_("Check a credit code"),
        description=N_(
            "What a 7-digit code is worth, and whose it is. Changes nothing, but a wrong code counts as a try: after 5 "
            "in 10 minutes this key must pause. A wrong, used, blocked and expired code get the same answer."
        ),
        body=code_schemas.CodeToCheck,
        example_body={"code": "0482135", "location": "Kulma"},
        answer=code_schemas.CodeChecked,
        answers={200: N_("The credit. It can be used now.")},
        example_answer={
            "credit_id": CREDIT_ID,
            "amount_minor": 1500,
            "balance_minor": 1250,
            "valid_from": "2026-11-22T22:00:00Z",
            "expires_at": _EXPIRES_AT,
            "holder": "Maija",
            "member_id": MEMBER_ID,
            "needs_phone_digits": False,
        },
        own_problems=_TRIED,
    ),
    Call(
        name="redeem_code",
        method="POST",
        path="/api/v1/codes/redeem",
        summary=N_("Use a credit code"),
        description=N_(
            "Takes the bill off the credit, as far as it goes. Take redeemed_minor off the bill after the answer has "
            "come. A repeat with the same Idempotency-Key is no new try."
        ),
        body=code_schemas.CodeToRedeem,
        example_body={"code": "0482135", "amount_minor": 800, "receipt_no": "2026-004713", "phone_last4": "4567"},
        answer=code_schemas.CodeRedeemed,
        answers={200: N_("What comes off the bill, and what is left.")},
        example_answer={
            "entry_id": ENTRY_ID,
            "credit_id": CREDIT_ID,
            "member_id": MEMBER_ID,
            "redeemed_minor": 800,
            "left_minor": 450,
            "lapsed_minor": 0,
            "expires_at": _EXPIRES_AT,
        },
        own_problems=_TRIED,
        keyed=True,
    ),
)
