"""The conditions that a segment is made of, and what each means for one member.

The database does the same for all members at once (app.services.segment_sql); tests hold the two against each other.
A day is 24 hours where it is counted back from now, and the programme's calendar day where a date is meant.
"""

from dataclasses import dataclass
from datetime import date
from typing import ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from app.i18n import LANGUAGES, N_
from app.loyalty.birthdays import coming
from app.loyalty.segment_belonging import Chose, InGroup, InTier, Recommends
from app.loyalty.segment_facts import Facts, Field, Fields, FieldType, Leaf, SegmentError

MOST_DAYS = 3650
MOST_VISITS = 10_000
MOST_MINOR = 10**12
REPLY_DAYS = 7  # an SMS of the member so long after a campaign's answers it
WALLETS = ("apple", "google", "any", "none")
RESPONSES = ("got", "answered", "silent")
_DAYS = Field(FieldType.NUMBER, 1, MOST_DAYS)


def _between(value: int, least: int | None, most: int | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _fields(**fields: Field) -> Fields:
    return fields


def _range(type_: FieldType, most: int) -> dict[str, Field]:
    return {name: Field(type_, 0, most, optional=True) for name in ("least", "most")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranged:
    """At least, at most, or between."""

    least: int | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        if self.least is None and self.most is None:
            raise SegmentError(N_("Fill in at least one of the two."), field="least")
        if self.least is not None and self.most is not None and self.most < self.least:
            raise SegmentError(N_("This is less than the least."), field="most")


@dataclass(frozen=True, slots=True)
class InClass:
    """Has this class, as of the last classing."""

    kind: ClassVar[str] = "class"
    fields: ClassVar[Fields] = _fields(class_id=Field(FieldType.THING, options=("classes",)))
    class_id: UUID

    def fits(self, facts: Facts) -> bool:
        return facts.class_id == self.class_id


@dataclass(frozen=True, slots=True)
class OnList:
    """Is on this list of phone numbers."""

    kind: ClassVar[str] = "list"
    fields: ClassVar[Fields] = _fields(list_id=Field(FieldType.THING, options=("lists",)))
    list_id: UUID

    def fits(self, facts: Facts) -> bool:
        return self.list_id in facts.lists


@dataclass(frozen=True, slots=True)
class LastAt:
    """Was at this location when they last bought."""

    kind: ClassVar[str] = "location"
    fields: ClassVar[Fields] = _fields(location_id=Field(FieldType.THING, options=("locations",)))
    location_id: UUID

    def fits(self, facts: Facts) -> bool:
        return facts.last is not None and facts.last.location_id == self.location_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits(Ranged):
    """Bought so often in the last `days`."""

    kind: ClassVar[str] = "visits"
    fields: ClassVar[Fields] = _range(FieldType.NUMBER, MOST_VISITS) | {"days": _DAYS}
    days: int

    def fits(self, facts: Facts) -> bool:
        return _between(len(facts.within(self.days)), self.least, self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending(Ranged):
    """Spent so much (minor units) in the last `days`."""

    kind: ClassVar[str] = "spending"
    fields: ClassVar[Fields] = _range(FieldType.MONEY, MOST_MINOR) | {"days": _DAYS}
    days: int

    def fits(self, facts: Facts) -> bool:
        return _between(sum(visit.amount_minor or 0 for visit in facts.within(self.days)), self.least, self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastVisit(Ranged):
    """Bought last so many whole days ago; or, with `never` at 'too', never."""

    kind: ClassVar[str] = "last_visit"
    fields: ClassVar[Fields] = _range(FieldType.NUMBER, MOST_DAYS) | {
        "never": Field(FieldType.CHOICE, options=("not", "too"))
    }
    never: str = "not"

    def fits(self, facts: Facts) -> bool:
        if facts.last is None:
            return self.never == "too"
        return _between((facts.now - facts.last.at).days, self.least, self.most)


@dataclass(frozen=True, slots=True)
class NeverCame:
    """Never bought anything."""

    kind: ClassVar[str] = "never"
    fields: ClassVar[Fields] = _fields()

    def fits(self, facts: Facts) -> bool:
        return facts.last is None


@dataclass(frozen=True, slots=True, kw_only=True)
class StampsLeft(Ranged):
    """Lacks so many stamps to a reward."""

    kind: ClassVar[str] = "stamps"
    fields: ClassVar[Fields] = _range(FieldType.NUMBER, 30)

    def fits(self, facts: Facts) -> bool:
        return _between(facts.stamps_left, self.least, self.most)


@dataclass(frozen=True, slots=True)
class HoldsReward:
    """Has a reward that is not used yet."""

    kind: ClassVar[str] = "reward"
    fields: ClassVar[Fields] = _fields()

    def fits(self, facts: Facts) -> bool:
        return facts.rewards > 0


@dataclass(frozen=True, slots=True)
class HoldsCredit:
    """Has credit, of at least so much (minor units)."""

    kind: ClassVar[str] = "credit"
    fields: ClassVar[Fields] = _fields(least=Field(FieldType.MONEY, 0, MOST_MINOR, optional=True))
    least: int | None = None

    def fits(self, facts: Facts) -> bool:
        return facts.credit_minor >= max(self.least or 0, 1)


@dataclass(frozen=True, slots=True)
class BirthdayWithin:
    """Has their birthday today or within so many days."""

    kind: ClassVar[str] = "birthday"
    fields: ClassVar[Fields] = _fields(days=Field(FieldType.NUMBER, 0, 366))
    days: int

    def fits(self, facts: Facts) -> bool:
        born = facts.birth_date
        return born is not None and (born.month, born.day) in set(coming(facts.today, self.days))


@dataclass(frozen=True, slots=True)
class BornIn:
    """Has their birthday in this month (1 to 12)."""

    kind: ClassVar[str] = "birth_month"
    fields: ClassVar[Fields] = _fields(
        month=Field(FieldType.CHOICE, options=tuple(str(month) for month in range(1, 13)))
    )
    month: str

    def fits(self, facts: Facts) -> bool:
        return facts.birth_date is not None and facts.birth_date.month == int(self.month)


@dataclass(frozen=True, slots=True)
class Joined:
    """Joined on one of these days, both included."""

    kind: ClassVar[str] = "joined"
    fields: ClassVar[Fields] = _fields(
        first=Field(FieldType.DAY, optional=True), last=Field(FieldType.DAY, optional=True)
    )
    first: date | None = None
    last: date | None = None

    def __post_init__(self) -> None:
        if self.first is None and self.last is None:
            raise SegmentError(N_("Fill in at least one of the two."), field="first")
        if self.first is not None and self.last is not None and self.last < self.first:
            raise SegmentError(N_("This day is before the first."), field="last")

    def fits(self, facts: Facts) -> bool:
        day = facts.joined_at.astimezone(ZoneInfo(facts.time_zone)).date()
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)


@dataclass(frozen=True, slots=True)
class JoinedVia:
    """Joined through this channel."""

    kind: ClassVar[str] = "via"
    fields: ClassVar[Fields] = _fields(via=Field(FieldType.CHANNEL))
    via: str

    def fits(self, facts: Facts) -> bool:
        return facts.via == self.via


@dataclass(frozen=True, slots=True)
class Speaks:
    """Has chosen this language."""

    kind: ClassVar[str] = "language"
    fields: ClassVar[Fields] = _fields(language=Field(FieldType.CHOICE, options=tuple(LANGUAGES)))
    language: str

    def fits(self, facts: Facts) -> bool:
        return facts.language == self.language


@dataclass(frozen=True, slots=True)
class InWallet:
    """Has the card in Apple Wallet, in Google Wallet, in any or in none of them."""

    kind: ClassVar[str] = "wallet"
    fields: ClassVar[Fields] = _fields(wallet=Field(FieldType.CHOICE, options=WALLETS))
    wallet: str

    def fits(self, facts: Facts) -> bool:
        if self.wallet in ("any", "none"):
            return bool(facts.wallets) == (self.wallet == "any")
        return self.wallet in facts.wallets


@dataclass(frozen=True, slots=True)
class WantsOffers:
    """Has agreed to offers by SMS, and not taken it back."""

    kind: ClassVar[str] = "consent"
    fields: ClassVar[Fields] = _fields()

    def fits(self, facts: Facts) -> bool:
        return facts.wants_offers


@dataclass(frozen=True, slots=True)
class Campaigned:
    """Got this campaign; and clicked in it or replied ('answered'), or did neither ('silent')."""

    kind: ClassVar[str] = "campaign"
    fields: ClassVar[Fields] = _fields(
        response=Field(FieldType.CHOICE, options=RESPONSES),
        campaign_id=Field(FieldType.THING, options=("campaigns",)),
    )
    campaign_id: UUID
    response: str = "got"

    def fits(self, facts: Facts) -> bool:
        if self.campaign_id not in facts.got:
            return False
        return self.response == "got" or (self.campaign_id in facts.answered) == (self.response == "answered")


# What the form offers, in its order: what they bought, their card, who they are, what was written to them.
OFFERED: tuple[tuple[type[Leaf], ...], ...] = (
    (LastVisit, NeverCame, Visits, Spending, LastAt, InClass),
    (StampsLeft, HoldsReward, HoldsCredit, InTier, InWallet),
    (BirthdayWithin, BornIn, Joined, JoinedVia, Speaks, OnList, InGroup, Chose),
    (WantsOffers, Campaigned, Recommends),
)
LEAVES = {leaf.kind: leaf for group in OFFERED for leaf in group}
