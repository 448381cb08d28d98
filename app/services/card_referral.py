"""What a card says of bringing friends: the member's own link, on the back."""

from collections.abc import Sequence
from uuid import UUID

from app.db.people import MemberStatus
from app.i18n import N_, Translator
from app.services import referral_links, referral_rules
from app.services.context import Context
from app.services.programs import ProgramView
from app.services.views import MemberView
from passes.card import CardField

_BRING = N_("Bring a friend")
LABELS = (_BRING,)


def codes(ctx: Context, program: ProgramView, members: Sequence[MemberView]) -> dict[UUID, str]:
    """Member → the code of the link for friends, in a programme that gives something for them."""
    own = [member.id for member in members if member.status is MemberStatus.ACTIVE]
    return referral_links.codes_of(ctx, own) if own and referral_rules.of_view(ctx, program).active else {}


def back(ctx: Context, text: Translator, program: ProgramView, member: MemberView, code: str) -> list[CardField]:
    """The link with this code, with what the owner has written to go with it; none without a code."""
    if not code:
        return []
    invitation = referral_rules.of_view(ctx, program).invitation(member.language, program.language)
    return [CardField("referral", text.gettext(_BRING), f"{invitation}\n{referral_links.url(ctx, code)}".strip())]
