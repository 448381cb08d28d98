"""What managers must hear about 7-digit codes: kept in the audit log, and logged for whoever runs the installation."""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, select

from app import clock
from app.db.ledger import AuditEntry
from app.logs import log
from app.services.audit import record
from app.services.context import Actor, Context

# One line for each kind of trouble in this time, however often it is noticed.
ONCE_IN = timedelta(hours=1)
_LOCK = 5351  # any fixed number that no other advisory lock of ours has


class CodeAlarm(StrEnum):
    """What is wrong. The value is the audit entry's action."""

    GUESSING = "codes.guessing"  # many wrong codes in the whole programme
    PAUSED = "codes.paused"  # one cashier, key or location must wait after wrong codes
    SPACE_FULL = "codes.space-full"  # no free code was found: credits cannot be given


def tell(
    ctx: Context, program_id: UUID, alarm: CodeAlarm, *, actor: Actor | None = None, subject_id: UUID | None = None
) -> None:
    """Note it, in a transaction of its own: what noticed it is about to be refused. Once per subject and ONCE_IN."""
    now = clock.now()
    subject = subject_id or program_id
    with ctx.sessions.begin() as session:
        session.execute(select(func.pg_advisory_xact_lock(_LOCK, int.from_bytes(subject.bytes[-4:], signed=True))))
        known = select(AuditEntry.id).where(
            AuditEntry.program_id == program_id,
            AuditEntry.at > now - ONCE_IN,
            AuditEntry.action == alarm,
            AuditEntry.subject_id == subject,
        )
        if session.scalars(known.limit(1)).first() is not None:
            return
        record(session, actor or Actor(program_id), alarm.value, subject)
    log().error(alarm.value, program_id=str(program_id), subject_id=str(subject))
