"""What the API tells a till that sets itself up."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import Field

from app.db.joining import Asked, QuestionKind
from app.i18n import N_
from app.web.api.schemas import Answered


class StampCardRules(Answered):
    """A stamp card, and what a purchase must be to earn on it."""

    id: UUID | None = Field(description=N_("What the call to give stamps takes as card. Null: the first stamp card."))
    name: str = Field(description=N_("May be empty for the first stamp card."))
    stamps_needed: int = Field(description=N_("Stamps that fill a card."))
    smallest_purchase_minor: int = Field(
        description=N_("The smallest purchase that gets a stamp, in minor units. 0: any.")
    )
    stamp_per_minor: int | None = Field(
        description=N_("Each full such amount earns a stamp, in minor units. Null: a purchase earns one.")
    )
    products: list[str] = Field(
        description=N_("Only lines with these names or products earn. None: every purchase earns.")
    )
    reward_name: str


class Location(Answered):
    id: UUID
    name: str


class PointsOffer(Answered):
    id: UUID = Field(description=N_("What the call to give a reward for points takes."))
    name: str
    points: int = Field(description=N_("What it costs."))


class Choice(Answered):
    answer: str = Field(description=N_("What to send as the answer."))
    text: str


class Question(Answered):
    """A question of the owner's own."""

    id: UUID
    kind: QuestionKind = Field(description=N_("text (300 characters), date (year-month-day), or choice."))
    text: str = Field(description=N_("In the programme's language."))
    required: bool
    choices: list[Choice] = Field(description=N_("Of a choice. Else none."))


class Joining(Answered):
    """What whoever joins is asked beside the phone number. What is off is not kept."""

    name: Asked
    birth_date: Asked
    email: Asked
    city: Asked
    enforced: bool = Field(description=N_("Whether what is required is so at tills and through the API, too."))
    questions: list[Question]


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
    bonus_kind: Literal["off", "money", "points"] = Field(
        description=N_("What bonus is: money that pays bills, or points that rewards are given for.")
    )
    rewards_for_points: list[PointsOffer]
    stamp_cards: list[StampCardRules] = Field(description=N_("Every stamp card in use, the first one first."))
    joining: Joining
    locations: list[Location]
    location_id: UUID | None = Field(description=N_("The location of this API key."))
