"""Using a code at the till: once, within its time, by whoever may, and never a stranger's."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from app import clock
from app.db.credit import Credit, CreditStatus, ProgramRules
from app.db.ledger import LedgerEntry, SavedAnswer
from app.db.people import Member, MemberCard, MemberStatus, Role
from app.db.programs import Program
from app.loyalty import guarding
from app.loyalty.credit import validity
from app.services import code_attempts, code_lookup, code_redeeming, credit_taking, guard, program_rules, till
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.ledger_book import occasion
from sms.phones import masked
from tests.factories import Shop, actor_for, open_shop
from tests.integration.code_shop import NOON, drawn, give, give_group

keys = map(str, itertools.count())


def redeem(ctx: Context, actor: Actor, code: str, amount_minor: int = 400, **values: object) -> dict[str, object]:
    return code_redeeming.redeem(ctx, actor, code, amount_minor=amount_minor, key=next(keys), **values)[0]  # type: ignore[arg-type]


def refusal(act: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as refused:
        act()
    return refused.value


def single_use(ctx: Context, shop: Shop) -> None:
    with ctx.sessions.begin() as session:
        session.add(ProgramRules(program_id=shop.program.id, partial_use=False))


def ledger(ctx: Context, credit_id: UUID) -> list[tuple[str, int]]:
    with ctx.sessions() as session:
        rows = session.scalars(
            select(LedgerEntry).where(LedgerEntry.credit_id == credit_id).order_by(LedgerEntry.number)
        )
        return [(row.kind.value, row.amount) for row in rows]


def state(ctx: Context, credit_id: UUID) -> tuple[str, int]:
    with ctx.sessions() as session:
        credit = session.get_one(Credit, credit_id)
        return credit.status.value, credit.balance_minor


def test_a_code_is_worth_what_its_credit_has_and_says_whose_it_is(ctx: Context, shop: Shop) -> None:
    named, unnamed = shop.member(1, name="Alice"), shop.member(2)
    coupons = [give(ctx, shop, named.id), give(ctx, shop, unnamed.id), *give_group(ctx, shop, 1)]
    found = [code_redeeming.check(ctx, shop.cashier, coupon.code) for coupon in coupons]

    assert ["Alice", masked(unnamed.phone), "Virtanen Ltd"] == [one.holder for one in found]
    assert [(1000, False)] * 3 == [(one.balance_minor, one.needs_phone_digits) for one in found]


def test_a_bill_takes_what_it_needs_and_the_rest_stays(ctx: Context, shop: Shop) -> None:
    member = shop.member()
    coupon = give(ctx, shop, member.id)
    first, second = redeem(ctx, shop.cashier, coupon.code, 400), redeem(ctx, shop.cashier, coupon.code, 9999)

    assert (400, 600, 0) == (first["redeemed_minor"], first["left_minor"], first["lapsed_minor"])
    assert (600, 0, 0) == (second["redeemed_minor"], second["left_minor"], second["lapsed_minor"])
    assert [("grant", 1000), ("redeem", -400), ("redeem", -600)] == ledger(ctx, coupon.credit_id)
    assert ("used", 0) == state(ctx, coupon.credit_id)
    with ctx.sessions() as session:
        assert 0 == session.get_one(Member, member.id).credit_minor


def test_where_credit_is_used_once_the_rest_lapses_in_the_same_act(ctx: Context, shop: Shop) -> None:
    single_use(ctx, shop)
    coupon = give(ctx, shop, shop.member().id)
    answer = redeem(ctx, shop.cashier, coupon.code, 400)

    assert (400, 0, 600) == (answer["redeemed_minor"], answer["left_minor"], answer["lapsed_minor"])
    assert [("grant", 1000), ("redeem", -400), ("expiry", -600)] == ledger(ctx, coupon.credit_id)
    assert "code-not-valid" == refusal(lambda: redeem(ctx, shop.cashier, coupon.code)).kind


def test_the_card_tells_of_the_use(ctx: Context, shop: Shop) -> None:
    member = shop.member()
    coupon = give(ctx, shop, member.id)
    redeem(ctx, shop.cashier, coupon.code, 400)

    with ctx.sessions() as session:
        card = session.scalars(select(MemberCard).where(MemberCard.member_id == member.id)).one()
        assert "€4.00" in card.news
        assert member.card_version < card.version


def test_a_manager_can_undo_the_use_of_a_code(ctx: Context, shop: Shop) -> None:
    single_use(ctx, shop)
    for coupon in (give(ctx, shop, shop.member().id), *give_group(ctx, shop, 1)):
        answer = redeem(ctx, shop.cashier, coupon.code)
        till.undo(ctx, shop.owner, UUID(str(answer["entry_id"])), key=next(keys))

        assert ("open", 1000) == state(ctx, coupon.credit_id)
        assert 400 == redeem(ctx, shop.cashier, coupon.code)["redeemed_minor"]


@pytest.mark.parametrize("typed", ["0000042", "000 00-42", " ۰۰۰۰۰۴۲ ", "٠٠٠٠٠٤٢", "０００００４２"])
def test_leading_zeros_are_digits_and_any_script_is_read(ctx: Context, shop: Shop, typed: str) -> None:
    give_group(ctx, shop, 1, draw_one=drawn(["0000042"]))

    assert 1000 == code_redeeming.check(ctx, shop.cashier, typed).balance_minor


@pytest.mark.parametrize("typed", ["", "42", "12345678", "48213a7", "½½½½½½½"])
def test_what_is_no_code_is_said_to_be_none_and_is_no_try(ctx: Context, shop: Shop, typed: str) -> None:
    for _ in range(code_attempts.OF_ACTOR.misses + 1):
        assert "unreadable-code" == refusal(lambda: code_redeeming.check(ctx, shop.cashier, typed)).kind


def misses(ctx: Context, shop: Shop) -> dict[str, str]:
    """What makes a code miss → the code."""
    now = clock.now()
    day = timedelta(days=1)
    used, blocked, withdrawn, left, stopped, lapsed = (give(ctx, shop, shop.member(number).id) for number in range(6))
    other = give_group(ctx, open_shop(ctx, "north"), 1, draw_one=drawn(["5555555"]))[0]
    early = give(ctx, shop, shop.member(7).id, valid=(now + day, now + 2 * day))
    late = give(ctx, shop, shop.member(8).id, valid=(now - 2 * day, now - day))
    redeem(ctx, shop.cashier, used.code, 1000)
    with ctx.sessions.begin() as session:
        for coupon, status in ((blocked, CreditStatus.BLOCKED), (withdrawn, CreditStatus.WITHDRAWN),
                               (lapsed, CreditStatus.LAPSED)):  # fmt: skip
            session.execute(update(Credit).where(Credit.id == coupon.credit_id).values(status=status))
        for number, standing in ((3, MemberStatus.LEFT), (4, MemberStatus.BLOCKED)):
            session.execute(update(Member).where(Member.id == shop.member(number).id).values(status=standing))
    made = {"used": used, "blocked": blocked, "withdrawn": withdrawn, "left": left, "stopped": stopped,
            "lapsed": lapsed, "early": early, "late": late, "other": other}  # fmt: skip
    return {name: coupon.code for name, coupon in made.items()} | {"unknown": "9090909"}


def test_cashiers_and_keys_get_one_answer_for_every_miss(ctx: Context, shop: Shop) -> None:
    answers = set()
    for code in misses(ctx, shop).values():
        for actor in (shop.cashier, shop.api):
            for act in (code_redeeming.check, redeem):
                found = refusal(lambda actor=actor, act=act, code=code: act(ctx, actor, code))  # type: ignore[misc]
                answers.add((found.kind, str(found), found.status, found.field))
        ctx.valkey.flushdb()  # nobody is to be paused

    assert {("code-not-valid", "This code is not valid.", 404, "code")} == answers


def test_managers_are_told_the_reason(ctx: Context, shop: Shop) -> None:
    told = {}
    for name, code in misses(ctx, shop).items():
        told[name] = refusal(lambda code=code: code_redeeming.check(ctx, shop.owner, code)).message  # type: ignore[misc]
        ctx.valkey.flushdb()  # nobody is to be paused
    words, reasons = code_lookup._WORDS, code_lookup.Reason

    assert {
        "used": words[reasons.USED],
        "blocked": words[reasons.BLOCKED],
        "withdrawn": words[reasons.WITHDRAWN],
        "left": words[reasons.MEMBER_LEFT],
        "stopped": words[reasons.MEMBER_BLOCKED],
        "lapsed": words[reasons.EXPIRED],
        "early": words[reasons.NOT_YET],
        "late": words[reasons.EXPIRED],
        "other": words[reasons.OTHER_PROGRAM],
        "unknown": words[reasons.UNKNOWN],
    } == told


def test_a_code_works_up_to_its_very_last_second(ctx: Context, shop: Shop, at: Callable[[datetime], None]) -> None:
    coupon = give(ctx, shop, shop.member().id, valid=(NOON, NOON + timedelta(hours=1)))
    second = timedelta(seconds=1)
    at(NOON - second)
    assert "code-not-valid" == refusal(lambda: redeem(ctx, shop.cashier, coupon.code, 100)).kind
    at(NOON)
    assert 100 == redeem(ctx, shop.cashier, coupon.code, 100)["redeemed_minor"]
    at(NOON + timedelta(hours=1) - second)
    assert 100 == redeem(ctx, shop.cashier, coupon.code, 100)["redeemed_minor"]
    at(NOON + timedelta(hours=1))
    assert "code-not-valid" == refusal(lambda: redeem(ctx, shop.cashier, coupon.code, 100)).kind
    assert ("open", 800) == state(ctx, coupon.credit_id)


def test_the_last_day_ends_at_midnight_of_the_shop_also_when_summer_time_begins(
    ctx: Context, shop: Shop, at: Callable[[datetime], None]
) -> None:
    at(datetime(2027, 3, 20, tzinfo=UTC))
    day = datetime(2027, 3, 28, tzinfo=UTC).date()  # 23 hours long in Helsinki
    coupon = give(ctx, shop, shop.member().id, valid=validity(day, day, "Europe/Helsinki"))
    for moment, works in (
        (datetime(2027, 3, 27, 21, 59, 59, tzinfo=UTC), False),
        (datetime(2027, 3, 27, 22, 0, 0, tzinfo=UTC), True),
        (datetime(2027, 3, 28, 20, 59, 59, tzinfo=UTC), True),
        (datetime(2027, 3, 28, 21, 0, 0, tzinfo=UTC), False),
    ):
        at(moment)
        if works:
            assert 1 == redeem(ctx, shop.cashier, coupon.code, 1)["redeemed_minor"]
        else:
            assert "code-not-valid" == refusal(lambda: redeem(ctx, shop.cashier, coupon.code, 1)).kind


def test_a_repeat_gets_the_saved_answer_and_is_no_try(ctx: Context, shop: Shop) -> None:
    coupon = give(ctx, shop, shop.member().id)
    first = code_redeeming.redeem(ctx, shop.cashier, coupon.code, amount_minor=1000, key="k")
    for _ in range(code_attempts.OF_ACTOR.misses):
        refusal(lambda: code_redeeming.check(ctx, shop.cashier, "9090909"))

    assert "codes-paused" == refusal(lambda: redeem(ctx, shop.cashier, coupon.code)).kind
    assert (first[0], True) == code_redeeming.redeem(ctx, shop.cashier, coupon.code, amount_minor=1000, key="k")
    assert (
        "idempotency-key-reused"
        == refusal(lambda: code_redeeming.redeem(ctx, shop.cashier, coupon.code, amount_minor=999, key="k")).kind
    )
    assert [("grant", 1000), ("redeem", -1000)] == ledger(ctx, coupon.credit_id)


def test_the_saved_answer_tells_nobody_the_code(ctx: Context, shop: Shop) -> None:
    coupon = give(ctx, shop, shop.member().id)
    redeem(ctx, shop.cashier, coupon.code)
    with ctx.sessions() as session:
        saved = session.scalars(select(SavedAnswer)).one()

    assert coupon.code not in f"{saved.answer}{saved.fingerprint}"


@pytest.fixture
def patient_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is paused: here tills miss because another was quicker, far more often than people do."""
    many = code_attempts.Limit(10**6, 60)
    for name in ("OF_ACTOR", "OF_LOCATION", "OF_PROGRAM"):
        monkeypatch.setattr(code_attempts, name, many)
    guarded = {rule: replace(threshold, active=False) for rule, threshold in guarding.DEFAULTS.items()}
    monkeypatch.setattr(guard, "DEFAULTS", guarded)


