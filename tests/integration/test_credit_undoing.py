"""Taking credit back: its use by a manager, its grant while nothing was used; and the books agree whatever happens."""

from contextlib import suppress
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from app import clock
from app.db.credit import Credit, CreditStatus
from app.db.ledger import LedgerEntry
from app.db.people import Role
from app.services import (
    credits,
    program_rules,
    reversal,
    till,
    upkeep,
)
from app.services.errors import Refused
from tests.factories import Shop
from tests.integration.credit_shop import (
    NOON,
    RULES,
    SetClock,
    assert_books_agree,
    credit_of,
    grant,
    group_credit,
    now_of,
    refused,
    take_from_group,
    undo,
    use,
)


@pytest.fixture(autouse=True)
def noon(at: SetClock) -> None:
    at(NOON)


def test_a_manager_gives_used_credit_back_once(shop: Shop):
    member = shop.member()
    credit_id = grant(shop, member)
    operation = use(shop, member, 9900)
    assert CreditStatus.USED is credit_of(shop, credit_id).status
    answer = undo(shop, operation)
    assert (1250, 0, 1250) == (answer["returned_minor"], answer["lapsed_minor"], answer["balance_minor"])
    assert (CreditStatus.OPEN, None) == (credit_of(shop, credit_id).status, credit_of(shop, credit_id).closed_at)
    assert "already-undone" == refused(lambda: undo(shop, operation))
    assert_books_agree(shop)


def test_a_bill_that_took_several_credits_is_undone_as_one(shop: Shop):
    member = shop.member()
    ids = [grant(shop, member, last_day=day) for day in ("2027-03-20", "2027-03-31")]
    operation = use(shop, member, 2000)
    assert [0, 500] == [credit_of(shop, credit_id).balance_minor for credit_id in ids]
    assert 2000 == undo(shop, operation)["returned_minor"]
    assert [1250, 1250] == [credit.balance_minor for credit in now_of(shop, member).credits]
    assert_books_agree(shop)


def test_what_lapsed_by_a_single_use_comes_back_with_it(shop: Shop):
    program_rules.save(shop.ctx, shop.owner, RULES | {"partial_use": ""})
    member = shop.member()
    grant(shop, member)
    operation = use(shop, member, 400)
    assert () == now_of(shop, member).credits
    assert 1250 == undo(shop, operation)["balance_minor"]
    assert [1250] == [credit.balance_minor for credit in now_of(shop, member).credits]
    assert_books_agree(shop)


def test_credit_that_comes_back_after_its_last_day_lapses_again(shop: Shop, at: SetClock):
    member = shop.member()
    credit_id = grant(shop, member, last_day="2027-03-01")
    operation = use(shop, member, 400)
    at(NOON + timedelta(days=1))
    answer = undo(shop, operation)
    assert (400, 400, 0) == (answer["returned_minor"], answer["lapsed_minor"], answer["balance_minor"])
    assert CreditStatus.LAPSED is credit_of(shop, credit_id).status
    assert_books_agree(shop)


def test_credit_that_was_blocked_meanwhile_comes_back_blocked(shop: Shop):
    member = shop.member()
    credit_id = grant(shop, member)
    operation = use(shop, member, 400)
    credits.set_blocked(shop.ctx, shop.owner, credit_id, True)
    undo(shop, operation)
    assert (CreditStatus.BLOCKED, 1250) == (credit_of(shop, credit_id).status, credit_of(shop, credit_id).balance_minor)
    assert_books_agree(shop)


def test_the_use_of_credit_is_no_cashiers_to_undo(shop: Shop):
    member = shop.member()
    grant(shop, member)
    operation = use(shop, member, 400)
    assert "not-allowed" == refused(lambda: till.undo(shop.ctx, shop.cashier, operation))
    assert reversal.newest_undoable(shop.ctx, shop.cashier, member.id) is None
    assert operation == reversal.newest_undoable(shop.ctx, shop.owner, member.id)


def test_the_use_of_credit_can_be_undone_for_as_long_as_the_programme_says(shop: Shop, at: SetClock):
    program_rules.save(shop.ctx, shop.owner, RULES | {"undo_hours": "2"})
    member = shop.member()
    grant(shop, member)
    first, second = use(shop, member, 100), use(shop, member, 100)
    at(NOON + timedelta(hours=2))
    undo(shop, first)
    at(NOON + timedelta(hours=2, seconds=1))
    assert "undo-too-late" == refused(lambda: undo(shop, second))


