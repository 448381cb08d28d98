"""Friends are tied to who brought them; both are rewarded once; and what is no friend is caught."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.db.guard import AlertState
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.loyalty.guarding import Rule
from app.services import (
    device_marks,
    guard_desk,
    member_views,
    members,
    programs,
    purchases,
    referral_desk,
    referral_links,
    referral_work,
    stamp_cards,
    till,
)
from app.services.context import Actor
from app.services.errors import InvalidForm, Refused
from app.services.members import JoinRequest
from app.services.purchases import PurchaseRequest
from tests.factories import Shop
from tests.integration.referral_shop import ReferralShop

MARK = "m" * 22


@pytest.fixture
def friends(shop: Shop) -> ReferralShop:
    """Two stamps for who brings a friend, one for the friend, with the friend's first purchase."""
    made = ReferralShop(shop)
    made.rules()
    return made


def test_both_are_rewarded_with_the_first_purchase_and_once(friends: ReferralShop):
    anna = friends.shop.member(1)
    bert = friends.friend(2, anna)
    assert ("waiting", "") == friends.state(bert)
    friends.work()
    assert (0, 0) == (friends.stamps(anna), friends.stamps(bert))
    friends.buy(bert)
    friends.work()
    friends.buy(bert)
    friends.work()
    assert (2, 3) == (friends.stamps(anna), friends.stamps(bert))
    assert ("rewarded", "") == friends.state(bert)


def test_where_joining_is_rewarded_no_purchase_is_needed(friends: ReferralShop):
    friends.rules(rewarded_on="joining")
    anna = friends.shop.member(1)
    bert = friends.friend(2, anna)
    assert 1 == friends.stamps(bert)
    friends.work()
    friends.buy(bert)
    friends.work()
    assert (2, 2) == (friends.stamps(anna), friends.stamps(bert))


def test_a_task_that_runs_many_times_at_once_rewards_once(friends: ReferralShop):
    anna = friends.shop.member(1)
    bert = friends.friend(2, anna)
    friends.buy(bert)
    referral = friends.of(bert)
    assert referral is not None
    with ThreadPoolExecutor(4) as pool:
        assert [True] * 8 == list(pool.map(lambda _: referral_work.work(friends.shop.ctx, referral.id, 0), range(8)))
    assert 2 == friends.stamps(anna)


def test_two_who_brought_others_buy_at_once_and_nobody_waits_for_ever(friends: ReferralShop):
    """Tills hold the friend's lock, tasks that of both."""
    anna = friends.shop.member(1)
    people = [anna]
    for number in range(2, 6):
        people.append(friends.friend(number, people[-1]))

    def busy(place: int) -> None:
        friends.buy(people[place % len(people)])
        friends.work()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(busy, range(20)))
    friends.work()
    assert ["rewarded"] * 4 == [friends.state(person)[0] for person in people[1:]]
    assert [4 + 2, 4 + 2 + 1, 4 + 2 + 1, 4 + 2 + 1, 4 + 1] == [friends.stamps(person) for person in people]


def test_ones_own_link_and_that_of_a_friend_bring_nothing(friends: ReferralShop):
    anna = friends.shop.member(1)
    bert = friends.friend(2, anna)
    friends.friend(1, anna)
    assert ("refused", "self") == friends.state(anna)
    carla = friends.shop.member(3)
    friends.friend(3, bert)
    assert ("refused", "known") == friends.state(carla)
    friends.buy(carla)
    friends.buy(anna)
    friends.work()
    assert (0, 1, 1) == (friends.stamps(bert), friends.stamps(anna), friends.stamps(carla))


def test_a_ring_is_refused_and_shown_and_the_next_time_its_owner_is_stopped(
    friends: ReferralShop, at: Callable[[datetime], None]
):
    begin = datetime(2026, 11, 2, 9, tzinfo=UTC)
    at(begin)
    anna = friends.shop.member(1)
    bert = friends.friend(2, anna)
    carla = friends.friend(3, bert)
    friends.friend(1, carla)
    assert ("refused", "ring") == friends.state(anna)
    (alert,) = guard_desk.every(friends.shop.ctx, friends.shop.owner)
    assert (Rule.MEMBER_RINGS, carla.id, AlertState.SHOWN) == (alert.rule, alert.subject_id, alert.state)
    _, evidence = guard_desk.one(friends.shop.ctx, friends.shop.owner, alert.id)
    assert [anna.id] == [one.member_id for one in evidence]
    at(begin + timedelta(days=3))
    device_marks.note(friends.shop.ctx, bert.id, MARK)
    dora = friends.friend(4, carla, mark=MARK)
    assert ("waiting", "ring") == friends.state(dora)
    (alert,) = guard_desk.every(friends.shop.ctx, friends.shop.owner)
    assert AlertState.BLOCKED is alert.state
    assert ("refused", "stopped") == friends.state(friends.friend(5, carla))


