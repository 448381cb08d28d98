"""What is to be told to the outside, and whom it reaches: the outbox, and where cards are installed."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum


class Channel(StrEnum):
    """Who drains a row. Each channel has its own queue, worker and pace."""

    APPLE = "apple"  # push the card's phones
    GOOGLE = "google"  # make or patch the card's object
    SMS = "sms"  # hand a message to the SMS provider
    REFRESH = "refresh"  # renew all cards of a programme
    TASK = "task"  # long work in slices: imports, classing, giving credit to a class
    CAMPAIGN = "campaign"  # a campaign's run: hand its messages over


class OutboxState(StrEnum):
    WAITING = "waiting"
    LEASED = "leased"
    DEAD = "dead"


class OutboxRow(Base):
    """One thing to tell. Written in the transaction of the change that it announces; deleted when it was told.

    A subject has one waiting row a channel at most: a change while one waits joins it (coalescing), a change while
    one is leased makes the next one. `due_at` of a leased row is when its lease runs out.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("uq_outbox_waiting", "channel", "subject_id", unique=True, postgresql_where="state = 'waiting'"),
        Index("ix_outbox_due", "channel", "due_at", postgresql_where="state <> 'dead'"),
        Index("ix_outbox_told", "channel", "subject_id", postgresql_where="state <> 'waiting'"),
        Index("ix_outbox_dead", "program_id", "id", postgresql_where="state = 'dead'"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    channel: Mapped[Channel] = mapped_column(text_enum(Channel))
    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    subject_id: Mapped[UUID]
    state: Mapped[OutboxState] = mapped_column(text_enum(OutboxState), default=OutboxState.WAITING)
    notify: Mapped[bool] = mapped_column(default=False)  # something to show on a lock screen, not just a change
    payload: Mapped[dict[str, object]] = mapped_column(JSONB, default=dict)
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime]


class AppleDevice(Base):
    """A phone that holds cards of one pass type: both its push token and Apple's question are for one.

    `tag` grows by one with every change of any of these cards: Apple's update tag.
    """

    __tablename__ = "apple_devices"
    __table_args__ = (UniqueConstraint("library_identifier", "pass_type"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    library_identifier: Mapped[str] = mapped_column(String(120))
    pass_type: Mapped[str] = mapped_column(String(120))
    push_token: Mapped[str] = mapped_column(String(200), index=True)
    tag: Mapped[int] = mapped_column(BigInteger, default=0)
    token_at: Mapped[datetime]  # when the token was last given: an 'unregistered' from before then is old news


class AppleRegistration(Base):
    """A card on a phone. `tag` is the device's tag when the card last changed."""

    __tablename__ = "apple_registrations"

    device_id: Mapped[UUID] = mapped_column(ForeignKey("apple_devices.id", ondelete="CASCADE"), primary_key=True)
    card_id: Mapped[UUID] = mapped_column(ForeignKey("cards.id"), primary_key=True, index=True)
    tag: Mapped[int] = mapped_column(BigInteger, default=0)
    registered_at: Mapped[datetime]


class GoogleObject(Base):
    """A card's object in Google Wallet. `installs` counts saves less deletes, as the callbacks told.

    `message` is a campaign's that Google has not been told yet; `message_id` names it, also after that.
    """

    __tablename__ = "google_objects"

    card_id: Mapped[UUID] = mapped_column(ForeignKey("cards.id"), primary_key=True)
    version: Mapped[int] = mapped_column(default=0)  # the card's version that Google has
    installs: Mapped[int] = mapped_column(default=0)
    notified_at: Mapped[list[str]] = mapped_column(JSONB, default=list)  # the last three notifications' moments
    message: Mapped[str] = mapped_column(String(1000), default="", server_default="")
    message_id: Mapped[str] = mapped_column(String(40), default="", server_default="")


class GoogleClass(Base):
    """A programme's class in Google Wallet, and the programme's version that Google has."""

    __tablename__ = "google_classes"

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    version: Mapped[int] = mapped_column(default=0)


class Wallet(StrEnum):
    APPLE = "apple"
    GOOGLE = "google"


class InstallEvent(Identified, Base):
    """A card was added to or removed from a wallet."""

    __tablename__ = "install_events"
    __table_args__ = (UniqueConstraint("nonce"), Index("ix_install_events_program_id_at", "program_id", "at"))

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    card_id: Mapped[UUID] = mapped_column(ForeignKey("cards.id"))
    wallet: Mapped[Wallet] = mapped_column(text_enum(Wallet))
    added: Mapped[bool]
    at: Mapped[datetime]
    nonce: Mapped[str | None] = mapped_column(String(120))  # Google's, so that a repeated callback counts once
