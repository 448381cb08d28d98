"""How a programme looks on the pages that its customers see."""

from dataclasses import dataclass

from markupsafe import Markup

from app.i18n import RIGHT_TO_LEFT
from app.services import cards
from app.services.programs import ProgramView
from app.services.views import StampsView
from app.web.language import text
from passes.artwork import stamp_svg
from passes.colors import parse, readable_on


@dataclass(frozen=True, slots=True)
class BrandColors:
    """CSS colours. The card's own, and the brand's with what can be read on it, for buttons."""

    card: str
    ink: str
    label: str
    brand: str
    on_brand: str


def brand_colors(program: ProgramView) -> BrandColors:
    background, foreground, label = cards.colors(program)
    brand = parse(program.brand_color)
    return BrandColors(background.hex, foreground.hex, label.hex, brand.hex, readable_on(brand).hex)


def stamps_picture(program: ProgramView, have: int) -> Markup:
    """The stamps as on the card, in the direction of the page's language."""
    return _picture(program, min(have, program.stamps_needed), program.stamps_needed)


def counted_picture(program: ProgramView, shown: StampsView) -> Markup:
    """The stamps of a further stamp card, drawn alike."""
    return _picture(program, min(shown.have, shown.needed), shown.needed)


def _picture(program: ProgramView, have: int, needed: int) -> Markup:
    background, ink = cards.colors(program)[0], cards.accent(program)
    label = text().gettext("%(have)s of %(needed)s stamps", have=have, needed=needed)
    rtl = text().language in RIGHT_TO_LEFT
    return Markup(  # noqa: S704 - made of numbers and colours; stamp_svg quotes the label
        stamp_svg(have, needed, background, ink, ink, label=label, rtl=rtl)
    )
