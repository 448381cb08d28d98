"""Whether a recipient of a campaign may get it at this very moment: asked when it is handed over, not when it was
planned."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from app.db.campaigns import Campaign, CampaignRecipient, CampaignRun, CampaignState, Medium, RecipientState, RunPhase
from app.db.messages import Direction, SmsMessage
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.services import campaign_rules, sms_rules
from app.services.campaign_choosing import NO_CONSENT, OFTEN, offers_got, wants_offers
from sms.delivery_states import State

# Why somebody who was planned gets nothing after all. More of them: campaign_choosing.
LEFT, BLOCKED, ERASED, NUMBER_CHANGED = "left", "blocked", "erased", "number-changed"
COUNTRY, NUMBER_CAP = "country", "number-cap"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recipient whose turn it is, as the database has them now. `reason` is empty when they may get it."""

    number: int
    member_id: UUID
    token: str
    variant: str
    medium: Medium
    phone: str
    language: str
    reason: str


def candidates(session: Session, program: Program, run: CampaignRun, limit: int, now: datetime) -> list[Candidate]:
    """The next recipients of the run, which no other worker takes until this transaction ends; nobody when the campaign
    does not run."""
    rules = sms_rules.of(session, program)
    offers = campaign_rules.of(session, program.id)
    rows = session.execute(_next(program, run.id, limit, now, offers))
    return [
        Candidate(
            row.number,
            row.member_id,
            row.token,
            row.variant,
            Medium(row.medium),
            row.phone or "",
            row.language or "",
            _reason(row, rules, offers.most_offers),
        )
        for row in rows
    ]


def _next(
    program: Program, run_id: UUID, limit: int, now: datetime, offers: campaign_rules.Rules
) -> Select[*tuple[Any, ...]]:
    one = CampaignRecipient
    return (
        select(
            one.number,
            one.member_id,
            one.token,
            one.variant,
            one.medium,
            Member.status,
            Member.phone,
            Member.language,
            (func.hashtextextended(Member.phone, 0) == one.phone_check).label("same_number"),
            wants_offers(one.member_id).label("wants_offers"),
            offers_got(one.member_id, offers, now).label("offers"),
            _sent_today(program, now).label("sent_today"),
        )
        .join(CampaignRun, CampaignRun.id == one.run_id)
        .join(Campaign, Campaign.id == one.campaign_id)
        .outerjoin(Member, Member.id == one.member_id)
        .where(
            one.run_id == run_id,
            one.state == RecipientState.PLANNED.value,
            one.due_at <= now,
            CampaignRun.phase == RunPhase.SENDING,
            Campaign.state == CampaignState.RUNNING,
        )
        .order_by(one.due_at, one.number)
        .limit(limit)
        .with_for_update(of=one, skip_locked=True)
    )


def _sent_today(program: Program, now: datetime) -> ColumnElement[int]:
    """How many messages the member's number has got today."""
    midnight = now.astimezone(ZoneInfo(program.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (
        select(func.count())
        .select_from(SmsMessage)
        .where(
            SmsMessage.phone == Member.phone,
            SmsMessage.program_id == program.id,
            SmsMessage.direction == Direction.OUT,
            SmsMessage.state != State.QUEUED,
            SmsMessage.sent_at >= midnight,
        )
        .correlate(Member)
        .scalar_subquery()
    )


def _reason(row: Any, rules: sms_rules.Rules, most_offers: int) -> str:
    if row.status is None or not row.phone.startswith("+"):
        return ERASED
    if row.status is not MemberStatus.ACTIVE:
        return LEFT if row.status is MemberStatus.LEFT else BLOCKED
    if row.offers >= most_offers:
        return OFTEN
    if row.medium is Medium.WALLET:
        return ""
    if not row.same_number:
        return NUMBER_CHANGED
    if not row.wants_offers:
        return NO_CONSENT
    if not rules.allow(row.phone):
        return COUNTRY
    return NUMBER_CAP if row.sent_today >= rules.number_daily_cap else ""
