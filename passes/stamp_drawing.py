"""The shapes of stamps drawn: in pixels with Pillow, and as SVG elements."""

from functools import lru_cache
from typing import assert_never

from PIL import Image, ImageDraw

from passes.colors import Color, mix
from passes.stamp_layout import Disc, Line, Place, PlaceKind, Ring, Shape, shapes

TONES = 32  # shades between background and ink: none can be told from its neighbour, and files are small
_FINER = 4  # pictures are drawn this many times larger and shrunk, which smooths their edges


@lru_cache(maxsize=256)
def tile(kind: PlaceKind, radius: float, scale: int) -> Image.Image:
    """One place as palette indices, the reward's after the others'; `radius` is in pixels, `scale` pixels a point.

    A tile takes 43 KB at most, and a programme needs twelve: its kinds of places at three scales.
    """
    side = 2 * int(radius + 2)
    fine = Image.new("L", (side * _FINER, side * _FINER), 0)
    for shape in shapes(kind, radius / scale):
        _draw(ImageDraw.Draw(fine), shape, side * _FINER / 2, scale * _FINER)
    first = TONES if kind.startswith("reward") else 0
    return fine.reduce(_FINER).point([first + (tone * (TONES - 1) + 127) // 255 for tone in range(256)])


def stamp_mark(size: int, color: Color) -> Image.Image:
    """One stamp as an RGBA picture of `size` x `size` pixels on nothing: the mark of a programme without a logo."""
    fine = size * _FINER
    alpha = Image.new("L", (fine, fine), 0)
    for shape in shapes("stamp", size / 2):
        _draw(ImageDraw.Draw(alpha), shape, fine / 2, _FINER)
    mark = Image.new("RGBA", (size, size), (color.red, color.green, color.blue, 0))
    mark.putalpha(alpha.reduce(_FINER))
    return mark


def svg_shape(shape: Shape, place: Place, background: Color, ink: Color) -> str:
    """One shape around its place, in the ink's tone on the background."""
    color = mix(background, ink, shape.tone).hex
    centre = f'cx="{place.x:.4g}" cy="{place.y:.4g}"'
    match shape:
        case Disc(radius=radius):
            return f'<circle {centre} r="{radius:.4g}" fill="{color}"/>'
        case Ring(radius=radius, width=width):
            return f'<circle {centre} r="{radius:.4g}" fill="none" stroke="{color}" stroke-width="{width:.4g}"/>'
        case Line(points=points, width=width, closed=closed):
            path = "L".join(f"{place.x + x:.4g} {place.y + y:.4g}" for x, y in points)
            return (
                f'<path d="M{path}{"Z" if closed else ""}" fill="{color if closed else "none"}" stroke="{color}" '
                f'stroke-width="{width:.4g}" stroke-linecap="round" stroke-linejoin="round"/>'
            )
        case _:
            assert_never(shape)


def _draw(draw: ImageDraw.ImageDraw, shape: Shape, centre: float, scale: float) -> None:
    """Draw one shape in tones 0-255, `scale` pixels a point, around a centre in pixels."""
    tone = round(shape.tone * 255)
    match shape:
        case Disc(radius=radius):
            draw.circle((centre, centre), radius * scale, fill=tone)
        case Ring(radius=radius, width=width):
            outer = (radius + width / 2) * scale
            draw.circle((centre, centre), outer, outline=tone, width=round(width * scale))
        case Line(points=points, width=width, closed=closed):
            pixels = [(centre + x * scale, centre + y * scale) for x, y in points]
            if closed:
                draw.polygon(pixels, fill=tone)
                pixels.append(pixels[0])
            draw.line(pixels, fill=tone, width=round(width * scale))
            for pixel in pixels:
                draw.circle(pixel, width * scale / 2, fill=tone)
        case _:
            assert_never(shape)
