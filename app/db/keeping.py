"""What is kept of people, for how long, and what is forgotten."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum


class RetentionRules(Base):
    """After how many days what is forgotten. None: it is kept. Without a row the defaults of the columns hold."""

    __tablename__ = "retention_rules"
    __table_args__ = (
        CheckConstraint("left_days > 0 AND inactive_days > 0 AND receipt_days > 0", name="people"),
        CheckConstraint("message_days > 0 AND click_days > 0 AND audit_days > 0", name="traces"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    left_days: Mapped[int | None] = mapped_column(default=90)  # who left is erased
    inactive_days: Mapped[int | None]  # who has not been seen for so long is erased
    receipt_days: Mapped[int | None]  # the lines of receipts; their sums stay
    message_days: Mapped[int | None] = mapped_column(default=730)  # what SMS said, and to which number
    click_days: Mapped[int | None] = mapped_column(default=730)  # who opened which link
    audit_days: Mapped[int | None]
    code_to_erase: Mapped[bool] = mapped_column(default=False)  # who erases themselves types a code from their phone
    ran_on: Mapped[date | None]  # the programme's day on which all this was last done
    warned_on: Mapped[date | None]
    receipts_to: Mapped[datetime | None]  # what was bought before this moment is forgotten already
    messages_to: Mapped[datetime | None]


class ErasedBy(StrEnum):
    MEMBER = "member"
    STAFF = "staff"
    RULE = "rule"


class Erasure(Identified, Base):
    """Somebody was erased. Nothing here tells who it was; a restored backup is told whom to erase again."""

    __tablename__ = "erasures"
    __table_args__ = (Index("ix_erasures_program_id_at", "program_id", "at"),)

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), unique=True)
    by: Mapped[ErasedBy] = mapped_column(text_enum(ErasedBy))
    at: Mapped[datetime]


class Warranty(Identified, Base):
    """A receipt that its customer keeps until its warranty ends, with a reminder before that."""

    __tablename__ = "warranties"
    __table_args__ = (
        Index("ix_warranties_member_id", "member_id"),
        Index("ix_warranties_remind_on", "remind_on", postgresql_where="remind_on IS NOT NULL"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"))
    purchase_id: Mapped[UUID] = mapped_column(ForeignKey("purchases.id"))
    name: Mapped[str] = mapped_column(String(120))  # of what was bought
    ends_on: Mapped[date]
    remind_on: Mapped[date | None]  # None: nobody is to be reminded, or was
    note: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime]
