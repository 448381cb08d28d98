"""The task of an import, a slice at a time: the dry run, then joining, then inviting.

How far it got moves in the same transaction as what was done, so that a worker that is killed costs one batch, and a
slice that runs twice does no harm.
"""

import time
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from app import clock
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.register import ImportState, OldCard, RegisterImport, RegisterRow
from app.i18n import N_
from app.services import register_file, register_joining, sms_rules, sms_sending, sms_texts, tasks
from app.services.context import Actor, Context
from app.services.register_import import KIND, MOST_ERRORS, error_row, finish
from app.services.register_people import Fault, Person, RowReader

BATCH = 500
# Invitations take half of the sender's pace, so that whoever stands at a till never waits behind them. Most have two
# parts.
WAVE_SECONDS = 10
_PARTS_OF_AN_INVITATION = 2


def work(ctx: Context, import_id: UUID, until: float) -> bool:
    """One slice, until about the moment `until` of time.monotonic(). True when nothing is left to do for now."""
    with ctx.sessions() as session:
        job = session.get_one(RegisterImport, import_id)
        state, joined_all = job.state, job.rows_done >= job.rows
    if state is ImportState.CHECKING:
        return _check(ctx, import_id, until)
    if state is not ImportState.RUNNING:
        return True
    if not joined_all:
        return _join(ctx, import_id, until) and invite(ctx, import_id)
    return invite(ctx, import_id)


def _check(ctx: Context, import_id: UUID, until: float) -> bool:
    """The dry run: read rows, and keep those that can join."""
    with ctx.sessions() as session:
        job = session.get_one(RegisterImport, import_id)
        options: dict[str, Any] = job.options
        at, turn = options["at"], options["turn"]
        rest = func.substring(RegisterImport.content, at + 1)
        content = session.scalars(select(rest).where(RegisterImport.id == import_id)).one()
    if content is None:
        return True
    rows = register_file.records(content, 0, options["delimiter"])
    done = at
    while True:
        batch = list(islice(rows, BATCH))
        with ctx.sessions.begin() as session:
            job = session.get_one(RegisterImport, import_id, with_for_update=True)
            if job.state is not ImportState.CHECKING or job.options["turn"] != turn:
                return True  # somebody stopped it, or chose other columns, for which there is another task
            if job.options["at"] != done:
                return False  # another worker did this batch
            _stage(session, job, [record for record, _ in batch])
            done = at + batch[-1][1] if batch else done
            job.options = job.options | {"at": done}
            if not batch or job.rows_done >= job.rows:
                job.rows_done, job.state = job.rows, ImportState.CHECKED
                return True
        if time.monotonic() >= until:
            return False


def _stage(session: Session, job: RegisterImport, batch: list[list[str]]) -> None:
    program = session.get_one(Program, job.program_id)
    options: dict[str, Any] = job.options
    today = clock.now().astimezone(ZoneInfo(program.time_zone)).date()
    reader = RowReader(options["columns"], program.country, today)
    people: list[tuple[int, Person]] = []
    faults: list[tuple[int, Fault]] = []
    for row, record in enumerate(batch, job.rows_done + 1):
        if any(cell.strip() for cell in record):
            person, wrong = reader.read(record)
            faults += [(row, fault) for fault in wrong]
            if person is not None:
                people.append((row, person))
    people, twice = _once_each(session, job, people)
    faults += twice
    held, elsewhere = _cards_elsewhere(session, job, people)
    faults = sorted(faults + elsewhere, key=lambda one: one[0])
    values = [
        {
            "import_id": job.id,
            "row": row,
            "phone": person.phone,
            "old_card": "" if row in held else person.old_card,
            "details": register_joining.details(person),
        }
        for row, person in people
    ]
    if values:
        session.execute(insert(RegisterRow), values)
    _count(session, job, people, faults)
    job.rows_done += len(batch)


def _once_each(
    session: Session, job: RegisterImport, people: list[tuple[int, Person]]
) -> tuple[list[tuple[int, Person]], list[tuple[int, Fault]]]:
    """Only the first row of those with the same phone number, and what is wrong with the others."""
    staged = select(RegisterRow.phone, RegisterRow.row).where(
        RegisterRow.import_id == job.id, RegisterRow.phone.in_([person.phone for _, person in people])
    )
    first: dict[str, int] = dict(session.execute(staged).all())
    kept, faults = [], []
    for row, person in people:
        before = first.setdefault(person.phone, row)
        if before == row:
            kept.append((row, person))
        else:
            message = N_("This phone number stands in row %(row)s already.")
            faults.append((row, Fault("phone", "phone-twice", message, {"row": _shown(job, before)})))
    return kept, faults


