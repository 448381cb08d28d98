"""Tiers as coloured badges."""

from dataclasses import dataclass

from app.services import tier_forms
from app.services.programs import ProgramView
from app.services.tier_views import TierView
from passes.colors import parse, readable_on


@dataclass(frozen=True, slots=True)
class Badge:
    """A tier's name on its colour, as CSS has it."""

    name: str
    color: str
    ink: str


def badge(program: ProgramView, tier: TierView) -> Badge:
    color = tier_forms.shown_color(tier, program.brand_color)
    return Badge(tier.name, color, readable_on(parse(color)).hex)
