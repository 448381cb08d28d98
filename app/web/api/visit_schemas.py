"""What the visit call takes and gives."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.i18n import N_
from app.web.api.purchase_schemas import CardText
from app.web.api.schemas import Answered, Line, Place, Reward, Sent


class NewVisit(Sent):
    """A card that was shown at the door: by what the scanner read or by phone number, exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["card"]}, {"required": ["phone"]}]})

    card: CardText | None = Field(
        None, description=N_("What the scanner read: a card code, or the number of a card from before Leima.")
    )
    phone: Line | None = Field(None, description=N_("The member's phone number, in any form."))
    at: AwareDatetime | None = Field(
        None,
        description=N_(
            "When the card was shown, with its offset from UTC (RFC 3339): 30 days ago at most. A moment that has not "
            "come yet is now. Without it, now."
        ),
    )
    location: Place | None = Field(
        None, description=N_("A location's id or exact name. Without it, the location of the API key.")
    )

    @model_validator(mode="after")
    def one_way_to_say_who(self) -> Self:
        if (self.card is None) == (self.phone is None):
            raise PydanticCustomError("not_one_visitor", "not exactly one")
        return self


class NextReward(Answered):
    name: str = Field(description=N_("What it is."))
    visits_left: int = Field(description=N_("How many visits are left to it."))


class VisitRecorded(Answered):
    entry_id: UUID | None = Field(description=N_("The entry of the visit, which undo takes. Null: it does not count."))
    member_id: UUID
    counted: bool = Field(description=N_("Whether it counts: a visit too soon after another one does not."))
    at: datetime = Field(description=N_("When the card was shown, as it is kept."))
    instead: datetime | None = Field(
        description=N_("The visit because of which this one does not count. Null: it counts.")
    )
    visits: int = Field(description=N_("How many visits of the member count now."))
    next_reward: NextReward | None = Field(description=N_("The reward that comes next. Null: none does."))
    rewards: int = Field(description=N_("How many rewards can be used now."))
    issued: list[Reward] = Field(description=N_("The rewards that this visit gave."))
