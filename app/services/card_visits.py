"""What a card shows of its member's visits: how many there were, and what comes next."""

from app.i18n import N_, Translator
from app.services import visit_rules
from app.services.context import Context
from app.services.programs import ProgramView
from app.services.views import MemberView
from passes.card import CardField

_VISITS = N_("Visits")
_AND_NEXT = N_("%(visits)s (visits left to %(reward)s: %(left)s)")
LABELS = (_VISITS,)


def front(ctx: Context, text: Translator, program: ProgramView, member: MemberView) -> list[CardField]:
    """One field, for programmes that count visits."""
    value = shown(ctx, text, program, member)
    return [CardField("visits", text.gettext(_VISITS), value)] if value else []


def shown(ctx: Context, text: Translator, program: ProgramView, member: MemberView) -> str:
    """The number of visits and what is left to the next reward; empty where visits are not counted."""
    goals = visit_rules.shown(ctx, program)
    if goals is None:
        return ""
    coming = visit_rules.next_of(goals, member.visits)
    if coming is None:
        return text.number(member.visits)
    return text.gettext(_AND_NEXT, visits=member.visits, reward=coming.reward, left=coming.visits_left)
