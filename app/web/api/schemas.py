"""What the API takes and gives. The OpenAPI document, the reference page and the checks are all made from these."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.db.people import MemberStatus
from app.i18n import LANGUAGES, N_
from app.loyalty import card_codes
from app.loyalty.stamps import MOST_STAMPS_AT_ONCE
from app.services.till import LARGEST_PURCHASE_MINOR

LONGEST_WORDING = 4000  # the column's length


def _storable(text: str) -> str:
    """PostgreSQL keeps every character but NUL."""
    if "\x00" in text:
        raise PydanticCustomError("nul_character", "NUL character")
    return text


def _card_code(text: str) -> str:
    code = card_codes.read(text)
    if code is None:
        raise PydanticCustomError("card_code_unreadable", "not a card code")
    return code


def _language(text: str) -> str:
    if text not in LANGUAGES:
        raise PydanticCustomError("language_unknown", "unknown language", {"known": ", ".join(LANGUAGES)})
    return text


def _wording(value: object) -> object:
    """A bare `true` proves nothing later: consent is kept with the words that the customer said yes to."""
    if not isinstance(value, str) or not value.strip():
        raise PydanticCustomError("wording_missing", "wording missing")
    return value


# Lengths are checked first, while pydantic still sees a plain string and says so in its error.
STORABLE = AfterValidator(_storable)
Tag = Annotated[str, StringConstraints(max_length=32), STORABLE]
Line = Annotated[str, StringConstraints(max_length=60), STORABLE]
Name = Annotated[str, StringConstraints(max_length=80), STORABLE]
Email = Annotated[str, StringConstraints(max_length=254), STORABLE]
Place = Annotated[str, StringConstraints(min_length=1, max_length=60), STORABLE]
CardCode = Annotated[str, StringConstraints(max_length=80), AfterValidator(_card_code)]
Proof = Annotated[str, StringConstraints(max_length=100), STORABLE]
Language = Annotated[str, AfterValidator(_language), Field(json_schema_extra={"enum": list(LANGUAGES)})]
Wording = Annotated[
    str,
    BeforeValidator(_wording, json_schema_input_type=str),
    StringConstraints(min_length=1, max_length=LONGEST_WORDING),
    STORABLE,
]


class Sent(BaseModel):
    """A request's body. Null is the same as leaving a field out; a field that is not known is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Answered(BaseModel):
    """An answer's body. New fields may come with later versions, so clients must skip what they do not know."""

    model_config = ConfigDict(from_attributes=True)


class Consents(Sent):
    """Purpose → the wording that the customer was shown and agreed to."""

    terms: Wording | None = Field(None, description=N_("The programme's terms."))
    sms_marketing: Wording | None = Field(None, description=N_("Offers by text message."))
    email_marketing: Wording | None = Field(None, description=N_("Offers by e-mail."))

    def given(self) -> dict[str, str]:
        return self.model_dump(exclude_none=True)


class NewMember(Sent):
    """Someone who joins."""

    phone: Line = Field(
        description=N_(
            "A mobile number, in international form or as people in the programme's country write it. "
            "Spaces, brackets and digits of any script are understood."
        ),
    )
    name: Name | None = Field(None, description=N_("How the customer wants to be called, in any script."))
    email: Email | None = Field(None, description=N_("The customer's e-mail address."))
    birth_date: date | None = Field(None, description=N_("Birthday, as year-month-day."))
    city: Line | None = Field(None, description=N_("Where the customer lives."))
    language: Language | None = Field(
        None, description=N_("The language of the customer's card. Without it, the programme's.")
    )
    consents: Consents | None = Field(
        None,
        description=N_("What the customer agreed to: purpose → the wording that was shown. A bare true is refused."),
    )
    via: Tag | None = Field(
        None, description=N_("The channel's tag, by which the owner sees where members come from, such as till-2.")
    )


class NewStamps(Sent):
    """Stamps to give: the member by card code or by phone number, exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["card_code"]}, {"required": ["phone"]}]})

    card_code: CardCode | None = Field(
        None,
        description=N_("What the scanner read from the card, or what was typed. Look-alikes (O, I, L) are forgiven."),
    )
    phone: Line | None = Field(None, description=N_("The member's phone number, in any form."))
    count: int | None = Field(None, ge=1, le=MOST_STAMPS_AT_ONCE, description=N_("How many stamps. Without it, one."))
    amount_minor: int | None = Field(
        None,
        ge=0,
        le=LARGEST_PURCHASE_MINOR,
        description=N_(
            "The purchase in the currency's minor units (cents): 1250 is 12.50 €. "
            "Needed when the programme has a smallest purchase."
        ),
    )
    receipt_no: Line | None = Field(None, description=N_("The receipt's number, for the history."))
    location: Place | None = Field(
        None, description=N_("A location's id or exact name. Without it, the location of the API key.")
    )

    @model_validator(mode="after")
    def one_way_to_say_who(self) -> Self:
        if (self.card_code is None) == (self.phone is None):
            raise PydanticCustomError("not_one_member", "not exactly one")
        return self


class RedeemedAt(Sent):
    """Who shows that it is the customer's, by proof or by card, and where a reward is used."""

    proof: Proof | None = Field(
        None, description=N_("From GET /api/v1/members/{card_code}, or from a one-time code. It holds for 30 minutes.")
    )
    card_code: CardCode | None = Field(None, description=N_("Instead of a proof: what the scanner read just now."))
    location: Place | None = Field(
        None, description=N_("A location's id or exact name. Without it, the location of the API key.")
    )


