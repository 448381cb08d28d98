"""An old register: files that were imported, and the old cards' numbers that stay usable."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, deferred, mapped_column

from app.db.base import Base, Identified, text_enum


class ImportState(StrEnum):
    CHECKING = "checking"  # the dry run
    CHECKED = "checked"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"  # the file cannot be read at all


class RegisterImport(Identified, Base):
    """A file of members from an old register. Rows are counted after the heading, from 1.

    `content`: the file as UTF-8. `options`: how columns are read, how far in the file we are, and whether people are
    invited. `errors`: the first ones, [{row, field, kind, message, params}], where `row` is what a spreadsheet shows.
    `content` and the import's RegisterRows are dropped when it is over.
    """

    __tablename__ = "register_imports"
    __table_args__ = (Index("ix_register_imports_program_id_created_at", "program_id", "created_at"),)

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    file_name: Mapped[str] = mapped_column(String(120))
    content: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    options: Mapped[dict[str, object]] = mapped_column(JSONB, default=dict)
    state: Mapped[ImportState] = mapped_column(text_enum(ImportState), default=ImportState.CHECKING)
    rows: Mapped[int] = mapped_column(default=0)
    rows_done: Mapped[int] = mapped_column(default=0)
    joined: Mapped[int] = mapped_column(default=0)
    known: Mapped[int] = mapped_column(default=0)
    faulty: Mapped[int] = mapped_column(default=0)
    errors: Mapped[list[dict[str, object]]] = mapped_column(JSONB, default=list)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class RegisterRow(Base):
    """Somebody in a file that was checked, as they are to join. `member_id`: whom this row made a member.

    `details`: name, email, birth_date, city, language, stamps, consent, joined_on and further ({stamp card: stamps}),
    as far as the file has them.
    """

    __tablename__ = "register_rows"
    __table_args__ = (
        UniqueConstraint("import_id", "phone"),
        Index("ix_register_rows_import_id_old_card", "import_id", "old_card", postgresql_where="old_card <> ''"),
    )

    import_id: Mapped[UUID] = mapped_column(ForeignKey("register_imports.id", ondelete="CASCADE"), primary_key=True)
    row: Mapped[int] = mapped_column(primary_key=True)
    phone: Mapped[str] = mapped_column(String(16))
    old_card: Mapped[str] = mapped_column(String(40), default="")
    details: Mapped[dict[str, object]] = mapped_column(JSONB, default=dict)
    member_id: Mapped[UUID | None] = mapped_column(ForeignKey("members.id"))


class OldCard(Base):
    """The number of a paper or magnetic card from before Leima. Kept as digits and upper-case letters only."""

    __tablename__ = "old_cards"

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    number: Mapped[str] = mapped_column(String(40), primary_key=True)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("members.id"), index=True)
    created_at: Mapped[datetime]
