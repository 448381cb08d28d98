"""Keeping purchases: the row of each, and those that wait for their customer to join.

Everything here works inside the caller's transaction.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ARRAY, String, func, literal, select, update
from sqlalchemy.orm import Session

from app.db.ledger import Reward
from app.db.people import Member
from app.db.programs import Program
from app.db.purchases import Purchase
from app.loyalty.stamps import not_started
from app.services import earning, program_rules, stamp_rules, warranty_lines
from app.services.bought import Bought
from app.services.context import Actor, Context
from app.services.ledger_book import Occasion, occasion

# A till that sends one made-up number for every stranger must not make a rich man of who really has it.
MOST_ATTACHED = 100
_PHONE_LOCK = 5352  # any fixed number that no other advisory lock of ours has


def write(
    session: Session,
    act: Occasion,
    member: Member | None,
    *,
    operation_id: UUID | None = None,
    phone: str = "",
    at: datetime | None = None,
    lines: Sequence[dict[str, object]] = (),
) -> Purchase:
    """Add a purchase that was made at `at` (without it, at the act's moment). `operation_id` is what it earned.

    It has the act's id, so that what came of it is found also when nothing was written to the ledger.
    """
    purchase = Purchase(
        id=act.operation_id,
        program_id=act.actor.program_id,
        member_id=member.id if member else None,
        phone=phone,
        at=at or act.at,
        recorded_at=act.at,
        amount_minor=act.amount_minor,
        receipt_no=act.receipt_no,
        lines=list(lines) or None,
        location_id=act.location_id,
        staff_id=act.actor.staff_id,
        api_key_id=act.actor.api_key_id,
        operation_id=operation_id,
    )
    session.add(purchase)
    if member is not None:
        _note_visit(member, purchase)
        warranty_lines.keep(session, member, purchase)
    return purchase


def _note_visit(member: Member, purchase: Purchase) -> None:
    if member.last_visit_at is None or purchase.at >= member.last_visit_at:
        member.last_visit_at, member.last_location_id = purchase.at, purchase.location_id


def mark_undone(session: Session, operation_id: UUID, at: datetime) -> None:
    """What this act was earned with, if anything, was taken back."""
    whose = session.scalars(
        update(Purchase)
        .where(Purchase.operation_id == operation_id)
        .values(undone_at=at)
        .returning(Purchase.member_id)
        .execution_options(synchronize_session=False)
    ).all()
    for member_id in {member_id for member_id in whose if member_id is not None}:
        find_last_visit(session, member_id)


def find_last_visit(session: Session, member_id: UUID) -> None:
    """Look anew for the member's last visit, since a purchase of theirs was taken back."""
    session.flush()
    # Locked by a statement of its own: the next one then sees what whoever held the row has written.
    session.execute(select(Member.id).where(Member.id == member_id).with_for_update(of=Member, key_share=True))
    newest = (
        select(Purchase.at, Purchase.location_id)
        .where(Purchase.member_id == member_id, Purchase.undone_at.is_(None))
        .order_by(Purchase.at.desc(), Purchase.id.desc())
        .limit(1)
    )
    found = session.execute(newest).one_or_none()
    last_at, location_id = found if found is not None else (None, None)
    session.execute(
        update(Member).where(Member.id == member_id).values(last_visit_at=last_at, last_location_id=location_id)
    )


def waits_since(session: Session, program_id: UUID, at: datetime) -> datetime:
    """Purchases from before this moment do not wait at the moment `at`."""
    return at - timedelta(days=program_rules.within(session, program_id).attach_days)


def lock_phone(session: Session, program_id: UUID, phone: str) -> None:
    """Let nobody join with this number, and no purchase begin to wait under it, until this transaction is over.

    To be called before the member's row is locked: there is none yet to keep the two apart.
    """
    session.execute(select(func.pg_advisory_xact_lock(_PHONE_LOCK, func.hashtext(f"{program_id}{phone}"))))


def lock_phones(session: Session, program_id: UUID, phones: Sequence[str]) -> None:
    """`lock_phone` for many numbers, in one order, so that no two callers wait for each other."""
    numbers = func.unnest(literal(sorted(phones), ARRAY(String))).column_valued("phone")
    key = func.hashtext(func.concat(str(program_id), numbers))
    session.execute(select(func.pg_advisory_xact_lock(_PHONE_LOCK, key))).all()


def attach(ctx: Context, session: Session, program: Program, member: Member, at: datetime) -> list[Reward]:
    """Give a newcomer what was bought with their number before they joined; return the rewards issued.

    Each purchase is an act of its own, dated now, in the name of who recorded it; its stamp is told by the rules at
    the moment it was made. At most MOST_ATTACHED, the newest. The caller has locked the phone and the member, and
    tells the card.
    """
    own = (Purchase.program_id == program.id, Purchase.phone == member.phone)
    newest = select(Purchase).where(*own).order_by(Purchase.at.desc(), Purchase.id.desc()).limit(MOST_ATTACHED)
    waiting = session.scalars(newest).all()
    if not waiting:
        return []
    since = waits_since(session, program.id, at)
    issued: list[Reward] = []
    for purchase in reversed(waiting):
        if purchase.at >= since and purchase.undone_at is None and purchase.amount_minor is not None:
            issued += _attach_one(ctx, session, program, member, purchase, purchase.amount_minor, at)
    session.flush()
    session.execute(update(Purchase).where(*own).values(phone="").execution_options(synchronize_session=False))
    return issued


def _attach_one(
    ctx: Context,
    session: Session,
    program: Program,
    member: Member,
    purchase: Purchase,
    amount_minor: int,
    at: datetime,
) -> list[Reward]:
    purchase.member_id = member.id
    _note_visit(member, purchase)
    warranty_lines.keep(session, member, purchase)
    if not_started(stamp_rules.rules_of(program, program), purchase.at):
        return []
    recorder = Actor(program.id, staff_id=purchase.staff_id, api_key_id=purchase.api_key_id)
    act = occasion(
        recorder,
        at,
        amount_minor=amount_minor,
        receipt_no=purchase.receipt_no,
        location_id=purchase.location_id,
    )
    act.operation_id = purchase.id
    bought = Bought(purchase.at, amount_minor, purchase.lines or ())
    issued = earning.purchase(ctx, session, program, member, act, bought).issued
    purchase.operation_id = act.operation_id if act.begun else None
    return issued


def forget_phones(session: Session, program_id: UUID, at: datetime, most: int) -> int:
    """Make purchases that waited too long nobody's, up to `most`. Returns how many."""
    late = (
        select(Purchase.id)
        .where(
            Purchase.program_id == program_id,
            Purchase.phone != "",
            Purchase.at < waits_since(session, program_id, at),
        )
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    forgotten = session.execute(
        update(Purchase)
        .where(Purchase.id.in_(late))
        .values(phone="")
        .returning(Purchase.id)
        .execution_options(synchronize_session=False)
    )
    return len(forgotten.all())
