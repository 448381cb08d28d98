"""Where people join: the tags by which an owner sees what works, and how many came through each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from app import clock
from app.db.joining import JoinRules
from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_
from app.services import join_rules
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.members import channel_tag

# Tag → what it is, in the order of the office's list.
USUAL = {
    "site": N_("Your website"),
    "wifi": N_("The page of your Wi-Fi"),
    "receipt": N_("Receipts"),
    "menu": N_("The menu"),
    "table": N_("The tables"),
    "poster": N_("The poster"),
}
MOST_OWN = 30
DAYS = 30


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to join. `own`: the owner named it, and may take the name back. `joins`: all; `lately`: of 30 days."""

    tag: str
    own: bool
    joins: int
    lately: int


def every(ctx: Context, actor: Actor) -> list[Channel]:
    """The usual channels, the owner's own, and then whatever else people have joined through. '' is no channel."""
    since = clock.now() - timedelta(days=DAYS)
    lately = func.count().filter(Member.joined_at > since)
    with ctx.sessions() as session:
        own = join_rules.of(session, session.get_one(Program, actor.program_id)).channels
        query = select(Member.via, func.count(), lately).where(Member.program_id == actor.program_id)
        counts = {row[0]: (row[1], row[2]) for row in session.execute(query.group_by(Member.via).order_by(Member.via))}
    others = [tag for tag in counts if tag not in USUAL and tag not in own]
    return [Channel(tag, tag in own, *counts.get(tag, (0, 0))) for tag in (*USUAL, *own, *others)]


def add(ctx: Context, actor: Actor, form: Mapping[str, str]) -> str:
    """Name a channel of the owner's own (`tag`). Returns its tag; a known one is the same. Raises InvalidForm."""
    tag = channel_tag(form.get("tag", ""))
    if not tag:
        message = N_("Write a short name with letters from a to z or digits, for example table-7.")
        raise InvalidForm({"tag": Refused("invalid-channel", message, field="tag")})
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        own = join_rules.of(session, program).channels
        if tag in USUAL or tag in own:
            return tag
        if len(own) >= MOST_OWN:
            message = N_("%(most)s own places are the most. Remove one first.")
            raise InvalidForm({"tag": Refused("too-many-channels", message, {"most": MOST_OWN}, field="tag")})
        session.execute(insert(JoinRules).values(program_id=program.id).on_conflict_do_nothing())
        session.get_one(JoinRules, program.id).channels = [*own, tag]
        record(session, actor, "join-channel.added", program.id)
    return tag


def remove(ctx: Context, actor: Actor, tag: str) -> None:
    """Take an own channel off the list. Links with it still work, and who joined through it stays counted."""
    with ctx.sessions.begin() as session:
        session.get_one(Program, actor.program_id, with_for_update=True)
        row = session.get(JoinRules, actor.program_id)
        if row is not None and tag in row.channels:
            row.channels = [one for one in row.channels if one != tag]
            record(session, actor, "join-channel.removed", row.program_id)