def test_a_browser_that_was_seen_before_waits_for_the_manager(friends: ReferralShop):
    anna = friends.shop.member(1)
    device_marks.note(friends.shop.ctx, anna.id, MARK)
    bert = friends.friend(2, anna, mark=MARK)
    friends.buy(bert)
    friends.work()
    assert ("waiting", "device") == friends.state(bert)
    assert (0, 1) == (friends.stamps(anna), friends.stamps(bert))
    rows, _ = referral_desk.page(friends.shop.ctx, friends.shop.owner, held=True)
    assert ([bert.id], 1) == (
        [row.friend_id for row in rows],
        referral_desk.waiting(friends.shop.ctx, friends.shop.owner),
    )
    referral_desk.decide(friends.shop.ctx, friends.shop.owner, rows[0].id, allow=True)
    friends.work()
    assert (2, 2) == (friends.stamps(anna), friends.stamps(bert))
    with pytest.raises(Refused) as twice:
        referral_desk.decide(friends.shop.ctx, friends.shop.owner, rows[0].id, allow=False)
    assert "referral-decided" == twice.value.kind


def test_what_a_manager_refuses_stays_refused(friends: ReferralShop):
    friends.rules(rewarded_on="joining")
    anna = friends.shop.member(1)
    friends.friend(2, anna, mark=MARK)
    bert = friends.friend(3, anna, mark=MARK)
    assert ("waiting", "device") == friends.state(bert)
    rows, _ = referral_desk.page(friends.shop.ctx, friends.shop.owner, held=True)
    referral_desk.decide(friends.shop.ctx, friends.shop.owner, rows[0].id, allow=False)
    friends.buy(bert)
    friends.work()
    assert ("refused", "manager") == friends.state(bert)
    assert (2, 1) == (friends.stamps(anna), friends.stamps(bert))


def test_whoever_leaves_and_comes_back_is_no_new_friend(friends: ReferralShop):
    anna, bert = friends.shop.member(1), friends.shop.member(2)
    members.set_status(friends.shop.ctx, friends.shop.owner, bert.id, MemberStatus.LEFT)
    friends.friend(2, anna)
    assert ("refused", "returned") == friends.state(bert)
    carla = friends.friend(3, anna)
    friends.buy(carla)
    friends.work()
    members.set_status(friends.shop.ctx, friends.shop.owner, carla.id, MemberStatus.LEFT)
    friends.friend(3, anna)
    friends.buy(carla)
    friends.work()
    assert 2 == friends.stamps(anna)


def test_beyond_the_months_limit_the_friend_is_rewarded_alone(friends: ReferralShop, at: Callable[[datetime], None]):
    friends.rules(month_limit="1")
    at(datetime(2026, 11, 30, 20, tzinfo=UTC))  # still November in Helsinki
    anna = friends.shop.member(1)
    both = [friends.friend(2, anna), friends.friend(3, anna)]
    for friend in both:
        friends.buy(friend)
        friends.work()
    assert [("rewarded", ""), ("refused", "limit")] == [friends.state(friend) for friend in both]
    assert (2, 2) == (friends.stamps(anna), friends.stamps(both[1]))
    at(datetime(2026, 11, 30, 22, 30, tzinfo=UTC))  # December there
    late = friends.friend(4, anna)
    friends.buy(late)
    friends.work()
    assert 4 == friends.stamps(anna)
    standing = referral_links.standing(friends.shop.ctx, programs.get(friends.shop.ctx, anna.program_id), anna.id)
    assert (3, 2, 1, True) == (standing.joined, standing.rewarded, standing.month, standing.full)


def test_an_undone_purchase_takes_both_rewards_back_and_the_next_one_counts(friends: ReferralShop):
    anna = friends.shop.member(1)
    bert = friends.friend(2, anna)
    act = friends.buy(bert)
    friends.work()
    friends.undo(act)
    friends.work()
    assert ("taken_back", "") == friends.state(bert)
    assert (0, 0) == (friends.stamps(anna), friends.stamps(bert))
    friends.buy(bert)
    friends.work()
    assert ("rewarded", "") == friends.state(bert)
    assert (2, 2) == (friends.stamps(anna), friends.stamps(bert))


