"""Links that open or renew a card. What they carry can only be made by this installation."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from app.db.people import MemberCard
from app.services.context import Context

UNTIL = "until"  # the message's parameter with the link's last second
_SIGNED = 12  # bytes of the signature


def fresh(ctx: Context, card: MemberCard, params: Mapping[str, object]) -> str:
    """The address behind which a card's link can be made anew, until the second in `params`, and once."""
    return f"{ctx.settings.base_url}/fresh/{_token(ctx, card.id, card.link_generation, int(str(params[UNTIL])))}"


def card_of(token: str) -> UUID:
    """Whose card the token says it is for; a card that nobody has for what is no token."""
    return UUID(bytes=_bytes(token)[:16])


def opens(ctx: Context, card: MemberCard, token: str, now: datetime) -> bool:
    """Whether this token may make the card's link anew: not when it is too old, or was made anew since."""
    until = int.from_bytes(_bytes(token)[16:20])
    own = _token(ctx, card.id, card.link_generation, until)
    return hmac.compare_digest(own.encode(), token.encode()) and now < datetime.fromtimestamp(until, UTC)


def _token(ctx: Context, card_id: UUID, generation: int, until: int) -> str:
    signature = bytes.fromhex(ctx.keyed_hash("fresh-link", f"{card_id}:{generation}:{until}"))
    return urlsafe_b64encode(card_id.bytes + until.to_bytes(4) + signature[:_SIGNED]).rstrip(b"=").decode()


def _bytes(token: str) -> bytes:
    try:
        raw = urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4))
    except (NotBase64, ValueError):
        raw = b""
    return raw if len(raw) == 20 + _SIGNED else bytes(20 + _SIGNED)
