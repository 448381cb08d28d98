"""Stamps, rewards and undo at the till: what a shop and its customers can rely on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from app import clock
from app.db.guard import GuardRule
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.people import Member, MemberCard, MemberStatus, Role
from app.i18n import translator
from app.loyalty.card_codes import grouped
from app.loyalty.guarding import Rule
from app.loyalty.ledger import Entry, Kind, Unit, balance, lots
from app.services import members, reversal, spending_proofs, till
from app.services.context import Actor
from app.services.errors import Refused
from app.services.views import MemberView
from tests.factories import Shop, actor_for, open_shop

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
SetClock = Callable[[datetime], None]


def kind_refused(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refusal:
        act()
    return refusal.value.kind


def now_of(shop: Shop, member: MemberView) -> MemberView:
    return members.by_id(shop.ctx, shop.cashier, member.id)


def give(shop: Shop, member: MemberView, count: int = 1, **more: object) -> dict[str, object]:
    return till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=count, **more)[0]  # type: ignore[arg-type]


def full_card(shop: Shop, member: MemberView) -> UUID:
    """Fill the card; the id of its reward."""
    give(shop, member, 10)
    return now_of(shop, member).rewards[-1].id


def use_reward(shop: Shop, reward_id: UUID, actor: Actor | None = None, **more: str) -> tuple[dict[str, object], bool]:
    """Use a reward as who has scanned its member's card does."""
    who = actor or shop.cashier
    with shop.ctx.sessions() as session:
        reward = session.get(Reward, reward_id)
    proof = spending_proofs.make(shop.ctx, who, reward.member_id) if reward else ""
    return till.redeem_reward(shop.ctx, who, reward_id, proof=proof, **more)  # type: ignore[arg-type]


def entries(shop: Shop, member: MemberView) -> list[LedgerEntry]:
    with shop.ctx.sessions() as session:
        query = select(LedgerEntry).where(LedgerEntry.member_id == member.id).order_by(LedgerEntry.number)
        return list(session.scalars(query))


