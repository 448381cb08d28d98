"""Phones that hold Apple Wallet cards: registering, asking what changed, and being forgotten.

The rules are Apple's "Adding a web service to update passes". A device's tag grows with every change of any of its
cards, under the device's row lock: two changes that commit in either order both come after what the phone has seen.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, and_, any_, bindparam, delete, select, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.delivery import AppleDevice, AppleRegistration, Channel, InstallEvent, Wallet
from app.db.lookup import Lookup
from app.db.people import Member, MemberCard, MemberStatus
from app.db.rewards import CouponRegistration
from app.services import card_state, members, outbox
from app.services.card_state import CardState
from app.services.context import Actor, Context
from app.services.pass_types import pass_type
from app.services.wallets import mark_on_devices

MOST_DEVICES = 50  # a card; register storms with ever new device ids happen


_ASKING = and_(
    AppleDevice.library_identifier == bindparam("library_identifier"), AppleDevice.pass_type == bindparam("pass_type")
)
CARDS_ON_PHONE = Lookup(
    union_all(
        select(AppleRegistration.card_id, AppleRegistration.tag, AppleDevice.tag)
        .join(AppleDevice, AppleDevice.id == AppleRegistration.device_id)
        .where(_ASKING),
        select(CouponRegistration.reward_id, CouponRegistration.tag, AppleDevice.tag)
        .join(AppleDevice, AppleDevice.id == CouponRegistration.device_id)
        .where(_ASKING),
    )
)


_CARDS = bindparam("card_ids", type_=ARRAY(Uuid))
PHONES_OF_CARDS = Lookup(  # and of coupons, by the rewards' ids
    union_all(
        select(AppleRegistration.card_id, AppleDevice.id, AppleDevice.push_token, AppleDevice.pass_type)
        .join(AppleDevice, AppleDevice.id == AppleRegistration.device_id)
        .where(AppleRegistration.card_id == any_(_CARDS)),
        select(CouponRegistration.reward_id, AppleDevice.id, AppleDevice.push_token, AppleDevice.pass_type)
        .join(AppleDevice, AppleDevice.id == CouponRegistration.device_id)
        .where(CouponRegistration.reward_id == any_(_CARDS)),
    )
)


@dataclass(frozen=True, slots=True)
class Changed:
    """The answer to 'what changed since': serial numbers, and the tag to ask with the next time."""

    serials: list[str]
    tag: str


def authenticated(ctx: Context, wanted_type: str, serial: str, token: str) -> CardState | None:
    """The card, if the token opens it. An unknown serial takes as long as a wrong token.

    Stamps and rewards that lapsed meanwhile are closed first, so that the phone gets the card without them.
    """
    try:
        card_id = UUID(serial)
    except ValueError:
        card_id = UUID(int=0)
    state = card_state.find(ctx, card_id)
    expected = ctx.derived_token("apple-pass", card_id, state.link_generation if state else 1)
    known = hmac.compare_digest(expected.encode(), token.encode())
    if not known or state is None or pass_type(ctx, state.pass_type) != wanted_type:
        return None
    if state.status is MemberStatus.ERASED and not PHONES_OF_CARDS.all(ctx.engine, card_ids=[card_id]):
        return None  # its phones have had time to fetch the voided card
    if state.next_expiry_at is not None and state.next_expiry_at <= clock.now():
        members.by_id(ctx, Actor(state.program_id), state.member_id)
        return card_state.find(ctx, card_id)
    return state


def register(ctx: Context, card: CardState, library_identifier: str, push_token: str) -> bool:
    """A phone holds this card now. True when that is new; the push token may be new either way.

    A new phone is pushed silently, because nobody knows which version of the card it was given.
    """
    now = clock.now()
    with ctx.sessions.begin() as session:
        # A change of the card either waits for this and sees the phone, or is waited for and is what the phone gets.
        _share_cards(session, [card.card_id])
        device_id = device(session, library_identifier, pass_type(ctx, card.pass_type), push_token, now)
        new = session.execute(
            insert(AppleRegistration)
            .values(device_id=device_id, card_id=card.card_id, tag=0, registered_at=now)
            .on_conflict_do_nothing()
            .returning(AppleRegistration.card_id)
        ).scalar()
        if new is None:
            return False
        mark_on_devices(session, [card.card_id], [device_id])
        session.add(_event(card.program_id, card.card_id, added=True))
        outbox.announce(session, Channel.APPLE, card.program_id, card.card_id, now)
    _drop_oldest(ctx, card.card_id)
    return True


def device(session: Session, library_identifier: str, pass_type: str, push_token: str, now: datetime) -> UUID:
    """The phone with this push token, known from now on; its row is locked."""
    return session.execute(
        insert(AppleDevice)
        .values(
            id=uuid7(),
            library_identifier=library_identifier,
            pass_type=pass_type,
            push_token=push_token,
            tag=0,
            token_at=now,
        )
        .on_conflict_do_update(
            index_elements=["library_identifier", "pass_type"], set_={"push_token": push_token, "token_at": now}
        )
        .returning(AppleDevice.id)
    ).scalar_one()


def unregister(ctx: Context, card: CardState, library_identifier: str) -> None:
    """The phone holds this card no more. Saying it twice is the same as once."""
    with ctx.sessions.begin() as session:
        _share_cards(session, [card.card_id])
        devices = locked(
            session,
            and_(
                AppleDevice.library_identifier == library_identifier,
                AppleDevice.pass_type == pass_type(ctx, card.pass_type),
            ),
        )
        gone = session.execute(
            delete(AppleRegistration)
            .where(AppleRegistration.card_id == card.card_id, AppleRegistration.device_id.in_(devices))
            .returning(AppleRegistration.device_id)
        ).scalar()
        if gone is not None:
            session.add(_event(card.program_id, card.card_id, added=False))
            forget_empty(session, devices)


def changed_since(ctx: Context, library_identifier: str, wanted_type: str, tag: str) -> Changed | None:
    """What the device has that changed after `tag`: cards, coupons. All for a tag that we never gave. None: nothing."""
    rows = CARDS_ON_PHONE.all(ctx.engine, library_identifier=library_identifier, pass_type=wanted_type)
    if not rows:
        return None
    newest = rows[0][2]
    since = int(tag) if tag.isascii() and tag.isdigit() and len(tag) < 19 and int(tag) <= newest else -1
    serials = [str(card_id) for card_id, changed, _ in rows if changed > since]
    return Changed(serials, str(newest)) if serials else None


def _drop_oldest(ctx: Context, card_id: UUID) -> None:
    """Keep the card's newest MOST_DEVICES phones."""
    oldest = (
        select(AppleRegistration.device_id)
        .where(AppleRegistration.card_id == card_id)
        .order_by(AppleRegistration.registered_at.desc(), AppleRegistration.device_id.desc())
        .offset(MOST_DEVICES)
    )
    with ctx.sessions.begin() as session:
        # Looked for before they are locked: nearly always there is none.
        dropped = session.scalars(oldest).all()
        if dropped:
            devices = locked(session, AppleDevice.id.in_(dropped))
            session.execute(
                delete(AppleRegistration)
                .where(AppleRegistration.card_id == card_id, AppleRegistration.device_id.in_(devices))
                .execution_options(synchronize_session=False)
            )
            forget_empty(session, devices)


