"""Several stamp cards in one programme, times at which stamps count more than once, and stamps for birthdays."""

import time as seconds
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.people import Member
from app.db.stamps import GivenOnce, MemberStamps
from app.loyalty.ledger import Entry, Kind, Unit, balance, lots
from app.services import (
    birthday_stamps,
    card_stamps,
    card_state,
    cards,
    doctoring,
    double_windows,
    google_describing,
    members,
    pictures,
    programs,
    purchases,
    reward_types,
    stamp_cards,
    till,
    upkeep,
)
from app.services.errors import InvalidForm, Refused
from app.services.members import JoinRequest
from app.services.purchases import Line, PurchaseRequest
from app.services.views import MemberView
from tests.factories import Shop, open_shop

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)  # a Monday, 14:00 in Helsinki
SetClock = Callable[[datetime], None]
LUNCH = {"name": "Lunch", "stamps_needed": "8", "reward_name": "Free lunch", "products": "Lunch\n1021"}


def lunch_card(shop: Shop, **more: str) -> UUID:
    return stamp_cards.save(shop.ctx, shop.owner, LUNCH | more)


def now_of(shop: Shop, member: MemberView) -> MemberView:
    return members.by_id(shop.ctx, shop.cashier, member.id)


def counts(shop: Shop, member: MemberView) -> list[int]:
    """The member's stamps on each card in use."""
    seen = now_of(shop, member)
    return [seen.stamps, *(shown.have for shown in seen.further_stamps)]


def give(shop: Shop, member: MemberView, count: int = 1, **more: object) -> dict[str, object]:
    return till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=count, **more)[0]  # type: ignore[arg-type]


def buy(shop: Shop, member: MemberView, amount_minor: int, *lines: Line, **more: object) -> dict[str, object]:
    request = PurchaseRequest(amount_minor, member_id=member.id, lines=lines, **more)  # type: ignore[arg-type]
    return purchases.record(shop.ctx, shop.api, request)[0]


@contextmanager
def refused(kind: str) -> Iterator[None]:
    with pytest.raises(Refused) as refusal:
        yield
    assert kind == refusal.value.kind


def news_of(shop: Shop, member: MemberView) -> str:
    return now_of(shop, member).news


