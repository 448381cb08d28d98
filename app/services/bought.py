"""A purchase as what earns by it sees it, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from app.db.ledger import Reward

# No sum is larger, in minor units, whoever tells it: so nothing that is counted by sums outgrows the database.
LARGEST_PURCHASE_MINOR = 10**12


@dataclass(frozen=True, slots=True)
class Bought:
    """What was bought, and when.

    `amount_minor` is in minor units, None when nobody said it. `lines` are as app.db.purchases.Purchase keeps them.
    A cashier who gives `count` stamps by hand gives them on one stamp card, `card` (None: the first one); a receipt
    says itself on which cards it earns, and how much.
    """

    at: datetime
    amount_minor: int | None
    lines: Sequence[Mapping[str, object]] = ()
    count: int = 1
    by_hand: bool = False
    card: UUID | None = None


@dataclass(slots=True)
class Earned:
    """What a purchase gave: rewards, stamps on each stamp card (None: the first one), and bonus."""

    issued: list[Reward] = field(default_factory=list)
    stamps: dict[UUID | None, int] = field(default_factory=dict)
    bonus: int = 0
