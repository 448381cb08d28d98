"""What an iPhone gets by the one quick read is what it would get by all of them."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from app.db.people import MemberStatus
from app.services import (
    apple_passes,
    bonus_rules,
    card_state,
    member_groups,
    members,
    nps_rules,
    purchases,
    referral_rules,
    stamp_cards,
    visit_rules,
)
from app.services.purchases import PurchaseRequest
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration.bonus_shop import MONEY
from tests.integration.credit_shop import grant
from tests.integration.full_shop import NPS_RULES, member_with_everything, switch_everything_on
from tests.integration.referral_shop import RULES as REFERRAL_RULES
from tests.integration.reward_shop import give, make_type
from tests.integration.tier_shop import set_tiers

Feature = Callable[[Shop, MemberView], object]


@pytest.fixture(autouse=True)
def one_moment(at: Callable[[datetime], None]) -> None:
    at(datetime.now(UTC))  # a signature has the time in it


def buy(shop: Shop, member: MemberView) -> None:
    purchases.record(shop.ctx, shop.api, PurchaseRequest(1250, member_id=member.id))


def by_one_read(shop: Shop, member: MemberView) -> tuple[bytes, bool]:
    """The pass, and whether the one read was enough for it."""
    state = card_state.find(shop.ctx, member.card_id)
    assert state is not None
    content = apple_passes.fetch(shop.ctx, state, None).content
    assert content is not None
    return content, state.member is not None


def by_all_reads(shop: Shop, member: MemberView) -> bytes:
    whole = members.by_id(shop.ctx, shop.owner, member.id)
    return b"".join(apple_passes.apple_pass(shop.ctx, whole).segments)


def keys(data: bytes) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        groups = json.loads(package.read("pass.json"))["storeCard"].values()
    return {field["key"] for fields in groups for field in fields}


def bonus(shop: Shop, member: MemberView) -> None:
    bonus_rules.save(shop.ctx, shop.owner, MONEY)
    buy(shop, member)


def visits(shop: Shop, member: MemberView) -> None:
    visit_rules.save(shop.ctx, shop.owner, {"active": "on", "hours_apart": "0", "count_purchases": "on"})
    buy(shop, member)


def referral(shop: Shop, member: MemberView) -> None:
    referral_rules.save(shop.ctx, shop.owner, REFERRAL_RULES)


def survey(shop: Shop, member: MemberView) -> None:
    nps_rules.save(shop.ctx, shop.owner, NPS_RULES)
    buy(shop, member)


def further_stamps(shop: Shop, member: MemberView) -> None:
    stamp_cards.save(shop.ctx, shop.owner, {"name": "Lunch", "stamps_needed": "8", "reward_name": "Free lunch"})


def tier(shop: Shop, member: MemberView) -> None:
    set_tiers(shop)
    buy(shop, member)


def reward(shop: Shop, member: MemberView) -> None:
    give(shop, member, make_type(shop))


def credit(shop: Shop, member: MemberView) -> None:
    grant(shop, member, last_day="2030-12-31")


def credit_to_come(shop: Shop, member: MemberView) -> None:
    grant(shop, member, first_day="2030-12-01", last_day="2030-12-31")


def into_group(shop: Shop, member: MemberView, **shown: str) -> None:
    group = member_groups.save(shop.ctx, shop.owner, {"name": "VIP", "details": "Free milk"} | shown)
    member_groups.put(shop.ctx, shop.owner, group, member.id)


def shown_group(shop: Shop, member: MemberView) -> None:
    into_group(shop, member, on_card="on")


def block(shop: Shop, member: MemberView) -> None:
    members.set_status(shop.ctx, shop.owner, member.id, MemberStatus.BLOCKED)


@pytest.mark.parametrize("language", ["en", "fa"])
def test_for_a_member_without_extras_one_read_gives_the_same_bytes(shop: Shop, language: str):
    member = shop.member(1, name="Erin", language=language)
    buy(shop, member)
    quick, enough = by_one_read(shop, member)
    assert enough
    assert by_all_reads(shop, member) == quick


@pytest.mark.parametrize(
    ("feature", "key", "one_read"),
    [
        (bonus, "bonus", True),
        (visits, "visits", True),
        (referral, "referral", True),
        (survey, "survey", True),
        (block, "status", True),
        (further_stamps, "stamps_2", False),
        (tier, "tier", False),
        (reward, "rewards", False),
        (credit, "credit", False),
        (credit_to_come, "credit_later", False),
        (shown_group, "groups", False),
    ],
)
def test_what_a_feature_shows_is_on_the_pass_by_either_way(shop: Shop, feature: Feature, key: str, one_read: bool):
    member = shop.member(1, name="Erin")
    before, _ = by_one_read(shop, member)
    assert key not in keys(before)
    feature(shop, member)
    quick, enough = by_one_read(shop, member)
    assert one_read == enough
    assert key in keys(quick)
    assert by_all_reads(shop, member) == quick


def test_a_group_that_cards_do_not_show_costs_no_further_read(shop: Shop):
    member = shop.member(1)
    into_group(shop, member)
    quick, enough = by_one_read(shop, member)
    assert enough
    assert by_all_reads(shop, member) == quick


def test_with_every_feature_at_once_both_ways_give_the_same_bytes(shop: Shop):
    group = switch_everything_on(shop)
    member = member_with_everything(shop, group)
    quick, enough = by_one_read(shop, member)
    assert not enough
    assert by_all_reads(shop, member) == quick
