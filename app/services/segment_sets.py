"""Sets of members for which conditions of segments ask, one row a member unless it is said otherwise."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import literal, select, union
from sqlalchemy.dialects.postgresql import distinct_on

from app.db.campaigns import CampaignRecipient, ClickKind, LinkClick, RecipientState
from app.db.delivery import AppleRegistration, GoogleObject
from app.db.messages import Direction, SmsMessage
from app.db.nps import NpsAsk
from app.db.people import Consent, MemberCard
from app.loyalty import segment_leaves as leaf

_A_DAY = timedelta(days=1)


def in_apple() -> Any:
    cards = select(MemberCard.member_id).join(AppleRegistration, AppleRegistration.card_id == MemberCard.id)
    return cards.distinct()


def in_google() -> Any:
    cards = select(MemberCard.member_id).join(GoogleObject, GoogleObject.card_id == MemberCard.id)
    return cards.where(GoogleObject.installs > 0)


def in_any() -> Any:
    """The cards of both are put together first, so that the table of all cards is read once."""
    held = union(
        select(AppleRegistration.card_id), select(GoogleObject.card_id).where(GoogleObject.installs > 0)
    ).subquery("held")
    return select(MemberCard.member_id).join(held, held.c.card_id == MemberCard.id)


def newest_answers() -> Any:
    """In the order of ix_consents_newest, backwards."""
    return (
        select(Consent.member_id, Consent.granted)
        .ext(distinct_on(Consent.member_id))
        .where(Consent.purpose == "sms_marketing")
        .order_by(Consent.member_id.desc(), Consent.at.desc(), Consent.id.desc())
    )


def newest_scores(program_id: UUID) -> Any:
    return (
        select(NpsAsk.member_id, NpsAsk.score)
        .ext(distinct_on(NpsAsk.member_id))
        .where(NpsAsk.program_id == program_id, NpsAsk.score.is_not(None))
        .order_by(NpsAsk.member_id, NpsAsk.answered_at.desc(), NpsAsk.id.desc())
    )


def got(campaign_id: UUID) -> Any:
    return select(CampaignRecipient.member_id).where(
        CampaignRecipient.campaign_id == campaign_id, CampaignRecipient.state == RecipientState.HANDED
    )


def answered(campaign_id: UUID) -> Any:
    """Who clicked, previews and scanners apart, or sent an SMS soon after."""
    reached = got(campaign_id)
    clicked = reached.join(LinkClick, LinkClick.recipient_number == CampaignRecipient.number).where(
        LinkClick.kind == ClickKind.PERSON
    )
    replied = reached.join(SmsMessage, SmsMessage.member_id == CampaignRecipient.member_id).where(
        SmsMessage.direction == Direction.IN,
        SmsMessage.created_at >= CampaignRecipient.handed_at,
        SmsMessage.created_at < CampaignRecipient.handed_at + literal(leaf.REPLY_DAYS * _A_DAY),
    )
    return select(union(clicked, replied).subquery("answers").c.member_id)