@pytest.mark.usefixtures("patient_shop")
def test_a_code_typed_by_eight_tills_at_once_is_used_once(ctx: Context, shop: Shop) -> None:
    single_use(ctx, shop)
    coupons = [give(ctx, shop, shop.member(number % 4).id) for number in range(12)] + give_group(ctx, shop, 12)
    tills = [shop.cashier, actor_for(shop.second_cashier), shop.api, shop.actor(Role.MANAGER)] * 2

    def work(number: int) -> list[UUID]:
        won = []
        for coupon in coupons:
            with suppress(Refused):
                redeem(ctx, tills[number], coupon.code, 100)
                won.append(coupon.credit_id)
        return won

    with ThreadPoolExecutor(8) as threads:
        won = [credit_id for one in threads.map(work, range(8)) for credit_id in one]

    assert sorted(coupon.credit_id for coupon in coupons) == sorted(won)
    with ctx.sessions() as session:
        taken = session.execute(
            select(func.count(), func.sum(LedgerEntry.amount)).where(LedgerEntry.kind == "redeem")
        ).one()
        assert (24, -2400) == tuple(taken)
        assert 0 == session.scalar(select(func.sum(LedgerEntry.amount)).where(LedgerEntry.credit_id.is_not(None)))


def test_two_hundred_credits_taken_from_by_eight_threads_are_each_used_once(ctx: Context, shop: Shop) -> None:
    coupons = give_group(ctx, shop, 200)
    rules = program_rules.Rules(partial_use=False)

    def work(_number: int) -> int:
        won = 0
        for coupon in coupons:
            with ctx.sessions.begin() as session:
                program = session.get_one(Program, shop.program.id)
                act = occasion(shop.cashier, clock.now())
                won += credit_taking.take(session, program, coupon.credit_id, None, act, 100, rules) is not None
        return won

    with ThreadPoolExecutor(8) as threads:
        assert 200 == sum(threads.map(work, range(8)))
    with ctx.sessions() as session:
        assert 200 == session.scalar(select(func.count()).where(LedgerEntry.kind == "redeem"))


