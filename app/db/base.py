"""The base of all tables: UUIDv7 keys, UTC moments, one naming rule for constraints."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import DateTime, Enum, MetaData, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: DateTime(timezone=True), UUID: Uuid()}  # noqa: RUF012 - SQLAlchemy's own form


class Identified:
    """A row with a UUIDv7: sortable by the time it was made, and not to be guessed from its neighbours."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)


def text_enum(kind: type[StrEnum], name: str = "") -> Enum:
    """An enum kept as text with a CHECK: adding a value later is one cheap constraint, not a type change.

    A table with several columns of one enum gives each its own `name`.
    """
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        name=name or kind.__name__.lower(),
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )
