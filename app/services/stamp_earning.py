"""Giving stamps, and what a full card gives. Works inside the caller's transaction, on a locked member."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app.db.ledger import Reward
from app.db.people import Member
from app.db.programs import Program
from app.loyalty.ledger import Kind, Unit
from app.loyalty.stamps import Line, Obstacle, bonus, by_hand, by_receipt, full_cards, lasts_until
from app.services import rewards, stamp_rules
from app.services.bought import Bought, Earned
from app.services.ledger_book import Occasion, balance_of, write
from app.services.stamp_rules import CardRules


def by_purchase(
    session: Session, program: Program, member: Member, act: Occasion, bought: Bought, earned: Earned
) -> None:
    """Give the stamps of a purchase, on each card that it earns on."""
    times = stamp_rules.times(session, program, member, bought.at, act.location_id)
    for card in stamp_rules.cards_of(session, program):
        count = _count(card, bought)
        if count:
            more = bonus(count, times)
            earned.issued += _give(session, program, member, act, card, Kind.EARN, count, more)
            earned.stamps[card.id] = count + more


def why_none(program: Program, amount_minor: int, lines: Sequence[Line], bought_at: datetime) -> Obstacle | None:
    """Why a receipt gives no stamp on the first card; None when it gives one."""
    return by_receipt(stamp_rules.first_card(program).rules, amount_minor, lines, bought_at)[1]


def earn_stamps(
    session: Session,
    program: Program,
    member: Member,
    act: Occasion,
    kind: Kind,
    count: int,
    *,
    card: UUID | None = None,
) -> list[Reward]:
    """Give stamps that no purchase earned, on this further card, or on the first one when there is no such card in
    use. Returns the rewards of cards that are full by them."""
    every = stamp_rules.cards_of(session, program)
    chosen = next((one for one in every if one.id == card), every[0])
    return _give(session, program, member, act, chosen, kind, count)


def give_each(
    session: Session, program: Program, member: Member, act: Occasion, kind: Kind
) -> tuple[int, list[Reward]]:
    """Give what each card gives for joining or for a birthday (`kind`). Returns how many stamps, and the rewards."""
    given, issued = 0, []
    for card in stamp_rules.cards_of(session, program):
        count = card.rules.join_stamps if kind is Kind.JOIN else card.rules.birthday_stamps
        if count:
            issued += _give(session, program, member, act, card, kind, count)
            given += count
    return given, issued


def fill_cards(session: Session, program: Program, member: Member, act: Occasion) -> list[Reward]:
    """Turn full cards into rewards, and return the rewards issued."""
    return [
        reward
        for card in stamp_rules.cards_of(session, program)
        for reward in _fill(session, program, member, act, card)
    ]


def _count(card: CardRules, bought: Bought) -> int:
    if not bought.by_hand:
        return by_receipt(card.rules, bought.amount_minor, bought.lines, bought.at)[0]
    return by_hand(card.rules, bought.count, bought.amount_minor) if card.id == bought.card else 0


def _give(
    session: Session,
    program: Program,
    member: Member,
    act: Occasion,
    card: CardRules,
    kind: Kind,
    count: int,
    more: int = 0,
) -> list[Reward]:
    """Give `count` stamps, and as `more` what is on top of them while stamps count more than once."""
    until = lasts_until(act.at, card.rules.valid_days, program.time_zone)
    write(session, member, act, Unit.STAMP, kind, count, expires_at=until, stamp_card_id=card.id)
    if more:
        write(session, member, act, Unit.STAMP, Kind.BONUS, more, expires_at=until, stamp_card_id=card.id)
    return _fill(session, program, member, act, card)


def _fill(session: Session, program: Program, member: Member, act: Occasion, card: CardRules) -> list[Reward]:
    have = balance_of(session, member, Unit.STAMP, card.id)
    return [_reward(session, program, member, act, card) for _ in range(full_cards(have, card.rules.needed))]


def _reward(session: Session, program: Program, member: Member, act: Occasion, card: CardRules) -> Reward:
    write(session, member, act, Unit.STAMP, Kind.CONVERT, -card.rules.needed, stamp_card_id=card.id)
    if card.id is None:
        type_ = rewards.for_full_card(session, program, act.at)
    else:
        type_ = rewards.to_give(session, program, card.reward_type_id, act.at)
    if type_:
        return rewards.issue(session, program, member, act, type_, Kind.CONVERT)
    days = card.rules.reward_valid_days
    return rewards.issue_named(session, program, member, act, card.reward_name, days, Kind.CONVERT)
