"""What a card asks: a question that waits for its answer, on the back."""

from collections.abc import Sequence
from uuid import UUID

from app import clock
from app.db.people import MemberStatus
from app.i18n import N_, Translator
from app.loyalty.nps import is_open
from app.services import nps, nps_rules
from app.services.context import Context
from app.services.programs import ProgramView
from app.services.views import MemberView
from passes.card import CardField

_HOW = N_("How did we do?")
LABELS = (_HOW,)


def tokens(ctx: Context, program: ProgramView, members: Sequence[MemberView]) -> dict[UUID, str]:
    """Member → the token of the question that waits for an answer. One query, and none where nothing is asked."""
    asked = [member.id for member in members if member.status is MemberStatus.ACTIVE]
    if not asked or not nps_rules.of_view(ctx, program).active:
        return {}
    now = clock.now()
    return {
        member_id: token
        for member_id, (token, asked_at, answered_at) in nps.newest_of(ctx, asked).items()
        if answered_at is None and is_open(asked_at, None, now)
    }


def back(ctx: Context, text: Translator, program: ProgramView, member: MemberView, token: str) -> list[CardField]:
    """The question with its link, while there is one with this token; '' is none."""
    if not token:
        return []
    words = nps_rules.of_view(ctx, program).question(member.language, program.organization_name)
    return [CardField("survey", text.gettext(_HOW), f"{words}\n{ctx.settings.base_url}/n/{token}")]
