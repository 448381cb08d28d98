"""Bonus as pages write it: as money, or as so many of the programme's named points."""

from app.services import bonus_rules
from app.services.programs import ProgramView
from app.web.access import ctx
from app.web.language import text


def amount(program: ProgramView, much: int) -> str:
    """So much bonus of this programme, in the reader's language."""
    return bonus_rules.shown_naming(ctx(), program).amount(text(), much)


def kind(program: ProgramView) -> str:
    """What the programme's bonus is: 'money', 'points', or 'off'."""
    return bonus_rules.shown_naming(ctx(), program).kind.value
