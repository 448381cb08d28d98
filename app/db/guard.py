"""Guarding: odd patterns are shown to the manager first, and blocked the next time."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum


class AlertState(StrEnum):
    SHOWN = "shown"  # the manager is to look; nothing is blocked yet
    BLOCKED = "blocked"
    FINE = "fine"  # a manager said that this is in order, or lifted the block


class GuardRule(Base):
    """A programme's own threshold for a rule. A rule without a row has its default."""

    __tablename__ = "guard_rules"

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    rule: Mapped[str] = mapped_column(String(32), primary_key=True)  # app.loyalty.guarding.Rule
    most: Mapped[int]
    minutes: Mapped[int]
    active: Mapped[bool] = mapped_column(default=True)


class Alert(Identified, Base):
    """One odd pattern around one subject. `evidence` holds counts, times and ids, never personal data."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_program_id_last_at", "program_id", "last_at"),
        Index("uq_alerts_live", "program_id", "rule", "subject_id", unique=True, postgresql_where="state <> 'fine'"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    rule: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(16))  # member, staff, api_key, location, program
    subject_id: Mapped[UUID]
    state: Mapped[AlertState] = mapped_column(text_enum(AlertState), default=AlertState.SHOWN)
    times: Mapped[int] = mapped_column(default=1)
    evidence: Mapped[dict[str, object]] = mapped_column(JSONB, default=dict)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