@pytest.mark.usefixtures("patient_shop")
def test_bills_at_the_same_instant_never_take_more_than_there_is(ctx: Context, shop: Shop) -> None:
    coupon = give_group(ctx, shop, 1)[0]

    def work(number: int) -> int:
        taken = 0
        for bill in (70, 30, 110) * 4:
            with suppress(Refused):
                taken += int(str(redeem(ctx, shop.cashier, coupon.code, bill + number)["redeemed_minor"]))
        return taken

    with ThreadPoolExecutor(8) as threads:
        assert 1000 == sum(threads.map(work, range(8)))
    assert ("used", 0) == state(ctx, coupon.credit_id)
    assert 0 == sum(amount for _, amount in ledger(ctx, coupon.credit_id))


def test_a_till_that_dies_before_the_commit_has_taken_nothing(ctx: Context, shop: Shop) -> None:
    coupon = give(ctx, shop, shop.member().id)
    with ctx.engine.connect() as connection, ctx.sessions(bind=connection) as session:
        credit = session.get_one(Credit, coupon.credit_id, with_for_update=True)
        credit.balance_minor = 0
        session.flush()  # and the process is gone

    assert 400 == redeem(ctx, shop.cashier, coupon.code)["redeemed_minor"]


def test_with_many_active_codes_the_phones_last_digits_are_asked_for(ctx: Context, shop: Shop) -> None:
    assert 101 == code_lookup.least_that_needs_digits()
    coupon = give(ctx, shop, shop.member(1234).id)
    group = give_group(ctx, shop, 99)[0]
    assert not code_redeeming.check(ctx, shop.cashier, coupon.code).needs_phone_digits
    give_group(ctx, shop, 1)

    for _ in range(code_attempts.OF_ACTOR.misses + 1):  # nothing is looked up, so it is no try
        for code in (coupon.code, "9090909"):
            asked = refusal(lambda code=code: redeem(ctx, shop.cashier, code))  # type: ignore[misc]
            assert ("phone-digits-needed", "phone_last4") == (asked.kind, asked.field)
    assert code_redeeming.check(ctx, shop.cashier, coupon.code, "۱۲۳۴").needs_phone_digits
    assert 400 == redeem(ctx, shop.cashier, coupon.code, phone_last4="1234")["redeemed_minor"]
    assert 400 == redeem(ctx, shop.cashier, group.code, phone_last4="")["redeemed_minor"]
    for wrong in ("1235", ""):
        missed = refusal(lambda wrong=wrong: redeem(ctx, shop.cashier, coupon.code, phone_last4=wrong))  # type: ignore[misc]
        assert "code-not-valid" == missed.kind
    told = refusal(lambda: code_redeeming.check(ctx, shop.owner, coupon.code, "9999"))
    assert code_lookup._WORDS[code_lookup.Reason.OTHER_PHONE] == told.message
    assert "invalid-phone-digits" == refusal(lambda: code_redeeming.check(ctx, shop.owner, coupon.code, "12")).kind


@pytest.mark.parametrize(("amount", "kind"), [(0, "amount-needed"), (-1, "invalid-amount"), (10**13, "invalid-amount")])
def test_a_bill_has_an_amount(ctx: Context, shop: Shop, amount: int, kind: str) -> None:
    coupon = give(ctx, shop, shop.member().id)

    assert kind == refusal(lambda: redeem(ctx, shop.cashier, coupon.code, amount)).kind
