"""What went wrong with 7-digit codes, for managers; and letting somebody who was paused try codes again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from redis import RedisError
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.db.ledger import AuditEntry
from app.db.people import Staff
from app.db.programs import ApiKey, Location
from app.i18n import N_
from app.services import code_attempts, limits
from app.services.audit import record
from app.services.code_alarms import CodeAlarm
from app.services.context import Actor, Context
from app.services.errors import Refused

_KEPT = timedelta(days=30)
_LISTED = 20


@dataclass(frozen=True, slots=True)
class CodeTrouble:
    """`who`: the cashier, key or place that has to wait; '' where it is the whole programme."""

    alarm: CodeAlarm
    at: datetime
    subject_id: UUID
    who: str


def newest(ctx: Context, actor: Actor) -> list[CodeTrouble]:
    """The code alarms of the last month, the newest first."""
    query = (
        select(AuditEntry)
        .where(
            AuditEntry.program_id == actor.program_id,
            AuditEntry.at > clock.now() - _KEPT,
            AuditEntry.action.in_([alarm.value for alarm in CodeAlarm]),
        )
        .order_by(AuditEntry.at.desc())
        .limit(_LISTED)
    )
    with ctx.sessions() as session:
        found = []
        for row in session.scalars(query):
            subject_id = row.subject_id or actor.program_id
            paused = _paused(session, subject_id)
            found.append(CodeTrouble(CodeAlarm(row.action), row.at, subject_id, paused.name if paused else ""))
        return found


def end_pause(ctx: Context, actor: Actor, subject_id: UUID) -> None:
    """Let this cashier, key or place of the programme try codes again.

    Raises Refused: alert-not-found, limiter-down.
    """
    with ctx.sessions.begin() as session:
        paused = _paused(session, subject_id)
        if paused is None or paused.program_id != actor.program_id:
            raise Refused("alert-not-found", N_("There is no such alert."), status=404)
        try:
            code_attempts.lift(ctx, subject_id)
        except RedisError:
            raise limits.down() from None
        record(session, actor, "codes.pause-ended", subject_id)


def _paused(session: Session, subject_id: UUID) -> Staff | ApiKey | Location | None:
    return session.get(Staff, subject_id) or session.get(ApiKey, subject_id) or session.get(Location, subject_id)
