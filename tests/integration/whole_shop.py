"""A shop with everything switched on, and days at its tills in which anything may happen to anybody, at random.

Every act is one that a person or a till can do. Only refusals that they can meet are allowed: whatever else an act
raises is a fault of ours.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID, uuid4

from sqlalchemy import select

from app import clock
from app.db.guard import GuardRule
from app.db.ledger import Reward
from app.db.people import MemberStatus
from app.db.purchases import Purchase
from app.loyalty.guarding import Rule
from app.loyalty.ledger import Kind
from app.services import (
    birthday_stamps,
    bonus_use,
    credit_use,
    credits,
    members,
    purchases,
    reward_giving,
    stamp_cards,
    till,
    upkeep,
    visits,
)
from app.services.context import Actor
from app.services.errors import Refused
from app.services.members import JoinRequest
from app.services.purchases import Line, PurchaseRequest
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration import bonus_shop, reward_shop, tier_shop, visit_shop
from tests.integration.referral_shop import ReferralShop, work

BEGIN = datetime(2027, 3, 10, 10, tzinfo=UTC)
MOST_PEOPLE = 6
REFUSALS = {
    *("already-undone", "stamps-used", "reward-used", "reward-expired", "reward-withdrawn", "no-bonus", "no-credit"),
    *("too-few-points", "credit-used", "credit-lapsed", "member-left", "member-not-found", "entry-not-found"),
}


class WholeShop:
    """The shop, its people, and what each act was told to have given or taken (`told`: act → what → how much)."""

    def __init__(self, shop: Shop, *, points: bool) -> None:
        self.shop, self.ctx, self.points = shop, shop.ctx, points
        self.told: dict[UUID, dict[str, int]] = {}
        self.redeemed: dict[UUID, UUID] = {}  # act → reward
        self.undone: set[UUID] = set()
        self.erases = False  # somebody may be erased, and is a stranger when they come again
        self._lock = threading.Lock()
        self.gift = self._set_up()
        self.people = [shop.member(number, birth_date=date(1990, 3, 11 + number)) for number in range(3)]

    def _set_up(self) -> reward_shop.RewardTypeView:
        shop = self.shop
        shop.change_program(
            stamps_needed="4", stamp_valid_days="6", reward_valid_days="9", join_stamps="1", reward_name="Coffee"
        )
        stamp_cards.save_first(self.ctx, shop.owner, {"birthday_stamps": "1"})
        lunch = {"name": "Lunch", "stamps_needed": "3", "reward_name": "Free lunch", "products": "Lunch"}
        self.lunch = stamp_cards.save(self.ctx, shop.owner, lunch | {"stamp_valid_days": "3", "birthday_stamps": "2"})
        bonus_shop.set_bonus(shop, bonus_shop.POINTS if self.points else None, valid_days="5", warn_days="2")
        self.priced = bonus_shop.reward_type(shop, "Mug", price=7)
        bonus_shop.add_threshold(shop, 12 if self.points else 300, extra=5, reward=self.priced, every=True)
        visit_shop.count_visits(shop, hours=5, purchases=True)
        visit_shop.give_at(shop, 3, every=True)
        ReferralShop(shop).rules(month_limit="2", referrer_bonus="1")
        tier_shop.set_tiers(shop, days="7", grace_days="2")
        with self.ctx.sessions.begin() as session:
            for rule in Rule:  # the days of this shop are minutes of the guard's clock
                session.merge(GuardRule(program_id=shop.program.id, rule=rule.value, most=1, minutes=1, active=False))
        return reward_shop.make_type(shop, valid_days="4", for_full_card="on", remind_days="1")

    def play(self, chance: Random) -> None:
        """One act, of anybody with anybody."""
        act = chance.choice(ACTS)
        try:
            act(self, chance, chance.choice(self.people))
        except Refused as refusal:
            if refusal.kind not in REFUSALS:
                raise

    def _tell(self, answer: dict[str, object], **amounts: object) -> UUID | None:
        if not answer["entry_id"]:
            return None
        operation_id = UUID(str(answer["entry_id"]))
        with self._lock:
            self.told[operation_id] = {name: int(str(amount)) for name, amount in amounts.items()}
        return operation_id

    def buy(self, chance: Random, member: MemberView) -> None:
        amount = chance.choice([90, 400, 1190, 2500, 9000])
        lines = [Line("Lunch", quantity=str(chance.randint(1, 3)))] if chance.random() < 0.5 else []
        by_phone = chance.random() < 0.3  # which waits, when they have left
        whose = {"phone": member.phone} if by_phone else {"member_id": member.id}
        at = clock.now() - timedelta(hours=chance.choice([0, 0, 0, 30]))
        request = PurchaseRequest(amount, lines=lines, at=at, **whose)  # type: ignore[arg-type]
        answer = purchases.record(self.ctx, self.shop.api, request, key=str(uuid4()))[0]
        self._tell(answer, stamps=answer["given"], bonus=answer["bonus_given"])

    def stamp(self, chance: Random, member: MemberView) -> None:
        card = chance.choice([None, self.lunch])
        answer = till.give_stamps(
            self.ctx, self.shop.cashier, member_id=member.id, count=chance.randint(1, 5), card=card, amount_minor=700
        )[0]
        self._tell(answer, stamps=answer["given"], bonus=answer["bonus_given"])

    def visit(self, chance: Random, member: MemberView) -> None:
        at = clock.now() - timedelta(hours=chance.choice([0, 0, 3, 20]))
        answer = visits.record(self.ctx, self.shop.cashier, card=member.card_code, at=at)[0]
        self._tell(answer, visits=int(answer["counted"]))

    def redeem(self, chance: Random, member: MemberView) -> None:
        with self.ctx.sessions() as session:
            ids = session.scalars(select(Reward.id).where(Reward.member_id == member.id).order_by(Reward.id)).all()
        if ids:
            reward = chance.choice(ids[-6:])
            answer = till.redeem_reward(self.ctx, self.shop.cashier, reward, card_code=member.card_code)[0]
            act = self._tell(answer)
            assert act is not None
            self.redeemed[act] = reward

    def spend_bonus(self, chance: Random, member: MemberView) -> None:
        if self.points:
            answer = bonus_use.buy(self.ctx, self.shop.cashier, member.id, self.priced, card_code=member.card_code)[0]
            self._tell(answer, bought=answer["used"])
            return
        bill = chance.choice([50, 120, 800])
        answer = bonus_use.pay(
            self.ctx, self.shop.cashier, member.id, bill_minor=bill, card_code=member.card_code, key=str(uuid4())
        )[0]
        assert answer["used_minor"] <= bill
        self._tell(answer, paid_with_bonus=answer["used_minor"])

    def give_credit(self, chance: Random, member: MemberView) -> None:
        last = (clock.now() + timedelta(days=chance.randint(0, 4))).date().isoformat()
        form = {"amount": str(chance.randint(1, 9)), "last_day": last, "reason": "Sorry"}
        self._tell(credits.grant(self.ctx, self.shop.owner, member.id, form, key=str(uuid4()))[0])

    def use_credit(self, chance: Random, member: MemberView) -> None:
        bill = chance.choice([100, 450, 2000])
        answer = credit_use.use(
            self.ctx, self.shop.cashier, member.id, bill_minor=bill, card_code=member.card_code, key=str(uuid4())
        )[0]
        assert answer["redeemed_minor"] <= bill
        self._tell(answer, paid_with_credit=answer["redeemed_minor"])

    def give_reward(self, chance: Random, member: MemberView) -> None:
        form = {"type_id": str(self.gift.id), "reason": "Birthday"}
        self._tell(reward_giving.give(self.ctx, self.shop.owner, member.id, form, key=str(uuid4()))[0])

    def undo(self, chance: Random, member: MemberView) -> None:
        """Anything that was ever done with this member, more often what was done lately."""
        kinds = {Kind.EXPIRY, Kind.BIRTHDAY, Kind.JOIN}
        done = [act for act in till.history(self.ctx, self.shop.owner, member.id) if act.kind not in kinds]
        if done:
            act = done[min(int(chance.expovariate(0.4)), len(done) - 1)].operation_id
            till.undo(self.ctx, self.shop.owner, act, key=str(uuid4()))
            with self._lock:
                assert act not in self.undone
                self.undone.add(act)

    def undo_purchase(self, chance: Random, member: MemberView) -> None:
        with self.ctx.sessions() as session:
            query = select(Purchase.id, Purchase.operation_id).order_by(Purchase.id.desc()).limit(12)
            rows = session.execute(query).all()
        if rows:
            row = chance.choice(rows)
            purchases.undo(self.ctx, self.shop.owner, row.id, key=str(uuid4()))
            if row.operation_id is not None:
                with self._lock:
                    assert row.operation_id not in self.undone
                    self.undone.add(row.operation_id)

    def leave(self, chance: Random, member: MemberView) -> None:
        members.set_status(self.ctx, self.shop.owner, member.id, MemberStatus.LEFT)

    def join(self, chance: Random, member: MemberView) -> None:
        """Somebody joins once more, perhaps by somebody's link."""
        friend = ReferralShop(self.shop).code(chance.choice(self.people)) if chance.random() < 0.5 else ""
        request = JoinRequest(phone=member.phone, referral=friend)
        joined, new = members.join(self.ctx, Actor(self.shop.program.id), request, source="web")
        assert (joined.id, new) == (member.id, False) or self.erases

    def bring(self, chance: Random, member: MemberView) -> None:
        """A friend joins by this member's link; of two at once, with the same number, one is new."""
        with self._lock:
            number = len(self.people)
            if number >= MOST_PEOPLE:
                return
            self.people.append(ReferralShop(self.shop).friend(100 + number, member))

    def chores(self, chance: Random, member: MemberView) -> None:
        """What the relay and the task channel's worker do."""
        birthday_stamps._done.clear()  # as another process
        upkeep.run(self.ctx, 5.0)
        work(self.shop)

    def look(self, chance: Random, member: MemberView) -> None:
        members.by_id(self.ctx, self.shop.cashier, member.id)


