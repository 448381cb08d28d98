"""Outbox rows that could not be told: what staff see of them, and trying them again."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select

from app import clock
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.services import outbox
from app.services.context import Context


@dataclass(frozen=True, slots=True)
class DeadRow:
    """Something that could not be told, for staff to see. `since` is when its newest change was made."""

    id: int
    channel: Channel
    subject_id: UUID
    error: str
    attempts: int
    since: datetime


def newest(
    ctx: Context, program_id: UUID, limit: int = 50, channels: Collection[Channel] = tuple(Channel)
) -> list[DeadRow]:
    """What could not be told on these channels, the newest first."""
    with ctx.sessions() as session:
        rows = session.scalars(
            select(OutboxRow)
            .where(
                OutboxRow.program_id == program_id,
                outbox.stands(OutboxRow, OutboxState.DEAD),
                OutboxRow.channel.in_(channels),
            )
            .order_by(OutboxRow.id.desc())
            .limit(limit)
        )
        return [DeadRow(row.id, row.channel, row.subject_id, row.error, row.attempts, row.created_at) for row in rows]


def revive(ctx: Context, program_id: UUID, row_id: int) -> None:
    """Try a dead row again, now. One that is not there any more needs no try."""
    with ctx.sessions.begin() as session:
        row = session.scalars(
            delete(OutboxRow)
            .where(
                OutboxRow.id == row_id, OutboxRow.program_id == program_id, outbox.stands(OutboxRow, OutboxState.DEAD)
            )
            .returning(OutboxRow)
        ).one_or_none()
        if row is not None:
            now = clock.now()
            outbox.again(session, row, now, row.payload, since=now)
            session.info.setdefault("doorbells", set()).add(row.channel)
