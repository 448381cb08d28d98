"""Bringing an old register: a file is checked first (the dry run), and its people join when somebody says so.

The work itself is a task (app.services.register_work). What is decided here: people whom we know already keep what
they told us, and only get their old card's number; those who left or are blocked stay so. Stamps from the old register
are written to the ledger as stamps for joining; those that the programme gives to newcomers are not added.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.programs import Program
from app.db.register import ImportState, RegisterImport, RegisterRow
from app.i18n import N_
from app.services import register_columns, register_file, register_stamps, tasks
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader, plain_line
from app.services.register_people import Fault

KIND = "register"
MOST_ERRORS = 500
SHOWN_ROWS = 5
_UNFINISHED = (ImportState.CHECKING, ImportState.CHECKED, ImportState.RUNNING)


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with a cell. `row` is what a spreadsheet shows; `left_out`: the whole row is, not just the cell."""

    row: int
    field: str
    kind: str
    message: str
    params: dict[str, Any]
    left_out: bool


@dataclass(frozen=True, slots=True)
class RegisterView:
    """An import as it stands. In a dry run `joined` and `known` are who would join, and who is a member already.

    `columns`: field → place; `cards`: field → the name of a stamp card in use, if it has one; `mistakes` counts all of
    them, of which `errors` are the first; `sample` holds the file's first rows while it is kept. `invited` counts
    invitations written so far.
    """

    id: UUID
    file_name: str
    state: ImportState
    rows: int
    rows_done: int
    joined: int
    known: int
    faulty: int
    mistakes: int
    errors: list[RowError]
    headings: list[str]
    columns: dict[str, int]
    cards: dict[str, str]
    encoding: str
    sample: list[list[str]]
    consents: int
    invites: bool
    invited: int
    created_at: datetime
    finished_at: datetime | None

    @property
    def needs_columns(self) -> bool:
        """Whether nobody knows yet where the phone numbers are."""
        return "phone" not in self.columns

    @property
    def inviting(self) -> bool:
        """Whether all have joined, and invitations are still being sent."""
        return self.state is ImportState.RUNNING and self.rows_done >= self.rows

    @property
    def moving(self) -> bool:
        """Whether it goes on by itself."""
        working = (ImportState.CHECKING, ImportState.RUNNING)
        return self.state in working and not self.needs_columns


def upload(ctx: Context, actor: Actor, name: str, data: bytes, *, encoding: str = "") -> UUID:
    """Take a file in and begin its dry run, unless nobody can tell where the phone numbers are. Raises InvalidForm.

    It takes the place of files that were only checked.
    """
    now = clock.now()
    chosen = encoding if encoding in register_file.CODE_PAGES else ""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        try:
            file = register_file.read(data, program.language, chosen)
        except Refused as refused:
            raise InvalidForm({"file": refused}) from None
        columns = register_columns.guessed_in(file, register_stamps.names(session, program))
        for other in _locked(session, actor, RegisterImport.state.in_((ImportState.CHECKING, ImportState.CHECKED))):
            _finish(session, other, ImportState.STOPPED, now)
        job = RegisterImport(
            id=uuid7(),
            program_id=program.id,
            staff_id=actor.staff_id,
            file_name=plain_line(name, register_file.MOST_FILE_NAME) or "register.csv",
            content=file.content,
            options={
                "columns": columns,
                "headings": file.headings,
                "delimiter": file.delimiter,
                "encoding": file.encoding,
                "start": file.start,
                "first_row": file.first_row,
            },
            rows=file.rows,
            created_at=now,
        )
        session.add(job)
        session.flush()
        _begin_check(session, job, columns)
        record(session, actor, "register.uploaded", job.id, rows=file.rows)
        return job.id


def check_again(ctx: Context, actor: Actor, import_id: UUID, form: Mapping[str, str]) -> None:
    """Read the file anew with the columns that somebody chose (`column_<place>`: a field). Raises InvalidForm."""
    with ctx.sessions.begin() as session:
        job = one(session, actor, import_id, lock=True)
        if job.state not in (ImportState.CHECKING, ImportState.CHECKED):
            raise Refused("register-not-open", N_("This import has begun already."), status=409)
        headings: Any = job.options["headings"]
        cards = register_stamps.names(session, session.get_one(Program, job.program_id))
        try:
            columns = register_columns.chosen(form, len(headings), cards)
        except Refused as refused:
            raise InvalidForm({refused.field: refused}) from None
        _begin_check(session, job, columns)


def _begin_check(session: Session, job: RegisterImport, columns: dict[str, int]) -> None:
    session.execute(delete(RegisterRow).where(RegisterRow.import_id == job.id))
    turn = int(str(job.options.get("turn", 0))) + 1  # so that a slice for the old columns sees that its time is over
    job.options = job.options | {
        "columns": columns,
        "at": job.options["start"],
        "turn": turn,
        "mistakes": 0,
        "consents": 0,
    }
    job.state, job.errors = ImportState.CHECKING, []
    job.rows_done = job.joined = job.known = job.faulty = 0
    if "phone" in columns:
        tasks.start(session, job.program_id, KIND, job.id)


