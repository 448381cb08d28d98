"""Which phones have cards in Google Wallet: what Google says when a card is saved or removed."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from uuid_utils.compat import uuid7

from app import clock
from app.db.delivery import GoogleObject, InstallEvent, Wallet
from app.db.people import Member, MemberCard, MemberStatus
from app.services import google_coupons
from app.services.context import Context
from passes.google.callbacks import Callback, verify


def verified(ctx: Context, body: bytes) -> Callback:
    """The event in a callback's body. Raises CallbackError for what Google did not sign for us, KeysUnavailable."""
    now = clock.now()
    settings = ctx.settings
    keys = ctx.google_keys(now)
    return verify(body, keys, settings.google_issuer_id, now, settings.google_callback_sender)


def heard(ctx: Context, callback: Callback) -> bool:
    """Google says that a phone saved or removed a card or coupon. False for what was heard before, or is not ours."""
    added = callback.event == "save"
    if google_coupons.MARK in callback.object_id:
        return google_coupons.heard(ctx, callback.object_id, added=added)
    card_id, generation = _card_of(callback.object_id)
    with ctx.sessions.begin() as session:
        program_id = session.execute(
            select(Member.program_id)
            .join(MemberCard, MemberCard.member_id == Member.id)
            .where(
                MemberCard.id == card_id,
                MemberCard.link_generation == generation,
                Member.status != MemberStatus.ERASED,
            )
        ).scalar()
        if card_id is None or program_id is None:
            return False
        event = insert(InstallEvent).values(
            id=uuid7(),
            program_id=program_id,
            card_id=card_id,
            wallet=Wallet.GOOGLE,
            added=added,
            at=clock.now(),
            nonce=callback.nonce,
        )
        new = event.on_conflict_do_nothing(index_elements=["nonce"]).returning(InstallEvent.id)
        if session.execute(new).scalar() is None:
            return False
        # Whatever we remember (a backup may be older than the card), a card on a phone is to be kept up to date.
        session.execute(
            insert(GoogleObject)
            .values(card_id=card_id, version=0, installs=0, notified_at=[])
            .on_conflict_do_nothing(index_elements=["card_id"])
        )
        known = session.get_one(GoogleObject, card_id, with_for_update=True)
        known.installs = max(0, known.installs + (1 if added else -1))
        return True


def _card_of(object_id: str) -> tuple[UUID | None, int]:
    """The card and its generation, as google_describing.object_id names them."""
    _, _, suffix = object_id.partition(".card-")
    card, _, generation = suffix.partition("-")
    try:
        return UUID(hex=card), int(generation or 1)
    except ValueError:
        return None, 1
