"""Messages that the provider has taken and never reported of: it is asked, less and less often, for three days.

And those of campaigns of which nobody knows whether it has taken them: the SMS channel looks for them.
"""

import time
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update

from app import clock
from app.db.delivery import Channel
from app.db.messages import SmsMessage
from app.logs import log
from app.services import outbox, sms_sending, tasks
from app.services.context import Context
from sms.delivery_states import FINAL, State
from sms.provider import SmsError

KIND = "sms.ask"
# One task for the whole installation: its provider is asked about one message after the other.
TASK_ID = UUID("0192f3a0-5c1e-7a53-9d27-736d732e6173")
ASK_FOR = timedelta(days=3)
BATCH = 20
_IN_DOUBT = (State.SENDING, State.UNKNOWN)


def wake(ctx: Context) -> None:
    """Have the provider asked, if there is something to ask about."""
    due = select(SmsMessage.program_id).where(SmsMessage.ask_at <= clock.now()).order_by(SmsMessage.ask_at).limit(1)
    with ctx.sessions.begin() as session:
        program_id = session.scalar(due)
        if program_id is not None:
            tasks.start(session, program_id, KIND, TASK_ID)


def ask(ctx: Context, _task_id: UUID, until: float) -> bool:
    """A slice of the task. True when nothing is left to ask about now, or the provider cannot be asked."""
    while True:
        with ctx.sessions() as session:
            query = select(
                SmsMessage.id, SmsMessage.provider, SmsMessage.provider_id, SmsMessage.sent_at, SmsMessage.state
            )
            due = session.execute(
                query.where(SmsMessage.ask_at <= clock.now()).order_by(SmsMessage.ask_at).limit(BATCH)
            ).all()
        if not due:
            return True
        for message_id, provider, provider_id, sent_at, state in due:
            if state in _IN_DOUBT:
                look_for(ctx, message_id)
                continue
            # Planned before it is asked: should this worker be killed here each time, others get their turn.
            _plan_next(ctx, message_id, sent_at)
            if provider == ctx.sms.name and provider_id and ctx.sms.fetches_messages:
                try:
                    _ask(ctx, message_id, provider_id)
                except SmsError as error:
                    log().warning("sms.not_told", provider=provider, reason=error.code)
                    return True
            if time.monotonic() >= until:
                return False


def look_for(ctx: Context, message_id: UUID) -> None:
    """Have the SMS channel find out at the provider what became of this one, as it does with its own."""
    with ctx.sessions.begin() as session:
        message = session.get(SmsMessage, message_id, with_for_update=True)
        if message is None:  # a campaign's try that was forgotten meanwhile
            return
        message.ask_at = None
        if message.state in _IN_DOUBT and message.program_id is not None:
            outbox.announce(session, Channel.SMS, message.program_id, message.id, clock.now())


def _plan_next(ctx: Context, message_id: UUID, sent_at: datetime | None) -> None:
    """The older the message, the longer the pause: it doubles its age."""
    now = clock.now()
    age = now - (sent_at or now - ASK_FOR)
    ask_at = now + max(age, sms_sending.ASK_AFTER) if age < ASK_FOR else None
    with ctx.sessions.begin() as session:
        session.execute(update(SmsMessage).where(SmsMessage.id == message_id).values(ask_at=ask_at))


def _ask(ctx: Context, message_id: UUID, provider_id: str) -> None:
    found = ctx.sms.fetch(provider_id)
    if found is None:
        log().warning("sms.unknown_to_provider", message=str(message_id))
        return
    reason = found.reason.value if found.reason else ""
    state = found.state or State.ACCEPTED
    sms_sending.advance(ctx, message_id, state, parts=found.parts, reason=reason, code=found.error_code or "")
    log().info("sms.asked", message=str(message_id), state=state, final=state in FINAL)
