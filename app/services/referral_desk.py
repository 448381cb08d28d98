"""The referrals as a manager sees them, and the word about those that are held."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from app import clock
from app.db.people import Member
from app.db.referrals import Referral, ReferralState
from app.i18n import N_
from app.loyalty.referrals import Reason
from app.services import tasks
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.referrals import TASK

PAGE = 50


@dataclass(frozen=True, slots=True)
class Row:
    """A friend and who brought them. `held`: a manager is to decide."""

    id: UUID
    joined_at: datetime
    referrer_id: UUID
    referrer: str
    friend_id: UUID
    friend: str
    state: ReferralState
    reason: str
    decided_at: datetime | None

    @property
    def held(self) -> bool:
        return self.state is ReferralState.WAITING and bool(self.reason)


def page(ctx: Context, actor: Actor, *, held: bool = False, after: UUID | None = None) -> tuple[list[Row], UUID | None]:
    """Referrals, the newest first, and after which one the next page begins, if there is one. `held`: those alone."""
    referrer, friend = aliased(Member), aliased(Member)
    query = (
        select(Referral, referrer, friend)
        .join(referrer, referrer.id == Referral.referrer_id)
        .join(friend, friend.id == Referral.friend_id)
        .where(Referral.program_id == actor.program_id)
        .order_by(Referral.joined_at.desc(), Referral.id.desc())
        .limit(PAGE + 1)
    )
    if held:
        query = query.where(Referral.state == ReferralState.WAITING, Referral.reason != "")
    with ctx.sessions() as session:
        last = session.get(Referral, after) if after is not None else None
        if last is not None and last.program_id == actor.program_id:
            query = query.where(
                (Referral.joined_at < last.joined_at)
                | ((Referral.joined_at == last.joined_at) & (Referral.id < last.id))
            )
        rows = [
            Row(
                one.id,
                one.joined_at,
                one.referrer_id,
                whose.name or whose.phone,
                one.friend_id,
                who.name or who.phone,
                one.state,
                one.reason,
                one.decided_at,
            )
            for one, whose, who in session.execute(query).unique()
        ]
    return rows[:PAGE], (rows[PAGE - 1].id if len(rows) > PAGE else None)


def waiting(ctx: Context, actor: Actor) -> int:
    """How many wait for a manager."""
    count = select(func.count()).where(
        Referral.program_id == actor.program_id, Referral.state == ReferralState.WAITING, Referral.reason != ""
    )
    with ctx.sessions() as session:
        return session.scalar(count) or 0


def counts(ctx: Context, actor: Actor) -> dict[ReferralState, int]:
    """How many referrals stand how, held ones among those that wait."""
    query = select(Referral.state, func.count()).where(Referral.program_id == actor.program_id).group_by(Referral.state)
    with ctx.sessions() as session:
        rows = [(row[0], row[1]) for row in session.execute(query)]
    return dict.fromkeys(ReferralState, 0) | dict(rows)


def decide(ctx: Context, actor: Actor, referral_id: UUID, *, allow: bool) -> None:
    """A manager's word about one that is held. Raises Refused: referral-not-found, referral-decided."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        referral = session.get(Referral, referral_id, with_for_update=True)
        if referral is None or referral.program_id != actor.program_id:
            raise Refused("referral-not-found", N_("There is no such referral."), status=404)
        if referral.state is not ReferralState.WAITING or not referral.reason:
            raise Refused("referral-decided", N_("Somebody has decided about this already."), status=409)
        if allow:
            referral.reason = ""
            if referral.purchase_operation_id is not None:
                tasks.start(session, referral.program_id, TASK, referral.id, now)
        else:
            referral.state, referral.reason, referral.decided_at = ReferralState.REFUSED, Reason.MANAGER, now
        record(session, actor, "referral.allowed" if allow else "referral.refused", referral.id)
