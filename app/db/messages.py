"""SMS: what was sent and received, what came of it, and the codes by which people join."""

from datetime import date, datetime, time
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum
from sms.delivery_states import State


class Direction(StrEnum):
    IN = "in"
    OUT = "out"


class SmsMessage(Identified, Base):
    """One SMS, in or out.

    What goes out is rendered when it is sent, from `template` and `params` (or `text`, when somebody typed it): links
    and codes that open something never rest here. `reference` at the provider is the row's id.
    """

    __tablename__ = "sms_messages"
    __table_args__ = (
        Index("ix_sms_messages_program_id_id", "program_id", "id"),
        Index("ix_sms_messages_member_id_id", "member_id", "id"),
        Index("ix_sms_messages_phone_id", "phone", "id"),
        Index("ix_sms_messages_flagged", "program_id", postgresql_where="flagged"),
        Index("ix_sms_messages_ask_at", "ask_at", postgresql_where="ask_at IS NOT NULL"),
        Index("ix_sms_messages_received", "program_id", "created_at", postgresql_where="direction = 'in'"),
    )

    program_id: Mapped[UUID | None] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[UUID | None] = mapped_column(ForeignKey("members.id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    direction: Mapped[Direction] = mapped_column(text_enum(Direction))
    phone: Mapped[str] = mapped_column(String(16))
    language: Mapped[str] = mapped_column(String(2))
    template: Mapped[str] = mapped_column(String(32), default="")
    params: Mapped[dict[str, object]] = mapped_column(JSONB, default=dict)
    text: Mapped[str] = mapped_column(Text, default="")
    marketing: Mapped[bool] = mapped_column(default=False)
    flagged: Mapped[bool] = mapped_column(default=False)  # staff should read it: it asks to stop in a sentence
    state: Mapped[State | None] = mapped_column(text_enum(State))  # None: received
    provider: Mapped[str] = mapped_column(String(20), default="")
    provider_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    parts: Mapped[int | None]
    cost_micro: Mapped[int | None] = mapped_column(BigInteger)  # millionths of the programme's currency unit
    reason: Mapped[str] = mapped_column(String(20), default="")  # sms.reasons.Reason
    code: Mapped[str] = mapped_column(String(40), default="")  # the provider's own
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]  # when it was last begun: on that day of the programme it is counted
    ask_at: Mapped[datetime | None]  # when to ask the provider what became of it, if no report has said so by then


class SmsEvent(Base):
    """What a provider reported of a message, as it came. Never changed."""

    __tablename__ = "sms_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    message_id: Mapped[UUID] = mapped_column(ForeignKey("sms_messages.id"), index=True)
    at: Mapped[datetime]
    report: Mapped[dict[str, object]] = mapped_column(JSONB)


class JoinCode(Identified, Base):
    """Five digits that people text to join. `via` is the channel that it hangs in."""

    __tablename__ = "join_codes"

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), index=True)
    code: Mapped[str] = mapped_column(String(5), unique=True)
    via: Mapped[str] = mapped_column(String(32), default="")
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class SmsRules(Base):
    """What a programme has set for its SMS. A programme without a row has the defaults.

    Prices are in millionths of the programme's currency unit for one part. `countries` (ISO 3166): where SMS go to;
    an empty list is the programme's own country. Offers are held from `quiet_from` until `quiet_until` of the
    programme's day.
    """

    __tablename__ = "sms_rules"
    __table_args__ = (
        CheckConstraint("part_price_micro >= 0", name="part_price"),
        CheckConstraint("daily_cap_minor IS NULL OR daily_cap_minor >= 0", name="daily_cap"),
        CheckConstraint("number_daily_cap > 0", name="number_daily_cap"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    part_price_micro: Mapped[int] = mapped_column(BigInteger, default=0)
    country_prices_micro: Mapped[dict[str, int]] = mapped_column(JSONB, default=dict)  # country → price of a part
    daily_cap_minor: Mapped[int | None] = mapped_column(BigInteger)
    number_daily_cap: Mapped[int] = mapped_column(default=20)  # messages to one number a day, replies too
    countries: Mapped[list[str]] = mapped_column(JSONB, default=list)
    quiet_from: Mapped[time] = mapped_column(default=time(21))
    quiet_until: Mapped[time] = mapped_column(default=time(8))
    stopped_at: Mapped[datetime | None]  # the provider suspects pumping: nothing goes out until a manager has looked


class SmsDay(Base):
    """What a programme's SMS of one day (of the programme's zone) took so far."""

    __tablename__ = "sms_days"

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    messages: Mapped[int] = mapped_column(default=0)
    parts: Mapped[int] = mapped_column(default=0)
    cost_micro: Mapped[int] = mapped_column(BigInteger, default=0)
    held: Mapped[int] = mapped_column(default=0)  # messages that the daily cap has kept back
