"""Giving rewards: the one place that writes them. Works inside the caller's transaction, on a locked member.

A reward keeps what it was promised to be: changing or stopping its kind later changes nothing for who holds it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app.db.ledger import Reward, RewardStatus
from app.db.people import Member
from app.db.programs import Program
from app.db.rewards import RewardType
from app.loyalty.coupons import is_over, reminder, span
from app.loyalty.ledger import Kind, Unit
from app.loyalty.stamps import lasts_until
from app.services import coupon_wallets
from app.services.ledger_book import Occasion, write


def issue(session: Session, program: Program, member: Member, act: Occasion, type_: RewardType, kind: Kind) -> Reward:
    """Give a reward of this kind, and write it to the ledger. Returns the flushed row; the caller announces the card.

    What rules give should be looked up with `to_give`, which knows what was stopped.
    """
    return _given(session, member, act, kind, pinned(program, type_, act.at))


def issue_named(
    session: Session,
    program: Program,
    member: Member,
    act: Occasion,
    name: str,
    valid_days: int | None,
    kind: Kind,
) -> Reward:
    """Give something for free by its name alone, as a stamp card without a kind of reward does."""
    until = lasts_until(act.at, valid_days, program.time_zone)
    return _given(session, member, act, kind, {"name": name, "expires_at": until})


def close(session: Session, member: Member, over: Sequence[Reward], status: RewardStatus, at: datetime) -> None:
    """These rewards of the member are used, over or taken back. The caller writes the ledger."""
    for reward in over:
        reward.status, reward.closed_at = status, at
    coupon_wallets.changed(session, member.id, over, at)


def reopen(session: Session, member: Member, reward: Reward, at: datetime) -> None:
    """The use of a reward was undone."""
    reward.status, reward.closed_at = RewardStatus.ISSUED, None
    coupon_wallets.changed(session, member.id, [reward], at)


def to_give(session: Session, program: Program, type_id: UUID | None, at: datetime) -> RewardType | None:
    """The kind of reward with this id, if it is still given: neither stopped, nor past its last day."""
    type_ = session.get(RewardType, type_id) if type_id else None
    return type_ if type_ is not None and _is_given(program, type_, at) else None


def for_full_card(session: Session, program: Program, at: datetime) -> RewardType | None:
    """The kind of reward that the first stamp card gives when it is full, if the programme has chosen one."""
    type_ = session.scalars(
        select(RewardType).where(RewardType.program_id == program.id, RewardType.for_full_card)
    ).one_or_none()
    return type_ if type_ is not None and _is_given(program, type_, at) else None


def pinned(program: Program, type_: RewardType, at: datetime) -> dict[str, object]:
    """The columns of a Reward that say what one of this kind given at `at` is."""
    valid_from, expires_at = span(at, program.time_zone, type_.valid_days, type_.valid_from, type_.valid_until)
    return {
        "type_id": type_.id,
        "name": type_.name,
        "value": type_.value,
        "value_amount": type_.value_amount,
        "valid_from": valid_from,
        "expires_at": expires_at,
        "location_ids": list(type_.location_ids),
        "weekdays": list(type_.weekdays),
        "remind_at": reminder(at, expires_at, type_.remind_days, program.time_zone),
        "pass_version": 1 if type_.own_pass else 0,
        "pass_changed_at": at.replace(microsecond=0) if type_.own_pass else None,
    }


def _is_given(program: Program, type_: RewardType, at: datetime) -> bool:
    mine = type_.program_id == program.id and type_.active
    return mine and not is_over(type_.valid_until, at, program.time_zone)


def _given(session: Session, member: Member, act: Occasion, kind: Kind, promised: Mapping[str, object]) -> Reward:
    reward = Reward(
        id=uuid7(),
        program_id=member.program_id,
        member_id=member.id,
        status=RewardStatus.ISSUED,
        issued_at=act.at,
        **promised,
    )
    session.add(reward)
    session.flush()
    write(session, member, act, Unit.REWARD, kind, 1, expires_at=reward.expires_at, reward_id=reward.id)
    return reward
