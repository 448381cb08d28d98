"""What a segment means in the database is what it means in plain Python, condition by condition and mixed."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.people import Member
from app.db.programs import Program
from app.db.purchases import Purchase
from app.loyalty.segment_leaves import LEAVES
from app.loyalty.segments import EVERYONE, Group, How, matches
from app.services import purchases, segment_sql, till
from app.services.context import Context
from app.services.purchases import PurchaseRequest
from tests.factories import Shop, open_shop
from tests.integration.segment_shop import Book, fill
from tests.segment_trees import NOW, some_leaf, some_tree

SHARED = settings(max_examples=25)


@pytest.fixture(params=[1, 2])
def crowd(ctx: Context, shop: Shop, request: pytest.FixtureRequest) -> Iterator[tuple[Session, Shop, Book]]:
    """A session over a shop of many different members, beside another programme's."""
    book = fill(ctx, shop, request.param)
    open_shop(ctx, "other").member(1, language="fi")
    with ctx.sessions() as session:
        yield session, shop, book


def chosen(session: Session, shop: Shop, tree: Group) -> list[UUID]:
    return list(session.scalars(segment_sql.compiled(tree, session.get_one(Program, shop.program.id), NOW)))


def assert_same(crowd: tuple[Session, Shop, Book], tree: Group) -> None:
    session, shop, book = crowd
    expected = sorted(member for member, facts in book.facts.items() if matches(tree, facts))
    assert expected == sorted(chosen(session, shop, tree))


# A crowd takes longer to make than a condition to check, so that some share one.
@pytest.mark.parametrize("kinds", [tuple(LEAVES)[start::4] for start in range(4)], ids=", ".join)
def test_each_condition_and_its_opposite(crowd: tuple[Session, Shop, Book], kinds: tuple[str, ...]):
    def check(kind: str) -> None:
        @SHARED
        @given(some_leaf(crowd[2].things, (kind,)), st.sampled_from(How))
        def agrees(leaf: object, how: How) -> None:
            assert_same(crowd, Group(how, (leaf,)))  # type: ignore[arg-type]

        agrees()

    for kind in kinds:
        check(kind)


def test_conditions_mixed_in_groups(crowd: tuple[Session, Shop, Book]):
    @settings(SHARED, max_examples=150)
    @given(some_tree(crowd[2].things))
    def check(tree: Group) -> None:
        assert_same(crowd, tree)

    check()


def test_everybody_is_who_neither_left_nor_is_blocked(crowd: tuple[Session, Shop, Book]):
    session, shop, book = crowd
    assert 0 < len(chosen(session, shop, EVERYONE)) < len(book.facts)
    assert_same(crowd, EVERYONE)


def test_a_name_of_another_programme_chooses_nobody(ctx: Context, shop: Shop):
    theirs = fill(ctx, open_shop(ctx, "other"), 1)
    shop.member(1)
    with ctx.sessions() as session:
        for kind in ("class", "list", "location", "campaign", "tier", "member_group", "answer"):
            field = next(name for name, one in LEAVES[kind].fields.items() if one.options[0] in theirs.things)
            thing = theirs.things[LEAVES[kind].fields[field].options[0]][0]
            assert [] == chosen(session, shop, Group(How.ALL, (LEAVES[kind](**{field: thing}),)))


def last_visit(ctx: Context, member_id: UUID) -> tuple[datetime | None, UUID | None]:
    """What the member's row says, which must be what the purchases say."""
    with ctx.sessions() as session:
        row = session.execute(select(Member.last_visit_at, Member.last_location_id).where(Member.id == member_id)).one()
        newest = session.execute(
            select(Purchase.at, Purchase.location_id)
            .where(Purchase.member_id == member_id, Purchase.undone_at.is_(None))
            .order_by(Purchase.at.desc())
            .limit(1)
        ).one_or_none()
    assert tuple(newest or (None, None)) == tuple(row)
    return row.last_visit_at, row.last_location_id


def test_the_last_visit_is_kept_with_each_stamp_purchase_and_undoing(
    ctx: Context, shop: Shop, at: Callable[[datetime], None]
):
    at(NOW)
    member = shop.member(1)
    assert (None, None) == last_visit(ctx, member.id)
    stamp, _ = till.give_stamps(ctx, shop.cashier, member.card_code, key=str(uuid4()))
    assert (NOW, shop.location.id) == last_visit(ctx, member.id)
    later = NOW + timedelta(hours=1)
    at(later)
    bought, _ = purchases.record(ctx, shop.api, PurchaseRequest(500, member_id=member.id))
    assert (later, None) == last_visit(ctx, member.id)
    purchases.record(ctx, shop.api, PurchaseRequest(500, member_id=member.id, at=NOW - timedelta(days=1)))
    assert (later, None) == last_visit(ctx, member.id)
    purchases.undo(ctx, shop.owner, UUID(bought["purchase_id"]))
    assert (NOW, shop.location.id) == last_visit(ctx, member.id)
    till.undo(ctx, shop.owner, UUID(stamp["entry_id"]), key=str(uuid4()))
    assert (NOW - timedelta(days=1), None) == last_visit(ctx, member.id)


def test_the_last_visit_of_a_newcomer_is_the_purchase_that_waited(
    ctx: Context, shop: Shop, at: Callable[[datetime], None]
):
    at(NOW)
    purchases.record(ctx, shop.api, PurchaseRequest(500, phone="+358401230007"))
    at(NOW + timedelta(days=1))
    assert (NOW, None) == last_visit(ctx, shop.member(7).id)


def test_a_purchase_without_a_stamp_is_a_visit_until_it_is_taken_back(
    ctx: Context, shop: Shop, at: Callable[[datetime], None]
):
    at(NOW)
    shop.change_program(smallest_purchase="100")
    member = shop.member(1)
    bought, _ = purchases.record(ctx, shop.api, PurchaseRequest(500, member_id=member.id))
    assert (NOW, None) == last_visit(ctx, member.id)
    purchases.undo(ctx, shop.owner, UUID(bought["purchase_id"]))
    assert (None, None) == last_visit(ctx, member.id)
