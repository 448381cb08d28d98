"""Giving bonus, and what reaching a threshold gives. Works inside the caller's transaction, on a locked member."""

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from app.db.bonus import BonusKind, BonusRate, BonusThreshold
from app.db.ledger import LedgerEntry, Reward
from app.db.people import Member
from app.db.programs import Program
from app.loyalty.bonus import MOST_HELD, Earn, Rate, best_rate, crossings, earned, high_water
from app.loyalty.credit import day_of
from app.loyalty.ledger import Kind, Unit
from app.loyalty.stamps import lasts_until
from app.services import bonus_rules, rewards
from app.services.bonus_rules import Rules
from app.services.bought import Bought
from app.services.ledger_book import Occasion, write

# One huge purchase must not hand out a drawer of coupons.
MOST_REWARDS_AT_ONCE = 20


def earn(session: Session, program: Program, member: Member, act: Occasion, bought: Bought) -> list[Reward]:
    """Give the share of a purchase, and what the thresholds that it reaches give; return the rewards issued.

    The share is of `bought.amount_minor`, what was paid in money, by the rates of the day on which it was bought; it
    lasts from now on. Nothing is given while the programme has no bonus, nor what would come above MOST_HELD. The
    caller knows that it has started.
    """
    rules = bonus_rules.within(session, program.id)
    amount_minor = bought.amount_minor
    if rules.kind is BonusKind.OFF or amount_minor is None or amount_minor < max(rules.smallest_purchase_minor, 1):
        return []
    day = day_of(bought.at, program.time_zone)
    rate = best_rate(rules.rate, _rates(session, program), day, act.location_id, member.tier_id)
    amount = min(earned(amount_minor, rate, rules.per), _room(member))
    if not amount:
        return []
    before = member.bonus_earned
    _write(session, program, member, act, rules, Kind.EARN, amount)
    member.bonus_earned += amount
    return _reach(session, program, member, act, rules, before)


def give(session: Session, program: Program, member: Member, act: Occasion, kind: Kind, amount: int) -> None:
    """Give bonus that no purchase earned: it reaches no threshold. Does nothing while the programme has no bonus.

    `amount` is in minor units or points, as the programme counts; what would come above MOST_HELD is not given. The
    caller announces the card.
    """
    if kind is Kind.EARN or amount < 1:
        raise ValueError("what purchases earn is given by earn()")
    rules = bonus_rules.within(session, program.id)
    if rules.kind is not BonusKind.OFF and (given := min(amount, _room(member))):
        _write(session, program, member, act, rules, kind, given)


def _room(member: Member) -> int:
    return max(MOST_HELD - member.bonus, 0)


def _write(
    session: Session, program: Program, member: Member, act: Occasion, rules: Rules, kind: Kind, amount: int
) -> None:
    until = lasts_until(act.at, rules.valid_days, program.time_zone)
    write(session, member, act, Unit.BONUS, kind, amount, expires_at=until)


def _rates(session: Session, program: Program) -> list[Rate]:
    rows = session.scalars(select(BonusRate).where(BonusRate.program_id == program.id, BonusRate.active))
    return [
        Rate(row.rate, row.tier_id, row.location_id, tuple(row.weekdays), row.first_day, row.last_day) for row in rows
    ]


def _reach(
    session: Session, program: Program, member: Member, act: Occasion, rules: Rules, before: int
) -> list[Reward]:
    """What the thresholds between the sum before and the sum now give."""
    thresholds = session.scalars(
        select(BonusThreshold)
        .where(BonusThreshold.program_id == program.id, BonusThreshold.active)
        .order_by(BonusThreshold.threshold, BonusThreshold.id)
    ).all()
    after = member.bonus_earned
    if not any(crossings(row.threshold, before, after, every=row.every) for row in thresholds):
        return []
    mark = high_water(_earns(session, member, act))
    issued: list[Reward] = []
    for row in thresholds:
        times = crossings(row.threshold, max(before, mark), after, every=row.every)
        if extra := min(row.extra * times, _room(member)):
            _write(session, program, member, act, rules, Kind.BONUS, extra)
        type_ = rewards.to_give(session, program, row.reward_type_id, act.at)
        if type_ is not None:
            some = min(times, MOST_REWARDS_AT_ONCE - len(issued))
            issued += [rewards.issue(session, program, member, act, type_, Kind.BONUS) for _ in range(some)]
    return issued


def _earns(session: Session, member: Member, act: Occasion) -> list[Earn]:
    """What the member's purchases earned before this act, and the undoings of that."""
    undone = aliased(LedgerEntry)
    mine = (LedgerEntry.member_id == member.id, LedgerEntry.unit == Unit.BONUS)
    rows = session.execute(
        select(LedgerEntry.id, LedgerEntry.amount, LedgerEntry.reverses_id, undone.amount)
        .outerjoin(undone, undone.id == LedgerEntry.reverses_id)
        .where(*mine, LedgerEntry.operation_id != act.operation_id)
        .where((LedgerEntry.kind == Kind.EARN) | (undone.kind == Kind.EARN))
        .order_by(LedgerEntry.number)
    )
    return [
        Earn(id, amount if reversed_ is None else reversed_, reverses_id) for id, amount, reverses_id, reversed_ in rows
    ]
