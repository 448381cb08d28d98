"""No more offers, by the link in a message: from any phone, without a password, and back again.

The recipient's token opens this and nothing else of the member.
"""

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.campaigns import CampaignRecipient
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.i18n import translator
from app.services import consents, sms_gate
from app.services.context import Actor, Context
from app.services.programs import ProgramView, program_view
from app.services.short_links import unknown_link

_TOKEN = re.compile(r"[0-9A-Za-z_-]{10}")
SOURCE = "link"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What the page shows. `may_return`: offers can be had again."""

    program: ProgramView
    language: str
    wants_offers: bool
    may_return: bool


def look(ctx: Context, token: str) -> Subscription:
    """Whether the one to whom this token was sent gets offers. Raises Refused (404) for a token that we never sent."""
    with ctx.sessions() as session:
        return _subscription(session, _member(session, token))


def set_offers(ctx: Context, token: str, wanted: bool, language: str) -> Subscription:
    """Stop the offers by SMS, or let them come again; `language` is that of the page on which it was said.

    Saying it twice is the same as once. Raises Refused (404) for an unknown token, (403) when they can't come again.
    """
    with ctx.sessions.begin() as session:
        member = _member(session, token, lock=True)
        program = session.get_one(Program, member.program_id)
        if wanted and member.status is not MemberStatus.ACTIVE:
            raise consents.ended(member.status)
        consents.change(
            session,
            Actor(program.id),
            member,
            consents.OFFERS_BY_SMS,
            granted=wanted,
            source=SOURCE,
            wording=consents.wording(consents.OFFERS_BY_SMS, wanted, program.organization_name, translator(language)),
        )
        session.flush()
        return _subscription(session, member)


def _member(session: Session, token: str, *, lock: bool = False) -> Member:
    if not _TOKEN.fullmatch(token):
        raise unknown_link()
    query = (
        select(Member)
        .join(CampaignRecipient, CampaignRecipient.member_id == Member.id)
        .where(CampaignRecipient.token == token)
    )
    if lock:
        query = query.with_for_update(of=Member, key_share=True)
    member = session.scalars(query).unique().one_or_none()
    if member is None:
        raise unknown_link()
    return member


def _subscription(session: Session, member: Member) -> Subscription:
    program = session.get_one(Program, member.program_id)
    return Subscription(
        program_view(program),
        member.language,
        sms_gate.wants_offers(session, member.id),
        member.status is MemberStatus.ACTIVE,
    )