class TestGivingStamps:
    def test_a_stamp_is_on_the_card_at_once(self, shop: Shop) -> None:
        member = shop.member()
        answer, repeated = till.give_stamps(
            shop.ctx, shop.cashier, member.card_code, count=2, amount_minor=1250, receipt_no=" R\x0017 "
        )
        assert repeated is False
        assert (answer["given"], answer["stamps"], answer["stamps_needed"], answer["rewards"]) == (2, 2, 10, 0)
        assert now_of(shop, member).stamps == 2
        row = entries(shop, member)[0]
        assert (str(row.id), row.id) == (answer["entry_id"], row.operation_id)
        assert (row.amount_minor, row.receipt_no) == (1250, "R 17")
        assert (row.location_id, row.staff_id) == (shop.location.id, shop.cashier.staff_id)

    @pytest.mark.parametrize("typed", ["0401230007", "+358 40 123 0007", "۰۴۰ ۱۲۳ ۰۰۰۷", "00358401230007"])
    def test_a_phone_number_in_any_form_finds_the_member(self, shop: Shop, typed: str) -> None:
        member = shop.member(7)
        assert till.give_stamps(shop.ctx, shop.cashier, typed)[0]["member_id"] == str(member.id)

    def test_a_card_code_with_look_alikes_finds_the_member(self, shop: Shop) -> None:
        member = shop.member()
        with shop.ctx.sessions.begin() as session:
            session.get_one(MemberCard, member.card_id).code = "0123ABCD1JKMNPQ0"
        typed = grouped("o123abcdljkmnpqO")
        assert members.find(shop.ctx, shop.cashier, typed).id == member.id

    def test_a_full_card_gives_a_reward_by_itself_and_what_is_over_stays(self, shop: Shop) -> None:
        member = shop.member()
        give(shop, member, 9)
        answer = give(shop, member, 13)
        assert (answer["stamps"], answer["rewards"]) == (2, 2)
        assert [issued["name"] for issued in answer["issued"]] == ["Free coffee", "Free coffee"]  # type: ignore[attr-defined]

    @pytest.mark.parametrize("count", [0, -1, 21, 10**12])
    def test_an_impossible_count_is_refused(self, shop: Shop, count: int) -> None:
        member = shop.member()
        assert kind_refused(lambda: give(shop, member, count)) == "invalid-count"
        assert now_of(shop, member).stamps == 0

    def test_a_purchase_below_the_smallest_gives_no_stamp(self, shop: Shop) -> None:
        shop.change_program(smallest_purchase="3,50")
        member = shop.member()
        assert kind_refused(lambda: give(shop, member)) == "amount-needed"
        with pytest.raises(Refused) as refusal:
            give(shop, member, amount_minor=349)
        assert refusal.value.kind == "purchase-too-small"
        assert refusal.value.text(translator("en")) == "No stamp: the purchase must be €3.50 or more."
        assert give(shop, member, amount_minor=350)["stamps"] == 1

    @pytest.mark.parametrize("amount", [-1, 10**12 + 1])
    def test_an_impossible_amount_is_refused(self, shop: Shop, amount: int) -> None:
        member = shop.member()
        assert kind_refused(lambda: give(shop, member, amount_minor=amount)) == "invalid-amount"

    def test_no_stamps_before_the_programme_starts(self, shop: Shop, at: SetClock) -> None:
        member = shop.member()
        shop.change_program(starts_on="2027-03-02")
        at(datetime(2027, 3, 1, 21, 59, tzinfo=UTC))  # 23:59 in Helsinki
        assert kind_refused(lambda: give(shop, member)) == "not-started"
        at(datetime(2027, 3, 1, 22, 0, tzinfo=UTC))
        assert give(shop, member)["stamps"] == 1

    @pytest.mark.parametrize(
        ("status", "kind"), [(MemberStatus.BLOCKED, "member-blocked"), (MemberStatus.LEFT, "member-left")]
    )
    def test_no_stamp_and_no_reward_for_who_is_blocked_or_left(
        self, shop: Shop, status: MemberStatus, kind: str
    ) -> None:
        member = shop.member()
        reward = full_card(shop, member)
        members.set_status(shop.ctx, shop.owner, member.id, status)
        assert kind_refused(lambda: give(shop, member)) == kind
        assert kind_refused(lambda: use_reward(shop, reward)) == kind

    def test_unknown_and_unreadable_codes_are_told_apart(self, shop: Shop) -> None:
        def giving(code: str) -> Callable[[], object]:
            return lambda: till.give_stamps(shop.ctx, shop.cashier, code)

        assert kind_refused(giving("0" * 16)) == "member-not-found"
        assert kind_refused(giving("0409999999")) == "member-not-found"
        assert kind_refused(giving("hello")) == "unreadable-code"
        assert kind_refused(giving("U" * 16)) == "unreadable-code"
        assert kind_refused(giving("\ud800" * 16)) == "unreadable-code"

    def test_another_programmes_card_is_not_found(self, shop: Shop) -> None:
        other = open_shop(shop.ctx, "toinen")
        stranger = other.member()
        reward = full_card(other, stranger)
        operation = entries(other, stranger)[0].operation_id
        assert kind_refused(lambda: give(shop, stranger)) == "member-not-found"
        assert kind_refused(lambda: use_reward(shop, reward)) == "reward-not-found"
        assert kind_refused(lambda: till.undo(shop.ctx, shop.owner, operation)) == "entry-not-found"
        assert till.history(shop.ctx, shop.owner, stranger.id) == []
        assert reversal.newest_undoable(shop.ctx, shop.owner, stranger.id) is None

    def test_a_location_must_be_an_active_one_of_the_programme(self, shop: Shop) -> None:
        other = open_shop(shop.ctx, "toinen")
        member = shop.member()
        for location in (other.location.id, uuid4()):
            assert kind_refused(lambda place=location: give(shop, member, location=place)) == "location-not-found"


