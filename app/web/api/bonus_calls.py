"""The calls about bonus, as the OpenAPI document and the reference page tell of them."""

from app.i18n import N_
from app.web.api import bonus_schemas
from app.web.api.call import CARD_CODE, ENTRY_ID, MEMBER_ID, REWARD, REWARD_ID, UUID_SCHEMA, Call
from app.web.api.proof_calls import PROOF, SPENDING_PROBLEMS

_MEMBER = ("member-not-found", "member-blocked", "member-left", "not-found")
_PARAMETERS = {"id": (N_("A member's id."), UUID_SCHEMA | {"examples": [MEMBER_ID]})}

BONUS_CALLS = (
    Call(
        name="use_bonus",
        method="POST",
        path="/api/v1/members/{id}/bonus/use",
        summary=N_("Pay a bill with bonus"),
        description=N_(
            "For a customer who has shown the card or told a one-time code, where bonus is money. Post the purchase "
            "with what is left to be paid in money as its amount_minor: bonus earns no bonus."
        ),
        parameters=_PARAMETERS,
        body=bonus_schemas.BonusBill,
        example_body={"amount_minor": 1250, "use_minor": 300, "proof": PROOF, "receipt_no": "2026-004712"},
        answer=bonus_schemas.BonusUsed,
        answers={200: N_("What comes off the bill, and what is left.")},
        example_answer={"entry_id": ENTRY_ID, "member_id": MEMBER_ID, "used_minor": 300, "left_minor": 67},
        own_problems=(
            *SPENDING_PROBLEMS,
            *_MEMBER,
            *("no-bonus", "bonus-is-points", "location-not-found", "guard-blocked"),
        ),
        keyed=True,
    ),
    Call(
        name="buy_reward",
        method="POST",
        path="/api/v1/members/{id}/bonus/reward",
        summary=N_("Give a reward for points"),
        description=N_(
            "Where bonus is points. Takes the reward's price off the member's points and gives the reward, which is "
            "then redeemed like any other. Undoing it gives the points back, as long as the reward was not used."
        ),
        parameters=_PARAMETERS,
        body=bonus_schemas.RewardForPoints,
        example_body={"reward_type_id": REWARD_ID, "card_code": CARD_CODE},
        answer=bonus_schemas.RewardBought,
        answers={200: N_("The reward, and what is left.")},
        example_answer={
            "entry_id": ENTRY_ID,
            "member_id": MEMBER_ID,
            "card_code": CARD_CODE,
            "stamps": 4,
            "stamps_needed": 10,
            "rewards": 1,
            "bonus": 2,
            "used": 10,
            "issued": [REWARD],
        },
        own_problems=(
            *SPENDING_PROBLEMS,
            *_MEMBER,
            *("reward-not-for-points", "too-few-points", "location-not-found", "guard-blocked"),
        ),
        keyed=True,
    ),
)
