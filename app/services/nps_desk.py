"""Answers as the shop reads them: comments, and those who were let down, until somebody has seen to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select

from app import clock
from app.db.nps import NpsAsk
from app.db.people import Member, Staff
from app.db.programs import Location
from app.db.tiers import Tier
from app.i18n import N_
from app.loyalty.nps import DETRACTOR_TO, Group, group_of
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import Refused

PAGE = 50
OF_MEMBER = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, and where and in which tier its member was when they were asked. `handled_by`: '' for nobody yet."""

    id: UUID
    at: datetime
    score: int
    comment: str
    member_id: UUID
    member: str
    phone: str
    location: str
    tier: str
    handled_at: datetime | None
    handled_by: str

    @property
    def group(self) -> Group:
        return group_of(self.score)


def answers(
    ctx: Context, actor: Actor, *, comments_only: bool = False, after: UUID | None = None
) -> tuple[list[Answer], UUID | None]:
    """The answers, the newest first, and after which one the next page begins, if there is one."""
    conditions: list[ColumnElement[bool]] = [NpsAsk.program_id == actor.program_id]
    if comments_only:
        conditions.append(NpsAsk.comment != "")
    with ctx.sessions() as session:
        last = session.get(NpsAsk, after) if after else None
        if last is not None and last.program_id == actor.program_id and last.answered_at is not None:
            older = NpsAsk.answered_at < last.answered_at
            same = (NpsAsk.answered_at == last.answered_at) & (NpsAsk.id < last.id)
            conditions.append(older | same)
    found = _read(ctx, conditions, PAGE + 1)
    return found[:PAGE], (found[PAGE - 1].id if len(found) > PAGE else None)


def to_handle(ctx: Context, actor: Actor) -> list[Answer]:
    """Those who were let down, and whom nobody has seen to: the newest first."""
    return _read(ctx, _open(actor), PAGE)


def waiting(ctx: Context, actor: Actor) -> int:
    """How many of them there are."""
    with ctx.sessions() as session:
        return session.scalar(select(func.count()).where(*_open(actor))) or 0


def of_member(ctx: Context, actor: Actor, member_id: UUID) -> list[Answer]:
    """A member's own answers, the newest first."""
    return _read(ctx, [NpsAsk.program_id == actor.program_id, NpsAsk.member_id == member_id], OF_MEMBER)


def handle(ctx: Context, actor: Actor, ask_id: UUID) -> None:
    """Somebody has seen to it. Saying it twice is the same as once. Raises Refused: answer-not-found."""
    with ctx.sessions.begin() as session:
        ask = session.get(NpsAsk, ask_id, with_for_update=True)
        if ask is None or ask.program_id != actor.program_id or ask.score is None:
            raise Refused("answer-not-found", N_("There is no such answer."), status=404)
        if ask.handled_at is None:
            ask.handled_at, ask.handled_by = clock.now(), actor.staff_id
            record(session, actor, "nps.handled", ask.id)


def _open(actor: Actor) -> list[ColumnElement[bool]]:
    return [NpsAsk.program_id == actor.program_id, NpsAsk.score <= DETRACTOR_TO, NpsAsk.handled_at.is_(None)]


def _read(ctx: Context, conditions: Sequence[ColumnElement[bool]], most: int) -> list[Answer]:
    query = (
        select(NpsAsk, Member.name, Member.phone, Location.name, Tier.name, Staff.name)
        .join(Member, Member.id == NpsAsk.member_id)
        .outerjoin(Location, Location.id == NpsAsk.location_id)
        .outerjoin(Tier, Tier.id == NpsAsk.tier_id)
        .outerjoin(Staff, Staff.id == NpsAsk.handled_by)
        .where(NpsAsk.answered_at.is_not(None), *conditions)
        .order_by(NpsAsk.answered_at.desc(), NpsAsk.id.desc())
        .limit(most)
    )
    with ctx.sessions() as session:
        return [_answer(*row) for row in session.execute(query)]


def _answer(ask: NpsAsk, name: str, phone: str, location: str | None, tier: str | None, handler: str | None) -> Answer:
    return Answer(
        ask.id,
        ask.answered_at or ask.asked_at,
        ask.score or 0,
        ask.comment,
        ask.member_id,
        name,
        phone,
        location or "",
        tier or "",
        ask.handled_at,
        handler or "",
    )
