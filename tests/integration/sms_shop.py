"""A shop whose SMS go through the Twilio stand-in, and the worker's part done by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import select, update

from app import clock
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.messages import SmsMessage
from app.jobs import sms as sms_job
from app.jobs.outcome import Outcome
from app.services import outbox, sms_incoming, sms_sending
from app.services.context import Context
from app.services.sms_incoming import Incoming
from sandbox.twilio import TwilioSandbox
from sms.quick_line import QuickLine
from sms.twilio import TwilioProvider
from sms.twilio_webhooks import WebhookKeys
from tests.factories import Shop


@dataclass
class SmsShop:
    """`paced` holds the parts of every message that waited for its turn."""

    ctx: Context
    shop: Shop
    twilio: TwilioSandbox
    paced: list[int] = field(default_factory=list)
    texts: int = 0

    def deliver(self) -> list[Outcome]:
        """Hand over what is due, and record it, as the worker does."""
        rows = outbox.claim(self.ctx, Channel.SMS, 100)
        outcomes = sms_job.send_messages(self.ctx, self.paced.append, rows)
        outbox.told(self.ctx, [outcome.row for outcome in outcomes if not outcome.error])
        for outcome in outcomes:
            if outcome.error:
                outbox.failed(
                    self.ctx,
                    outcome.row,
                    outcome.error,
                    permanent=outcome.permanent,
                    retry_after=outcome.retry_after,
                )
        return outcomes

    def crash(self) -> None:
        """Claim what is due and begin, and then nothing: the worker was killed, and its lease has run out."""
        for row in outbox.claim(self.ctx, Channel.SMS, 100):
            sms_sending.begin(self.ctx, row.subject_id)
        self.due()

    def due(self) -> None:
        """Make every row due now."""
        with self.ctx.sessions.begin() as session:
            session.execute(
                update(OutboxRow)
                .where(OutboxRow.state != OutboxState.DEAD)
                .values(due_at=OutboxRow.created_at - timedelta(seconds=1))
            )

    def text(self, body: str, phone: str = "+358401239999", sid: str = "") -> None:
        """Somebody texts the shop."""
        self.texts += 1
        sms_incoming.receive(self.ctx, Incoming("console", sid or f"SM{self.texts:032}", phone, body))

    def message(self, message_id: UUID) -> SmsMessage:
        with self.ctx.sessions() as session:
            return session.get_one(SmsMessage, message_id)

    def messages(self, phone: str) -> list[SmsMessage]:
        """All messages from and to this number, the oldest first."""
        with self.ctx.sessions() as session:
            query = select(SmsMessage).where(SmsMessage.phone == phone).order_by(SmsMessage.id)
            return list(session.scalars(query))

    def on_phone(self, phone: str = "+358401239999") -> list[str]:
        """What arrived at this phone: the proof that nobody gets a message twice."""
        return [message.body for message in self.twilio.messages.of(phone) if message.to == phone]

    def waiting(self) -> int:
        with self.ctx.sessions() as session:
            return len(session.scalars(select(OutboxRow.id).where(OutboxRow.channel == Channel.SMS)).all())


@contextmanager
def open_sms_shop(ctx: Context, shop: Shop, folder: Path, **settings: object) -> Iterator[SmsShop]:
    with TwilioSandbox(folder, now=lambda: clock.now()) as twilio:  # whose clock the test may set, too
        provider = TwilioProvider(
            twilio.account,
            (twilio.account, twilio.auth_token),
            twilio.number,
            line=QuickLine(str(twilio.ca_file), answer_seconds=0.5),
            base_url=twilio.url,
        )
        changed = ctx.settings.model_copy(update={"card_link": "sms", "sms_sender": twilio.number, **settings})
        yield SmsShop(
            replace(ctx, sms=provider, settings=changed, twilio_keys=WebhookKeys(twilio.auth_token)), shop, twilio
        )
