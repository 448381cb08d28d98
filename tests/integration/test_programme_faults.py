"""What goes wrong around a whole programme, each under its own name; the others stand beside their features.

Undo after a threshold's reward was used, and a purchase undone after its bonus was spent: test_bonus.py. Erasure while
messages wait and passes are installed: test_erasing.py. All of it at once: test_whole_programme.py.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from app.db.ledger import LedgerEntry
from app.db.people import Consent, Member, MemberStatus
from app.db.referrals import Referral
from app.db.tiers import TierChange
from app.loyalty.ledger import Kind
from app.services import (
    apple_coupons,
    apple_devices,
    coupons,
    doctoring,
    double_windows,
    members,
    night_settling,
    purchases,
    till,
    upkeep,
)
from app.services.card_state import CardState
from app.services.context import Actor
from app.services.members import JoinRequest
from app.services.purchases import PurchaseRequest
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration import bonus_shop, reward_shop, tier_shop
from tests.integration.apple_shop import PASS_TYPE
from tests.integration.referral_shop import ReferralShop
from tests.integration.whole_hunt import deadlocks

SetClock = Callable[[datetime], None]
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Do these in threads that begin together; what one raises is raised."""
    ready = threading.Barrier(len(acts))

    def begin(act: Callable[[], object]) -> object:
        ready.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as threads:
        return [future.result() for future in [threads.submit(begin, act) for act in acts]]


def join(shop: Shop, phone: str, referral: str = "") -> MemberView:
    request = JoinRequest(phone=phone, referral=referral)
    return members.join(shop.ctx, Actor(shop.program.id), request, source="web")[0]


def now_of(shop: Shop, member: MemberView) -> MemberView:
    return members.by_id(shop.ctx, shop.cashier, member.id)


@pytest.mark.parametrize("attempt", range(3))
def test_a_purchase_that_arrives_as_the_tiers_period_ends_leads_to_the_tier_of_what_counts(
    shop: Shop, at: SetClock, attempt: int
) -> None:
    at(NOON)
    tier_shop.set_tiers(shop)
    member = shop.member()
    tier_shop.buy(shop, member.id, 10_000)
    at(NOON + 395 * DAY + timedelta(seconds=attempt))  # Gold is over, and its grace
    at_once(lambda: upkeep.run(shop.ctx, 5.0), lambda: tier_shop.buy(shop, member.id, 5000))
    assert "Silver" == tier_shop.tier_of(shop, member.id)
    with shop.ctx.sessions() as session:
        changes = session.scalars(select(TierChange).order_by(TierChange.id)).all()
    assert [None, *(change.after_id for change in changes[:-1])] == [change.before_id for change in changes]


def test_a_friend_who_joins_twice_at_once_by_two_links_is_one_member_and_one_persons_friend(shop: Shop) -> None:
    friends = ReferralShop(shop)
    friends.rules()
    anna, bert = shop.member(1), shop.member(2)
    phone = "+358401239000"
    links = [friends.code(anna), friends.code(bert)]
    joined = at_once(*(lambda code=code: join(shop, phone, code) for code in links))
    assert 1 == len({one.id for one in joined})  # type: ignore[attr-defined]
    for _ in range(2):
        till.give_stamps(shop.ctx, shop.cashier, phone=phone)
        friends.work()
    with shop.ctx.sessions() as session:
        assert 1 == session.scalar(select(func.count()).select_from(Referral))
    assert [0, 2] == sorted([friends.stamps(anna), friends.stamps(bert)])


def test_who_leaves_and_joins_again_has_what_they_had_and_gets_no_second_welcome(shop: Shop, at: SetClock) -> None:
    at(NOON)
    shop.change_program(join_stamps="2", stamp_valid_days="30")
    bonus_shop.set_bonus(shop)
    member = shop.member()
    bonus_shop.buy(shop, member, 1000)
    for _ in range(2):
        members.set_status(shop.ctx, shop.owner, member.id, MemberStatus.LEFT)
        request = PurchaseRequest(500, phone=member.phone)
        assert purchases.record(shop.ctx, shop.api, request)[0]["waiting"]
        assert member.id == join(shop, member.phone).id
        join(shop, member.phone)
    seen = now_of(shop, member)
    assert (2 + 3, 200) == (seen.stamps, seen.bonus)
    members.set_status(shop.ctx, shop.owner, member.id, MemberStatus.LEFT)
    at(NOON + 31 * DAY)
    assert (0, 200) == (join(shop, member.phone).stamps, now_of(shop, member).bonus)
    assert [] == doctoring.differences(shop.ctx)


