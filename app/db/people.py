"""People: staff, and members with their cards and consents."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.base import Base, Identified, text_enum


class Role(StrEnum):
    OWNER = "owner"
    MANAGER = "manager"
    MARKETER = "marketer"
    CASHIER = "cashier"


class Staff(Identified, Base):
    """Someone who signs in. Raising `session_version` signs them out everywhere."""

    __tablename__ = "staff"

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), index=True)
    location_id: Mapped[UUID | None] = mapped_column(ForeignKey("locations.id"))
    login: Mapped[str] = mapped_column(String(60), unique=True)  # kept casefolded
    name: Mapped[str] = mapped_column(String(60))
    role: Mapped[Role] = mapped_column(text_enum(Role))
    language: Mapped[str] = mapped_column(String(2))
    password_hash: Mapped[str] = mapped_column(String(200))
    session_version: Mapped[int] = mapped_column(default=1)
    active: Mapped[bool] = mapped_column(default=True)
    may_grant_credit: Mapped[bool] = mapped_column(default=False, server_default="false")  # managers may always
    created_at: Mapped[datetime]


class MemberStatus(StrEnum):
    ACTIVE = "active"
    BLOCKED = "blocked"
    LEFT = "left"
    ERASED = "erased"  # nothing personal is left; the ledger's sums stay


class Member(Identified, Base):
    """A customer in a programme.

    `stamps` (of the first stamp card), `rewards`, `credit_minor`, `bonus` and `visits` are cached balances: sums over
    the ledger, changed in the same transaction. `bonus_earned` is the sum of what purchases earned, whatever was used
    of it since. Whoever earns, spends, undoes or expires locks this row first. `next_expiry_at` is when the first
    living stamp, reward, credit or bonus lapses, so that a look at the row tells whether there is anything to settle.
    Who was erased has no number: `phone` is then "!" and a part of the id.
    """

    __tablename__ = "members"
    __table_args__ = (
        UniqueConstraint("program_id", "phone"),
        CheckConstraint("stamps >= 0", name="stamps"),
        CheckConstraint("rewards >= 0", name="rewards"),
        CheckConstraint("credit_minor >= 0", name="credit_minor"),
        CheckConstraint("bonus >= 0", name="bonus"),
        CheckConstraint("visits >= 0", name="visits"),
        Index("ix_members_next_expiry_at", "next_expiry_at", postgresql_where="next_expiry_at IS NOT NULL"),
        Index("ix_members_program_id_joined_at", "program_id", "joined_at"),
        Index("ix_members_tier_look_at", "tier_look_at", postgresql_where="tier_look_at IS NOT NULL"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    phone: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(80), default="")
    email: Mapped[str] = mapped_column(String(254), default="")
    birth_date: Mapped[date | None]
    city: Mapped[str] = mapped_column(String(60), default="")
    language: Mapped[str] = mapped_column(String(2))
    via: Mapped[str] = mapped_column(String(32), default="")
    status: Mapped[MemberStatus] = mapped_column(text_enum(MemberStatus), default=MemberStatus.ACTIVE)
    joined_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    stamps: Mapped[int] = mapped_column(default=0)
    rewards: Mapped[int] = mapped_column(default=0)
    credit_minor: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    next_expiry_at: Mapped[datetime | None]
    last_visit_at: Mapped[datetime | None]  # the newest purchase that stands, and where it was made
    last_location_id: Mapped[UUID | None] = mapped_column(ForeignKey("locations.id"))
    double_until: Mapped[datetime | None]  # until then the stamps of a purchase count twice: a campaign's promise
    bonus: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")  # in minor units, or points
    bonus_earned: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    visits: Mapped[int] = mapped_column(default=0, server_default="0")
    tier_id: Mapped[UUID | None] = mapped_column(ForeignKey("tiers.id"))
    tier_since: Mapped[datetime | None]
    tier_until: Mapped[datetime | None]  # when the tier is lost unless more is gained
    tier_look_at: Mapped[datetime | None]  # when that, or what is missing to the next tier, is looked at next

    card: Mapped["MemberCard"] = relationship(back_populates="member", lazy="joined", innerjoin=True)


class MemberCard(Identified, Base):
    """The member's card. Its id is the pass serial and never changes.

    `code` is what the QR code holds. The page's token is not stored: it is derived from the id and
    `link_generation`, and found by its keyed hash. `version` is Apple's update tag; `changed_at` never repeats a
    second for two versions. `news` is the one text that a phone shows on its lock screen when it changes.
    """

    __tablename__ = "cards"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), unique=True)
    code: Mapped[str] = mapped_column(String(16), unique=True)
    link_generation: Mapped[int] = mapped_column(default=1)
    renewed_at: Mapped[datetime | None]  # when the link was last made anew: whatever led to the old one opens nothing
    link_hash: Mapped[str] = mapped_column(String(64), unique=True)
    version: Mapped[int] = mapped_column(default=1)
    changed_at: Mapped[datetime]
    news: Mapped[str] = mapped_column(String(1000), default="")

    member: Mapped[Member] = relationship(back_populates="card")


class Consent(Identified, Base):
    """One answer to one question, never changed: the newest per member and purpose counts."""

    __tablename__ = "consents"
    # With `granted`: whom offers may go to is then told by the index alone.
    __table_args__ = (
        Index("ix_consents_member_id_purpose_at", "member_id", "purpose", "at"),
        Index("ix_consents_newest", "purpose", "member_id", "at", "id", postgresql_include=["granted"]),
        Index("ix_consents_refused", "at", postgresql_where="NOT granted"),
    )

    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"))
    purpose: Mapped[str] = mapped_column(String(32))  # terms, sms_marketing, email_marketing
    granted: Mapped[bool]
    source: Mapped[str] = mapped_column(String(32))  # web, till, api, card_page
    wording: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
