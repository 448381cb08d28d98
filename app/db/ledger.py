"""The ledger: every earn and spend as a row that never changes, and the rewards that full cards gave."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum
from app.loyalty.coupons import RewardValue
from app.loyalty.ledger import Kind, Unit


class LedgerEntry(Identified, Base):
    """One signed amount of one unit for one member.

    `operation_id` ties together what one act at the till wrote (a stamp, the ten stamps that became a reward, the
    reward): it is the id of the first of them. `reverses_id` is the entry that this one undoes, at most once.
    `lot_id` is, on an expiry, the earn whose remainder lapsed. Credit counts in minor units, each credit by itself
    (`credit_id`); that of a group's coupon has no member. Stamps without `stamp_card_id` are of the first stamp card.
    Undoing an earn of bonus that was spent since takes what is left, which may be nothing: only then `amount` is 0.
    """

    __tablename__ = "ledger_entries"
    __table_args__ = (
        CheckConstraint("amount <> 0 OR kind = 'undo'", name="amount"),
        CheckConstraint("member_id IS NOT NULL OR credit_id IS NOT NULL", name="whose"),
        CheckConstraint("(unit = 'credit') = (credit_id IS NOT NULL)", name="credit"),
        CheckConstraint("stamp_card_id IS NULL OR unit = 'stamp'", name="stamp_card"),
        UniqueConstraint("reverses_id"),
        UniqueConstraint("lot_id"),
        Index("ix_ledger_entries_member_id_number", "member_id", "number"),
        Index("ix_ledger_entries_operation_id", "operation_id"),
        Index("ix_ledger_entries_program_id_at", "program_id", "at"),
        Index("ix_ledger_entries_credit_id", "credit_id", postgresql_where="credit_id IS NOT NULL"),
    )

    # The order in which a member's entries were written. Ids cannot tell it: they carry the writing machine's clock.
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[UUID | None] = mapped_column(ForeignKey("members.id"))
    operation_id: Mapped[UUID]
    unit: Mapped[Unit] = mapped_column(text_enum(Unit))
    kind: Mapped[Kind] = mapped_column(text_enum(Kind))
    amount: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    reverses_id: Mapped[UUID | None] = mapped_column(ForeignKey("ledger_entries.id"))
    lot_id: Mapped[UUID | None] = mapped_column(ForeignKey("ledger_entries.id"))
    reward_id: Mapped[UUID | None] = mapped_column(ForeignKey("rewards.id"), index=True)
    credit_id: Mapped[UUID | None] = mapped_column(ForeignKey("credits.id"))
    stamp_card_id: Mapped[UUID | None] = mapped_column(ForeignKey("stamp_cards.id"))
    location_id: Mapped[UUID | None] = mapped_column(ForeignKey("locations.id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    api_key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    receipt_no: Mapped[str] = mapped_column(String(60), default="")


class RewardStatus(StrEnum):
    ISSUED = "issued"
    REDEEMED = "redeemed"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"  # the stamp that gave it was undone


class Reward(Identified, Base):
    """A reward that a member holds or held: a coupon. What it says is what was promised when it was issued.

    It may be used while `valid_from <= now < expires_at`, at `location_ids` and on `weekdays` (0 is Monday) alone when
    there are any. `value_amount` is in minor units (amount) or hundredths of a percent (percent). `pass_version` grows
    with every change of its own wallet pass, if it has one: 0 is none.
    """

    __tablename__ = "rewards"
    __table_args__ = (
        Index("ix_rewards_member_id_status", "member_id", "status"),
        Index("ix_rewards_remind_at", "remind_at", postgresql_where="remind_at IS NOT NULL"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"))
    name: Mapped[str] = mapped_column(String(60))
    status: Mapped[RewardStatus] = mapped_column(text_enum(RewardStatus), default=RewardStatus.ISSUED)
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    type_id: Mapped[UUID | None] = mapped_column(ForeignKey("reward_types.id"))
    value: Mapped[RewardValue] = mapped_column(text_enum(RewardValue), default=RewardValue.ITEM, server_default="item")
    value_amount: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    valid_from: Mapped[datetime | None]
    location_ids: Mapped[list[str]] = mapped_column(JSONB, default=list, server_default="[]")
    weekdays: Mapped[list[int]] = mapped_column(JSONB, default=list, server_default="[]")
    reason: Mapped[str] = mapped_column(String(120), default="", server_default="")  # of who gave it by hand
    remind_at: Mapped[datetime | None]  # when its reminder is due; None: none, or it was sent
    pass_version: Mapped[int] = mapped_column(default=0, server_default="0")
    pass_changed_at: Mapped[datetime | None]


class SavedAnswer(Base):
    """What was answered to an idempotency key, so that a repeat gets the same and does nothing."""

    __tablename__ = "saved_answers"

    scope: Mapped[UUID] = mapped_column(primary_key=True)  # the API key or the member of staff who asked
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    answer: Mapped[dict[str, object]] = mapped_column(JSONB)
    at: Mapped[datetime] = mapped_column(index=True)


class AuditEntry(Identified, Base):
    """Who did what to what. Details hold ids and setting names, never personal data; but for the reason of bonus given
    by hand, which goes when its member is erased."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_program_id_at", "program_id", "at"),
        Index("ix_audit_entries_reasons", "subject_id", postgresql_where="action IN ('bonus.given', 'bonus.taken')"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    at: Mapped[datetime]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    api_key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    action: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[UUID | None]
    details: Mapped[dict[str, object]] = mapped_column(JSONB, default=dict)
