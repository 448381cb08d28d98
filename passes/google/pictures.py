"""The pictures that Google Wallet shows: the stamps as the hero picture, and the logo, which phones show round.

Sizes are from developers.google.com/wallet, 'Brand guidelines': hero 1032 × 336, logo 660 × 660.
"""

from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from passes.artwork import stamp_strip
from passes.colors import Color
from passes.stamp_drawing import stamp_mark

HERO = (1032, 336)
LOGO = 660
# The largest square within the circle that phones cut out, and a little air.
_LOGO_ROOM = 430


def hero(
    have: int,
    needed: int,
    background: Color,
    ink: Color,
    *,
    rtl: bool = False,
    below: Sequence[tuple[int, int]] = (),
) -> bytes:
    """A PNG of `have` stamps on a card of `needed`, and of up to two cards below it. Equal arguments give equal
    bytes."""
    with Image.open(BytesIO(stamp_strip(have, needed, background, ink, scale=3, rtl=rtl, below=below))) as strip:
        picture = strip.convert("RGB")
    width, height = HERO
    picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    above = (picture.height - height) // 2
    return _png(picture.crop((0, above, width, above + height)))


def logo(logo_png: bytes | None, background: Color, ink: Color) -> bytes:
    """The logo (what passes.artwork.read_upload made), or without one a stamp, in the middle of a square."""
    square = Image.new("RGB", (LOGO, LOGO), (background.red, background.green, background.blue))
    if logo_png is None:
        drawn = stamp_mark(_LOGO_ROOM, ink)
    else:
        with Image.open(BytesIO(logo_png), formats=("PNG",)) as file:
            drawn = file.convert("RGBA")
        share = min(_LOGO_ROOM / drawn.width, _LOGO_ROOM / drawn.height)
        size = (max(1, round(drawn.width * share)), max(1, round(drawn.height * share)))
        drawn = drawn.resize(size, Image.Resampling.LANCZOS)
    square.paste(drawn, ((LOGO - drawn.width) // 2, (LOGO - drawn.height) // 2), drawn)
    return _png(square)


def _png(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
