"""Coupon codes of groups: made together or not at all, shown once, paid with at the till, and taken back."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from app import clock
from app.db.credit import CodeGroup, Credit, CreditStatus
from app.db.ledger import AuditEntry, LedgerEntry
from app.db.people import Role
from app.loyalty.credit import last_day
from app.loyalty.ledger import Kind
from app.services import (
    code_group_closing,
    code_group_views,
    code_groups,
    code_redeeming,
    credit_codes,
    till,
    upkeep,
)
from app.services.code_group_closing import Closed
from app.services.code_groups import Made
from app.services.context import Context
from app.services.errors import InvalidForm
from sms.codes import near
from tests.factories import Shop, open_shop
from tests.integration.code_shop import NOON, drawn
from tests.integration.credit_shop import SetClock, assert_books_agree, refused

FORM = {"name": "Staff of Acme", "amount": "12,50", "count": "3", "last_day": "2027-03-31"}
keys = map(str, itertools.count())


@pytest.fixture(autouse=True)
def noon(at: SetClock) -> None:
    at(NOON)


def make(shop: Shop, *, draw_one: credit_codes.Draw | None = None, **form: str) -> Made:
    return code_groups.make(shop.ctx, shop.owner, FORM | form, key=next(keys), draw_one=draw_one)


def more(shop: Shop, made: Made, count: int) -> Made:
    return code_groups.more(shop.ctx, shop.owner, made.group_id, {"count": str(count)}, key=next(keys))


def pay(shop: Shop, code: str, bill_minor: int) -> UUID:
    answer, _ = code_redeeming.redeem(shop.ctx, shop.cashier, code, amount_minor=bill_minor, key=next(keys))
    return UUID(str(answer["entry_id"]))


def view(shop: Shop, made: Made) -> code_group_views.CodeGroupView:
    return code_group_views.one(shop.ctx, shop.owner, made.group_id)[0]


def count(ctx: Context, table: type) -> int:
    with ctx.sessions() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def actions(ctx: Context) -> list[str]:
    with ctx.sessions() as session:
        rows = session.scalars(select(AuditEntry.action).where(AuditEntry.action.like("code-group.%")))
        return sorted(rows)


class TestMaking:
    def test_a_group_gets_as_many_codes_as_asked_for_each_with_its_grant(self, ctx: Context, shop: Shop) -> None:
        made = make(shop, count="۳")
        assert (3, 3, True) == (made.count, len(set(made.codes)), all(len(code) == 7 for code in made.codes))
        with ctx.sessions() as session:
            credits = session.scalars(select(Credit)).all()
            grants = session.scalars(select(LedgerEntry).where(LedgerEntry.kind == Kind.GRANT)).all()
        assert {(1250, 1250, made.group_id, None)} == {
            (credit.amount_minor, credit.balance_minor, credit.group_id, credit.member_id) for credit in credits
        }
        assert {date(2027, 3, 31)} == {last_day(credit.expires_at, "Europe/Helsinki") for credit in credits}
        assert {credit.id for credit in credits} == {entry.credit_id for entry in grants}
        assert 3 == len({entry.operation_id for entry in grants})
        assert [True] * 3 == [entry.operation_id == entry.id for entry in grants]
        assert ["code-group.made"] == actions(ctx)
        assert_books_agree(shop)

    def test_the_same_key_makes_nothing_more_and_has_no_codes_to_show(self, ctx: Context, shop: Shop) -> None:
        first, again = (code_groups.make(ctx, shop.owner, FORM, key="once") for _ in range(2))
        assert (first.group_id, 3, (), "") == (again.group_id, again.count, again.codes, again.seal)
        assert (1, 3) == (count(ctx, CodeGroup), count(ctx, Credit))

    def test_two_clicks_at_the_same_instant_make_one_group(self, ctx: Context, shop: Shop) -> None:
        with ThreadPoolExecutor(4) as threads:
            made = list(threads.map(lambda _: code_groups.make(ctx, shop.owner, FORM, key="once"), range(4)))
        assert [0, 0, 0, 3] == sorted(len(each.codes) for each in made)
        assert (1, 3) == (count(ctx, CodeGroup), count(ctx, Credit))

    def test_no_code_rests_in_words_anywhere(self, ctx: Context, shop: Shop) -> None:
        made = make(shop)
        with ctx.sessions() as session:
            rows = [
                str(session.execute(text(f"SELECT json_agg(t) FROM {table} t")).scalar())  # noqa: S608 - our own names
                for table in ("credits", "code_groups", "ledger_entries", "saved_answers", "audit_entries", "outbox")
            ]
        assert [] == [code for code in made.codes for row in rows if code in row]

    def test_two_makings_at_once_never_give_codes_next_to_each_other(self, ctx: Context, shop: Shop) -> None:
        space = [f"000{number:04d}" for number in range(400)]  # so small that they would meet

        def one(number: int) -> Made:
            return make(shop, count="4", name=f"Club {number}", draw_one=drawn(space[number::4]))

        with ThreadPoolExecutor(4) as threads:
            codes = [code for made in threads.map(one, range(4)) for code in made.codes]
        assert 16 == len(set(codes))
        assert [] == [code for code in codes if near(code) & set(codes)]

    def test_a_full_code_space_makes_nothing_and_says_so(self, ctx: Context, shop: Shop) -> None:
        make(shop, count="1", draw_one=drawn(["4821357"]))
        kind = refused(lambda: make(shop, name="Too many", draw_one=drawn(["4821358"])))
        assert ("code-space-full", 1, 1) == (kind, count(ctx, CodeGroup), count(ctx, Credit))
        assert ["code-group.made"] == actions(ctx)

    def test_more_codes_have_the_groups_amount_and_days(self, ctx: Context, shop: Shop, at: SetClock) -> None:
        made = make(shop)
        at(NOON + timedelta(days=3))
        again = more(shop, made, 2)
        group, batches = code_group_views.one(ctx, shop.owner, made.group_id)
        assert (made.group_id, 2, 5, 5 * 1250) == (again.group_id, len(again.codes), group.codes, group.open_minor)
        assert [(NOON + timedelta(days=3), 2, 2), (NOON, 3, 3)] == [
            (batch.made_at, batch.codes, batch.open) for batch in batches
        ]
        assert not set(made.codes) & set(again.codes)
        assert_books_agree(shop)

    def test_a_group_whose_last_day_is_over_gets_no_more(self, shop: Shop, at: SetClock) -> None:
        made = make(shop)
        at(datetime(2027, 3, 31, 21, tzinfo=UTC))  # midnight in Helsinki, in summer time
        assert "code-group-over" == refused(lambda: more(shop, made, 1))

    @pytest.mark.parametrize(
        ("form", "wrong"),
        [
            ({"name": " "}, {"name": "required"}),
            ({"count": "0"}, {"count": "invalid-number"}),
            ({"count": "2001"}, {"count": "invalid-number"}),
            ({"amount": "0", "last_day": "2027-02-28"}, {"amount": "required", "last_day": "day-too-early"}),
            ({"name": "", "count": "", "last_day": ""},
             {"name": "required", "count": "invalid-number", "last_day": "required"}),
        ],
    )  # fmt: skip
    def test_all_that_is_wrong_is_said_at_once(
        self, ctx: Context, shop: Shop, form: dict[str, str], wrong: dict[str, str]
    ) -> None:
        with pytest.raises(InvalidForm) as invalid:
            make(shop, **form)
        assert wrong == {field: error.kind for field, error in invalid.value.errors.items()}
        assert 0 == count(ctx, CodeGroup)

    def test_only_who_may_give_credit_makes_codes(self, ctx: Context, shop: Shop) -> None:
        made = make(shop)
        marketer = shop.actor(Role.MARKETER)
        acts: list[Callable[[], object]] = [
            lambda: code_groups.make(ctx, marketer, FORM, key="1"),
            lambda: code_groups.more(ctx, marketer, made.group_id, {"count": "1"}, key="2"),
        ]
        assert ["not-allowed"] * 2 == [refused(act) for act in acts]


class TestSheet:
    def test_codes_that_come_back_with_their_seal_are_printed(self, ctx: Context, shop: Shop) -> None:
        made = make(shop)
        sheet = code_groups.sheet(ctx, shop.owner, made.group_id, " ".join(made.codes), made.seal)
        assert ("Staff of Acme", 1250, made.codes) == (sheet.name, sheet.amount_minor, sheet.codes)

    def test_other_codes_are_refused_even_with_a_seal_of_other_codes(self, ctx: Context, shop: Shop) -> None:
        made, other = make(shop), make(shop, name="Club")
        sent = [
            (made.group_id, " ".join(other.codes), other.seal),
            (made.group_id, " ".join(made.codes), other.seal),
            (made.group_id, " ".join([*made.codes, other.codes[0]]), made.seal),
            (made.group_id, made.codes[0], made.seal),  # nor can one find out whether one code is the group's
            (made.group_id, made.codes[0], ""),
            (made.group_id, made.codes[0], "£"),
            (made.group_id, "", ""),
        ]
        assert {"not-these-codes"} == {
            refused(lambda each=each: code_groups.sheet(ctx, shop.owner, *each))  # type: ignore[misc]
            for each in sent
        }

    def test_codes_that_were_taken_back_are_not_printed(self, ctx: Context, shop: Shop) -> None:
        made = make(shop)
        code_group_closing.withdraw(ctx, shop.owner, made.group_id)
        kind = refused(lambda: code_groups.sheet(ctx, shop.owner, made.group_id, " ".join(made.codes), made.seal))
        assert "not-these-codes" == kind


class TestAtTheTill:
    def test_a_coupon_is_checked_used_and_given_back_by_a_manager(self, ctx: Context, shop: Shop) -> None:
        made = make(shop)
        code = made.codes[0]
        checked = code_redeeming.check(ctx, shop.cashier, code)
        assert ("Staff of Acme", 1250, None) == (checked.holder, checked.balance_minor, checked.member_id)
        act = pay(shop, code, 1000)
        group = view(shop, made)
        assert (1000, 2750, 3) == (group.used_minor, group.open_minor, group.count("open"))
        assert 250 == code_redeeming.check(ctx, shop.cashier, code).balance_minor
        assert "not-allowed" == refused(lambda: till.undo(ctx, shop.cashier, act, key=next(keys)))
        till.undo(ctx, shop.actor(Role.MANAGER), act, key=next(keys))
        group = view(shop, made)
        assert (0, 3750) == (group.used_minor, group.open_minor)
        assert_books_agree(shop)

    def test_a_coupon_that_was_used_up_counts_as_used(self, shop: Shop) -> None:
        made = make(shop)
        pay(shop, made.codes[1], 5000)
        group = view(shop, made)
        assert (1, 2, 1250, 2500) == (group.count("used"), group.count("open"), group.used_minor, group.open_minor)

    def test_what_is_left_lapses_after_the_last_day(self, ctx: Context, shop: Shop, at: SetClock) -> None:
        made = make(shop)
        pay(shop, made.codes[0], 250)
        at(datetime(2027, 3, 31, 21, tzinfo=UTC))
        upkeep.lapse_group_credit(ctx)
        group = view(shop, made)
        assert (True, 250, 3500, 0, 3) == (
            group.over, group.used_minor, group.lapsed_minor, group.open_minor, group.count("lapsed")
        )  # fmt: skip
        assert_books_agree(shop)

    def test_a_code_of_one_programme_pays_in_no_other(self, ctx: Context, shop: Shop) -> None:
        other = open_shop(ctx, "north")
        made = make(shop, count="1", draw_one=drawn(["0000007"]))
        assert "code-not-valid" == refused(lambda: code_redeeming.check(ctx, other.cashier, "0000007"))
        theirs = make(other, count="1", amount="3", draw_one=drawn(["0000007"]))
        assert [1250, 300] == [
            code_redeeming.check(ctx, each.cashier, "000 00 07").balance_minor for each in (shop, other)
        ]
        assert [theirs.group_id] == [group.id for group in code_group_views.every(ctx, other.owner)[0]]
        strangers: list[Callable[[], object]] = [
            lambda: code_group_views.one(ctx, other.owner, made.group_id),
            lambda: code_group_views.every(ctx, other.owner, made.group_id),
            lambda: more(other, made, 1),
            lambda: code_groups.sheet(ctx, other.owner, made.group_id, made.codes[0], made.seal),
            lambda: code_group_closing.withdraw(ctx, other.owner, made.group_id),
            lambda: code_group_closing.set_blocked(ctx, other.owner, made.group_id, True),
        ]
        assert ["code-group-not-found"] * 6 == [refused(act) for act in strangers]


class TestClosing:
    def test_taking_back_ends_unused_codes_and_blocks_the_rest_of_others(self, ctx: Context, shop: Shop) -> None:
        made = make(shop, count="4")
        pay(shop, made.codes[0], 5000)
        pay(shop, made.codes[1], 250)
        assert Closed(2, 1) == code_group_closing.withdraw(ctx, shop.owner, made.group_id)
        assert Closed(0, 0) == code_group_closing.withdraw(ctx, shop.owner, made.group_id)
        group = view(shop, made)
        assert {CreditStatus.USED: 1, CreditStatus.BLOCKED: 1, CreditStatus.WITHDRAWN: 2} == group.counts
        assert (1500, 1000, 0) == (group.used_minor, group.blocked_minor, group.open_minor)
        assert ["code-not-valid"] * 4 == [
            refused(lambda code=code: pay(shop, code, 100)) for code in made.codes  # type: ignore[misc]
        ]  # fmt: skip
        assert ["code-group.made", "code-group.withdrawn"] == actions(ctx)
        assert_books_agree(shop)

    def test_only_one_makings_codes_are_taken_back_when_asked(self, ctx: Context, shop: Shop, at: SetClock) -> None:
        lost = make(shop)
        at(NOON + timedelta(minutes=5))
        kept = more(shop, lost, 2)
        assert Closed(3, 0) == code_group_closing.withdraw(ctx, shop.owner, lost.group_id, NOON)
        pay(shop, kept.codes[0], 1250)
        assert "code-not-valid" == refused(lambda: pay(shop, lost.codes[0], 1250))

    def test_blocked_codes_pay_again_once_they_are_unblocked(self, ctx: Context, shop: Shop) -> None:
        made = make(shop)
        assert [3, 0] == [code_group_closing.set_blocked(ctx, shop.owner, made.group_id, True) for _ in range(2)]
        assert "code-not-valid" == refused(lambda: pay(shop, made.codes[0], 100))
        assert 3750 == view(shop, made).blocked_minor
        assert 3 == code_group_closing.set_blocked(ctx, shop.owner, made.group_id, False)
        pay(shop, made.codes[0], 100)
        assert ["code-group.blocked", "code-group.made", "code-group.unblocked"] == actions(ctx)
        assert_books_agree(shop)

    def test_only_managers_block_and_take_back(self, ctx: Context, shop: Shop) -> None:
        made = make(shop)
        acts: list[Callable[[], object]] = [
            lambda: code_group_closing.set_blocked(ctx, shop.cashier, made.group_id, True),
            lambda: code_group_closing.withdraw(ctx, shop.cashier, made.group_id),
        ]
        assert ["not-allowed"] * 2 == [refused(act) for act in acts]

    def test_a_code_is_either_paid_with_or_taken_back(self, ctx: Context, shop: Shop) -> None:
        made = make(shop, count="20")

        def paid(code: str) -> bool:
            try:
                pay(shop, code, 1250)
            except Exception:
                return False
            return True

        with ThreadPoolExecutor(4) as threads:
            uses = [threads.submit(paid, code) for code in made.codes[:10]]
            taken = threads.submit(code_group_closing.withdraw, ctx, shop.owner, made.group_id)
            used = sum(use.result() for use in uses)
        assert (20 - used, 0) == (taken.result().withdrawn, taken.result().blocked)
        assert {"used": used, "withdrawn": 20 - used} == {"used": 0, **view(shop, made).counts}
        assert_books_agree(shop)


def test_the_list_shows_the_newest_groups_first_a_page_at_a_time(ctx: Context, shop: Shop, at: SetClock) -> None:
    for number in range(code_group_views.PAGE + 2):
        at(NOON + timedelta(minutes=number))
        make(shop, name=f"Club {number}", count="1")
    first, older = code_group_views.every(ctx, shop.owner)
    rest, end = code_group_views.every(ctx, shop.owner, older)
    assert [f"Club {number}" for number in reversed(range(code_group_views.PAGE + 2))] == [
        group.name for group in (*first, *rest)
    ]
    assert (code_group_views.PAGE, 2, None) == (len(first), len(rest), end)
    assert clock.now() > first[-1].created_at
