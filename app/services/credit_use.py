"""Credit of a customer who is known to be at the till, used without its code."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.db.credit import Credit, CreditStatus
from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_
from app.services import credit_taking, guard, program_rules, spending_proofs
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.forms import plain_line
from app.services.ledger_book import Occasion, occasion
from app.services.membership import usable
from app.services.saved_answers import Answer, fingerprint, once
from app.services.settling import settle
from app.services.till import place_of


class _Credit(NamedTuple):
    id: UUID
    balance_minor: int
    expires_at: datetime


def use(
    ctx: Context,
    actor: Actor,
    member_id: UUID,
    *,
    bill_minor: int,
    proof: str = "",
    card_code: str = "",
    receipt_no: str = "",
    location: UUID | str | None = None,
    key: str | None = None,
) -> tuple[Answer, bool]:
    """Take a bill off the member's credits, the first to lapse first, until the bill or the credit is used up.

    One act, undone as one. Returns {entry_id, member_id, redeemed_minor, left_minor (of all credits that can be used
    now), expires_at (of the first of these to lapse, or None), lapsed_minor (lost, where the programme lets a credit
    be used only once)}, and whether this repeats an earlier answer. Raises Refused: proof-needed, proof-not-valid,
    no-credit, amount-needed, invalid-amount, location-not-found, member-not-found, member-blocked, member-left,
    guard-blocked, idempotency-key-reused.
    """
    now = clock.now()
    request = {"member_id": member_id, "bill_minor": bill_minor, "receipt_no": receipt_no, "location": location}
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)

        def act() -> Answer:
            place = place_of(session, actor, location)
            member = usable(session, actor, Member.id == member_id)
            spending_proofs.require(ctx, actor, member, proof=proof, card_code=card_code)
            _check_bill(bill_minor)
            settle(session, member, now)
            credits = _usable_now(session, member, now)
            guard.watch(ctx, session, actor, guard.use(member.id))
            what = occasion(
                actor, now, amount_minor=bill_minor, receipt_no=plain_line(receipt_no, 60), location_id=place
            )
            return _take(session, program, member, what, credits, bill_minor)

        return once(session, actor, key, fingerprint("credit.use", request), act)


def _check_bill(bill_minor: int) -> None:
    if bill_minor == 0:
        raise Refused("amount-needed", N_("Enter the amount of the bill."), field="amount_minor")
    if not 0 < bill_minor <= LARGEST_PURCHASE_MINOR:
        raise Refused("invalid-amount", N_("This amount cannot be right."), field="amount_minor")


def _usable_now(session: Session, member: Member, at: datetime) -> Sequence[_Credit]:
    """The credits that can be used at this moment, the first to lapse first."""
    rows = session.execute(
        select(Credit.id, Credit.balance_minor, Credit.expires_at)
        .where(Credit.member_id == member.id, Credit.status == CreditStatus.OPEN, Credit.valid_from <= at)
        .where(Credit.expires_at > at)
        .order_by(Credit.expires_at, Credit.id)
    )
    if not (credits := [_Credit(*row) for row in rows]):
        raise _none_to_use()
    return credits


def _take(
    session: Session, program: Program, member: Member, act: Occasion, credits: Sequence[_Credit], bill_minor: int
) -> Answer:
    """Take the bill off one credit after the other. The member's lock keeps others from them meanwhile."""
    rules = program_rules.within(session, program.id)
    used = lapsed = still_open = 0
    left: list[_Credit] = []
    for credit in credits:
        if used == bill_minor:
            left.append(credit)
            continue
        taken = credit_taking.take(session, program, credit.id, member, act, bill_minor - used, rules, tell=False)
        if taken is not None:
            used, lapsed = used + taken.used_minor, lapsed + taken.lapsed_minor
            still_open = taken.open_minor
            left += [_Credit(credit.id, taken.left_minor, credit.expires_at)] if taken.left_minor else []
    if not used:
        raise _none_to_use()
    credit_taking.tell_card(session, program, member, act.at, used, still_open)
    return {
        "entry_id": str(act.operation_id),
        "member_id": str(member.id),
        "redeemed_minor": used,
        "left_minor": sum(credit.balance_minor for credit in left),
        "lapsed_minor": lapsed,
        "expires_at": left[0].expires_at.isoformat() if left else None,
    }


def _none_to_use() -> Refused:
    return Refused("no-credit", N_("This customer has no credit that can be used now."), status=409)
