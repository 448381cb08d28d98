"""Which phones have cards in Google Wallet: what Google says when a card is saved or removed."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from uuid_utils.compat import uuid7

from app import clock
from app.db.delivery import GoogleObject, InstallEvent, Wallet
from app.db.people import Member, MemberCard
from app.services.context import Context
from passes.google.callbacks import Callback, verify


def verified(ctx: Context, body: bytes) -> Callback:
    """The event in a callback's body. Raises CallbackError for what Google did not sign for us, KeysUnavailable."""
    now = clock.now()
    settings = ctx.settings
    keys = ctx.google_keys(now)
    return verify(body, keys, settings.google_issuer_id, now, settings.google_callback_sender)


def heard(ctx: Context, callback: Callback) -> bool:
    """Google says that a phone saved or removed a card. False for one that was heard before, or is not ours."""
    card_id = _card_of(callback.object_id)
    added = callback.event == "save"
    with ctx.sessions.begin() as session:
        program_id = session.execute(
            select(Member.program_id)
            .join(MemberCard, MemberCard.member_id == Member.id)
            .where(MemberCard.id == card_id)
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


def _card_of(object_id: str) -> UUID | None:
    _, _, suffix = object_id.partition(".card-")
    try:
        return UUID(hex=suffix)
    except ValueError:
        return None
