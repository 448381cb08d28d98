"""Where coupons' own passes are installed, and having those wallets told. Works in the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.db.delivery import AppleDevice, AppleRegistration, Channel
from app.db.ledger import Reward
from app.db.people import MemberCard
from app.db.rewards import CouponRegistration, GoogleCoupon
from app.services import outbox

_A_SECOND = timedelta(seconds=1)


def changed(session: Session, member_id: UUID, rewards: Sequence[Reward], at: datetime) -> None:
    """Those of the member's rewards that have passes of their own are different now: their wallets are told.

    The member is locked. Phones are woken at once: somebody may look at a coupon that was just used.
    """
    own = [reward for reward in rewards if reward.pass_version]
    if not own:
        return
    for reward in own:
        reward.pass_version += 1
        reward.pass_changed_at = next_second(reward.pass_changed_at, at)
    session.flush()  # a phone that registers now waits for the row, and gets what it is then
    ids = [reward.id for reward in own]
    lock_wallets(session, [member_id])
    on_phones = mark_on_phones(session, ids)
    in_google = session.scalars(select(GoogleCoupon.reward_id).where(GoogleCoupon.reward_id.in_(ids))).all()
    program_id = own[0].program_id
    outbox.announce_all(session, Channel.APPLE, program_id, dict.fromkeys(on_phones, at), notify=True)
    outbox.announce_all(session, Channel.GOOGLE, program_id, dict.fromkeys(in_google, at))


def member_changed(session: Session, member_id: UUID, at: datetime) -> None:
    """The member was blocked, left, or is back: so are the coupons."""
    own = select(Reward).where(Reward.member_id == member_id, Reward.pass_version > 0).order_by(Reward.id)
    changed(session, member_id, session.scalars(own).all(), at)


def forget_phones(session: Session, member_id: UUID) -> Sequence[UUID]:
    """No phone holds the member's coupons any more, as far as we are concerned. Returns those that did: some may hold
    nothing of ours any more."""
    mine = select(Reward.id).where(Reward.member_id == member_id)
    lock_wallets(session, [member_id])
    gone = delete(CouponRegistration).where(CouponRegistration.reward_id.in_(mine))
    held = gone.returning(CouponRegistration.device_id).execution_options(synchronize_session=False)
    return session.scalars(held).all()


def forget_google(session: Session, member_id: UUID) -> bool:
    """Google has none of the member's coupons any more, as far as we are concerned. True if it had any."""
    mine = select(Reward.id).where(Reward.member_id == member_id)
    gone = delete(GoogleCoupon).where(GoogleCoupon.reward_id.in_(mine)).returning(GoogleCoupon.reward_id)
    return bool(session.scalars(gone.execution_options(synchronize_session=False)).all())


def next_second(before: datetime | None, at: datetime) -> datetime:
    """When the next version came to be: no two have the same second, because Last-Modified counts in seconds."""
    second = at.replace(microsecond=0)
    return second if before is None else max(second, before + _A_SECOND)


def mark_on_phones(session: Session, reward_ids: Sequence[UUID]) -> list[UUID]:
    """Raise the tags of the phones that hold these coupons, whose rows the caller has locked, and of the coupons on
    them. Returns the coupons that are on any."""
    held = session.execute(
        select(CouponRegistration.reward_id, CouponRegistration.device_id).where(
            CouponRegistration.reward_id.in_(reward_ids)
        )
    ).all()
    if held:
        _raise_tags(session, reward_ids, {device_id for _, device_id in held})
    return sorted({reward_id for reward_id, _ in held})


def mark_on_phone(session: Session, reward_id: UUID, device_id: UUID) -> None:
    """The same for one coupon on one phone."""
    _raise_tags(session, [reward_id], {device_id})


def _raise_tags(session: Session, reward_ids: Sequence[UUID], device_ids: set[UUID]) -> None:
    session.execute(
        update(AppleDevice)
        .where(AppleDevice.id.in_(device_ids))
        .values(tag=AppleDevice.tag + 1)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(CouponRegistration)
        .where(
            CouponRegistration.reward_id.in_(reward_ids),
            CouponRegistration.device_id == AppleDevice.id,
            AppleDevice.id.in_(device_ids),
        )
        .values(tag=AppleDevice.tag)
        .execution_options(synchronize_session=False)
    )


def lock_wallets(session: Session, member_ids: Sequence[UUID]) -> None:
    """Lock the cards of these members, and then all phones with anything of theirs, in the order in which everybody
    does: whoever renews many cards has locked them, and wants their phones next.

    For one member it is done where it is needed; who changes the wallets of several at once does it first.
    """
    cards = select(MemberCard.id).where(MemberCard.member_id.in_(member_ids)).order_by(MemberCard.id)
    session.execute(cards.with_for_update(key_share=True)).all()
    with_card = (
        select(AppleRegistration.device_id)
        .join(MemberCard, MemberCard.id == AppleRegistration.card_id)
        .where(MemberCard.member_id.in_(member_ids))
    )
    with_coupon = (
        select(CouponRegistration.device_id)
        .join(Reward, Reward.id == CouponRegistration.reward_id)
        .where(Reward.member_id.in_(member_ids))
    )
    session.execute(
        select(AppleDevice.id)
        .where(AppleDevice.id.in_(with_card.union(with_coupon)))
        .order_by(AppleDevice.id)
        .with_for_update()
    ).all()
