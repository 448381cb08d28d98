"""What the bonus calls take and give."""

from uuid import UUID

from pydantic import Field

from app.i18n import N_
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.web.api.schemas import Act, Answered, CardCode, Line, Place, Proof, Reward, Sent


class _Shown(Sent):
    """Who shows that it is the customer's, by proof or by card, and where it is used."""

    proof: Proof | None = Field(
        None, description=N_("From GET /api/v1/members/{card_code}, or from a one-time code. It holds for 30 minutes.")
    )
    card_code: CardCode | None = Field(None, description=N_("Instead of a proof: what the scanner read just now."))
    location: Place | None = Field(
        None, description=N_("A location's id or exact name. Without it, the location of the API key.")
    )


class BonusBill(_Shown):
    """A bill to be paid with the member's bonus."""

    amount_minor: int = Field(ge=1, le=LARGEST_PURCHASE_MINOR, description=N_("The bill in minor units."))
    use_minor: int | None = Field(
        None,
        ge=1,
        le=LARGEST_PURCHASE_MINOR,
        description=N_("How much bonus to use. Without it, as much as there is, up to the bill."),
    )
    receipt_no: Line | None = Field(None, description=N_("The receipt's number, for the history."))


class BonusUsed(Answered):
    entry_id: UUID = Field(description=N_("What the undo call takes."))
    member_id: UUID
    used_minor: int = Field(description=N_("What comes off the bill, in minor units."))
    left_minor: int = Field(description=N_("The member's bonus after it."))


class RewardForPoints(_Shown):
    """A reward that is given for points."""

    reward_type_id: UUID = Field(description=N_("From rewards_for_points of GET /api/v1/program."))


class RewardBought(Act):
    used: int = Field(description=N_("The points that it cost."))
    issued: list[Reward] = Field(description=N_("The reward, which can now be redeemed."))
