"""A shop with every feature on, and a member who has some of everything."""

from uuid import UUID

from app.services import (
    bonus_rules,
    group_pricing,
    member_groups,
    members,
    nps_rules,
    program_rules,
    purchases,
    referral_rules,
    stamp_cards,
    visit_rules,
)
from app.services.purchases import PurchaseRequest
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration.bonus_shop import POINTS
from tests.integration.credit_shop import RULES as CREDIT_RULES
from tests.integration.credit_shop import grant
from tests.integration.referral_shop import RULES as REFERRAL_RULES
from tests.integration.reward_shop import give, make_type
from tests.integration.tier_shop import set_tiers
from tests.integration.visit_shop import kind_of_reward

FURTHER_CARDS = 5
NPS_RULES = {"active": "on", "after_visits": "1", "period_days": "180", "ask_by": "card"}


def worded(words: str, most: int, extreme: bool) -> str:
    """The words, or as many of them as the field takes."""
    return (f"{words} " * most)[:most].strip() if extreme else words


def switch_everything_on(shop: Shop, *, words: str = "Korvapuusti", extreme: bool = False) -> UUID:
    """All that cards can show, in these words, of any length or of the greatest that the forms take. Returns the
    group that is shown."""
    ctx, owner = shop.ctx, shop.owner

    def text(most: int) -> str:
        return worded(words, most, extreme)

    shop.change_program(welcome_text=text(200), terms_text=text(2000), contact_text=text(300), reward_name=text(60))
    bonus_rules.save(ctx, owner, POINTS)
    for place in range(FURTHER_CARDS):
        name = f"{place} {text(38)}"
        stamp_cards.save(ctx, owner, {"name": name, "stamps_needed": "30", "reward_name": text(60)})
    visit_rules.save(ctx, owner, {"active": "on", "hours_apart": "0", "count_purchases": "on"})
    goal = {"at_visit": "1000", "reward_type_id": str(kind_of_reward(shop, text(60)))}
    visit_rules.add_goal(ctx, owner, goal)
    set_tiers(shop, **{"name-0": f"1 {text(28)}", "name-1": f"2 {text(28)}", "benefits-0": text(300)})
    referral_rules.save(ctx, owner, REFERRAL_RULES | {f"text_{language}": text(300) for language in ("en", "fa")})
    nps_rules.save(ctx, owner, NPS_RULES | {"question_en": text(200)})
    program_rules.save(ctx, owner, CREDIT_RULES | {"code_on_card": "on"})
    group = member_groups.save(ctx, owner, {"name": text(60), "details": text(300), "on_card": "on"})
    group_pricing.add(ctx, owner, group, {"product": text(60), "kind": "price", "price": "3.50"})
    return group


def member_with_everything(
    shop: Shop, group: UUID, number: int = 1, *, language: str = "en", name: str = "Erin"
) -> MemberView:
    """Somebody who bought, was asked how it was, and holds two rewards, credit with a code and credit to come."""
    member = shop.member(number, language=language, name=name)
    purchases.record(shop.ctx, shop.api, PurchaseRequest(1250, member_id=member.id))
    for key in ("one", "two"):
        give(shop, member, make_type(shop, name=f"{key} {number}"), key=f"{key}-{number}")
    grant(shop, member, last_day="2030-12-31", sms="on")
    grant(shop, member, first_day="2030-12-01", last_day="2030-12-31")
    member_groups.put(shop.ctx, shop.owner, group, member.id)
    return members.by_id(shop.ctx, shop.owner, member.id)
