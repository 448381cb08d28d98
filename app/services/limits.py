"""How often something may be tried. The counters live in Valkey and may be lost with it."""

from contextlib import suppress
from enum import Enum

from limits import RateLimitItem, parse
from redis import RedisError

from app.i18n import N_
from app.services.context import Context
from app.services.errors import Refused


class WhenDown(Enum):
    """What to do while Valkey cannot be asked."""

    REFUSE = "refuse"  # guesses at secrets: better nobody than everybody
    ALLOW = "allow"  # plain load: better to serve


SIGN_IN = parse("10 per 10 minutes")  # a name and an address together, so that strangers lock nobody out
SIGN_IN_NAME = parse("100 per 10 minutes")  # a name from anywhere
SIGN_IN_ADDRESS = parse("60 per 10 minutes")
JOIN = parse("120 per 10 minutes")  # an opening day behind the shop's one Wi-Fi address
LINK = parse("120 per minute")
LOOKUP = parse("600 per minute")
API = parse("1200 per minute")
DEVICE = parse("12000 per minute")  # a phone company has one address for all its phones
DEVICE_LOG = parse("30 per minute")
CALLBACK = parse("6000 per minute")


def forget(ctx: Context, limit: RateLimitItem, *who: str) -> None:
    """What was tried so far was all right: it does not count any more."""
    with suppress(RedisError):
        ctx.limiter.clear(limit, *who)


def spend(ctx: Context, limit: RateLimitItem, *who: str, when_down: WhenDown = WhenDown.ALLOW) -> None:
    """Count one try of `who`. Raises Refused (429) when there were too many, and (503) when nobody can count."""
    try:
        allowed = ctx.limiter.hit(limit, *who)
    except RedisError:
        if when_down is WhenDown.ALLOW:
            return
        raise down() from None
    if not allowed:
        raise Refused(
            "too-many-tries",
            N_("Too many tries. Please wait and try again. Minutes to wait: %(minutes)s."),
            {"minutes": max(1, limit.get_expiry() // 60)},
            status=429,
        )


def down() -> Refused:
    """The counters cannot be asked, and what they guard is not done without them."""
    return Refused(
        "limiter-down",
        N_("This cannot be checked safely at the moment. Please try again in a minute, or tell the owner."),
        status=503,
    )
