"""Everything that locks anything, at once and on the same few members: tills, chores, workers, phones and erasures."""

import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from threading import Thread

from sqlalchemy import select, text

from app import clock
from app.db.campaigns import Benefit, Medium
from app.db.delivery import Channel, GoogleObject
from app.db.keeping import ErasedBy
from app.db.ledger import Reward, RewardStatus
from app.jobs import refresh as refresh_job
from app.jobs import sms as sms_job
from app.jobs.campaigns import CampaignSender
from app.services import (
    apple_coupons,
    apple_devices,
    campaign_control,
    campaigns,
    card_links,
    coupons,
    erasing,
    fresh_links,
    members,
    outbox,
    program_rules,
)
from app.services.campaigns import CampaignValues
from app.services.context import Context
from app.services.errors import InvalidForm, Refused
from app.services.members import JoinRequest
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration import tier_shop
from tests.integration.apple_shop import PASS_TYPE
from tests.integration.credit_shop import RULES
from tests.integration.whole_shop import BEGIN, WholeShop

PHONES = 3  # on which several people's cards are
HOURS_A_SECOND = 6


class Hunt(WholeShop):
    """The whole shop, with cards on shared phones and campaigns to everybody. `faults` must stay empty."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop, points=False)
        self.faults: list[str] = []
        self.erases = True
        self.done: dict[str, int] = {}
        self._begun = time.monotonic()
        self._sender = CampaignSender(self.ctx, lambda parts: None, 1000)
        self.people = [self._newcomer(number) for number in range(4)]
        for number in range(8):
            self.register(Random(number), self.people[number % 4])

    def now(self) -> datetime:
        """A clock on which the days go by while people work."""
        return BEGIN + timedelta(hours=(time.monotonic() - self._begun) * HOURS_A_SECOND)

    def _newcomer(self, number: int) -> MemberView:
        found = self.shop.member(200 + number, consents={"sms_marketing": "Yes."})
        with self.ctx.sessions.begin() as session:
            if number % 2:
                session.add(GoogleObject(card_id=found.card_id, version=1, installs=1, notified_at=[]))
        return found

    def run(self, seconds: float, seed: int) -> None:
        """Until the time is over."""
        until = time.monotonic() + seconds
        whole: Callable[[Random], None] = self.play
        roles = [whole, whole, whole, self._work, self._campaign, self._chore, self._phone]
        threads = [Thread(target=self._again, args=[act, Random(seed + n), until]) for n, act in enumerate(roles)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._sender.close()

    def _again(self, act: Callable[[Random], None], chance: Random, until: float) -> None:
        name = getattr(act, "__name__", "")
        while time.monotonic() < until and not self.faults:
            try:
                act(chance)
            except (Refused, InvalidForm) as refusal:
                self.done[str(getattr(refusal, "kind", refusal))] = 1
            except BaseException:
                self.faults.append(traceback.format_exc())
            self.done[name] = self.done.get(name, 0) + 1

    def _chore(self, chance: Random) -> None:
        self.chores(chance, self.people[0])

    def _campaign(self, chance: Random) -> None:
        benefit = chance.choice([Benefit.NONE, Benefit.REWARD, Benefit.CREDIT, Benefit.DOUBLE_STAMPS])
        made = campaigns.create(
            self.ctx,
            self.shop.owner,
            CampaignValues(
                name="Buns",
                tree={"kind": "all", "of": []},
                medium=chance.choice([Medium.WALLET_FIRST, Medium.WALLET]),
                texts={"a": {"en": "Buns today!"}},
                benefit=benefit,
                benefit_minor=300 if benefit is Benefit.CREDIT else 0,
                benefit_days=3,
                benefit_type_id=self.gift.id if benefit is Benefit.REWARD else None,
            ),
        )
        campaign_control.start_now(self.ctx, self.shop.owner, made.id, made.version)
        self.chores(chance, self.people[0])
        outcomes = self._sender.send_runs(outbox.claim(self.ctx, Channel.CAMPAIGN, 10))
        outbox.told(self.ctx, [outcome.row for outcome in outcomes])

    def _work(self, chance: Random) -> None:
        """The workers of SMS and of renewing cards; and the owner changes rules, so that there are cards to renew."""
        rows = outbox.claim(self.ctx, Channel.SMS, 20)
        sms_job.send_messages(self.ctx, lambda parts: None, rows) if rows else None
        outbox.told(self.ctx, rows)
        rows = outbox.claim(self.ctx, Channel.REFRESH, 1)
        refresh_job.renew_cards(self.ctx, rows)
        outbox.told(self.ctx, rows)
        for channel in (Channel.APPLE, Channel.GOOGLE):  # as if phones had been told
            outbox.told(self.ctx, outbox.claim(self.ctx, channel, 50))
        if chance.random() < 0.2:
            program_rules.save(self.ctx, self.shop.owner, RULES)
            tier_shop.set_tiers(self.shop, days="7", grace_days=str(chance.randint(1, 3)))

    def _phone(self, chance: Random) -> None:
        acts = [self.register, self.register, self.coupon, self.coupon, self.remove, self.dead, self.renew_link]
        act = chance.choice([*acts, *acts, self.erase])
        act(chance, chance.choice(self.people))

    def _device(self, chance: Random) -> tuple[str, str]:
        number = chance.randrange(PHONES)
        return f"device-{number}", f"{number:02}" * 32

    def register(self, chance: Random, member: MemberView) -> None:
        if (card := self._card(member)) is not None:
            apple_devices.register(self.ctx, card, *self._device(chance))

    def remove(self, chance: Random, member: MemberView) -> None:
        if (card := self._card(member)) is not None:
            apple_devices.unregister(self.ctx, card, self._device(chance)[0])

    def dead(self, chance: Random, member: MemberView) -> None:
        if chance.random() < 0.3:
            apple_devices.prune(self.ctx, self._device(chance)[1], None)

    def _card(self, member: MemberView) -> apple_devices.CardState | None:
        with suppress(Refused):
            token = self.ctx.derived_token("apple-pass", member.card_id)
            return apple_devices.authenticated(self.ctx, PASS_TYPE, str(member.card_id), token)
        return None

    def coupon(self, chance: Random, member: MemberView) -> None:
        """A coupon is added to a phone, or removed from it."""
        with self.ctx.sessions() as session:
            own = (Reward.member_id == member.id, Reward.pass_version > 0, Reward.status == RewardStatus.ISSUED)
            ids = session.scalars(select(Reward.id).where(*own).order_by(Reward.id.desc()).limit(5)).all()
        for reward_id in ids:
            found = coupons.find(self.ctx, [reward_id]).get(reward_id)
            if found is not None and chance.random() < 0.8:
                apple_coupons.register(self.ctx, found, *self._device(chance))
            elif found is not None:
                apple_coupons.unregister(self.ctx, found, self._device(chance)[0])

    def renew_link(self, chance: Random, member: MemberView) -> None:
        with self.ctx.sessions() as session:
            card = members.fetch(session, self.shop.owner, members.Member.id == member.id).card
            until = int((clock.now() + timedelta(hours=1)).timestamp())
            address = card_links.fresh(self.ctx, card, {card_links.UNTIL: until})
        fresh_links.renew(self.ctx, address.rpartition("/")[2])

    def erase(self, chance: Random, member: MemberView) -> None:
        """Somebody is erased, and joins anew with the same number."""
        if chance.random() < 0.5:
            return
        erasing.erase(self.ctx, self.shop.owner, member.id, ErasedBy.STAFF, erasing.Why.ASKED)
        request = JoinRequest(phone=member.phone, consents={"sms_marketing": "Yes."})
        again, _ = members.join(self.ctx, self.shop.api, request, source="api")
        self.people = [again if one.id == member.id else one for one in self.people]


def deadlocks(ctx: Context) -> int:
    """How many deadlocks PostgreSQL has broken in this database."""
    with ctx.sessions() as session:
        session.execute(text("SELECT pg_stat_force_next_flush()"))
        found: int = session.execute(
            text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        ).scalar_one()
        return found
