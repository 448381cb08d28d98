"""Drawing codes: apart from each other, never twice, and never kept in words."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from app import clock
from app.db.credit import Credit, CreditStatus
from app.db.ledger import AuditEntry
from app.db.register import OldCard
from app.services import credit_codes
from app.services.context import Context
from app.services.errors import Refused
from sms.codes import near
from tests.factories import Shop, open_shop
from tests.integration.code_shop import drawn, give, give_group


def test_a_members_code_is_made_again_the_same(ctx: Context, shop: Shop) -> None:
    made = give(ctx, shop, shop.member().id)

    with ctx.sessions.begin() as session:
        credit = session.get_one(Credit, made.credit_id)
        assert made.code == credit_codes.code_again(ctx, credit)
        assert made.code == credit_codes.code_for(ctx, session, credit)
        assert made.credit_id == credit_codes.find(ctx, session, shop.program.id, made.code).id  # type: ignore[union-attr]


def test_two_workers_that_ask_for_one_credits_code_get_the_same(ctx: Context, shop: Shop) -> None:
    made = give(ctx, shop, shop.member().id)
    with ctx.sessions.begin() as session:
        session.execute(update(Credit).values(code_hash=None, code_nonce=None, pepper_id=""))

    def ask(_number: int) -> str:
        with ctx.sessions.begin() as session:
            return credit_codes.code_for(ctx, session, session.get_one(Credit, made.credit_id))

    with ThreadPoolExecutor(4) as threads:
        assert 1 == len(set(threads.map(ask, range(4))))


def test_a_groups_code_cannot_be_made_again(ctx: Context, shop: Shop) -> None:
    made = give_group(ctx, shop, 1)[0]

    with ctx.sessions.begin() as session, pytest.raises(Refused) as refused:
        credit_codes.code_again(ctx, session.get_one(Credit, made.credit_id))
    assert "code-lost" == refused.value.kind


def test_no_code_lies_in_the_database(ctx: Context, shop: Shop) -> None:
    codes = [give(ctx, shop, shop.member().id).code, give_group(ctx, shop, 1)[0].code]
    with ctx.sessions() as session:
        everything = [
            str(session.execute(text(f"SELECT json_agg(t) FROM {table} t")).scalar())  # noqa: S608 - our own names
            for table in ("credits", "code_groups", "ledger_entries", "outbox", "audit_entries", "sms_messages")
        ]

    assert [] == [code for code in codes for rows in everything if code in rows]


def test_a_candidate_next_to_an_active_code_is_turned_down(ctx: Context, shop: Shop) -> None:
    give_group(ctx, shop, 1, draw_one=drawn(["4821357"]))
    close = sorted(near("4821357"))
    made = give(ctx, shop, shop.member().id, draw_one=drawn(["4821357", *close[:20], "0000042"]))

    assert "0000042" == made.code


def test_candidates_of_one_batch_keep_away_from_each_other(ctx: Context, shop: Shop) -> None:
    made = give_group(ctx, shop, 2, draw_one=drawn(["1000000", "1000001", "1000000", "7654321"]))

    assert {"7654321"} < {coupon.code for coupon in made}
    assert 2 == len({coupon.code for coupon in made})
    assert made[0].code not in near(made[1].code)


@pytest.mark.parametrize("status", [CreditStatus.USED, CreditStatus.LAPSED, CreditStatus.WITHDRAWN])
def test_a_closed_code_rests_before_anybody_gets_it_again(ctx: Context, shop: Shop, status: CreditStatus) -> None:
    give_group(ctx, shop, 1, draw_one=drawn(["4821357"]))
    with ctx.sessions.begin() as session:
        closed_at = clock.now() - credit_codes.REST + timedelta(minutes=1)
        session.execute(update(Credit).values(status=status, closed_at=closed_at))

    assert 0 == credit_codes.free_rested(ctx)
    assert "7777777" == give_group(ctx, shop, 1, draw_one=drawn(["4821357", "7777777"]))[0].code
    with ctx.sessions.begin() as session:
        session.execute(update(Credit).where(Credit.status == status).values(closed_at=clock.now() - credit_codes.REST))
    assert 1 == credit_codes.free_rested(ctx)
    assert "4821357" == give_group(ctx, shop, 1, draw_one=drawn(["4821357"]))[0].code


def test_a_blocked_code_is_never_given_away(ctx: Context, shop: Shop) -> None:
    give_group(ctx, shop, 1, draw_one=drawn(["4821357"]))
    with ctx.sessions.begin() as session:
        session.execute(update(Credit).values(status=CreditStatus.BLOCKED))

    assert 0 == credit_codes.free_rested(ctx)
    assert "7777777" == give_group(ctx, shop, 1, draw_one=drawn(["4821357", "7777777"]))[0].code


def test_an_old_cards_number_is_nobodys_code(ctx: Context, shop: Shop) -> None:
    with ctx.sessions.begin() as session:
        session.add(
            OldCard(program_id=shop.program.id, number="0012345", member_id=shop.member().id, created_at=clock.now())
        )

    assert "9999999" == give(ctx, shop, shop.member(1).id, draw_one=drawn(["0012345", "9999999"])).code


def test_the_same_code_may_be_active_in_two_programmes(ctx: Context, shop: Shop) -> None:
    other = open_shop(ctx, "north")

    assert "0000007" == give_group(ctx, shop, 1, draw_one=drawn(["0000007"]))[0].code
    assert "0000007" == give_group(ctx, other, 1, draw_one=drawn(["0000007"]))[0].code


@pytest.mark.parametrize("many", [False, True])
def test_a_full_code_space_is_an_alarm_and_not_a_loop(ctx: Context, shop: Shop, many: bool) -> None:
    member = shop.member()
    give_group(ctx, shop, 1, draw_one=drawn(["4821357"]))
    full = drawn(["4821358"])
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            give_group(ctx, shop, 3, draw_one=full) if many else give(ctx, shop, member.id, draw_one=full)
        assert ("code-space-full", 503) == (refused.value.kind, refused.value.status)

    with ctx.sessions() as session:
        assert 1 == len(session.scalars(select(Credit)).all())
        assert 1 == len(session.scalars(select(AuditEntry).where(AuditEntry.action == "codes.space-full")).all())


def test_two_that_draw_at_once_never_get_codes_next_to_each_other(ctx: Context, shop: Shop) -> None:
    space = [f"000{number:04d}" for number in range(400)]  # so small that they would meet

    def make(number: int) -> list[str]:
        return [coupon.code for coupon in give_group(ctx, shop, 4, draw_one=drawn(space[number::4]))]

    with ThreadPoolExecutor(4) as threads:
        codes = [code for made in threads.map(make, range(4)) for code in made]
    assert 16 == len(set(codes))
    assert [] == [code for code in codes if near(code) & set(codes)]


@settings(max_examples=12)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 2**32))
def test_all_active_codes_are_two_slips_apart(ctx: Context, shop: Shop, batches: list[int], seed: int) -> None:
    """In a space so small that most candidates are neighbours of each other."""
    with ctx.sessions.begin() as session:
        session.execute(text("TRUNCATE ledger_entries, credits, code_groups CASCADE"))
    random = Random(seed)

    def draw_one(_pepper: object, _program_id: object) -> tuple[str, None]:
        return f"{random.randrange(100_000):07d}", None

    codes: list[str] = []
    for count in batches:
        codes += [coupon.code for coupon in give_group(ctx, shop, count, draw_one=draw_one)]

    assert len(codes) == len(set(codes))
    assert [] == [code for code in codes if near(code) & set(codes)]
