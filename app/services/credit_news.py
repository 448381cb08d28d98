"""What a card's lock screen says of credit, in the member's language."""

from app.db.credit import Credit
from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_, Money, translator
from app.loyalty.credit import day_of, last_day


def granted(program: Program, member: Member, credit: Credit) -> str:
    """The news of a new credit."""
    text = translator(member.language)
    money = Money(credit.amount_minor, program.currency)
    last = text.short_date(last_day(credit.expires_at, program.time_zone))
    first = day_of(credit.valid_from, program.time_zone)
    if first > day_of(credit.granted_at, program.time_zone):
        later = N_("You have %(amount)s to use from %(first)s to %(last)s")
        return text.gettext(later, amount=money, first=text.short_date(first), last=last)
    return text.gettext(N_("You have %(amount)s to use until %(last)s"), amount=money, last=last)


def used(program: Program, member: Member, used_minor: int, left_minor: int) -> str:
    """The news when a bill has taken credit, and so much of the member's is open after it."""
    text = translator(member.language)
    money = Money(used_minor, program.currency)
    if not left_minor:
        return text.gettext(N_("You used %(used)s of credit"), used=money)
    left = Money(left_minor, program.currency)
    return text.gettext(N_("You used %(used)s of credit. Left: %(left)s"), used=money, left=left)


def returned(program: Program, member: Member, amount_minor: int) -> str:
    """The news when the use of credit was undone."""
    money = Money(amount_minor, program.currency)
    return translator(member.language).gettext(N_("%(amount)s is back on your card"), amount=money)
