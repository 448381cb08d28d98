"""What a product costs for who is in groups that have prices of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

EVERYTHING = ""  # the product of a price that is for all products
_WHOLE_BP = 10_000


@dataclass(frozen=True, slots=True)
class Price:
    """A group's price of one product, or of everything: `price_minor`, or a share off in hundredths of a percent."""

    group_id: UUID
    product: str
    price_minor: int | None = None
    off_bp: int | None = None

    def paid(self, listed_minor: int) -> int:
        """What is paid instead of the list price, never more than that. What comes off is rounded down."""
        if self.price_minor is not None:
            return min(self.price_minor, listed_minor)
        return listed_minor - listed_minor * (self.off_bp or 0) // _WHOLE_BP


def best(prices: Sequence[Price], product: str, listed_minor: int) -> tuple[int, Price | None]:
    """What is paid for a product with this list price, and the price by which; None when none is lower.

    In each group the product's own price counts, and only without one that of everything. Of several groups the lowest
    counts.
    """
    named = {price.group_id: price for price in prices if price.product == EVERYTHING}
    named |= {price.group_id: price for price in prices if price.product == product}
    offers = sorted(((price.paid(listed_minor), str(price.group_id), price) for price in named.values()), key=_lowest)
    if not offers or offers[0][0] >= listed_minor:
        return listed_minor, None
    return offers[0][0], offers[0][2]


def _lowest(offer: tuple[int, str, Price]) -> tuple[int, str]:
    return offer[:2]
