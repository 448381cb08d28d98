"""The rules of the stamp card: when a stamp may be given, when a card is full, and how long things last."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

# A till gives a handful of stamps at once; more is a slip of the finger or a fraud.
MOST_STAMPS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class StampRules:
    """What the owner set. Amounts are in minor units of the programme's currency; days are calendar days."""

    needed: int
    time_zone: str
    smallest_purchase_minor: int = 0
    valid_days: int | None = None
    join_stamps: int = 0
    reward_valid_days: int | None = None
    starts_on: date | None = None


class Obstacle(StrEnum):
    """Why a stamp may not be given."""

    NOT_STARTED = "not-started"
    TOO_FEW = "too-few"
    TOO_MANY = "too-many"
    PURCHASE_TOO_SMALL = "purchase-too-small"
    PURCHASE_UNKNOWN = "purchase-unknown"


def obstacle(rules: StampRules, count: int, amount_minor: int | None, at: datetime) -> Obstacle | None:
    """What forbids giving `count` stamps for a purchase of `amount_minor` at the moment `at`; None if nothing does."""
    if rules.starts_on is not None and at.astimezone(ZoneInfo(rules.time_zone)).date() < rules.starts_on:
        return Obstacle.NOT_STARTED
    if count < 1:
        return Obstacle.TOO_FEW
    if count > MOST_STAMPS_AT_ONCE:
        return Obstacle.TOO_MANY
    if rules.smallest_purchase_minor > 0 and amount_minor is None:
        return Obstacle.PURCHASE_UNKNOWN
    if amount_minor is not None and amount_minor < rules.smallest_purchase_minor:
        return Obstacle.PURCHASE_TOO_SMALL
    return None


def full_cards(stamps: int, needed: int) -> int:
    """How many rewards so many stamps give; what is left over stays on the next card."""
    return stamps // needed


def bonus(count: int, bought_at: datetime, double_until: datetime | None) -> int:
    """How many stamps come on top of the `count` of a purchase: as many again while double stamps last."""
    return count if double_until is not None and bought_at < double_until else 0


def lasts_until(at: datetime, days: int | None, time_zone: str) -> datetime | None:
    """The moment when something given at `at` is over: the end of the last of `days` days in the programme's zone.

    A stamp given on Monday with a validity of 1 day may be used until the end of Tuesday. None: it never ends.
    """
    if days is None:
        return None
    zone = ZoneInfo(time_zone)
    day_after = at.astimezone(zone).date() + timedelta(days=days + 1)
    return datetime.combine(day_after, time.min, tzinfo=zone).astimezone(UTC)