def test_a_purchase_undone_before_the_reward_was_given_leaves_the_friend_waiting(friends: ReferralShop):
    anna = friends.shop.member(1)
    bert = friends.friend(2, anna)
    friends.undo(friends.buy(bert))
    friends.work()
    assert (("waiting", ""), 0) == (friends.state(bert), friends.stamps(anna))
    friends.buy(bert)
    friends.work()
    assert (2, 2) == (friends.stamps(anna), friends.stamps(bert))


def test_a_purchase_that_earned_nothing_by_itself_takes_the_reward_back_when_it_is_undone(friends: ReferralShop):
    """The till's receipt is of less than a stamp costs, and friends get nothing: the ledger tells nothing of it."""
    friends.rules(friend_stamps="0")
    stamp_cards.save_first(friends.shop.ctx, friends.shop.owner, {"per_amount": "10"})
    anna = friends.shop.member(1)
    bert = friends.friend(2, anna)
    for _ in range(2):
        answer, _ = purchases.record(friends.shop.ctx, friends.shop.api, PurchaseRequest(500, member_id=bert.id))
        friends.work()
        assert (None, 2) == (answer["entry_id"], friends.stamps(anna))
        purchases.undo(friends.shop.ctx, friends.shop.api, UUID(answer["purchase_id"]))
        friends.work()
        assert (("taken_back", ""), 0) == (friends.state(bert), friends.stamps(anna))


@pytest.mark.parametrize(("smallest", "amount_minor", "counts"), [("", 0, False), ("", 1, True), ("10", 999, False)])
def test_a_purchase_of_nothing_or_too_little_is_no_first_one(
    friends: ReferralShop, smallest: str, amount_minor: int, *, counts: bool
):
    friends.shop.change_program(smallest_purchase=smallest)
    anna = friends.shop.member(1)
    bert = friends.friend(2, anna)
    for bought, rewarded in ((amount_minor, counts), (1000, True)):
        purchases.record(friends.shop.ctx, friends.shop.api, PurchaseRequest(bought, member_id=bert.id))
        friends.work()
        assert ("rewarded" if rewarded else "waiting", "") == friends.state(bert)
    assert 2 == friends.stamps(anna)


def test_bought_again_before_it_was_taken_back_the_reward_stands(friends: ReferralShop):
    anna = friends.shop.member(1)
    bert = friends.friend(2, anna)
    act = friends.buy(bert)
    friends.work()
    friends.undo(act)
    friends.buy(bert)
    friends.work()
    assert ("rewarded", "") == friends.state(bert)
    assert (2, 2) == (friends.stamps(anna), friends.stamps(bert))


def test_a_reward_that_was_used_stays_and_is_not_given_twice(friends: ReferralShop):
    friends.rules(referrer_stamps="10")
    anna = friends.shop.member(1)
    bert = friends.friend(2, anna)
    act = friends.buy(bert)
    friends.work()
    with friends.shop.ctx.sessions() as session:
        program = session.get_one(Program, anna.program_id)
        held = member_views.view(session, program, session.get_one(Member, anna.id)).rewards
    till.redeem_reward(friends.shop.ctx, friends.shop.cashier, held[0].id, card_code=anna.card_code)
    friends.undo(act)
    friends.work()
    assert ("taken_back", "used") == friends.state(bert)
    friends.buy(bert)
    friends.work()
    assert ("rewarded", "") == friends.state(bert)
    assert 0 == friends.stamps(anna)


def test_nothing_happens_where_nothing_is_given_for_friends(shop: Shop):
    quiet = ReferralShop(shop)
    anna = shop.member(1)
    bert = quiet.friend(2, anna, mark=MARK)
    assert quiet.of(bert) is None
    assert referral_links.find(shop.ctx, quiet.code(anna)).code == ""


def test_a_code_that_staff_got_wrong_is_told_and_a_customers_is_left_out(friends: ReferralShop):
    wanted = JoinRequest(phone="+358401230009", referral="nosuchcode")
    with pytest.raises(InvalidForm) as wrong:
        members.join(friends.shop.ctx, friends.shop.cashier, wanted, source="till")
    assert ["referral"] == list(wrong.value.errors)
    _, new = members.join(friends.shop.ctx, Actor(friends.shop.program.id), wanted, source="web")
    assert new


def test_a_link_is_made_once_and_is_found_in_any_case(friends: ReferralShop):
    anna = friends.shop.member(1)
    with ThreadPoolExecutor(4) as pool:
        codes = set(pool.map(lambda _: referral_links._made(friends.shop.ctx, [anna.id])[anna.id], range(8)))
    assert 1 == len(codes)
    code = codes.pop()
    assert 10 == len(code)
    assert code == referral_links.find(friends.shop.ctx, f" {code.upper()}/ ").code
    with pytest.raises(Refused):
        referral_links.find(friends.shop.ctx, "nosuchcode")
