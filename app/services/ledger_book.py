"""Writing the ledger: the one place that adds entries and keeps the cached balances equal to their sums.

Everything here works inside the caller's transaction, on a member whose row the caller has locked.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app.db.credit import Credit, CreditStatus
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.lookup import Compiled
from app.db.people import Member, MemberCard
from app.db.programs import Program
from app.i18n import N_, translator
from app.loyalty.ledger import Entry, Kind, Lot, Unit, lapsed, lots, next_lapse
from app.loyalty.stamps import StampRules, bonus, full_cards, lasts_until
from app.services import wallets
from app.services.context import Actor

_A_SECOND = timedelta(seconds=1)
# Being blocked does not stop a credit's time.
LAPSING = (CreditStatus.OPEN, CreditStatus.BLOCKED)


_ADD = Compiled(
    insert(LedgerEntry).inline(),
    [column.key for column in LedgerEntry.__table__.columns if column.identity is None],
)


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
    member: Member | None,
    act: Occasion,
    unit: Unit,
    kind: Kind,
    amount: int,
    *,
    expires_at: datetime | None = None,
    reverses_id: UUID | None = None,
    lot_id: UUID | None = None,
    reward_id: UUID | None = None,
    credit_id: UUID | None = None,
) -> None:
    """Add one entry and move the member's cached balance with it. Only credit of a group has no member.

    A credit's own balance is the caller's to move.
    """
    first, act.begun = not act.begun, True
    _ADD.within(
        session,
        id=act.operation_id if first else uuid7(),
        program_id=act.actor.program_id,
        member_id=member.id if member else None,
        operation_id=act.operation_id,
        unit=unit,
        kind=kind,
        amount=amount,
        at=act.at,
        expires_at=expires_at,
        reverses_id=reverses_id,
        lot_id=lot_id,
        reward_id=reward_id,
        credit_id=credit_id,
        location_id=act.location_id,
        staff_id=act.actor.staff_id,
        api_key_id=act.actor.api_key_id,
        amount_minor=act.amount_minor if first else None,
        receipt_no=act.receipt_no if first else "",
    )
    if member is None:
        return
    match unit:
        case Unit.STAMP:
            member.stamps += amount
        case Unit.REWARD:
            member.rewards += amount
        case Unit.CREDIT:
            member.credit_minor += amount
    if expires_at is not None:
        member.next_expiry_at = min(member.next_expiry_at or expires_at, expires_at)


def earn_stamps(
    session: Session,
    program: Program,
    member: Member,
    act: Occasion,
    kind: Kind,
    count: int,
    *,
    bought_at: datetime | None = None,
) -> list[Reward]:
    """Give stamps, twice as many while a campaign doubles those of purchases; turn full cards into rewards, and return
    the rewards issued. `bought_at` is when the purchase was made, if not now."""
    rules = rules_of(program)
    until = lasts_until(act.at, rules.valid_days, rules.time_zone)
    write(session, member, act, Unit.STAMP, kind, count, expires_at=until)
    more = bonus(count, bought_at or act.at, member.double_until) if kind is Kind.EARN else 0
    if more:
        write(session, member, act, Unit.STAMP, Kind.BONUS, more, expires_at=until)
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
    """Close what has lapsed by `at`: stamps whose time is over, rewards and credit past their date. True if any was."""
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
    credits_over = session.scalars(
        select(Credit)
        .where(Credit.member_id == member.id, Credit.status.in_(LAPSING), Credit.expires_at <= at)
        .order_by(Credit.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for credit in credits_over:
        lapse_credit(session, member, act, credit)
    plan_next_expiry(session, member)
    return bool(stamps_over or rewards_over or credits_over)


def lapse_credit(session: Session, member: Member | None, act: Occasion, credit: Credit) -> None:
    """Close a credit: what is left of it lapses."""
    if credit.balance_minor:
        write(session, member, act, Unit.CREDIT, Kind.EXPIRY, -credit.balance_minor, credit_id=credit.id)
    credit.balance_minor, credit.status, credit.closed_at = 0, CreditStatus.LAPSED, act.at


def plan_next_expiry(session: Session, member: Member) -> None:
    """Work out anew when the member's next stamp, reward or credit lapses."""
    moments = [next_lapse(stamp_lots(session, member.id))]
    moments += session.scalars(
        select(Reward.expires_at).where(Reward.member_id == member.id, Reward.status == RewardStatus.ISSUED)
    )
    moments += session.scalars(
        select(Credit.expires_at).where(Credit.member_id == member.id, Credit.status.in_(LAPSING))
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
    news: str = "",
    gift: bool = False,
) -> None:
    """Make the card's next version, with the news that its lock screen shows (unless `silent`), and tell its wallets.

    `news` in the member's language, instead of how many stamps there are now; `gift`: it is worth one of the few
    notifications that Google shows in a day.

    `changed_at` moves by at least a second, because Last-Modified counts in whole seconds. The database counts both:
    whoever waited for the member's lock read the card's row before the other till's change.
    """
    card = member.card
    card.version = MemberCard.version + 1
    card.changed_at = func.greatest(at.replace(microsecond=0), MemberCard.changed_at + _A_SECOND)
    last_but_one = not news and member.stamps == program.stamps_needed - 1
    milestone = not silent and (gift or bool(rewards) or last_but_one)
    if rewards or not news:
        news = stamps_news(program, member.language, member.stamps, rewards[-1].name if rewards else "")
    if not silent:
        card.news = news  # before the wallets' rows are asked for, which writes the card: once is enough
    wallets.changed(session, program.id, {card.id: at}, news=not silent, milestone=milestone)


def stamps_news(program: Program, language: str, have: int, reward: str = "") -> str:
    """What a lock screen shows of a card with so many stamps, or of the reward that it just gave."""
    text = translator(language)
    if reward:
        return text.gettext(N_("Your reward is here: %(reward)s"), reward=reward)
    return text.gettext(N_("You have %(have)s of %(needed)s stamps"), have=have, needed=program.stamps_needed)
