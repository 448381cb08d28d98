"""Where changed cards are installed, and having those wallets told."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.db.delivery import AppleDevice, AppleRegistration, Channel, GoogleObject
from app.services import outbox


def changed(
    session: Session, program_id: UUID, due: Mapping[UUID, datetime], *, news: bool = False, milestone: bool = False
) -> None:
    """These cards have new versions, of which wallets are told from the moments `due` on.

    With `news` iPhones are woken at once, else when it suits them. Google notifies three times a day at most, so only
    a `milestone` does: a reward, or the last stamp before one.
    """
    _phones(session, program_id, due, notify=news)
    _google(session, program_id, due, notify=milestone)


def _phones(session: Session, program_id: UUID, due: Mapping[UUID, datetime], *, notify: bool) -> None:
    """Mark the cards on their phones, and have the phones pushed when they are due.

    Phones are locked in one order, and before any outbox row, so that no two callers wait for each other.
    """
    cards = list(due)
    devices = session.scalars(
        select(AppleDevice.id)
        .where(AppleDevice.id.in_(select(AppleRegistration.device_id).where(AppleRegistration.card_id.in_(cards))))
        .order_by(AppleDevice.id)
        .with_for_update()
    ).all()
    if not devices:
        return
    mark_on_devices(session, cards, devices)
    held = session.scalars(
        select(AppleRegistration.card_id).where(AppleRegistration.card_id.in_(cards)).distinct()
    ).all()
    outbox.announce_all(session, Channel.APPLE, program_id, {card_id: due[card_id] for card_id in held}, notify=notify)


def mark_on_devices(session: Session, card_ids: Sequence[UUID], locked: Sequence[UUID]) -> None:
    """Raise the tags of these phones, whose rows the caller has locked, and of these cards on them."""
    session.execute(
        update(AppleDevice)
        .where(AppleDevice.id.in_(locked))
        .values(tag=AppleDevice.tag + 1)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(AppleRegistration)
        .where(
            AppleRegistration.card_id.in_(card_ids),
            AppleRegistration.device_id == AppleDevice.id,
            AppleDevice.id.in_(locked),
        )
        .values(tag=AppleDevice.tag)
        .execution_options(synchronize_session=False)
    )


def _google(session: Session, program_id: UUID, due: Mapping[UUID, datetime], *, notify: bool) -> None:
    """Tell Google of those cards that it has, when they are due."""
    known = session.scalars(select(GoogleObject.card_id).where(GoogleObject.card_id.in_(list(due)))).all()
    outbox.announce_all(
        session, Channel.GOOGLE, program_id, {card_id: due[card_id] for card_id in known}, notify=notify
    )
