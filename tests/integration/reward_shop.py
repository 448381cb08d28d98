"""Kinds of rewards, and members who hold them."""

from uuid import UUID

from app.services import members, reward_giving, reward_types
from app.services.reward_types import RewardTypeView
from app.services.views import MemberView, RewardView
from tests.factories import Shop


def make_type(shop: Shop, **form: str) -> RewardTypeView:
    """A kind of reward: free cake that may be kept in the wallet, unless said otherwise."""
    usual = {"name": "Free cake", "value": "item", "own_pass": "on"}
    return reward_types.save(shop.ctx, shop.owner, usual | form)


def give(shop: Shop, member: MemberView, kind: RewardTypeView, key: str = "give-1") -> RewardView:
    """Give the member one by hand."""
    form = {"type_id": str(kind.id), "reason": "Birthday"}
    answer, _ = reward_giving.give(shop.ctx, shop.owner, member.id, form, key=key)
    return held(shop, member, UUID(answer["reward_id"]))


def held(shop: Shop, member: MemberView, reward_id: UUID) -> RewardView:
    """The reward, which the member holds."""
    found = members.by_id(shop.ctx, shop.owner, member.id)
    return next(reward for reward in found.rewards if reward.id == reward_id)
