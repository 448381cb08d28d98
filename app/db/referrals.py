"""Referral: members' own links, and the friends who came by them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum


class RewardedOn(StrEnum):
    JOINING = "joining"
    PURCHASE = "purchase"  # the friend's first


class ReferralRules(Base):
    """What both get. Without a row, members have no links of their own. `texts`: {language: what the link says}."""

    __tablename__ = "referral_rules"
    __table_args__ = (
        CheckConstraint("month_limit > 0", name="month_limit"),
        CheckConstraint("referrer_stamps >= 0 AND friend_stamps >= 0", name="stamps"),
        CheckConstraint("referrer_bonus >= 0 AND friend_bonus >= 0", name="bonus"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    active: Mapped[bool] = mapped_column(default=False)
    rewarded_on: Mapped[RewardedOn] = mapped_column(text_enum(RewardedOn), default=RewardedOn.PURCHASE)
    referrer_stamps: Mapped[int] = mapped_column(default=1)
    referrer_bonus: Mapped[int] = mapped_column(BigInteger, default=0)
    referrer_reward_type_id: Mapped[UUID | None] = mapped_column(ForeignKey("reward_types.id"))
    friend_stamps: Mapped[int] = mapped_column(default=1)
    friend_bonus: Mapped[int] = mapped_column(BigInteger, default=0)
    friend_reward_type_id: Mapped[UUID | None] = mapped_column(ForeignKey("reward_types.id"))
    month_limit: Mapped[int] = mapped_column(default=10)  # rewarded friends of one member in a calendar month
    texts: Mapped[dict[str, str]] = mapped_column(JSONB, default=dict)


class ReferralLink(Base):
    """A member's own link: what their friends are given."""

    __tablename__ = "referral_links"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), primary_key=True)
    code: Mapped[str] = mapped_column(String(10), unique=True)
    created_at: Mapped[datetime]


class ReferralState(StrEnum):
    WAITING = "waiting"  # for the friend's first purchase, or for a manager to look
    REWARDED = "rewarded"
    REFUSED = "refused"  # `reason` says why
    TAKEN_BACK = "taken_back"  # the purchase that it was rewarded for was undone


class Referral(Identified, Base):
    """A friend who joined by a member's link. `device` is a keyed hash of the browser's own mark, if it had one."""

    __tablename__ = "referrals"
    __table_args__ = (
        Index("ix_referrals_referrer_id_joined_at", "referrer_id", "joined_at"),
        Index("ix_referrals_program_id_joined_at", "program_id", "joined_at"),
        Index("ix_referrals_device", "device", postgresql_where="device <> ''"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    referrer_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"))
    friend_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), unique=True)  # a member is a friend once
    device: Mapped[str] = mapped_column(String(64), default="")
    state: Mapped[ReferralState] = mapped_column(text_enum(ReferralState), default=ReferralState.WAITING)
    reason: Mapped[str] = mapped_column(String(20), default="")
    joined_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    purchase_operation_id: Mapped[UUID | None]  # the act that it was rewarded for
    referrer_operation_id: Mapped[UUID | None]
    friend_operation_id: Mapped[UUID | None]


class MemberDevice(Base):
    """A browser on which a member's page was opened or joined, as a keyed hash of its own mark."""

    __tablename__ = "member_devices"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), primary_key=True)
    device: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    seen_at: Mapped[datetime]
