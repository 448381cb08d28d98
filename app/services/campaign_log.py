"""Each recipient of a campaign: what became of them, to be read and to be taken along."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.orm import Session

from app.db.campaigns import CampaignRecipient, ClickKind, LinkClick, Medium, RecipientState
from app.db.messages import SmsMessage
from app.db.people import Member
from app.services import campaigns
from app.services.audit import record
from app.services.context import Actor, Context
from sms.delivery_states import State

PAGE = 50
_SLICE = 2_000  # rows that are read at once for a file


class Show(StrEnum):
    """Which recipients are shown."""

    ALL = "all"
    PLANNED = "planned"
    DELIVERED = "delivered"
    ON_CARD = "on-card"
    WAITING = "waiting"  # handed over, and not known to have arrived
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    HOLDOUT = "holdout"
    CLICKED = "clicked"


@dataclass(frozen=True, slots=True)
class LogRow:
    """One recipient. `at` is when it was handed over, or None. `sms` is how far the SMS got; None without one."""

    number: int
    member_id: UUID
    name: str
    phone: str
    variant: str
    medium: Medium
    state: RecipientState
    reason: str
    sms: State | None
    sms_reason: str
    at: datetime | None
    clicks: int
    parts: int


def page(
    ctx: Context, actor: Actor, campaign_id: UUID, show: Show = Show.ALL, reason: str = "", after: int = 0
) -> tuple[list[LogRow], bool]:
    """The next PAGE rows after the one with this number, and whether there are more. Raises Refused."""
    with ctx.sessions() as session:
        campaigns.own(session, actor, campaign_id)
        rows = _rows(session, campaign_id, show, reason, after, PAGE + 1)
    return rows[:PAGE], len(rows) > PAGE


def export(
    ctx: Context, actor: Actor, campaign_id: UUID, show: Show = Show.ALL, reason: str = ""
) -> Iterator[list[LogRow]]:
    """All rows, a slice at a time. It is written down who took them, before the first one. Raises Refused."""
    with ctx.sessions.begin() as session:
        campaigns.own(session, actor, campaign_id)
        record(session, actor, "campaign.exported", campaign_id, show=show.value, reason=reason)
    return _slices(ctx, campaign_id, show, reason)


def _slices(ctx: Context, campaign_id: UUID, show: Show, reason: str) -> Iterator[list[LogRow]]:
    after = 0
    while True:
        with ctx.sessions() as session:
            rows = _rows(session, campaign_id, show, reason, after, _SLICE)
        if rows:
            yield rows
        if len(rows) < _SLICE:
            return
        after = rows[-1].number


def _rows(session: Session, campaign_id: UUID, show: Show, reason: str, after: int, limit: int) -> list[LogRow]:
    query = _query().where(CampaignRecipient.campaign_id == campaign_id, CampaignRecipient.number > after, _shown(show))
    if reason:
        query = query.where(or_(CampaignRecipient.reason == reason, SmsMessage.reason == reason))
    return [LogRow(*row) for row in session.execute(query.order_by(CampaignRecipient.number).limit(limit))]


def _query() -> Select[*tuple[Any, ...]]:
    recipient = CampaignRecipient
    clicks = (
        select(func.count())
        .where(LinkClick.recipient_number == recipient.number, LinkClick.kind == ClickKind.PERSON)
        .scalar_subquery()
    )
    return (
        select(
            recipient.number,
            recipient.member_id,
            func.coalesce(Member.name, ""),
            func.coalesce(Member.phone, ""),
            recipient.variant,
            recipient.medium,
            recipient.state,
            recipient.reason,
            SmsMessage.state,
            func.coalesce(SmsMessage.reason, ""),
            recipient.handed_at,
            clicks,
            func.coalesce(SmsMessage.parts, 0),
        )
        .select_from(recipient)
        .outerjoin(Member, Member.id == recipient.member_id)
        .outerjoin(SmsMessage, SmsMessage.id == recipient.message_id)
    )


def _shown(show: Show) -> ColumnElement[bool]:
    recipient, sms = CampaignRecipient, SmsMessage.state
    match show:
        case Show.ALL:
            return true()
        case Show.PLANNED | Show.SKIPPED | Show.HOLDOUT:
            return recipient.state == RecipientState(show.value)
        case Show.ON_CARD:
            return and_(recipient.state == RecipientState.HANDED, recipient.message_id.is_(None))
        case Show.DELIVERED:
            return sms == State.DELIVERED
        case Show.WAITING:
            return sms.in_([State.QUEUED, State.SENDING, State.ACCEPTED, State.SENT])
        case Show.FAILED:
            return sms.in_([State.FAILED, State.UNDELIVERED])
        case Show.UNKNOWN:
            return sms == State.UNKNOWN
        case Show.CLICKED:
            opened = select(LinkClick.id).where(
                LinkClick.recipient_number == recipient.number, LinkClick.kind == ClickKind.PERSON
            )
            return opened.exists()
