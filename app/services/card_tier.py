"""What a card shows of its member's tier and groups, and its colours."""

from dataclasses import replace

from app.db.tiers import TierBasis
from app.i18n import N_, Money, Translator
from app.services import group_pricing
from app.services.programs import ProgramView
from app.services.tier_views import TierStanding
from app.services.views import MemberView
from passes.card import CardField

_TIER = N_("Tier")
_NEXT = N_("Next tier")
_BENEFITS = N_("What your tier gives")
_GROUPS = N_("Your groups")
LABELS = (_TIER, _NEXT, _BENEFITS, _GROUPS)
_SPENDING = N_("%(missing)s more to %(tier)s")


def dressed(program: ProgramView, member: MemberView) -> ProgramView:
    """The programme as this member's card shows it: in the tier's colour, if that has one of its own."""
    color = member.tier.tier.color if member.tier and member.tier.tier else ""
    return replace(program, brand_color=color) if color else program


def front(text: Translator, program: ProgramView, member: MemberView) -> list[CardField]:
    """The tier, and what is missing to the next."""
    if member.tier is None:
        return []
    fields = []
    if member.tier.tier is not None:
        fields.append(CardField("tier", text.gettext(_TIER), member.tier.tier.name))
    if goal := next_goal(text, program.currency, member.tier):
        fields.append(CardField("next_tier", text.gettext(_NEXT), goal))
    return fields


def back(text: Translator, program: ProgramView, member: MemberView) -> list[CardField]:
    """What the tier gives, and the groups that are to be shown."""
    benefits = member.tier.tier.benefits if member.tier and member.tier.tier else ""
    shown = [group for group in member.groups if group.on_card]
    told = ["\n".join((group.name, *group_pricing.lines(text, program.currency, group))) for group in shown]
    fields = [
        CardField("tier_benefits", text.gettext(_BENEFITS), benefits),
        CardField("groups", text.gettext(_GROUPS), "\n\n".join(told)),
    ]
    return [field for field in fields if field.value]


def next_goal(text: Translator, currency: str, standing: TierStanding) -> str:
    """What is missing to the next tier, as a sentence; '' when there is none above."""
    if standing.next is None:
        return ""
    tier, missing = standing.next.name, standing.missing
    match standing.basis:
        case TierBasis.SPENDING:
            return text.gettext(_SPENDING, missing=Money(missing, currency), tier=tier)
        case TierBasis.VISITS:
            return text.ngettext("%(n)s more visit to %(tier)s", "%(n)s more visits to %(tier)s", missing, tier=tier)
        case TierBasis.POINTS:
            return text.ngettext("%(n)s more point to %(tier)s", "%(n)s more points to %(tier)s", missing, tier=tier)


def counted(text: Translator, currency: str, basis: TierBasis, figure: int) -> str:
    """A figure of a programme whose tiers go by this."""
    match basis:
        case TierBasis.SPENDING:
            return text.money(figure, currency)
        case TierBasis.VISITS:
            return text.ngettext("%(n)s visit", "%(n)s visits", figure)
        case TierBasis.POINTS:
            return text.ngettext("%(n)s point", "%(n)s points", figure)
