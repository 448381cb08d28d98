"""Whose a purchase is, as a till says it: a member by id, by card, or by a phone number that may be nobody's yet."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.people import Member, MemberCard, MemberStatus
from app.db.programs import Program
from app.i18n import N_
from app.loyalty import card_codes
from app.services import old_cards, purchase_book
from app.services.context import Actor
from app.services.errors import InvalidForm, Refused
from app.services.members import fetch
from sms.phones import PhoneError, normalise


def holder(
    session: Session, actor: Actor, program: Program, member_id: UUID | None, card: str | None, phone: str | None
) -> tuple[Member | None, str]:
    """The member, with their row locked, or else the phone number under which the purchase waits, if any.

    `card` is a card code or an old card's number. Raises InvalidForm (phone) and Refused: member-not-found,
    member-blocked, unreadable-code.
    """
    if member_id is not None:
        found: UUID | None = member_id
    elif card is not None:
        found = _card_holder(session, actor, card)
    elif phone is not None:
        number = _number(program, phone)
        found = _of_number(session, program, number)
        if found is None:
            return None, number
    else:
        return None, ""
    member = fetch(session, actor, Member.id == found, lock=True)
    if member.status is MemberStatus.BLOCKED:
        raise Refused("member-blocked", N_("This card is blocked. A manager can unblock it."), status=403)
    return (None, member.phone) if member.status is MemberStatus.LEFT else (member, "")


def _card_holder(session: Session, actor: Actor, text: str) -> UUID | None:
    """Whose card this is. A new card's code goes first: an old card's number may look like one."""
    code = card_codes.read(text)
    if code is None and not old_cards.normal(text):
        raise Refused(
            "unreadable-code", N_("This is neither a card code nor the number of an old card. Please scan again.")
        )
    held = select(Member.id).join(MemberCard).where(Member.program_id == actor.program_id, MemberCard.code == code)
    return (session.scalars(held).one_or_none() if code else None) or old_cards.find(session, actor.program_id, text)


def _number(program: Program, text: str) -> str:
    try:
        return normalise(text, program.country)
    except PhoneError as error:
        raise InvalidForm({"phone": Refused("invalid-phone", error.message, error.params)}) from None


def _of_number(session: Session, program: Program, phone: str) -> UUID | None:
    known = select(Member.id).where(Member.program_id == program.id, Member.phone == phone)
    found = session.scalars(known).one_or_none()
    if found is not None:
        return found
    purchase_book.lock_phone(session, program.id, phone)
    return session.scalars(known).one_or_none()  # they may have joined while we waited
