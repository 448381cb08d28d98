"""A shop that writes to its members through the Twilio stand-in, and the workers' part done by hand."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import select, text, update

from app.db.campaigns import Campaign, CampaignRecipient, CampaignRun
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.messages import SmsMessage
from app.jobs import tasks
from app.jobs.campaigns import CampaignSender
from app.jobs.outcome import Outcome
from app.services import campaign_control, campaigns, outbox
from app.services.campaigns import CampaignValues, CampaignView
from app.services.context import Actor, Context
from tests.factories import Shop
from tests.integration.sms_shop import SmsShop, open_sms_shop

EVERYONE = {"kind": "all", "of": []}
# A Wednesday in summer, far from the quiet hours: 13:00 in Helsinki.
NOON = datetime(2027, 6, 16, 10, tzinfo=UTC)


def values(**changes: object) -> CampaignValues:
    """A campaign to everybody, now, in one part."""
    given = CampaignValues(name="Buns", tree=EVERYONE, texts={"a": {"en": "Buns today!"}})
    return replace(given, **changes)  # type: ignore[arg-type]


@dataclass
class CampaignShop:
    """`sender` is the worker's, with batches of up to `sender.per_second` messages."""

    sms: SmsShop
    sender: CampaignSender

    @property
    def ctx(self) -> Context:
        return self.sms.ctx

    @property
    def shop(self) -> Shop:
        return self.sms.shop

    @property
    def owner(self) -> Actor:
        return self.shop.owner

    def members(self, count: int, first: int = 0, *, wanted: bool = True) -> list[UUID]:
        """New members with cards; their phones are `phone(first)` and those after it."""
        given = {"program": self.shop.program.id, "first": first, "count": count}
        with self.ctx.sessions.begin() as session:
            ids = list(session.scalars(text(_MEMBERS), given))
            session.execute(text(_CARDS), {"ids": ids})
            if wanted:
                session.execute(text(_CONSENTS), {"ids": ids})
        return ids

    def phone(self, number: int) -> str:
        return f"+35840{number:07}"

    def made(self, **changes: object) -> CampaignView:
        return campaigns.create(self.ctx, self.owner, values(**changes))

    def started(self, **changes: object) -> CampaignView:
        """A campaign whose recipients are chosen, and are to be sent to."""
        made = self.made(**changes)
        campaign_control.start_now(self.ctx, self.owner, made.id, made.version)
        self.work_tasks()
        return made

    def work_tasks(self) -> None:
        """What the task channel's worker does."""
        while rows := outbox.claim(self.ctx, Channel.TASK, 1):
            self._record(tasks.work(self.ctx, rows))

    def send(self) -> list[Outcome]:
        """A slice of each run that is due, as the worker does it."""
        outcomes = self.sender.send_runs(outbox.claim(self.ctx, Channel.CAMPAIGN, 10))
        self._record(outcomes)
        return outcomes

    def _record(self, outcomes: list[Outcome]) -> None:
        outbox.told(self.ctx, [outcome.row for outcome in outcomes if not outcome.error])
        for outcome in outcomes:
            if outcome.error:
                outbox.failed(self.ctx, outcome.row, outcome.error, permanent=outcome.permanent)

    def due(self) -> None:
        """Make every run due now."""
        with self.ctx.sessions.begin() as session:
            session.execute(
                update(OutboxRow)
                .where(OutboxRow.channel == Channel.CAMPAIGN, OutboxRow.state != OutboxState.DEAD)
                .values(due_at=OutboxRow.created_at - timedelta(days=1))
            )

    def rows(self) -> list[OutboxRow]:
        """The runs that go on by themselves."""
        with self.ctx.sessions() as session:
            return list(session.scalars(select(OutboxRow).where(OutboxRow.channel == Channel.CAMPAIGN)))

    def state(self, campaign: CampaignView) -> str:
        with self.ctx.sessions() as session:
            return session.get_one(Campaign, campaign.id).state.value

    def runs(self, campaign: CampaignView) -> list[CampaignRun]:
        with self.ctx.sessions() as session:
            query = select(CampaignRun).where(CampaignRun.campaign_id == campaign.id).order_by(CampaignRun.due_at)
            return list(session.scalars(query))

    def recipients(self, campaign: CampaignView) -> list[CampaignRecipient]:
        with self.ctx.sessions() as session:
            query = select(CampaignRecipient).where(CampaignRecipient.campaign_id == campaign.id)
            return list(session.scalars(query.order_by(CampaignRecipient.number)))

    def reasons(self, campaign: CampaignView) -> Counter[str]:
        """How many recipients there are of each state and reason: 'handed', 'skipped left' …"""
        return Counter(f"{one.state.value} {one.reason}".strip() for one in self.recipients(campaign))

    def messages(self) -> Counter[str]:
        """How many messages there are of each state."""
        with self.ctx.sessions() as session:
            return Counter(str(state) for state in session.scalars(select(SmsMessage.state)))

    def arrived(self) -> Counter[str]:
        """How many SMS the provider has taken for each number."""
        return Counter(message.to for message in self.sms.twilio.messages.all)


@contextmanager
def open_campaign_shop(
    ctx: Context, shop: Shop, folder: Path, per_second: float = 1000, **settings: object
) -> Iterator[CampaignShop]:
    with open_sms_shop(ctx, shop, folder, **settings) as sms:
        sender = CampaignSender(sms.ctx, lambda parts: None, per_second)
        try:
            yield CampaignShop(sms, sender)
        finally:
            sender.close()


_MEMBERS = """INSERT INTO members (id, program_id, phone, name, email, city, language, via, status, joined_at, stamps,
        rewards)
    SELECT uuidv7(), :program, '+35840' || lpad(CAST(n AS text), 7, '0'), 'Anna Aalto', '', '', 'en', '', 'active',
        '2027-01-01', 3, 0
    FROM generate_series(CAST(:first AS int), CAST(:first AS int) + CAST(:count AS int) - 1) AS n RETURNING id"""
_CARDS = """INSERT INTO cards (id, member_id, code, link_generation, link_hash, version, changed_at, news)
    SELECT uuidv7(), id, substr(md5(CAST(id AS text)), 1, 16), 1, encode(sha256(uuid_send(id)), 'hex'), 1,
        '2027-01-01', '' FROM members WHERE id = ANY(:ids)"""
_CONSENTS = """INSERT INTO consents (id, member_id, purpose, granted, source, wording, at)
    SELECT uuidv7(), id, 'sms_marketing', true, 'web', 'Yes.', '2027-01-01' FROM members WHERE id = ANY(:ids)"""
