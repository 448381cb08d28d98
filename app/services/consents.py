"""What members have agreed to hear: the newest word per purpose counts, and every word is kept."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.people import Consent, Member, MemberStatus
from app.i18n import N_, Translator
from app.services.audit import record
from app.services.context import Actor
from app.services.errors import Refused

TERMS, OFFERS_BY_SMS, OFFERS_BY_EMAIL = "terms", "sms_marketing", "email_marketing"
# What is agreed to, word by word as pages show it and as it is kept.
WORDINGS = {
    OFFERS_BY_SMS: N_("%(name)s may send me offers by SMS. I can stop them at any time."),
    OFFERS_BY_EMAIL: N_("%(name)s may send me offers by e-mail. I can stop them at any time."),
}
STOPPING = {
    OFFERS_BY_SMS: N_("%(name)s may send me no more offers by SMS."),
    OFFERS_BY_EMAIL: N_("%(name)s may send me no more offers by e-mail."),
}
# Where a word came from → how to say it. Others are shown as they are.
SOURCES = {
    "web": N_("on the page for joining"),
    "till": N_("at the till"),
    "api": N_("through the shop's till or web shop"),
    "sms": N_("by SMS"),
    "import": N_("taken over from the shop's old register"),
    "office": N_("noted by the shop's staff"),
    "provider": N_("told by the phone company"),
    "link": N_("by the link in a message"),
    "card_page": N_("on your own page"),
}


@dataclass(frozen=True, slots=True)
class Word:
    """One answer. `wording` is what was shown or written then, in the language of then."""

    purpose: str
    granted: bool
    source: str
    wording: str
    at: datetime


def wording(purpose: str, granted: bool, organization: str, text: Translator) -> str:
    """What somebody says yes to, or no, on a page in this language."""
    return text.gettext((WORDINGS if granted else STOPPING)[purpose], name=organization)


def ended(status: MemberStatus) -> Refused:
    """Why somebody who is no active member can't agree to anything, nor change anything."""
    if status is MemberStatus.BLOCKED:
        return Refused("member-blocked", N_("This card is blocked. Please ask the staff."), status=403)
    return Refused("member-left", N_("You have left this programme. The card is no longer valid."), status=403)


def history(session: Session, member_id: UUID) -> list[Word]:
    """All that the member has said, the newest first."""
    rows = session.scalars(
        select(Consent).where(Consent.member_id == member_id).order_by(Consent.at.desc(), Consent.id.desc())
    )
    return [Word(row.purpose, row.granted, row.source, row.wording, row.at) for row in rows]


def agreed(words: list[Word], purpose: str) -> bool:
    """Whether the newest of these words for the purpose is yes. They come newest first."""
    return next((word.granted for word in words if word.purpose == purpose), False)


def change(
    session: Session, actor: Actor, member: Member, purpose: str, *, granted: bool, source: str, wording: str
) -> bool:
    """Note the member's word, if it is another than before. False when it is not: saying it twice is as once.

    The caller holds the member's row locked.
    """
    if agreed(history(session, member.id), purpose) is granted:
        return False
    session.add(
        Consent(
            id=uuid7(),
            member_id=member.id,
            purpose=purpose,
            granted=granted,
            source=source,
            wording=wording,
            at=clock.now(),
        )
    )
    record(session, actor, "consent.started" if granted else "consent.stopped", member.id, purpose=purpose)
    return True
