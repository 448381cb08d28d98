"""After how many days a programme forgets what: read, shown as a form, and changed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from uuid import UUID

from sqlalchemy.orm import Session

from app.db.keeping import RetentionRules
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm
from app.services.forms import FormReader

WARNED_DAYS = 14  # so long before somebody is erased who was not seen they are told
MOST_DAYS = 36_500
# Field → the fewest days. Somebody who comes in summer only is not to be erased in winter by a slip of the keyboard.
_FEWEST = {
    "left_days": 1,
    "inactive_days": 90,
    "receipt_days": 31,
    "message_days": 31,
    "click_days": 31,
    "audit_days": 31,
}


@dataclass(frozen=True, slots=True)
class Rules:
    """Days after which it is forgotten; None: it is kept. As columns of RetentionRules."""

    left_days: int | None = 90
    inactive_days: int | None = None
    receipt_days: int | None = None
    message_days: int | None = 730
    click_days: int | None = 730
    audit_days: int | None = None
    code_to_erase: bool = False


def within(session: Session, program_id: UUID) -> Rules:
    """The programme's rules, or the defaults."""
    row = session.get(RetentionRules, program_id)
    return Rules(**{field.name: getattr(row, field.name) for field in fields(Rules)}) if row else Rules()


def get(ctx: Context, program_id: UUID) -> Rules:
    with ctx.sessions() as session:
        return within(session, program_id)


def as_typed(rules: Rules) -> dict[str, str]:
    """The rules as the fields of their form."""
    typed = {name: "" if getattr(rules, name) is None else str(getattr(rules, name)) for name in _FEWEST}
    return typed | {"code_to_erase": "on" if rules.code_to_erase else "off"}


def read(form: Mapping[str, str]) -> Rules:
    """What was typed; an empty field is never. Raises InvalidForm."""
    reader = FormReader(form)
    days = {name: reader.number(name, fewest, MOST_DAYS, optional=True) for name, fewest in _FEWEST.items()}
    if reader.errors:
        raise InvalidForm(reader.errors)
    return Rules(**days, code_to_erase=form.get("code_to_erase") == "on")


def save(ctx: Context, actor: Actor, form: Mapping[str, str]) -> Rules:
    """Change the rules. What they were and are stands in the audit log. Raises InvalidForm."""
    rules = read(form)
    with ctx.sessions.begin() as session:
        before = within(session, actor.program_id)
        row = session.get(RetentionRules, actor.program_id)
        if row is None:
            row = RetentionRules(program_id=actor.program_id)
            session.add(row)
            session.flush()  # with the defaults, which would take the place of every None that is set before
        changed = {}
        for field in fields(Rules):
            old, new = getattr(before, field.name), getattr(rules, field.name)
            setattr(row, field.name, new)
            if old != new:
                changed[field.name] = [old, new]
        if changed:
            record(session, actor, "retention.changed", actor.program_id, **changed)
    return rules
