"""What members' cards show beside what tills see of a member. A few queries, however many members."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from app.services import card_credit, card_nps, card_referral
from app.services.context import Context
from app.services.programs import ProgramView
from app.services.views import MemberView


@dataclass(frozen=True, slots=True)
class Extras:
    """Of one member. `credit_codes`: {credit: code}, where the programme wants them shown. `survey` is the token of a
    question that waits for its answer, `referral` the code of the link for friends; '' for none."""

    credit_codes: Mapping[UUID, str] = field(default_factory=dict)
    survey: str = ""
    referral: str = ""


def of(ctx: Context, program: ProgramView, members: Sequence[MemberView]) -> dict[UUID, Extras]:
    """The extras of these members of the programme, by member; everybody is there."""
    codes = card_credit.codes(ctx, program, [credit for member in members for credit in member.credits])
    surveys = card_nps.tokens(ctx, program, members)
    referrals = card_referral.codes(ctx, program, members)
    return {
        member.id: Extras(
            {credit.id: codes[credit.id] for credit in member.credits if credit.id in codes},
            surveys.get(member.id, ""),
            referrals.get(member.id, ""),
        )
        for member in members
    }