class TestSeveralCards:
    def test_the_cashier_says_on_which_card_a_stamp_goes(self, shop: Shop) -> None:
        lunch, member = lunch_card(shop), shop.member()
        answer = give(shop, member, 2, card=lunch)
        assert (2, 0) == (answer["given"], answer["stamps"])
        told = [
            {"id": None, "name": "", "given": 0, "stamps": 0, "stamps_needed": 10},
            {"id": str(lunch), "name": "Lunch", "given": 2, "stamps": 2, "stamps_needed": 8},
        ]
        assert told == answer["stamp_cards"]
        give(shop, member, card="Lunch")
        give(shop, member)
        assert [1, 3] == counts(shop, member)
        with refused("stamp-card-not-found"):
            give(shop, member, card="Brunch")

    def test_a_full_card_gives_its_own_reward_and_what_is_over_stays_on_the_next(self, shop: Shop) -> None:
        lunch, member = lunch_card(shop), shop.member()
        give(shop, member, 9)
        answer = give(shop, member, 19, card=lunch)
        assert ["Free lunch", "Free lunch"] == [reward["name"] for reward in answer["issued"]]  # type: ignore[attr-defined]
        assert [9, 3] == counts(shop, member)
        assert news_of(shop, member) == "Your reward is here: Free lunch"

    def test_a_full_card_may_give_a_kind_of_reward(self, shop: Shop) -> None:
        kind = reward_types.save(
            shop.ctx, shop.owner, {"name": "Lunch for two", "value": "amount", "amount": "24", "valid_days": "7"}
        )
        lunch, member = lunch_card(shop, reward_type_id=str(kind.id)), shop.member()
        give(shop, member, 8, card=lunch)
        reward = now_of(shop, member).rewards[0]
        assert ("Lunch for two", 2400) == (reward.name, reward.value_amount)

    def test_a_receipt_earns_on_each_card_by_its_own_rules(self, shop: Shop) -> None:
        lunch_card(shop)
        lunch_card(shop, name="Spending", products="", per_amount="10")
        stamp_cards.save_first(shop.ctx, shop.owner, {"name": "Coffee", "products": "coffee"})
        member = shop.member()
        answer = buy(shop, member, 3470, Line("Lunch", "1021", "2", 2380), Line("COFFEE", amount_minor=390))
        assert [1, 2, 3] == counts(shop, member)
        assert 6 == answer["given"]
        assert [("Coffee", 1), ("Lunch", 2), ("Spending", 3)] == [
            (told["name"], told["given"])
            for told in answer["stamp_cards"]  # type: ignore[attr-defined]
        ]
        assert "Coffee: 1 of 10 – Lunch: 2 of 8 – Spending: 3 of 8" == news_of(shop, member)

    def test_a_receipt_that_earns_nothing_says_why(self, shop: Shop) -> None:
        stamp_cards.save_first(shop.ctx, shop.owner, {"products": "coffee"})
        member = shop.member()
        answer = buy(shop, member, 500, Line("Tea", amount_minor=500))
        assert (0, "other-products", None) == (answer["given"], answer["no_stamp"], answer["entry_id"])

    def test_a_purchase_from_before_joining_earns_on_every_card(self, shop: Shop) -> None:
        lunch_card(shop)
        request = PurchaseRequest(1190, phone="+358401230007", lines=[Line("Lunch", amount_minor=1190)])
        assert purchases.record(shop.ctx, shop.api, request)[0]["waiting"]
        assert [1, 1] == counts(shop, shop.member(7))

    def test_undoing_a_receipt_takes_back_what_it_gave_on_each_card(self, shop: Shop) -> None:
        lunch_card(shop)
        member = shop.member()
        give(shop, member, 9)
        answer = buy(shop, member, 9520, *[Line("Lunch", quantity="8", amount_minor=9520)])
        assert [0, 0] == counts(shop, member)
        undone = till.undo(shop.ctx, shop.owner, UUID(str(answer["entry_id"])))[0]
        assert [9, 0] == counts(shop, member)
        assert [9, 0] == [told["stamps"] for told in undone["stamp_cards"]]
        assert [] == list(now_of(shop, member).rewards)

    def test_stamps_lapse_on_their_own_card(self, shop: Shop, at: SetClock) -> None:
        at(NOON)
        lunch, member = lunch_card(shop, stamp_valid_days="7"), shop.member()
        give(shop, member, 3, card=lunch)
        give(shop, member, 2)
        at(NOON + timedelta(days=9))
        assert [2, 0] == counts(shop, member)
        assert [] == doctoring.stamp_differences(shop.ctx)

    def test_joining_gives_stamps_on_each_card_that_gives_some(self, shop: Shop) -> None:
        lunch_card(shop, join_stamps="2")
        shop.change_program(join_stamps="1")
        assert [1, 2] == counts(shop, shop.member())

    def test_a_stopped_card_earns_nothing_is_not_shown_and_comes_back_with_what_was_on_it(self, shop: Shop) -> None:
        lunch, member = lunch_card(shop), shop.member()
        give(shop, member, 3, card=lunch)
        stamp_cards.save(shop.ctx, shop.owner, LUNCH | {"active": "off"}, lunch)
        buy(shop, member, 1190, Line("Lunch", amount_minor=1190))
        assert [1] == counts(shop, member)
        with refused("stamp-card-not-found"):
            give(shop, member, card=lunch)
        stamp_cards.save(shop.ctx, shop.owner, LUNCH | {"active": "on"}, lunch)
        assert [1, 3] == counts(shop, member)

    def test_a_card_that_was_used_can_be_stopped_but_not_removed(self, shop: Shop) -> None:
        lunch, member = lunch_card(shop), shop.member()
        unused = lunch_card(shop, name="Cake")
        give(shop, member, card=lunch)
        with refused("stamp-card-used"):
            stamp_cards.remove(shop.ctx, shop.owner, lunch)
        stamp_cards.remove(shop.ctx, shop.owner, unused)
        assert ["", "Lunch"] == [shown.card.name for shown in stamp_cards.all_of(shop.ctx, shop.program.id)]

    def test_another_programmes_card_is_a_stranger(self, shop: Shop) -> None:
        other = open_shop(shop.ctx, "other")
        theirs = lunch_card(other)
        with refused("stamp-card-not-found"):
            give(shop, shop.member(), card=theirs)
        for act in (
            lambda: stamp_cards.save(shop.ctx, shop.owner, LUNCH, theirs),
            lambda: stamp_cards.remove(shop.ctx, shop.owner, theirs),
            lambda: stamp_cards.as_typed(shop.ctx, shop.owner, theirs),
        ):
            with refused("stamp-card-not-found"):
                act()

    @pytest.mark.parametrize(
        ("field", "typed"),
        [
            ("name", ""),
            ("stamps_needed", "31"),
            ("join_stamps", "8"),
            ("birthday_stamps", "8"),
            ("per_amount", "x"),
            ("products", "x" * 61),
            ("reward_type_id", "x"),
        ],
    )
    def test_what_is_wrong_with_a_card_is_said_at_its_field(self, shop: Shop, field: str, typed: str) -> None:
        with pytest.raises(InvalidForm) as invalid:
            lunch_card(shop, **{field: typed})
        assert [field] == list(invalid.value.errors)

    def test_what_was_saved_is_what_the_form_shows_again(self, shop: Shop) -> None:
        form = LUNCH | {"per_amount": "12.50", "smallest_purchase": "3.00", "stamp_valid_days": "30"}
        form |= {"join_stamps": "1", "birthday_stamps": "2", "reward_valid_days": "14", "reward_type_id": ""}
        card = stamp_cards.save(shop.ctx, shop.owner, form)
        assert form | {"active": "on"} == stamp_cards.as_typed(shop.ctx, shop.owner, card)
        with pytest.raises(InvalidForm) as invalid:
            lunch_card(shop)
        assert "name-taken" == invalid.value.errors["name"].kind


