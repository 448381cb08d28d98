"""Pictures that wallets fetch from us. Each address names what is drawn, so that a new picture has a new address.

Google keeps copies of pictures by address. The address is signed: nobody can have us draw what no card shows.
"""

import hmac
import re
from uuid import UUID

from app.i18n import N_, RIGHT_TO_LEFT
from app.services import card_stamps, cards, programs
from app.services.context import Context
from app.services.errors import Refused
from app.services.programs import ProgramView
from app.services.recent import Recent
from app.services.views import MemberView
from passes import coupon_drawing
from passes.colors import Color, parse
from passes.google.pictures import hero, logo

_STAMPS = re.compile(
    r"(?P<have>\d{1,2})-(?P<needed>\d{1,2})(?P<below>(?:_\d{1,2}-\d{1,2}){0,2})-(?P<background>[0-9a-f]{6})-(?P<ink>[0-9a-f]{6})-(?P<way>ltr|rtl)"
)
_COUPON = re.compile(r"coupon-(?P<background>[0-9a-f]{6})-(?P<ink>[0-9a-f]{6})-(?P<way>ltr|rtl)")
_LOGO = re.compile(r"(?P<picture>[0-9a-f]{32}|none)-(?P<background>[0-9a-f]{6})-(?P<ink>[0-9a-f]{6})")

# Drawing one takes longer than any other request, and their addresses are public.
_drawn: Recent[bytes] = Recent(512, heaviest=16 * 2**20, weight=len)


def stamps_path(ctx: Context, program: ProgramView, member: MemberView) -> str:
    """The address of the picture of this member's stamps, from the base URL on."""
    counts = "_".join(f"{have}-{needed}" for have, needed in card_stamps.drawn(program, member))
    way = "rtl" if member.language in RIGHT_TO_LEFT else "ltr"
    return f"/google/stamps/{_signed(ctx, f'{counts}-{_colors(program)}-{way}')}.png"


def stamps_picture(ctx: Context, name: str) -> bytes:
    """The picture of an address that we gave. Raises Refused for any other."""
    found = _read(ctx, _STAMPS, name)
    background, ink = parse(found["background"]), parse(found["ink"])
    have, needed = int(found["have"]), int(found["needed"])
    below = [(int(one), int(of)) for one, of in (card.split("-") for card in found["below"].split("_")[1:])]
    return _drawn.get(name, lambda: hero(have, needed, background, ink, rtl=found["way"] == "rtl", below=below))


def logo_path(ctx: Context, program: ProgramView) -> str:
    """The address of the programme's logo as Google shows it, from the base URL on."""
    picture = program.logo_id.hex if program.logo_id else "none"
    return f"/google/logo/{_signed(ctx, f'{picture}-{_colors(program)}')}.png"


def logo_picture(ctx: Context, name: str) -> bytes:
    """The picture of an address that we gave. Raises Refused for any other."""
    found = _read(ctx, _LOGO, name)
    background, ink = parse(found["background"]), parse(found["ink"])

    def draw() -> bytes:
        uploaded = None if found["picture"] == "none" else programs.picture(ctx, UUID(found["picture"]))
        return logo(uploaded, background, ink)

    return _drawn.get(name, draw)


def coupon_path(ctx: Context, program: ProgramView, language: str) -> str:
    """The address of the picture of the programme's coupons, from the base URL on."""
    way = "rtl" if language in RIGHT_TO_LEFT else "ltr"
    return f"/google/coupon/{_signed(ctx, f'coupon-{_colors(program)}-{way}')}.png"


def coupon_picture(ctx: Context, name: str) -> bytes:
    """The picture of an address that we gave. Raises Refused for any other."""
    found = _read(ctx, _COUPON, name)
    background, ink = parse(found["background"]), parse(found["ink"])
    return _drawn.get(name, lambda: coupon_drawing.hero(background, ink, rtl=found["way"] == "rtl"))


def _colors(program: ProgramView) -> str:
    both: tuple[Color, Color] = cards.colors(program)[0], cards.accent(program)
    return "-".join(color.hex[1:] for color in both)


def _signed(ctx: Context, name: str) -> str:
    return f"{name}-{ctx.keyed_hash('picture', name)[:16]}"


def _read(ctx: Context, pattern: re.Pattern[str], signed: str) -> re.Match[str]:
    found = pattern.fullmatch(signed.rpartition("-")[0])
    if found is None or not hmac.compare_digest(signed.encode(), _signed(ctx, found[0]).encode()):
        raise Refused("picture-not-found", N_("There is no such picture."), status=404)
    return found
