"""The rules of stamp cards: when stamps may be given and how many, when a card is full, and how long things last."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from zoneinfo import ZoneInfo

# A till gives a handful of stamps at once; more is a slip of the finger or a fraud. So much earns one receipt at most.
MOST_STAMPS_AT_ONCE = 20

Line = Mapping[str, object]

_MANY = Decimal(MOST_STAMPS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class StampRules:
    """What the owner set. Amounts are in minor units of the programme's currency; days are calendar days.

    `products` are names or product codes, casefolded: when there are any, only their lines on a receipt earn. With
    `per_minor`, each full `per_minor` that was paid earns a stamp.
    """

    needed: int
    time_zone: str
    smallest_purchase_minor: int = 0
    valid_days: int | None = None
    join_stamps: int = 0
    reward_valid_days: int | None = None
    starts_on: date | None = None
    birthday_stamps: int = 0
    products: frozenset[str] = frozenset()
    per_minor: int | None = None

    @property
    def least_minor(self) -> int:
        """The smallest purchase that earns a stamp."""
        return max(self.smallest_purchase_minor, self.per_minor or 0)


class Obstacle(StrEnum):
    """Why a stamp may not be given."""

    NOT_STARTED = "not-started"
    TOO_FEW = "too-few"
    TOO_MANY = "too-many"
    PURCHASE_TOO_SMALL = "purchase-too-small"
    PURCHASE_UNKNOWN = "purchase-unknown"
    OTHER_PRODUCTS = "other-products"


def not_started(rules: StampRules, at: datetime) -> bool:
    """Whether the programme begins on a day after this moment."""
    return rules.starts_on is not None and at.astimezone(ZoneInfo(rules.time_zone)).date() < rules.starts_on


def obstacle(rules: StampRules, count: int, amount_minor: int | None, at: datetime) -> Obstacle | None:
    """What forbids giving `count` stamps for a purchase of `amount_minor` at the moment `at`; None if nothing does."""
    if not_started(rules, at):
        return Obstacle.NOT_STARTED
    if count < 1:
        return Obstacle.TOO_FEW
    if count > MOST_STAMPS_AT_ONCE:
        return Obstacle.TOO_MANY
    if rules.smallest_purchase_minor > 0 and amount_minor is None:
        return Obstacle.PURCHASE_UNKNOWN
    if amount_minor is not None and amount_minor < rules.least_minor:
        return Obstacle.PURCHASE_TOO_SMALL
    return None


def by_hand(rules: StampRules, count: int, amount_minor: int | None) -> int:
    """How many stamps a cashier's `count` is: a card that counts by amount counts by itself once the amount is known.

    To be asked when there is no obstacle.
    """
    if rules.per_minor is None or amount_minor is None:
        return count
    return min(amount_minor // rules.per_minor, MOST_STAMPS_AT_ONCE)


def by_receipt(
    rules: StampRules, amount_minor: int | None, lines: Sequence[Line], at: datetime
) -> tuple[int, Obstacle | None]:
    """How many stamps a receipt earns; when none, what forbids it.

    The smallest purchase is that of the whole receipt. A card for products gives a stamp for each piece of them, or by
    what was paid for them (never more than the whole receipt), and nothing without lines.
    """
    why = obstacle(rules, 1, amount_minor, at)
    if why is not None:
        return 0, why
    count, why_none = 1, Obstacle.PURCHASE_TOO_SMALL
    chosen = [line for line in lines if _names(line) & rules.products] if rules.products else []
    if rules.products and not chosen:
        return 0, Obstacle.OTHER_PRODUCTS
    if rules.per_minor is not None:
        paid = amount_minor or 0
        count = (min(paid, _paid(chosen)) if rules.products else paid) // rules.per_minor
    elif rules.products:
        count, why_none = sum(_pieces(line) for line in chosen), Obstacle.OTHER_PRODUCTS
    return (min(count, MOST_STAMPS_AT_ONCE), None) if count > 0 else (0, why_none)


def product_key(text: str) -> str:
    """A product's name or code, as names that differ only in their letters' case or in spaces are compared."""
    return " ".join(text.split()).casefold()


def full_cards(stamps: int, needed: int) -> int:
    """How many rewards so many stamps give; what is left over stays on the next card."""
    return stamps // needed


def bonus(count: int, factor: int) -> int:
    """How many stamps come on top of the `count` of a purchase while stamps count `factor` times."""
    return count * (factor - 1)


def lasts_until(at: datetime, days: int | None, time_zone: str) -> datetime | None:
    """The moment when something given at `at` is over: the end of the last of `days` days in the programme's zone.

    A stamp given on Monday with a validity of 1 day may be used until the end of Tuesday. None: it never ends.
    """
    if days is None:
        return None
    zone = ZoneInfo(time_zone)
    day_after = at.astimezone(zone).date() + timedelta(days=days + 1)
    return datetime.combine(day_after, time.min, tzinfo=zone).astimezone(UTC)


def _names(line: Line) -> set[str]:
    return {product_key(str(line[name])) for name in ("name", "product") if line.get(name)}


def _paid(lines: Iterable[Line]) -> int:
    """What these lines cost together; discounts are negative, and a line without an amount is free."""
    return sum(amount for line in lines if isinstance(amount := line.get("amount_minor"), int))


def _pieces(line: Line) -> int:
    """How many pieces a line is: whole ones, and at least one of what is sold by weight. What was returned counts
    backwards, a discount not at all."""
    try:
        quantity = Decimal(str(line.get("quantity") or 1))
    except InvalidOperation:
        quantity = Decimal(1)
    if quantity.is_nan():
        quantity = Decimal(1)
    quantity = max(-_MANY, min(_MANY, quantity))
    if quantity < 0:
        return min(-1, int(quantity))
    amount = line.get("amount_minor")
    return 0 if isinstance(amount, int) and amount < 0 else max(1, int(quantity))