class TestOnTheCard:
    def test_every_card_is_beside_the_others_on_the_one_in_the_wallet(self, shop: Shop) -> None:
        lunch, member = lunch_card(shop), shop.member(name="Erin")
        cake = lunch_card(shop, name="Cake", stamps_needed="5")
        stamp_cards.save_first(shop.ctx, shop.owner, {"name": "Coffee"})
        give(shop, member, 3)
        give(shop, member, 4, card=lunch)
        give(shop, member, 1, card=cake)
        seen, program = now_of(shop, member), programs.get(shop.ctx, shop.program.id)
        card = cards.card(shop.ctx, program, seen, "https://leima.example/c/x")
        assert ("Coffee", "3 of 10") == (card.header[0].label, card.header[0].value)
        fields = [(field.label, field.value) for field in card.secondary]
        assert [("Lunch", "4 of 8"), ("Cake", "1 of 5"), ("Member", "Erin")] == fields
        gives = next(field.value for field in card.back if field.key == "next_reward")
        assert "Coffee: Free coffee\nLunch: Free lunch\nCake: Free lunch" == gives
        assert [(3, 10), (4, 8), (1, 5)] == card_stamps.drawn(program, seen)

    def test_the_picture_that_google_fetches_has_the_stamps_of_three_cards(self, shop: Shop) -> None:
        lunch, member = lunch_card(shop), shop.member()
        for name in ("Cake", "Tea"):
            lunch_card(shop, name=name)
        program = programs.get(shop.ctx, shop.program.id)
        give(shop, member, 2, card=lunch)
        path = pictures.stamps_path(shop.ctx, program, now_of(shop, member))
        assert path.startswith("/google/stamps/0-10_2-8_0-8-")
        assert pictures.stamps_picture(shop.ctx, path.removeprefix("/google/stamps/").removesuffix(".png"))[:4] == (
            b"\x89PNG"
        )

    def test_apples_one_read_leaves_members_with_several_cards_to_the_whole_one(self, shop: Shop) -> None:
        member = shop.member()
        before = card_state.find(shop.ctx, member.card_id)
        lunch_card(shop)
        after = card_state.find(shop.ctx, member.card_id)
        assert before is not None
        assert after is not None
        assert (False, True) == (before.member is None, after.member is None)

    def test_google_is_told_of_each_card(self, shop: Shop) -> None:
        lunch, member = lunch_card(shop), shop.member()
        give(shop, member, 2, card=lunch)
        described = google_describing.describe(shop.ctx, [member.card_id])[member.card_id]
        assert ("Lunch", 2) == (described.member.further_stamps[0].name, described.member.further_stamps[0].have)


