"""Old traces that are forgotten by rule: lines of receipts, messages' numbers and texts, clicks, and the audit log."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, null, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.campaigns import CampaignRecipient, LinkClick
from app.db.keeping import RetentionRules, Warranty
from app.db.ledger import AuditEntry
from app.db.messages import SmsEvent, SmsMessage
from app.db.programs import Program
from app.db.purchases import Purchase
from app.services.context import Context
from app.services.retention_rules import Rules
from app.services.warranty_lines import today_of

BATCH = 500
_CLOCKS = timedelta(days=1)  # by which the clocks of two machines differ at most
_BEGINNING = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
_HAS_LINES = func.jsonb_typeof(Purchase.lines) == "array"  # none may be NULL, or JSON's null
# Forgets up to BATCH rows from before a moment; how many it found.
Step = Callable[[Session, Program, datetime], int]


def forget(ctx: Context, program_id: UUID, rules: Rules, now: datetime, until: float) -> bool:
    """Forget what is older than the rules allow. True when all is, False when the time (time.monotonic) is up."""
    for days, step in (
        (rules.receipt_days, _receipts),
        (rules.receipt_days, _receipts_taken_back),
        (rules.receipt_days, _receipts_with_warranty),
        (rules.message_days, _messages),
        (rules.click_days, _clicks),
        (rules.audit_days, _audit),
    ):
        if days is not None and not _all(ctx, program_id, step, now - timedelta(days=days), until):
            return False
    return True


def _all(ctx: Context, program_id: UUID, step: Step, before: datetime, until: float) -> bool:
    while time.monotonic() < until:
        with ctx.sessions.begin() as session:
            found = step(session, session.get_one(Program, program_id), before)
        if found < BATCH:
            return True
    return False


def counts(session: Session, program: Program, rules: Rules, now: datetime) -> dict[str, int]:
    """How many rows of each kind the rules would forget now: rule's name → number. Without those that are kept."""

    def number(days: int | None, query: Callable[[datetime], ColumnElement[int]]) -> int:
        return 0 if days is None else session.scalar(select(query(now - timedelta(days=days)))) or 0

    def count(table: type, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return select(func.count()).select_from(table).where(*conditions).scalar_subquery()

    own_click = LinkClick.recipient_number.in_(
        select(CampaignRecipient.number).where(CampaignRecipient.program_id == program.id)
    )
    return {
        "receipt_days": number(
            rules.receipt_days,
            lambda before: count(
                Purchase,
                Purchase.program_id == program.id,
                Purchase.member_id.is_not(None),
                Purchase.at < before,
                _HAS_LINES,
                ~_under_warranty(program),
            ),
        ),
        "message_days": number(
            rules.message_days,
            lambda before: count(
                SmsMessage,
                SmsMessage.program_id == program.id,
                SmsMessage.id < _first_id(before + _CLOCKS),
                SmsMessage.created_at < before,
                SmsMessage.phone.startswith("+"),
            ),
        ),
        "click_days": number(rules.click_days, lambda before: count(LinkClick, LinkClick.at < before, own_click)),
        "audit_days": number(
            rules.audit_days,
            lambda before: count(AuditEntry, AuditEntry.program_id == program.id, AuditEntry.at < before),
        ),
    }


def _under_warranty(program: Program) -> ColumnElement[bool]:
    holds = (Warranty.purchase_id == Purchase.id, Warranty.ends_on >= today_of(program))
    return select(Warranty.id).where(*holds).exists()


def _receipts(session: Session, program: Program, before: datetime) -> int:
    """Lines of members' receipts, from where the last time ended. The sums stay."""
    since = _mark(session, program.id, RetentionRules.receipts_to)
    rows = session.execute(
        select(Purchase.id, Purchase.at)
        .where(
            Purchase.program_id == program.id,
            Purchase.at >= since,
            Purchase.at < before,
            Purchase.member_id.is_not(None),
            Purchase.undone_at.is_(None),
            _HAS_LINES,
            ~_under_warranty(program),
        )
        .order_by(Purchase.at)
        .limit(BATCH)
    ).all()
    _drop_lines(session, Purchase.id.in_([row.id for row in rows]))
    _set_mark(session, program.id, "receipts_to", rows[-1].at if len(rows) == BATCH else before)
    return len(rows)


def _receipts_taken_back(session: Session, program: Program, before: datetime) -> int:
    old = (Purchase.program_id == program.id, Purchase.at < before, _HAS_LINES)
    query = select(Purchase.id).where(*old, Purchase.member_id.is_not(None), Purchase.undone_at.is_not(None))
    ids = session.scalars(query.limit(BATCH)).all()
    _drop_lines(session, Purchase.id.in_(ids))
    return len(ids)


def _receipts_with_warranty(session: Session, program: Program, before: datetime) -> int:
    """Those that were left because a warranty held, which has ended since."""
    ended = select(Warranty.purchase_id).where(Warranty.program_id == program.id, Warranty.ends_on < today_of(program))
    old = (Purchase.at < before, _HAS_LINES, ~_under_warranty(program))
    ids = session.scalars(select(Purchase.id).where(Purchase.id.in_(ended), *old).limit(BATCH)).all()
    _drop_lines(session, Purchase.id.in_(ids))
    return len(ids)


def _drop_lines(session: Session, *which: ColumnElement[bool]) -> None:
    # In one order, as whoever erases a member does.
    ids = session.scalars(select(Purchase.id).where(*which, _HAS_LINES).order_by(Purchase.id).with_for_update()).all()
    session.execute(
        update(Purchase).where(Purchase.id.in_(ids)).values(lines=null()).execution_options(synchronize_session=False)
    )


def _messages(session: Session, program: Program, before: datetime) -> int:
    """Numbers and texts of messages, from where the last time ended. Their times, costs and outcomes stay."""
    since = _mark(session, program.id, RetentionRules.messages_to)
    rows = session.execute(
        select(SmsMessage.id, SmsMessage.created_at)
        .where(
            SmsMessage.program_id == program.id,
            SmsMessage.id >= _first_id(since - _CLOCKS),  # ids are in the index
            SmsMessage.id < _first_id(before + _CLOCKS),
            SmsMessage.created_at < before,
            SmsMessage.phone.startswith("+"),
        )
        .order_by(SmsMessage.id)
        .limit(BATCH)
        .with_for_update()
    ).all()
    ids = [row.id for row in rows]
    session.execute(text(_FORGET_MESSAGES), {"ids": ids})
    session.execute(delete(SmsEvent).where(SmsEvent.message_id.in_(ids)).execution_options(synchronize_session=False))
    _set_mark(session, program.id, "messages_to", rows[-1].created_at if len(rows) == BATCH else before)
    return len(rows)


_FORGET_MESSAGES = """UPDATE sms_messages
    SET phone = '!' || right(replace(CAST(id AS text), '-', ''), 15), text = '', template = '', params = '{}',
        flagged = false, ask_at = NULL
    WHERE id = ANY(:ids)"""


def _clicks(session: Session, program: Program, before: datetime) -> int:
    own = select(CampaignRecipient.number).where(
        CampaignRecipient.program_id == program.id, CampaignRecipient.number == LinkClick.recipient_number
    )
    old = select(LinkClick.id).where(LinkClick.at < before, own.exists()).limit(BATCH).with_for_update(skip_locked=True)
    return _deleted(session, delete(LinkClick).where(LinkClick.id.in_(old)).returning(LinkClick.id))


def _audit(session: Session, program: Program, before: datetime) -> int:
    own = (AuditEntry.program_id == program.id, AuditEntry.at < before)
    old = select(AuditEntry.id).where(*own).order_by(AuditEntry.at).limit(BATCH)
    return _deleted(session, delete(AuditEntry).where(AuditEntry.id.in_(old)).returning(AuditEntry.id))


def _deleted(session: Session, statement: object) -> int:
    return len(session.execute(statement, execution_options={"synchronize_session": False}).all())  # type: ignore[call-overload] # with RETURNING


def _first_id(moment: datetime) -> UUID:
    """The first id that a row of this moment or later can have: ids begin with their millisecond (UUID version 7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def _mark(session: Session, program_id: UUID, column: object) -> datetime:
    return session.scalar(select(column).where(RetentionRules.program_id == program_id)) or _BEGINNING  # type: ignore[call-overload] # one of its columns


def _set_mark(session: Session, program_id: UUID, column: str, moment: datetime) -> None:
    row = insert(RetentionRules).values({"program_id": program_id, column: moment})
    newest = func.greatest(getattr(RetentionRules, column), row.excluded[column])
    session.execute(row.on_conflict_do_update(index_elements=["program_id"], set_={column: newest}))
