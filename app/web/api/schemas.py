"""What the API takes and gives. The OpenAPI document, the reference page and the checks are all made from these."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.db.people import MemberStatus
from app.i18n import LANGUAGES, N_
from app.loyalty import card_codes
from app.loyalty.coupons import RewardValue
from app.loyalty.stamps import MOST_STAMPS_AT_ONCE
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.web.api.tier_schemas import MemberGroup, MemberTier

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
Answer = Annotated[str, StringConstraints(max_length=1000), STORABLE]
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
    referral: Line | None = Field(
        None, description=N_("Whose friend the customer is: that member's link for friends, or the last part of it.")
    )
    answers: dict[Line, Answer] | None = Field(
        None,
        description=N_(
            "Answers to the programme's own questions: a question's id → a text, a day, or the number of a choice, "
            "all as text. See joining of GET /api/v1/program."
        ),
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
    card: Line | None = Field(
        None, description=N_("A stamp card's id or exact name, when there are several. Without it, the first one.")
    )
    location: Place | None = Field(
        None, description=N_("A location's id or exact name. Without it, the location of the API key.")
    )

    @model_validator(mode="after")
    def one_way_to_say_who(self) -> Self:
        if (self.card_code is None) == (self.phone is None):
            raise PydanticCustomError("not_one_member", "not exactly one")
        return self


class Nothing(Sent):
    """An empty object. The body may be left out."""


class Reward(Answered):
    id: UUID = Field(description=N_("What the redeem call takes."))
    name: str = Field(description=N_("What the customer gets."))
    expires_at: datetime | None = Field(description=N_("From when it can no longer be used. Null: no end."))
    value: RewardValue = Field(
        RewardValue.ITEM,
        description=N_("item (the name says what is free), amount or percent (off the bill), or access (a ticket)."),
    )
    value_amount: int = Field(
        0, description=N_("With amount: minor units. With percent: hundredths of a percent, 1250 is 12.5 %. Else 0.")
    )
    valid_from: datetime | None = Field(None, description=N_("From when it can be used. Null: at once."))
    location_ids: list[UUID] = Field([], description=N_("Where alone it can be used. Empty: everywhere."))
    weekdays: list[int] = Field(
        [], description=N_("On which days alone it can be used, 0 is Monday. Empty: on all of them.")
    )


class Credit(Answered):
    id: UUID
    balance_minor: int = Field(description=N_("What is left of it, in minor units."))
    valid_from: datetime = Field(description=N_("From when it can be used."))
    expires_at: datetime = Field(description=N_("From when it can no longer be used."))


class Balance(Answered):
    stamps: int = Field(description=N_("Stamps on the card now."))
    stamps_needed: int = Field(description=N_("Stamps that fill a card."))


class StampCard(Answered):
    """A stamp card of the programme, and what the member has on it."""

    id: UUID | None = Field(description=N_("Null is the programme's first stamp card."))
    name: str = Field(description=N_("May be empty for the first stamp card."))
    stamps: int = Field(description=N_("Stamps on the card now."))
    stamps_needed: int = Field(description=N_("Stamps that fill a card."))


class ChangedStampCard(StampCard):
    given: int = Field(description=N_("Stamps given on this card by this call."))


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
    coupon: UUID | None = Field(
        None, description=N_("The reward whose own coupon was scanned instead of the card. Else null.")
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
    answers: dict[UUID, str] | None = Field(
        None,
        description=N_(
            "What the member answered to the programme's own questions: id → answer. Null when a known member was "
            "named by phone number."
        ),
    )
    stamp_cards: list[StampCard] = Field(description=N_("Every stamp card in use, the first one first."))
    rewards: list[Reward] = Field(description=N_("Rewards that can be used now, oldest first."))
    credits: list[Credit] = Field(description=N_("Open credit, the first to lapse first. Some may begin later."))
    tier: MemberTier | None = Field(description=N_("Where the member stands. Null: the programme has no tiers."))
    groups: list[MemberGroup] = Field(description=N_("The groups that the member is in, with their prices."))
    bonus: int = Field(description=N_("Bonus: in minor units, or points. See bonus_kind of GET /api/v1/program."))


class Act(Balance):
    """What a call changed, and the balance after it."""

    entry_id: UUID = Field(description=N_("What the undo call takes."))
    member_id: UUID
    card_code: str | None = Field(description=N_("The card's code, when the call named it. Else null."))
    rewards: int = Field(description=N_("How many rewards can be used now."))
    bonus: int = Field(0, description=N_("Bonus after it: in minor units, or points."))


class StampsGiven(Act):
    given: int = Field(description=N_("Stamps given by this call."))
    stamp_cards: list[ChangedStampCard] = Field(description=N_("Every stamp card in use, the first one first."))
    bonus_given: int = Field(0, description=N_("Bonus that the purchase earned: in minor units, or points."))
    issued: list[Reward] = Field(description=N_("Rewards that this call's stamps gave, one for each full card."))


class EntryUndone(Answered):
    """The balance is null when it was a group's coupon, which has no member."""

    entry_id: UUID = Field(description=N_("The entry that took it back."))
    undone: UUID = Field(description=N_("The entry that was undone."))
    member_id: UUID | None
    card_code: str | None = Field(description=N_("The card's code, when the call named it. Else null."))
    stamps: int | None = Field(description=N_("Stamps on the card now."))
    stamps_needed: int = Field(description=N_("Stamps that fill a card."))
    rewards: int | None = Field(description=N_("How many rewards can be used now."))
    bonus: int | None = Field(None, description=N_("Bonus after it: in minor units, or points."))
    bonus_missing_minor: int = Field(
        0, description=N_("Bonus of what was undone that had been used since. Take it off the refund.")
    )
    bonus_lapsed_minor: int = Field(
        0, description=N_("Used bonus that does not come back, because it has lapsed in the meantime.")
    )
    returned_minor: int = Field(
        0, description=N_("Credit that came back, in minor units; negative when given credit was withdrawn.")
    )
    lapsed_minor: int = Field(0, description=N_("Of it, what lapsed again at once: the credit's last day has passed."))
    stamp_cards: list[StampCard] = Field([], description=N_("Every stamp card in use; none of a group's coupon."))
    issued: list[Reward] = Field(
        description=N_("Rewards of later stamps, which fill the card now that the undone reward gave its stamps back.")
    )


class Problem(BaseModel):
    """Why a call was refused (RFC 9457). Nothing was changed."""

    type: str = Field(description=N_("Stable. Opens a page that says what it means and what to do."))
    title: str = Field(description=N_("The last part of the type as words, always in English."))
    status: int
    detail: str = Field(description=N_("For people, in the language of Accept-Language."))
    errors: dict[str, str] | None = Field(
        None, description=N_("With invalid-fields: the field's path in the body → what to do about it.")
    )
