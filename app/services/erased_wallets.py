"""The last traces of people who were erased: on which phones their cards were. They are kept for as long as the phones
need to fetch the voided card, and no longer."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from app import clock
from app.db.delivery import AppleRegistration, Channel, GoogleObject, OutboxRow
from app.db.keeping import Erasure
from app.db.ledger import Reward
from app.db.people import MemberCard
from app.db.rewards import CouponRegistration, GoogleCoupon
from app.services import apple_devices, coupon_wallets
from app.services.context import Context

# A phone that was off for a week shows the old card until its owner removes it; it opens nothing.
PHONES_KEPT = timedelta(days=7)
BATCH = 100


def forget(ctx: Context) -> bool:
    """Forget the phones of up to BATCH cards. True when there are no more."""
    now = clock.now()
    on_phones = select(AppleRegistration.card_id).where(AppleRegistration.card_id == MemberCard.id)
    at_google = select(GoogleObject.card_id).where(
        GoogleObject.card_id == MemberCard.id, _is_told(GoogleObject.card_id)
    )
    own = Reward.member_id == MemberCard.member_id
    coupons_on_phones = select(CouponRegistration.reward_id).join(Reward).where(own)
    coupons_at_google = select(GoogleCoupon.reward_id).join(Reward).where(own, _is_told(GoogleCoupon.reward_id))
    query = (
        select(Erasure.program_id, MemberCard.id, MemberCard.member_id)
        .join(MemberCard, MemberCard.member_id == Erasure.member_id)
        .where(
            Erasure.at < now - PHONES_KEPT,
            or_(on_phones.exists(), at_google.exists(), coupons_on_phones.exists(), coupons_at_google.exists()),
        )
        .order_by(Erasure.id)
        .limit(BATCH)
    )
    with ctx.sessions() as session:
        found = session.execute(query).all()
    for program_id, card_id, member_id in found:
        with ctx.sessions.begin() as session:
            coupons = GoogleCoupon.reward_id.in_(select(Reward.id).where(Reward.member_id == member_id))
            for gone in (
                delete(GoogleObject).where(GoogleObject.card_id == card_id, _is_told(GoogleObject.card_id)),
                delete(GoogleCoupon).where(coupons, _is_told(GoogleCoupon.reward_id)),
            ):
                session.execute(gone.execution_options(synchronize_session=False))
            phones = coupon_wallets.forget_phones(session, member_id)
            apple_devices.forget_card(session, program_id, card_id)
            apple_devices.forget_empty(session, phones)
    return len(found) < BATCH


def _is_told(subject_id: InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
    """Whether Google has heard of the card or coupon all that it is to hear."""
    return ~select(OutboxRow.id).where(OutboxRow.channel == Channel.GOOGLE, OutboxRow.subject_id == subject_id).exists()
