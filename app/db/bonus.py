"""Bonus: a share of each purchase, as money that pays at the till, or as named points."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum


class BonusKind(StrEnum):
    OFF = "off"
    MONEY = "money"
    POINTS = "points"


class BonusRules(Base):
    """A programme's bonus. Without a row there is none.

    Money: `rate` is in hundredths of a percent of the purchase. Points: `rate` points for each `per_minor` of it.
    `point_names`: {language: {plural form (CLDR: one, few, many, other): name}}.
    """

    __tablename__ = "bonus_rules"
    __table_args__ = (
        CheckConstraint("rate >= 0 AND (kind <> 'money' OR rate <= 10000)", name="rate"),
        CheckConstraint("per_minor > 0", name="per_minor"),
        CheckConstraint("valid_days IS NULL OR valid_days > 0", name="valid_days"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    kind: Mapped[BonusKind] = mapped_column(text_enum(BonusKind), default=BonusKind.OFF)
    rate: Mapped[int] = mapped_column(default=0)
    per_minor: Mapped[int] = mapped_column(BigInteger, default=100)
    smallest_purchase_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    point_names: Mapped[dict[str, dict[str, str]]] = mapped_column(JSONB, default=dict)
    valid_days: Mapped[int | None]
    warn_days: Mapped[int | None]  # how many days before some of it lapses its holder is warned
    warn_by_sms: Mapped[bool] = mapped_column(default=False)  # those without a wallet
    warned_on: Mapped[date | None]  # the last day whose warnings are begun, and, until all are out, after whom
    warned_after: Mapped[UUID | None]


class BonusRate(Identified, Base):
    """Another rate than the usual one: for a tier, at a place, on weekdays, between days (both included).

    What is not set does not matter. Of several that fit the highest counts.
    """

    __tablename__ = "bonus_rates"
    __table_args__ = (CheckConstraint("rate >= 0", name="rate"),)

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), index=True)
    name: Mapped[str] = mapped_column(String(60), default="")
    rate: Mapped[int]
    tier_id: Mapped[UUID | None] = mapped_column(ForeignKey("tiers.id"))
    location_id: Mapped[UUID | None] = mapped_column(ForeignKey("locations.id"))
    weekdays: Mapped[list[int]] = mapped_column(JSONB, default=list)
    first_day: Mapped[date | None]
    last_day: Mapped[date | None]
    active: Mapped[bool] = mapped_column(default=True)


class BonusThreshold(Identified, Base):
    """What is given when all bonus that a member's purchases ever earned reaches `threshold`, or each multiple."""

    __tablename__ = "bonus_thresholds"
    __table_args__ = (
        CheckConstraint("threshold > 0", name="threshold"),
        CheckConstraint("extra > 0 OR reward_type_id IS NOT NULL", name="gives"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), index=True)
    threshold: Mapped[int] = mapped_column(BigInteger)
    every: Mapped[bool] = mapped_column(default=False)
    extra: Mapped[int] = mapped_column(BigInteger, default=0)
    reward_type_id: Mapped[UUID | None] = mapped_column(ForeignKey("reward_types.id"))
    active: Mapped[bool] = mapped_column(default=True)
