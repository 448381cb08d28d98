"""The calls of the API, as the OpenAPI document and the reference page tell of them."""

from typing import Any

from app.i18n import N_
from app.web.api import program_schemas, reward_schemas, schemas
from app.web.api.bonus_calls import BONUS_CALLS
from app.web.api.call import (
    CARD_CODE,
    CREDIT_ID,
    ENTRY_ID,
    LOCATION_ID,
    MEMBER_ID,
    REWARD,
    REWARD_ID,
    STAMP_CARD_ID,
    UNDO_ID,
    UUID_SCHEMA,
    Call,
)
from app.web.api.code_calls import CODE_CALLS
from app.web.api.group_calls import GROUP_CALLS
from app.web.api.joining_examples import ANSWERS, JOINING
from app.web.api.proof_calls import PROOF, PROOF_CALLS, SPENDING_PROBLEMS
from app.web.api.purchase_calls import PURCHASE_CALLS
from app.web.api.visit_calls import VISIT_CALLS

_MEMBER = ("member-not-found", "member-blocked", "member-left")

_FIRST_STAMPS: dict[str, Any] = {"id": None, "name": "", "stamps": 0, "stamps_needed": 10}
_FIRST_RULES: dict[str, Any] = {
    "id": None,
    "smallest_purchase_minor": 300,
    "stamp_per_minor": None,
    "products": [],
}
_MEMBER_EXAMPLE: dict[str, Any] = {
    "id": MEMBER_ID,
    "card_code": CARD_CODE,
    "card_url": "https://leima.example/c/pV1c0Jc8m2Qq0y7mB3xk5A",
    "proof": None,
    "coupon": None,
    "status": "active",
    "phone": "+358401234567",
    "name": "Maija",
    "email": "",
    "birth_date": None,
    "city": "Helsinki",
    "language": "fi",
    "via": "till-2",
    "joined_at": "2026-11-22T09:30:00Z",
    "answers": ANSWERS,
    "stamps": 1,
    "stamps_needed": 10,
    "stamp_cards": [_FIRST_STAMPS | {"stamps": 1}],
    "rewards": [],
    "credits": [],
    "tier": None,
    "groups": [],
    "bonus": 37,
}
_CREDIT = {
    "id": CREDIT_ID,
    "balance_minor": 1250,
    "valid_from": "2026-11-22T22:00:00Z",
    "expires_at": "2026-12-31T22:00:00Z",
}
_TIER = {
    "name": "Silver",
    "benefits": "Free refills",
    "until": "2027-12-31T22:00:00Z",
    "basis": "spending",
    "figure": 6250,
    "next": "Gold",
    "missing": 3750,
}
_GROUP = {
    "id": "019aaa6e-7550-7c57-8aa0-3b4c5d6e7f86",
    "name": "Local entrepreneurs",
    "details": "The neighbours of our street",
    "prices": [{"product": "", "price_minor": None, "off_bp": 1000}],
}
_ACT_EXAMPLE: dict[str, Any] = {
    "entry_id": ENTRY_ID,
    "member_id": MEMBER_ID,
    "card_code": CARD_CODE,
    "stamps": 0,
    "stamps_needed": 10,
    "rewards": 1,
    "bonus": 37,
}

