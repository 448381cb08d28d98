"""Taking acts at the till back: who may, what stands in the way, and the entries that do it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, aliased

from app import clock
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.people import Member
from app.i18n import N_
from app.loyalty.ledger import Kind, Unit
from app.services import bonus_reversal, credit_reversal, program_rules, rewards
from app.services.bonus_reversal import Unmet
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.ledger_book import Occasion, balance_of, write
from app.services.settling import open_lots

# A cashier mends a slip at once; what is older is a manager's to undo.
UNDO_WINDOW = timedelta(minutes=15)
# What the till's undo button takes; a grant of credit is withdrawn in the office.
_TILL_ACTS = (Kind.EARN, Kind.REDEEM, Kind.JOIN)
_ACTS = (*_TILL_ACTS, Kind.GRANT)
# A reward that was given for points.
BOUGHT = and_(LedgerEntry.unit == Unit.BONUS, LedgerEntry.kind == Kind.CONVERT)


def newest_undoable(ctx: Context, actor: Actor, member_id: UUID) -> UUID | None:
    """The member's newest act that was not undone, if this actor may undo it: what the till's undo button takes."""
    undone = aliased(LedgerEntry)
    with ctx.sessions() as session:
        entry = session.scalars(
            select(LedgerEntry)
            .where(
                LedgerEntry.program_id == actor.program_id,
                LedgerEntry.member_id == member_id,
                or_(LedgerEntry.kind.in_(_TILL_ACTS), BOUGHT),
                ~select(undone.id).where(undone.reverses_id == LedgerEntry.id).exists(),
            )
            .order_by(LedgerEntry.number.desc())
            .limit(1)
        ).one_or_none()
        if entry is None:
            return None
        if entry.unit is Unit.CREDIT:
            rules = program_rules.within(session, actor.program_id)
            allowed = credit_reversal.may_undo(rules, actor, entry, clock.now())
        else:
            allowed = _may_undo(actor, entry, clock.now())
        return entry.operation_id if allowed else None


def entries_of(session: Session, actor: Actor, operation_id: UUID) -> list[LedgerEntry]:
    """Everything that one act wrote, in the order it was written. Raises Refused: entry-not-found."""
    entries = session.scalars(
        select(LedgerEntry)
        .where(LedgerEntry.operation_id == operation_id, LedgerEntry.program_id == actor.program_id)
        .order_by(LedgerEntry.number)
    ).all()
    bought = bool(entries) and entries[0].unit is Unit.BONUS and entries[0].kind is Kind.CONVERT
    if not entries or not (bought or entries[0].kind in _ACTS):
        raise Refused("entry-not-found", N_("There is nothing here that can be undone."), status=404)
    return list(entries)


def check(session: Session, actor: Actor, entries: Sequence[LedgerEntry], at: datetime) -> None:
    """Whether this actor may undo this act now.

    Runs under the member's lock, so that two tills cannot both find the act not yet undone. Raises Refused:
    already-undone, undo-too-late.
    """
    ids = [entry.id for entry in entries]
    if session.scalars(select(LedgerEntry.id).where(LedgerEntry.reverses_id.in_(ids)).limit(1)).first():
        raise Refused("already-undone", N_("This was undone already."), status=409)
    if not _may_undo(actor, entries[0], at):
        raise Refused(
            "undo-too-late",
            N_("You can undo what you did yourself in the last %(minutes)s minutes. Ask a manager to undo this."),
            {"minutes": int(UNDO_WINDOW.total_seconds() // 60)},
            status=403,
        )


def reverse(session: Session, member: Member, act: Occasion, entries: Sequence[LedgerEntry]) -> Unmet:
    """Write the reversing entries, last things first; return the bonus that could not be moved.

    Raises Refused: reward-used, stamps-used.
    """
    lapsed = set(
        session.scalars(
            select(LedgerEntry.lot_id).where(
                LedgerEntry.member_id == member.id, LedgerEntry.lot_id.is_not(None), LedgerEntry.unit == Unit.STAMP
            )
        )
    )
    if any(entry.id in lapsed for entry in entries):
        raise _stamps_used()
    unmet = Unmet()
    for entry in reversed(entries):
        if entry.unit is Unit.BONUS:
            bonus_reversal.reverse_one(session, member, act, entry, unmet)
        else:
            _reverse_one(session, member, act, entry)
    # A lot lapses once. Stamps that would come back into one that is closed cannot come back.
    if lapsed and any(lot.entry_id in lapsed for left in open_lots(session, member.id).values() for lot in left):
        raise _stamps_used()
    return unmet


def _may_undo(actor: Actor, entry: LedgerEntry, at: datetime) -> bool:
    own = actor.scope in (entry.staff_id, entry.api_key_id)
    return actor.may_manage or (own and at - entry.at <= UNDO_WINDOW)


def _reverse_one(session: Session, member: Member, act: Occasion, entry: LedgerEntry) -> None:
    reward = session.get(Reward, entry.reward_id, with_for_update=True) if entry.reward_id else None
    if reward is not None and entry.kind is not Kind.REDEEM:
        if reward.status is not RewardStatus.ISSUED:
            came = N_("A reward came of this, and it is no longer open. Undo the reward first.")
            given = N_("This reward is no longer open. It cannot be taken back.")
            raise Refused("reward-used", given if entry.kind is Kind.GRANT else came, status=409)
        rewards.close(session, member, [reward], RewardStatus.WITHDRAWN, act.at)
    if reward is not None and entry.kind is Kind.REDEEM:
        rewards.reopen(session, member, reward, act.at)
    if balance_of(session, member, entry.unit, entry.stamp_card_id) < entry.amount:
        raise _stamps_used()
    write(
        session,
        member,
        act,
        entry.unit,
        Kind.UNDO,
        -entry.amount,
        reverses_id=entry.id,
        reward_id=entry.reward_id,
        stamp_card_id=entry.stamp_card_id,
    )


def _stamps_used() -> Refused:
    return Refused(
        "stamps-used", N_("These stamps have been used or have lapsed since. They cannot be undone."), status=409
    )
