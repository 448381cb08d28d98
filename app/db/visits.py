"""Visits: who came through the door, and what the nth visit gives."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified


class VisitRules(Base):
    """How a programme counts visits. Without a row it does not."""

    __tablename__ = "visit_rules"
    __table_args__ = (CheckConstraint("hours_apart BETWEEN 0 AND 720", name="hours_apart"),)

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    active: Mapped[bool] = mapped_column(default=False)
    hours_apart: Mapped[int] = mapped_column(default=12)  # a second visit sooner than that does not count
    count_purchases: Mapped[bool] = mapped_column(default=False)  # a purchase is a visit, too


class VisitReward(Identified, Base):
    """What is given at the `at_visit`th visit, or at each multiple of it."""

    __tablename__ = "visit_rewards"
    __table_args__ = (CheckConstraint("at_visit > 0", name="at_visit"),)

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), index=True)
    at_visit: Mapped[int]
    every: Mapped[bool] = mapped_column(default=False)
    reward_type_id: Mapped[UUID] = mapped_column(ForeignKey("reward_types.id"))
    active: Mapped[bool] = mapped_column(default=True)


class Visit(Identified, Base):
    """One visit that counted. `at` is when the card was shown, also where the door was offline then."""

    __tablename__ = "visits"
    __table_args__ = (
        Index("ix_visits_member_id_at", "member_id", "at"),
        Index("ix_visits_program_id_at", "program_id", "at"),
        Index("ix_visits_operation_id", "operation_id"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"))
    at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    location_id: Mapped[UUID | None] = mapped_column(ForeignKey("locations.id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    api_key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    operation_id: Mapped[UUID]  # the ledger's act; a purchase that counts as a visit is one act with it
    undone_at: Mapped[datetime | None]
    rewarded: Mapped[int | None]  # the number of visits for which it gave rewards, if it gave any


class UncountedVisit(Identified, Base):
    """A card that was shown too soon after another visit, or before one that was told of first.

    It is kept because doors that were offline tell in any order: which visits count must not depend on that.
    """

    __tablename__ = "uncounted_visits"
    __table_args__ = (
        Index("ix_uncounted_visits_member_id_at", "member_id", "at"),
        Index("ix_uncounted_visits_operation_id", "operation_id"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"))
    at: Mapped[datetime]
    operation_id: Mapped[UUID]  # of the purchase that it came with, if any; else nothing else has it
