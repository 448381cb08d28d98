"""Blocking and taking back a whole group's coupon codes, or those of one making: one statement, however many."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from app import clock
from app.db.credit import Credit, CreditStatus
from app.services import code_groups, credit_rights
from app.services.audit import record
from app.services.context import Actor, Context

# As credit_reversal.undo does it for one: the grant is reversed by an entry of its own.
_WITHDRAW = """WITH closed AS (
        UPDATE credits SET status = 'withdrawn', balance_minor = 0, closed_at = :now
        WHERE group_id = :group_id AND status IN ('open', 'blocked') AND balance_minor = amount_minor
            AND expires_at > :now AND granted_at = coalesce(CAST(:made_at AS timestamptz), granted_at)
        RETURNING id, program_id, amount_minor),
    entries AS (
        SELECT gen_random_uuid() AS id, closed.program_id, closed.id AS credit_id, closed.amount_minor,
            granted.id AS granted_id
        FROM closed JOIN ledger_entries AS granted ON granted.credit_id = closed.id AND granted.kind = 'grant')
    INSERT INTO ledger_entries
        (id, program_id, operation_id, unit, kind, amount, at, reverses_id, credit_id, staff_id, api_key_id, receipt_no)
    SELECT id, program_id, id, 'credit', 'undo', -amount_minor, :now, granted_id, credit_id, :staff_id, :api_key_id, ''
    FROM entries RETURNING 1"""


@dataclass(frozen=True, slots=True)
class Closed:
    """How many codes were taken back, and how many were blocked, because a part of each was used."""

    withdrawn: int
    blocked: int


def withdraw(ctx: Context, actor: Actor, group_id: UUID, made_at: datetime | None = None) -> Closed:
    """Take back every code of which nothing was used, and block what is left of the others; managers only.

    `made_at`: only those of this making. To say it twice is as to say it once. Raises Refused: not-allowed,
    code-group-not-found.
    """
    credit_rights.require_blocking(actor)
    now = clock.now()
    with ctx.sessions.begin() as session:
        code_groups.own(session, actor, group_id, lock=True)
        asked: dict[str, Any] = {
            "group_id": group_id,
            "made_at": made_at,
            "now": now,
            "staff_id": actor.staff_id,
            "api_key_id": actor.api_key_id,
        }
        withdrawn = len(session.execute(text(_WITHDRAW), asked).all())
        blocked = _move(session, group_id, CreditStatus.OPEN, CreditStatus.BLOCKED, now, made_at)
        if withdrawn or blocked:
            record(session, actor, "code-group.withdrawn", group_id, codes=withdrawn, blocked=blocked)
        return Closed(withdrawn, blocked)


def set_blocked(ctx: Context, actor: Actor, group_id: UUID, blocked: bool) -> int:
    """Block a group's open codes, or open its blocked ones, and return how many; managers only.

    Raises Refused: not-allowed, code-group-not-found.
    """
    credit_rights.require_blocking(actor)
    was, wanted = CreditStatus.OPEN, CreditStatus.BLOCKED
    if not blocked:
        was, wanted = wanted, was
    with ctx.sessions.begin() as session:
        code_groups.own(session, actor, group_id, lock=True)
        moved = _move(session, group_id, was, wanted, clock.now())
        if moved:
            action = "code-group.blocked" if blocked else "code-group.unblocked"
            record(session, actor, action, group_id, codes=moved)
        return moved


def _move(
    session: Session,
    group_id: UUID,
    was: CreditStatus,
    wanted: CreditStatus,
    now: datetime,
    made_at: datetime | None = None,
) -> int:
    these = [Credit.group_id == group_id, Credit.status == was, Credit.expires_at > now]
    if made_at is not None:
        these.append(Credit.granted_at == made_at)
    moved = session.execute(
        update(Credit)
        .where(*these)
        .values(status=wanted)
        .returning(Credit.id)
        .execution_options(synchronize_session=False)
    )
    return len(moved.all())
