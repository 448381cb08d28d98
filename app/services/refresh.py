"""Renewing all installed cards of a programme after the owner changed it: paced, and silent."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from app import clock
from app.db.delivery import AppleRegistration, Channel, GoogleObject
from app.db.people import Member, MemberCard
from app.services import coupon_renewal, outbox, wallets
from app.services.context import Context

BATCH = 200
# Cards renewed a second: so that a chain's change of colour does not have every phone ask us at once.
PACE = 200
_COUPONS = "coupons:"  # how far we got, once the cards are done


def announce(session: Session, program_id: UUID) -> None:
    """The programme's look or rules changed: its cards are to be renewed, from the first on."""
    outbox.announce(session, Channel.REFRESH, program_id, program_id, clock.now(), payload={"after": ""})


def renew(ctx: Context, program_id: UUID, after: str) -> str | None:
    """Give the next BATCH of installed cards a new version, after them the coupons; return how far we got, or None at
    the end."""
    if not after.startswith(_COUPONS) and (reached := _renew_cards(ctx, program_id, after)) is not None:
        return reached
    after = after.removeprefix(_COUPONS) if after.startswith(_COUPONS) else ""
    reached = coupon_renewal.renew(ctx, program_id, after, PACE)
    return None if reached is None else _COUPONS + reached


def _renew_cards(ctx: Context, program_id: UUID, after: str) -> str | None:
    now = clock.now()
    installed = or_(
        select(AppleRegistration.card_id).where(AppleRegistration.card_id == MemberCard.id).exists(),
        select(GoogleObject.card_id).where(GoogleObject.card_id == MemberCard.id).exists(),
    )
    query = (
        select(MemberCard.id)
        .join(Member, Member.id == MemberCard.member_id)
        .where(Member.program_id == program_id, installed)
        .order_by(MemberCard.id)
        .limit(BATCH)
    )
    if after:
        query = query.where(MemberCard.id > UUID(after))
    with ctx.sessions.begin() as session:
        # Not against those who only refer to a card: a phone that registers has its own row locked by then.
        ids = session.scalars(query.with_for_update(of=MemberCard, key_share=True)).all()
        session.execute(
            update(MemberCard)
            .where(MemberCard.id.in_(ids))
            .values(
                version=MemberCard.version + 1,
                changed_at=func.greatest(now.replace(microsecond=0), MemberCard.changed_at + timedelta(seconds=1)),
            )
            .execution_options(synchronize_session=False)
        )
        due = {card_id: now + timedelta(seconds=place / PACE) for place, card_id in enumerate(ids)}
        wallets.changed(session, program_id, due)
    return str(ids[-1]) if len(ids) == BATCH else None
