"""Whether a message may go out at this very moment: consent, country, quiet hours, caps. Asked when it is begun, not
when it was planned."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.messages import Direction, SmsMessage
from app.db.people import Consent, Member, MemberStatus
from app.db.programs import Program
from app.logs import log
from app.loyalty.quiet_hours import day_after
from app.services import sms_rules, sms_spending
from app.services.sms_rules import Rules
from sms.delivery_states import State
from sms.reasons import Reason

# How often a programme that was stopped is looked at, should nobody ring when it goes on.
LOOK_AGAIN = timedelta(minutes=15)
# What has waited for so long is given up.
LONGEST_WAIT = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Held:
    """Not yet: look again at this moment."""

    until: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """Not at all."""

    reason: Reason


def let_through(session: Session, message: SmsMessage, parts: int, now: datetime) -> Held | Refusal | None:
    """Count this message on its day, and let it go: None. Or say why it has to wait, or may not go."""
    program = session.get_one(Program, message.program_id)
    rules = sms_rules.of(session, program)
    if message.marketing and not _is_wanted(session, message):
        return Refusal(Reason.OPTED_OUT)
    if not rules.allow(message.phone):
        return Refusal(Reason.COUNTRY)
    held = _held(session, program, rules, message, parts, now)
    if isinstance(held, Held) and now - message.created_at >= LONGEST_WAIT:
        return Refusal(held.reason)
    return held


def _held(
    session: Session, program: Program, rules: Rules, message: SmsMessage, parts: int, now: datetime
) -> Held | Refusal | None:
    if rules.stopped_at is not None:
        return Held(now + LOOK_AGAIN, Reason.PUMPING)
    if message.marketing and (opens := rules.quiet.held_until(now)) is not None:
        return Held(opens, Reason.QUIET_HOURS)
    cost = rules.cost_micro(message.phone, parts)
    day = sms_spending.locked_day(session, program, now)
    if _sent_today(session, program, message.phone, now) >= rules.number_daily_cap:
        log().warning("sms.number_cap_reached", program=str(program.id), message=str(message.id))
        return Refusal(Reason.NUMBER_CAP)
    if not sms_spending.fits(rules, day, cost, marketing=message.marketing):
        if not day.held:
            log().error("sms.daily_cap_reached", program=str(program.id))
        day.held += 1
        tomorrow = day_after(now, program.time_zone)
        return Held(rules.quiet.held_until(tomorrow) or tomorrow, Reason.DAILY_CAP)
    day.messages, day.parts, day.cost_micro = day.messages + 1, day.parts + parts, day.cost_micro + cost
    message.parts, message.cost_micro = parts, cost
    return None


def _is_wanted(session: Session, message: SmsMessage) -> bool:
    """An offer to nobody's number is what somebody of the staff has taken upon them."""
    if message.member_id is None:
        return True
    member = session.get_one(Member, message.member_id)
    return member.status is MemberStatus.ACTIVE and wants_offers(session, member.id)


def wants_offers(session: Session, member_id: UUID) -> bool:
    """Whether the member's newest word about offers by SMS is yes."""
    newest = session.scalars(
        select(Consent.granted)
        .where(Consent.member_id == member_id, Consent.purpose == "sms_marketing")
        .order_by(Consent.at.desc(), Consent.id.desc())
        .limit(1)
    ).one_or_none()
    return bool(newest)


def _sent_today(session: Session, program: Program, phone: str, now: datetime) -> int:
    """How many messages this number has got today, or may have got. Of the newest ones: it is a small number."""
    midnight = now.astimezone(ZoneInfo(program.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    count = select(func.count()).where(
        SmsMessage.phone == phone,
        SmsMessage.program_id == program.id,
        SmsMessage.direction == Direction.OUT,
        SmsMessage.state != State.QUEUED,
        SmsMessage.sent_at >= midnight,
    )
    return session.scalar(count) or 0


def waits_until(session: Session, messages: Collection[SmsMessage]) -> dict[UUID, datetime]:
    """When those of these messages that are held are looked at again."""
    held = [message.id for message in messages if message.state is State.QUEUED and message.reason]
    if not held:
        return {}
    waiting = OutboxRow.state == literal(OutboxState.WAITING, OutboxRow.state.type, literal_execute=True)
    query = select(OutboxRow.subject_id, OutboxRow.due_at).where(
        OutboxRow.channel == Channel.SMS, waiting, OutboxRow.subject_id.in_(held)
    )
    return {row.subject_id: row.due_at for row in session.execute(query)}
