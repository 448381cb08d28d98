"""What rewards there are to give. The rewards that members hold are in app.db.ledger."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum
from app.loyalty.coupons import RewardValue


class RewardType(Identified, Base):
    """A kind of reward that the programme gives: by rule, by hand or with a campaign.

    `value_amount` as in Reward. Valid for `valid_days` from when it is issued, within `valid_from` … `valid_until`
    (days of the programme, both included). `points_price`: what it costs in points, for programmes with named points.
    """

    __tablename__ = "reward_types"
    __table_args__ = (
        UniqueConstraint("program_id", "name"),
        CheckConstraint("valid_days IS NULL OR valid_days > 0", name="valid_days"),
        CheckConstraint("value_amount >= 0", name="value_amount"),
        CheckConstraint("points_price IS NULL OR points_price > 0", name="points_price"),
        Index("uq_reward_types_full_card", "program_id", unique=True, postgresql_where="for_full_card"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    name: Mapped[str] = mapped_column(String(60))
    details: Mapped[str] = mapped_column(String(300), default="")  # in the owner's words, for the coupon's back
    value: Mapped[RewardValue] = mapped_column(text_enum(RewardValue), default=RewardValue.ITEM)
    value_amount: Mapped[int] = mapped_column(BigInteger, default=0)
    valid_days: Mapped[int | None]
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]
    location_ids: Mapped[list[str]] = mapped_column(JSONB, default=list)
    weekdays: Mapped[list[int]] = mapped_column(JSONB, default=list)
    remind_days: Mapped[int | None]  # how many days before it lapses its holder is reminded
    remind_by_sms: Mapped[bool] = mapped_column(default=False)  # who has the card in no wallet gets an SMS
    own_pass: Mapped[bool] = mapped_column(default=False)  # it may be kept in the wallet as a coupon of its own
    points_price: Mapped[int | None] = mapped_column(BigInteger)
    for_full_card: Mapped[bool] = mapped_column(default=False)  # what the first stamp card gives when it is full
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class CouponRegistration(Base):
    """A coupon's own pass on an iPhone. `tag` is the device's tag when the coupon last changed."""

    __tablename__ = "coupon_registrations"

    device_id: Mapped[UUID] = mapped_column(ForeignKey("apple_devices.id", ondelete="CASCADE"), primary_key=True)
    reward_id: Mapped[UUID] = mapped_column(ForeignKey("rewards.id"), primary_key=True, index=True)
    tag: Mapped[int] = mapped_column(BigInteger, default=0)
    registered_at: Mapped[datetime]


class GoogleCoupon(Base):
    """A coupon's own object in Google Wallet, and the coupon's version that Google has."""

    __tablename__ = "google_coupons"

    reward_id: Mapped[UUID] = mapped_column(ForeignKey("rewards.id"), primary_key=True)
    version: Mapped[int] = mapped_column(default=0)
    installs: Mapped[int] = mapped_column(default=0)


class GoogleCouponClass(Base):
    """An offer class in Google Wallet, and the programme's version that Google has of it.

    A kind has one for each `wording` of what it promised, a digest: its name may change, and coupons that are out stay.
    """

    __tablename__ = "google_coupon_classes"

    type_id: Mapped[UUID] = mapped_column(ForeignKey("reward_types.id"), primary_key=True)
    wording: Mapped[str] = mapped_column(String(16), primary_key=True)
    version: Mapped[int] = mapped_column(default=0)
