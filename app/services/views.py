"""The plain values that services hand to the web, the API and the command line."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from app.db.ledger import RewardStatus
from app.db.people import MemberStatus, Role
from app.loyalty.ledger import Kind, Unit


@dataclass(frozen=True, slots=True)
class RewardView:
    id: UUID
    name: str
    status: RewardStatus
    issued_at: datetime
    expires_at: datetime | None


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
