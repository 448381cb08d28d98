"""Sending SMS: a message and the outbox row that announces it are one transaction; a job hands it to the provider.

A send is not idempotent. So a message is `sending` before the provider is asked, and one whose outcome nobody knows is
looked for at the provider before it is sent again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.delivery import Channel
from app.db.messages import Direction, SmsEvent, SmsMessage
from app.db.people import Consent, MemberCard
from app.db.programs import Program
from app.logs import log
from app.services import (
    campaign_messages,
    card_links,
    credit_sms,
    nps_sms,
    one_time_codes,
    outbox,
    sms_gate,
    sms_rules,
    sms_spending,
    sms_texts,
)
from app.services.context import Context
from app.services.sms_gate import Held, Refusal
from sms.delivery_states import FINAL, State, later
from sms.provider import OutgoingMessage
from sms.reasons import Reason
from sms.text import count_parts, downgraded
from sms.twilio_webhooks import StatusReport

# Reports come within seconds. What none has come for after this time is asked about at the provider.
ASK_AFTER = timedelta(minutes=10)
# Before these a message is ours; whatever the provider reports settles it.
_IN_OUR_HANDS = (State.QUEUED, State.SENDING, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A message that this worker is about to hand over. `begun_at` tells this try from any other one.

    `in_doubt`: an earlier try, of that moment, may have got through. `planned_at` is before every try.
    """

    message_id: UUID
    outgoing: OutgoingMessage
    parts: int
    begun_at: datetime
    planned_at: datetime
    in_doubt: bool


def grace(ctx: Context) -> timedelta:
    """How long a provider may take to list a message that it has taken."""
    return timedelta(seconds=ctx.settings.sms_grace_seconds)


def queue(
    session: Session,
    program: Program,
    phone: str,
    *,
    language: str,
    template: str = "",
    params: Mapping[str, object] | None = None,
    text: str = "",
    member_id: UUID | None = None,
    staff_id: UUID | None = None,
    marketing: bool = False,
) -> SmsMessage:
    """Have a message sent after the caller's transaction commits."""
    now = clock.now()
    message = SmsMessage(
        id=uuid7(),
        program_id=program.id,
        member_id=member_id,
        staff_id=staff_id,
        direction=Direction.OUT,
        phone=phone,
        language=language,
        template=template,
        params=dict(params or {}),
        text=text,
        marketing=marketing,
        state=State.QUEUED,
        created_at=now,
    )
    session.add(message)
    session.flush()
    outbox.announce(session, Channel.SMS, program.id, message.id, now)
    return message


def body_of(ctx: Context, session: Session, message: SmsMessage, *, hide_link: bool = False) -> str:
    """The message as it is sent, or, with `hide_link`, as staff may read it."""
    if not message.template:
        return message.text
    program = session.get_one(Program, message.program_id)
    if message.template == sms_texts.CREDIT:
        return credit_sms.body(ctx, session, program, message, hide_code=hide_link)
    if message.template == sms_texts.CAMPAIGN:
        return campaign_messages.body(ctx, session, program, message, hide_link=hide_link)
    if message.template == sms_texts.NPS:
        return nps_sms.body(ctx, session, program, message, hide_link=hide_link)
    link = sms_texts.HIDDEN_LINK if hide_link else _link(ctx, session, message)
    given = {"program": program.name, "contact": program.contact_text.split("\n")[0], "link": link}
    if message.template in (sms_texts.ONE_TIME, sms_texts.ERASE_CODE):
        given["code"] = sms_texts.HIDDEN_CODE if hide_link else one_time_codes.of_message(ctx, session, message.params)
    return sms_texts.render(message.template, message.language, given | message.params)


def _link(ctx: Context, session: Session, message: SmsMessage) -> str:
    card = session.scalars(select(MemberCard).where(MemberCard.member_id == message.member_id)).one_or_none()
    if card is None:
        return ""
    if message.template == sms_texts.FRESH_LINK:
        return card_links.fresh(ctx, card, message.params)
    return f"{ctx.settings.base_url}/c/{ctx.derived_token('card-link', card.id, card.link_generation)}"


def begin(ctx: Context, message_id: UUID) -> Attempt | Held | None:
    """Make the message `sending`, before the provider is asked. None when there is nothing to send (any more).

    One that was `sending` or `unknown` already may have got through: it stays as it is, and is in doubt.
    """
    now = clock.now()
    with ctx.sessions.begin() as session:
        message = session.get(SmsMessage, message_id, with_for_update=True)
        if message is None or message.state not in _IN_OUR_HANDS:
            return None
        in_doubt = message.state is not State.QUEUED
        if not message.phone.startswith("+"):  # whose it is was erased, or is forgotten
            if not in_doubt:
                _refuse(message, Reason.ERASED)
            return None
        if not in_doubt and message.template == sms_texts.CREDIT and credit_sms.is_over(session, message):
            _refuse(message, Reason.OUTDATED)
            return None
        if not in_doubt and message.template == sms_texts.CAMPAIGN:
            campaign = campaign_messages.standing(session, message, now)
            if campaign.stopped:
                _refuse(message, Reason.CAMPAIGN_STOPPED)
                return None
            if campaign.held_until:
                message.reason = Reason.CAMPAIGN_PAUSED
                return Held(campaign.held_until, Reason.CAMPAIGN_PAUSED)
        body = downgraded(body_of(ctx, session, message))
        parts = count_parts(body).parts
        if not in_doubt:
            match sms_gate.let_through(session, message, parts, now):
                case Held() as held:
                    message.reason = held.reason
                    log().info("sms.held", message=str(message.id), reason=held.reason)
                    return held
                case Refusal(reason):
                    _refuse(message, reason)
                    return None
            message.state, message.provider, message.sent_at = State.SENDING, ctx.sms.name, now
            message.reason = message.code = ""
        outgoing = OutgoingMessage(message.phone, body, str(message.id))
        return Attempt(message.id, outgoing, parts, message.sent_at or now, message.created_at, in_doubt)