def start(ctx: Context, actor: Actor, import_id: UUID, form: Mapping[str, str]) -> None:
    """Have the people of a checked file join. Saying it twice is the same as saying it once. Raises InvalidForm.

    `form`: `invite` and `may_invite` ('on'): send each newcomer their link; `may_offer` ('on') and `wording`: what
    those agreed to who have a yes in the column of consents.
    """
    with ctx.sessions.begin() as session:
        job = one(session, actor, import_id, lock=True)
        if job.state in (ImportState.RUNNING, ImportState.DONE):
            return
        if job.state is not ImportState.CHECKED:
            raise Refused("register-not-checked", N_("Wait until the file has been checked."), status=409)
        columns: Any = job.options["columns"]
        register_stamps.require_in_use(session, session.get_one(Program, job.program_id), columns)
        job.options = job.options | _read_wishes(form, offers=bool(job.options["consents"]))
        job.state, job.rows_done, job.joined, job.known = ImportState.RUNNING, 0, 0, 0
        job.content = None
        tasks.start(session, job.program_id, KIND, job.id)
        record(session, actor, "register.started", job.id, invite=job.options["invite"])


def _read_wishes(form: Mapping[str, str], *, offers: bool) -> dict[str, object]:
    reader = FormReader(form)
    invite, granted = form.get("invite") == "on", offers and form.get("may_offer") == "on"
    wording = reader.paragraphs("wording", 1000)
    if invite and form.get("may_invite") != "on":
        reader.wrong("may_invite", "not-confirmed", N_("Confirm this, or send no invitations."))
    if granted and not wording:
        reader.wrong("wording", "required", N_("Please fill this in."))
    if reader.errors:
        raise InvalidForm(reader.errors)
    return {"invite": invite, "wording": wording if granted else "", "invited": 0, "invited_row": 0}


def stop(ctx: Context, actor: Actor, import_id: UUID) -> None:
    """Stop it, whatever it is doing. Who has joined stays; the file is forgotten. Saying it twice changes nothing."""
    with ctx.sessions.begin() as session:
        job = one(session, actor, import_id, lock=True)
        if job.state in _UNFINISHED:
            finish(session, actor, job, ImportState.STOPPED)


def finish(session: Session, actor: Actor, job: RegisterImport, state: ImportState) -> None:
    """End an import: the file and what was read from it are forgotten. Within the caller's transaction."""
    _finish(session, job, state, clock.now())
    record(session, actor, f"register.{state}", job.id, joined=job.joined, known=job.known, faulty=job.faulty)


def _finish(session: Session, job: RegisterImport, state: ImportState, now: datetime) -> None:
    job.state, job.finished_at, job.content = state, now, None
    session.execute(delete(RegisterRow).where(RegisterRow.import_id == job.id))


def one(session: Session, actor: Actor, import_id: UUID, *, lock: bool = False) -> RegisterImport:
    """The programme's import, on request with its row locked. Raises Refused (404)."""
    job = session.get(RegisterImport, import_id, with_for_update=lock or None)
    if job is None or job.program_id != actor.program_id:
        raise Refused("register-not-found", N_("There is no such import."), status=404)
    return job


def _locked(session: Session, actor: Actor, condition: Any) -> list[RegisterImport]:
    query = select(RegisterImport).where(RegisterImport.program_id == actor.program_id, condition)
    return list(session.scalars(query.order_by(RegisterImport.id).with_for_update()))


def get(ctx: Context, actor: Actor, import_id: UUID) -> RegisterView:
    """The import as it stands. Raises Refused (404)."""
    with ctx.sessions() as session:
        job = one(session, actor, import_id)
        program = session.get_one(Program, job.program_id)
        return _view(job, _sample(session, job), register_stamps.names(session, program))


def every(ctx: Context, actor: Actor, limit: int = 20) -> list[RegisterView]:
    """The programme's imports, the newest first, without their samples."""
    query = select(RegisterImport).where(RegisterImport.program_id == actor.program_id)
    with ctx.sessions() as session:
        newest = query.order_by(RegisterImport.created_at.desc(), RegisterImport.id.desc()).limit(limit)
        return [_view(job, [], {}) for job in session.scalars(newest)]


def _sample(session: Session, job: RegisterImport) -> list[list[str]]:
    """The file's first rows, a hundred kilobytes deep at most."""
    start: Any = job.options["start"]
    piece = func.substring(RegisterImport.content, start + 1, 100_000)
    content = session.scalars(select(piece).where(RegisterImport.id == job.id)).one()
    if content is None:
        return []
    if len(content) == 100_000:
        content = content[: content.rfind(b"\n") + 1]
    wanted = register_file.records(content, 0, str(job.options["delimiter"]))
    try:
        filled = (record for record, _ in wanted if any(record))
        return [[cell[:60] for cell in record] for record in islice(filled, SHOWN_ROWS)]
    except Refused:  # the piece ends within a quoted cell
        return []


def _view(job: RegisterImport, sample: list[list[str]], cards: dict[str, str]) -> RegisterView:
    options: dict[str, Any] = job.options
    return RegisterView(
        id=job.id,
        file_name=job.file_name,
        state=job.state,
        rows=job.rows,
        rows_done=job.rows_done,
        joined=job.joined,
        known=job.known,
        faulty=job.faulty,
        mistakes=options.get("mistakes", 0),
        errors=[RowError(**error) for error in job.errors],  # type: ignore[arg-type] # as error_row wrote them
        headings=options["headings"],
        columns=options["columns"],
        cards=cards,
        encoding=options["encoding"],
        sample=sample,
        consents=options.get("consents", 0),
        invites=options.get("invite", False),
        invited=options.get("invited", 0),
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def error_row(row: int, fault: Fault, *, left_out: bool) -> dict[str, object]:
    """A fault as it is kept in `errors`: the fields of RowError."""
    return {
        "row": row,
        "field": fault.field,
        "kind": fault.kind,
        "message": fault.message,
        "params": fault.params,
        "left_out": left_out,
    }
