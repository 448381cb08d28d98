"""What a card shows of its member's credit: how much, from when to when, and, if the programme wants it, the code."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select

from app.db.credit import Credit
from app.i18n import N_, Money, Translator
from app.loyalty.credit import day_of, last_day
from app.services import credit_codes, program_rules
from app.services.context import Context
from app.services.errors import Refused
from app.services.programs import ProgramView
from app.services.recent import Recent
from app.services.views import CreditView
from passes.card import CardField

_NOW = N_("Credit")
_LATER = N_("Credit to come")
_EACH = N_("Your credit")
LABELS = (_NOW, _LATER, _EACH)
_UNTIL = N_("%(amount)s, until %(last)s")
_SOME_UNTIL = N_("%(amount)s, part of it until %(last)s")
_FROM_TO = N_("%(amount)s, from %(first)s to %(last)s")
_WITH_CODE = N_("%(credit)s, code %(code)s")

# Saving the rules makes another version of the programme.
_code_on_card: Recent[bool] = Recent(256)


def codes(ctx: Context, program: ProgramView, credits: Sequence[CreditView]) -> dict[UUID, str]:
    """Credit → its code, for those that have one and of a programme that wants codes on the card; else nothing."""
    if not credits:
        return {}
    key = (program.id, program.version)
    if not _code_on_card.get(key, lambda: program_rules.get(ctx, program.id).code_on_card):
        return {}
    found: dict[UUID, str] = {}
    with ctx.sessions() as session:
        ids = [credit.id for credit in credits]
        for row in session.scalars(select(Credit).where(Credit.id.in_(ids), Credit.code_hash.is_not(None))):
            try:
                found[row.id] = credit_codes.code_again(ctx, row)
            except Refused:  # its pepper is gone: the card shows the rest all the same
                continue
    return found


def front(text: Translator, program: ProgramView, credits: Sequence[CreditView], at: datetime) -> list[CardField]:
    """What can be used now in one field, and what begins later in another. A card is not made again when a credit
    begins, and need not be: it says from when."""
    begun = [credit for credit in credits if credit.valid_from <= at]
    later = [credit for credit in credits if credit.valid_from > at]
    fields = []
    if begun:
        lasts = [_last(program, credit) for credit in begun]
        pattern = _UNTIL if len(set(lasts)) == 1 else _SOME_UNTIL
        value = text.gettext(pattern, amount=_sum(program, begun), last=text.short_date(min(lasts)))
        fields.append(CardField("credit", text.gettext(_NOW), value))
    if later:
        first = text.short_date(min(day_of(credit.valid_from, program.time_zone) for credit in later))
        last = text.short_date(max(_last(program, credit) for credit in later))
        value = text.gettext(_FROM_TO, amount=_sum(program, later), first=first, last=last)
        fields.append(CardField("credit_later", text.gettext(_LATER), value))
    return fields


def back(
    text: Translator, program: ProgramView, credits: Sequence[CreditView], codes: Mapping[UUID, str], at: datetime
) -> list[CardField]:
    """Each credit by itself, where the front does not say all."""
    if len(credits) < 2 and not codes:
        return []
    lines = [_line(text, program, credit, codes.get(credit.id, ""), at) for credit in credits]
    return [CardField("credits", text.gettext(_EACH), "\n".join(lines))]


def _line(text: Translator, program: ProgramView, credit: CreditView, code: str, at: datetime) -> str:
    last = text.short_date(_last(program, credit))
    money = _sum(program, [credit])
    if credit.valid_from > at:
        first = text.short_date(day_of(credit.valid_from, program.time_zone))
        line = text.gettext(_FROM_TO, amount=money, first=first, last=last)
    else:
        line = text.gettext(_UNTIL, amount=money, last=last)
    return text.gettext(_WITH_CODE, credit=line, code=text.digits(code)) if code else line


def _last(program: ProgramView, credit: CreditView) -> date:
    return last_day(credit.expires_at, program.time_zone)


def _sum(program: ProgramView, credits: Sequence[CreditView]) -> Money:
    return Money(sum(credit.balance_minor for credit in credits), program.currency)
