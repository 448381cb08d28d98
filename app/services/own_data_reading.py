"""How a part of a member's download is read: a query, or a function, and the table whose rows these are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Select, bindparam, select
from sqlalchemy.orm import Session

from app.db.base import Base
from app.db.people import MemberCard
from app.services.context import Context
from app.services.views import MemberView

AT_ONCE = 500  # rows
Read = Callable[[Context, Session, MemberView], Iterator[Sequence[Any]]]

ME: BindParameter[UUID] = bindparam("member")
CARD = select(MemberCard.id).where(MemberCard.member_id == ME)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the download. `table`: whose rows these are."""

    name: str
    table: str
    columns: tuple[str, ...]
    read: Read

    def rows(self, ctx: Context, session: Session, member: MemberView) -> Iterator[dict[str, Any]]:
        for values in self.read(ctx, session, member):
            yield dict(zip(self.columns, values, strict=True))


def section(name: str, table: type[Base], query: Select[*tuple[Any, ...]]) -> Section:
    """A section whose rows are those of a query; its bindparam is ME."""

    def read(_ctx: Context, session: Session, member: MemberView) -> Iterator[Sequence[Any]]:
        yield from session.execute(query, {"member": member.id}, execution_options={"yield_per": AT_ONCE})

    return Section(name, table.__tablename__, tuple(str(column.key) for column in query.selected_columns), read)
