"""What came of some of a campaign's recipients, as numbers."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.loyalty.shares import Share

HOLDOUT = "holdout"


@dataclass(slots=True)
class Counts:
    """What came of some recipients. Sums are in minor units, `cost_micro` in millionths of the currency's unit.

    `chosen` is `planned`, `held`, `handed` and `holdout` together; `handed` is `on_card`, `sending`, `unknown`,
    `accepted`, `delivered` and `failed` together. Visitors, purchases and clicks are of those handed; for the hold-out,
    of those held out.
    """

    chosen: int = 0
    planned: int = 0  # still to be sent
    holdout: int = 0
    handed: int = 0
    on_card: int = 0  # by the wallet card, and no SMS
    sending: int = 0
    unknown: int = 0
    accepted: int = 0  # the provider has it, and nobody has said more
    delivered: int = 0
    parts: int = 0
    cost_micro: int = 0
    people_clicked: int = 0
    clicks: int = 0
    previews: int = 0
    scanners: int = 0
    people_replied: int = 0
    replies: int = 0  # without those that stopped the offers
    stopped_by_sms: int = 0  # people
    stopped_by_link: int = 0
    stopped_elsewhere: int = 0  # on the card's page, by staff
    installed: int = 0  # people
    visitors: int = 0  # people
    purchases: int = 0
    money_minor: int = 0
    credits: int = 0
    credits_minor: int = 0
    credits_used: int = 0
    credits_used_minor: int = 0
    rewards: int = 0
    rewards_used: int = 0
    held: Counter[str] = field(default_factory=Counter)  # by reason
    failed: Counter[str] = field(default_factory=Counter)  # by reason
    last_at: datetime | None = None  # the last one was handed or held out

    @property
    def people(self) -> int:
        """Those whose visits are counted: who got it, or was held out."""
        return self.handed + self.holdout

    @property
    def stopped(self) -> int:
        return self.stopped_by_sms + self.stopped_by_link + self.stopped_elsewhere

    @property
    def clickers(self) -> Share:
        return Share(self.people_clicked, self.handed)

    @property
    def visits(self) -> Share:
        return Share(self.visitors, self.people)

    def add(self, other: "Counts") -> None:
        for one in fields(self):
            here, there = getattr(self, one.name), getattr(other, one.name)
            if one.name == "last_at":
                self.last_at = max((at for at in (here, there) if at), default=None)
            else:
                setattr(self, one.name, here + there)


def total(parts: Iterable[Counts]) -> Counts:
    """All of them together. A person who got two of its messages counts twice."""
    whole = Counts()
    for part in parts:
        whole.add(part)
    return whole


class Part(NamedTuple):
    """The recipients of one campaign, or one run, with one text: group is 'a', 'b' or HOLDOUT."""

    of: UUID
    group: str
