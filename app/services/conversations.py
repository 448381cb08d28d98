"""The SMS between a shop and each of its people, as staff read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session, aliased
from uuid_utils.compat import uuid7

from app import clock
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.messages import Direction, SmsMessage
from app.db.people import Consent, Member, MemberStatus, Staff
from app.i18n import N_
from app.services import sms_gate, sms_sending
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.delivery_reasons import in_words
from app.services.errors import Refused
from sms.delivery_states import State
from sms.reasons import MEANINGS, Reason

PAGE = 30
SHOWN = 200  # messages of one conversation; older ones are kept, but nobody scrolls so far


@dataclass(frozen=True, slots=True)
class Conversation:
    """A person's newest message. `id` is that message's; `member_id` and `name` are None and '' for a stranger."""

    id: UUID
    member_id: UUID | None
    name: str
    phone: str
    text: str
    inbound: bool
    state: State | None
    flagged: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message. `why` is English, to be translated; `retry_row` is the outbox row that may be tried again. The cost
    is in millionths of the programme's currency unit; `waits_until` is when a message that is held is looked at."""

    id: UUID
    inbound: bool
    text: str
    language: str
    state: State | None
    why: str
    parts: int | None
    cost_micro: int | None
    waits_until: datetime | None
    marketing: bool
    flagged: bool
    staff: str
    at: datetime
    retry_row: int | None


@dataclass(frozen=True, slots=True)
class Thread:
    """The messages with one person, the oldest first. `key_id` is a message of theirs (None before the first)."""

    phone: str
    member_id: UUID | None
    name: str
    wants_offers: bool
    bubbles: list[Bubble]
    key_id: UUID | None

    @property
    def flagged(self) -> bool:
        return any(bubble.flagged for bubble in self.bubbles)


def flagged(ctx: Context, actor: Actor) -> list[Conversation]:
    """Conversations in which somebody asks, in a sentence of their own, for no more messages."""
    query = (
        select(SmsMessage)
        .where(SmsMessage.program_id == actor.program_id, SmsMessage.flagged, _with_somebody())
        .order_by(SmsMessage.id.desc())
        .limit(SHOWN)
    )
    with ctx.sessions() as session:
        newest: dict[str, SmsMessage] = {}
        for message in session.scalars(query):
            newest.setdefault(message.phone, message)
        return _conversations(ctx, session, list(newest.values()))


def given_up(ctx: Context, actor: Actor) -> int:
    """How many messages did not go out and are not tried any more."""
    count = select(func.count()).where(
        OutboxRow.program_id == actor.program_id,
        OutboxRow.state == OutboxState.DEAD,
        OutboxRow.channel == Channel.SMS,
    )
    with ctx.sessions() as session:
        return session.scalar(count) or 0


def every(ctx: Context, actor: Actor, after: UUID | None = None) -> tuple[list[Conversation], UUID | None]:
    """A page of conversations, the newest first, and where the next one begins, if there is one.

    Goes from message to message backwards, and so costs the same however many there are.
    """
    newer = aliased(SmsMessage)
    is_newest = ~(
        select(newer.id)
        .where(newer.phone == SmsMessage.phone, newer.program_id == SmsMessage.program_id, newer.id > SmsMessage.id)
        .exists()
    )
    query = select(SmsMessage).where(SmsMessage.program_id == actor.program_id, is_newest, _with_somebody())
    if after is not None:
        query = query.where(SmsMessage.id < after)
    with ctx.sessions() as session:
        rows = list(session.scalars(query.order_by(SmsMessage.id.desc()).limit(PAGE + 1)))
        page = _conversations(ctx, session, rows[:PAGE])
        return page, (page[-1].id if len(rows) > PAGE else None)


def _with_somebody() -> ColumnElement[bool]:
    """Not of somebody who was erased, nor so old that its number is forgotten."""
    return SmsMessage.phone.startswith("+")


def with_member(ctx: Context, actor: Actor, member_id: UUID) -> Thread:
    """The conversation with a member. Raises Refused (404) for another programme's."""
    with ctx.sessions() as session:
        return _thread(ctx, session, actor, _member(session, actor, member_id).phone)


def with_sender(ctx: Context, actor: Actor, message_id: UUID) -> Thread:
    """The conversation that this message belongs to. Raises Refused (404)."""
    with ctx.sessions() as session:
        return _thread(ctx, session, actor, _message(session, actor, message_id).phone)


def settle(ctx: Context, actor: Actor, thread: Thread, *, stop_offers: bool) -> None:
    """Somebody has read what was flagged, and decided whether it means: no more offers."""
    with ctx.sessions.begin() as session:
        words = session.scalars(
            update(SmsMessage)
            .where(SmsMessage.program_id == actor.program_id, SmsMessage.phone == thread.phone, SmsMessage.flagged)
            .values(flagged=False)
            .returning(SmsMessage.text)
        ).all()
        if thread.member_id is None or not words:
            return
        record(session, actor, "sms.read", thread.member_id)
        if stop_offers and sms_gate.wants_offers(session, thread.member_id):
            session.add(
                Consent(
                    id=uuid7(),
                    member_id=thread.member_id,
                    purpose="sms_marketing",
                    granted=False,
                    source="office",
                    wording="\n".join(words),
                    at=clock.now(),
                )
            )
            record(session, actor, "consent.stopped", thread.member_id)


