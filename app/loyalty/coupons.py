"""The rules of rewards: from when until when they hold, where and on which days, and what they take off a bill."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from app.loyalty.credit import day_begins, day_of, last_day
from app.loyalty.stamps import lasts_until

WHOLE = 10_000  # a share of 100 %, in hundredths of a percent
# People are reminded in the morning, by the programme's clock.
REMINDED_AT = time(10)


class RewardValue(StrEnum):
    ITEM = "item"  # something for free: the name says what
    AMOUNT = "amount"  # so much off the bill
    PERCENT = "percent"  # a share off the bill
    ACCESS = "access"  # a ticket


class Obstacle(StrEnum):
    """Why a reward may not be used here and now."""

    NOT_YET = "not-yet"
    OVER = "over"
    OTHER_PLACE = "other-place"
    OTHER_DAY = "other-day"


@dataclass(frozen=True, slots=True)
class Limits:
    """When and where a reward may be used: while `valid_from <= now < expires_at`, at `location_ids` and on `weekdays`
    (0 is Monday) alone when there are any."""

    valid_from: datetime | None = None
    expires_at: datetime | None = None
    location_ids: Collection[str] = ()
    weekdays: Collection[int] = ()


def obstacle(limits: Limits, at: datetime, location_id: UUID | None, time_zone: str) -> Obstacle | None:
    """What forbids using the reward at this moment and place; None if nothing does. A reward for certain places needs
    a known place."""
    if limits.expires_at is not None and at >= limits.expires_at:
        return Obstacle.OVER
    if limits.valid_from is not None and at < limits.valid_from:
        return Obstacle.NOT_YET
    if limits.location_ids and str(location_id) not in limits.location_ids:
        return Obstacle.OTHER_PLACE
    if limits.weekdays and day_of(at, time_zone).weekday() not in limits.weekdays:
        return Obstacle.OTHER_DAY
    return None


def takes_off(value: RewardValue, value_amount: int, bill_minor: int) -> int:
    """What the reward takes off a bill, in minor units: never more than the bill.

    `value_amount` is in minor units (amount) or hundredths of a percent (percent); a share is rounded down. An item or
    a ticket takes nothing off: it is not on the bill.
    """
    match value:
        case RewardValue.AMOUNT:
            return min(value_amount, bill_minor)
        case RewardValue.PERCENT:
            return bill_minor * min(value_amount, WHOLE) // WHOLE
        case _:
            return 0


def is_over(last: date | None, at: datetime, time_zone: str) -> bool:
    """Whether the last day on which a kind of reward may be used has passed."""
    return last is not None and day_of(at, time_zone) > last


def span(
    at: datetime, time_zone: str, valid_days: int | None, first: date | None, last: date | None
) -> tuple[datetime | None, datetime | None]:
    """From when and until when (not included) a reward given at `at` may be used; None: at once, for ever.

    It holds to the end of the last of `valid_days` days after the one on which it can first be used, and in no case
    beyond the days `first` … `last`, both included. All are days of the programme's zone, however long they are.
    """
    begins = day_begins(first, time_zone) if first is not None else None
    begins = begins if begins is not None and begins > at else None
    ends = [lasts_until(begins or at, valid_days, time_zone)]
    if last is not None:
        ends.append(day_begins(last + timedelta(days=1), time_zone))
    return begins, min((end for end in ends if end is not None), default=None)


def reminder(given_at: datetime, expires_at: datetime | None, days: int | None, time_zone: str) -> datetime | None:
    """When the holder is reminded: in the morning, `days` days before the last day. None: never, as for a reward that
    was given after that moment."""
    if expires_at is None or days is None:
        return None
    on = last_day(expires_at, time_zone) - timedelta(days=days)
    moment = datetime.combine(on, REMINDED_AT, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)
    return moment if given_at < moment < expires_at else None
