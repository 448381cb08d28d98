"""What a segment may ask of a member, and what the values of a condition can be."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo


class SegmentError(ValueError):
    """A tree or a condition that cannot be. `message` is an English text to translate, with `params`; `field` the
    condition's field that is to be mended, if it is one."""

    def __init__(self, message: str, params: Mapping[str, object] | None = None, field: str = "") -> None:
        self.message, self.params, self.field = message, dict(params or {}), field
        super().__init__(message % self.params if self.params else message)


class FieldType(StrEnum):
    NUMBER = "number"
    MONEY = "money"  # minor units
    DAY = "day"
    CHOICE = "choice"  # one of `options`
    THING = "thing"  # the id of one of the programme's `options`: classes, lists, locations, campaigns, tiers, groups
    CHANNEL = "channel"  # the tag of a join channel; empty is none
    ANSWER = "answer"  # the id of a question of the programme's own, a dot, and the number of a choice


@dataclass(frozen=True, slots=True)
class Field:
    """What a condition's field takes. `options`: the values of a choice, or the one name of the things."""

    type: FieldType
    least: int = 0
    most: int = 0
    options: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """A purchase that stands."""

    at: datetime
    amount_minor: int | None
    location_id: UUID | None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a segment may ask of one member, at the moment `now` in the programme's zone."""

    now: datetime
    time_zone: str
    language: str
    joined_at: datetime
    active: bool = True
    stamps_left: int = 0
    rewards: int = 0
    credit_minor: int = 0
    via: str = ""
    birth_date: date | None = None
    wants_offers: bool = False
    class_id: UUID | None = None
    lists: frozenset[UUID] = frozenset()
    tier_id: UUID | None = None
    groups: frozenset[UUID] = frozenset()
    chosen: frozenset[str] = frozenset()  # answers to questions that offer choices
    nps: str = ""  # app.loyalty.nps.Group of the newest answer
    visits: tuple[Visit, ...] = ()
    wallets: frozenset[str] = frozenset()
    got: frozenset[UUID] = frozenset()  # campaigns that reached them
    answered: frozenset[UUID] = frozenset()  # those of them that they clicked in or replied to

    @property
    def today(self) -> date:
        return self.now.astimezone(ZoneInfo(self.time_zone)).date()

    @property
    def last(self) -> Visit | None:
        return max(self.visits, key=lambda visit: visit.at, default=None)

    def within(self, days: int) -> list[Visit]:
        since = self.now - timedelta(days=days)
        return [visit for visit in self.visits if since < visit.at <= self.now]


Fields = Mapping[str, Field]


class Leaf(Protocol):
    """One condition. `fields` describes its values, in the order of the form."""

    kind: ClassVar[str]
    fields: ClassVar[Fields]

    def fits(self, facts: Facts) -> bool: ...
