"""Credit: money given back with an end date and a 7-digit code, the classes that get it, and a programme's rules."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum


class CreditSource(StrEnum):
    HAND = "hand"  # granted by staff
    CLASS = "class"  # by a class's policy
    GROUP = "group"  # a coupon code of a group, without a member
    CAMPAIGN = "campaign"  # came with a campaign's message


class CreditStatus(StrEnum):
    OPEN = "open"
    USED = "used"
    LAPSED = "lapsed"
    BLOCKED = "blocked"  # by a manager; may be opened again
    WITHDRAWN = "withdrawn"  # the grant was undone


class Credit(Identified, Base):
    """Money that pays at the till, of a member or (group coupons) of whoever knows the code.

    `balance_minor` is the sum over its ledger entries, and is only taken from by one conditional UPDATE. It can be
    used while `valid_from <= now < expires_at`. `code_hash` is HMAC-SHA256(pepper, programme ‖ code), kept while the
    code is active and while it rests after that. A member's code can be made again from `code_nonce` and the pepper,
    so that it rests nowhere in words; a group's is drawn once, shown once, and has no nonce. `pepper_id` tells the
    pepper without telling anything about it.
    """

    __tablename__ = "credits"
    __table_args__ = (
        CheckConstraint("(member_id IS NULL) <> (group_id IS NULL)", name="whose"),
        CheckConstraint("amount_minor > 0 AND balance_minor BETWEEN 0 AND amount_minor", name="balance"),
        CheckConstraint("valid_from < expires_at", name="validity"),
        UniqueConstraint("run_id", "member_id"),
        Index("uq_credits_code_hash", "code_hash", unique=True, postgresql_where="code_hash IS NOT NULL"),
        Index(
            "ix_credits_active_codes",
            "program_id",
            postgresql_include=["pepper_id"],
            postgresql_where="status = 'open' AND code_hash IS NOT NULL",
        ),
        Index("ix_credits_lapsing_expires_at", "expires_at", postgresql_where="status IN ('open', 'blocked')"),
        Index(
            "ix_credits_resting",
            "closed_at",
            postgresql_where="code_hash IS NOT NULL AND status IN ('used', 'lapsed', 'withdrawn')",
        ),
        Index("ix_credits_member_id_status", "member_id", "status"),
        Index("ix_credits_group_id", "group_id"),
        Index("ix_credits_program_id_granted_at", "program_id", "granted_at"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[UUID | None] = mapped_column(ForeignKey("members.id"))
    group_id: Mapped[UUID | None] = mapped_column(ForeignKey("code_groups.id"))
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("credit_runs.id"))
    source: Mapped[CreditSource] = mapped_column(text_enum(CreditSource))
    status: Mapped[CreditStatus] = mapped_column(text_enum(CreditStatus), default=CreditStatus.OPEN)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    balance_minor: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(200), default="")  # in the words of whoever granted it
    valid_from: Mapped[datetime]
    expires_at: Mapped[datetime]
    granted_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    api_key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    code_nonce: Mapped[bytes | None] = mapped_column(LargeBinary(16))
    pepper_id: Mapped[str] = mapped_column(String(8), default="")


class CodeGroup(Identified, Base):
    """A company's staff or a club that gets coupon codes without being members."""

    __tablename__ = "code_groups"

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    valid_from: Mapped[datetime]
    expires_at: Mapped[datetime]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]


