"""What the call that uses a reward takes and gives."""

from uuid import UUID

from pydantic import Field

from app.i18n import N_
from app.loyalty.coupons import RewardValue
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.web.api.schemas import Act, CardCode, Place, Proof, Sent


class RedeemedAt(Sent):
    """Who shows that it is the customer's, by proof or by card, and where a reward is used."""

    proof: Proof | None = Field(
        None, description=N_("From GET /api/v1/members/{card_code}, or from a one-time code. It holds for 30 minutes.")
    )
    card_code: CardCode | None = Field(None, description=N_("Instead of a proof: what the scanner read just now."))
    amount_minor: int | None = Field(
        None,
        ge=0,
        le=LARGEST_PURCHASE_MINOR,
        description=N_("The bill in minor units. With it the answer says what the reward takes off."),
    )
    location: Place | None = Field(
        None, description=N_("A location's id or exact name. Without it, the location of the API key.")
    )


class RewardRedeemed(Act):
    redeemed: UUID = Field(description=N_("The reward that was used."))
    value: RewardValue = Field(RewardValue.ITEM, description=N_("What kind of reward it was: see Reward."))
    value_amount: int = Field(0, description=N_("See Reward."))
    off_minor: int | None = Field(
        None, description=N_("What comes off the bill, in minor units, rounded down. Null: the call named no bill.")
    )
