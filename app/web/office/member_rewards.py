"""Rewards on a member's page in the office: what they hold, and what can be given."""

from app.services import reward_giving, reward_types, reward_words
from app.services.programs import ProgramView
from app.services.reward_types import RewardTypeView
from app.services.views import MemberView
from app.web.access import actor, ctx
from app.web.language import text
from app.web.rewards import shown_rewards


def of_member(program: ProgramView, member: MemberView) -> dict[str, object]:
    """What the panel needs."""
    return {
        "member_rewards": shown_rewards(program, member.rewards),
        "given_alone": reward_giving.given_alone(ctx(), actor(), member.id),
        "reward_kinds": kind_options(program),
        "reward_form": {},
        "reward_errors": {},
    }


def kind_options(program: ProgramView) -> list[tuple[str, str]]:
    """The kinds of rewards that are given, to choose from."""
    kinds = reward_types.all_of(ctx(), program.id)
    return [(str(kind.id), _named(program, kind)) for kind in kinds if kind.active]


def worth(program: ProgramView, kind: RewardTypeView) -> str:
    return reward_words.worth(text(), kind.name, kind.value, kind.value_amount, program.currency)


def _named(program: ProgramView, kind: RewardTypeView) -> str:
    found = worth(program, kind)
    return found if kind.name in found else f"{kind.name} | {found}"
