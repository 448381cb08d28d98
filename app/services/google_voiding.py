"""Telling Google that the objects of a card's earlier generations are void: whoever saved them keeps nothing of it."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from app import clock
from app.db.ledger import Reward
from app.db.people import Member, MemberCard
from app.logs import log
from app.services import google_coupons, google_describing, tasks
from app.services.context import Context
from passes.google.errors import AccountError
from passes.google.outcome import OutcomeKind
from passes.google.texts import Json

KIND = "google-void"
_AGAIN = timedelta(minutes=1)


def void(ctx: Context, card_id: UUID, _until: float) -> bool:
    """Void the objects of this card and its member's coupons that are not the newest. Tried again in a minute while
    Google cannot be reached."""
    with ctx.sessions() as session:
        found = session.execute(
            select(MemberCard.link_generation, Member.program_id, Member.id)
            .join(Member, Member.id == MemberCard.member_id)
            .where(MemberCard.id == card_id)
        ).one()
        own = select(Reward.id).where(Reward.member_id == found.id, Reward.pass_version > 0).order_by(Reward.id)
        coupons = session.scalars(own).all()
    try:
        wallet = ctx.google()
    except AccountError as error:
        log().error("google.not_voided", card_id=str(card_id), reason=str(error))
        return True
    for generation in range(1, found.link_generation):
        body: Json = {
            "id": google_describing.object_id(ctx, card_id, generation),
            "classId": google_describing.class_id(ctx, found.program_id),
            "state": "INACTIVE",
            "accountName": None,
            "textModulesData": [],
            "linksModuleData": None,
            "messages": [],
        }
        outcomes = [wallet.put_object(body)]
        for reward_id in coupons:
            # Without a class, so that one that Google never had is not made.
            over = {"id": google_coupons.object_id(ctx, reward_id, generation), "state": "INACTIVE"}
            outcomes.append(wallet.put_object(over, resource="offerObject"))
        if any(done.kind is OutcomeKind.RETRY for done in outcomes):
            with ctx.sessions.begin() as session:
                tasks.start(session, found.program_id, KIND, card_id, clock.now() + _AGAIN)
            return True
    return True
