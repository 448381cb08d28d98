"""The picture of a card that is not saved yet: what a form that is being filled in would make of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from app import clock
from app.db.ledger import RewardStatus
from app.db.people import MemberStatus
from app.db.programs import Theme
from app.i18n import N_, translator
from app.services import cards, programs
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.forms import draft_program
from app.services.programs import ProgramView
from app.services.views import MemberView, RewardView
from passes.artwork import stamp_svg
from passes.card import Card
from passes.colors import Color, parse, warning

_NOBODY = UUID(int=0)
_SAMPLE_CODE = "LE1MAKARTN000000"


@dataclass(frozen=True, slots=True)
class CardPreview:
    """A made-up member's card in the programme's language. `pale` says why its stamps are hard to see."""

    program: ProgramView
    card: Card
    background: Color
    ink: Color
    label: Color
    accent: Color
    brand: Color
    strip_svg: str
    pale: Refused | None


def saved(ctx: Context, actor: Actor, state: str = "nearly") -> CardPreview:
    """The card as it is saved."""
    return _preview(ctx, programs.get(ctx, actor.program_id), state)


def draft(ctx: Context, actor: Actor, form: Mapping[str, str], state: str = "nearly") -> CardPreview:
    """The card as the form would make it. A field that is wrong shows what is saved."""
    program = programs.get(ctx, actor.program_id)
    right = {name: value for name, value in draft_program(form).items() if value != ""}
    emptied = {name: "" for name in ("welcome_text", "terms_text", "contact_text", "website") if form.get(name) == ""}
    program = replace(program, **(right | emptied))  # type: ignore[arg-type]
    if form.get("remove_logo") == "on":
        program = replace(program, logo_id=None)
    return _preview(ctx, program, state)


def _preview(ctx: Context, program: ProgramView, state: str) -> CardPreview:
    text = translator(program.language)
    background, ink, label = cards.colors(program)
    accent = cards.accent(program)
    card = cards.card(ctx, program, _sample(program, state), f"{ctx.settings.base_url}/c/…")
    return CardPreview(
        program,
        card,
        background,
        ink,
        label,
        accent,
        parse(program.brand_color),
        stamp_svg(
            card.stamps.have,
            card.stamps.needed,
            background,
            accent,
            label=text.gettext(N_("%(have)s of %(needed)s"), have=card.stamps.have, needed=card.stamps.needed),
            rtl=text.direction == "rtl",
        ),
        _pale(program),
    )


def _pale(program: ProgramView) -> Refused | None:
    """Text is black or white, whichever reads better; only the stamps on a white card can be too pale."""
    found = warning(parse(program.brand_color), cards.WHITE) if program.theme is Theme.LIGHT else None
    if found is None:
        return None
    return Refused(
        "pale-stamps",
        N_(
            "This colour is pale on a white card: the stamps have a contrast of %(ratio)s, and 4.5 or more is easy to "
            "see. Choose a darker colour, or a card in the brand colour."
        ),
        found.params,
    )


def _sample(program: ProgramView, state: str) -> MemberView:
    stamps = {"new": program.join_stamps, "nearly": program.stamps_needed - 1}.get(state, 0)
    reward = RewardView(_NOBODY, program.reward_name, RewardStatus.ISSUED, clock.now(), None)
    return MemberView(
        id=_NOBODY,
        program_id=program.id,
        card_id=_NOBODY,
        card_code=_SAMPLE_CODE,
        card_version=1,
        card_changed_at=clock.now(),
        status=MemberStatus.ACTIVE,
        phone="",
        name=translator(program.language).gettext(N_("Your customer")),
        email="",
        birth_date=None,
        city="",
        language=program.language,
        via="",
        joined_at=clock.now(),
        stamps=stamps,
        stamps_needed=program.stamps_needed,
        rewards=(reward,) if state == "reward" else (),
        news="",
    )
