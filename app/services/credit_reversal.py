"""Taking acts with credit back: its use is given back, its grant is withdrawn."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.credit import Credit, CreditStatus
from app.db.ledger import LedgerEntry
from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_
from app.loyalty.ledger import Kind, Unit
from app.services import credit_news, program_rules
from app.services.audit import record
from app.services.card_news import announce
from app.services.context import Actor
from app.services.errors import Refused
from app.services.ledger_book import Occasion, occasion, write
from app.services.members import fetch
from app.services.program_rules import Rules
from app.services.saved_answers import Answer
from app.services.settling import lapse_credit, plan_next_expiry, settle


def undo(session: Session, program: Program, actor: Actor, entries: Sequence[LedgerEntry], at: datetime) -> Answer:
    """Reverse what one act wrote of one credit or, where a bill took several, of all of them. Groups have no member.

    What comes back after a credit's last day lapses again at once. Returns {entry_id, undone, member_id, card_code,
    stamps, stamps_needed, rewards, issued, credit_ids, returned_minor (negative when a grant was withdrawn),
    lapsed_minor, balance_minor (of these credits)}; what is of a member is None for a group's.
    Raises Refused: already-undone, not-allowed, undo-too-late, credit-used, credit-lapsed.
    """
    first = entries[0]
    member = fetch(session, actor, Member.id == first.member_id, lock=True) if first.member_id else None
    credits = _locked(session, entries)
    _check(session, actor, entries, at)
    if member is not None:
        settle(session, member, at)
    act = occasion(actor, at)
    withdrawn = first.kind is Kind.GRANT
    lapsed = 0
    for entry in reversed(entries):
        credit = credits[entry.credit_id]
        if withdrawn:
            _check_untouched(credit, at)
        write(session, member, act, Unit.CREDIT, Kind.UNDO, -entry.amount, reverses_id=entry.id, credit_id=credit.id)
        credit.balance_minor -= entry.amount
    for credit in credits.values():
        if withdrawn:
            credit.status, credit.closed_at = CreditStatus.WITHDRAWN, at
        else:
            lapsed += _open_again(session, member, act, credit)
        record(session, actor, "credit.withdrawn" if withdrawn else "credit.given-back", credit.id)
    returned = -sum(entry.amount for entry in entries)
    if member is not None:
        plan_next_expiry(session, member)
        news = credit_news.returned(program, member, returned)
        announce(session, program, member, at, news=news, silent=withdrawn or lapsed > 0)
    return _who(program, member) | {
        "entry_id": str(act.operation_id),
        "undone": str(first.operation_id),
        "credit_ids": [str(credit_id) for credit_id in credits],
        "returned_minor": returned,
        "lapsed_minor": lapsed,
        "balance_minor": sum(credit.balance_minor for credit in credits.values()),
    }


def may_undo(rules: Rules, actor: Actor, entry: LedgerEntry, at: datetime) -> bool:
    """Whether this actor may undo this use or grant of credit now, as far as its age and the actor's right go."""
    in_time = entry.kind is Kind.GRANT or at - entry.at <= timedelta(hours=rules.undo_hours)
    return actor.may_manage and in_time


def _who(program: Program, member: Member | None) -> Answer:
    return {
        "member_id": str(member.id) if member else None,
        "card_code": member.card.code if member else None,
        "stamps": member.stamps if member else None,
        "stamps_needed": program.stamps_needed,
        "rewards": member.rewards if member else None,
        "bonus": member.bonus if member else None,
        "issued": [],
    }


def _locked(session: Session, entries: Sequence[LedgerEntry]) -> dict[UUID | None, Credit]:
    rows = session.scalars(
        select(Credit)
        .where(Credit.id.in_({entry.credit_id for entry in entries}))
        .order_by(Credit.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.id: row for row in rows}


def _check(session: Session, actor: Actor, entries: Sequence[LedgerEntry], at: datetime) -> None:
    """Runs under the credits' locks, so that two tills cannot both find the act not yet undone."""
    ids = [entry.id for entry in entries]
    if session.scalars(select(LedgerEntry.id).where(LedgerEntry.reverses_id.in_(ids)).limit(1)).first():
        raise Refused("already-undone", N_("This was undone already."), status=409)
    if not actor.may_manage:
        raise Refused("not-allowed", N_("Only a manager can undo what was done with credit. Ask one."), status=403)
    rules = program_rules.within(session, actor.program_id)
    if not may_undo(rules, actor, entries[0], at):
        raise Refused(
            "undo-too-late",
            N_("The use of credit can be undone within %(hours)s hours. That time is over."),
            {"hours": rules.undo_hours},
            status=403,
        )


def _check_untouched(credit: Credit, at: datetime) -> None:
    if credit.status is CreditStatus.LAPSED or credit.expires_at <= at:
        raise Refused("credit-lapsed", N_("This credit has lapsed already: nothing is left to withdraw."), status=409)
    if credit.balance_minor != credit.amount_minor:
        raise Refused(
            "credit-used", N_("Some of this credit was used. Undo that first, or block what is left."), status=409
        )


def _open_again(session: Session, member: Member | None, act: Occasion, credit: Credit) -> int:
    """A blocked credit stays blocked. Returns how much lapsed again, because the credit's time is over."""
    if credit.status is not CreditStatus.BLOCKED:
        credit.status, credit.closed_at = CreditStatus.OPEN, None
    if credit.expires_at > act.at:
        return 0
    lapsed = credit.balance_minor
    lapse_credit(session, member, act, credit)
    return lapsed