def test_two_who_left_and_come_back_by_each_others_links_do_not_wait_for_each_other(shop: Shop) -> None:
    friends = ReferralShop(shop)
    friends.rules()
    anna, bert = shop.member(1), shop.member(2)
    codes = friends.code(anna), friends.code(bert)
    before = deadlocks(shop.ctx)
    for _ in range(5):
        for one in (anna, bert):
            members.set_status(shop.ctx, shop.owner, one.id, MemberStatus.LEFT)
        with shop.ctx.sessions.begin() as session:
            session.execute(text("DELETE FROM referrals"))
        at_once(lambda: join(shop, anna.phone, codes[1]), lambda: join(shop, bert.phone, codes[0]))
    assert before == deadlocks(shop.ctx)
    with shop.ctx.sessions() as session:
        assert {("refused", "returned")} == {(row.state.value, row.reason) for row in session.scalars(select(Referral))}


@pytest.mark.parametrize(
    ("saturday", "ends"),
    [
        (datetime(2027, 6, 5, 19, tzinfo=UTC), datetime(2027, 6, 6, 0, tzinfo=UTC)),
        (datetime(2027, 3, 27, 20, tzinfo=UTC), datetime(2027, 3, 28, 1, tzinfo=UTC)),  # at 3 clocks show 4
        (datetime(2027, 10, 30, 19, tzinfo=UTC), datetime(2027, 10, 31, 0, tzinfo=UTC)),  # 3 comes twice: the first
    ],
    ids=["summer", "summer time begins", "summer time ends"],
)
def test_a_night_of_double_stamps_until_three_is_paid_in_full_and_not_longer(
    shop: Shop, at: SetClock, saturday: datetime, ends: datetime
) -> None:
    form = {"name": "Night", "factor": "2", "from_time": "22:00", "until_time": "03:00", "weekday_5": "on"}
    at(saturday - DAY)
    double_windows.save(shop.ctx, shop.owner, form)
    member = shop.member()
    moments = [saturday - timedelta(seconds=1), saturday, ends - timedelta(seconds=1), ends]
    given = []
    for moment in moments:
        at(moment)
        answer = till.give_stamps(shop.ctx, shop.cashier, member.card_code)[0]
        given.append(answer["given"])
    assert [1, 2, 2, 1] == given
    assert 6 == now_of(shop, member).stamps
    late = PurchaseRequest(500, member_id=member.id, at=ends - timedelta(minutes=30))
    assert 2 == purchases.record(shop.ctx, shop.api, late)[0]["given"]


def test_a_night_in_which_everybodys_stamps_lapse_makes_no_till_wait(shop: Shop) -> None:
    many = 2000
    with shop.ctx.sessions.begin() as session:
        for statement in _LAPSING:
            session.execute(text(statement), {"program": shop.program.id, "many": many})
        ids = list(session.scalars(select(Member.id).order_by(Member.id)))
    waits: list[float] = []
    over = threading.Event()

    def stamp() -> None:
        number = 0
        while not over.is_set():
            begun = time.monotonic()
            till.give_stamps(shop.ctx, shop.cashier, member_id=ids[(number * 37) % many])
            waits.append(time.monotonic() - begun)
            number += 1
            over.wait(0.02)

    def night() -> None:
        try:
            while night_settling.settle_lapsed(shop.ctx, time.monotonic() + 0.25):
                pass
        finally:
            over.set()

    before, begun = deadlocks(shop.ctx), time.monotonic()
    at_once(stamp, night)
    assert before == deadlocks(shop.ctx)
    assert waits
    # A second is a lot of time; where the machine is so busy that it is little, it is a small part of the night.
    assert max(waits) < max(1.0, (time.monotonic() - begun) / 10)
    assert (many, {}) == (_lapsed(shop), _balances(shop, len(waits), ids))
    assert [] == doctoring.differences(shop.ctx)


CARD = "SELECT id FROM cards FOR NO KEY UPDATE"
MEMBER = "SELECT id FROM members FOR NO KEY UPDATE"
PHONE = "SELECT id FROM apple_devices FOR UPDATE"
DEVICE, TOKEN = "device-1", "ab" * 32
_WAITING = """SELECT EXISTS
    (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"""


@dataclass
class Held:
    """One member, whose card is on a phone."""

    shop: Shop
    member: MemberView

    def card(self) -> CardState:
        token = self.shop.ctx.derived_token("apple-pass", self.member.card_id)
        found = apple_devices.authenticated(self.shop.ctx, PASS_TYPE, str(self.member.card_id), token)
        assert found is not None
        return found

    def while_locked(self, first: str, act: Callable[[], object], then: str = PHONE) -> None:
        """While somebody holds the `first` lock, and `act` waits for it, that somebody gets the other lock, too."""
        with ThreadPoolExecutor(1) as thread, self.shop.ctx.engine.connect() as other:
            other.execute(text(first))
            doing = thread.submit(act)
            until = time.monotonic() + 20
            while not self._waits():
                assert not doing.done()
                assert time.monotonic() < until
                time.sleep(0.01)
            try:
                other.execute(text("SET LOCAL lock_timeout = '500ms'"))
                other.execute(text(then))
            finally:
                other.rollback()
            doing.result()

    def _waits(self) -> bool:
        with self.shop.ctx.sessions() as session:
            return bool(session.execute(text(_WAITING)).scalar_one())


