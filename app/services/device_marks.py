"""Browsers that members use, each known by a mark of its own: a random value in a cookie of ours, kept as a keyed hash.

They are noted only where something is given for friends, to tell two people from one with two phone numbers.
"""

from uuid import UUID

from sqlalchemy import select, union
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.db.people import Member
from app.db.referrals import MemberDevice, Referral
from app.services.context import Context


def hashed(ctx: Context, mark: str) -> str:
    """As it is kept; empty without a mark."""
    return ctx.keyed_hash("device", mark) if mark else ""


def note(ctx: Context, member_id: UUID, mark: str) -> None:
    """The member's page was opened in this browser."""
    with ctx.sessions.begin() as session:
        note_within(session, member_id, hashed(ctx, mark))


def note_within(session: Session, member_id: UUID, device: str) -> None:
    row = insert(MemberDevice).values(member_id=member_id, device=device, seen_at=clock.now())
    session.execute(row.on_conflict_do_nothing(index_elements=["member_id", "device"]))


def owners(session: Session, program_id: UUID, device: str) -> frozenset[UUID]:
    """The members of the programme whose pages were opened in this browser, or who came there by a friend's link."""
    if not device:
        return frozenset()
    opened = (
        select(MemberDevice.member_id)
        .join(Member, Member.id == MemberDevice.member_id)
        .where(MemberDevice.device == device, Member.program_id == program_id)
    )
    came = select(Referral.friend_id).where(
        Referral.device == device, Referral.device != "", Referral.program_id == program_id
    )
    return frozenset(session.scalars(union(opened, came)))
