"""Giving credit to a class: some hundred members a transaction, each of them once, whatever crashes between.

A giving goes through its members by their ids, and takes up after the last who got something. The UNIQUE of run and
member in the table of credits has the last word.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.credit import Credit, CreditRun, CreditSource, CreditStatus, CustomerClass, PolicyKind, RunState
from app.db.delivery import Channel
from app.db.messages import Direction, SmsMessage
from app.db.people import Member, MemberCard, MemberStatus
from app.db.programs import Program
from app.loyalty.credit import day_of, validity
from app.services import class_receivers, credit_codes, credit_news, outbox, program_rules, sms_texts, wallets
from app.services.context import Context
from app.services.credit_policies import LATE, OPEN
from app.services.credit_rows import grant_entry, insert_rows
from sms.delivery_states import State

BATCH = 200
# Cards renewed a second: thousands of phones that are woken at once would all ask us at once.
PACE = 200

_BALANCES = """UPDATE members SET credit_minor = credit_minor + given.amount_minor,
        next_expiry_at = least(next_expiry_at, :expires_at)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:amounts AS bigint[])) AS given (id, amount_minor)
    WHERE members.id = given.id"""
_CARDS = """UPDATE cards SET version = version + 1, news = given.news,
        changed_at = greatest(CAST(:second AS timestamptz), changed_at + interval '1 second')
    FROM unnest(CAST(:ids AS uuid[]), CAST(:news AS text[])) AS given (member_id, news)
    WHERE cards.member_id = given.member_id"""


def work(ctx: Context, run_id: UUID, until: float) -> bool:
    """Give until the moment (of time.monotonic) is over; True when nobody is left to get something."""
    while not _give_next(ctx, run_id):
        if time.monotonic() >= until:
            return False
    return True


def _give_next(ctx: Context, run_id: UUID) -> bool:
    """One transaction. Who stops the giving waits for it, and is sure that no other follows."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        run = session.get(CreditRun, run_id, with_for_update=True)
        if run is None or run.state not in OPEN:
            return True
        row = session.get(CustomerClass, run.class_id) if run.class_id else None
        if row is None or row.policy is PolicyKind.NONE:
            return _finish(run, RunState.STOPPED, now)
        if run.state is RunState.PLANNED and now - run.due_at > LATE:
            return _finish(run, RunState.MISSED, now)
        run.state = RunState.RUNNING
        asked = class_receivers.values(row, now, _last(session, run.id)) | {"limit": BATCH}
        found = session.execute(text(class_receivers.NEXT), asked).all()
        if not found:
            return _finish(run, RunState.DONE, now)
        amounts = {member_id: amount for member_id, amount, _ in found}
        given = _give(ctx, session, run, row, amounts, now)
        texted = {member_id for member_id, _, wanted in found if wanted}
        _text(session, run, [each for each in given if each[0].id in texted], now)
        return False


def _finish(run: CreditRun, state: RunState, at: datetime) -> bool:
    run.state, run.finished_at = state, at
    return True


def _last(session: Session, run_id: UUID) -> UUID | None:
    """The member who got something last: all before have had their turn."""
    return session.scalars(
        select(Credit.member_id).where(Credit.run_id == run_id).order_by(Credit.member_id.desc()).limit(1)
    ).first()


def _begun(session: Session, run_id: UUID) -> datetime:
    """When the first of a giving got something."""
    return session.scalars(
        select(Credit.granted_at).where(Credit.run_id == run_id).order_by(Credit.member_id).limit(1)
    ).one()


def _give(
    ctx: Context,
    session: Session,
    run: CreditRun,
    row: CustomerClass,
    amounts: Mapping[UUID, int],
    now: datetime,
) -> list[tuple[Member, Credit]]:
    """Write the credits, their ledger entries, balances and cards of those who are still active."""
    program = session.get_one(Program, run.program_id)
    today = day_of(now, program.time_zone)
    valid_from, expires_at = validity(today, today + timedelta(days=row.valid_days), program.time_zone)
    # All who change members lock them first; in one order, so that no two wait for each other.
    members = session.scalars(
        select(Member)
        .where(Member.id.in_(list(amounts)), Member.status == MemberStatus.ACTIVE)
        .order_by(Member.id)
        .with_for_update(of=Member, key_share=True)
    ).all()
    given = [
        (
            member,
            Credit(
                id=uuid7(),
                program_id=program.id,
                member_id=member.id,
                run_id=run.id,
                source=CreditSource.CLASS,
                status=CreditStatus.OPEN,
                amount_minor=amounts[member.id],
                balance_minor=amounts[member.id],
                valid_from=valid_from,
                expires_at=expires_at,
                granted_at=now,
                staff_id=run.staff_id,
            ),
        )
        for member in members
    ]
    credits = [credit for _, credit in given]
    if program_rules.within(session, program.id).code_on_card:
        credit_codes.issue_many(ctx, session, credits)
    insert_rows(session, credits)
    insert_rows(session, [grant_entry(credit) for credit in credits])
    ids, sums = [member.id for member in members], [credit.amount_minor for credit in credits]
    session.execute(text(_BALANCES), {"ids": ids, "amounts": sums, "expires_at": expires_at})
    _announce(session, program, run, given, now)
    run.members += len(given)
    run.granted_minor += sum(sums)
    return given


def _announce(
    session: Session, program: Program, run: CreditRun, given: Sequence[tuple[Member, Credit]], now: datetime
) -> None:
    """Make the cards' next versions, and have wallets told, at a pace that this server can answer."""
    cards = [member.card.id for member, _ in given]
    locked = select(MemberCard.id).where(MemberCard.id.in_(cards)).order_by(MemberCard.id)
    session.execute(locked.with_for_update(key_share=True)).all()  # in the order of all who renew many
    news = [credit_news.granted(program, member, credit) for member, credit in given]
    ids = [member.id for member, _ in given]
    session.execute(text(_CARDS), {"ids": ids, "news": news, "second": now.replace(microsecond=0)})
    begun = max(now, _begun(session, run.id) + timedelta(seconds=run.members / PACE))
    due = {card_id: begun + timedelta(seconds=place / PACE) for place, card_id in enumerate(cards)}
    wallets.changed(session, program.id, due, news=True, milestone=True)


def _text(session: Session, run: CreditRun, given: Sequence[tuple[Member, Credit]], now: datetime) -> None:
    """Have these members, who want offers, told by SMS. Their wish is asked again when it is sent."""
    messages = [
        SmsMessage(
            id=uuid7(),
            program_id=run.program_id,
            member_id=member.id,
            staff_id=credit.staff_id,
            direction=Direction.OUT,
            phone=member.phone,
            language=member.language,
            template=sms_texts.CREDIT,
            params={"credit_id": str(credit.id)},
            marketing=True,
            state=State.QUEUED,
            created_at=now,
        )
        for member, credit in given
    ]
    if messages:
        insert_rows(session, messages)
        outbox.announce_all(session, Channel.SMS, run.program_id, {message.id: now for message in messages})