@pytest.fixture
def held(shop: Shop, at: SetClock) -> Held:
    at(NOON)
    made = Held(shop, shop.member())
    apple_devices.register(shop.ctx, made.card(), DEVICE, TOKEN)
    return made


class TestOneOrderOfLocks:
    """Members, then their cards, then phones: who waits for one of these holds nothing that comes after it."""

    def test_a_coupon_that_is_used_waits_for_its_card_before_it_holds_the_phone(self, held: Held) -> None:
        reward = reward_shop.give(held.shop, held.member, reward_shop.make_type(held.shop))
        coupon = coupons.find(held.shop.ctx, [reward.id])[reward.id]
        apple_coupons.register(held.shop.ctx, coupon, DEVICE, TOKEN)
        code = held.member.card_code
        held.while_locked(CARD, lambda: till.redeem_reward(held.shop.ctx, held.shop.cashier, reward.id, card_code=code))

    def test_a_card_that_is_removed_from_a_phone_is_waited_for_before_the_phone(self, held: Held) -> None:
        card = held.card()
        held.while_locked(CARD, lambda: apple_devices.unregister(held.shop.ctx, card, DEVICE))

    def test_a_phone_that_is_gone_is_held_after_its_cards(self, held: Held) -> None:
        held.while_locked(CARD, lambda: apple_devices.prune(held.shop.ctx, TOKEN, None))

    def test_the_night_holds_phones_after_all_its_cards(self, held: Held, at: SetClock) -> None:
        kind = reward_shop.make_type(held.shop, valid_days="1")
        coupon = coupons.find(held.shop.ctx, [reward_shop.give(held.shop, held.member, kind).id])
        for one in coupon.values():
            apple_coupons.register(held.shop.ctx, one, DEVICE, TOKEN)
        at(NOON + 9 * DAY)
        held.while_locked(CARD, lambda: night_settling.settle_lapsed(held.shop.ctx, time.monotonic() + 1))

    def test_a_purchase_that_is_taken_back_is_held_after_its_member(self, held: Held) -> None:
        held.shop.change_program(smallest_purchase="50")
        request = PurchaseRequest(100, member_id=held.member.id)
        bought = purchases.record(held.shop.ctx, held.shop.api, request)[0]
        assert bought["entry_id"] is None
        purchase = UUID(str(bought["purchase_id"]))
        lock = "SELECT id FROM purchases FOR UPDATE"
        held.while_locked(MEMBER, lambda: purchases.undo(held.shop.ctx, held.shop.owner, purchase), lock)

    def test_who_is_at_a_till_can_be_written_to_meanwhile(self, held: Held) -> None:
        with held.shop.ctx.sessions.begin() as session:
            members.fetch(session, held.shop.cashier, Member.id == held.member.id, lock=True)
            with held.shop.ctx.sessions.begin() as another:
                another.execute(text("SET LOCAL lock_timeout = '2s'"))
                another.add(
                    Consent(member_id=held.member.id, purpose="p", granted=True, source="s", wording="", at=NOON)
                )


def _lapsed(shop: Shop) -> int:
    with shop.ctx.sessions() as session:
        return session.scalar(select(func.count()).where(LedgerEntry.kind == Kind.EXPIRY)) or 0


def _balances(shop: Shop, given: int, ids: list[UUID]) -> dict[UUID, int]:
    """By how much whose stamps are not what the till has given."""
    expected = dict.fromkeys(ids, 0)
    for number in range(given):
        expected[ids[(number * 37) % len(ids)]] += 1
    with shop.ctx.sessions() as session:
        found = dict(session.execute(select(Member.id, Member.stamps)).all())
    return {one: found[one] - expected[one] for one in ids if found[one] != expected[one]}


_LAPSING = (
    """INSERT INTO members (id, program_id, phone, name, email, city, language, via, status, joined_at, stamps, rewards,
        next_expiry_at)
    SELECT uuidv7(), :program, '+35840' || lpad(CAST(n AS text), 7, '0'), '', '', '', 'en', '', 'active',
        now() - interval '1 year', 1, 0, date_trunc('day', now())
    FROM generate_series(1, CAST(:many AS int)) AS n""",
    """INSERT INTO cards (id, member_id, code, link_generation, link_hash, version, changed_at, news)
    SELECT uuidv7(), id, substr(phone, 2), 1, encode(sha256(CAST(phone AS bytea)), 'hex'), 1,
        now() - interval '1 year', '' FROM members""",
    """INSERT INTO ledger_entries (id, program_id, member_id, operation_id, unit, kind, amount, at, expires_at,
        receipt_no)
    SELECT given.id, :program, given.member_id, given.id, 'stamp', 'earn', 1, now() - interval '1 year',
        date_trunc('day', now()), ''
    FROM (SELECT uuidv7() AS id, id AS member_id FROM members) AS given""",
)
