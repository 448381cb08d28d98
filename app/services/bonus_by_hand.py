"""Bonus given or taken by hand in the office, by whoever may give credit, with a reason that the audit log keeps."""

from collections.abc import Mapping
from uuid import UUID

from app import clock
from app.db.bonus import BonusKind
from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_, translator
from app.loyalty.bonus import MOST_HELD
from app.loyalty.ledger import Kind, Unit
from app.services import bonus_earning, bonus_rules
from app.services.audit import record
from app.services.card_news import announce
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.ledger_book import occasion, write
from app.services.membership import usable
from app.services.saved_answers import Answer, fingerprint, once
from app.services.settling import plan_next_expiry, settle

GIVE, TAKE = "give", "take"
_MOST_POINTS = 999_999_999


def change(
    ctx: Context, actor: Actor, member_id: UUID, form: Mapping[str, str], *, key: str | None = None
) -> tuple[Answer, bool]:
    """Give or take bonus. `form`: what (give, take), amount (money or points), reason.

    What is given lasts as long as what purchases earn, and counts for no threshold. No more is taken than there is.
    Returns {entry_id, bonus}, and whether this repeats an earlier answer. Raises InvalidForm and Refused: not-allowed,
    no-bonus, member-not-found, member-blocked, member-left, idempotency-key-reused.
    """
    if not actor.may_grant:
        raise Refused("not-allowed", N_("Only who may give credit can change bonus. Ask a manager."), status=403)
    now = clock.now()
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        rules = bonus_rules.within(session, program.id)
        if rules.kind is BonusKind.OFF:
            raise Refused("no-bonus", N_("This programme gives no bonus. Choose first what it is."), status=409)
        reader = FormReader(form)
        what = reader.choice("what", {GIVE, TAKE}, otherwise=GIVE)
        amount = _amount(reader, program, rules.kind)
        reason = reader.line("reason", 120)
        if reader.errors:
            raise InvalidForm(reader.errors)

        def act() -> Answer:
            member = usable(session, actor, Member.id == member_id)
            settle(session, member, now)
            if what == TAKE and amount > member.bonus:
                reader.wrong("amount", "too-much", N_("The customer does not have so much. Enter less."))
                raise InvalidForm(reader.errors)
            occasion_ = occasion(actor, now)
            if what == GIVE and amount > MOST_HELD - member.bonus:
                reader.wrong("amount", "too-much", N_("This is more than anybody can have. Enter less."))
                raise InvalidForm(reader.errors)
            text, naming = translator(member.language), bonus_rules.naming(program, rules)
            if what == GIVE:
                bonus_earning.give(session, program, member, occasion_, Kind.GRANT, amount)
                news = text.gettext(N_("You got %(amount)s of bonus"), amount=naming.amount(text, amount))
                announce(session, program, member, now, news=news, gift=True)
            else:
                write(session, member, occasion_, Unit.BONUS, Kind.GRANT, -amount)
                plan_next_expiry(session, member)
                announce(session, program, member, now, silent=True)
            record(session, actor, f"bonus.{'given' if what == GIVE else 'taken'}", member.id, reason=reason)
            return {"entry_id": str(occasion_.operation_id), "bonus": member.bonus}

        request = {"member_id": member_id, "what": what, "amount": amount, "reason": reason}
        return once(session, actor, key, fingerprint("bonus.by-hand", request), act)


def _amount(reader: FormReader, program: Program, kind: BonusKind) -> int:
    if kind is BonusKind.POINTS:
        return reader.number("amount", 1, _MOST_POINTS) or 0
    amount = reader.amount("amount", program.currency)
    if not amount and "amount" not in reader.errors:
        reader.wrong("amount", "required", N_("Please fill this in."))
    return amount
