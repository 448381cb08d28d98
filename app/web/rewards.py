"""Rewards as pages show them: what each is worth, and when and where it may be used."""

from dataclasses import dataclass
from uuid import UUID

from flask import request

from app import clock
from app.loyalty.coupons import Obstacle, RewardValue, obstacle
from app.services import google_cards, programs, reward_words
from app.services.programs import ProgramView
from app.services.views import MemberView, RewardView
from app.web.access import ctx
from app.web.language import text


@dataclass(frozen=True, slots=True)
class ShownReward:
    """`worth` is “20 % off” or the thing's name; `lines` are its limits. `obstacle` forbids using it here and now."""

    reward: RewardView
    worth: str
    lines: list[str]
    obstacle: Obstacle | None

    @property
    def on_bill(self) -> bool:
        """Whether it is so much off a bill."""
        return self.reward.value in (RewardValue.AMOUNT, RewardValue.PERCENT)


# Safari on an iPad says that it is a Mac.
_APPLE = ("iPhone", "iPad", "iPod", "Macintosh")


def of_card(program: ProgramView, member: MemberView) -> dict[str, object]:
    """What a customer's page needs to show rewards, and the ways into the wallets: rewards, own_wallet, google."""
    return {
        "rewards": shown_rewards(program, member.rewards),
        "own_wallet": own_wallet(),
        "google": google_cards.is_on(ctx()),
    }


def own_wallet() -> str:
    """The wallet of the device that asks, apple or google; empty when it has none, or does not say."""
    device = request.user_agent.string
    if any(name in device for name in _APPLE):
        return "apple"
    return "google" if "Android" in device else ""


def shown_rewards(
    program: ProgramView, rewards: tuple[RewardView, ...], location_id: UUID | None = None
) -> list[ShownReward]:
    """These rewards, as they can be used at this location."""
    now, places = clock.now(), {}
    if any(reward.location_ids for reward in rewards):
        places = {str(place.id): place.name for place in programs.locations(ctx(), program.id)}
    return [
        ShownReward(
            reward,
            reward_words.worth(text(), reward.name, reward.value, reward.value_amount, program.currency),
            reward_words.limits(text(), reward.limits, places, program.time_zone, now),
            obstacle(reward.limits, now, location_id, program.time_zone),
        )
        for reward in rewards
    ]
