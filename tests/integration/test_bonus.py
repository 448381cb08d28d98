"""Bonus: earned by purchases, used at the till, taken back, and lost with time. Against a real database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app import clock
from app.db.delivery import GoogleObject
from app.db.ledger import AuditEntry, LedgerEntry
from app.db.messages import SmsMessage
from app.db.tiers import Tier
from app.loyalty.ledger import Entry, Kind, Unit, lots
from app.services import (
    bonus_by_hand,
    bonus_rules,
    bonus_use,
    bonus_warnings,
    members,
    purchases,
    reversal,
    spending_proofs,
    till,
    upkeep,
)
from app.services.context import Actor
from app.services.errors import Refused
from app.services.views import MemberView
from tests.factories import Shop, open_shop
from tests.integration.bonus_shop import (
    MONEY,
    NOON,
    POINTS,
    SetClock,
    add_rate,
    add_threshold,
    assert_books_agree,
    bonus_of,
    buy,
    faults,
    pay,
    refused,
    reward_type,
    set_bonus,
    undo,
    undo_purchase,
)


def entries(shop: Shop, member: MemberView) -> list[LedgerEntry]:
    with shop.ctx.sessions() as session:
        query = select(LedgerEntry).where(LedgerEntry.member_id == member.id, LedgerEntry.unit == Unit.BONUS)
        return list(session.scalars(query.order_by(LedgerEntry.number)))


class TestEarning:
    def test_without_rules_a_purchase_earns_no_bonus(self, shop: Shop) -> None:
        member = shop.member(1)
        assert (0, 0) == (buy(shop, member, 1250)["bonus_given"], bonus_of(shop, member))

    def test_a_purchase_earns_its_share_rounded_down(self, shop: Shop) -> None:
        set_bonus(shop, share="2,5")
        member = shop.member(1)
        assert 31 == buy(shop, member, 1250)["bonus_given"]  # 31.25 cents
        assert 31 == bonus_of(shop, member)
        assert_books_agree(shop)

    def test_stamps_given_at_the_till_with_an_amount_earn_it_too(self, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        answer, _ = till.give_stamps(shop.ctx, shop.cashier, member.card_code, amount_minor=990)
        assert (99, 99) == (answer["bonus_given"], answer["bonus"])
        till.give_stamps(shop.ctx, shop.cashier, member.card_code)  # nobody said how much was paid
        assert 99 == bonus_of(shop, member)

    def test_a_purchase_too_small_for_a_stamp_earns_bonus_by_its_own_limit(self, shop: Shop) -> None:
        shop.change_program(smallest_purchase="5")
        set_bonus(shop, smallest_purchase="2")
        member = shop.member(1)
        assert 0 == buy(shop, member, 199)["bonus_given"]
        answer = buy(shop, member, 200)
        assert (20, 0) == (answer["bonus_given"], answer["given"])
        assert 0 == undo_purchase(shop, answer)["bonus"]
        assert_books_agree(shop)

    def test_the_highest_rate_of_place_day_and_tier_counts(self, shop: Shop, at: SetClock) -> None:
        at(NOON)  # a Monday
        set_bonus(shop)
        member = shop.member(1)
        with shop.ctx.sessions.begin() as session:
            gold = Tier(program_id=shop.program.id, name="Gold", needs=1)
            session.add(gold)
            session.flush()
            gold_id = gold.id
        add_rate(shop, 1500, location_id=shop.location.id)
        add_rate(shop, 2000, weekdays=[1])
        add_rate(shop, 3000, tier_id=gold_id)
        add_rate(shop, 9000, first_day=date(2027, 3, 5), last_day=date(2027, 3, 6))
        add_rate(shop, 9900, active=False)
        place = shop.location.name
        assert 100 == buy(shop, member, 1000)["bonus_given"]
        assert 150 == buy(shop, member, 1000, location=place)["bonus_given"]
        at(NOON + timedelta(days=1))
        assert 200 == buy(shop, member, 1000, location=place)["bonus_given"]
        # What is sent on Tuesday was bought on Monday.
        assert 100 == buy(shop, member, 1000, at=NOON)["bonus_given"]
        at(NOON + timedelta(days=4))
        assert 900 == buy(shop, member, 1000)["bonus_given"]

    def test_points_are_given_for_each_so_much_in_proportion(self, shop: Shop) -> None:
        set_bonus(shop, POINTS | {"points": "10", "per": "5"})
        member = shop.member(1)
        assert 15 == buy(shop, member, 750)["bonus_given"]

    def test_a_purchase_that_waited_for_its_customer_earns_when_they_join(self, shop: Shop) -> None:
        set_bonus(shop)
        purchases.record(shop.ctx, shop.api, purchases.PurchaseRequest(2000, phone="+358401230077"))
        assert 200 == bonus_of(shop, shop.member(77))
        assert_books_agree(shop)


class TestThresholds:
    def test_reaching_a_threshold_gives_a_reward_and_extra_bonus_once(self, shop: Shop) -> None:
        set_bonus(shop)
        add_threshold(shop, 500, extra=50, reward=reward_type(shop))
        member = shop.member(1)
        assert [] == buy(shop, member, 4990)["issued"]
        assert ["Cake"] == [reward["name"] for reward in buy(shop, member, 10)["issued"]]
        assert 550 == bonus_of(shop, member)
        assert [] == buy(shop, member, 9000)["issued"]
        assert_books_agree(shop)

    def test_each_multiple_gives_it_again_and_one_purchase_may_reach_several(self, shop: Shop) -> None:
        set_bonus(shop)
        add_threshold(shop, 100, extra=1, every=True)
        member = shop.member(1)
        buy(shop, member, 3500)
        assert 353 == bonus_of(shop, member)
        buy(shop, member, 500)
        assert 404 == bonus_of(shop, member)

    def test_extra_bonus_reaches_no_further_threshold(self, shop: Shop) -> None:
        set_bonus(shop)
        add_threshold(shop, 100, extra=1000)
        add_threshold(shop, 500, extra=7)
        member = shop.member(1)
        buy(shop, member, 1000)
        assert 1100 == bonus_of(shop, member)

    def test_using_bonus_does_not_bring_a_threshold_further_away(self, shop: Shop) -> None:
        set_bonus(shop)
        add_threshold(shop, 200, extra=5)
        member = shop.member(1)
        buy(shop, member, 1500)
        pay(shop, member, 10_000)
        buy(shop, member, 500)
        assert 55 == bonus_of(shop, member)

    def test_undoing_takes_an_open_reward_back_and_crossing_again_gives_it_again(self, shop: Shop) -> None:
        set_bonus(shop)
        add_threshold(shop, 100, extra=10, reward=reward_type(shop))
        member = shop.member(1)
        bought = buy(shop, member, 1000)
        undone = undo_purchase(shop, bought)
        assert (0, 0, 0) == (undone["bonus"], undone["rewards"], undone["bonus_missing_minor"])
        assert 1 == len(buy(shop, member, 1000)["issued"])
        assert_books_agree(shop)

    def test_a_used_reward_of_a_threshold_stands_in_the_way_of_undo(self, shop: Shop) -> None:
        set_bonus(shop)
        add_threshold(shop, 100, reward=reward_type(shop))
        member = shop.member(1)
        bought = buy(shop, member, 1000)
        reward = UUID(bought["issued"][0]["id"])
        used, _ = till.redeem_reward(shop.ctx, shop.cashier, reward, card_code=member.card_code)
        assert "reward-used" == refused(lambda: undo_purchase(shop, bought))
        undo(shop, used)
        assert 0 == undo_purchase(shop, bought)["rewards"]
        assert_books_agree(shop)

    def test_undoing_an_older_purchase_and_buying_again_gives_no_second_reward(self, shop: Shop) -> None:
        set_bonus(shop)
        add_threshold(shop, 100, reward=reward_type(shop))
        member = shop.member(1)
        first = buy(shop, member, 600)
        assert 1 == len(buy(shop, member, 600)["issued"])
        undo_purchase(shop, first)
        assert [] == buy(shop, member, 600)["issued"]
        assert_books_agree(shop)

    def test_one_huge_purchase_gives_no_drawer_of_coupons(self, shop: Shop) -> None:
        set_bonus(shop)
        add_threshold(shop, 1, reward=reward_type(shop), every=True)
        assert 20 == len(buy(shop, shop.member(1), 10_000)["issued"])


class TestPaying:
    @pytest.mark.parametrize(
        ("bill", "wanted", "used"), [(400, None, 400), (5000, None, 1000), (5000, 250, 250), (100, 250, 100)]
    )
    def test_a_bill_takes_no_more_than_it_is_nor_than_there_is(
        self, shop: Shop, bill: int, wanted: int | None, used: int
    ) -> None:
        set_bonus(shop)
        member = shop.member(1)
        buy(shop, member, 10_000)
        answer = pay(shop, member, bill, wanted)
        assert (used, 1000 - used) == (answer["used_minor"], answer["left_minor"])
        assert_books_agree(shop)

    def test_what_lapses_first_is_used_first(self, shop: Shop, at: SetClock) -> None:
        set_bonus(shop, valid_days="30")
        member = shop.member(1)
        at(NOON)
        buy(shop, member, 3000)
        at(NOON + timedelta(days=10))
        buy(shop, member, 5000)
        pay(shop, member, 350)
        at(NOON + timedelta(days=35))
        assert 450 == bonus_of(shop, member)
        at(NOON + timedelta(days=50))
        assert 0 == bonus_of(shop, member)
        assert_books_agree(shop)

    def test_a_double_click_pays_once(self, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        buy(shop, member, 10_000)

        def click(_: int) -> tuple[dict[str, object], bool]:
            return bonus_use.pay(
                shop.ctx, shop.cashier, member.id, bill_minor=300, card_code=member.card_code, key="one form"
            )

        with ThreadPoolExecutor(4) as clicks:
            answers = list(clicks.map(click, range(4)))
        assert 1 == len({answer["entry_id"] for answer, _ in answers})
        assert [False, True, True, True] == sorted(repeated for _, repeated in answers)
        assert 700 == bonus_of(shop, member)

    def test_two_tills_at_once_never_pay_with_the_same_bonus(self, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        buy(shop, member, 10_000)

        def spend(_: int) -> int:
            try:
                return int(pay(shop, member, 600)["used_minor"])
            except Refused as refusal:
                assert "no-bonus" == refusal.kind  # noqa: PT017 - it need not be raised
                return 0

        with ThreadPoolExecutor(4) as tills:
            used = list(tills.map(spend, range(4)))
        assert [0, 0, 400, 600] == sorted(used)
        assert 0 == bonus_of(shop, member)
        assert_books_agree(shop)

    def test_a_phone_number_alone_spends_nothing(self, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        buy(shop, member, 10_000)

        def spend(proof: str = "") -> dict[str, object]:
            return bonus_use.pay(shop.ctx, shop.cashier, member.id, bill_minor=100, proof=proof)[0]

        assert "proof-needed" == refused(spend)
        assert "proof-not-valid" == refused(lambda: spend(spending_proofs.make(shop.ctx, shop.owner, member.id)))
        assert 100 == spend(spending_proofs.make(shop.ctx, shop.cashier, member.id))["used_minor"]

    def test_another_shops_till_does_not_know_the_member(self, shop: Shop) -> None:
        set_bonus(shop)
        other = open_shop(shop.ctx, "muualla")
        set_bonus(other)
        member = shop.member(1)
        buy(shop, member, 10_000)
        assert "member-not-found" == refused(lambda: pay(other, member, 100))

    def test_refusals_say_why(self, shop: Shop) -> None:
        member = shop.member(1)
        assert "no-bonus" == refused(lambda: pay(shop, member, 100))
        set_bonus(shop)
        assert "no-bonus" == refused(lambda: pay(shop, member, 100))
        assert "amount-needed" == refused(lambda: pay(shop, member, 0))
        assert "invalid-amount" == refused(lambda: pay(shop, member, 10**13))
        assert "invalid-amount" == refused(lambda: pay(shop, member, 100, 0))

    def test_undo_gives_it_back_to_where_it_came_from(self, shop: Shop, at: SetClock) -> None:
        set_bonus(shop, valid_days="30")
        member = shop.member(1)
        at(NOON)
        buy(shop, member, 3000)
        at(NOON + timedelta(days=10))
        buy(shop, member, 5000)
        used = pay(shop, member, 400)
        assert (800, 0) == (undo(shop, used)["bonus"], 0)
        at(NOON + timedelta(days=35))
        assert 500 == bonus_of(shop, member)
        assert_books_agree(shop)

    def test_what_lapsed_while_it_was_used_does_not_come_back(self, shop: Shop, at: SetClock) -> None:
        set_bonus(shop, valid_days="30")
        member = shop.member(1)
        at(NOON)
        buy(shop, member, 3000)
        used = pay(shop, member, 100)  # 200 of the lot are left, and lapse
        at(NOON + timedelta(days=40))
        buy(shop, member, 1000)
        undone = undo(shop, used)
        assert (100, 100) == (undone["bonus"], undone["bonus_lapsed_minor"])
        assert_books_agree(shop)


class TestPoints:
    def test_points_buy_a_reward_which_is_used_like_any_other(self, shop: Shop) -> None:
        set_bonus(shop, POINTS)
        cake = reward_type(shop, price=10)
        member = shop.member(1)
        buy(shop, member, 1500)

        def get(key: str) -> dict[str, object]:
            return bonus_use.buy(shop.ctx, shop.cashier, member.id, cake, card_code=member.card_code, key=key)[0]

        answer = get("first")
        assert answer == get("first")
        assert (10, 5, 1) == (answer["used"], answer["bonus"], answer["rewards"])
        assert "too-few-points" == refused(lambda: get("second"))
        assert [(cake, "Cake", 10)] == bonus_use.offers(shop.ctx, shop.program.id)
        assert (15, 0) == ((undone := undo(shop, answer))["bonus"], undone["rewards"])
        assert_books_agree(shop)

    def test_points_do_not_pay_bills_and_money_buys_no_rewards(self, shop: Shop) -> None:
        cake, member = reward_type(shop, price=10), shop.member(1)
        set_bonus(shop)
        buy(shop, member, 10_000)
        assert [] == bonus_use.offers(shop.ctx, shop.program.id)
        wanted = lambda: bonus_use.buy(shop.ctx, shop.cashier, member.id, cake, card_code=member.card_code)  # noqa: E731
        assert "reward-not-for-points" == refused(wanted)
        other = open_shop(shop.ctx, "muualla")
        set_bonus(other, POINTS)
        assert "bonus-is-points" == refused(lambda: pay(other, other.member(2), 100))

    def test_a_used_reward_is_undone_before_the_points_come_back(self, shop: Shop) -> None:
        set_bonus(shop, POINTS)
        member = shop.member(1)
        buy(shop, member, 1500)
        bought, _ = bonus_use.buy(
            shop.ctx, shop.cashier, member.id, reward_type(shop, price=10), card_code=member.card_code
        )
        reward = UUID(bought["issued"][0]["id"])
        till.redeem_reward(shop.ctx, shop.cashier, reward, card_code=member.card_code)
        assert "reward-used" == refused(lambda: undo(shop, bought))


class TestUndoOfPurchases:
    def test_everything_that_is_left_is_taken_and_the_rest_is_told(self, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        bought = buy(shop, member, 2000)
        pay(shop, member, 120)
        undone = undo_purchase(shop, bought)
        assert (0, 120) == (undone["bonus"], undone["bonus_missing_minor"])
        assert_books_agree(shop)
        assert "already-undone" == refused(lambda: undo_purchase(shop, bought))

    def test_bonus_of_other_purchases_makes_up_for_what_was_used(self, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        bought = buy(shop, member, 2000)
        pay(shop, member, 120)
        buy(shop, member, 1000)
        undone = undo_purchase(shop, bought)
        assert (0, 20) == (undone["bonus"], undone["bonus_missing_minor"])
        assert_books_agree(shop)

    def test_an_undo_that_can_take_nothing_is_done_all_the_same(self, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        bought = buy(shop, member, 2000)
        pay(shop, member, 200)
        assert 200 == undo_purchase(shop, bought)["bonus_missing_minor"]
        assert [200, -200, 0] == [entry.amount for entry in entries(shop, member)]
        assert_books_agree(shop)

    def test_what_lapsed_is_neither_missed_nor_taken_from_other_purchases(self, shop: Shop, at: SetClock) -> None:
        set_bonus(shop, valid_days="10")
        member = shop.member(1)
        at(NOON)
        bought = buy(shop, member, 2000)
        pay(shop, member, 50)
        at(NOON + timedelta(days=20))
        buy(shop, member, 1000)
        undone = undo_purchase(shop, bought)
        assert (50, 0) == (undone["bonus"], undone["bonus_missing_minor"])
        assert_books_agree(shop)

    def test_undoing_the_use_after_the_purchase_gives_it_back(self, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        bought = buy(shop, member, 2000)
        used = pay(shop, member, 120)
        undo_purchase(shop, bought)
        assert 120 == undo(shop, used)["bonus"]
        assert_books_agree(shop)

    def test_paying_and_undoing_at_once_never_leave_less_than_nothing(self, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        bought = [buy(shop, member, 1000) for _ in range(3)]

        def spend(_: int) -> int:
            try:
                return int(pay(shop, member, 70)["used_minor"])
            except Refused:
                return 0

        with ThreadPoolExecutor(6) as tills:
            undone = [tills.submit(undo_purchase, shop, one) for one in bought]
            used = sum(tills.map(spend, range(3)))
            missing = sum(int(one.result()["bonus_missing_minor"]) for one in undone)
        assert (0, used) == (bonus_of(shop, member), missing)
        assert_books_agree(shop)


class TestByHand:
    def change(self, shop: Shop, member: MemberView, *, by: Actor | None = None, **form: str) -> dict[str, object]:
        typed = {"what": "give", "amount": "2,50", "reason": "Sorry"} | form
        return bonus_by_hand.change(shop.ctx, by or shop.owner, member.id, typed, key=str(uuid4()))[0]

    def test_a_manager_gives_and_takes_with_a_reason_that_is_kept(self, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        assert 250 == self.change(shop, member)["bonus"]
        assert 150 == self.change(shop, member, what="take", amount="1")["bonus"]
        assert {"amount": "too-much"} == faults(lambda: self.change(shop, member, what="take"))
        assert {"amount": "required", "reason": "required"} == faults(
            lambda: self.change(shop, member, amount="", reason="")
        )
        with shop.ctx.sessions() as session:
            kept = session.scalars(select(AuditEntry).where(AuditEntry.action.like("bonus.%")).order_by(AuditEntry.id))
            assert [("bonus.given", {"reason": "Sorry"}), ("bonus.taken", {"reason": "Sorry"})] == [
                (row.action, row.details) for row in kept
            ]
        assert_books_agree(shop)

    def test_what_was_given_by_hand_reaches_no_threshold(self, shop: Shop) -> None:
        set_bonus(shop)
        add_threshold(shop, 100, extra=1000)
        member = shop.member(1)
        self.change(shop, member)
        assert 250 == bonus_of(shop, member)

    def test_a_cashier_without_the_right_may_not(self, shop: Shop) -> None:
        set_bonus(shop)
        assert "not-allowed" == refused(lambda: self.change(shop, shop.member(1), by=shop.cashier))


class TestRules:
    def test_what_is_wrong_is_said_at_its_field(self, shop: Shop) -> None:
        assert {"share": "invalid-share"} == faults(lambda: set_bonus(shop, share="101"))
        assert {"share": "invalid-share"} == faults(lambda: set_bonus(shop, share="1.255"))
        assert {"warn_days": "warns-too-early"} == faults(lambda: set_bonus(shop, valid_days="5", warn_days="6"))
        found = faults(lambda: set_bonus(shop, {"kind": "points", "points": "1", "name_ru_one": "коктейль"}))
        assert {"per", "name_en_one", "name_en_other", "name_ru_few", "name_ru_many", "name_ru_other"} == set(found)

    def test_the_kind_stays_while_somebody_holds_some(self, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        buy(shop, member, 1000)
        assert {"kind": "bonus-held"} == faults(lambda: set_bonus(shop, POINTS))
        assert {"kind": "bonus-held"} == faults(lambda: set_bonus(shop, {"kind": "off"}))
        set_bonus(shop, share="0")
        assert 0 == buy(shop, member, 1000)["bonus_given"]
        pay(shop, member, 1000)
        set_bonus(shop, POINTS)
        assert "points" == bonus_rules.get(shop.ctx, shop.program.id).kind

    def test_the_form_shows_what_was_saved(self, shop: Shop) -> None:
        for form in (MONEY | {"share": "2.5", "valid_days": "365", "warn_days": "14", "warn_by_sms": "on"}, POINTS):
            set_bonus(shop, form)
            typed = bonus_rules.as_typed(bonus_rules.get(shop.ctx, shop.program.id), "EUR")
            assert form | {"per": typed["per"]} == {name: typed[name] for name in form | {"per": ""}}
            set_bonus(shop, typed)


STEPS = st.tuples(
    st.sampled_from(["buy", "buy", "buy", "pay", "pay", "undo-purchase", "undo-use", "give", "take", "sleep"]),
    st.integers(1, 4000),
    st.integers(0, 12),
)


class Days:
    """Plays a history of one member, and says what a bookkeeper would."""

    def __init__(self, shop: Shop, member: MemberView) -> None:
        self.shop, self.member = shop, member
        self.bought: list[dict[str, object]] = []
        self.used: list[dict[str, object]] = []
        self.paid = self.missing = 0

    def play(self, kind: str, amount: int) -> None:
        try:
            self._act(kind, amount)
        except Refused as refusal:
            assert refusal.kind in {"no-bonus", "already-undone", "reward-used"}  # noqa: PT017 - it need not be raised

    def _act(self, kind: str, amount: int) -> None:
        shop = self.shop
        match kind:
            case "buy":
                self.bought.append(buy(shop, self.member, amount))
            case "pay":
                self.used.append(pay(shop, self.member, amount // 10 + 1))
            case "undo-purchase" if self.bought:
                chosen = self.bought[amount % len(self.bought)]
                if chosen["entry_id"]:
                    undo_purchase(shop, chosen)
            case "undo-use" if self.used:
                undo(shop, self.used[amount % len(self.used)])
            case "give" | "take":
                some = min(amount, bonus_of(shop, self.member)) if kind == "take" else amount
                if some:
                    form = {"what": kind, "amount": f"{some / 100:.2f}", "reason": "why"}
                    bonus_by_hand.change(shop.ctx, shop.owner, self.member.id, form)


@settings(max_examples=30)
@given(steps=st.lists(STEPS, min_size=1, max_size=25))
def test_any_history_replayed_from_the_ledger_gives_the_balance_and_conserves_money(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, int, int]]
) -> None:
    set_bonus(shop, valid_days="20")
    if not entries(shop, shop.member(1)):  # once for all examples
        add_threshold(shop, 150, extra=30, every=True)
    member = shop.member(uuid4().int % 9000 + 100)
    days, moment = Days(shop, member), clock.now()
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda: moment)
        for kind, amount, later in steps:
            moment += timedelta(days=later)
            shop.ctx.valkey.flushdb()  # so much in one day is odd
            days.play(kind, amount)
        balance = bonus_of(shop, member)
    rows = entries(shop, member)
    replayed = lots([Entry(row.id, row.amount, row.expires_at, row.reverses_id, row.lot_id) for row in rows])
    assert balance == sum(lot.left for lot in replayed) == sum(row.amount for row in rows) >= 0
    kinds = {row.id: row.kind for row in rows}

    def total(*wanted: Kind, positive: bool) -> int:
        undone = sum(
            row.amount
            for row in rows
            if row.reverses_id is not None and kinds[row.reverses_id] in wanted and (row.amount <= 0) == positive
        )
        return sum(row.amount for row in rows if row.kind in wanted and (row.amount > 0) == positive) + undone

    given_and_not_taken_back = total(Kind.EARN, Kind.BONUS, Kind.GRANT, positive=True)
    used = -total(Kind.REDEEM, positive=False)
    taken = -sum(row.amount for row in rows if row.kind is Kind.GRANT and row.amount < 0)
    lapsed = -sum(row.amount for row in rows if row.kind is Kind.EXPIRY)
    assert given_and_not_taken_back == used + lapsed + taken + balance
    assert_books_agree(shop)


def test_a_warning_comes_once_for_each_day_on_which_some_lapses(shop: Shop, at: SetClock) -> None:
    set_bonus(shop, valid_days="30", warn_days="7")
    member = shop.member(1)
    at(NOON)
    buy(shop, member, 1200)
    news: Callable[[], str] = lambda: members.by_id(shop.ctx, shop.cashier, member.id).news  # noqa: E731
    at(NOON + timedelta(days=20))
    upkeep.run(shop.ctx, 60)
    before = news()
    at(NOON + timedelta(days=24, hours=-9))  # five in the morning in Helsinki
    upkeep.run(shop.ctx, 60)
    assert before == news()
    at(NOON + timedelta(days=24))
    upkeep.run(shop.ctx, 60)
    assert "€1.20 of your bonus can be used until 31 Mar 2027" == news()
    version = members.by_id(shop.ctx, shop.cashier, member.id).card_version
    for hours in (1, 24, 48):
        at(NOON + timedelta(days=24, hours=hours))
        upkeep.run(shop.ctx, 60)
    assert version == members.by_id(shop.ctx, shop.cashier, member.id).card_version
    at(NOON + timedelta(days=31))
    upkeep.run(shop.ctx, 60)
    assert 0 == bonus_of(shop, member)


def test_only_who_has_no_wallet_is_warned_by_sms(shop: Shop, at: SetClock) -> None:
    set_bonus(shop, POINTS | {"valid_days": "30", "warn_days": "7", "warn_by_sms": "on"})
    with_wallet, without = shop.member(1, language="fi"), shop.member(2, language="ru")
    with shop.ctx.sessions.begin() as session:
        session.add(GoogleObject(card_id=with_wallet.card_id, version=1, installs=1, notified_at=[]))
    at(NOON)
    for member in (with_wallet, without):
        buy(shop, member, 500)
    at(NOON + timedelta(days=25))
    upkeep.run(shop.ctx, 60)
    with shop.ctx.sessions() as session:
        message = session.scalars(select(SmsMessage).where(SmsMessage.template == "bonus_lapses")).one()
        assert (without.id, "5 коктейлей") == (message.member_id, message.params["amount"])
    assert "5 pirtelöä" in members.by_id(shop.ctx, shop.cashier, with_wallet.id).news


def test_a_new_day_warns_of_what_lapses_then_and_interrupted_work_goes_on(
    shop: Shop, at: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bonus_warnings, "BATCH", 2)
    set_bonus(shop, valid_days="30", warn_days="7")
    at(NOON)
    people = [shop.member(number) for number in range(5)]
    for member in people:
        buy(shop, member, 1000)
    at(NOON + timedelta(days=28))
    assert bonus_warnings.warn_due(shop.ctx, until=0)  # no time at all: one member each
    for _ in range(5):
        bonus_warnings.warn_due(shop.ctx, until=0)
    assert not bonus_warnings.warn_due(shop.ctx, until=0)
    told = [members.by_id(shop.ctx, shop.cashier, member.id).news for member in people]
    assert {"€1.00 of your bonus can be used until 31 Mar 2027"} == set(told)


def test_cashiers_undo_their_own_payment_within_minutes_and_managers_any(shop: Shop, at: SetClock) -> None:
    set_bonus(shop)
    member = shop.member(1)
    at(NOON)
    buy(shop, member, 10_000)
    used = pay(shop, member, 100)
    assert UUID(str(used["entry_id"])) == reversal.newest_undoable(shop.ctx, shop.cashier, member.id)
    at(NOON + timedelta(minutes=16))
    assert reversal.newest_undoable(shop.ctx, shop.cashier, member.id) is None
    late = lambda: till.undo(shop.ctx, shop.cashier, UUID(str(used["entry_id"])))  # noqa: E731
    assert "undo-too-late" == refused(late)
    assert 1000 == undo(shop, used)["bonus"]


def test_the_winter_time_zone_of_the_shop_decides_the_day(shop: Shop, at: SetClock) -> None:
    set_bonus(shop)
    add_rate(shop, 5000, weekdays=[6])
    member = shop.member(1)
    at(datetime(2027, 3, 6, 22, 30, tzinfo=UTC))  # already Sunday in Helsinki
    assert 500 == buy(shop, member, 1000)["bonus_given"]