class TestTheSameKey:
    def test_gives_the_same_answer_and_does_nothing(self, shop: Shop) -> None:
        member = shop.member()
        first = till.give_stamps(shop.ctx, shop.cashier, member.card_code, key="k1")
        again = till.give_stamps(shop.ctx, shop.cashier, member.card_code, key="k1")
        assert (first[0], True) == again
        assert len(entries(shop, member)) == 1

    def test_with_another_request_is_refused(self, shop: Shop) -> None:
        member = shop.member()
        give(shop, member, key="k1")
        assert kind_refused(lambda: give(shop, member, 2, key="k1")) == "idempotency-key-reused"
        assert now_of(shop, member).stamps == 1

    def test_of_another_till_is_another_key(self, shop: Shop) -> None:
        member = shop.member()
        give(shop, member, key="k1")
        till.give_stamps(shop.ctx, actor_for(shop.second_cashier), member.card_code, key="k1")
        assert now_of(shop, member).stamps == 2

    def test_is_free_again_after_a_refusal(self, shop: Shop) -> None:
        member = shop.member()
        assert kind_refused(lambda: give(shop, member, 0, key="k1")) == "invalid-count"
        assert give(shop, member, 1, key="k1")["stamps"] == 1

    def test_from_several_threads_at_once_is_one_stamp(self, shop: Shop) -> None:
        member = shop.member()
        with ThreadPoolExecutor(4) as pool:
            answers = list(
                pool.map(lambda _: till.give_stamps(shop.ctx, shop.cashier, member.card_code, key="k1"), range(4))
            )
        assert [False, True, True, True] == sorted(repeated for _, repeated in answers)
        assert len({answer["entry_id"] for answer, _ in answers}) == 1
        assert now_of(shop, member).stamps == 1

    @pytest.mark.parametrize("key", ["x" * 81, "a\x00b", "\ud800"])
    def test_that_no_column_can_hold_is_refused(self, shop: Shop, key: str) -> None:
        member = shop.member()
        assert kind_refused(lambda: give(shop, member, key=key)) == "invalid-idempotency-key"


class TestTwoTillsAtTheSameInstant:
    def test_both_count_once_each_and_the_card_has_a_version_for_each(self, shop: Shop) -> None:
        member = shop.member()
        tills = (shop.cashier, actor_for(shop.second_cashier), shop.api)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda who: till.give_stamps(shop.ctx, who, member.card_code), tills * 2))
        after = now_of(shop, member)
        assert (after.stamps, len(entries(shop, member))) == (6, 6)
        assert after.card_version == member.card_version + 6

    def test_the_last_stamp_from_two_tills_issues_one_reward(self, shop: Shop) -> None:
        member = shop.member()
        give(shop, member, 9)
        tills = (shop.cashier, actor_for(shop.second_cashier))
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda who: till.give_stamps(shop.ctx, who, member.card_code)[0], tills))
        assert [0, 1] == sorted(len(answer["issued"]) for answer in answers)
        after = now_of(shop, member)
        assert (after.stamps, len(after.rewards)) == (1, 1)

    def test_a_reward_is_used_once(self, shop: Shop) -> None:
        member = shop.member()
        reward = full_card(shop, member)

        def use(who: Actor) -> str:
            try:
                return str(use_reward(shop, reward, who)[0]["redeemed"])
            except Refused as refusal:
                return refusal.kind

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(use, (shop.cashier, actor_for(shop.second_cashier))))
        assert {str(reward), "reward-used"} == set(outcomes)
        assert now_of(shop, member).rewards == ()

    def test_an_act_is_undone_once(self, shop: Shop) -> None:
        member = shop.member()
        give(shop, member)
        operation = entries(shop, member)[0].operation_id

        def take_back(who: object) -> str:
            try:
                return str(till.undo(shop.ctx, who, operation)[0]["undone"])  # type: ignore[arg-type]
            except Refused as refusal:
                return refusal.kind

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(take_back, (shop.cashier, shop.owner)))
        assert {str(operation), "already-undone"} == set(outcomes)
        assert now_of(shop, member).stamps == 0


class TestRewards:
    def test_a_reward_is_used_once_and_says_so_the_second_time(self, shop: Shop) -> None:
        member = shop.member()
        reward = full_card(shop, member)
        answer, _ = use_reward(shop, reward, key="k")
        assert (answer["redeemed"], answer["redeemed_name"], answer["rewards"]) == (str(reward), "Free coffee", 0)
        assert (answer, True) == use_reward(shop, reward, key="k")
        assert kind_refused(lambda: use_reward(shop, reward)) == "reward-used"

    def test_a_reward_past_its_last_day_is_refused(self, shop: Shop, at: SetClock) -> None:
        shop.change_program(reward_valid_days="1")
        member = shop.member()
        at(NOON)
        reward = full_card(shop, member)
        at(datetime(2027, 3, 2, 21, 59, tzinfo=UTC))  # 23:59 of the last day in Helsinki
        assert len(now_of(shop, member).rewards) == 1
        at(datetime(2027, 3, 2, 22, 0, tzinfo=UTC))
        assert kind_refused(lambda: use_reward(shop, reward)) == "reward-expired"
        assert now_of(shop, member).rewards == ()

    def test_an_unknown_reward_is_refused(self, shop: Shop) -> None:
        assert kind_refused(lambda: use_reward(shop, uuid4())) == "reward-not-found"

    def test_it_keeps_the_name_that_was_promised(self, shop: Shop) -> None:
        member = shop.member()
        reward = full_card(shop, member)
        shop.change_program(reward_name="Free tea")
        assert use_reward(shop, reward)[0]["redeemed_name"] == "Free coffee"


