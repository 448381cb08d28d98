"""How groups of coupon codes stand: how many codes were made, and where their money is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session, aliased

from app import clock
from app.db.credit import CodeGroup, Credit, CreditStatus
from app.db.ledger import LedgerEntry
from app.loyalty.ledger import Kind
from app.services import code_groups
from app.services.context import Actor, Context

PAGE = 30


@dataclass(frozen=True, slots=True)
class Batch:
    """The codes of a group that were made in one go. `open`: still in use or blocked."""

    made_at: datetime
    codes: int
    open: int


@dataclass(frozen=True, slots=True)
class CodeGroupView:
    """A group. `counts` tells how many codes are in each status; sums are in minor units.

    `open_minor` can be used, `blocked_minor` cannot; a code of which a part was used counts as open.
    """

    id: UUID
    name: str
    amount_minor: int
    valid_from: datetime
    expires_at: datetime
    created_at: datetime
    over: bool
    counts: Mapping[CreditStatus, int]
    open_minor: int
    blocked_minor: int
    used_minor: int
    lapsed_minor: int

    @property
    def codes(self) -> int:
        return sum(self.counts.values())

    def count(self, status: str) -> int:
        return self.counts.get(CreditStatus(status), 0)


def every(ctx: Context, actor: Actor, before: UUID | None = None) -> tuple[list[CodeGroupView], UUID | None]:
    """A page of the programme's groups, the newest first, and where the next one begins, if there is one."""
    asked = select(CodeGroup).where(CodeGroup.program_id == actor.program_id)
    with ctx.sessions() as session:
        if before is not None:
            last = code_groups.own(session, actor, before)
            asked = asked.where(tuple_(CodeGroup.created_at, CodeGroup.id) < (last.created_at, last.id))
        newest = asked.order_by(CodeGroup.created_at.desc(), CodeGroup.id.desc()).limit(PAGE + 1)
        rows = session.scalars(newest).all()
        page = _views(session, rows[:PAGE])
        return page, (page[-1].id if len(rows) > PAGE else None)


def one(ctx: Context, actor: Actor, group_id: UUID) -> tuple[CodeGroupView, list[Batch]]:
    """A group and its makings, the newest first. Raises Refused: code-group-not-found."""
    still = Credit.status.in_([CreditStatus.OPEN, CreditStatus.BLOCKED])
    with ctx.sessions() as session:
        view = _views(session, [code_groups.own(session, actor, group_id)])[0]
        made = session.execute(
            select(Credit.granted_at, func.count(), func.count().filter(still))
            .where(Credit.group_id == group_id)
            .group_by(Credit.granted_at)
            .order_by(Credit.granted_at.desc())
        )
        return view, [Batch(*row) for row in made]


def _views(session: Session, groups: Collection[CodeGroup]) -> list[CodeGroupView]:
    ids, now = [group.id for group in groups], clock.now()
    counts: dict[UUID, dict[CreditStatus, int]] = {group_id: {} for group_id in ids}
    left: dict[tuple[UUID, CreditStatus], int] = {}
    for group_id, status, count, balance in session.execute(
        select(Credit.group_id, Credit.status, func.count(), func.sum(Credit.balance_minor))
        .where(Credit.group_id.in_(ids))
        .group_by(Credit.group_id, Credit.status)
    ):
        if group_id is not None:
            counts[group_id][status], left[group_id, status] = count, int(balance)
    gone = _gone(session, ids)
    return [
        CodeGroupView(
            group.id,
            group.name,
            group.amount_minor,
            group.valid_from,
            group.expires_at,
            group.created_at,
            group.expires_at <= now,
            counts[group.id],
            left.get((group.id, CreditStatus.OPEN), 0),
            left.get((group.id, CreditStatus.BLOCKED), 0),
            gone.get((group.id, Kind.REDEEM), 0),
            gone.get((group.id, Kind.EXPIRY), 0),
        )
        for group in groups
    ]


def _gone(session: Session, group_ids: Collection[UUID]) -> dict[tuple[UUID | None, Kind], int]:
    """What was used and what lapsed of each group, without what was undone."""
    undone = aliased(LedgerEntry)
    rows = session.execute(
        select(Credit.group_id, LedgerEntry.kind, -func.sum(LedgerEntry.amount))
        .join(LedgerEntry, LedgerEntry.credit_id == Credit.id)
        .where(
            Credit.group_id.in_(group_ids),
            LedgerEntry.kind.in_([Kind.REDEEM, Kind.EXPIRY]),
            ~select(undone.id).where(undone.reverses_id == LedgerEntry.id).exists(),
        )
        .group_by(Credit.group_id, LedgerEntry.kind)
    )
    return {(group_id, kind): int(amount) for group_id, kind, amount in rows}
