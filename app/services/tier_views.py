"""Tiers and groups as plain values, for members' cards, tills and pages."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.db.tiers import TierBasis


@dataclass(frozen=True, slots=True)
class TierView:
    """A tier. `needs` is in minor units, visits or points; `color` as the owner typed it, '' for the brand's."""

    id: UUID
    name: str
    needs: int
    color: str
    benefits: str


@dataclass(frozen=True, slots=True)
class TierStanding:
    """Where a member stands. The tier is lost at `until` unless more is gained before that; None: never.

    `figure` is what counts now, `missing` how much more `next` takes. There is no `next` above the highest tier.
    """

    basis: TierBasis
    tier: TierView | None
    since: datetime | None
    until: datetime | None
    figure: int
    next: TierView | None
    missing: int


@dataclass(frozen=True, slots=True)
class PriceView:
    """A group's price for a product, as the till calls it, or for everything (''). One of the two is not None."""

    id: UUID
    product: str
    price_minor: int | None
    off_bp: int | None


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group of members, with its prices."""

    id: UUID
    name: str
    details: str
    on_card: bool
    prices: tuple[PriceView, ...] = ()