class TestLapsing:
    def test_stamps_lapse_at_the_end_of_their_last_day(self, shop: Shop, at: SetClock) -> None:
        shop.change_program(stamp_valid_days="10")
        member = shop.member()
        at(NOON)
        give(shop, member, 3)
        at(NOON + timedelta(days=5))
        give(shop, member, 2)
        at(NOON + timedelta(days=11))
        assert now_of(shop, member).stamps == 2
        assert [3, 2, -3] == [row.amount for row in entries(shop, member)]
        assert give(shop, member)["stamps"] == 3

    def test_a_lapsed_stamp_cannot_be_undone_at_the_cost_of_a_living_one(self, shop: Shop, at: SetClock) -> None:
        shop.change_program(stamp_valid_days="10")
        member = shop.member()
        at(NOON)
        operation = UUID(str(give(shop, member)["entry_id"]))
        at(NOON + timedelta(days=11))
        give(shop, member)
        assert kind_refused(lambda: till.undo(shop.ctx, shop.owner, operation)) == "stamps-used"
        assert now_of(shop, member).stamps == 1

    def test_stamps_that_come_back_too_late_lapse_at_once(self, shop: Shop, at: SetClock) -> None:
        shop.change_program(stamp_valid_days="10")
        member = shop.member()
        at(NOON)
        give(shop, member, 9)
        at(NOON + timedelta(days=5))
        operation = UUID(str(give(shop, member)["entry_id"]))
        at(NOON + timedelta(days=11))
        assert till.undo(shop.ctx, shop.owner, operation)[0]["stamps"] == 0
        assert [] == lots_of(shop, member)

    def test_stamps_cannot_come_back_into_a_lot_that_lapsed(self, shop: Shop, at: SetClock) -> None:
        member = shop.member()
        at(NOON)
        shop.change_program(stamp_valid_days="20")
        give(shop, member, 5)
        shop.change_program(stamp_valid_days="10")
        operation = UUID(str(give(shop, member, 6)["entry_id"]))
        at(NOON + timedelta(days=21))
        assert now_of(shop, member).stamps == 0
        assert kind_refused(lambda: till.undo(shop.ctx, shop.owner, operation)) == "stamps-used"
        assert len(now_of(shop, member).rewards) == 1


