"""Odd patterns at the till: what counts as odd, and what follows. The first time it is shown, the next time blocked."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Rule(StrEnum):
    """What is counted. The word before the underscore is whose acts are counted."""

    MEMBER_STAMPS = "member_stamps"  # stamps to one member
    MEMBER_BONUS = "member_bonus"  # purchases with bonus whose amounts were typed for one member
    MEMBER_USES = "member_uses"  # rewards and credit that one member used
    MEMBER_VISITS = "member_visits"  # times that one card was shown at the door too soon after a visit
    TILL_STAMPS = "till_stamps"  # stamps that one cashier or till gave
    TILL_JOINS = "till_joins"  # members that one cashier or till joined
    TILL_UNDOS = "till_undos"  # acts that one cashier or till took back
    TILL_RECEIPTS = "till_receipts"  # times that one receipt number served more than one member
    TILL_CODES = "till_codes"  # codes that were not valid
    MEMBER_RINGS = "member_rings"  # friends by a member's link who had brought that member
    MEMBER_DEVICES = "member_devices"  # friends by a member's link in a browser that was seen before


@dataclass(frozen=True, slots=True)
class Threshold:
    """Odd is more than `most` within `minutes`."""

    most: int
    minutes: int
    active: bool = True

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=self.minutes)


DAY = 24 * 60
DEFAULTS = {
    Rule.MEMBER_STAMPS: Threshold(20, DAY),
    Rule.MEMBER_BONUS: Threshold(5, DAY),
    Rule.MEMBER_USES: Threshold(5, DAY),
    Rule.MEMBER_VISITS: Threshold(10, DAY),
    Rule.TILL_STAMPS: Threshold(120, 10),
    Rule.TILL_JOINS: Threshold(60, 60),
    Rule.TILL_UNDOS: Threshold(15, DAY),
    Rule.TILL_RECEIPTS: Threshold(2, DAY),
    Rule.TILL_CODES: Threshold(10, 60),
    Rule.MEMBER_RINGS: Threshold(0, DAY),
    Rule.MEMBER_DEVICES: Threshold(0, DAY),
}
# What may be shown from the first time on. Of everything else, once is nothing odd.
FROM_THE_FIRST = (Rule.MEMBER_RINGS, Rule.MEMBER_DEVICES)
# A pattern that comes again within this time was not answered by showing it.
MEMORY = timedelta(days=30)


class Step(StrEnum):
    """What follows from a pattern."""

    SHOW = "show"  # to the manager; the act goes on
    GO_ON = "go_on"  # it is the same occurrence as the one that was shown
    BLOCK = "block"  # it came again


def step(shown_at: datetime | None, window: timedelta, at: datetime) -> Step:
    """What follows when the pattern is seen at `at`, and was last shown at `shown_at` (None: never, or it was fine).

    All that is seen within the rule's window after it was shown belongs to the same occurrence: a manager should have
    had the time to look before anybody at the till is stopped.
    """
    if shown_at is None or at - shown_at > MEMORY:
        return Step.SHOW
    return Step.GO_ON if at - shown_at <= window else Step.BLOCK
