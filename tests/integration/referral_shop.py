"""A shop that gives something for friends, and the worker's part of it done by hand."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from app.db.delivery import Channel
from app.db.people import Member
from app.db.referrals import Referral
from app.jobs import tasks
from app.services import members, outbox, referral_links, referral_rules, till
from app.services.context import Actor
from app.services.views import MemberView
from tests.factories import Shop

RULES = {
    "active": "on",
    "rewarded_on": "purchase",
    "referrer_stamps": "2",
    "friend_stamps": "1",
    "month_limit": "10",
}


def work(shop: Shop) -> None:
    """Do the tasks that are due."""
    rows = outbox.claim(shop.ctx, Channel.TASK, 100)
    outbox.told(shop.ctx, [outcome.row for outcome in tasks.work(shop.ctx, rows) if not outcome.error])


@dataclass
class ReferralShop:
    shop: Shop

    def rules(self, **values: str) -> None:
        referral_rules.save(self.shop.ctx, self.shop.owner, RULES | values)

    def code(self, member: MemberView) -> str:
        return referral_links.code_of(self.shop.ctx, member.id)

    def friend(self, number: int, referrer: MemberView, *, mark: str = "") -> MemberView:
        """Somebody joins by this member's link."""
        request = members.JoinRequest(
            phone=f"+35840123{number:04d}", via="friend", referral=self.code(referrer), mark=mark
        )
        return members.join(self.shop.ctx, Actor(self.shop.program.id), request, source="web")[0]

    def buy(self, member: MemberView) -> UUID:
        """One stamp at the till; the act's id."""
        answer, _ = till.give_stamps(self.shop.ctx, self.shop.cashier, member.card_code)
        return UUID(str(answer["entry_id"]))

    def undo(self, act: UUID) -> None:
        till.undo(self.shop.ctx, self.shop.owner, act)

    def stamps(self, member: MemberView) -> int:
        with self.shop.ctx.sessions() as session:
            return session.scalars(select(Member.stamps).where(Member.id == member.id)).one()

    def of(self, friend: MemberView) -> Referral | None:
        with self.shop.ctx.sessions() as session:
            return session.scalars(select(Referral).where(Referral.friend_id == friend.id)).one_or_none()

    def state(self, friend: MemberView) -> tuple[str, str]:
        """How the friend's referral stands, and why."""
        referral = self.of(friend)
        assert referral is not None
        return referral.state.value, referral.reason

    def work(self) -> None:
        work(self.shop)