class TestUndo:
    def test_takes_the_stamp_back_and_the_history_says_so(self, shop: Shop) -> None:
        member = shop.member()
        operation = UUID(str(give(shop, member, 2)["entry_id"]))
        answer, _ = till.undo(shop.ctx, shop.cashier, operation, key="u")
        assert (answer["stamps"], answer["undone"]) == (0, str(operation))
        assert (answer, True) == till.undo(shop.ctx, shop.cashier, operation, key="u")
        assert kind_refused(lambda: till.undo(shop.ctx, shop.cashier, operation)) == "already-undone"
        [entry] = till.history(shop.ctx, shop.cashier, member.id)
        assert (entry.kind, entry.amount, entry.staff, entry.location, entry.undone) == (
            Kind.EARN,
            2,
            "Charlie",
            "Kulma",
            True,
        )

    def test_of_the_stamp_that_filled_the_card_takes_the_reward_back(self, shop: Shop) -> None:
        member = shop.member()
        give(shop, member, 9)
        operation = UUID(str(give(shop, member)["entry_id"]))
        reward = now_of(shop, member).rewards[0].id
        assert till.undo(shop.ctx, shop.cashier, operation)[0]["stamps"] == 9
        assert now_of(shop, member).rewards == ()
        assert kind_refused(lambda: use_reward(shop, reward)) == "reward-withdrawn"

    def test_of_a_stamp_whose_reward_was_used_is_refused_until_the_reward_is_back(self, shop: Shop) -> None:
        member = shop.member()
        operation = UUID(str(give(shop, member, 10)["entry_id"]))
        redeemed = use_reward(shop, now_of(shop, member).rewards[0].id)[0]
        assert kind_refused(lambda: till.undo(shop.ctx, shop.cashier, operation)) == "reward-used"
        till.undo(shop.ctx, shop.cashier, UUID(str(redeemed["entry_id"])))
        assert len(now_of(shop, member).rewards) == 1
        till.undo(shop.ctx, shop.cashier, operation)
        assert (now_of(shop, member).stamps, now_of(shop, member).rewards) == (0, ())

    def test_of_a_stamp_that_went_into_a_later_reward_is_refused(self, shop: Shop) -> None:
        member = shop.member()
        operation = UUID(str(give(shop, member)["entry_id"]))
        give(shop, member, 9)
        assert kind_refused(lambda: till.undo(shop.ctx, shop.cashier, operation)) == "stamps-used"

    def test_never_leaves_a_full_card_without_its_reward(self, shop: Shop) -> None:
        shop.change_program(stamps_needed="2")
        member = shop.member()
        give(shop, member)
        operation = UUID(str(give(shop, member)["entry_id"]))
        give(shop, member)
        answer, _ = till.undo(shop.ctx, shop.cashier, operation)
        assert (answer["stamps"], answer["rewards"]) == (0, 1)

    def test_is_for_a_quarter_of_an_hour_then_for_managers(self, shop: Shop, at: SetClock) -> None:
        member = shop.member()
        at(NOON)
        operation = UUID(str(give(shop, member)["entry_id"]))
        at(NOON + timedelta(minutes=15))
        assert reversal.newest_undoable(shop.ctx, shop.cashier, member.id) == operation
        at(NOON + timedelta(minutes=15, seconds=1))
        assert reversal.newest_undoable(shop.ctx, shop.cashier, member.id) is None
        assert kind_refused(lambda: till.undo(shop.ctx, shop.cashier, operation)) == "undo-too-late"
        manager = shop.actor(Role.MANAGER)
        assert reversal.newest_undoable(shop.ctx, manager, member.id) == operation
        assert till.undo(shop.ctx, manager, operation)[0]["stamps"] == 0

    def test_of_what_somebody_else_did_is_a_managers(self, shop: Shop) -> None:
        member = shop.member()
        operation = UUID(str(give(shop, member)["entry_id"]))
        dora = actor_for(shop.second_cashier)
        assert reversal.newest_undoable(shop.ctx, dora, member.id) is None
        assert kind_refused(lambda: till.undo(shop.ctx, dora, operation)) == "undo-too-late"

    def test_cannot_itself_be_undone(self, shop: Shop) -> None:
        member = shop.member()
        operation = UUID(str(give(shop, member)["entry_id"]))
        undone = UUID(till.undo(shop.ctx, shop.cashier, operation)[0]["entry_id"])
        assert kind_refused(lambda: till.undo(shop.ctx, shop.owner, undone)) == "entry-not-found"
        assert kind_refused(lambda: till.undo(shop.ctx, shop.owner, uuid4())) == "entry-not-found"

    def test_of_a_reward_that_lapsed_meanwhile_gives_nothing_back_to_use(self, shop: Shop, at: SetClock) -> None:
        shop.change_program(reward_valid_days="1")
        member = shop.member()
        at(NOON)
        operation = UUID(str(use_reward(shop, full_card(shop, member))[0]["entry_id"]))
        at(NOON + timedelta(days=3))
        assert till.undo(shop.ctx, shop.owner, operation)[0]["rewards"] == 0


def lots_of(shop: Shop, member: MemberView) -> list[object]:
    rows = [row for row in entries(shop, member) if row.unit is Unit.STAMP]
    return list(lots(Entry(row.id, row.amount, row.expires_at, row.reverses_id, row.lot_id) for row in rows))


# One step of a made-up day: who does what to which of two cards, and how many days later.
STEPS = st.tuples(
    st.sampled_from(["give", "give", "give", "repeat", "redeem", "undo", "undo-any", "look"]),
    st.integers(0, 1),
    st.integers(1, 4),
    st.sampled_from([0, 0, 0, 1, 4]),
)
REFUSALS = {"reward-used", "reward-expired", "reward-withdrawn", "stamps-used", "already-undone", "undo-too-late"}


