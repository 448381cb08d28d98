"""What a reward is worth, and when and where it may be used, in the words of one language."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from app.i18n import N_, Money, Translator, Weekdays
from app.loyalty.coupons import Limits, RewardValue
from app.loyalty.credit import day_of, last_day

_OFF = N_("%(amount)s off")
_SHARE_OFF = N_("%(share)s%% off")
_TICKET = N_("Ticket: %(name)s")
_FROM = N_("From %(first)s on")
_UNTIL = N_("Last day: %(day)s")
_FROM_UNTIL = N_("From %(first)s until %(last)s")
_ONLY_HERE = N_("Only here: %(places)s")
_ONLY_ON = N_("Only on: %(days)s")


def worth(text: Translator, name: str, value: RewardValue, value_amount: int, currency: str) -> str:
    """What it gives: “€5.00 off”, “20 % off”, or what the thing is called."""
    match value:
        case RewardValue.AMOUNT:
            return text.gettext(_OFF, amount=Money(value_amount, currency))
        case RewardValue.PERCENT:
            return text.gettext(_SHARE_OFF, share=share(value_amount))
        case RewardValue.ACCESS:
            return text.gettext(_TICKET, name=name)
        case RewardValue.ITEM:
            return name


def share(bp: int) -> Decimal:
    """Hundredths of a percent as a percentage: 1250 → 12.5."""
    whole, rest = divmod(bp, 100)
    return Decimal(bp).scaleb(-2).normalize() if rest else Decimal(whole)


def limits(text: Translator, found: Limits, places: Mapping[str, str], time_zone: str, at: datetime) -> list[str]:
    """When and where it may be used, a line each. `places` names the locations by id; a day that has passed is not
    told as a beginning."""
    lines = []
    first = day_of(found.valid_from, time_zone) if found.valid_from and found.valid_from > at else None
    last = last_day(found.expires_at, time_zone) if found.expires_at else None
    if first and last:
        lines.append(text.gettext(_FROM_UNTIL, first=first, last=last))
    elif first:
        lines.append(text.gettext(_FROM, first=first))
    elif last:
        lines.append(text.gettext(_UNTIL, day=last))
    if found.location_ids:
        names = [places[location_id] for location_id in found.location_ids if location_id in places]
        lines.append(text.gettext(_ONLY_HERE, places=text.listed(sorted(names))))
    if found.weekdays:
        lines.append(text.gettext(_ONLY_ON, days=Weekdays(tuple(found.weekdays))))
    return lines