def _cards_elsewhere(
    session: Session, job: RegisterImport, people: list[tuple[int, Person]]
) -> tuple[set[int], list[tuple[int, Fault]]]:
    """Rows whose old card somebody else holds: another row of the file, or a member with another phone number."""
    numbers = [person.old_card for _, person in people if person.old_card]
    staged = select(RegisterRow.old_card, RegisterRow.row).where(
        RegisterRow.import_id == job.id, RegisterRow.old_card != "", RegisterRow.old_card.in_(numbers)
    )
    holders = (
        select(OldCard.number, Member.phone)
        .join(Member, Member.id == OldCard.member_id)
        .where(OldCard.program_id == job.program_id, OldCard.number.in_(numbers))
    )
    first: dict[str, int] = dict(session.execute(staged).all())
    members: dict[str, str] = dict(session.execute(holders).all())
    rows, faults = set(), []
    for row, person in people:
        if not person.old_card:
            continue
        before = first.setdefault(person.old_card, row)
        fault = None
        if before != row:
            message = N_("This card stands in row %(row)s already.")
            fault = Fault("old_card", "card-twice", message, {"row": _shown(job, before)})
        elif members.get(person.old_card, person.phone) != person.phone:
            fault = Fault("old_card", "old-card-taken", N_("Another member holds the old card with this number."), {})
        if fault is not None:
            rows.add(row)
            faults.append((row, fault))
    return rows, faults


def _count(
    session: Session, job: RegisterImport, people: list[tuple[int, Person]], faults: list[tuple[int, Fault]]
) -> None:
    phones = [person.phone for _, person in people]
    known = session.scalar(select(func.count()).where(Member.program_id == job.program_id, Member.phone.in_(phones)))
    job.known += known or 0
    job.joined += len(people) - (known or 0)
    left_out = {row for row, fault in faults if fault.decisive}
    job.faulty += len(left_out)
    options: dict[str, Any] = job.options
    job.options = options | {
        "mistakes": options["mistakes"] + len(faults),
        "consents": options["consents"] + sum(person.consent for _, person in people),
    }
    room = MOST_ERRORS - len(job.errors)
    if faults and room > 0:
        job.errors = job.errors + [
            error_row(_shown(job, row), fault, left_out=row in left_out) for row, fault in faults[:room]
        ]


def _shown(job: RegisterImport, row: int) -> int:
    """The number that a spreadsheet gives to a row."""
    first: Any = job.options["first_row"]
    return int(first) + row - 1


def _join(ctx: Context, import_id: UUID, until: float) -> bool:
    """Have people join, some hundred in a transaction. True when all have."""
    while True:
        with ctx.sessions.begin() as session:
            job = session.get_one(RegisterImport, import_id, with_for_update=True)
            if job.state is not ImportState.RUNNING or job.rows_done >= job.rows:
                return True
            batch = session.scalars(
                select(RegisterRow)
                .where(RegisterRow.import_id == job.id, RegisterRow.row > job.rows_done)
                .order_by(RegisterRow.row)
                .limit(BATCH)
            ).all()
            new, known = register_joining.join_all(ctx, session, job, batch)
            job.joined, job.known = job.joined + new, job.known + known
            job.rows_done = batch[-1].row if len(batch) == BATCH else job.rows
            if job.rows_done >= job.rows and not job.options["invite"]:
                finish(session, _actor(job), job, ImportState.DONE)
        if time.monotonic() >= until:
            return False


def invite(ctx: Context, import_id: UUID) -> bool:
    """Write the next wave of invitations, and plan the one after it. Between the quiet hours only."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        job = session.get_one(RegisterImport, import_id, with_for_update=True)
        if job.state is not ImportState.RUNNING or job.rows_done < job.rows:
            return job.state is not ImportState.RUNNING
        program = session.get_one(Program, job.program_id)
        opens = sms_rules.of(session, program).quiet.held_until(now)
        if opens is not None:
            tasks.start(session, program.id, KIND, job.id, opens)
            return True
        options: dict[str, Any] = job.options
        wave = wave_size(ctx)
        rows = session.execute(
            select(RegisterRow.row, Member)
            .join(Member, Member.id == RegisterRow.member_id)
            .where(RegisterRow.import_id == job.id, RegisterRow.row > options["invited_row"])
            .order_by(RegisterRow.row)
            .limit(wave)
        ).all()
        for _, member in rows:
            if member.status is MemberStatus.ACTIVE:
                _invite(session, program, member)
        if len(rows) < wave:
            job.options = options | {"invited": options["invited"] + len(rows)}
            finish(session, _actor(job), job, ImportState.DONE)
        else:
            job.options = options | {"invited": options["invited"] + len(rows), "invited_row": rows[-1][0]}
            tasks.start(session, program.id, KIND, job.id, now + timedelta(seconds=WAVE_SECONDS))
        return True


def wave_size(ctx: Context) -> int:
    """How many invitations go out in WAVE_SECONDS."""
    parts = ctx.settings.sms_parts_per_second * WAVE_SECONDS
    return max(1, int(parts / 2 / _PARTS_OF_AN_INVITATION))


def _invite(session: Session, program: Program, member: Member) -> None:
    sms_sending.queue(
        session,
        program,
        member.phone,
        language=member.language,
        template=sms_texts.INVITED,
        member_id=member.id,
    )


def _actor(job: RegisterImport) -> Actor:
    return Actor(job.program_id, staff_id=job.staff_id)