class Nothing(Sent):
    """An empty object. The body may be left out."""


class Reward(Answered):
    id: UUID = Field(description=N_("What the redeem call takes."))
    name: str = Field(description=N_("What the customer gets."))
    expires_at: datetime | None = Field(description=N_("From when it can no longer be used. Null: no end."))


class Credit(Answered):
    id: UUID
    balance_minor: int = Field(description=N_("What is left of it, in minor units."))
    valid_from: datetime = Field(description=N_("From when it can be used."))
    expires_at: datetime = Field(description=N_("From when it can no longer be used."))


class Balance(Answered):
    stamps: int = Field(description=N_("Stamps on the card now."))
    stamps_needed: int = Field(description=N_("Stamps that fill a card."))


class Member(Balance):
    """A member and the card."""

    id: UUID
    card_code: str | None = Field(
        description=N_("The 16 characters in the card's QR code. Null when a known member was named by phone number.")
    )
    card_url: str | None = Field(
        description=N_("The customer's personal page. Whoever has this link sees the card. Null when card_code is.")
    )
    proof: str | None = Field(
        description=N_("Lets this key use the member's rewards and credit for 30 minutes. Null when no card was shown.")
    )
    status: MemberStatus = Field(description=N_("active, blocked or left. Only an active member gets stamps."))
    phone: str = Field(description=N_("The number in international form (E.164)."))
    name: str
    email: str
    birth_date: date | None
    city: str
    language: str
    via: str = Field(description=N_("The channel's tag, in lower-case letters, digits and hyphens."))
    joined_at: datetime
    rewards: list[Reward] = Field(description=N_("Rewards that can be used now, oldest first."))
    credits: list[Credit] = Field(description=N_("Open credit, the first to lapse first. Some may begin later."))


class Act(Balance):
    """What a call changed, and the balance after it."""

    entry_id: UUID = Field(description=N_("What the undo call takes."))
    member_id: UUID
    card_code: str | None = Field(description=N_("The card's code, when the call named it. Else null."))
    rewards: int = Field(description=N_("How many rewards can be used now."))


class StampsGiven(Act):
    given: int = Field(description=N_("Stamps given by this call."))
    issued: list[Reward] = Field(description=N_("Rewards that this call's stamps gave, one for each full card."))


class RewardRedeemed(Act):
    redeemed: UUID = Field(description=N_("The reward that was used."))


class EntryUndone(Answered):
    """The balance is null when it was a group's coupon, which has no member."""

    entry_id: UUID = Field(description=N_("The entry that took it back."))
    undone: UUID = Field(description=N_("The entry that was undone."))
    member_id: UUID | None
    card_code: str | None = Field(description=N_("The card's code, when the call named it. Else null."))
    stamps: int | None = Field(description=N_("Stamps on the card now."))
    stamps_needed: int = Field(description=N_("Stamps that fill a card."))
    rewards: int | None = Field(description=N_("How many rewards can be used now."))
    returned_minor: int = Field(
        0, description=N_("Credit that came back, in minor units; negative when given credit was withdrawn.")
    )
    lapsed_minor: int = Field(0, description=N_("Of it, what lapsed again at once: the credit's last day has passed."))
    issued: list[Reward] = Field(
        description=N_("Rewards of later stamps, which fill the card now that the undone reward gave its stamps back.")
    )


class Location(Answered):
    id: UUID
    name: str


class Program(Answered):
    """What a till needs to set itself up."""

    id: UUID
    name: str
    organization_name: str
    language: str
    country: str = Field(description=N_("ISO 3166; national phone numbers are read as this country's."))
    currency: str = Field(description=N_("ISO 4217."))
    time_zone: str
    stamps_needed: int = Field(description=N_("Stamps that fill a card."))
    smallest_purchase_minor: int = Field(
        description=N_("The smallest purchase that gets a stamp, in minor units. 0: any.")
    )
    reward_name: str
    starts_on: date | None = Field(description=N_("The first day on which stamps can be given. Null: at once."))
    locations: list[Location]
    location_id: UUID | None = Field(description=N_("The location of this API key."))


class Problem(BaseModel):
    """Why a call was refused (RFC 9457). Nothing was changed."""

    type: str = Field(description=N_("Stable. Opens a page that says what it means and what to do."))
    title: str = Field(description=N_("The last part of the type as words, always in English."))
    status: int
    detail: str = Field(description=N_("For people, in the language of Accept-Language."))
    errors: dict[str, str] | None = Field(
        None, description=N_("With invalid-fields: the field's path in the body → what to do about it.")
    )
