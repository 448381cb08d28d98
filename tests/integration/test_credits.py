"""Credit given by hand: what a shop and its customers can rely on, from the grant to the last day."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from app.db.credit import Credit, CreditStatus
from app.db.ledger import AuditEntry
from app.db.people import MemberStatus, Role
from app.loyalty.credit import validity
from app.services import (
    credit_codes,
    credits,
    doctoring,
    members,
    program_rules,
    programs,
    staff,
    upkeep,
)
from app.services.errors import InvalidForm
from tests.factories import Shop, actor_for, open_shop
from tests.integration.credit_shop import (
    FORM,
    NOON,
    SetClock,
    assert_books_agree,
    credit_of,
    faults,
    grant,
    group_credit,
    held,
    now_of,
    refused,
    use,
)


@pytest.fixture(autouse=True)
def noon(at: SetClock) -> None:
    at(NOON)


def test_credit_given_by_hand_is_the_members_to_use(shop: Shop):
    member = shop.member()
    credit_id = grant(shop, member)
    assert [(credit_id, 1250)] == [(credit.id, credit.balance_minor) for credit in now_of(shop, member).credits]
    assert_books_agree(shop)


def test_a_grant_that_is_sent_twice_gives_once(shop: Shop):
    member, key = shop.member(), str(uuid4())
    first, again = (credits.grant(shop.ctx, shop.owner, member.id, FORM, key=key) for _ in range(2))
    assert (first[0], False, True) == (again[0], first[1], again[1])
    assert 1 == len(held(shop, member))


def test_a_key_that_was_used_for_another_amount_is_refused(shop: Shop):
    member, key = shop.member(), str(uuid4())
    credits.grant(shop.ctx, shop.owner, member.id, FORM, key=key)
    more = FORM | {"amount": "99"}
    assert "idempotency-key-reused" == refused(lambda: credits.grant(shop.ctx, shop.owner, member.id, more, key=key))


def test_only_those_with_the_right_may_give_credit(shop: Shop):
    member = shop.member()
    kind = refused(lambda: credits.grant(shop.ctx, shop.cashier, member.id, FORM, key="1"))
    assert ("not-allowed", []) == (kind, held(shop, member))


@pytest.mark.parametrize("status", [MemberStatus.BLOCKED, MemberStatus.LEFT])
def test_who_is_blocked_or_has_left_gets_no_credit(shop: Shop, status: MemberStatus):
    member = shop.member()
    members.set_status(shop.ctx, shop.owner, member.id, status)
    assert f"member-{status}" == refused(lambda: grant(shop, member))


def test_a_strangers_member_gets_no_credit(shop: Shop):
    member = open_shop(shop.ctx, "other").member()
    assert "member-not-found" == refused(lambda: grant(shop, member))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"amount": ""}, {"amount": "required"}),
        ({"amount": "1.234"}, {"amount": "invalid-amount"}),
        ({"amount": "0"}, {"amount": "required"}),
        ({"last_day": ""}, {"last_day": "required"}),
        ({"last_day": "2027-02-28"}, {"last_day": "day-too-early"}),
        ({"last_day": "2027-02-30"}, {"last_day": "invalid-date"}),
        ({"last_day": "2044-01-01"}, {"last_day": "day-too-late"}),
        ({"first_day": "2027-04-01"}, {"last_day": "day-too-early"}),
        ({"reason": "x" * 201}, {"reason": "too-long"}),
    ],
)
def test_a_wrong_grant_says_which_field_to_mend(shop: Shop, form: dict[str, str], expected: dict[str, str]):
    assert expected == faults(shop, **form)


def test_a_day_typed_in_the_persian_calendar_is_that_day(shop: Shop):
    credit = credit_of(shop, grant(shop, shop.member(), last_day="۱۴۰۶-۰۱-۱۱"))
    assert validity(date(2027, 3, 1), date(2027, 3, 31), "Europe/Helsinki")[1] == credit.expires_at


def test_the_grant_is_in_the_audit_log(shop: Shop):
    credit_id = grant(shop, shop.member())
    with shop.ctx.sessions() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.subject_id == credit_id)).one()
    assert ("credit.granted", shop.owner.staff_id) == (entry.action, entry.staff_id)


def test_a_person_with_the_right_may_give_credit_whatever_the_role(shop: Shop):
    person = shop.people[Role.CASHIER]
    form = {"name": person.name, "login": person.login, "role": "cashier", "language": "en", "may_grant_credit": "on"}
    allowed = staff.save(shop.ctx, shop.owner, form, person.id)
    member = shop.member()
    credits.grant(shop.ctx, actor_for(allowed), member.id, FORM, key="1")
    assert [1250] == [credit.amount_minor for credit in held(shop, member)]


@pytest.mark.parametrize("day", [date(2027, 3, 27), date(2027, 3, 28), date(2027, 10, 30), date(2027, 10, 31)], ids=str)
def test_credit_pays_until_the_last_second_of_its_last_day_also_when_the_clocks_change(
    shop: Shop, at: SetClock, day: date
):
    """Finland's clocks change in the nights before 28 March and 31 October 2027."""
    member = shop.member()
    grant(shop, member, last_day=str(day))
    _, midnight = validity(day, day, "Europe/Helsinki")
    at(midnight - timedelta(seconds=1))
    use(shop, member, 100)
    at(midnight)
    assert "no-credit" == refused(lambda: use(shop, member, 100))
    assert ((), CreditStatus.LAPSED) == (now_of(shop, member).credits, held(shop, member)[0].status)
    assert_books_agree(shop)


