"""What the purchase calls take and give."""

import re
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.i18n import N_
from app.loyalty.warranty import LONGEST_MONTHS
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.web.api.schemas import STORABLE, Answered, ChangedStampCard, Line, Place, Reward, Sent

MOST_LINES = 200
_QUANTITY = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,6})?")
_ONE_WAY_TO_SAY_WHO: list[JsonValue] = [
    {"required": ["card"]},
    {"required": ["phone"]},
    {"required": ["member_id"]},
    {"not": {"anyOf": [{"required": ["card"]}, {"required": ["phone"]}, {"required": ["member_id"]}]}},
]


def _quantity(value: object) -> object:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _QUANTITY.fullmatch(text):
        raise PydanticCustomError("quantity_unreadable", "not a quantity")
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=120), STORABLE]
CardText = Annotated[str, StringConstraints(min_length=1, max_length=80), STORABLE]
Currency = Annotated[str, StringConstraints(min_length=3, max_length=3)]
Quantity = Annotated[str, BeforeValidator(_quantity, json_schema_input_type=int | str)]


class PurchaseLine(Sent):
    """One line of a receipt."""

    name: Text = Field(description=N_("What it says on the receipt."))
    product: Line | None = Field(None, description=N_("The product's number in your books."))
    quantity: Quantity | None = Field(
        None, description=N_("A whole number, or a decimal number as text: 2 or 0.350. Returned things are negative.")
    )
    amount_minor: int | None = Field(
        None,
        ge=-LARGEST_PURCHASE_MINOR,
        le=LARGEST_PURCHASE_MINOR,
        description=N_("The line's sum in minor units. Discounts are negative."),
    )
    warranty_months: int | None = Field(
        None,
        ge=1,
        le=LONGEST_MONTHS,
        description=N_(
            "How long its warranty lasts. The customer then keeps this receipt on their page until it ends, and is "
            "reminded 30 days before."
        ),
    )


class NewPurchase(Sent):
    """A purchase: its sum, and whose it is by card, phone or member, or of nobody who is known."""

    model_config = ConfigDict(json_schema_extra={"oneOf": _ONE_WAY_TO_SAY_WHO})

    amount_minor: int = Field(
        ge=0,
        le=LARGEST_PURCHASE_MINOR,
        description=N_("What was paid, in the currency's minor units (cents): 1250 is 12.50 €."),
    )
    card: CardText | None = Field(
        None, description=N_("What the scanner read: a card code, or the number of a card from before Leima.")
    )
    phone: Line | None = Field(
        None,
        description=N_("The customer's phone number, in any form. Of nobody yet? Then the purchase waits for them."),
    )
    member_id: UUID | None = Field(None, description=N_("A member's id, from another answer."))
    receipt_no: Line | None = Field(None, description=N_("The receipt's number, for the history."))
    at: AwareDatetime | None = Field(
        None,
        description=N_(
            "When it was bought, with its offset from UTC (RFC 3339): 30 days ago at most, and 5 minutes ahead at "
            "most. Without it, now."
        ),
    )
    lines: list[PurchaseLine] | None = Field(
        None, max_length=MOST_LINES, description=N_("The receipt's lines. They are kept as sent, and not added up.")
    )
    location: Place | None = Field(
        None, description=N_("A location's id or exact name. Without it, the location of the API key.")
    )
    currency: Currency | None = Field(
        None, description=N_("ISO 4217. Sent, it must be the programme's, so that a wrong one is noticed.")
    )

    @model_validator(mode="after")
    def one_way_at_most_to_say_who(self) -> Self:
        if sum(way is not None for way in (self.card, self.phone, self.member_id)) > 1:
            raise PydanticCustomError("too_many_members", "more than one")
        return self


class PurchaseRecorded(Answered):
    purchase_id: UUID = Field(description=N_("What the calls to read and to undo a purchase take."))
    member_id: UUID | None = Field(description=N_("Whose it is. Null: of nobody who is known."))
    waiting: bool = Field(description=N_("Whether it waits for someone to join with this phone number."))
    entry_id: UUID | None = Field(description=N_("The entry of its stamp. Null: it earned none."))
    given: int = Field(description=N_("Stamps given by this call, on all stamp cards together."))
    no_stamp: (
        Literal["no-member", "waiting", "not-started", "purchase-too-small", "other-products", "guard-blocked"] | None
    ) = Field(description=N_("Why it earned no stamp. Null: it did."))
    stamp_cards: list[ChangedStampCard] = Field(description=N_("Every stamp card in use; none without a member."))
    stamps: int | None = Field(description=N_("Stamps on the card now."))
    stamps_needed: int = Field(description=N_("Stamps that fill a card."))
    rewards: int | None = Field(description=N_("How many rewards can be used now."))
    bonus: int | None = Field(None, description=N_("Bonus after it: in minor units, or points."))
    bonus_given: int = Field(0, description=N_("Bonus that the purchase earned: in minor units, or points."))
    issued: list[Reward] = Field(description=N_("The rewards that it gave."))


class LineKept(Answered):
    name: str
    product: str | None = None
    quantity: str | None = None
    amount_minor: int | None = None
    warranty_months: int | None = None


class Purchase(Answered):
    """A purchase as it is kept."""

    id: UUID
    member_id: UUID | None = Field(description=N_("Whose it is. Null: of nobody who is known."))
    waiting: bool = Field(description=N_("Whether it waits for someone to join with this phone number."))
    at: datetime = Field(description=N_("When it was bought."))
    recorded_at: datetime = Field(description=N_("When Leima was told of it."))
    amount_minor: int | None = Field(description=N_("Null: stamps were given without telling the sum."))
    currency: str = Field(description=N_("ISO 4217."))
    receipt_no: str
    lines: list[LineKept]
    location: str = Field(description=N_("The location's name."))
    entry_id: UUID | None = Field(description=N_("The entry of its stamp. Null: it earned none."))
    undone_at: datetime | None = Field(description=N_("When it was undone. Null: it stands."))


class PurchaseUndone(Answered):
    purchase_id: UUID
    entry_id: UUID | None = Field(description=N_("The entry that took the stamp back. Null: there was none."))
    member_id: UUID | None
    stamps: int | None = Field(description=N_("Stamps on the card now."))
    rewards: int | None = Field(description=N_("How many rewards can be used now."))
    bonus: int | None = Field(None, description=N_("Bonus after it: in minor units, or points."))
    bonus_missing_minor: int = Field(
        0, description=N_("Bonus of what was undone that had been used since. Take it off the refund.")
    )
    issued: list[Reward] = Field(description=N_("Rewards of later stamps, which fill the card now."))
