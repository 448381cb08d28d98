"""Long work in slices: each is a transaction or a few, and a worker that dies costs one slice at most.

A task is told apart by its kind and its subject. What is left after a slice is written as the next row of the outbox,
so that it goes on wherever there is a worker; a slice that runs twice must do no harm.
"""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app import clock
from app.db.delivery import Channel
from app.services import outbox
from app.services.context import Context

# Works until the moment (of time.monotonic) is over; True when nothing is left to do.
Slice = Callable[[Context, UUID, float], bool]


def start(session: Session, program_id: UUID, kind: str, subject_id: UUID, at: datetime | None = None) -> None:
    """Have the task begin after the caller's transaction commits, or at the moment `at`."""
    outbox.announce(session, Channel.TASK, program_id, subject_id, at or clock.now(), payload={"kind": kind})
