"""What a programme has set for its credit and purchases. One that has set nothing has the defaults."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.credit import ProgramRules
from app.db.lookup import Compiled
from app.db.programs import Program
from app.services import refresh
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm
from app.services.forms import FormReader

LONGEST_UNDO_HOURS = 8760
LONGEST_ATTACH_DAYS = 365


@dataclass(frozen=True, slots=True)
class Rules:
    """`partial_use`: what a bill leaves of a credit stays; else it lapses. `undo_hours`: how long a manager may undo
    the use of a credit. `attach_days`: how long a purchase waits for its customer to join."""

    partial_use: bool = True
    code_on_card: bool = False
    undo_hours: int = 72
    attach_days: int = 14


COLUMNS = (ProgramRules.partial_use, ProgramRules.code_on_card, ProgramRules.undo_hours, ProgramRules.attach_days)
_OWN = Compiled(select(*COLUMNS).where(ProgramRules.program_id == bindparam("program_id")))


def within(session: Session, program_id: UUID) -> Rules:
    """The programme's rules, in the caller's transaction."""
    rows = _OWN.within(session, program_id=program_id)
    return Rules(*rows[0]) if rows else Rules()


def get(ctx: Context, program_id: UUID) -> Rules:
    with ctx.sessions() as session:
        return within(session, program_id)


def save(ctx: Context, actor: Actor, form: Mapping[str, str]) -> Rules:
    """Set the rules: ticks partial_use and code_on_card ('on'), numbers undo_hours and attach_days.

    Cards are made again when they show the code from now on, or no longer. Raises InvalidForm.
    """
    rules = _read(form)
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        before = asdict(within(session, program.id))
        after = asdict(rules)
        changed = sorted(name for name, value in after.items() if before[name] != value)
        if not changed:
            return rules
        row = insert(ProgramRules).values(program_id=program.id, **after)
        session.execute(row.on_conflict_do_update(index_elements=["program_id"], set_=after))
        if "code_on_card" in changed:
            program.version += 1
            refresh.announce(session, program.id)
        record(session, actor, "program-rules.changed", program.id, fields=changed)
    return rules


def as_typed(rules: Rules) -> dict[str, str]:
    """The rules as the fields of their form."""
    return {
        "partial_use": "on" if rules.partial_use else "",
        "code_on_card": "on" if rules.code_on_card else "",
        "undo_hours": str(rules.undo_hours),
        "attach_days": str(rules.attach_days),
    }


def _read(form: Mapping[str, str]) -> Rules:
    reader = FormReader(form)
    undo_hours = reader.number("undo_hours", 0, LONGEST_UNDO_HOURS)
    attach_days = reader.number("attach_days", 0, LONGEST_ATTACH_DAYS)
    if reader.errors:
        raise InvalidForm(reader.errors)
    return Rules(form.get("partial_use") == "on", form.get("code_on_card") == "on", undo_hours or 0, attach_days or 0)
