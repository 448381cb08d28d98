"""The outbox: rows written with the change that they announce, claimed in batches, and kept until they were told."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Uuid,
    and_,
    any_,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.dml import ReturningUpdate

from app import clock
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.services.context import Context

# A worker that was killed holds its rows for this long at most; one that lives extends its leases (app.jobs.holding).
LEASE = timedelta(seconds=10)
# What could not be told for so long after its newest change is shown to staff.
GIVE_UP = timedelta(days=1)
FIRST_DELAY = 2.0
LONGEST_DELAY = 900.0
_CLAIM_LOCK = 5348  # any fixed number that no other advisory lock of ours has


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that this worker may tell until its lease runs out. `since` is when its newest change was made."""

    id: int
    channel: Channel
    program_id: UUID
    subject_id: UUID
    notify: bool
    payload: dict[str, object]
    attempts: int
    since: datetime


def announce(
    session: Session,
    channel: Channel,
    program_id: UUID,
    subject_id: UUID,
    at: datetime,
    *,
    notify: bool = False,
    payload: Mapping[str, object] | None = None,
) -> None:
    """Write that there is something to tell of this subject from the moment `at` on.

    A row that waits already is joined, and tried anew. The doorbell rings after the commit.
    """
    announce_all(session, channel, program_id, {subject_id: at}, notify=notify, payload=payload)


def announce_all(
    session: Session,
    channel: Channel,
    program_id: UUID,
    due: Mapping[UUID, datetime],
    *,
    notify: bool = False,
    payload: Mapping[str, object] | None = None,
) -> None:
    """Announce many subjects at once, each from its own moment on."""
    if not due:
        return
    now = clock.now()
    values = {"channel": channel, "program_id": program_id, "notify": notify, "payload": payload or {}}
    # In one order, so that no two callers wait for each other.
    rows = _waiting([values | {"subject_id": key, "due_at": at, "created_at": now} for key, at in sorted(due.items())])
    new = rows.excluded
    session.execute(_joined(rows, payload=new.payload, created_at=new.created_at, attempts=0, error=""))
    session.info.setdefault("doorbells", set()).add(channel)


def claim(ctx: Context, channel: Channel, limit: int) -> list[Claimed]:
    """Take due rows for this worker: each for LEASE, counted as an attempt, and committed before anything is told.

    A subject that another worker is telling about waits for it, so that an older state never overtakes a newer one.
    Of several rows for one subject (a lease ran out, and a change came) the newest is kept.
    """
    newest: dict[UUID, OutboxRow] = {}
    with _bookkeeping(ctx) as session:
        # One claim at a time: two at once could take two rows of one subject, as neither sees the other's lease.
        session.execute(select(func.pg_advisory_xact_lock(_CLAIM_LOCK, list(Channel).index(channel))))
        taken = session.scalars(_taking(channel, limit, clock.now())).all()
        for row in sorted(taken, key=lambda row: row.id):
            if older := newest.get(row.subject_id):
                row.notify |= older.notify
                session.delete(older)
            newest[row.subject_id] = row
        return [_claimed(row) for row in newest.values()]


