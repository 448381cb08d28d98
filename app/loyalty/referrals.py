"""Referral: who counts as a friend whom a member brought, and how many of them are rewarded in a month."""

from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from app.loyalty.campaign_schedule import moment
from app.loyalty.guarding import Rule

# So far back it is looked who brought whom. Nobody builds a longer ring by hand.
LONGEST_CHAIN = 20


class Reason(StrEnum):
    """Why a referral is not rewarded, or waits for a manager, or stays rewarded though it was taken back."""

    SELF = "self"  # the member's own link
    RING = "ring"  # it leads back to somebody who brought the referrer
    KNOWN = "known"  # was a member already
    RETURNED = "returned"  # had left, and is back
    DEVICE = "device"  # the browser was seen before
    ENDED = "ended"  # the referrer has left or is blocked, or nothing is given for friends any more
    STOPPED = "stopped"  # the guard stopped the referrer
    LIMIT = "limit"  # the referrer has had as many this month as there are rewards for
    MANAGER = "manager"  # a manager said no
    ERASED = "erased"  # one of the two
    USED = "used"  # the friend's purchase was undone, but the referrer has used the reward already


@dataclass(frozen=True, slots=True)
class Verdict:
    """`held`: a manager is to decide. `rule`: what the guard is to be told of, about the referrer."""

    reason: Reason | None = None
    held: bool = False
    rule: Rule | None = None

    @property
    def good(self) -> bool:
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Joining:
    """Somebody came by a member's link.

    `chain`: whose link it was, then who had brought them, and so on back. `new`: was no member before; `returned`: had
    left. `device_owners`: members whose pages were opened in the friend's browser, or who joined in it.
    """

    friend: UUID
    chain: tuple[UUID, ...]
    new: bool
    returned: bool = False
    device_owners: frozenset[UUID] = frozenset()
    referrer_active: bool = True
    referrer_stopped: bool = False


def judge(joining: Joining) -> Verdict:
    """Whether this friend counts.

    What cannot be a friend is refused; what may be one, or a second phone of the same person's, is held: families
    share tablets.
    """
    others = joining.device_owners - {joining.friend}
    if joining.friend == joining.chain[0]:
        return Verdict(Reason.SELF)
    if joining.friend in joining.chain:
        return Verdict(Reason.RING, rule=Rule.MEMBER_RINGS)
    if joining.returned:
        return Verdict(Reason.RETURNED)
    if not joining.new:
        return Verdict(Reason.KNOWN)
    if not joining.referrer_active:
        return Verdict(Reason.ENDED)
    if joining.referrer_stopped:
        return Verdict(Reason.STOPPED)
    if others.intersection(joining.chain[1:]):
        return Verdict(Reason.RING, held=True, rule=Rule.MEMBER_RINGS)
    if others:
        return Verdict(Reason.DEVICE, held=True, rule=Rule.MEMBER_DEVICES)
    return Verdict()


def month_of(at: datetime, time_zone: str) -> tuple[datetime, datetime]:
    """When the calendar month of this moment begins, and the next one, by the clock of the zone."""
    day = at.astimezone(ZoneInfo(time_zone)).date()
    first = day.replace(day=1)
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return moment(first, time(), time_zone), moment(following, time(), time_zone)


@dataclass(frozen=True, slots=True)
class Gift:
    """What one of the two gets. `bonus` is in minor units or points, as the programme counts."""

    stamps: int = 0
    bonus: int = 0
    reward_type_id: UUID | None = None

    def __bool__(self) -> bool:
        return bool(self.stamps or self.bonus or self.reward_type_id)


NOTHING = Gift()
