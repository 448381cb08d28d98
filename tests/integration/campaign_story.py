"""Campaigns that were sent, written row by row, so that every figure of theirs is known beforehand."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert

from app.db.campaigns import (
    Campaign,
    CampaignRecipient,
    CampaignRun,
    CampaignState,
    ClickKind,
    LinkClick,
    RecipientState,
    RunPhase,
)
from app.db.delivery import InstallEvent, Wallet
from app.db.messages import Direction, SmsMessage
from app.db.people import Consent, Member
from app.db.purchases import Purchase
from app.services.views import MemberView
from sms.delivery_states import State
from tests.factories import Shop


@dataclass
class Story:
    """A campaign of a shop and its runs. `sent_at` is the first run's moment."""

    shop: Shop
    sent_at: datetime
    name: str = "Spring"
    link: str = "card"
    runs: list[UUID] = field(default_factory=list)
    state: CampaignState = CampaignState.DONE

    def __post_init__(self) -> None:
        self.id = uuid4()
        self.add(
            Campaign(
                id=self.id,
                program_id=self.shop.program.id,
                name=self.name,
                state=self.state,
                link=self.link,
                texts={"a": {"en": "Hello"}, "b": {"en": "Hi"}},
                created_at=self.sent_at,
                changed_at=self.sent_at,
            )
        )
        self.run(self.sent_at)

    def run(self, at: datetime, phase: RunPhase = RunPhase.DONE) -> UUID:
        run_id = uuid4()
        self.add(
            CampaignRun(
                id=run_id,
                program_id=self.shop.program.id,
                campaign_id=self.id,
                phase=phase,
                content={"name": self.name},
                due_at=at,
                started_at=at,
                finished_at=at + timedelta(minutes=5) if phase is RunPhase.DONE else None,
            )
        )
        self.runs.append(run_id)
        return run_id

    def recipient(
        self,
        member: MemberView,
        sms: State | None = None,
        *,
        state: RecipientState = RecipientState.HANDED,
        after: timedelta = timedelta(),
        run: UUID | None = None,
        why: str = "",
        **values: Any,
    ) -> int:
        """One recipient, `after` the first run; with an SMS in this state, that has 2 parts for 0.15 in all. Returns
        its number."""
        at = self.sent_at + after
        message_id = None
        if sms is not None:
            message_id = uuid4()
            self.add(
                SmsMessage(
                    id=message_id,
                    program_id=self.shop.program.id,
                    member_id=member.id,
                    direction=Direction.OUT,
                    phone=member.phone,
                    language="en",
                    template="campaign",
                    marketing=True,
                    state=sms,
                    reason=why,
                    parts=2,
                    cost_micro=150_000,
                    created_at=at,
                )
            )
        row = CampaignRecipient(
            program_id=self.shop.program.id,
            campaign_id=self.id,
            run_id=run or self.runs[0],
            member_id=member.id,
            phone_check=0,
            occasion=str(run or "once")[:20],
            token=uuid4().hex[:10],
            state=state,
            due_at=at,
            handed_at=at if state is RecipientState.HANDED else None,
            message_id=message_id,
            **values,
        )
        self.add(row)
        return row.number

    def crowd(self, people: int, *, came: int = 0, clicked: int = 0, **values: Any) -> None:
        """So many recipients at once, of whom so many came the day after, and so many opened the link."""
        ids = [uuid4() for _ in range(people)]
        program_id, state = self.shop.program.id, values.pop("state", RecipientState.HANDED)
        member = {"program_id": program_id, "language": "en", "joined_at": self.sent_at}
        recipient = {"program_id": program_id, "campaign_id": self.id, "run_id": self.runs[0], "phone_check": 0}
        recipient |= {"occasion": "once", "state": state, "due_at": self.sent_at} | values
        handed_at = self.sent_at if state is RecipientState.HANDED else None
        bought = self.sent_at + timedelta(days=1)
        purchase = {"program_id": program_id, "at": bought, "recorded_at": bought, "amount_minor": 500}
        with self.shop.ctx.sessions.begin() as session:
            session.execute(insert(Member), [member | {"id": one, "phone": f"+{one.int % 10**14}"} for one in ids])
            numbers = session.scalars(
                insert(CampaignRecipient).returning(CampaignRecipient.number),
                [recipient | {"member_id": one, "token": one.hex[:10], "handed_at": handed_at} for one in ids],
            ).all()
            if came:
                session.execute(insert(Purchase), [purchase | {"member_id": one} for one in ids[:came]])
            if clicked:
                click = {"kind": ClickKind.PERSON, "at": bought}
                session.execute(insert(LinkClick), [click | {"recipient_number": one} for one in numbers[:clicked]])

    def click(self, number: int, kind: ClickKind = ClickKind.PERSON, times: int = 1) -> None:
        for _ in range(times):
            self.add(LinkClick(recipient_number=number, kind=kind, at=self.sent_at))

    def buy(self, member: MemberView, after: timedelta, amount_minor: int | None = 500, **values: Any) -> None:
        at = self.sent_at + after
        self.add(
            Purchase(
                program_id=self.shop.program.id,
                member_id=member.id,
                at=at,
                recorded_at=at,
                amount_minor=amount_minor,
                **values,
            )
        )

    def answer(self, member: MemberView, after: timedelta, text: str, *, stop: bool = False) -> None:
        at = self.sent_at + after
        self.add(
            SmsMessage(
                program_id=self.shop.program.id,
                member_id=member.id,
                direction=Direction.IN,
                phone=member.phone,
                language="en",
                text=text,
                created_at=at,
            )
        )
        if stop:
            self.refuse(member, after + timedelta(milliseconds=3), "sms", text)

    def refuse(self, member: MemberView, after: timedelta, source: str, wording: str = "No more") -> None:
        self.add(
            Consent(
                member_id=member.id,
                purpose="sms_marketing",
                granted=False,
                source=source,
                wording=wording,
                at=self.sent_at + after,
            )
        )

    def install(self, member: MemberView, after: timedelta, *, added: bool = True) -> None:
        self.add(
            InstallEvent(
                program_id=self.shop.program.id,
                card_id=member.card_id,
                wallet=Wallet.APPLE,
                added=added,
                at=self.sent_at + after,
            )
        )

    def add(self, row: object) -> None:
        with self.shop.ctx.sessions.begin() as session:
            session.add(row)
