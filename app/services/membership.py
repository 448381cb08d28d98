"""Whether a member may earn and spend: neither who is blocked nor who has left."""

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from app.db.people import Member, MemberStatus
from app.i18n import N_
from app.services.context import Actor
from app.services.errors import Refused
from app.services.members import fetch


def usable(session: Session, actor: Actor, condition: ColumnElement[bool]) -> Member:
    """The member who fits, with their row locked. Raises Refused: member-not-found, member-blocked, member-left."""
    member = fetch(session, actor, condition, lock=True)
    if member.status is MemberStatus.BLOCKED:
        raise Refused("member-blocked", N_("This card is blocked. A manager can unblock it."), status=403)
    if member.status is MemberStatus.LEFT:
        raise Refused(
            "member-left", N_("This customer has left the programme. Joining again brings the card back."), status=403
        )
    return member
