"""What the calls take and give by which a customer without a card spends."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from app.i18n import N_
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.web.api.schemas import STORABLE, Answered, CardCode, Line, Place, Proof, Sent

TypedCode = Annotated[str, StringConstraints(max_length=40), STORABLE]


class OneTimeCode(Sent):
    """What the customer has read aloud."""

    one_time_code: TypedCode = Field(description=N_("The 6 digits of the SMS, in any script."))


class CreditBill(Sent):
    """A bill to be paid with the member's credit."""

    amount_minor: int = Field(
        ge=1, le=LARGEST_PURCHASE_MINOR, description=N_("The bill in minor units. As much as there is credit is taken.")
    )
    proof: Proof | None = Field(
        None, description=N_("From GET /api/v1/members/{card_code}, or from a one-time code. It holds for 30 minutes.")
    )
    card_code: CardCode | None = Field(None, description=N_("Instead of a proof: what the scanner read just now."))
    receipt_no: Line | None = Field(None, description=N_("The receipt's number, for the history."))
    location: Place | None = Field(
        None, description=N_("A location's id or exact name. Without it, the location of the API key.")
    )


class OneTimeCodeSent(Answered):
    expires_at: datetime = Field(description=N_("Until when the code can be confirmed."))


class ProofGiven(Answered):
    proof: str = Field(description=N_("Lets this key use the member's rewards and credit."))
    expires_at: datetime = Field(description=N_("Until when it does."))


class CreditUsed(Answered):
    entry_id: UUID = Field(description=N_("What the undo call takes."))
    member_id: UUID
    redeemed_minor: int = Field(description=N_("What comes off the bill, in minor units."))
    left_minor: int = Field(description=N_("Credit that can still be used now."))
    lapsed_minor: int = Field(description=N_("What was lost, where a credit can be used only once."))
    expires_at: datetime | None = Field(description=N_("When the first of what is left lapses. Null: nothing is left."))
