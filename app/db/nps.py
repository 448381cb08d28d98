"""NPS: the question how likely somebody is to recommend the shop, 0 to 10, and why."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum


class AskBy(StrEnum):
    CARD = "card"  # on the wallet card and the own page: free of charge
    SMS = "sms"


class NpsRules(Base):
    """When a programme asks. Without a row it does not. `questions`: {language: the question}, else ours."""

    __tablename__ = "nps_rules"
    __table_args__ = (
        CheckConstraint("after_visits > 0", name="after_visits"),
        CheckConstraint("period_days BETWEEN 7 AND 3660", name="period_days"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    active: Mapped[bool] = mapped_column(default=False)
    after_visits: Mapped[int] = mapped_column(default=3)  # after that many, and each time as many again
    period_days: Mapped[int] = mapped_column(default=180)  # nobody is asked more often
    ask_by: Mapped[AskBy] = mapped_column(text_enum(AskBy), default=AskBy.CARD)
    questions: Mapped[dict[str, str]] = mapped_column(JSONB, default=dict)
    survey_url: Mapped[str] = mapped_column(String(500), default="")  # the owner's own survey instead of our page


class NpsAsk(Identified, Base):
    """One asking of one member, and the answer, if any. Where and in which tier they were when they were asked."""

    __tablename__ = "nps_asks"
    __table_args__ = (
        CheckConstraint("score BETWEEN 0 AND 10", name="score"),
        Index("ix_nps_asks_member_id_asked_at", "member_id", "asked_at"),
        Index("ix_nps_asks_program_id_answered_at", "program_id", "answered_at"),
        Index("ix_nps_asks_on_card_until", "on_card_until", postgresql_where="on_card_until IS NOT NULL"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"))
    token: Mapped[str] = mapped_column(String(12), unique=True)
    via: Mapped[str] = mapped_column(String(16), default="")  # visit, campaign, page
    location_id: Mapped[UUID | None] = mapped_column(ForeignKey("locations.id"))
    tier_id: Mapped[UUID | None] = mapped_column(ForeignKey("tiers.id", ondelete="SET NULL"))
    asked_at: Mapped[datetime]
    on_card_until: Mapped[datetime | None]  # None: the wallets know that the card does not show it any more
    score: Mapped[int | None] = mapped_column(SmallInteger)
    comment: Mapped[str] = mapped_column(Text, default="")
    answered_at: Mapped[datetime | None]
    handled_at: Mapped[datetime | None]
    handled_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
