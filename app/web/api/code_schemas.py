"""What the calls about 7-digit credit codes take and answer."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from app.i18n import N_
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.web.api.schemas import STORABLE, Answered, Line, Place, Sent
from sms import codes


def _credit_code(text: str) -> str:
    code = codes.read(text)
    if code is None:
        raise PydanticCustomError("credit_code_unreadable", "not a credit code")
    return code


CreditCode = Annotated[str, StringConstraints(max_length=40), AfterValidator(_credit_code)]
PhoneDigits = Annotated[str, StringConstraints(max_length=10), STORABLE]


class CodeToCheck(Sent):
    """A code that a customer has told."""

    code: CreditCode = Field(description=N_("The 7 digits, in any script. Leading zeros count: send text."))
    phone_last4: PhoneDigits | None = Field(
        None,
        description=N_(
            "The last 4 digits of the customer's phone number. Needed after phone-digits-needed; empty text says that "
            "there is no customer, as with a coupon of a company or a club."
        ),
    )
    location: Place | None = Field(
        None, description=N_("A location's id or exact name. Without it, the location of the API key.")
    )


class CodeToRedeem(CodeToCheck):
    """A bill that is to be paid with a code."""

    amount_minor: int = Field(
        ge=1,
        le=LARGEST_PURCHASE_MINOR,
        description=N_("The bill in the currency's minor units (cents). As much as the credit has is taken off it."),
    )
    receipt_no: Line | None = Field(None, description=N_("The receipt's number, for the history."))


class CodeChecked(Answered):
    credit_id: UUID
    amount_minor: int = Field(description=N_("What was given, in minor units."))
    balance_minor: int = Field(description=N_("What is left of it, in minor units."))
    valid_from: datetime = Field(description=N_("From when it can be used."))
    expires_at: datetime = Field(description=N_("From when it can no longer be used."))
    holder: str = Field(
        description=N_("The member's name, or the phone number with only its end to be read, or the group's name.")
    )
    member_id: UUID | None = Field(description=N_("Null: a coupon of a company or a club."))
    needs_phone_digits: bool = Field(description=N_("Whether the redeem call needs phone_last4, too."))


class CodeRedeemed(Answered):
    entry_id: UUID = Field(description=N_("What the undo call takes."))
    credit_id: UUID
    member_id: UUID | None = Field(description=N_("Null: a coupon of a company or a club."))
    redeemed_minor: int = Field(description=N_("What comes off the bill, in minor units."))
    left_minor: int = Field(description=N_("What is left on the credit, in minor units."))
    lapsed_minor: int = Field(
        description=N_("What is lost, where the programme lets a credit be used only once, in minor units.")
    )
    expires_at: datetime = Field(description=N_("Until when what is left can be used."))
