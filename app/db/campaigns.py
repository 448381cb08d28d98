"""Campaigns: whom a marketer writes to, what, when, and what came of it."""

from datetime import datetime, time
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum


class Segment(Identified, Base):
    """A saved choice of members. `tree` is validated by app.loyalty.segments and never text to run."""

    __tablename__ = "segments"
    __table_args__ = (UniqueConstraint("program_id", "name"),)

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    name: Mapped[str] = mapped_column(String(60))
    tree: Mapped[dict[str, object]] = mapped_column(JSONB)
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class PhoneList(Identified, Base):
    """A CSV of phone numbers as a choice of members: only its rows that are members are kept."""

    __tablename__ = "phone_lists"

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    rows: Mapped[int]
    created_at: Mapped[datetime]


class PhoneListMember(Base):
    """A member on a list."""

    __tablename__ = "phone_list_members"

    list_id: Mapped[UUID] = mapped_column(ForeignKey("phone_lists.id", ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), primary_key=True, index=True)


class CampaignState(StrEnum):
    DRAFT = "draft"
    APPROVAL = "approval"  # waits for a second person
    SCHEDULED = "scheduled"  # its next run is planned, or it is repeating
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"


class Medium(StrEnum):
    SMS = "sms"
    WALLET = "wallet"
    WALLET_FIRST = "wallet_first"  # the wallet card, and SMS for whoever has none


class Repeat(StrEnum):
    ONCE = "once"
    WEEKLY = "weekly"
    BIRTHDAY = "birthday"  # `offset_days` before it
    AFTER_VISIT = "after_visit"  # `offset_days` after the last visit
    BEFORE_LAPSE = "before_lapse"  # `offset_days` before a credit or reward lapses


class Benefit(StrEnum):
    NONE = "none"
    CREDIT = "credit"
    REWARD = "reward"
    DOUBLE_STAMPS = "double_stamps"  # for whoever got the campaign, in a window


