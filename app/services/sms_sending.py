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
from app.db.people import Consent, Member, MemberCard, MemberStatus
from app.db.programs import Program
from app.services import outbox, sms_texts
from app.services.context import Context
from sms.delivery_states import State, later
from sms.provider import OutgoingMessage
from sms.reasons import Reason
from sms.text import downgraded
from sms.twilio_webhooks import StatusReport

# How long a provider may take to list a message that it has taken.
GRACE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A message that this worker is about to hand over. `tried_at`: when an earlier try may have got through."""

    message_id: UUID
    outgoing: OutgoingMessage
    tried_at: datetime | None


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
    link = sms_texts.HIDDEN_LINK if hide_link else _link(ctx, session, message.member_id)
    given = {"program": program.name, "contact": program.contact_text.split("\n")[0], "link": link}
    return sms_texts.render(message.template, message.language, given | message.params)


def _link(ctx: Context, session: Session, member_id: UUID | None) -> str:
    card = session.scalars(select(MemberCard).where(MemberCard.member_id == member_id)).one_or_none()
    if card is None:
        return ""
    return f"{ctx.settings.base_url}/c/{ctx.derived_token('card-link', card.id, card.link_generation)}"


def begin(ctx: Context, message_id: UUID) -> Attempt | None:
    """Make the message `sending`, before the provider is asked. None when there is nothing to send (any more).

    A message that was `sending` or `unknown` already may have got through: the attempt says since when to look for it.
    """
    now = clock.now()
    with ctx.sessions.begin() as session:
        message = session.get(SmsMessage, message_id, with_for_update=True)
        if message is None or message.state not in (State.QUEUED, State.SENDING, State.UNKNOWN):
            return None
        if why_not := _obstacle(session, message):
            message.state, message.reason = State.FAILED, why_not
            return None
        tried_at = message.sent_at if message.state is not State.QUEUED else None
        message.state, message.provider = State.SENDING, ctx.sms.name
        message.sent_at = message.sent_at or now
        body = downgraded(body_of(ctx, session, message))
        return Attempt(message.id, OutgoingMessage(message.phone, body, str(message.id)), tried_at)


def _obstacle(session: Session, message: SmsMessage) -> str:
    """Why a message may not be sent at this moment: consent may have ended since it was planned."""
    if message.member_id is None or not message.marketing:
        return ""
    member = session.get_one(Member, message.member_id)
    if member.status is not MemberStatus.ACTIVE or not wants_offers(session, member.id):
        return Reason.OPTED_OUT
    return ""


def wants_offers(session: Session, member_id: UUID) -> bool:
    """Whether the member's newest word about offers by SMS is yes."""
    newest = session.scalars(
        select(Consent.granted)
        .where(Consent.member_id == member_id, Consent.purpose == "sms_marketing")
        .order_by(Consent.at.desc(), Consent.id.desc())
        .limit(1)
    ).one_or_none()
    return bool(newest)


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
        message.state = later(message.state or State.QUEUED, state)
        message.provider_id = provider_id or message.provider_id
        message.parts = parts or message.parts
        message.reason, message.code = reason or message.reason, code or message.code
        if message.state is State.DELIVERED:
            message.reason = message.code = ""
        if report is not None:
            session.add(SmsEvent(message_id=message.id, at=clock.now(), report=dict(report)))
        return True


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


def back_to_queue(ctx: Context, message_id: UUID, reason: str, code: str) -> None:
    """The provider certainly did not take it: it waits for another try."""
    with ctx.sessions.begin() as session:
        message = session.get(SmsMessage, message_id, with_for_update=True)
        if message is not None and message.state is State.SENDING:
            message.state, message.reason, message.code = State.QUEUED, reason, code


def record_opt_out(ctx: Context, message_id: UUID) -> None:
    """The provider says that this person wants nothing more from us: note it as if they had told us."""
    with ctx.sessions.begin() as session:
        message = session.get_one(SmsMessage, message_id)
        if message.member_id is not None and wants_offers(session, message.member_id):
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
