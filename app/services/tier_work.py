"""Looking at many members' tiers: at those whose time has come, and at all of them after the rules changed.

Each member is a transaction of its own, so that no till waits.
"""

import time
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.tiers import TierRules
from app.logs import log
from app.services import tasks, tiering
from app.services.context import Actor, Context
from app.services.members import fetch

KIND = "tier-review"
BATCH = 100


def review_due(ctx: Context, until: float) -> bool:
    """Look at up to BATCH members whose tier may end by now, or to whose next tier more is missing, which their cards
    then tell silently; begin none after `until` (time.monotonic). True when there may be more."""
    now = clock.now()
    with ctx.sessions() as session:
        due = session.execute(
            select(Member.id, Member.program_id)
            .where(Member.tier_look_at <= now)
            .order_by(Member.tier_look_at)
            .limit(BATCH)
        ).all()
    done = 0
    for member_id, program_id in due:
        if done and time.monotonic() >= until:
            return True
        done += _review(ctx, program_id, member_id, now, tell=True)
    return done > 0 and len(due) == BATCH


def review_all(session: Session, rules: TierRules) -> None:
    """Have all members of the programme looked at after the caller's transaction commits, from the first on."""
    rules.review_id, rules.reviewed_to = uuid7(), None
    tasks.start(session, rules.program_id, KIND, rules.review_id)


def work(ctx: Context, review_id: UUID, until: float) -> bool:
    """A slice of that. Nobody's phone rings: that the rules changed is no achievement of theirs."""
    while True:
        with ctx.sessions() as session:
            row = session.execute(
                select(TierRules.program_id, TierRules.reviewed_to).where(TierRules.review_id == review_id)
            ).one_or_none()
            if row is None:  # the rules changed again, and another task begins anew
                return True
            members = select(Member.id).where(Member.program_id == row.program_id).order_by(Member.id).limit(BATCH)
            if row.reviewed_to is not None:
                members = members.where(Member.id > row.reviewed_to)
            ids = session.scalars(members).all()
        seen = 0
        for member_id in ids:
            if seen and time.monotonic() >= until:
                break
            _review(ctx, row.program_id, member_id, clock.now(), silent=True)
            seen += 1
        over = seen == len(ids) < BATCH
        _note(ctx, review_id, None if over else ids[seen - 1])
        if over or time.monotonic() >= until:
            return over


def _note(ctx: Context, review_id: UUID, reviewed_to: UUID | None) -> None:
    """Keep how far the review is; None: it is over."""
    values = {"reviewed_to": reviewed_to} if reviewed_to else {"reviewed_to": None, "review_id": None}
    with ctx.sessions.begin() as session:
        session.execute(update(TierRules).where(TierRules.review_id == review_id).values(**values))


def _review(
    ctx: Context, program_id: UUID, member_id: UUID, at: datetime, *, silent: bool = False, tell: bool = False
) -> bool:
    """Look at one member. One at whom nobody can look is left to the next time, and stops nobody else."""
    try:
        with ctx.sessions.begin() as session:
            program = session.get_one(Program, program_id)
            member = fetch(session, Actor(program_id), Member.id == member_id, lock=True, erased=True)
            tell = tell and member.status is MemberStatus.ACTIVE
            tiering.review(session, program, member, at, silent=silent, tell=tell)
    except OperationalError:
        raise  # the database is away, for all of them
    except Exception:
        log().error("tier.not_reviewed", member_id=str(member_id), exc_info=True)
        return False
    return True