class TestWindows:
    def window(self, shop: Shop, **more: str) -> UUID:
        return double_windows.save(shop.ctx, shop.owner, {"name": "Quiet", "factor": "2"} | more)

    def test_stamps_count_more_than_once_while_a_window_is_open(self, shop: Shop, at: SetClock) -> None:
        self.window(shop, weekday_0="on", from_time="14:00", until_time="15.00", factor="3")
        member = shop.member()
        at(NOON - timedelta(seconds=1))
        assert 1 == give(shop, member)["given"]
        at(NOON)
        assert 3 == give(shop, member)["given"]
        at(NOON + timedelta(hours=1))
        assert 1 == give(shop, member)["given"]

    def test_a_receipt_counts_by_when_the_purchase_was_made(self, shop: Shop, at: SetClock) -> None:
        at(NOON + timedelta(hours=2))
        self.window(shop, from_time="14:00", until_time="15:00")
        member = shop.member()
        assert 2 == buy(shop, member, 100, at=NOON + timedelta(minutes=5))["given"]
        assert 1 == buy(shop, member, 100)["given"]

    def test_a_campaigns_double_stamps_and_a_window_are_not_multiplied(self, shop: Shop, at: SetClock) -> None:
        at(NOON)
        self.window(shop, factor="3")
        member = shop.member()
        with shop.ctx.sessions.begin() as session:
            session.execute(update(Member).values(double_until=NOON + timedelta(days=1)))
        assert 3 == give(shop, member)["given"]

    def test_a_window_of_one_location_holds_there_alone(self, shop: Shop) -> None:
        place = programs.save_location(shop.ctx, shop.owner, {"name": "Harbour"})
        self.window(shop, **{f"location_{place.id}": "on"})
        member = shop.member()
        assert [1, 2] == [give(shop, member, location=where)["given"] for where in (shop.location.id, place.id)]
        here = double_windows.factor_now(shop.ctx, shop.program.id, shop.location.id)
        there = double_windows.factor_now(shop.ctx, shop.program.id, place.id)
        assert (1, 2) == (here, there)

    def test_a_window_is_gone_when_it_is_stopped_or_removed(self, shop: Shop) -> None:
        window, member = self.window(shop), shop.member()
        assert 2 == give(shop, member)["given"]
        double_windows.save(shop.ctx, shop.owner, {"name": "Quiet", "factor": "2", "active": "off"}, window)
        assert 1 == give(shop, member)["given"]
        double_windows.remove(shop.ctx, shop.owner, window)
        assert [] == double_windows.all_of(shop.ctx, shop.program.id)

    def test_what_was_saved_is_what_the_form_shows_again(self, shop: Shop) -> None:
        form = {"name": "Nights", "factor": "4", "from_time": "22:00", "until_time": "03:00", "weekday_4": "on"}
        form |= {"first_day": "2027-01-01", "last_day": "2027-12-31", f"location_{shop.location.id}": "on"}
        window = double_windows.save(shop.ctx, shop.owner, form)
        assert form | {"active": "on"} == double_windows.as_typed(shop.ctx, shop.owner, window)

    @pytest.mark.parametrize(
        ("field", "typed"),
        [("name", ""), ("factor", "1"), ("from_time", "25:00"), ("until_time", "9"), ("last_day", "2026-12-31")],
    )
    def test_what_is_wrong_with_a_window_is_said_at_its_field(self, shop: Shop, field: str, typed: str) -> None:
        with pytest.raises(InvalidForm) as invalid:
            self.window(shop, **({"first_day": "2027-01-01"} | {field: typed}))
        assert [field] == list(invalid.value.errors)

    def test_another_programmes_window_is_a_stranger(self, shop: Shop) -> None:
        theirs = self.window(open_shop(shop.ctx, "other"))
        for act in (
            lambda: double_windows.save(shop.ctx, shop.owner, {"name": "x", "factor": "2"}, theirs),
            lambda: double_windows.remove(shop.ctx, shop.owner, theirs),
            lambda: double_windows.as_typed(shop.ctx, shop.owner, theirs),
        ):
            with refused("window-not-found"):
                act()
        assert 1 == give(shop, shop.member())["given"]