class ProgramRules(Base):
    """What a programme has set beyond stamps. A programme without a row has the defaults."""

    __tablename__ = "program_rules"
    __table_args__ = (
        CheckConstraint("undo_hours BETWEEN 0 AND 8760", name="undo_hours"),
        CheckConstraint("attach_days BETWEEN 0 AND 365", name="attach_days"),
        CheckConstraint("largest_typed_minor > 0", name="largest_typed"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    partial_use: Mapped[bool] = mapped_column(default=True)  # what is left of a credit stays; else it lapses
    code_on_card: Mapped[bool] = mapped_column(default=False)  # the wallet card shows the credit's code
    undo_hours: Mapped[int] = mapped_column(default=72)  # how long a manager may undo the use of a credit
    attach_days: Mapped[int] = mapped_column(default=14)  # how long a purchase waits for its customer to join
    # The largest purchase that a cashier may type. None: the usual one, see app.services.typed_purchases.
    largest_typed_minor: Mapped[int | None] = mapped_column(BigInteger)


class RfmMethod(StrEnum):
    QUANTILES = "quantiles"  # equal shares of the members
    THRESHOLDS = "thresholds"  # limits that the owner set


class RfmSettings(Base):
    """How members are scored by recency, frequency and money: 1 is the worst score, `scores` the best.

    With thresholds each list has `scores - 1` limits, from the best score's to the second worst's: recency in days at
    most, frequency in purchases at least, money in minor units at least.
    """

    __tablename__ = "rfm_settings"

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    method: Mapped[RfmMethod] = mapped_column(text_enum(RfmMethod), default=RfmMethod.QUANTILES)
    scores: Mapped[int] = mapped_column(SmallInteger, default=5)
    window_days: Mapped[int] = mapped_column(default=365)  # purchases older than this do not count
    recency_limits: Mapped[list[int]] = mapped_column(JSONB, default=list)
    frequency_limits: Mapped[list[int]] = mapped_column(JSONB, default=list)
    money_limits: Mapped[list[int]] = mapped_column(JSONB, default=list)
    classed_at: Mapped[datetime | None]


class PolicyKind(StrEnum):
    NONE = "none"
    FIXED = "fixed"  # the same amount for each member of the class
    SHARE = "share"  # a share of what the member spent in the last `spending_days`


class CustomerClass(Identified, Base):
    """A class of members by their scores, and what credit it gets. A member is in the first class that fits.

    Score limits are inclusive. `share_bp` is in hundredths of a percent. `next_run_at` None: no run is planned.
    """

    __tablename__ = "customer_classes"
    __table_args__ = (
        UniqueConstraint("program_id", "name"),
        Index("ix_customer_classes_next_run_at", "next_run_at", postgresql_where="next_run_at IS NOT NULL"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    position: Mapped[int] = mapped_column(SmallInteger)
    name: Mapped[str] = mapped_column(String(40))
    recency_min: Mapped[int] = mapped_column(SmallInteger)
    recency_max: Mapped[int] = mapped_column(SmallInteger)
    frequency_min: Mapped[int] = mapped_column(SmallInteger)
    frequency_max: Mapped[int] = mapped_column(SmallInteger)
    money_min: Mapped[int] = mapped_column(SmallInteger)
    money_max: Mapped[int] = mapped_column(SmallInteger)
    policy: Mapped[PolicyKind] = mapped_column(text_enum(PolicyKind), default=PolicyKind.NONE)
    amount_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    share_bp: Mapped[int] = mapped_column(default=0)
    spending_days: Mapped[int] = mapped_column(default=90)
    smallest_minor: Mapped[int] = mapped_column(BigInteger, default=0)  # less than this is not given
    cap_minor: Mapped[int | None] = mapped_column(BigInteger)
    valid_days: Mapped[int] = mapped_column(default=30)
    every_days: Mapped[int] = mapped_column(default=30)
    at_hour: Mapped[int] = mapped_column(SmallInteger, default=10)  # of the programme's day
    next_run_at: Mapped[datetime | None]


class MemberClass(Base):
    """A member's figures, scores and class, as of the last classing.

    Without foreign keys: to check them, classing would lock all members' rows against the tills until it ends. A class
    that is gone is as none.
    """

    __tablename__ = "member_classes"
    __table_args__ = (Index("ix_member_classes_program_id_class_id", "program_id", "class_id", "member_id"),)

    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    program_id: Mapped[UUID]
    class_id: Mapped[UUID | None]
    last_at: Mapped[datetime | None]  # the newest purchase
    purchases: Mapped[int]
    spent_minor: Mapped[int] = mapped_column(BigInteger)
    recency: Mapped[int] = mapped_column(SmallInteger)
    frequency: Mapped[int] = mapped_column(SmallInteger)
    money: Mapped[int] = mapped_column(SmallInteger)


class RunState(StrEnum):
    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    MISSED = "missed"  # too late when its turn came: shown, not run


class CreditRun(Identified, Base):
    """One giving of credit to one class. One per class and due moment, whoever plans it."""

    __tablename__ = "credit_runs"
    __table_args__ = (
        UniqueConstraint("class_id", "due_at"),
        Index("ix_credit_runs_program_id_due_at", "program_id", "due_at"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    class_id: Mapped[UUID | None] = mapped_column(ForeignKey("customer_classes.id", ondelete="SET NULL"))
    class_name: Mapped[str] = mapped_column(String(40))
    due_at: Mapped[datetime]
    state: Mapped[RunState] = mapped_column(text_enum(RunState), default=RunState.PLANNED)
    members: Mapped[int] = mapped_column(default=0)
    granted_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))  # who started it by hand
    finished_at: Mapped[datetime | None]


class SpendingProof(Identified, Base):
    """A one-time code that was sent to a member's phone, so that who knows only the number cannot spend.

    The code is made from `nonce` and the pepper when it is sent and when it is tried; it rests nowhere.
    """

    __tablename__ = "spending_proofs"
    __table_args__ = (Index("ix_spending_proofs_member_id_expires_at", "member_id", "expires_at"),)

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"))
    asked_by: Mapped[UUID]  # the member of staff or API key for whom it holds
    nonce: Mapped[bytes] = mapped_column(LargeBinary(16))
    tries: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
