"""The picture of a coupon's own pass: the brand's colours, a stamp that runs over the edge, and a tear line.

Phones write what the coupon is worth over it, so that nothing in it is far from the background's colour. Sizes are
Apple's strip of a coupon (375 x 144 points, "Pass Design and Creation") and Google's hero picture.
"""

from io import BytesIO

from PIL import Image, ImageDraw

from passes.artwork import SCALES
from passes.colors import Color, mix
from passes.google.pictures import HERO
from passes.stamp_drawing import stamp_mark

WIDTH, HEIGHT = 375, 144
_FIELD_TONE, _MARK_TONE, _LINE_TONE = 0.06, 0.15, 0.35  # shares of the ink
_TEAR = 0.62  # of the width: where the tear line is
_FINER = 4


def strip_files(background: Color, ink: Color, *, rtl: bool = False) -> dict[str, bytes]:
    """strip.png, strip@2x.png and strip@3x.png of a coupon."""
    return {
        f"strip{ending}.png": picture((WIDTH * scale, HEIGHT * scale), background, ink, rtl=rtl)
        for ending, scale in SCALES.items()
    }


def hero(background: Color, ink: Color, *, rtl: bool = False) -> bytes:
    """The same as Google's hero picture."""
    return picture(HERO, background, ink, rtl=rtl)


def picture(size: tuple[int, int], background: Color, ink: Color, *, rtl: bool = False) -> bytes:
    """A PNG of `size` pixels. `rtl` has the stamp on the left. Equal arguments give equal bytes."""
    width, height = size
    field = mix(background, ink, _FIELD_TONE)
    drawn = Image.new("RGB", size, (field.red, field.green, field.blue))
    side = round(height * 1.15)
    mark = stamp_mark(side, mix(background, ink, _MARK_TONE))
    drawn.paste(mark, (round(width * 0.86) - side // 2, (height - side) // 2), mark)
    _tear_line(drawn, mix(background, ink, _LINE_TONE))
    if rtl:
        drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    file = BytesIO()
    drawn.save(file, "PNG", optimize=True)
    return file.getvalue()


def _tear_line(drawn: Image.Image, color: Color) -> None:
    """A line of dots from top to bottom."""
    width, height = drawn.size
    radius, steps = height / 96, 12
    dots = Image.new("L", (round(radius * 2 + 2) * _FINER, height * _FINER), 0)
    pen = ImageDraw.Draw(dots)
    for step in range(steps):
        centre = (dots.width / 2, (step + 0.5) * dots.height / steps)
        pen.circle(centre, radius * _FINER, fill=255)
    mask = dots.reduce(_FINER)
    ink = Image.new("RGB", mask.size, (color.red, color.green, color.blue))
    drawn.paste(ink, (round(width * _TEAR) - mask.width // 2, 0), mask)