def test_credit_that_begins_later_cannot_be_used_before(shop: Shop, at: SetClock):
    member = shop.member()
    grant(shop, member, first_day="2027-03-10")
    assert "no-credit" == refused(lambda: use(shop, member, 100))
    at(validity(date(2027, 3, 10), date(2027, 3, 10), "Europe/Helsinki")[0])
    use(shop, member, 100)
    assert [1150] == [credit.balance_minor for credit in now_of(shop, member).credits]


def test_credit_of_groups_is_closed_when_its_time_is_over(shop: Shop, at: SetClock):
    mine, living = group_credit(shop), group_credit(shop, last=date(2027, 12, 31))
    at(NOON + timedelta(days=40))
    assert upkeep.run(shop.ctx, 60.0)
    assert (CreditStatus.LAPSED, CreditStatus.OPEN) == (credit_of(shop, mine).status, credit_of(shop, living).status)
    assert_books_agree(shop)


def test_blocked_credit_is_on_no_card_and_pays_nothing_until_it_is_unblocked(shop: Shop):
    member = shop.member()
    credit_id = grant(shop, member)
    credits.set_blocked(shop.ctx, shop.owner, credit_id, True)
    assert () == now_of(shop, member).credits
    assert "no-credit" == refused(lambda: use(shop, member, 100))
    assert_books_agree(shop)
    credits.set_blocked(shop.ctx, shop.owner, credit_id, False)
    use(shop, member, 100)


def test_blocked_credit_lapses_on_its_day(shop: Shop, at: SetClock):
    member = shop.member()
    credit_id = grant(shop, member)
    credits.set_blocked(shop.ctx, shop.owner, credit_id, True)
    at(NOON + timedelta(days=40))
    upkeep.run(shop.ctx, 60)
    assert CreditStatus.LAPSED is credit_of(shop, credit_id).status
    assert "credit-closed" == refused(lambda: credits.set_blocked(shop.ctx, shop.owner, credit_id, False))
    assert_books_agree(shop)


def test_a_cashier_cannot_block_credit(shop: Shop):
    credit_id = grant(shop, shop.member())
    assert "not-allowed" == refused(lambda: credits.set_blocked(shop.ctx, shop.cashier, credit_id, True))


def test_nobody_can_touch_another_shops_credit(shop: Shop):
    stranger = open_shop(shop.ctx, "other").owner
    credit_id = grant(shop, shop.member())
    assert "credit-not-found" == refused(lambda: credits.set_blocked(shop.ctx, stranger, credit_id, True))
    assert "credit-not-found" == refused(lambda: credits.withdraw(shop.ctx, stranger, credit_id, key="1"))


def test_a_programme_that_has_set_nothing_has_the_defaults(shop: Shop):
    assert program_rules.Rules(True, False, 72, 14) == program_rules.get(shop.ctx, shop.program.id)


def test_rules_are_kept_and_cards_are_made_again_when_they_show_the_code(shop: Shop):
    form = {"code_on_card": "on", "undo_hours": "۲۴", "attach_days": "0"}
    before = programs.get(shop.ctx, shop.program.id).version
    program_rules.save(shop.ctx, shop.owner, form)
    assert program_rules.Rules(False, True, 24, 0) == program_rules.get(shop.ctx, shop.program.id)
    version = programs.get(shop.ctx, shop.program.id).version
    program_rules.save(shop.ctx, shop.owner, form | {"undo_hours": "48"})
    assert (before + 1, version) == (version, programs.get(shop.ctx, shop.program.id).version)


def test_wrong_rules_are_refused(shop: Shop):
    with pytest.raises(InvalidForm) as invalid:
        program_rules.save(shop.ctx, shop.owner, {"undo_hours": "9000", "attach_days": "-1"})
    assert {"undo_hours", "attach_days"} == invalid.value.errors.keys()


def test_the_doctor_sees_a_balance_that_is_not_its_sum(shop: Shop):
    member = shop.member()
    credit_id = grant(shop, member)
    with shop.ctx.sessions.begin() as session:
        session.execute(update(Credit).where(Credit.id == credit_id).values(balance_minor=1))
    (difference,) = doctoring.differences(shop.ctx)
    assert (1250, 1250, 1) == (difference.credit_minor, difference.credit_in_ledger, difference.credit_open)
    assert [(credit_id, 1, 1250)] == doctoring.credit_differences(shop.ctx)


def test_credit_that_nobody_is_told_the_code_of_has_none(shop: Shop):
    """Every code that is active makes guessing easier."""
    assert credit_of(shop, grant(shop, shop.member())).code_hash is None


def test_codes_of_credit_that_was_closed_long_ago_are_forgotten(shop: Shop, at: SetClock):
    credit_id = grant(shop, shop.member(), sms="on")
    at(NOON + timedelta(days=40))
    upkeep.run(shop.ctx, 60)
    assert credit_of(shop, credit_id).code_hash is not None
    at(NOON + timedelta(days=41) + credit_codes.REST)
    upkeep.run(shop.ctx, 60)
    assert (None, None) == (credit_of(shop, credit_id).code_hash, credit_of(shop, credit_id).code_nonce)
