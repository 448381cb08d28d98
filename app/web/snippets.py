"""Pieces of HTML that lead from a shop's own pages to joining.

They are plain links: our pages may not be framed by others, so that nobody can lay something over their buttons, and
they need no script, so that no page of the shop has to let ours run one. Styles stand in the tag, where they need
nothing of the page around them.
"""

from dataclasses import dataclass

from markupsafe import escape

from app.i18n import N_, RIGHT_TO_LEFT, translator
from app.services.programs import ProgramView
from app.web.brand import brand_colors

_BUTTON = "display:inline-block;padding:.75em 1.4em;border-radius:.7em;font-weight:600;text-decoration:none"
_CARD = "display:block;max-width:22em;padding:1.2em 1.4em;border-radius:1em;text-decoration:none"
_LINE = "display:block;margin-bottom:.5em"


@dataclass(frozen=True, slots=True)
class Words:
    """What the pieces say, in the language of whoever reads them."""

    language: str
    direction: str
    invitation: str
    promise: str


def words(program: ProgramView, language: str) -> Words:
    text = translator(language)
    needed, reward = program.stamps_needed, program.reward_name
    return Words(
        language,
        "rtl" if language in RIGHT_TO_LEFT else "ltr",
        text.gettext(N_("Get your card")),
        text.ngettext("%(n)s stamp gives: %(reward)s", "%(n)s stamps give: %(reward)s", needed, reward=reward),
    )


def button(program: ProgramView, link: str, language: str) -> str:
    """A link that looks like a button in the brand's colour."""
    said, colors = words(program, language), brand_colors(program)
    style = f"{_BUTTON};background:{colors.brand};color:{colors.on_brand}"
    return f"{_opened(link, said, style)}{escape(said.invitation)}</a>"


def card(program: ProgramView, link: str, language: str) -> str:
    """A link that looks like the card: the programme's name, what a full card gives, and what to press."""
    said, colors = words(program, language), brand_colors(program)
    pressed = f"{_BUTTON};background:{colors.ink};color:{colors.card}"
    return "\n".join(
        [
            _opened(link, said, f"{_CARD};background:{colors.card};color:{colors.ink}"),
            f'  <strong style="{_LINE};font-size:1.35em">{escape(program.name)}</strong>',
            f'  <span style="{_LINE}">{escape(said.promise)}</span>',
            f'  <span style="{pressed}">{escape(said.invitation)}</span>',
            "</a>",
        ]
    )


def _opened(link: str, said: Words, style: str) -> str:
    return f'<a href="{escape(link)}" lang="{said.language}" dir="{said.direction}" style="{style}">'
