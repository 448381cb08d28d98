"""A customer has all that is theirs erased, on their own page."""

from dataclasses import dataclass

from app.db.keeping import ErasedBy
from app.i18n import N_
from app.services import erasing, members, retention_rules, sms_texts, spending_proofs
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.views import MemberView


@dataclass(frozen=True, slots=True)
class Losses:
    """What a member has that would be gone."""

    stamps: int
    rewards: tuple[str, ...]
    credit_minor: int


def losses(member: MemberView) -> Losses:
    """What would be gone with the member."""
    credit = sum(credit.balance_minor for credit in member.credits)
    return Losses(member.stamps, tuple(reward.name for reward in member.rewards), credit)


def needs_code(ctx: Context, member: MemberView) -> bool:
    """Whether the programme wants a code from the member's phone first, as somebody else may have their link."""
    return retention_rules.get(ctx, member.program_id).code_to_erase


def code_is_out(ctx: Context, member: MemberView) -> bool:
    """Whether a code was sent that can still be typed."""
    return spending_proofs.is_waiting(ctx, Actor(member.program_id), member.id)


def send_code(ctx: Context, token: str) -> None:
    """Send the code. Raises Refused: link-not-found, too-many-tries, limiter-down."""
    member = members.by_link(ctx, token)
    spending_proofs.send(ctx, Actor(member.program_id), member.id, template=sms_texts.ERASE_CODE)


def erase(ctx: Context, token: str, *, sure: bool, code: str = "") -> None:
    """Erase the member whom this link belongs to. Raises InvalidForm (sure, one_time_code), Refused: link-not-found."""
    member = members.by_link(ctx, token)
    if not sure:
        words = N_("Please tick this: what is erased cannot be brought back.")
        raise InvalidForm({"sure": Refused("required", words, field="sure")})
    actor = Actor(member.program_id)
    if needs_code(ctx, member):
        try:
            spending_proofs.confirm(ctx, actor, member.id, code)
        except Refused as refusal:
            raise InvalidForm({"one_time_code": refusal}) from None
    erasing.erase(ctx, actor, member.id, ErasedBy.MEMBER)