def _refuse(message: SmsMessage, reason: Reason) -> None:
    message.state, message.reason = State.FAILED, reason
    log().warning("sms.refused", message=str(message.id), reason=reason)


def not_taken(ctx: Context, attempt: Attempt, state: State, reason: str = "", code: str = "") -> bool:
    """The provider certainly did not take it: it waits for another try (`queued`), or has failed.

    False, and nothing is changed, when it is another worker's by now, or the provider has reported of it.
    """
    with ctx.sessions.begin() as session:
        message = session.get(SmsMessage, attempt.message_id, with_for_update=True)
        if message is None or message.state not in _IN_OUR_HANDS or message.sent_at != attempt.begun_at:
            return False
        if message.state is State.QUEUED:
            return False
        message.state, message.reason, message.code = state, reason, code
        less = {"parts": -(message.parts or 0), "cost_micro": -(message.cost_micro or 0)}
        sms_spending.change(session, message, messages=-1, **less)
        message.parts = message.cost_micro = None
        if reason == Reason.PUMPING:
            _stop(session, message)
        return True


def advance(
    ctx: Context,
    message_id: UUID,
    state: State,
    *,
    provider_id: str | None = None,
    parts: int | None = None,
    reason: str = "",
    code: str = "",
    report: Mapping[str, object] | None = None,
) -> bool:
    """Note what became of a message. Reports come late, twice and in any order: the higher rank stays, and nothing
    that is known is wiped out. False when there is no such message."""
    with ctx.sessions.begin() as session:
        message = session.get(SmsMessage, message_id, with_for_update=True)
        if message is None or message.direction is not Direction.OUT:
            return False
        before = message.state or State.QUEUED
        message.state = later(before, state)
        if before in _IN_OUR_HANDS and message.state not in _IN_OUR_HANDS:
            message.reason = message.code = ""  # of a try before this one
            message.ask_at = clock.now() + ASK_AFTER if ctx.sms.fetches_messages else None
        if message.state in FINAL:
            message.ask_at = None
        if reason == Reason.PUMPING and message.reason != reason:
            _stop(session, message)
        message.provider_id = provider_id or message.provider_id
        message.reason, message.code = reason or message.reason, code or message.code
        if message.state is State.DELIVERED:
            message.reason = message.code = ""
        _count_parts(session, message, parts)
        if report is not None:
            session.add(SmsEvent(message_id=message.id, at=clock.now(), report=dict(report)))
        return True


def _count_parts(session: Session, message: SmsMessage, parts: int | None) -> None:
    """The provider may count other parts than we have."""
    if not parts or parts == message.parts or message.program_id is None:
        return
    rules = sms_rules.of(session, session.get_one(Program, message.program_id))
    cost = rules.cost_micro(message.phone, parts)
    more = {"parts": parts - (message.parts or 0), "cost_micro": cost - (message.cost_micro or 0)}
    sms_spending.change(session, message, messages=0, **more)
    message.parts, message.cost_micro = parts, cost


def _stop(session: Session, message: SmsMessage) -> None:
    if message.program_id is not None:
        sms_rules.stop(session, message.program_id)
        log().error("sms.stopped", program=str(message.program_id), reason=Reason.PUMPING)


def reported(ctx: Context, message_id: UUID, report: StatusReport, raw: Mapping[str, str]) -> bool:
    """Note a provider's report. The message's own words and numbers are left out of what is kept."""
    kept = {name: value for name, value in raw.items() if name not in ("To", "From", "Body")}
    reason = report.reason.value if report.reason else ""
    known = advance(
        ctx,
        message_id,
        report.state or State.QUEUED,
        provider_id=report.message_sid,
        reason=reason,
        code=report.error_code or "",
        report=kept,
    )
    if known and report.reason is Reason.OPTED_OUT:
        record_opt_out(ctx, message_id)
    return known


def known_already(ctx: Context, provider_ids: Collection[str]) -> set[str]:
    """Those of the provider's messages that are messages of ours already."""
    with ctx.sessions() as session:
        known = session.scalars(select(SmsMessage.provider_id).where(SmsMessage.provider_id.in_(provider_ids)))
        return {provider_id for provider_id in known if provider_id}


def record_opt_out(ctx: Context, message_id: UUID) -> None:
    """The provider says that this person wants nothing more from us: note it as if they had told us."""
    with ctx.sessions.begin() as session:
        message = session.get_one(SmsMessage, message_id)
        if message.member_id is not None and sms_gate.wants_offers(session, message.member_id):
            session.add(
                Consent(
                    id=uuid7(),
                    member_id=message.member_id,
                    purpose="sms_marketing",
                    granted=False,
                    source="provider",
                    wording="",
                    at=clock.now(),
                )
            )
