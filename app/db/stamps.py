"""Further stamp cards of a programme, and when stamps count more than once."""

from datetime import date, datetime, time
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, SmallInteger, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified


class StampCard(Identified, Base):
    """A stamp card beside the programme's first one (lunch beside coffee). Columns mean what Program's mean."""

    __tablename__ = "stamp_cards"
    __table_args__ = (
        UniqueConstraint("program_id", "name"),
        CheckConstraint("stamps_needed BETWEEN 1 AND 30", name="stamps_needed"),
        CheckConstraint("smallest_purchase_minor >= 0", name="smallest_purchase"),
        CheckConstraint("stamp_valid_days IS NULL OR stamp_valid_days > 0", name="stamp_valid_days"),
        CheckConstraint("reward_valid_days IS NULL OR reward_valid_days > 0", name="reward_valid_days"),
        CheckConstraint("join_stamps >= 0 AND join_stamps < stamps_needed", name="join_stamps"),
        CheckConstraint("birthday_stamps >= 0 AND birthday_stamps < stamps_needed", name="birthday_stamps"),
        CheckConstraint("stamp_per_minor IS NULL OR stamp_per_minor > 0", name="stamp_per_minor"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    position: Mapped[int] = mapped_column(SmallInteger)
    name: Mapped[str] = mapped_column(String(40))
    stamps_needed: Mapped[int]
    smallest_purchase_minor: Mapped[int] = mapped_column(default=0)
    stamp_valid_days: Mapped[int | None]
    stamp_products: Mapped[list[str]] = mapped_column(JSONB, default=list)
    stamp_per_minor: Mapped[int | None] = mapped_column(BigInteger)
    join_stamps: Mapped[int] = mapped_column(default=0)
    birthday_stamps: Mapped[int] = mapped_column(default=0)
    reward_name: Mapped[str] = mapped_column(String(60))
    reward_type_id: Mapped[UUID | None] = mapped_column(ForeignKey("reward_types.id"))
    reward_valid_days: Mapped[int | None]
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class MemberStamps(Base):
    """A member's cached balance on a further stamp card: the sum over the ledger. Locked with the member's row."""

    __tablename__ = "member_stamps"
    __table_args__ = (CheckConstraint("stamps >= 0", name="stamps"),)

    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), primary_key=True)
    stamp_card_id: Mapped[UUID] = mapped_column(ForeignKey("stamp_cards.id"), primary_key=True)
    stamps: Mapped[int] = mapped_column(default=0)


class DoubleWindow(Identified, Base):
    """When the stamps of purchases count `factor` times.

    On `weekdays` (0 is Monday; none: every day) from `first_day` to `last_day`, both included, between `from_time` and
    `until_time` of the programme's clock; until a time that is not later than its beginning is until that of the next
    day, and a night belongs to the day on which it began. At `location_ids`, or everywhere.
    """

    __tablename__ = "double_windows"
    __table_args__ = (CheckConstraint("factor BETWEEN 2 AND 10", name="factor"),)

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    factor: Mapped[int] = mapped_column(SmallInteger, default=2)
    weekdays: Mapped[list[int]] = mapped_column(JSONB, default=list)
    from_time: Mapped[time | None]
    until_time: Mapped[time | None]
    first_day: Mapped[date | None]
    last_day: Mapped[date | None]
    location_ids: Mapped[list[str]] = mapped_column(JSONB, default=list)
    active: Mapped[bool] = mapped_column(default=True)


class GivenOnce(Base):
    """Something that a member gets once an occasion: a birthday's stamps of one year, a warning before a day."""

    __tablename__ = "given_once"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), primary_key=True)
    what: Mapped[str] = mapped_column(String(20), primary_key=True)
    occasion: Mapped[str] = mapped_column(String(40), primary_key=True)
    at: Mapped[datetime]
