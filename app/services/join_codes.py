"""The 5-digit codes that people text to join, one for each channel that the owner wants to count."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from uuid_utils.compat import uuid7

from app import clock
from app.db.messages import JoinCode
from app.db.people import Member
from app.i18n import N_
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.members import channel_tag
from sms.digits import ascii_digits

_TRIES = 100


@dataclass(frozen=True, slots=True)
class JoinCodeView:
    id: UUID
    code: str
    via: str
    active: bool
    joins: int


def every(ctx: Context, program_id: UUID) -> list[JoinCodeView]:
    """The programme's codes, with how many members joined through each one's channel."""
    joins = (
        select(func.count())
        .where(Member.program_id == JoinCode.program_id, Member.via == JoinCode.via)
        .scalar_subquery()
    )
    with ctx.sessions() as session:
        rows = session.execute(
            select(JoinCode, joins).where(JoinCode.program_id == program_id).order_by(JoinCode.created_at)
        )
        return [JoinCodeView(row.id, row.code, row.via, row.active, number) for row, number in rows]


def active_code(ctx: Context, program_id: UUID, via: str) -> str:
    """The code by which people join through this channel; empty when there is none."""
    with ctx.sessions() as session:
        code = session.scalars(
            select(JoinCode.code)
            .where(JoinCode.program_id == program_id, JoinCode.via == via, JoinCode.active)
            .order_by(JoinCode.created_at.desc())
            .limit(1)
        ).one_or_none()
        return code or ""


def create(ctx: Context, actor: Actor, form: Mapping[str, str]) -> JoinCodeView:
    """Make a code for a channel: the one that was typed, or a random one. Raises InvalidForm."""
    typed = ascii_digits(form.get("code", "")).strip()
    if typed and not (len(typed) == 5 and typed.isascii() and typed.isdigit()):
        raise InvalidForm({"code": Refused("invalid-join-code", N_("A code has 5 digits."), field="code")})
    via = channel_tag(form.get("via", ""))
    with ctx.sessions.begin() as session:
        for code in [typed] if typed else (f"{secrets.randbelow(100_000):05}" for _ in range(_TRIES)):
            made = session.execute(
                insert(JoinCode)
                .values(
                    id=uuid7(), program_id=actor.program_id, code=code, via=via, active=True, created_at=clock.now()
                )
                .on_conflict_do_nothing(index_elements=["code"])
                .returning(JoinCode.id)
            ).scalar()
            if made is not None:
                record(session, actor, "join-code.created", made)
                return JoinCodeView(made, code, via, True, 0)
    raise InvalidForm({"code": Refused("join-code-taken", N_("This code is taken. Choose another one."), field="code")})


def set_active(ctx: Context, actor: Actor, code_id: UUID, active: bool) -> None:
    """Switch a code off, or on again. It stays taken, so that an old poster never leads to another shop."""
    with ctx.sessions.begin() as session:
        row = session.get(JoinCode, code_id, with_for_update=True)
        if row is None or row.program_id != actor.program_id:
            raise Refused("join-code-not-found", N_("There is no such code."), status=404)
        if row.active != active:
            row.active = active
            record(session, actor, "join-code.switched-on" if active else "join-code.switched-off", row.id)
