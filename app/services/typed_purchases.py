"""Purchases whose amounts people type at the till: the largest that a cashier may, and what is counted of them.

What software sends comes from a receipt, and is neither held to the largest one nor counted.
"""

from collections.abc import Mapping
from uuid import UUID

from babel.numbers import get_currency_precision
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.credit import ProgramRules
from app.db.lookup import Compiled
from app.db.programs import Program
from app.i18n import N_, Money
from app.loyalty.guarding import typed_weight
from app.services import bonus_rules, guard
from app.services.audit import record
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader

_USUAL = 1000
# Where the unit is small, so many times more: what a thousand euros are worth, to the nearest power of ten.
_TIMES = {
    **dict.fromkeys(("CNY", "CZK", "DKK", "MXN", "NOK", "SEK", "ZAR"), 10),
    **dict.fromkeys(("AFN", "DZD", "EGP", "INR", "ISK", "JPY", "KES", "KGS", "PHP", "RSD", "RUB", "THB"), 100),
    **dict.fromkeys(("TRY", "UAH"), 100),
    **dict.fromkeys(("AMD", "ARS", "CLP", "HUF", "IQD", "KRW", "KZT", "NGN", "PKR"), 1000),
    **dict.fromkeys(("COP", "IDR", "MNT", "UZS", "VND"), 10_000),
    **dict.fromkeys(("LBP",), 100_000),
    **dict.fromkeys(("IRR",), 1_000_000),
}
_OWN = Compiled(select(ProgramRules.largest_typed_minor).where(ProgramRules.program_id == bindparam("program_id")))


def usual_largest(currency: str) -> int:
    """What a cashier may type where nothing was set, in minor units: 1,000 of a currency such as the euro."""
    return int(_USUAL * _TIMES.get(currency, 1) * 10 ** get_currency_precision(currency))


def largest(session: Session, program: Program) -> int:
    """The largest purchase that a cashier may type, in minor units."""
    rows = _OWN.within(session, program_id=program.id)
    return int(rows[0][0]) if rows and rows[0][0] is not None else usual_largest(program.currency)


def check(session: Session, program: Program, actor: Actor, amount_minor: int | None) -> None:
    """Raise Refused (amount-too-large) for a sum that only who manages may type."""
    if amount_minor is None or actor.staff_id is None or actor.may_manage:
        return
    most = largest(session, program)
    if amount_minor > most:
        raise Refused(
            "amount-too-large",
            N_("More than %(most)s cannot be typed here. Check the amount. If it is right, ask a manager to type it."),
            {"most": Money(most, program.currency)},
            field="amount",
        )


def watch(
    ctx: Context, session: Session, program: Program, actor: Actor, member_id: UUID, amount_minor: int | None
) -> None:
    """Count a typed purchase that earns bonus. Raises Refused (guard-blocked) when the guard stops it.

    A large one counts for several: see app.loyalty.guarding.typed_weight. A manager's counts once, whatever its sum.
    """
    if amount_minor is None or actor.staff_id is None:
        return
    if bonus_rules.within(session, program.id).gives(amount_minor):
        weight = 1 if actor.may_manage else typed_weight(amount_minor, largest(session, program))
        guard.watch(ctx, session, actor, guard.typed_bonus(member_id, weight))


def as_typed(ctx: Context, program_id: UUID) -> dict[str, str]:
    """The largest purchase as the field of its form."""
    with ctx.sessions() as session:
        program = session.get_one(Program, program_id)
        return {"largest_typed": bonus_rules.money_typed(largest(session, program), program.currency)}


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
