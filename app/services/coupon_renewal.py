"""Renewing all installed coupons of a programme after the owner changed its look: a batch at a time, and silent."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app import clock
from app.db.delivery import AppleDevice, Channel
from app.db.ledger import Reward
from app.db.people import Member
from app.db.rewards import CouponRegistration, GoogleCoupon
from app.services import coupon_wallets, outbox
from app.services.context import Context

BATCH = 100  # members


def renew(ctx: Context, program_id: UUID, after: str, pace: int) -> str | None:
    """Give the coupons of the next BATCH members new versions, `pace` a second; return how far we got, or None."""
    now = clock.now()
    on_phone = select(CouponRegistration.reward_id).where(CouponRegistration.reward_id == Reward.id)
    in_google = select(GoogleCoupon.reward_id).where(GoogleCoupon.reward_id == Reward.id)
    installed = or_(on_phone.exists(), in_google.exists())
    query = select(Reward.member_id).where(Reward.program_id == program_id, installed).distinct()
    if after:
        query = query.where(Reward.member_id > UUID(after))
    with ctx.sessions.begin() as session:
        members = session.scalars(query.order_by(Reward.member_id).limit(BATCH)).all()
        # As whoever uses or closes a reward does: the members first, in the order of all who lock many.
        session.execute(
            select(Member.id)
            .where(Member.id.in_(members))
            .order_by(Member.id)
            .with_for_update(of=Member, key_share=True)
        ).all()
        rewards = session.scalars(
            select(Reward).where(Reward.member_id.in_(members), installed).order_by(Reward.id)
        ).all()
        for reward in rewards:
            reward.pass_version += 1
            reward.pass_changed_at = coupon_wallets.next_second(reward.pass_changed_at, now)
        session.flush()
        due = {reward.id: now + timedelta(seconds=place / pace) for place, reward in enumerate(rewards)}
        _lock_phones(session, list(due))
        on_phones = coupon_wallets.mark_on_phones(session, list(due))
        google = session.scalars(select(GoogleCoupon.reward_id).where(GoogleCoupon.reward_id.in_(due))).all()
        outbox.announce_all(session, Channel.APPLE, program_id, {key: due[key] for key in on_phones})
        outbox.announce_all(session, Channel.GOOGLE, program_id, {key: due[key] for key in google})
    return str(members[-1]) if len(members) == BATCH else None


def _lock_phones(session: Session, reward_ids: list[UUID]) -> None:
    held = select(CouponRegistration.device_id).where(CouponRegistration.reward_id.in_(reward_ids))
    session.execute(
        select(AppleDevice.id).where(AppleDevice.id.in_(held)).order_by(AppleDevice.id).with_for_update()
    ).all()
