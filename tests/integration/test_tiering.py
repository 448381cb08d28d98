"""Tiers rise with a purchase, fall when it is undone or too old, and follow when the rules change."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from app.db.bonus import BonusKind, BonusRate, BonusRules
from app.db.delivery import OutboxRow
from app.db.people import Member, MemberStatus
from app.db.tiers import TierChange, TierRules
from app.db.visits import Visit, VisitRules
from app.i18n import translator
from app.services import card_tier, members, purchases, tier_rules, tier_work, till, upkeep
from app.services.context import Context
from app.services.errors import InvalidForm, Refused
from app.services.views import MemberView
from tests.factories import Shop, open_shop
from tests.integration.tier_shop import FORM, buy, set_tiers, tier_of

Clock = Callable[[datetime], None]
START = datetime(2027, 3, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
EN = translator("en")


@pytest.fixture
def anna(shop: Shop, at: Clock) -> MemberView:
    """A member of a shop with Bronze, Silver and Gold, in March 2027."""
    at(START)
    set_tiers(shop)
    review_all(shop.ctx)
    return shop.member(1)


def review_all(ctx: Context) -> None:
    """What the worker does after a change of the rules."""
    with ctx.sessions() as session:
        ids = session.scalars(select(TierRules.review_id).where(TierRules.review_id.is_not(None))).all()
    for review_id in ids:
        assert tier_work.work(ctx, review_id, time.monotonic() + 60)


def seen(shop: Shop, member_id: UUID) -> MemberView:
    return members.by_id(shop.ctx, shop.owner, member_id)


def goal(shop: Shop, member_id: UUID) -> str:
    standing = seen(shop, member_id).tier
    assert standing is not None
    return card_tier.next_goal(EN, "EUR", standing)


def test_a_member_rises_with_the_purchase_and_the_lock_screen_tells(shop: Shop, anna: MemberView):
    buy(shop, anna.id, 999)
    assert ("", "€0.01 more to Bronze") == (tier_of(shop, anna.id), goal(shop, anna.id))
    buy(shop, anna.id, 5000)
    assert ("Silver", "€40.01 more to Gold") == (tier_of(shop, anna.id), goal(shop, anna.id))
    assert "You are Silver now – You have 2 of 10 stamps" == seen(shop, anna.id).news


def test_stamps_given_at_the_till_count_with_their_sum(shop: Shop, anna: MemberView):
    till.give_stamps(shop.ctx, shop.cashier, member_id=anna.id, amount_minor=10_000)
    assert "Gold" == tier_of(shop, anna.id)
    assert "" == goal(shop, anna.id)


def test_undoing_a_purchase_takes_the_tier_at_once_and_silently(shop: Shop, anna: MemberView):
    buy(shop, anna.id, 1000)
    purchase = buy(shop, anna.id, 9000)
    news = seen(shop, anna.id).news
    purchases.undo(shop.ctx, shop.owner, purchase)
    assert "Bronze" == tier_of(shop, anna.id)
    assert "Gold" not in seen(shop, anna.id).news or news == seen(shop, anna.id).news


def test_a_purchase_that_earned_nothing_counts_and_can_be_undone(shop: Shop, at: Clock):
    at(START)
    set_tiers(shop)
    shop.change_program(smallest_purchase="500")
    anna = shop.member(1)
    version = seen(shop, anna.id).card_version
    purchase = buy(shop, anna.id, 400)
    assert "€6.00 more to Bronze" == goal(shop, anna.id)
    assert version + 1 == seen(shop, anna.id).card_version
    purchases.undo(shop.ctx, shop.owner, purchase)
    assert "€10.00 more to Bronze" == goal(shop, anna.id)
    assert version + 2 == seen(shop, anna.id).card_version


def test_a_tier_that_is_not_earned_any_more_stays_for_the_grace(shop: Shop, anna: MemberView, at: Clock):
    buy(shop, anna.id, 10_000)
    at(START + 395 * DAY - timedelta(seconds=1))
    upkeep.run(shop.ctx, 60)
    assert ("Gold", "") == (tier_of(shop, anna.id), goal(shop, anna.id))
    at(START + 395 * DAY)
    version = seen(shop, anna.id).card_version
    upkeep.run(shop.ctx, 60)
    assert ("", "€10.00 more to Bronze") == (tier_of(shop, anna.id), goal(shop, anna.id))
    assert version < seen(shop, anna.id).card_version
    assert "You are Gold now" in seen(shop, anna.id).news


def test_the_card_tells_in_the_night_that_more_is_missing_and_does_so_silently(shop: Shop, anna: MemberView, at: Clock):
    buy(shop, anna.id, 1500)
    at(START + 10 * DAY)
    buy(shop, anna.id, 1000)
    before = seen(shop, anna.id)
    old = START + 365 * DAY
    at(old)
    assert "€40.00 more to Silver" == goal(shop, anna.id)
    upkeep.run(shop.ctx, 60)
    assert before.card_version == seen(shop, anna.id).card_version
    for later in (old + timedelta(hours=12), old + DAY):  # 10:00 UTC is noon in Helsinki: midnight is in 12 hours
        at(later)
        upkeep.run(shop.ctx, 60)
        assert (before.card_version + 1, before.news) == (seen(shop, anna.id).card_version, seen(shop, anna.id).news)


def test_the_new_year_lets_the_card_tell_that_more_is_missing(shop: Shop, at: Clock):
    at(START)
    set_tiers(shop, period="calendar")
    review_all(shop.ctx)
    anna, bert = shop.member(1), shop.member(2)
    buy(shop, anna.id, 1500)
    before = [seen(shop, member.id).card_version for member in (anna, bert)]
    at(datetime(2027, 12, 31, 22, tzinfo=UTC))
    upkeep.run(shop.ctx, 60)
    assert ("Bronze", "€50.00 more to Silver") == (tier_of(shop, anna.id), goal(shop, anna.id))
    assert [before[0] + 1, before[1]] == [seen(shop, member.id).card_version for member in (anna, bert)]


def test_the_history_tells_each_change(shop: Shop, anna: MemberView, at: Clock):
    buy(shop, anna.id, 1000)
    at(START + DAY)
    buy(shop, anna.id, 9000)
    at(START + 395 * DAY)
    upkeep.run(shop.ctx, 60)
    told = [(change.at, change.before, change.after) for change in tier_rules.changes(shop.ctx, shop.owner, anna.id)]
    at_395 = (START + 395 * DAY, "Gold", "Silver")
    assert [at_395, (START + DAY, "Bronze", "Gold"), (START, "", "Bronze")] == told


def test_a_calendar_tier_is_kept_to_the_end_of_the_next_year(shop: Shop, at: Clock):
    at(START)
    set_tiers(shop, period="calendar", grace_days="0")
    anna = shop.member(1)
    buy(shop, anna.id, 10_000)
    new_year = datetime(2028, 12, 31, 22, tzinfo=UTC)
    standing = seen(shop, anna.id).tier
    assert standing is not None
    assert new_year == standing.until
    at(new_year)
    upkeep.run(shop.ctx, 60)
    assert "" == tier_of(shop, anna.id)


def test_a_purchase_of_the_old_year_that_arrives_in_the_new_one_keeps_the_tier(shop: Shop, at: Clock):
    at(START)
    set_tiers(shop, period="calendar", grace_days="0")
    anna = shop.member(1)
    buy(shop, anna.id, 10_000)
    new_year = datetime(2028, 12, 31, 22, tzinfo=UTC)
    at(new_year + timedelta(minutes=5))
    upkeep.run(shop.ctx, 60)
    assert "" == tier_of(shop, anna.id)
    buy(shop, anna.id, 10_000, new_year - timedelta(seconds=1))
    assert "Gold" == tier_of(shop, anna.id)


@pytest.mark.parametrize("first", ["purchase", "review"])
def test_the_order_of_the_periods_end_and_a_purchase_does_not_matter(
    shop: Shop, anna: MemberView, at: Clock, first: str
):
    buy(shop, anna.id, 10_000)
    at(START + 395 * DAY)
    acts = [lambda: buy(shop, anna.id, 5000), lambda: upkeep.run(shop.ctx, 60)]
    for act in acts if first == "purchase" else reversed(acts):
        act()
    assert "Silver" == tier_of(shop, anna.id)


def test_purchases_at_the_same_moment_lead_to_the_tier_of_their_sum(shop: Shop, anna: MemberView):
    with ThreadPoolExecutor(4) as tills:
        list(tills.map(lambda _: buy(shop, anna.id, 2500), range(4)))
    assert "Gold" == tier_of(shop, anna.id)
    with shop.ctx.sessions() as session:
        changes = session.scalars(select(TierChange).where(TierChange.member_id == anna.id)).all()
    assert 3 == len(changes)


def test_new_rules_are_followed_in_slices_and_no_phone_rings(shop: Shop, anna: MemberView):
    buy(shop, anna.id, 5000)
    others = [shop.member(number) for number in range(2, 5)]
    buy(shop, others[0].id, 2000)
    news = seen(shop, others[0].id).news
    set_tiers(shop, **{"needs-1": "20", "needs-2": "40"})
    with shop.ctx.sessions() as session:
        review_id = session.get_one(TierRules, shop.program.id).review_id
    assert review_id is not None
    slices = 0
    while not tier_work.work(shop.ctx, review_id, 0):
        slices += 1
    assert slices >= 3
    assert ["Gold", "Silver", "", ""] == [tier_of(shop, one.id) for one in (anna, *others)]
    assert news == seen(shop, others[0].id).news


def test_a_review_that_newer_rules_have_overtaken_ends(shop: Shop, anna: MemberView):
    set_tiers(shop, grace_days="10")
    with shop.ctx.sessions() as session:
        old = session.get_one(TierRules, shop.program.id).review_id
    set_tiers(shop, grace_days="20")
    assert old is not None
    assert tier_work.work(shop.ctx, old, time.monotonic() + 60)
    assert tier_rules.overview(shop.ctx, shop.program.id).under_way


def test_switched_off_nobody_has_a_tier(shop: Shop, anna: MemberView):
    buy(shop, anna.id, 5000)
    set_tiers(shop, active="")
    review_all(shop.ctx)
    assert "" == tier_of(shop, anna.id)
    assert seen(shop, anna.id).tier is None


def test_a_tier_whose_name_or_limits_changed_places_is_the_same_tier(shop: Shop, anna: MemberView):
    buy(shop, anna.id, 5000)
    bronze, silver, gold = tier_rules.tiers(shop.ctx, shop.program.id)
    ids = {"id-0": str(bronze.id), "id-1": str(silver.id), "id-2": str(gold.id)}
    tier_rules.save(shop.ctx, shop.owner, FORM | ids | {"name-1": "Gold", "name-2": "Silver"})
    assert "Gold" == tier_of(shop, anna.id)


def test_a_removed_tier_stays_in_the_history(shop: Shop, anna: MemberView):
    buy(shop, anna.id, 10_000)
    set_tiers(shop, **{"name-2": "", "needs-2": "", "color-2": ""})
    review_all(shop.ctx)
    assert "Silver" == tier_of(shop, anna.id)
    assert ["Gold", ""] == [change.before for change in tier_rules.changes(shop.ctx, shop.owner, anna.id)]
    set_tiers(shop)
    review_all(shop.ctx)
    assert "Gold" == tier_of(shop, anna.id)


def test_a_tier_that_has_a_bonus_of_its_own_is_not_removed(shop: Shop, anna: MemberView):
    gold = tier_rules.tiers(shop.ctx, shop.program.id)[2]
    with shop.ctx.sessions.begin() as session:
        session.add(BonusRate(program_id=shop.program.id, rate=500, tier_id=gold.id))
    with pytest.raises(InvalidForm) as caught:
        set_tiers(shop, **{"name-2": "", "needs-2": "", "color-2": ""})
    assert "“Gold” has a bonus of its own. Change that first." == caught.value.errors["form"].text(EN)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"needs-1": "10"}, "needs-1"),
        ({"name-1": "Bronze"}, "name-1"),
        ({"color-1": "goldish"}, "color-1"),
        ({"needs-1": "-5"}, "needs-1"),
        ({"name-1": ""}, "name-1"),
        ({"days": "0"}, "days"),
        ({"grace_days": "400"}, "grace_days"),
    ],
)
def test_what_cannot_be_is_told_at_its_field(shop: Shop, changed: dict[str, str], field: str):
    with pytest.raises(InvalidForm) as caught:
        set_tiers(shop, **changed)
    assert [field] == list(caught.value.errors)


def test_a_lowest_tier_that_needs_nothing_is_for_newcomers_too(shop: Shop):
    set_tiers(shop, **{"needs-0": "0"})
    assert "Bronze" == tier_of(shop, shop.member(1).id)


def test_visits_count_at_the_door_where_they_are_counted_else_purchases(shop: Shop, at: Clock):
    at(START)
    set_tiers(shop, basis="visits", **{"needs-0": "1", "needs-1": "2", "needs-2": "5"})
    anna, bert = shop.member(1), shop.member(2)
    buy(shop, anna.id, 0)
    buy(shop, anna.id, 0)
    assert ("Silver", "3 more visits to Gold") == (tier_of(shop, anna.id), goal(shop, anna.id))
    with shop.ctx.sessions.begin() as session:
        session.add(VisitRules(program_id=shop.program.id, active=True))
        entry = {"program_id": shop.program.id, "recorded_at": START, "at": START, "operation_id": UUID(int=1)}
        session.add(Visit(member_id=bert.id, **entry))
        session.add(Visit(member_id=bert.id, undone_at=START, **entry))
    buy(shop, bert.id, 0)
    assert "Bronze" == tier_of(shop, bert.id)


def test_points_count_as_purchases_earned_them(shop: Shop, at: Clock):
    at(START)
    with shop.ctx.sessions.begin() as session:
        session.add(BonusRules(program_id=shop.program.id, kind=BonusKind.POINTS, rate=1, per_minor=100))
    set_tiers(shop, basis="points", **{"needs-0": "5", "needs-1": "20", "needs-2": "50"})
    anna = shop.member(1)
    first = buy(shop, anna.id, 2000)
    assert ("Silver", "30 more points to Gold") == (tier_of(shop, anna.id), goal(shop, anna.id))
    purchases.undo(shop.ctx, shop.owner, first)
    assert "" == tier_of(shop, anna.id)


def test_who_left_or_is_erased_is_told_nothing(shop: Shop, anna: MemberView, at: Clock):
    buy(shop, anna.id, 1000)
    members.set_status(shop.ctx, shop.owner, anna.id, MemberStatus.LEFT)
    with shop.ctx.sessions.begin() as session:
        session.execute(update(Member).where(Member.id == anna.id).values(status=MemberStatus.ERASED))
        before = len(session.scalars(select(OutboxRow)).all())
    at(START + 395 * DAY)
    upkeep.run(shop.ctx, 60)
    with shop.ctx.sessions() as session:
        assert before == len(session.scalars(select(OutboxRow)).all())
        assert session.get_one(Member, anna.id).tier_id is None


def test_the_overview_counts_the_members_of_each_tier(shop: Shop, anna: MemberView):
    buy(shop, anna.id, 5000)
    shop.member(2)
    assert (0, 1, 0, 1) == tier_rules.overview(shop.ctx, shop.program.id).members


def test_the_preview_tells_what_the_typed_limits_would_make_and_changes_nothing(shop: Shop, anna: MemberView):
    buy(shop, anna.id, 5000)
    shop.member(2)
    sizes = tier_rules.preview(shop.ctx, shop.owner, FORM | {"needs-2": "30"})
    assert [("Bronze", 0), ("Gold", 0), ("Silver", 1), ("", 1)] == sizes
    assert [("", 2)] == tier_rules.preview(shop.ctx, shop.owner, {"basis": "visits", "days": "9", "grace_days": "0"})
    assert "Silver" == tier_of(shop, anna.id)


def test_another_programmes_tiers_are_not_touched(ctx: Context, shop: Shop, anna: MemberView):
    other = open_shop(ctx, "other")
    theirs = tier_rules.tiers(ctx, shop.program.id)[0]
    with pytest.raises(InvalidForm) as refused:
        tier_rules.save(ctx, other.owner, FORM | {"id-0": str(theirs.id), "name-0": "Ours"})
    assert ["name-0"] == list(refused.value.errors)
    tier_rules.save(ctx, other.owner, FORM | {"name-0": "Ours"})
    assert "Bronze" == tier_rules.tiers(ctx, shop.program.id)[0].name
    assert "Ours" == tier_rules.tiers(ctx, other.program.id)[0].name
    member = other.member(1)
    with pytest.raises(Refused):
        members.by_id(ctx, shop.owner, member.id)
    buy(other, member.id, 1000)
    assert [] == tier_rules.changes(ctx, shop.owner, member.id)
