"""Purchases: what was bought, by whom, when. They earn stamps, feed the classing, and are the customer's receipts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified


class Purchase(Identified, Base):
    """One receipt, or one visit whose sum nobody told (`amount_minor` None).

    Without a member it waits under its `phone` until the same number joins. `operation_id` is the ledger's act that
    it earned, if any. `lines`: [{name, product?, quantity?, amount_minor?, warranty_months?}], as the till software
    sent them.
    """

    __tablename__ = "purchases"
    __table_args__ = (
        CheckConstraint("amount_minor >= 0", name="amount"),
        Index("ix_purchases_member_id_at", "member_id", "at", postgresql_where="member_id IS NOT NULL"),
        Index(
            "ix_purchases_figures",
            "program_id",
            "at",
            postgresql_include=["member_id", "amount_minor"],
            postgresql_where="member_id IS NOT NULL AND undone_at IS NULL",
        ),
        Index("ix_purchases_waiting", "program_id", "phone", postgresql_where="phone <> ''"),
        Index("ix_purchases_waiting_at", "program_id", "at", postgresql_where="phone <> ''"),
        Index("ix_purchases_receipt", "program_id", "receipt_no", postgresql_where="receipt_no <> ''"),
        Index("ix_purchases_operation_id", "operation_id", postgresql_where="operation_id IS NOT NULL"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[UUID | None] = mapped_column(ForeignKey("members.id"))
    phone: Mapped[str] = mapped_column(String(16), default="")
    at: Mapped[datetime]  # when it was bought
    recorded_at: Mapped[datetime]
    amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    receipt_no: Mapped[str] = mapped_column(String(60), default="")
    lines: Mapped[list[dict[str, object]] | None] = mapped_column(JSONB)
    location_id: Mapped[UUID | None] = mapped_column(ForeignKey("locations.id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    api_key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    operation_id: Mapped[UUID | None]
    undone_at: Mapped[datetime | None]