_WEIGHTS: dict[Callable[[WholeShop, Random, MemberView], None], int] = {
    WholeShop.buy: 6,
    WholeShop.stamp: 5,
    WholeShop.visit: 2,
    WholeShop.redeem: 4,
    WholeShop.spend_bonus: 4,
    WholeShop.give_credit: 2,
    WholeShop.use_credit: 2,
    WholeShop.give_reward: 1,
    WholeShop.undo: 5,
    WholeShop.undo_purchase: 2,
    WholeShop.leave: 1,
    WholeShop.join: 3,
    WholeShop.bring: 1,
    WholeShop.chores: 2,
    WholeShop.look: 1,
}
ACTS = [act for act, weight in _WEIGHTS.items() for _ in range(weight)]


class Clock:
    """The days go by when somebody says so."""

    def __init__(self) -> None:
        self.moment = BEGIN

    def now(self) -> datetime:
        return self.moment


def play(here: WholeShop, days: Clock, seed: int, rounds: int, tills: int, acts: int) -> None:
    """`rounds` of some hours or days, in each of which so many tills play `acts` each at once. What one of them meets
    that nobody should is raised."""
    moves = Random(seed)
    faults: list[BaseException] = []

    def at_a_till(chance: Random) -> None:
        try:
            for _ in range(acts):
                here.play(chance)
        except BaseException as fault:
            faults.append(fault)

    for _ in range(rounds):
        days.moment += timedelta(hours=moves.choice([1, 1, 6, 24, 24, 80]))
        threads = [threading.Thread(target=at_a_till, args=[Random(moves.random())]) for _ in range(tills)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise faults[0]


def finish(here: WholeShop) -> None:
    """Do all that is due."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        birthday_stamps._done.clear()
        done = upkeep.run(here.ctx, 5.0)
        work(here.shop)
        if done:
            return
    raise AssertionError("the chores never end")
