"""Purchases whose amounts people type at the till: the largest that a cashier may, and what is counted of them.

What software sends comes from a receipt, and is neither held to the largest one nor counted.
"""

from collections.abc import Mapping
from uuid import UUID

from babel.numbers import get_currency_precision
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.bonus import BonusKind
from app.db.credit import ProgramRules
from app.db.lookup import Compiled
from app.db.programs import Program
from app.i18n import N_, Money
from app.services import bonus_rules, guard
from app.services.audit import record
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader

# What about a thousand euros are, to the power of ten: as a bound before anybody has set one.
_USUAL = {
    1000: "AUD AZN BAM BGN BHD CAD CHF EUR GBP GEL JOD KWD NZD OMR SGD USD",
    10_000: "AED BRL BYN CNY CZK DKK HKD ILS MAD MDL MKD MXN MYR NOK PEN PLN QAR RON SAR SEK TJS TND TWD UAH TRY ZAR",
    100_000: "AFN ALL BDT DOP DZD EGP INR ISK JPY KES KGS LKR NPR PHP PKR RSD RUB THB",
    1_000_000: "AMD ARS CLP CRC HUF IQD KRW KZT NGN XAF XOF YER",
    10_000_000: "COP IDR LAK MNT PYG TZS UGX UZS VND",
    100_000_000: "LBP",
    1_000_000_000: "IRR",
}
_OWN = Compiled(select(ProgramRules.largest_typed_minor).where(ProgramRules.program_id == bindparam("program_id")))


def usual_largest(currency: str) -> int | None:
    """What a cashier may type where nothing was set, in minor units; None where we cannot tell what is much."""
    found = next((most for most, currencies in _USUAL.items() if currency in currencies.split()), None)
    return None if found is None else int(found * 10 ** get_currency_precision(currency))


def largest(session: Session, program: Program) -> int | None:
    """The largest purchase that a cashier may type, in minor units; None: any."""
    rows = _OWN.within(session, program_id=program.id)
    return int(rows[0][0]) if rows and rows[0][0] is not None else usual_largest(program.currency)


def check(session: Session, program: Program, actor: Actor, amount_minor: int | None) -> None:
    """Raise Refused (amount-too-large) for a sum that only who manages may type."""
    if amount_minor is None or actor.staff_id is None or actor.may_manage:
        return
    most = largest(session, program)
    if most is not None and amount_minor > most:
        raise Refused(
            "amount-too-large",
            N_("More than %(most)s cannot be typed here. Check the amount. If it is right, ask a manager to type it."),
            {"most": Money(most, program.currency)},
            field="amount",
        )


def watch(
    ctx: Context, session: Session, program: Program, actor: Actor, member_id: UUID, amount_minor: int | None
) -> None:
    """Count a typed purchase that may earn bonus. Raises Refused (guard-blocked) when the guard stops it."""
    if amount_minor is None or actor.staff_id is None:
        return
    rules = bonus_rules.within(session, program.id)
    if rules.kind is not BonusKind.OFF and amount_minor >= rules.smallest_purchase_minor:
        guard.watch(ctx, session, actor, guard.typed_bonus(member_id))


def as_typed(ctx: Context, program_id: UUID) -> dict[str, str]:
    """The largest purchase as the field of its form."""
    with ctx.sessions() as session:
        program = session.get_one(Program, program_id)
        most = largest(session, program)
        return {"largest_typed": "" if most is None else bonus_rules.money_typed(most, program.currency)}


def save(ctx: Context, actor: Actor, form: Mapping[str, str]) -> None:
    """Set the largest purchase that a cashier may type: largest_typed; empty is the usual one. Raises InvalidForm."""
    reader = FormReader(form)
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        typed = reader.amount("largest_typed", program.currency, LARGEST_PURCHASE_MINOR)
        if form.get("largest_typed", "").strip() and not typed and not reader.errors:
            reader.wrong("largest_typed", "too-small", N_("Enter more than nothing, or leave this empty."))
        if reader.errors:
            raise InvalidForm(reader.errors)
        row = insert(ProgramRules).values(program_id=program.id, largest_typed_minor=typed or None)
        kept = {"largest_typed_minor": row.excluded.largest_typed_minor}
        session.execute(row.on_conflict_do_update(index_elements=["program_id"], set_=kept))
        record(session, actor, "program-rules.changed", program.id, fields=["largest_typed_minor"])
