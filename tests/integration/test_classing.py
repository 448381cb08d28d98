"""Classing in the database does what the rules say, for whatever people bought."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update
from uuid_utils.compat import uuid7

from app.db.credit import CustomerClass, MemberClass, RfmMethod, RfmSettings
from app.db.delivery import Channel, OutboxRow
from app.db.ledger import AuditEntry
from app.db.people import Member, MemberStatus, Role
from app.db.purchases import Purchase
from app.loyalty.rfm import (
    WORST,
    ClassRanges,
    Figures,
    Limits,
    Policy,
    Scores,
    by_quantiles,
    by_thresholds,
    first_fit,
)
from app.services import class_scoring, classing, customer_classes, till
from app.services.classing import ClassRules, Scoring
from app.services.context import Context
from app.services.errors import InvalidForm, Refused
from tests.factories import Shop, open_shop

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
MEMBERS = 7
LIMITS = {"recency_limits": (3, 9), "frequency_limits": (3, 2), "money_limits": (900, 300)}


def buy(shop: Shop, member_id: UUID, *, days_ago: float = 1, amount_minor: int | None = 100) -> UUID:
    purchase = Purchase(
        id=uuid7(),
        program_id=shop.program.id,
        member_id=member_id,
        at=NOW - timedelta(days=days_ago),
        recorded_at=NOW,
        amount_minor=amount_minor,
    )
    with shop.ctx.sessions.begin() as session:
        session.add(purchase)
    return purchase.id


def classed(shop: Shop) -> dict[UUID, MemberClass]:
    with shop.ctx.sessions() as session:
        rows = session.scalars(select(MemberClass).where(MemberClass.program_id == shop.program.id))
        return {row.member_id: row for row in rows}


def run(shop: Shop) -> dict[UUID, MemberClass]:
    assert classing.work(shop.ctx, shop.program.id, 0.0)
    return classed(shop)


def tasks(shop: Shop) -> int:
    with shop.ctx.sessions() as session:
        return session.query(OutboxRow).filter_by(channel=Channel.TASK, subject_id=shop.program.id).count()


def work_off(shop: Shop) -> None:
    with shop.ctx.sessions.begin() as session:
        session.query(OutboxRow).filter_by(channel=Channel.TASK).delete()


@pytest.fixture(autouse=True)
def _noon(at: Callable[[datetime], None]) -> None:
    at(NOW)


@pytest.fixture
def crowd(shop: Shop) -> list[UUID]:
    """Members in whose shop five classes are. Every other one is new; the others were members long before."""
    customer_classes.propose(shop.ctx, shop.owner)
    ids = [shop.member(number).id for number in range(MEMBERS)]
    with shop.ctx.sessions.begin() as session:
        session.execute(update(Member).where(Member.id.in_(ids[1::2])).values(joined_at=NOW - timedelta(days=400)))
    return ids


def set_scoring(shop: Shop, scoring: Scoring) -> None:
    values = {name: getattr(scoring, name) for name in Scoring.__dataclass_fields__}
    values |= {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
    with shop.ctx.sessions.begin() as session:
        session.execute(update(RfmSettings).values(values | {"classed_at": None}))


def oracle(bought: list[list[tuple[int, int | None]]], scoring: Scoring) -> list[tuple[Figures | None, Scores]]:
    """What each member should have: by the rules, from what they bought as (days ago, amount)."""
    figures = {}
    for member, receipts in enumerate(bought):
        counted = [(days, amount or 0) for days, amount in receipts if days < scoring.window_days]
        if counted:
            last = NOW - timedelta(days=min(days for days, _ in counted))
            figures[member] = Figures(last, len(counted), sum(amount for _, amount in counted))
    if scoring.method is RfmMethod.QUANTILES:
        scores = by_quantiles(figures, scoring.scores)
    else:
        limits = Limits(scoring.recency_limits, scoring.frequency_limits, scoring.money_limits)
        scores = {member: by_thresholds(each, limits, NOW) for member, each in figures.items()}
    return [(figures.get(member), scores.get(member, WORST)) for member in range(len(bought))]


receipts = st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(0, 600)), max_size=5)


@settings(max_examples=60)
@given(
    st.lists(receipts, min_size=MEMBERS, max_size=MEMBERS),
    st.sampled_from([RfmMethod.QUANTILES, RfmMethod.THRESHOLDS]),
    st.sampled_from([3, 12, 365]),
)
def test_the_database_scores_as_the_rules_say(
    shop: Shop,
    crowd: list[UUID],
    bought: list[list[tuple[int, int | None]]],
    method: RfmMethod,
    window: int,
):
    scoring = Scoring(method, 3 if method is RfmMethod.THRESHOLDS else 5, window, **LIMITS)
    set_scoring(shop, scoring)
    with shop.ctx.sessions.begin() as session:
        session.query(Purchase).delete()
        rows = session.scalars(select(CustomerClass).order_by(CustomerClass.position)).all()
        rules = [classing.rules_of(row) for row in rows]
    for member_id, receipts in zip(crowd, bought, strict=True):
        for days, amount in receipts:
            buy(shop, member_id, days_ago=days, amount_minor=amount)
    # Before the first classing, so that the preview counts purchases.
    sizes = classing.preview(shop.ctx, shop.program.id, scoring, rules)
    found = run(shop)
    expected = oracle(bought, scoring)
    places = [
        first_fit([each.ranges for each in rules], scores) if figures or number % 2 else None
        for number, (figures, scores) in enumerate(expected)
    ]
    for member_id, (figures, scores), place in zip(crowd, expected, places, strict=True):
        row = found[member_id]
        assert scores == (row.recency, row.frequency, row.money)
        assert (rows[place].id if place is not None else None) == row.class_id
        bought_at = (figures.last_at, figures.purchases, figures.spent_minor) if figures else (None, 0, 0)
        assert bought_at == (row.last_at, row.purchases, row.spent_minor)
    for place, size in enumerate(sizes):
        assert size.members == (places.count(place) if size.name else places.count(None))
    assert sizes == classing.preview(shop.ctx, shop.program.id, scoring, rules)  # now by the figures that are kept


def test_a_newcomer_who_has_bought_nothing_is_in_no_class(shop: Shop, crowd: list[UUID]):
    found = run(shop)
    assert [True, False] == [found[member_id].class_id is None for member_id in crowd[:2]]


def test_purchases_that_were_undone_or_belong_to_nobody_do_not_count(shop: Shop, crowd: list[UUID]):
    undone, nobodys = buy(shop, crowd[0]), buy(shop, crowd[1])
    with shop.ctx.sessions.begin() as session:
        session.get_one(Purchase, undone).undone_at = NOW
        session.get_one(Purchase, nobodys).member_id = None
    assert {0} == {row.purchases for row in run(shop).values()}


def test_the_customers_of_another_programme_do_not_count(shop: Shop, crowd: list[UUID]):
    other = open_shop(shop.ctx, "other")
    customer_classes.propose(shop.ctx, other.owner)
    theirs = other.member(1).id
    buy(other, theirs, amount_minor=9_999)
    buy(shop, crowd[0])
    assert set(crowd) == set(run(shop))
    assert {theirs} == set(run(other))


def test_who_left_or_was_blocked_is_classed_no_more(shop: Shop, crowd: list[UUID]):
    run(shop)
    with shop.ctx.sessions.begin() as session:
        session.get_one(Member, crowd[0]).status = MemberStatus.LEFT
        session.get_one(Member, crowd[1]).status = MemberStatus.BLOCKED
    assert set(crowd[2:]) == set(run(shop))


def test_a_second_classing_touches_only_what_changed(shop: Shop, crowd: list[UUID]):
    set_scoring(shop, Scoring(RfmMethod.THRESHOLDS, 3, 365, **LIMITS))

    def written() -> dict[UUID, str]:
        with shop.ctx.engine.connect() as connection:
            return dict(connection.execute(text("SELECT member_id, xmin::text FROM member_classes")).all())

    run(shop)
    before = written()
    buy(shop, crowd[3])
    run(shop)
    after = written()
    assert {crowd[3]} == {member_id for member_id in crowd if before[member_id] != after[member_id]}


def test_a_till_does_not_wait_for_the_classing(shop: Shop):
    customer_classes.propose(shop.ctx, shop.owner)
    member = shop.member()
    with shop.ctx.sessions.begin() as session:
        session.execute(text("LOCK TABLE rfm_settings IN EXCLUSIVE MODE"))  # the classing cannot end before this does
        worker = threading.Thread(target=classing.work, args=(shop.ctx, shop.program.id, 0.0))
        worker.start()
        time.sleep(0.2)
        answer, _ = till.give_stamps(shop.ctx, shop.cashier, member.card_code)
    worker.join(10)
    assert not worker.is_alive()
    assert (1, 1) == (answer["stamps"], len(classed(shop)))


def test_every_programme_is_classed_once_a_night(shop: Shop, crowd: list[UUID], at: Callable[[datetime], None]):
    work_off(shop)
    run(shop)
    at(datetime(2027, 3, 2, 0, 59, tzinfo=UTC))  # 02:59 in Helsinki
    classing.plan_nights(shop.ctx)
    assert 0 == tasks(shop)
    at(datetime(2027, 3, 2, 1, 0, tzinfo=UTC))
    classing.plan_nights(shop.ctx)
    classing.plan_nights(shop.ctx)
    assert 1 == tasks(shop)
    run(shop)
    work_off(shop)
    classing.plan_nights(shop.ctx)
    assert 0 == tasks(shop)


def test_a_programme_without_classes_is_left_alone(shop: Shop):
    customer_classes.overview(shop.ctx, shop.program.id)
    classing.plan_nights(shop.ctx)
    assert 0 == tasks(shop)


def test_a_preview_tells_sizes_spending_and_cost_and_changes_nothing(shop: Shop, crowd: list[UUID]):
    for amount in (1_000, 3_001):
        buy(shop, crowd[0], amount_minor=amount)
    buy(shop, crowd[0], days_ago=40, amount_minor=5_000)
    buy(shop, crowd[1], days_ago=40, amount_minor=0)
    every = ClassRanges((1, 5), (1, 5), (1, 5))
    share = ClassRules("All", every, Policy(share_bp=1_000, cap_minor=500), spending_days=30)
    sizes = classing.preview(shop.ctx, shop.program.id, Scoring(), [share])
    assert [("All", 4, 2, 9_001, 1, 400), (None, 3, 3, 0, 0, 0)] == [
        (size.name, size.members, size.idle, size.spent_minor, size.receivers, size.cost_minor) for size in sizes
    ]
    assert 4_501 == sizes[0].average_minor
    fixed = ClassRules("Best", ClassRanges((5, 5), (1, 5), (1, 5)), Policy(fixed_minor=300), spending_days=30)
    nobody, others = classing.preview(shop.ctx, shop.program.id, Scoring(), [fixed])
    assert (0, 0, None, 7) == (nobody.members, nobody.cost_minor, others.name, others.members)
    assert {} == classed(shop)


def test_a_preview_that_takes_too_long_says_so(shop: Shop, crowd: list[UUID], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(classing, "_PREVIEW_MILLISECONDS", 50)
    with shop.ctx.engine.connect() as other:
        other.execute(text("LOCK TABLE purchases"))
        with pytest.raises(Refused, match="too many purchases"):
            classing.preview(shop.ctx, shop.program.id, Scoring(), [])


def test_the_usual_classes_are_made_once_and_in_the_programmes_language(ctx: Context):
    shop = open_shop(ctx, language="fi")
    customer_classes.propose(ctx, shop.owner)
    customer_classes.propose(ctx, shop.owner)
    classes = customer_classes.overview(ctx, shop.program.id).classes
    assert 5 == len(classes)
    assert "Best" not in [each.name for each in classes]


def test_the_page_counts_members_as_of_the_last_classing(shop: Shop, crowd: list[UUID]):
    buy(shop, crowd[0], amount_minor=250)
    seen = customer_classes.overview(shop.ctx, shop.program.id)
    assert (0, True, None) == (seen.members, seen.under_way, seen.classed_at)
    work_off(shop)
    run(shop)
    seen = customer_classes.overview(shop.ctx, shop.program.id)
    assert (MEMBERS, MEMBERS - 1, 3, False, NOW) == (
        seen.members,
        seen.idle,
        seen.unclassed,
        seen.under_way,
        seen.classed_at,
    )
    assert [0, 0, 0, 0, 4] == [each.members for each in seen.classes]  # the only buyer is better than nobody
    assert 250 == seen.classes[4].average_minor


def test_with_another_number_of_scores_the_classes_move_along(shop: Shop, crowd: list[UUID]):
    form = {"method": "quantiles", "scores": "10", "window_days": "۱۸۰"}
    class_scoring.save(shop.ctx, shop.owner, form)
    seen = customer_classes.overview(shop.ctx, shop.program.id)
    assert (10, 180) == (seen.scoring.scores, seen.scoring.window_days)
    assert (7, 10) == seen.classes[0].ranges.recency
    assert form | {"window_days": "180"} == {
        name: value for name, value in class_scoring.form(shop.ctx, shop.owner).items() if not name.endswith("_limits")
    }


def test_limits_are_typed_as_people_type_them(shop: Shop, crowd: list[UUID]):
    form = {
        "method": "thresholds",
        "scores": "3",
        "window_days": "365",
        "recency_limits": "۷، ۳۰",
        "frequency_limits": "10, 3",
        "money_limits": "99,50 20",
    }
    class_scoring.save(shop.ctx, shop.owner, form)
    scoring = customer_classes.overview(shop.ctx, shop.program.id).scoring
    assert ([7, 30], [10, 3], [9_950, 2_000]) == (
        scoring.recency_limits,
        scoring.frequency_limits,
        scoring.money_limits,
    )


@pytest.mark.parametrize(
    ("field", "typed", "kind"),
    [
        ("recency_limits", "30 7", "limits-order"),
        ("frequency_limits", "3 10", "limits-order"),
        ("frequency_limits", "3 3", "limits-order"),
        ("money_limits", "20", "limits-count"),
        ("money_limits", "much little", "invalid-limits"),
        ("scores", "11", "invalid-number"),
        ("window_days", "0", "invalid-number"),
    ],
)
def test_what_cannot_be_right_is_told(shop: Shop, crowd: list[UUID], field: str, typed: str, kind: str):
    form = {
        "method": "thresholds",
        "scores": "3",
        "window_days": "365",
        "recency_limits": "7 30",
        "frequency_limits": "10 3",
        "money_limits": "99 20",
    }
    with pytest.raises(InvalidForm) as told:
        class_scoring.save(shop.ctx, shop.owner, form | {field: typed})
    assert {field: kind} == {name: error.kind for name, error in told.value.errors.items()}


def test_classes_are_moved_and_removed_and_the_log_knows(shop: Shop, crowd: list[UUID]):
    classes = customer_classes.overview(shop.ctx, shop.program.id).classes
    customer_classes.move_up(shop.ctx, shop.owner, classes[1].id)
    customer_classes.remove(shop.ctx, shop.owner, classes[4].id)
    names = [each.name for each in customer_classes.overview(shop.ctx, shop.program.id).classes]
    assert ["Loyal", "Best", "New", "At risk"] == names
    run(shop)
    assert 7 == customer_classes.overview(shop.ctx, shop.program.id).unclassed
    with shop.ctx.sessions() as session:
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()[-2:]
    assert ["class.moved", "class.removed"] == actions


def test_a_strangers_class_is_not_to_be_found(shop: Shop, crowd: list[UUID]):
    other = open_shop(shop.ctx, "other")
    theirs = customer_classes.overview(shop.ctx, shop.program.id).classes[0].id
    for act in (customer_classes.one, customer_classes.class_form, customer_classes.move_up, customer_classes.remove):
        with pytest.raises(Refused) as told:
            act(shop.ctx, other.actor(Role.OWNER), theirs)
        assert "class-not-found" == told.value.kind