def forget_card(session: Session, program_id: UUID, card_id: UUID) -> None:
    """No phone holds this card any more, as far as we are concerned: none is told of its changes."""
    _share_cards(session, [card_id])
    held = select(AppleRegistration.device_id).where(AppleRegistration.card_id == card_id)
    devices = locked(session, AppleDevice.id.in_(held))
    gone = session.scalars(
        delete(AppleRegistration)
        .where(AppleRegistration.card_id == card_id, AppleRegistration.device_id.in_(devices))
        .returning(AppleRegistration.device_id)
        .execution_options(synchronize_session=False)
    ).all()
    session.add_all(_event(program_id, card_id, added=False) for _ in gone)
    forget_empty(session, devices)


def _share_cards(session: Session, card_ids: Sequence[UUID]) -> None:
    """Keep these cards as they are: whoever changes one has locked it, and wants its phones next. An event of a card
    would wait for it, too."""
    query = select(MemberCard.id).where(MemberCard.id.in_(card_ids)).order_by(MemberCard.id)
    session.execute(query.with_for_update(read=True)).all()


def locked(session: Session, which: ColumnElement[bool]) -> Sequence[UUID]:
    """Lock these phones, in the order in which everybody does, and before their registrations."""
    return session.scalars(select(AppleDevice.id).where(which).order_by(AppleDevice.id).with_for_update()).all()


def forget_empty(session: Session, device_ids: Sequence[UUID]) -> None:
    """A phone without any of our cards and coupons is none of our business."""
    card = select(AppleRegistration.device_id).where(AppleRegistration.device_id == AppleDevice.id)
    coupon = select(CouponRegistration.device_id).where(CouponRegistration.device_id == AppleDevice.id)
    session.execute(
        delete(AppleDevice)
        .where(AppleDevice.id.in_(device_ids), ~card.exists(), ~coupon.exists())
        .execution_options(synchronize_session=False)
    )


def _event(program_id: UUID, card_id: UUID, *, added: bool) -> InstallEvent:
    return InstallEvent(
        id=uuid7(), program_id=program_id, card_id=card_id, wallet=Wallet.APPLE, added=added, at=clock.now()
    )


@dataclass(frozen=True, slots=True)
class Target:
    """A phone to push for a card, or a coupon."""

    subject_id: UUID
    device_id: UUID
    push_token: str
    pass_type: str


def targets(ctx: Context, subject_ids: Sequence[UUID]) -> list[Target]:
    """The phones that hold these cards and coupons."""
    rows = PHONES_OF_CARDS.all(ctx.engine, card_ids=list(subject_ids))
    return [Target(*row) for row in rows]


def prune(ctx: Context, push_token: str, unregistered_at: datetime | None) -> None:
    """The token is dead: forget its phone, unless the token was given to us again after Apple saw it dead."""
    dead = AppleDevice.push_token == push_token
    if unregistered_at is not None:
        dead &= AppleDevice.token_at <= unregistered_at
    with ctx.sessions.begin() as session:
        held = select(AppleRegistration.card_id).join(AppleDevice, AppleDevice.id == AppleRegistration.device_id)
        _share_cards(session, session.scalars(held.where(dead)).all())
        devices = locked(session, dead)
        cards = session.scalars(
            delete(AppleRegistration)
            .where(AppleRegistration.device_id.in_(devices))
            .returning(AppleRegistration.card_id)
        ).all()
        session.execute(delete(CouponRegistration).where(CouponRegistration.device_id.in_(devices)))
        owners = session.execute(
            select(Member.program_id, MemberCard.id).join(MemberCard).where(MemberCard.id.in_(cards))
        ).all()
        program_of = {card_id: program_id for program_id, card_id in owners}
        session.add_all(_event(program_of[card_id], card_id, added=False) for card_id in cards)
        forget_empty(session, devices)