def _conversations(ctx: Context, session: Session, newest: list[SmsMessage]) -> list[Conversation]:
    members, dead = _members_of(session, newest), _dead(session, newest)
    found = []
    for message in newest:
        member = members.get(message.phone)
        found.append(
            Conversation(
                id=message.id,
                member_id=member.id if member else None,
                name=member.name if member else "",
                phone=message.phone,
                text=sms_sending.body_of(ctx, session, message, hide_link=True),
                inbound=message.direction is Direction.IN,
                state=_shown_state(message, dead.get(message.id)),
                flagged=message.flagged,
                at=message.created_at,
            )
        )
    return found


def _members_of(session: Session, messages: list[SmsMessage]) -> dict[str, Member]:
    """The people behind these messages, by number."""
    if not messages:
        return {}
    phones = {message.phone for message in messages}
    query = select(Member).where(Member.program_id == messages[0].program_id, Member.phone.in_(phones))
    return {member.phone: member for member in session.scalars(query).unique()}


def _thread(ctx: Context, session: Session, actor: Actor, phone: str) -> Thread:
    member = (
        session.scalars(select(Member).where(Member.program_id == actor.program_id, Member.phone == phone))
        .unique()
        .one_or_none()
    )
    newest = session.scalars(
        select(SmsMessage)
        .where(SmsMessage.program_id == actor.program_id, SmsMessage.phone == phone)
        .order_by(SmsMessage.id.desc())
        .limit(SHOWN)
    ).all()
    dead, waiting = _dead(session, newest), sms_gate.waits_until(session, newest)
    authors = {
        person.id: person.name
        for person in session.scalars(
            select(Staff).where(Staff.id.in_([message.staff_id for message in newest if message.staff_id]))
        )
    }
    active = member is not None and member.status is MemberStatus.ACTIVE
    return Thread(
        phone=phone,
        member_id=member.id if member else None,
        name=member.name if member else "",
        wants_offers=bool(member and active and sms_gate.wants_offers(session, member.id)),
        bubbles=[
            _bubble(
                ctx,
                session,
                message,
                dead.get(message.id),
                waiting.get(message.id),
                authors.get(message.staff_id, "") if message.staff_id else "",
            )
            for message in reversed(newest)
        ],
        key_id=newest[0].id if newest else None,
    )


def _bubble(
    ctx: Context, session: Session, message: SmsMessage, dead: OutboxRow | None, waits: datetime | None, author: str
) -> Bubble:
    # A message that may have got through is never offered to be sent again.
    certainly_unsent = dead is not None and message.state is State.QUEUED
    return Bubble(
        id=message.id,
        inbound=message.direction is Direction.IN,
        text=sms_sending.body_of(ctx, session, message, hide_link=True),
        language=message.language,
        state=_shown_state(message, dead),
        why=_why(message, dead),
        parts=message.parts,
        cost_micro=message.cost_micro,
        waits_until=waits,
        marketing=message.marketing,
        flagged=message.flagged,
        staff=author,
        at=message.created_at,
        retry_row=dead.id if dead is not None and certainly_unsent else None,
    )


def _why(message: SmsMessage, dead: OutboxRow | None) -> str:
    if message.reason:
        known = message.reason in Reason._value2member_map_
        return MEANINGS[Reason(message.reason) if known else Reason.UNKNOWN].words
    return in_words(Channel.SMS, dead.error) if dead is not None else ""


def _dead(session: Session, messages: Sequence[SmsMessage]) -> dict[UUID, OutboxRow]:
    """Those of these messages that are not tried any more, with the outbox rows that say why."""
    query = select(OutboxRow).where(
        OutboxRow.channel == Channel.SMS,
        OutboxRow.state == OutboxState.DEAD,
        OutboxRow.subject_id.in_([message.id for message in messages]),
        OutboxRow.program_id.in_({message.program_id for message in messages}),  # as its index has it
    )
    return {row.subject_id: row for row in session.scalars(query)}


def _shown_state(message: SmsMessage, dead: OutboxRow | None) -> State | None:
    """What still waits, but is not tried any more, has failed for everybody who reads it."""
    return State.FAILED if dead is not None and message.state is State.QUEUED else message.state


def _member(session: Session, actor: Actor, member_id: UUID) -> Member:
    member = session.get(Member, member_id)
    if member is None or member.program_id != actor.program_id:
        raise Refused("member-not-found", N_("No member has this card or number."), status=404)
    return member


def _message(session: Session, actor: Actor, message_id: UUID) -> SmsMessage:
    message = session.get(SmsMessage, message_id)
    if message is None or message.program_id != actor.program_id:
        raise Refused("message-not-found", N_("There is no such message."), status=404)
    return message