class TestBirthdays:
    @pytest.fixture(autouse=True)
    def _forget(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(birthday_stamps, "_done", {})

    def wish(self, shop: Shop) -> None:
        birthday_stamps._done.clear()  # as another process, or one that was started anew
        assert not birthday_stamps.give_due(shop.ctx, seconds.monotonic() + 60)

    def born(self, shop: Shop, number: int, day: date, language: str = "en") -> MemberView:
        return shop.member(number, birth_date=day, language=language)

    def test_a_birthday_gives_its_stamps_once_in_the_morning_with_a_word_on_the_lock_screen(
        self, shop: Shop, at: SetClock
    ) -> None:
        at(datetime(2027, 3, 1, 3, tzinfo=UTC))
        stamp_cards.save_first(shop.ctx, shop.owner, {"birthday_stamps": "2"})
        lunch_card(shop, birthday_stamps="1")
        erin, nobody = self.born(shop, 1, date(1990, 3, 1)), self.born(shop, 2, date(1990, 3, 2))
        self.wish(shop)
        assert [0, 0] == counts(shop, erin)
        at(datetime(2027, 3, 1, 7, tzinfo=UTC))
        for _ in range(2):
            self.wish(shop)
        assert [2, 1] == counts(shop, erin)
        assert [0, 0] == counts(shop, nobody)
        assert "Happy birthday! 3 stamps for you." == news_of(shop, erin)

    @pytest.mark.parametrize(
        ("day", "expected"), [(date(2027, 2, 28), 1), (date(2028, 2, 28), 0), (date(2028, 2, 29), 1)]
    )
    def test_who_was_born_on_a_leap_day_has_a_birthday_every_year(
        self, shop: Shop, at: SetClock, day: date, expected: int
    ) -> None:
        at(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
        stamp_cards.save_first(shop.ctx, shop.owner, {"birthday_stamps": "1"})
        member = self.born(shop, 1, date(2000, 2, 29))
        self.wish(shop)
        assert [expected] == counts(shop, member)

    def test_a_birthday_around_new_year_is_not_missed_and_not_given_twice(self, shop: Shop, at: SetClock) -> None:
        at(datetime(2026, 12, 31, 12, tzinfo=UTC))
        stamp_cards.save_first(shop.ctx, shop.owner, {"birthday_stamps": "1"})
        last, first = self.born(shop, 1, date(1990, 12, 31)), self.born(shop, 2, date(1990, 1, 1))
        for day in range(400):
            at(datetime(2026, 12, 31, 12, tzinfo=UTC) + timedelta(days=day))
            if day < 5 or day > 362:
                self.wish(shop)
            if day == 4:
                assert ([1], [1]) == (counts(shop, last), counts(shop, first))
        assert ([2], [2]) == (counts(shop, last), counts(shop, first))

    def test_a_day_without_a_worker_costs_nobody_the_stamps(self, shop: Shop, at: SetClock) -> None:
        at(NOON)
        stamp_cards.save_first(shop.ctx, shop.owner, {"birthday_stamps": "1"})
        member = self.born(shop, 1, date(1990, 3, 1))
        at(NOON + timedelta(days=2))
        assert upkeep.run(shop.ctx, 60)
        assert [1] == counts(shop, member)

    def test_who_left_gets_none(self, shop: Shop, at: SetClock) -> None:
        at(NOON)
        stamp_cards.save_first(shop.ctx, shop.owner, {"birthday_stamps": "1"})
        member = self.born(shop, 1, date(1990, 3, 1))
        members.leave(shop.ctx, members.card_token(shop.ctx, member))
        self.wish(shop)
        with shop.ctx.sessions() as session:
            assert 0 == session.scalar(select(func.count()).select_from(GivenOnce))


ACTS = st.one_of(
    st.tuples(st.just("give"), st.integers(0, 2), st.integers(1, 9)),
    st.tuples(st.just("buy"), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("undo"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("days"), st.integers(1, 9), st.just(0)),
    st.tuples(st.just("redeem"), st.integers(0, 3), st.just(0)),
)


@settings(max_examples=25)
@given(st.lists(ACTS, max_size=14))
def test_whatever_happens_the_ledger_alone_gives_the_balance_of_every_card(
    shop: Shop, at: SetClock, acts: list[tuple[str, int, int]]
) -> None:
    moment = NOON
    at(moment)
    made = [shown.card.id for shown in stamp_cards.all_of(shop.ctx, shop.program.id)][1:]  # by the example before
    every = [
        None,
        *(
            made
            or [lunch_card(shop, stamp_valid_days="7"), lunch_card(shop, name="Spending", per_amount="5", products="")]
        ),
    ]
    member = members.join(shop.ctx, shop.cashier, JoinRequest(phone=f"+35840{uuid4().int % 10**7:07d}"), source="till")[
        0
    ]
    done: list[UUID] = []
    for kind, which, count in acts:
        try:
            match kind:
                case "give":
                    done.append(UUID(str(give(shop, member, count, card=every[which])["entry_id"])))
                case "buy":
                    lines = [Line("Lunch", quantity=str(which), amount_minor=1190 * which)] if which else []
                    answer = buy(shop, member, 1190 * which + 390 * count, *lines)
                    done += [UUID(str(answer["entry_id"]))] if answer["entry_id"] else []
                case "undo" if done:
                    till.undo(shop.ctx, shop.owner, done[which % len(done)])
                case "redeem":
                    held = now_of(shop, member).rewards
                    if held:
                        till.redeem_reward(shop.ctx, shop.owner, held[0].id, card_code=member.card_code)
                case "days":
                    moment += timedelta(days=which)
                    at(moment)
        except Refused as refusal:
            if refusal.kind not in ("already-undone", "stamps-used", "reward-used", "guard-blocked"):
                raise
    _replayed(shop, member, moment)


def _replayed(shop: Shop, member: MemberView, at: datetime) -> None:
    seen = now_of(shop, member)  # which settles
    with shop.ctx.sessions() as session:
        rows = session.scalars(
            select(LedgerEntry).where(LedgerEntry.member_id == member.id).order_by(LedgerEntry.number)
        ).all()
        cached = dict(
            session.execute(
                select(MemberStamps.stamp_card_id, MemberStamps.stamps).where(MemberStamps.member_id == member.id)
            ).all()
        )
        open_rewards = session.scalar(
            select(func.count()).where(Reward.member_id == member.id, Reward.status == RewardStatus.ISSUED)
        )
    for shown, card_id in [(seen.stamps, None), *((shown.have, shown.card_id) for shown in seen.further_stamps)]:
        own = [
            Entry(row.id, row.amount, row.expires_at, row.reverses_id, row.lot_id)
            for row in rows
            if row.unit is Unit.STAMP and row.stamp_card_id == card_id
        ]
        left = lots(own)
        assert shown == balance(own) == sum(lot.left for lot in left)
        assert shown == (cached.get(card_id, 0) if card_id else seen.stamps)
        assert all(lot.expires_at is None or lot.expires_at > at for lot in left)
        needed = seen.stamps_needed if card_id is None else 8
        assert 0 <= shown < needed
        converted = sum(row.amount for row in rows if row.kind is Kind.CONVERT and row.stamp_card_id == card_id)
        assert converted % needed == 0 or card_id is None
    rewards = [Entry(row.id, row.amount) for row in rows if row.unit is Unit.REWARD]
    assert open_rewards == balance(rewards) == len(seen.rewards)
    assert ([], []) == (doctoring.differences(shop.ctx), doctoring.stamp_differences(shop.ctx))


def test_till_software_chooses_the_card_and_is_told_of_all(client: FlaskClient, shop: Shop) -> None:
    lunch, member = lunch_card(shop), shop.member()
    headers = {"Authorization": f"Bearer {shop.api_key}"}
    program = client.get("/api/v1/program", headers=headers).json
    assert [(None, "", []), (str(lunch), "Lunch", ["Lunch", "1021"])] == [
        (card["id"], card["name"], card["products"]) for card in program["stamp_cards"]
    ]
    body = {"card_code": member.card_code, "card": "Lunch", "count": 3}
    answer = client.post("/api/v1/stamps", json=body, headers=headers | {"Idempotency-Key": "1"}).json
    assert (3, 0, [0, 3]) == (answer["given"], answer["stamps"], [card["given"] for card in answer["stamp_cards"]])
    seen = client.get(f"/api/v1/members/{member.card_code}", headers=headers).json
    assert [0, 3] == [card["stamps"] for card in seen["stamp_cards"]]
    body |= {"card": "Brunch"}
    refused_call = client.post("/api/v1/stamps", json=body, headers=headers | {"Idempotency-Key": "2"})
    assert (404, "stamp-card-not-found") == (refused_call.status_code, refused_call.json["type"].rpartition("/")[2])
