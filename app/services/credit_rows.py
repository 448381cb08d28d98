"""Credits and their ledger entries written by the hundred, where writing them one by one would take too long."""

from collections.abc import Sequence

from sqlalchemy import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app.db.base import Base
from app.db.credit import Credit
from app.db.ledger import LedgerEntry
from app.loyalty.ledger import Kind, Unit


def insert_rows(session: Session, rows: Sequence[Base]) -> None:
    """Write new rows of one table, one prepared statement for all; the session does not keep them, which is most of
    what adding them to it would cost."""
    if rows:
        values = [{name: value for name, value in vars(row).items() if not name.startswith("_")} for row in rows]
        session.execute(insert(type(rows[0])), values)


def grant_entry(credit: Credit) -> LedgerEntry:
    """The ledger's entry of a new credit: an act of its own, that can be undone by itself."""
    entry_id = uuid7()
    return LedgerEntry(
        id=entry_id,
        program_id=credit.program_id,
        member_id=credit.member_id,
        operation_id=entry_id,
        unit=Unit.CREDIT,
        kind=Kind.GRANT,
        amount=credit.amount_minor,
        at=credit.granted_at,
        expires_at=credit.expires_at,
        credit_id=credit.id,
        staff_id=credit.staff_id,
        api_key_id=credit.api_key_id,
        receipt_no="",
    )
