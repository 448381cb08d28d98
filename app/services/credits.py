"""Credit given by hand, and what managers do with credit afterwards.

A blocked credit cannot be used and no card shows it, but it is still the member's: it stays in the cached sum and in
the ledger, lapses on its day, and can be unblocked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.credit import Credit, CreditSource, CreditStatus
from app.db.ledger import LedgerEntry
from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_
from app.loyalty.credit import day_of, validity
from app.loyalty.ledger import Kind, Unit
from app.services import (
    credit_codes,
    credit_news,
    credit_reversal,
    credit_rights,
    program_rules,
    sms_sending,
    sms_texts,
)
from app.services.audit import record
from app.services.card_news import announce
from app.services.context import Actor, Context
from app.services.credit_views import credit_view
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.ledger_book import occasion, write
from app.services.members import fetch
from app.services.membership import usable
from app.services.saved_answers import Answer, fingerprint, once
from app.services.settling import lapse_credit, settle
from app.services.views import CreditView

MOST_YEARS = 10


@dataclass(frozen=True, slots=True)
class Gift:
    """A credit to be given. Both days are included, and are days of the programme's zone."""

    amount_minor: int
    first_day: date
    last_day: date
    reason: str
    sms: bool


def grant(ctx: Context, actor: Actor, member_id: UUID, form: Mapping[str, str], *, key: str) -> tuple[Answer, bool]:
    """Give a member credit: `amount` in major units, `first_day` (empty: today), `last_day`, `reason`, tick `sms`.

    The SMS is a service message: it tells people of money of their own. Returns {credit_id, entry_id, member_id,
    amount_minor, balance_minor, sms}, and whether this repeats an earlier answer. Raises InvalidForm, Refused:
    not-allowed, member-not-found, member-blocked, member-left, code-space-full, idempotency-key-reused.
    """
    credit_rights.require_giving(actor)
    now = clock.now()
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        gift = read_gift(form, program.currency, day_of(now, program.time_zone))
        asked = fingerprint("credit.grant", {"member_id": member_id, "gift": gift})

        def act() -> Answer:
            member = usable(session, actor, Member.id == member_id)
            settle(session, member, now)
            credit, operation_id = _give(session, program, member, actor, gift, now)
            if gift.sms or program_rules.within(session, program.id).code_on_card:
                credit_codes.code_for(ctx, session, credit)
            if gift.sms:
                _send_code(session, program, member, actor, credit)
            announce(session, program, member, now, news=credit_news.granted(program, member, credit), gift=True)
            record(session, actor, "credit.granted", credit.id, amount_minor=gift.amount_minor)
            return {
                "credit_id": str(credit.id),
                "entry_id": str(operation_id),
                "member_id": str(member.id),
                "amount_minor": credit.amount_minor,
                "balance_minor": member.credit_minor,
                "sms": gift.sms,
            }

        return once(session, actor, key, asked, act)


def read_gift(form: Mapping[str, str], currency: str, today: date) -> Gift:
    """Check what was typed. Raises InvalidForm with every field that is wrong."""
    reader = FormReader(form)
    amount = reader.amount("amount", currency)
    if not amount and "amount" not in reader.errors:
        reader.wrong("amount", "required", N_("Enter how much to give."))
    first = max(reader.day("first_day") or today, today)
    last = reader.day("last_day")
    if last is None and "last_day" not in reader.errors:
        reader.wrong("last_day", "required", N_("Enter the last day on which the credit can be used."))
    elif last is not None and "first_day" not in reader.errors:
        if last < first:
            reader.wrong("last_day", "day-too-early", N_("The last day must not be before the first, or before today."))
        elif last.year - today.year > MOST_YEARS:
            message = N_("Credit can be given for %(years)s years at most.")
            reader.wrong("last_day", "day-too-late", message, {"years": MOST_YEARS})
    reason = reader.line("reason", 200, optional=True)
    if reader.errors or last is None:
        raise InvalidForm(reader.errors)
    return Gift(amount, first, last, reason, form.get("sms") == "on")


def withdraw(ctx: Context, actor: Actor, credit_id: UUID, *, key: str) -> tuple[Answer, bool]:
    """Undo the grant of a credit of which nothing was used; managers only. Answers and raises as
    credit_reversal.undo() does, and credit-not-found."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)

        def act() -> Answer:
            _own(session, actor, credit_id)
            granted = session.scalars(
                select(LedgerEntry).where(LedgerEntry.credit_id == credit_id, LedgerEntry.kind == Kind.GRANT)
            ).one()
            return credit_reversal.undo(session, program, actor, [granted], now)

        return once(session, actor, key, fingerprint("credit.withdraw", {"credit_id": credit_id}), act)


def set_blocked(ctx: Context, actor: Actor, credit_id: UUID, blocked: bool) -> CreditView:
    """Block an open credit, or open a blocked one; managers only. Saying it twice is the same as saying it once.

    Raises Refused: not-allowed, credit-not-found, credit-closed (used up, lapsed or withdrawn).
    """
    credit_rights.require_blocking(actor)
    now = clock.now()
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        owner = _own(session, actor, credit_id).member_id
        member = fetch(session, actor, Member.id == owner, lock=True) if owner else None
        credit = session.get_one(Credit, credit_id, with_for_update=True, populate_existing=True)
        if member is not None:
            settle(session, member, now)
        elif credit.expires_at <= now and credit.status in (CreditStatus.OPEN, CreditStatus.BLOCKED):
            lapse_credit(session, None, occasion(Actor(program.id), now), credit)
        if credit.status not in (CreditStatus.OPEN, CreditStatus.BLOCKED):
            raise Refused("credit-closed", N_("This credit is used up, lapsed or withdrawn."), status=409)
        wanted = CreditStatus.BLOCKED if blocked else CreditStatus.OPEN
        if credit.status is not wanted:
            credit.status = wanted
            if member is not None:
                announce(session, program, member, now, silent=True)
            record(session, actor, "credit.blocked" if blocked else "credit.unblocked", credit.id)
        return credit_view(credit)


def _give(
    session: Session, program: Program, member: Member, actor: Actor, gift: Gift, at: datetime
) -> tuple[Credit, UUID]:
    valid_from, expires_at = validity(gift.first_day, gift.last_day, program.time_zone)
    credit = Credit(
        id=uuid7(),
        program_id=program.id,
        member_id=member.id,
        source=CreditSource.HAND,
        status=CreditStatus.OPEN,
        amount_minor=gift.amount_minor,
        balance_minor=gift.amount_minor,
        reason=gift.reason,
        valid_from=valid_from,
        expires_at=expires_at,
        granted_at=at,
        staff_id=actor.staff_id,
        api_key_id=actor.api_key_id,
    )
    session.add(credit)
    session.flush()
    act = occasion(actor, at)
    write(session, member, act, Unit.CREDIT, Kind.GRANT, gift.amount_minor, expires_at=expires_at, credit_id=credit.id)
    return credit, act.operation_id


def _send_code(session: Session, program: Program, member: Member, actor: Actor, credit: Credit) -> None:
    sms_sending.queue(
        session,
        program,
        member.phone,
        language=member.language,
        template=sms_texts.CREDIT,
        params={"credit_id": str(credit.id)},
        member_id=member.id,
        staff_id=actor.staff_id,
    )


def _own(session: Session, actor: Actor, credit_id: UUID) -> Credit:
    credit = session.get(Credit, credit_id)
    if credit is None or credit.program_id != actor.program_id:
        raise Refused("credit-not-found", N_("There is no such credit."), status=404)
    return credit
