"""What a serial number in Apple's web service stands for: a member's card, or a coupon with a pass of its own."""

from datetime import datetime

from app.services import apple_coupons, apple_devices, apple_passes
from app.services.apple_passes import Fetched
from app.services.card_state import CardState
from app.services.context import Context
from app.services.coupons import Coupon

Held = CardState | Coupon


def authenticated(ctx: Context, wanted_type: str, serial: str, token: str) -> Held | None:
    """What the token opens; None for a wrong token, whether or not there is such a serial number."""
    card = apple_devices.authenticated(ctx, wanted_type, serial, token)
    return card or apple_coupons.authenticated(ctx, wanted_type, serial, token)


def register(ctx: Context, held: Held, library_identifier: str, push_token: str) -> bool:
    """A phone holds this now. True when that is new."""
    if isinstance(held, Coupon):
        return apple_coupons.register(ctx, held, library_identifier, push_token)
    return apple_devices.register(ctx, held, library_identifier, push_token)


def unregister(ctx: Context, held: Held, library_identifier: str) -> None:
    """The phone holds this no more."""
    if isinstance(held, Coupon):
        apple_coupons.unregister(ctx, held, library_identifier)
    else:
        apple_devices.unregister(ctx, held, library_identifier)


def fetch(ctx: Context, held: Held, seen: datetime | None) -> Fetched:
    """The pass for a phone that holds it as it was at `seen`. Raises Refused (503): it cannot be signed."""
    if isinstance(held, Coupon):
        return apple_coupons.fetch(ctx, held, seen)
    return apple_passes.fetch(ctx, held, seen)
