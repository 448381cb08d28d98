"""Where changed cards are installed, and having those wallets told."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, literal_column, select, union_all, update
from sqlalchemy.orm import Session

from app.db.delivery import AppleDevice, AppleRegistration, Channel, GoogleObject
from app.db.lookup import Compiled
from app.services import outbox

_CARDS = bindparam("card_ids", type_=ARRAY(Uuid))
# Phones are locked in one order, and before any outbox row, so that no two callers wait for each other.
_PHONES = (
    select(AppleDevice.id)
    .where(AppleDevice.id.in_(select(AppleRegistration.device_id).where(AppleRegistration.card_id == any_(_CARDS))))
    .order_by(AppleDevice.id)
    .with_for_update()
    .cte("phones")
)
# Most cards are in no wallet: one statement says so.
_WALLETS = Compiled(
    union_all(
        select(literal_column("true"), _PHONES.c.id),
        select(literal_column("false"), GoogleObject.card_id).where(GoogleObject.card_id == any_(_CARDS)),
    )
)


def changed(
    session: Session,
    program_id: UUID,
    due: Mapping[UUID, datetime],
    *,
    news: bool = False,
    milestone: bool = False,
    silent: Collection[UUID] = (),
) -> None:
    """These cards have new versions, of which wallets are told from the moments `due` on.

    With `news` iPhones are woken at once, else when it suits them. Google notifies three times a day at most, so only
    a `milestone` does: a reward, the last stamp before one, or a campaign's message. Cards of `silent` have neither.
    """
    rows = _WALLETS.within(session, card_ids=list(due))
    devices = [found for is_phone, found in rows if is_phone]
    google = [found for is_phone, found in rows if not is_phone]
    _phones(session, program_id, due, devices, set(due) - set(silent) if news else set())
    milestones = set(due) - set(silent) if milestone else set()
    _announce(session, Channel.GOOGLE, program_id, {card_id: due[card_id] for card_id in google}, milestones)


def _phones(
    session: Session,
    program_id: UUID,
    due: Mapping[UUID, datetime],
    devices: Sequence[UUID],
    notify: Collection[UUID],
) -> None:
    """Mark the cards on these phones, which are locked, and have the phones pushed when they are due."""
    cards = list(due)
    if not devices:
        return
    mark_on_devices(session, cards, devices)
    held = session.scalars(
        select(AppleRegistration.card_id).where(AppleRegistration.card_id.in_(cards)).distinct()
    ).all()
    _announce(session, Channel.APPLE, program_id, {card_id: due[card_id] for card_id in held}, notify)


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


def _announce(
    session: Session, channel: Channel, program_id: UUID, due: Mapping[UUID, datetime], notify: Collection[UUID]
) -> None:
    """The cards are locked by the caller, so that the two kinds of rows need no common order."""
    loud = {card_id: at for card_id, at in due.items() if card_id in notify}
    quiet = {card_id: at for card_id, at in due.items() if card_id not in notify}
    outbox.announce_all(session, channel, program_id, loud, notify=True)
    outbox.announce_all(session, channel, program_id, quiet)
