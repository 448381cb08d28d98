"""Telling a member something that concerns them: on the wallet card, and by SMS only if they have none."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.delivery import AppleRegistration, GoogleObject
from app.db.people import Member
from app.db.programs import Program
from app.services import card_news, sms_rules, sms_sending


def has_wallet(session: Session, member: Member) -> bool:
    """Whether the card is in a wallet, as far as we know."""
    phones = select(AppleRegistration.card_id).where(AppleRegistration.card_id == member.card.id)
    google = select(GoogleObject.card_id).where(GoogleObject.card_id == member.card.id, GoogleObject.installs > 0)
    return bool(session.scalar(select(phones.exists() | google.exists())))


def tell(
    session: Session,
    program: Program,
    member: Member,
    at: datetime,
    *,
    news: str,
    template: str,
    params: Mapping[str, object],
) -> None:
    """`news` in the member's language on the card, or the service SMS of this template. The caller has locked the
    member."""
    if has_wallet(session, member):
        card_news.announce(session, program, member, at, news=news, gift=True)
    elif sms_rules.of(session, program).allow(member.phone):
        sms_sending.queue(
            session,
            program,
            member.phone,
            language=member.language,
            template=template,
            params=params,
            member_id=member.id,
        )
