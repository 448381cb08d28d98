"""Credit by rule: when each class is given credit, what a giving would cost, and how the givings went."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.credit import CreditRun, CustomerClass, PolicyKind, RunState
from app.db.programs import Program
from app.i18n import N_
from app.loyalty.schedule import next_due
from app.services import class_receivers, tasks
from app.services.audit import record
from app.services.classing import QUERY_CANCELED
from app.services.context import Actor, Context
from app.services.customer_classes import own_class
from app.services.errors import Refused

KIND = "credit-run"
# A giving whose turn came later than this after it was due is not made: it would surprise everybody.
LATE = timedelta(hours=24)
# For so long may somebody look at the numbers before starting a giving by hand.
CONFIRMED_WITHIN = timedelta(hours=1)
MOST_SHOWN = 20
OPEN = (RunState.PLANNED, RunState.RUNNING)


@dataclass(frozen=True, slots=True)
class RunPreview:
    """What a giving would do now. `receivers` of the class's active `members` would get something, together
    `cost_minor`; `texted` of them by SMS too, as they want offers. `at` confirms it, see start_now."""

    at: datetime
    members: int
    receivers: int
    texted: int
    cost_minor: int


@dataclass(frozen=True, slots=True)
class RunView:
    id: UUID
    class_id: UUID | None
    class_name: str
    due_at: datetime
    state: RunState
    members: int
    granted_minor: int
    by_hand: bool
    finished_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


def plan_due(ctx: Context) -> None:
    """Start the givings that are due, each once, whoever else plans. What is too late is noted as missed."""
    with ctx.sessions() as session:
        found = select(CustomerClass.id).where(CustomerClass.next_run_at <= clock.now())
        due = session.scalars(found.order_by(CustomerClass.next_run_at)).all()
    for class_id in due:
        with ctx.sessions.begin() as session:
            _plan(session, class_id)


def _plan(session: Session, class_id: UUID) -> None:
    now = clock.now()
    row = session.get(CustomerClass, class_id, with_for_update=True)
    if row is None or row.next_run_at is None or row.next_run_at > now:
        return
    due = row.next_run_at
    late = now - due > LATE
    run_id = _note(session, row, due, RunState.MISSED if late else RunState.PLANNED)
    # After a long rest the newest moment that is not too late yet is still kept.
    zone = session.get_one(Program, row.program_id).time_zone
    row.next_run_at = next_due(due, row.every_days, row.at_hour, zone, max(due, now - LATE))
    if run_id is not None and not late:
        tasks.start(session, row.program_id, KIND, run_id)


def _note(
    session: Session, row: CustomerClass, due: datetime, state: RunState, staff_id: UUID | None = None
) -> UUID | None:
    """The id of the new giving; None when that of this moment is there already."""
    made: UUID | None = session.execute(
        insert(CreditRun)
        .values(
            id=uuid7(),
            program_id=row.program_id,
            class_id=row.id,
            class_name=row.name,
            due_at=due,
            state=state,
            members=0,
            granted_minor=0,
            staff_id=staff_id,
            finished_at=clock.now() if state is RunState.MISSED else None,
        )
        .on_conflict_do_nothing(index_elements=["class_id", "due_at"])
        .returning(CreditRun.id)
    ).scalar()
    return made


def preview(ctx: Context, actor: Actor, class_id: UUID) -> RunPreview:
    """What giving credit to this class would do now.

    Raises Refused: class-not-found, no-policy, preview-too-long.
    """
    now = clock.now()
    with ctx.sessions() as session:
        row = _with_policy(session, actor, class_id)
        try:
            session.execute(text("SET LOCAL statement_timeout = '20s'"))
            found = session.execute(text(class_receivers.TOTAL), class_receivers.values(row, now)).one()
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", "") != QUERY_CANCELED:
                raise
            message = N_("There are too many purchases to count while you wait. Try it when the shop is quiet.")
            raise Refused("preview-too-long", message, status=503) from None
        return RunPreview(now, *found)


def start_now(ctx: Context, actor: Actor, class_id: UUID, seen_at: datetime) -> UUID:
    """Give the class its credit now. `seen_at` is the preview's moment, so that a double click gives once.

    Raises Refused: class-not-found, no-policy, preview-too-old, run-under-way.
    """
    now = clock.now()
    with ctx.sessions.begin() as session:
        row = _with_policy(session, actor, class_id, lock=True)
        earlier = session.scalars(
            select(CreditRun).where(CreditRun.class_id == row.id, CreditRun.due_at == seen_at)
        ).one_or_none()
        if earlier is not None:
            return earlier.id
        if not timedelta() <= now - seen_at <= CONFIRMED_WITHIN:
            raise Refused("preview-too-old", N_("These numbers are old. Please look at them again."), status=409)
        if session.scalars(
            select(CreditRun.id).where(CreditRun.class_id == row.id, CreditRun.state.in_(OPEN)).limit(1)
        ).first():
            message = N_("This class is being given credit already. Wait until that is done, or stop it.")
            raise Refused("run-under-way", message, status=409)
        run_id = _note(session, row, seen_at, RunState.PLANNED, actor.staff_id)
        if run_id is None:
            raise LookupError("the class is locked, so nobody else can have noted this giving")
        tasks.start(session, row.program_id, KIND, run_id)
        record(session, actor, "credit-run.started", run_id)
        return run_id


def stop(ctx: Context, actor: Actor, run_id: UUID) -> None:
    """Stop a giving: nobody gets anything more from it; who has got something keeps it. One that is over stays so."""
    with ctx.sessions.begin() as session:
        stopped = session.execute(
            update(CreditRun)
            .where(CreditRun.id == run_id, CreditRun.program_id == actor.program_id, CreditRun.state.in_(OPEN))
            .values(state=RunState.STOPPED, finished_at=clock.now())
            .returning(CreditRun.id)
        ).scalar()
        if stopped is not None:
            record(session, actor, "credit-run.stopped", run_id)


def recent(ctx: Context, program_id: UUID) -> list[RunView]:
    """The newest givings first, MOST_SHOWN at most."""
    with ctx.sessions() as session:
        rows = session.scalars(
            select(CreditRun)
            .where(CreditRun.program_id == program_id)
            .order_by(CreditRun.due_at.desc(), CreditRun.id.desc())
            .limit(MOST_SHOWN)
        )
        return [
            RunView(
                row.id,
                row.class_id,
                row.class_name,
                row.due_at,
                row.state,
                row.members,
                row.granted_minor,
                row.staff_id is not None,
                row.finished_at,
            )
            for row in rows
        ]


def _with_policy(session: Session, actor: Actor, class_id: UUID, *, lock: bool = False) -> CustomerClass:
    row = own_class(session, actor, class_id)
    if lock:
        session.refresh(row, with_for_update=True)
    if row.policy is PolicyKind.NONE:
        raise Refused("no-policy", N_("This class gets no credit. Say first how much it gets."), status=409)
    return row
