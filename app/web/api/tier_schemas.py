"""What the API tells of a member's tier and groups."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.db.tiers import TierBasis
from app.i18n import N_
from app.services.tier_views import TierStanding


class MemberTier(BaseModel):
    """Where a member stands among the tiers."""

    name: str | None = Field(description=N_("The tier's name. Null: none yet."))
    benefits: str = Field(description=N_("What it gives, in the owner's words."))
    until: datetime | None = Field(description=N_("When it is lost unless more is gained before that. Null: never."))
    basis: TierBasis = Field(description=N_("What counts: spending (minor units), visits or points."))
    figure: int = Field(description=N_("What counts now."))
    next: str | None = Field(description=N_("The next tier's name. Null: there is none above."))
    missing: int = Field(description=N_("How much more the next tier takes."))

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        if not isinstance(given, TierStanding):
            return given
        return {
            "name": given.tier.name if given.tier else None,
            "benefits": given.tier.benefits if given.tier else "",
            "until": given.until,
            "basis": given.basis,
            "figure": given.figure,
            "next": given.next.name if given.next else None,
            "missing": given.missing,
        }


class GroupPrice(BaseModel):
    """What a product costs for a group."""

    model_config = ConfigDict(from_attributes=True)

    product: str = Field(description=N_("The product as the till calls it. Empty: everything."))
    price_minor: int | None = Field(description=N_("Its price in minor units. Null: there is a share off."))
    off_bp: int | None = Field(description=N_("What comes off, in hundredths of a percent. Null: there is a price."))


class MemberGroup(BaseModel):
    """A group that a member is in."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    details: str = Field(description=N_("What it gives, in the owner's words."))
    prices: list[GroupPrice]