class Campaign(Identified, Base):
    """One campaign. What is sent is pinned in its runs: a change here never reaches a run that has started.

    `texts`: {"a": {language: text}, "b": {…}} with `{name|fallback}` fields and `{link}`. `link`: "" (none), "card",
    or an https address. `starts_at` is the moment of the first run; `repeat_until` of the last. `at_time` is the
    programme's clock time of repeated runs.
    """

    __tablename__ = "campaigns"
    __table_args__ = (
        CheckConstraint("holdout_percent BETWEEN 0 AND 50", name="holdout_percent"),
        CheckConstraint("b_percent BETWEEN 0 AND 100", name="b_percent"),
        Index("ix_campaigns_program_id_created_at", "program_id", "created_at"),
        Index("ix_campaigns_next_run_at", "next_run_at", postgresql_where="next_run_at IS NOT NULL"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    name: Mapped[str] = mapped_column(String(60))
    state: Mapped[CampaignState] = mapped_column(text_enum(CampaignState), default=CampaignState.DRAFT)
    tree: Mapped[dict[str, object]] = mapped_column(JSONB, default=dict)
    medium: Mapped[Medium] = mapped_column(text_enum(Medium), default=Medium.SMS)
    texts: Mapped[dict[str, dict[str, str]]] = mapped_column(JSONB, default=dict)
    link: Mapped[str] = mapped_column(String(500), default="")
    b_percent: Mapped[int] = mapped_column(SmallInteger, default=0)
    holdout_percent: Mapped[int] = mapped_column(SmallInteger, default=0)
    repeat: Mapped[Repeat] = mapped_column(text_enum(Repeat), default=Repeat.ONCE)
    offset_days: Mapped[int] = mapped_column(SmallInteger, default=0)
    weekday: Mapped[int | None] = mapped_column(SmallInteger)  # 0 is Monday
    at_time: Mapped[time | None]
    starts_at: Mapped[datetime | None]
    repeat_until: Mapped[datetime | None]
    next_run_at: Mapped[datetime | None]
    benefit: Mapped[Benefit] = mapped_column(text_enum(Benefit), default=Benefit.NONE)
    benefit_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    benefit_name: Mapped[str] = mapped_column(String(60), default="")
    benefit_days: Mapped[int] = mapped_column(SmallInteger, default=14)
    benefit_type_id: Mapped[UUID | None] = mapped_column(ForeignKey("reward_types.id"))  # else a reward by its name
    version: Mapped[int] = mapped_column(default=1)  # grows with every change; start names the one that was seen
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    approved_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class RunPhase(StrEnum):
    PLANNED = "planned"
    CHOOSING = "choosing"  # recipients are being written
    SENDING = "sending"
    DONE = "done"
    STOPPED = "stopped"
    MISSED = "missed"  # too late when its turn came: shown, not sent


class CampaignRun(Identified, Base):
    """One sending of a campaign. `content` is pinned at the start: texts, link, tree, benefit, medium, prices."""

    __tablename__ = "campaign_runs"
    __table_args__ = (
        UniqueConstraint("campaign_id", "due_at"),
        Index("ix_campaign_runs_program_id_due_at", "program_id", "due_at"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id"))
    phase: Mapped[RunPhase] = mapped_column(text_enum(RunPhase), default=RunPhase.PLANNED)
    content: Mapped[dict[str, object]] = mapped_column(JSONB)
    due_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class RecipientState(StrEnum):
    PLANNED = "planned"
    HANDED = "handed"  # a message of ours exists (SMS), or the card was changed (wallet)
    SKIPPED = "skipped"  # `reason` says why
    HOLDOUT = "holdout"  # chosen, and left out on purpose, to compare


class CampaignRecipient(Base):
    """One member in one run. `token` is the personal short link's; `occasion` keeps repeats apart (a birthday's year).

    `due_at` is when it may go out. `number` is the order of sending. `phone_check` (PostgreSQL's hashtextextended of
    the number) tells whether the member has still the number that it was planned for. What a row belongs to is never
    deleted, and has no foreign key here: a million checks would lock each member's row, for which tills would wait.
    """

    __tablename__ = "campaign_recipients"
    __table_args__ = (
        UniqueConstraint("run_id", "member_id"),
        Index("uq_campaign_recipients_occasion", "campaign_id", "member_id", "occasion", unique=True),
        Index("uq_campaign_recipients_token", "token", unique=True),
        Index(
            "ix_campaign_recipients_planned",
            "run_id",
            "due_at",
            "number",
            postgresql_where="state = 'planned'",
        ),
        Index("ix_campaign_recipients_member_id_at", "member_id", "handed_at"),
        Index("ix_campaign_recipients_log", "campaign_id", "number"),
        Index("ix_campaign_recipients_message_id", "message_id", postgresql_where="message_id IS NOT NULL"),
    )

    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    program_id: Mapped[UUID]
    campaign_id: Mapped[UUID]
    run_id: Mapped[UUID]
    member_id: Mapped[UUID]
    phone_check: Mapped[int] = mapped_column(BigInteger)
    occasion: Mapped[str] = mapped_column(String(20))
    token: Mapped[str] = mapped_column(String(10))
    variant: Mapped[str] = mapped_column(String(1), default="a")
    medium: Mapped[Medium] = mapped_column(text_enum(Medium), default=Medium.SMS)  # sms or wallet, for this one
    state: Mapped[RecipientState] = mapped_column(text_enum(RecipientState), default=RecipientState.PLANNED)
    reason: Mapped[str] = mapped_column(String(20), default="")
    due_at: Mapped[datetime]
    handed_at: Mapped[datetime | None]
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("sms_messages.id"))
    credit_id: Mapped[UUID | None] = mapped_column(ForeignKey("credits.id"))
    reward_id: Mapped[UUID | None] = mapped_column(ForeignKey("rewards.id"))


class ClickKind(StrEnum):
    PERSON = "person"
    PREVIEW = "preview"  # a messenger that draws a preview
    SCANNER = "scanner"  # a security scanner or a crawler


class LinkClick(Base):
    """One opening of a personal link."""

    __tablename__ = "link_clicks"
    __table_args__ = (Index("ix_link_clicks_recipient", "recipient_number", "kind"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    recipient_number: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("campaign_recipients.number", ondelete="CASCADE")
    )
    kind: Mapped[ClickKind] = mapped_column(text_enum(ClickKind))
    at: Mapped[datetime]


class CampaignRules(Base):
    """What a programme has set for its campaigns. A programme without a row has the defaults."""

    __tablename__ = "campaign_rules"

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    second_person: Mapped[bool] = mapped_column(default=False)  # who writes may not start
    most_offers: Mapped[int] = mapped_column(SmallInteger, default=4)  # offers to one member within `offer_days`
    offer_days: Mapped[int] = mapped_column(SmallInteger, default=30)
    visit_days: Mapped[int] = mapped_column(SmallInteger, default=14)  # a visit within them counts as after a campaign