class Day:
    """Plays steps against the services, from any thread. Only refusals that a person can meet are allowed."""

    def __init__(self, shop: Shop, people: list[MemberView]) -> None:
        self.shop, self.people, self.number = shop, people, 0

    def play(self, step: tuple[str, int, int, int], key: str) -> None:
        kind, which, count, _ = step
        shop, member = self.shop, self.people[which]
        try:
            match kind:
                case "give":
                    give(shop, member, count, key=key)
                case "repeat":
                    assert give(shop, member, count, key=key) == give(shop, member, count, key=key)
                case "redeem":
                    self._redeem(member, key)
                case "undo":
                    newest = reversal.newest_undoable(shop.ctx, shop.owner, member.id)
                    if newest is not None:
                        till.undo(shop.ctx, shop.owner, newest, key=key)
                case "undo-any":
                    acts = [act for act in till.history(shop.ctx, shop.owner, member.id) if act.kind is not Kind.EXPIRY]
                    if acts:
                        till.undo(shop.ctx, shop.owner, acts[count % len(acts)].operation_id, key=key)
                case "look":
                    now_of(shop, member)
        except Refused as refusal:
            assert refusal.kind in REFUSALS  # noqa: PT017 - the assertion is about a refusal that may not happen

    def _redeem(self, member: MemberView, key: str) -> None:
        with self.shop.ctx.sessions() as session:
            reward = session.scalars(
                select(Reward.id).where(Reward.member_id == member.id).order_by(Reward.issued_at.desc(), Reward.id)
            ).first()
        if reward is not None:
            use_reward(self.shop, reward, key=key)


def unguarded(shop: Shop) -> None:
    """Let nobody be stopped for doing something often."""
    with shop.ctx.sessions.begin() as session:
        for rule in Rule:
            session.merge(GuardRule(program_id=shop.program.id, rule=rule.value, most=1000, minutes=1, active=False))


def assert_sums_agree(shop: Shop, member: MemberView) -> None:
    with shop.ctx.sessions() as session:
        cached = session.get_one(Member, member.id)
        rows = list(
            session.scalars(select(LedgerEntry).where(LedgerEntry.member_id == member.id).order_by(LedgerEntry.number))
        )
        open_rewards = session.scalar(
            select(func.count()).where(Reward.member_id == member.id, Reward.status == RewardStatus.ISSUED)
        )
    for unit, kept in ((Unit.STAMP, cached.stamps), (Unit.REWARD, cached.rewards)):
        own = [
            Entry(row.id, row.amount, row.expires_at, row.reverses_id, row.lot_id) for row in rows if row.unit is unit
        ]
        assert kept == balance(own)
        running = 0
        for entry in own:
            running += entry.amount
            assert running >= 0
        if unit is Unit.STAMP:
            assert kept == sum(lot.left for lot in lots(own))
    assert cached.rewards == open_rewards
    assert cached.stamps < 3  # a full card is a reward


@settings(max_examples=40)
@given(rounds=st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=1, max_size=6))
def test_whatever_happens_at_several_tills_the_ledgers_sum_is_the_balance(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, rounds: list[list[tuple[str, int, int, int]]]
) -> None:
    shop.change_program(stamps_needed="3", stamp_valid_days="5", reward_valid_days="6")
    unguarded(shop)  # the days of this test are hours of the guard's clock
    run, example = uuid4().int % 10_000, uuid4().hex
    moment = clock.now()
    with monkeypatch.context() as patched, ThreadPoolExecutor(4) as pool:
        patched.setattr(clock, "now", lambda: moment)
        people = [shop.member((run + number) % 10_000) for number in range(2)]
        day = Day(shop, people)
        for turn, steps in enumerate(rounds):
            moment += timedelta(days=max(step[3] for step in steps))
            for done in [
                pool.submit(day.play, step, f"{example}-{turn}-{number}") for number, step in enumerate(steps)
            ]:
                done.result()
        for member in people:
            assert_sums_agree(shop, now_of(shop, member))


def test_an_actor_without_a_key_or_a_name_may_undo_nothing(shop: Shop) -> None:
    member = shop.member()
    operation = UUID(str(give(shop, member)["entry_id"]))
    nobody = replace(shop.cashier, staff_id=None)
    assert kind_refused(lambda: till.undo(shop.ctx, nobody, operation)) == "undo-too-late"
