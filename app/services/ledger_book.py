"""Writing the ledger: the one place that adds entries and keeps the cached balances equal to their sums.

Everything here works inside the caller's transaction, on a member whose row the caller has locked.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.people import Member, MemberCard
from app.db.programs import Program
from app.i18n import N_, translator
from app.loyalty.ledger import Entry, Kind, Lot, Unit, lapsed, lots, next_lapse
from app.loyalty.stamps import StampRules, full_cards, lasts_until
from app.services import wallets
from app.services.context import Actor

_A_SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Occasion:
    """What the entries of one act have in common. The first entry written carries the act's id, as `operation_id`."""

    actor: Actor
    at: datetime
    operation_id: UUID
    amount_minor: int | None = None
    receipt_no: str = ""
    location_id: UUID | None = None
    begun: bool = False


def rules_of(program: Program) -> StampRules:
    return StampRules(
        needed=program.stamps_needed,
        time_zone=program.time_zone,
        smallest_purchase_minor=program.smallest_purchase_minor,
        valid_days=program.stamp_valid_days,
        join_stamps=program.join_stamps,
        reward_valid_days=program.reward_valid_days,
        starts_on=program.starts_on,
    )


def occasion(
    actor: Actor,
    at: datetime,
    *,
    amount_minor: int | None = None,
    receipt_no: str = "",
    location_id: UUID | None = None,
) -> Occasion:
    """A new act of `actor` at the moment `at`."""
    return Occasion(actor, at, uuid7(), amount_minor, receipt_no, location_id or actor.location_id)


def write(
    session: Session,
    member: Member,
    act: Occasion,
    unit: Unit,
    kind: Kind,
    amount: int,
    *,
    expires_at: datetime | None = None,
    reverses_id: UUID | None = None,
    lot_id: UUID | None = None,
    reward_id: UUID | None = None,
) -> LedgerEntry:
    """Add one entry and move the cached balance with it."""
    first, act.begun = not act.begun, True
    entry = LedgerEntry(
        id=act.operation_id if first else uuid7(),
        program_id=member.program_id,
        member_id=member.id,
        operation_id=act.operation_id,
        unit=unit,
        kind=kind,
        amount=amount,
        at=act.at,
        expires_at=expires_at,
        reverses_id=reverses_id,
        lot_id=lot_id,
        reward_id=reward_id,
        location_id=act.location_id,
        staff_id=act.actor.staff_id,
        api_key_id=act.actor.api_key_id,
        amount_minor=act.amount_minor if first else None,
        receipt_no=act.receipt_no if first else "",
    )
    session.add(entry)
    session.flush()
    if unit is Unit.STAMP:
        member.stamps += amount
    else:
        member.rewards += amount
    if expires_at is not None:
        member.next_expiry_at = min(member.next_expiry_at or expires_at, expires_at)
    return entry


def earn_stamps(
    session: Session, program: Program, member: Member, act: Occasion, kind: Kind, count: int
) -> list[Reward]:
    """Give stamps, turn full cards into rewards, and return the rewards issued."""
    rules = rules_of(program)
    write(
        session,
        member,
        act,
        Unit.STAMP,
        kind,
        count,
        expires_at=lasts_until(act.at, rules.valid_days, rules.time_zone),
    )
    return fill_cards(session, program, member, act)


def fill_cards(session: Session, program: Program, member: Member, act: Occasion) -> list[Reward]:
    """Turn full cards into rewards, and return the rewards issued."""
    return [
        _issue_reward(session, program, member, act) for _ in range(full_cards(member.stamps, program.stamps_needed))
    ]


def _issue_reward(session: Session, program: Program, member: Member, act: Occasion) -> Reward:
    write(session, member, act, Unit.STAMP, Kind.CONVERT, -program.stamps_needed)
    reward = Reward(
        id=uuid7(),
        program_id=program.id,
        member_id=member.id,
        name=program.reward_name,
        status=RewardStatus.ISSUED,
        issued_at=act.at,
        expires_at=lasts_until(act.at, program.reward_valid_days, program.time_zone),
    )
    session.add(reward)
    session.flush()
    write(session, member, act, Unit.REWARD, Kind.CONVERT, 1, expires_at=reward.expires_at, reward_id=reward.id)
    return reward


def settle(session: Session, member: Member, at: datetime) -> bool:
    """Close what has lapsed by `at`: stamps whose time is over, rewards past their date. True if anything was."""
    if member.next_expiry_at is None or member.next_expiry_at > at:
        return False
    act = occasion(Actor(member.program_id), at)
    stamps_over = lapsed(stamp_lots(session, member.id), at)
    for lot in stamps_over:
        write(session, member, act, Unit.STAMP, Kind.EXPIRY, -lot.left, lot_id=lot.entry_id)
    rewards_over = session.scalars(
        select(Reward).where(
            Reward.member_id == member.id, Reward.status == RewardStatus.ISSUED, Reward.expires_at <= at
        )
    ).all()
    for reward in rewards_over:
        write(session, member, act, Unit.REWARD, Kind.EXPIRY, -1, reward_id=reward.id)
        reward.status, reward.closed_at = RewardStatus.EXPIRED, at
    plan_next_expiry(session, member)
    return bool(stamps_over or rewards_over)


def plan_next_expiry(session: Session, member: Member) -> None:
    """Work out anew when the member's next stamp or reward lapses."""
    moments = [next_lapse(stamp_lots(session, member.id))]
    moments += session.scalars(
        select(Reward.expires_at).where(Reward.member_id == member.id, Reward.status == RewardStatus.ISSUED)
    )
    member.next_expiry_at = min((moment for moment in moments if moment is not None), default=None)


def stamp_lots(session: Session, member_id: UUID) -> list[Lot]:
    """What is left of each of the member's stamp earns."""
    rows = session.scalars(
        select(LedgerEntry)
        .where(LedgerEntry.member_id == member_id, LedgerEntry.unit == Unit.STAMP)
        .order_by(LedgerEntry.number)
    )
    return lots(Entry(row.id, row.amount, row.expires_at, row.reverses_id, row.lot_id) for row in rows)


def announce(
    session: Session,
    program: Program,
    member: Member,
    at: datetime,
    rewards: list[Reward] | None = None,
    *,
    silent: bool = False,
) -> None:
    """Make the card's next version, with the news that its lock screen shows (unless `silent`), and tell its wallets.

    `changed_at` moves by at least a second, because Last-Modified counts in whole seconds. The database counts both:
    whoever waited for the member's lock read the card's row before the other till's change.
    """
    card = member.card
    card.version = MemberCard.version + 1
    card.changed_at = func.greatest(at.replace(microsecond=0), MemberCard.changed_at + _A_SECOND)
    milestone = not silent and (bool(rewards) or member.stamps == program.stamps_needed - 1)
    wallets.changed(session, program.id, {card.id: at}, news=not silent, milestone=milestone)
    if silent:
        return
    text = translator(member.language)
    if rewards:
        card.news = text.gettext(N_("Your reward is here: %(reward)s"), reward=rewards[-1].name)
    else:
        card.news = text.gettext(
            N_("You have %(have)s of %(needed)s stamps"), have=member.stamps, needed=program.stamps_needed
        )