def test_a_groups_coupon_is_given_back_without_a_member(shop: Shop):
    credit_id = group_credit(shop)
    operation = take_from_group(shop, credit_id, 300)
    assert operation is not None
    answer = undo(shop, operation)
    assert (None, 300, 500) == (answer["member_id"], answer["returned_minor"], answer["balance_minor"])
    assert_books_agree(shop)


def test_a_grant_is_withdrawn_while_nothing_of_it_was_used(shop: Shop):
    member = shop.member()
    credit_id = grant(shop, member)
    credits.withdraw(shop.ctx, shop.actor(Role.MANAGER), credit_id, key="1")
    assert ((), CreditStatus.WITHDRAWN) == (now_of(shop, member).credits, credit_of(shop, credit_id).status)
    assert "already-undone" == refused(lambda: credits.withdraw(shop.ctx, shop.owner, credit_id, key="2"))
    assert_books_agree(shop)


def test_a_grant_of_which_something_was_used_stays(shop: Shop):
    member = shop.member()
    credit_id = grant(shop, member)
    operation = use(shop, member, 1)
    assert "credit-used" == refused(lambda: credits.withdraw(shop.ctx, shop.owner, credit_id, key="1"))
    undo(shop, operation)
    credits.withdraw(shop.ctx, shop.owner, credit_id, key="2")
    assert_books_agree(shop)


def test_a_grant_that_has_lapsed_cannot_be_withdrawn(shop: Shop, at: SetClock):
    credit_id = grant(shop, shop.member())
    at(NOON + timedelta(days=40))
    assert "credit-lapsed" == refused(lambda: credits.withdraw(shop.ctx, shop.owner, credit_id, key="1"))


def test_whoever_gave_credit_needs_a_manager_to_withdraw_it(shop: Shop):
    credit_id = grant(shop, shop.member())
    assert "not-allowed" == refused(lambda: credits.withdraw(shop.ctx, shop.cashier, credit_id, key="1"))


STEPS = st.tuples(
    st.sampled_from(["grant", "grant", "use", "use", "undo", "undo", "block", "unblock", "withdraw", "coupon"]),
    st.integers(0, 3),  # which of those there are
    st.integers(1, 1500),  # how much
    st.integers(0, 3),  # days that pass before
)


class Books:
    """One member and one group's coupon, and all that was done with their credit."""

    def __init__(self, shop: Shop, number: int) -> None:
        self.shop, self.member, self.coupon = shop, shop.member(number), group_credit(shop, 1000, date(2027, 3, 6))
        self.credits: list[UUID] = []
        self.acts: list[UUID] = []

    def play(self, what: str, which: int, amount: int) -> None:
        pick = self.credits[which % len(self.credits)] if self.credits else self.coupon
        match what:
            case "grant":
                last = (clock.now() + timedelta(days=which)).date()
                self.credits.append(grant(self.shop, self.member, amount=f"{amount / 100:.2f}", last_day=str(last)))
            case "use":
                self.acts.append(use(self.shop, self.member, amount))
            case "coupon" if operation := take_from_group(self.shop, self.coupon, amount):
                self.acts.append(operation)
            case "undo" if self.acts:
                undo(self.shop, self.acts[which % len(self.acts)])
            case "block" | "unblock":
                credits.set_blocked(self.shop.ctx, self.shop.owner, pick, what == "block")
            case "withdraw":
                credits.withdraw(self.shop.ctx, self.shop.owner, pick, key=str(uuid4()))


@settings(max_examples=30)
@given(steps=st.lists(STEPS, min_size=1, max_size=14), partial_use=st.booleans())
def test_whatever_happens_every_balance_is_the_sum_of_its_ledger(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, int, int, int]], partial_use: bool
):
    program_rules.save(shop.ctx, shop.owner, RULES | {"partial_use": "on" if partial_use else ""})
    moment = NOON
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda: moment)
        books = Books(shop, uuid4().int % 10_000)
        for what, which, amount, days in steps:
            moment += timedelta(days=days)
            with suppress(Refused):  # what cannot be done changes nothing
                books.play(what, which, amount)
            assert_books_agree(shop)
        moment += timedelta(days=400)
        now_of(shop, books.member)
        upkeep.lapse_group_credit(shop.ctx)
        assert_books_agree(shop)
        with shop.ctx.sessions() as session:
            total = select(func.sum(LedgerEntry.amount)).where(LedgerEntry.member_id == books.member.id)
            living = select(Credit.id).where(Credit.member_id == books.member.id, Credit.balance_minor > 0)
            assert (0, None) == (session.scalar(total) or 0, session.scalar(living))
