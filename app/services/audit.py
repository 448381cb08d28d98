"""The audit log: who did what to what."""

from uuid import UUID

from sqlalchemy.orm import Session

from app import clock
from app.db.ledger import AuditEntry
from app.services.context import Actor


def record(session: Session, actor: Actor, action: str, subject_id: UUID | None = None, **details: object) -> None:
    """Write one line, in the transaction of the act itself. `details` hold ids and setting names only."""
    session.add(
        AuditEntry(
            program_id=actor.program_id,
            at=clock.now(),
            staff_id=actor.staff_id,
            api_key_id=actor.api_key_id,
            action=action,
            subject_id=subject_id,
            details=details,
        )
    )
