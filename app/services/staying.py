"""Who was told that they are erased soon, as they were not seen for long, may stay."""

from datetime import date

from sqlalchemy import select

from app import clock
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.stamps import GivenOnce
from app.loyalty.credit import day_of
from app.services import members, retention, retention_rules
from app.services.context import Context
from app.services.views import MemberView


def erased_on(ctx: Context, member: MemberView) -> date | None:
    """The day from which the member may be erased, if they were told so and were not seen since."""
    if member.status is not MemberStatus.ACTIVE:
        return None
    now = clock.now()
    with ctx.sessions() as session:
        rules = retention_rules.within(session, member.program_id)
        if rules.inactive_days is None:
            return None
        told = select(GivenOnce.at).where(GivenOnce.member_id == member.id, GivenOnce.what == retention.WARNED)
        warned_at = session.scalars(told.order_by(GivenOnce.at.desc()).limit(1)).one_or_none()
        if warned_at is None or not session.scalar(
            select(Member.id).where(Member.id == member.id, retention.idle(rules, now))
        ):
            return None
        return day_of(retention.erased_from(warned_at), session.get_one(Program, member.program_id).time_zone)


def stay(ctx: Context, token: str) -> None:
    """The member stays. Saying it twice is the same as once. Raises Refused: link-not-found."""
    member = members.by_link(ctx, token)
    with ctx.sessions.begin() as session:
        zone = session.get_one(Program, member.program_id).time_zone
        retention.note_once(session, member.id, retention.STAYS, clock.now(), zone)
