"""Whether a reward may be used here and now, and what the cashier has to know of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.ledger import Reward, RewardStatus
from app.db.programs import Location, Program
from app.i18n import N_, Weekdays
from app.loyalty.coupons import Limits, Obstacle, obstacle, takes_off
from app.loyalty.credit import day_of
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.saved_answers import Answer


def check(session: Session, program: Program, reward: Reward, location_id: UUID | None, at: datetime) -> None:
    """Raises Refused: reward-used, reward-expired, reward-withdrawn, reward-not-yet, reward-not-here,
    reward-not-today."""
    if (closed := _closed(reward.status)) is not None:
        raise closed
    match obstacle(limits_of(reward), at, location_id, program.time_zone):
        case None:
            return
        case Obstacle.OVER:
            raise _expired()
        case Obstacle.NOT_YET:
            first = day_of(reward.valid_from or at, program.time_zone)
            raise Refused(
                "reward-not-yet", N_("This reward can be used from %(first)s on."), {"first": first}, status=409
            )
        case Obstacle.OTHER_PLACE:
            raise Refused(
                "reward-not-here",
                N_("This reward can be used here only: %(places)s."),
                {"places": ", ".join(_names(session, reward))},
                status=409,
            )
        case Obstacle.OTHER_DAY:
            raise Refused(
                "reward-not-today",
                N_("This reward can be used on these days only: %(days)s."),
                {"days": Weekdays(tuple(reward.weekdays))},
                status=409,
            )


def why_closed(ctx: Context, actor: Actor, reward_id: UUID) -> Refused | None:
    """Why a reward cannot be used any more, anywhere; None for one that is open."""
    with ctx.sessions() as session:
        reward = session.get_one(Reward, reward_id)
        return _closed(reward.status) if reward.program_id == actor.program_id else None


def _closed(status: RewardStatus) -> Refused | None:
    match status:
        case RewardStatus.REDEEMED:
            return Refused("reward-used", N_("This reward has been used already."), status=409)
        case RewardStatus.EXPIRED:
            return _expired()
        case RewardStatus.WITHDRAWN:
            return Refused("reward-withdrawn", N_("This reward was taken back."), status=409)
        case RewardStatus.ISSUED:
            return None


def _expired() -> Refused:
    return Refused("reward-expired", N_("This reward is no longer valid: its last day has passed."), status=409)


def used(reward: Reward, bill_minor: int | None) -> Answer:
    """What the till is told of a reward that was used: {redeemed, redeemed_name, value, value_amount, off_minor}.

    `off_minor` is what comes off the bill, None for what is not a sum, or without a bill to take a share of.
    """
    return {
        "redeemed": str(reward.id),
        "redeemed_name": reward.name,
        "value": reward.value.value,
        "value_amount": reward.value_amount,
        "off_minor": None if bill_minor is None else takes_off(reward.value, reward.value_amount, bill_minor),
    }


def limits_of(reward: Reward) -> Limits:
    return Limits(reward.valid_from, reward.expires_at, reward.location_ids, reward.weekdays)


def _names(session: Session, reward: Reward) -> list[str]:
    ids = [UUID(location_id) for location_id in reward.location_ids]
    return list(session.scalars(select(Location.name).where(Location.id.in_(ids)).order_by(Location.name)))
