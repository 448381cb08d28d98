"""The plain values that services hand to the web, the API and the command line."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from app.db.credit import CreditSource, CreditStatus
from app.db.ledger import RewardStatus
from app.db.people import MemberStatus, Role
from app.loyalty.coupons import Limits, RewardValue
from app.loyalty.ledger import Kind, Unit
from app.services.tier_views import GroupView, TierStanding


@dataclass(frozen=True, slots=True)
class RewardView:
    """A reward of a member, as app.db.ledger.Reward has it. `own_pass`: it may be kept in a wallet by itself."""

    id: UUID
    name: str
    status: RewardStatus
    issued_at: datetime
    expires_at: datetime | None
    value: RewardValue = RewardValue.ITEM
    value_amount: int = 0
    valid_from: datetime | None = None
    location_ids: tuple[str, ...] = ()
    weekdays: tuple[int, ...] = ()
    own_pass: bool = False

    @property
    def limits(self) -> Limits:
        """When and where it may be used."""
        return Limits(self.valid_from, self.expires_at, self.location_ids, self.weekdays)


@dataclass(frozen=True, slots=True)
class CreditView:
    """A credit of a member. Usable while `valid_from <= now < expires_at` and `status` is open."""

    id: UUID
    source: CreditSource
    status: CreditStatus
    amount_minor: int
    balance_minor: int
    reason: str
    valid_from: datetime
    expires_at: datetime
    granted_at: datetime


@dataclass(frozen=True, slots=True)
class EntryView:
    """One act in a member's history. `operation_id` is what undo takes."""

    operation_id: UUID
    unit: Unit
    kind: Kind
    amount: int
    at: datetime
    amount_minor: int | None
    receipt_no: str
    location: str
    staff: str
    undone: bool
    stamp_card: str = ""  # the name of a further stamp card


@dataclass(frozen=True, slots=True)
class StampsView:
    """What a member has on one stamp card. `card_id` is None for the programme's first one, whose name may be ''."""

    card_id: UUID | None
    name: str
    have: int
    needed: int
    reward_name: str


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as the till sees one. Balances are after everything that lapsed by now was closed."""

    id: UUID
    program_id: UUID
    card_id: UUID
    card_code: str
    card_version: int
    card_changed_at: datetime
    status: MemberStatus
    phone: str
    name: str
    email: str
    birth_date: date | None
    city: str
    language: str
    via: str
    joined_at: datetime
    stamps: int
    stamps_needed: int
    rewards: tuple[RewardView, ...]
    news: str
    credits: tuple[CreditView, ...] = ()  # the open ones, the first to lapse first; also those that begin later
    link_generation: int = 1  # grows when the card's links and wallet passes are made anew
    double_until: datetime | None = None  # until then a purchase's stamps count twice
    stamp_card_name: str = ""  # of the first stamp card
    further_stamps: tuple[StampsView, ...] = ()  # on the stamp cards in use beside the first one
    visits: int = 0
    tier: TierStanding | None = None  # None where the programme has no tiers
    groups: tuple[GroupView, ...] = ()
    bonus: int = 0  # in minor units, or points


@dataclass(frozen=True, slots=True)
class StaffView:
    id: UUID
    program_id: UUID
    location_id: UUID | None
    login: str
    name: str
    role: Role
    language: str
    session_version: int
    active: bool
    may_grant_credit: bool = False
