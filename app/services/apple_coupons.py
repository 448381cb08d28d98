"""Coupons' own passes in Apple Wallet: signed, and on which phones. The rules are those of apple_devices."""

import hmac
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from app import clock
from app.db.delivery import AppleDevice, Channel
from app.db.ledger import Reward
from app.db.rewards import CouponRegistration
from app.i18n import RIGHT_TO_LEFT
from app.services import apple_devices, cards, coupon_wallets, coupons, outbox, programs
from app.services.apple_passes import Fetched, SignedPass, signing
from app.services.context import Context
from app.services.coupons import Coupon
from app.services.pass_types import identity_of, pass_type
from app.services.programs import ProgramView
from app.services.recent import Recent
from certs.identity import SigningIdentity
from passes import coupon_drawing
from passes.apple.package import PassTemplate

_templates: Recent[PassTemplate] = Recent(64)


def coupon_pass(ctx: Context, coupon: Coupon) -> SignedPass:
    """The coupon's pass, signed now. Raises Refused (503) when the certificate does not allow it."""
    program = programs.get(ctx, coupon.program_id)
    with signing(coupon.reward.id, program.id):
        template = _template(ctx, program, coupon, identity_of(ctx, program.pass_type_identifier))
        return SignedPass(template.segments(coupons.card(ctx, program, coupon), clock.now()), coupon.changed_at)


def fetch(ctx: Context, coupon: Coupon, seen: datetime | None) -> Fetched:
    """The pass for a phone that holds it as it was at `seen`. Raises Refused (503)."""
    if seen is not None and seen >= coupon.changed_at:
        return Fetched(None, coupon.changed_at)
    return Fetched(b"".join(coupon_pass(ctx, coupon).segments), coupon.changed_at)


def _template(ctx: Context, program: ProgramView, coupon: Coupon, identity: SigningIdentity) -> PassTemplate:
    """The prepared pass that all coupons for the same places share in one language."""
    language = coupon.language

    def make() -> PassTemplate:
        strip = coupon_drawing.strip_files(
            cards.colors(program)[0], cards.accent(program), rtl=language in RIGHT_TO_LEFT
        )
        shared = coupons.look(ctx, program, language, coupon)
        return PassTemplate.prepare(shared, identity, "coupon").with_strip(strip)

    places = tuple(sorted(coupon.reward.location_ids))
    key = (ctx.settings.wallet_base_url, program.id, program.version, language, identity, places)
    return _templates.get(key, make)


def authenticated(ctx: Context, wanted_type: str, serial: str, token: str) -> Coupon | None:
    """The coupon, if the token opens it. An unknown serial takes as long as a wrong token."""
    try:
        reward_id = UUID(serial)
    except ValueError:
        reward_id = UUID(int=0)
    kept = coupons.as_kept(ctx, reward_id)
    expected = coupons.token(ctx, reward_id, kept.link_generation if kept else 1)
    known = hmac.compare_digest(expected.encode(), token.encode())
    if not known or kept is None or pass_type(ctx, kept.pass_type) != wanted_type:
        return None
    return coupons.current(ctx, kept)


def register(ctx: Context, coupon: Coupon, library_identifier: str, push_token: str) -> bool:
    """A phone holds this coupon now. True when that is new; the push token may be new either way.

    A new phone is pushed silently, because nobody knows which version of the coupon it was given.
    """
    now, reward_id = clock.now(), coupon.reward.id
    with ctx.sessions.begin() as session:
        # A change of the coupon either waits for this and sees the phone, or is waited for and is what the phone gets.
        session.execute(select(Reward.id).where(Reward.id == reward_id).with_for_update(read=True))
        kind = pass_type(ctx, coupon.pass_type)
        device_id = apple_devices.device(session, library_identifier, kind, push_token, now)
        new = session.execute(
            insert(CouponRegistration)
            .values(device_id=device_id, reward_id=reward_id, tag=0, registered_at=now)
            .on_conflict_do_nothing()
            .returning(CouponRegistration.reward_id)
        ).scalar()
        if new is None:
            return False
        coupon_wallets.mark_on_phone(session, reward_id, device_id)
        outbox.announce(session, Channel.APPLE, coupon.program_id, reward_id, now)
    _drop_oldest(ctx, reward_id)
    return True


def unregister(ctx: Context, coupon: Coupon, library_identifier: str) -> None:
    """The phone holds this coupon no more. Saying it twice is the same as once."""
    with ctx.sessions.begin() as session:
        mine = (AppleDevice.library_identifier == library_identifier) & (
            AppleDevice.pass_type == pass_type(ctx, coupon.pass_type)
        )
        devices = apple_devices.locked(session, mine)
        session.execute(
            delete(CouponRegistration).where(
                CouponRegistration.reward_id == coupon.reward.id, CouponRegistration.device_id.in_(devices)
            )
        )
        apple_devices.forget_empty(session, devices)


def _drop_oldest(ctx: Context, reward_id: UUID) -> None:
    """Keep the coupon's newest phones."""
    oldest = (
        select(CouponRegistration.device_id)
        .where(CouponRegistration.reward_id == reward_id)
        .order_by(CouponRegistration.registered_at.desc(), CouponRegistration.device_id.desc())
        .offset(apple_devices.MOST_DEVICES)
    )
    with ctx.sessions.begin() as session:
        dropped = session.scalars(oldest).all()
        if dropped:
            devices = apple_devices.locked(session, AppleDevice.id.in_(dropped))
            session.execute(
                delete(CouponRegistration)
                .where(CouponRegistration.reward_id == reward_id, CouponRegistration.device_id.in_(devices))
                .execution_options(synchronize_session=False)
            )
            apple_devices.forget_empty(session, devices)
