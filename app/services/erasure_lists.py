"""The list of who was erased, kept apart from backups: a backup that is restored is told whom to forget again."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO
from uuid import UUID

from sqlalchemy import select

from app.db.keeping import ErasedBy, Erasure
from app.db.people import Member, MemberStatus
from app.services import erasing
from app.services.archive import Archive, ArchiveError
from app.services.context import Actor, Context
from app.services.erasing import Why

COLUMNS = ("program_id", "member_id", "by", "at")
_LONGEST_LIST = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Applied:
    """How many of a list were erased now, were so already, and are not here (who joined after the backup)."""

    erased: int
    already: int
    unknown: int


def listed(ctx: Context) -> Iterator[bytes]:
    """All erasures of the installation as CSV. It tells ids and moments, and nobody's name or number."""
    yield (",".join(COLUMNS) + "\n").encode()
    query = select(Erasure.program_id, Erasure.member_id, Erasure.by, Erasure.at).order_by(Erasure.at, Erasure.id)
    with ctx.sessions() as session:
        for program_id, member_id, by, at in session.execute(query.execution_options(yield_per=1000)):
            yield f"{program_id},{member_id},{by.value},{at.isoformat()}\n".encode()


def apply(ctx: Context, lines: Iterable[str]) -> Applied:
    """Erase again whom the list names, each in a transaction of their own; to do it twice does no harm.

    `lines`: a list of `listed`, or the file tables/erasures.csv of an export or a backup. Raises ArchiveError before
    anybody is erased when a row can't be read.
    """
    try:
        rows = [
            (UUID(row["program_id"]), UUID(row["member_id"]), ErasedBy(row["by"]))
            for row in csv.DictReader(lines, strict=True)
        ]
    except (KeyError, ValueError, TypeError, AttributeError, csv.Error):
        raise ArchiveError(
            "This is no list of erasures: it needs the columns program_id, member_id and by. Make one with: "
            "leima erasures export --to FILE"
        ) from None
    erased = already = unknown = 0
    for program_id, member_id, by in rows:
        status = _status(ctx, program_id, member_id)
        if status is None:
            unknown += 1
        elif status is MemberStatus.ERASED:
            already += 1
        else:
            erasing.erase(ctx, Actor(program_id), member_id, by, Why.OTHER if by is ErasedBy.STAFF else "")
            erased += 1
    return Applied(erased, already, unknown)


def lines_of(file: IO[bytes]) -> list[str]:
    """The lines of a list in a file. Raises ArchiveError when it is too large to be one, or no text."""
    content = file.read(_LONGEST_LIST + 1)
    if len(content) > _LONGEST_LIST:
        raise ArchiveError("This file is too large to be a list of erasures")
    try:
        return io.StringIO(content.decode("utf-8-sig"), newline="").readlines()
    except UnicodeDecodeError:
        raise ArchiveError("This is no list of erasures: it is no text") from None


def lines_within(archive: Archive) -> list[str]:
    """The list in an export or a backup. Raises ArchiveError when it has none."""
    name = "tables/erasures.csv"
    if name not in archive.files:
        raise ArchiveError("This file has no list of erasures: it was written by an older Leima")
    with archive.open(name) as file:
        return lines_of(file)


def _status(ctx: Context, program_id: UUID, member_id: UUID) -> MemberStatus | None:
    mine = (Member.id == member_id, Member.program_id == program_id)
    with ctx.sessions() as session:
        return session.scalars(select(Member.status).where(*mine)).one_or_none()