CALLS = (
    Call(
        name="show_program",
        method="GET",
        path="/api/v1/program",
        summary=N_("Read the programme"),
        description=N_("What a till needs to set itself up: currency, stamps on a full card, locations."),
        answer=program_schemas.Program,
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
            "bonus_kind": "money",
            "rewards_for_points": [],
            "stamp_cards": [
                _FIRST_RULES | {"name": "", "stamps_needed": 10, "reward_name": "Free coffee"},
                _FIRST_RULES
                | {"id": STAMP_CARD_ID, "name": "Lunch", "stamps_needed": 8, "reward_name": "Free lunch"}
                | {"products": ["Lunch", "1021"]},
            ],
            "joining": JOINING,
            "locations": [{"id": LOCATION_ID, "name": "Kulma"}],
            "location_id": LOCATION_ID,
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
            "So the call can be repeated without an Idempotency-Key. Someone who left is back with this call. "
            "A phone number is no card: card_code, card_url and answers of a known member are not told. "
            "A detail that the programme does not ask for is not kept."
        ),
        body=schemas.NewMember,
        example_body={
            "phone": "040 123 4567",
            "name": "Maija",
            "city": "Helsinki",
            "language": "fi",
            "answers": ANSWERS,
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
        description=N_(
            "Also by an old card's number, as it was imported. The proof in the answer shows that the card was here. "
            "Members who left or are blocked are found too: look at status."
        ),
        parameters={
            "card_code": (
                N_("What the scanner read, or what was typed. Look-alikes (O, I, L), spaces and hyphens are forgiven."),
                {"type": "string", "examples": [CARD_CODE]},
            )
        },
        answer=schemas.Member,
        answers={200: N_("The member.")},
        example_answer=_MEMBER_EXAMPLE
        | {"rewards": [REWARD], "credits": [_CREDIT], "proof": PROOF, "tier": _TIER, "groups": [_GROUP]},
        own_problems=("member-not-found", "unreadable-code", "not-found"),
    ),
    Call(
        name="give_stamps",
        method="POST",
        path="/api/v1/stamps",
        summary=N_("Give stamps"),
        description=N_(
            "Name the member by card_code or by phone. A card that gets full turns into a reward at once: see issued. "
            "Where the programme has several stamp cards, card says on which one; stamps is always the first one's."
        ),
        body=schemas.NewStamps,
        example_body={"card_code": CARD_CODE, "count": 1, "amount_minor": 1250, "receipt_no": "2026-004711"},
        answer=schemas.StampsGiven,
        answers={200: N_("The balance after it, and the rewards that it gave.")},
        example_answer=_ACT_EXAMPLE
        | {"given": 1, "bonus_given": 37, "issued": [REWARD], "stamp_cards": [_FIRST_STAMPS | {"given": 1}]},
        own_problems=(
            *_MEMBER,
            "not-started",
            "amount-needed",
            "purchase-too-small",
            "location-not-found",
            "stamp-card-not-found",
            "guard-blocked",
        ),
        keyed=True,
    ),
    Call(
        name="redeem_reward",
        method="POST",
        path="/api/v1/rewards/{id}/redeem",
        summary=N_("Use a reward"),
        description=N_(
            "Once. Give the customer the thing after the answer has come. Spending needs a proof or the card: "
            "a phone number is no secret."
        ),
        parameters={
            "id": (N_("A reward's id, from the member or from issued."), UUID_SCHEMA | {"examples": [REWARD_ID]})
        },
        body=reward_schemas.RedeemedAt,
        body_needed=False,
        example_body={"proof": PROOF, "amount_minor": 1250, "location": "Kulma"},
        answer=reward_schemas.RewardRedeemed,
        answers={200: N_("The balance after it.")},
        example_answer=_ACT_EXAMPLE
        | {
            "stamps": 3,
            "rewards": 0,
            "redeemed": REWARD_ID,
            "value": "percent",
            "value_amount": 2000,
            "off_minor": 250,
        },
        own_problems=(
            *SPENDING_PROBLEMS,
            "reward-not-found",
            "reward-used",
            "reward-expired",
            "reward-withdrawn",
            "reward-not-yet",
            "reward-not-here",
            "reward-not-today",
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
        summary=N_("Undo stamps, bonus, a redeemed reward or the use of credit"),
        description=N_(
            "Takes back one call with everything that came of it: stamps and the reward they gave, "
            "or the use of a reward, credit or bonus, which can be used again after this."
        ),
        parameters={"id": (N_("The entry_id of the call to undo."), UUID_SCHEMA | {"examples": [ENTRY_ID]})},
        body=schemas.Nothing,
        body_needed=False,
        answer=schemas.EntryUndone,
        answers={200: N_("The balance after it.")},
        example_answer=_ACT_EXAMPLE
        | {"entry_id": UNDO_ID, "stamps": 9, "rewards": 0, "undone": ENTRY_ID, "issued": []}
        | {"stamp_cards": [_FIRST_STAMPS | {"stamps": 9}]}
        | {"bonus": 0, "bonus_missing_minor": 12, "bonus_lapsed_minor": 0, "returned_minor": 0, "lapsed_minor": 0},
        own_problems=(
            *("entry-not-found", "already-undone", "stamps-used", "reward-used"),
            *("undo-too-late", "credit-used", "credit-lapsed", "guard-blocked", "not-found"),
        ),
        keyed=True,
    ),
    *PROOF_CALLS,
    *CODE_CALLS,
    *PURCHASE_CALLS,
    *VISIT_CALLS,
    *BONUS_CALLS,
    *GROUP_CALLS,
)
