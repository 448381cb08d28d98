"""What a card shows of its member's bonus: how much there is, in money or in the programme's named points."""

from app.db.bonus import BonusKind
from app.i18n import Translator
from app.services import bonus_rules, bonus_words
from app.services.context import Context
from app.services.programs import ProgramView
from app.services.views import MemberView
from passes.card import CardField

# The name of points is the owner's, and stands as it is on phones in other languages.
LABELS = (bonus_words.MONEY_LABEL,)


def front(ctx: Context, text: Translator, program: ProgramView, member: MemberView) -> list[CardField]:
    """One field for the card's top right corner; none in a programme without bonus."""
    found = shown(ctx, text, program, member)
    return [CardField("bonus", *found)] if found else []


def shown(ctx: Context, text: Translator, program: ProgramView, member: MemberView) -> tuple[str, str] | None:
    """A label and the balance, as short as they can be; None in a programme without bonus."""
    naming = bonus_rules.shown_naming(ctx, program)
    return None if naming.kind is BonusKind.OFF else naming.split(text, member.bonus)
