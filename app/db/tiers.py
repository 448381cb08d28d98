"""Tiers, which members reach, and groups, into which they are put by hand."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum


class TierBasis(StrEnum):
    SPENDING = "spending"  # in minor units
    VISITS = "visits"  # counted visits, or purchases where none are counted
    POINTS = "points"  # bonus earned by purchases


class TierPeriod(StrEnum):
    ROLLING = "rolling"  # the last `days` days
    CALENDAR = "calendar"  # since the first of January; a tier reached is kept to the end of the next year


class TierRules(Base):
    """How members come by their tiers. Without a row there are none."""

    __tablename__ = "tier_rules"
    __table_args__ = (
        CheckConstraint("days BETWEEN 1 AND 3660", name="days"),
        CheckConstraint("grace_days BETWEEN 0 AND 366", name="grace_days"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    active: Mapped[bool] = mapped_column(default=False)
    basis: Mapped[TierBasis] = mapped_column(text_enum(TierBasis), default=TierBasis.SPENDING)
    period: Mapped[TierPeriod] = mapped_column(text_enum(TierPeriod), default=TierPeriod.ROLLING)
    days: Mapped[int] = mapped_column(default=365)
    grace_days: Mapped[int] = mapped_column(default=30)  # how long a tier stays when it is no longer earned
    review_id: Mapped[UUID | None]  # the task that looks at all members after a change; None: there is none
    reviewed_to: Mapped[UUID | None]  # the last member at whom it has looked


class Tier(Identified, Base):
    """A tier: who has `needs` in the period is in it, and in none below. `color` as typed; empty is the brand's.

    One that was removed is kept: members' histories name it.
    """

    __tablename__ = "tiers"
    __table_args__ = (
        Index("uq_tiers_name", "program_id", "name", unique=True, postgresql_where="NOT removed"),
        Index("uq_tiers_needs", "program_id", "needs", unique=True, postgresql_where="NOT removed"),
        CheckConstraint("needs >= 0", name="needs"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    name: Mapped[str] = mapped_column(String(30))
    needs: Mapped[int] = mapped_column(BigInteger)
    color: Mapped[str] = mapped_column(String(60), default="")
    benefits: Mapped[str] = mapped_column(String(300), default="")  # in the owner's words
    position: Mapped[int] = mapped_column(SmallInteger, default=0)  # 0 is the lowest; follows `needs`
    removed: Mapped[bool] = mapped_column(default=False)


class TierChange(Identified, Base):
    """A member moved from one tier to another. None is no tier."""

    __tablename__ = "tier_changes"
    __table_args__ = (
        Index("ix_tier_changes_member_id_at", "member_id", "at"),
        Index("ix_tier_changes_program_id_at", "program_id", "at"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"))
    before_id: Mapped[UUID | None] = mapped_column(ForeignKey("tiers.id", ondelete="SET NULL"))
    after_id: Mapped[UUID | None] = mapped_column(ForeignKey("tiers.id", ondelete="SET NULL"))
    at: Mapped[datetime]


class MemberGroup(Identified, Base):
    """A named group of members, by hand or by CSV (VIP, local entrepreneurs)."""

    __tablename__ = "member_groups"
    __table_args__ = (UniqueConstraint("program_id", "name"),)

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    name: Mapped[str] = mapped_column(String(60))
    details: Mapped[str] = mapped_column(String(300), default="")  # shown to the group's members and at the till
    on_card: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class GroupMember(Base):
    """A member in a group."""

    __tablename__ = "group_members"

    group_id: Mapped[UUID] = mapped_column(ForeignKey("member_groups.id", ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), primary_key=True, index=True)
    since: Mapped[datetime]


class GroupPrice(Identified, Base):
    """What something costs for a group: a price, or a share off (hundredths of a percent). For tills to ask."""

    __tablename__ = "group_prices"
    __table_args__ = (
        UniqueConstraint("group_id", "product"),
        CheckConstraint("(price_minor IS NULL) <> (off_bp IS NULL)", name="one_of"),
    )

    group_id: Mapped[UUID] = mapped_column(ForeignKey("member_groups.id", ondelete="CASCADE"))
    product: Mapped[str] = mapped_column(String(60))  # as the till calls it; empty is everything
    price_minor: Mapped[int | None] = mapped_column(BigInteger)
    off_bp: Mapped[int | None]