def _taking(channel: Channel, limit: int, now: datetime) -> ReturningUpdate[OutboxRow]:
    other = aliased(OutboxRow)
    same = and_(other.channel == channel, other.subject_id == OutboxRow.subject_id)
    being_told = select(other.id).where(same, stands(other, OutboxState.LEASED), other.due_at > now).exists()
    is_due = and_(OutboxRow.channel == channel, ~stands(OutboxRow, OutboxState.DEAD), OutboxRow.due_at <= now)
    # A CTE, because PostgreSQL may run a sub-select with a limit more than once, and so take more than the limit.
    due = (
        select(OutboxRow.id)
        .where(is_due, ~being_told)
        .order_by(OutboxRow.due_at)  # as the index has them: to sort all that is due would take longer than to tell it
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return (
        update(OutboxRow)
        .where(OutboxRow.id == due.c.id)
        .values(state=OutboxState.LEASED, due_at=now + LEASE, attempts=OutboxRow.attempts + 1)
        .returning(OutboxRow)
        .execution_options(synchronize_session=False)
    )


def extend(ctx: Context, rows: Sequence[Claimed]) -> None:
    """Hold these for another LEASE from now."""
    with _bookkeeping(ctx) as session:
        session.execute(update(OutboxRow).where(_still_ours(rows)).values(due_at=clock.now() + LEASE))


def told(ctx: Context, rows: Sequence[Claimed]) -> None:
    """These have been told: remove them, and what had failed for the same subjects before."""
    if not rows:
        return
    with _bookkeeping(ctx) as session:
        for gone in (_still_ours(rows), _dead_of(rows)):
            session.execute(delete(OutboxRow).where(gone))


def failed(ctx: Context, row: Claimed, error: str, *, permanent: bool, retry_after: float | None = None) -> None:
    """This could not be told: try it later, or, for good or when it is GIVE_UP old, show it to staff.

    Later is exponential with jitter, unless the other side said when. When a newer row waits for the same subject,
    the two become one. Whose lease ran out has no say any more.
    """
    now = clock.now()
    with _bookkeeping(ctx) as session:
        if permanent or now - row.since >= GIVE_UP:
            dead = update(OutboxRow).where(_still_ours([row])).values(state=OutboxState.DEAD, error=error[:300])
            if session.execute(dead.returning(OutboxRow.id)).scalar() is not None:
                session.execute(delete(OutboxRow).where(_dead_of([row]), OutboxRow.id != row.id))
        elif session.execute(delete(OutboxRow).where(_still_ours([row])).returning(OutboxRow.id)).scalar() is not None:
            seconds = min(retry_after or delay(row.attempts), LONGEST_DELAY)
            due_at = now + timedelta(seconds=seconds)
            again(session, row, due_at, row.payload, since=row.since, attempts=row.attempts, error=error[:300])


def go_on(ctx: Context, row: Claimed, payload: Mapping[str, object], *, seconds: float) -> None:
    """There is more to do for this row's subject in some seconds, unless a change that came meanwhile asks for all."""
    due_at = clock.now() + timedelta(seconds=seconds)
    with _bookkeeping(ctx) as session:
        again(session, row, due_at, payload, since=due_at)


def delay(attempts: int) -> float:
    """Seconds until the next attempt: 2, 4, 8 … up to a quarter of an hour, each a quarter more or less."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(attempts - 1, 16)) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter


def due_channels(ctx: Context) -> list[Channel]:
    """Channels with something due: what nobody rang for, retries, and leases that ran out."""
    alive = and_(~stands(OutboxRow, OutboxState.DEAD), OutboxRow.due_at <= clock.now())
    asked = [select(OutboxRow.id).where(OutboxRow.channel == channel, alive).exists() for channel in Channel]
    with ctx.sessions() as session:
        found = session.execute(select(*asked)).one()
    return [channel for channel, is_due in zip(Channel, found, strict=True) if is_due]


@contextmanager
def _bookkeeping(ctx: Context) -> Iterator[Session]:
    """A transaction that need not wait for the disk: should a power cut undo it, something is told twice."""
    with ctx.sessions.begin() as session:
        session.execute(text("SET LOCAL synchronous_commit = off"))
        yield session


def again(
    session: Session,
    row: Claimed | OutboxRow,
    due_at: datetime,
    payload: Mapping[str, object],
    *,
    since: datetime,
    attempts: int = 0,
    error: str = "",
) -> None:
    """Have this row's subject wait. A row that waits already is newer, and keeps its payload."""
    values = {"channel": row.channel, "program_id": row.program_id, "subject_id": row.subject_id, "notify": row.notify}
    more = {"payload": payload, "due_at": due_at, "created_at": since, "attempts": attempts, "error": error}
    session.execute(_joined(_waiting([values | more])))


def _waiting(rows: Sequence[Mapping[str, object]]) -> Insert:
    return insert(OutboxRow).values([{"state": OutboxState.WAITING, "attempts": 0, "error": "", **row} for row in rows])


def _joined(rows: Insert, **changes: object) -> Insert:
    """Insert these; one for whose subject a row waits already joins it, and changes of it what is said besides."""
    joined = {
        "due_at": func.least(OutboxRow.due_at, rows.excluded.due_at),
        "notify": or_(OutboxRow.notify, rows.excluded.notify),
    }
    return rows.on_conflict_do_update(
        index_elements=["channel", "subject_id"], index_where=text("state = 'waiting'"), set_=joined | changes
    )


def _claimed(row: OutboxRow) -> Claimed:
    return Claimed(
        row.id, row.channel, row.program_id, row.subject_id, row.notify, row.payload, row.attempts, row.created_at
    )


def stands(row: type[OutboxRow], state: OutboxState) -> ColumnElement[bool]:
    """As a literal, because PostgreSQL finds its partial indexes by it, also for the plans that it keeps."""
    return row.state == literal(state, OutboxRow.state.type, literal_execute=True)


def _still_ours(rows: Sequence[Claimed]) -> ColumnElement[bool]:
    """A lease that ran out may have been given to another worker: attempts tell the two apart.

    Arrays, because a statement with a thousand parameters takes longer to write and read than to run.
    """
    ids = literal([row.id for row in rows], ARRAY(BigInteger))
    attempts = literal([row.attempts for row in rows], ARRAY(Integer))
    held = func.unnest(ids, attempts).table_valued("id", "attempts").render_derived()
    return and_(
        OutboxRow.id == any_(ids),
        tuple_(OutboxRow.id, OutboxRow.attempts).in_(select(held.c.id, held.c.attempts)),
        stands(OutboxRow, OutboxState.LEASED),
    )


def _dead_of(rows: Sequence[Claimed]) -> ColumnElement[bool]:
    return and_(
        OutboxRow.channel == rows[0].channel,
        stands(OutboxRow, OutboxState.DEAD),
        OutboxRow.subject_id == any_(literal([row.subject_id for row in rows], ARRAY(Uuid))),
    )
