"""What is asked of newcomers, and what they answered."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, SmallInteger, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum


class Asked(StrEnum):
    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class JoinRules(Base):
    """Which details a newcomer is asked for beside the phone number. Without a row: all, and none is a must.

    `till_skips`: what is a must on the web is none at the till and through the API. `channels`: the owner's own tags
    for places where people join.
    """

    __tablename__ = "join_rules"

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    name: Mapped[Asked] = mapped_column(text_enum(Asked, "asked_name"), default=Asked.OPTIONAL)
    email: Mapped[Asked] = mapped_column(text_enum(Asked, "asked_email"), default=Asked.OPTIONAL)
    birth_date: Mapped[Asked] = mapped_column(text_enum(Asked, "asked_birth_date"), default=Asked.OPTIONAL)
    city: Mapped[Asked] = mapped_column(text_enum(Asked, "asked_city"), default=Asked.OPTIONAL)
    till_skips: Mapped[bool] = mapped_column(default=True)
    channels: Mapped[list[str]] = mapped_column(JSONB, default=list)


class QuestionKind(StrEnum):
    TEXT = "text"
    CHOICE = "choice"
    DATE = "date"


class JoinQuestion(Identified, Base):
    """A question of the owner's own. `texts`: {language: question}; `choices`: [{language: choice}].

    A choice that is offered no more has a key `gone` besides: it keeps its number, for those who chose it.
    """

    __tablename__ = "join_questions"
    __table_args__ = (CheckConstraint("position BETWEEN 0 AND 99", name="position"),)

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), index=True)
    position: Mapped[int] = mapped_column(SmallInteger)
    kind: Mapped[QuestionKind] = mapped_column(text_enum(QuestionKind))
    texts: Mapped[dict[str, str]] = mapped_column(JSONB)
    choices: Mapped[list[dict[str, str]]] = mapped_column(JSONB, default=list)
    required: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)


class JoinAnswer(Base):
    """A member's answer: a text, a day (ISO 8601), or the number of a choice, from 0."""

    __tablename__ = "join_answers"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), primary_key=True)
    question_id: Mapped[UUID] = mapped_column(ForeignKey("join_questions.id"), primary_key=True, index=True)
    answer: Mapped[str] = mapped_column(String(300))
