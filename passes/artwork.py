"""The pictures of a card: its stamps, and the programme's icon and logo from whatever file the owner uploads."""

from collections.abc import Sequence
from io import BytesIO
from xml.sax.saxutils import quoteattr

from PIL import Image, ImageOps

from passes.colors import Color, mix
from passes.errors import InputError
from passes.stamp_drawing import TONES, stamp_mark, svg_shape, tile
from passes.stamp_layout import HEIGHT, WIDTH, place_kinds, shapes, stamp_layout, stamp_layouts

SCALES = {"": 1, "@2x": 2, "@3x": 3}  # the ending of the file name: pixels in a point
ICON = 38  # points: what the newest systems show, and older ones shrink to their 29
LOGO_WIDTH = 160  # points, at most
LOGO_HEIGHT = 50
_ICON_MARGIN = 0.1  # of the icon's side, around a logo without a background of its own
MAX_UPLOAD_BYTES = 5_000_000
MAX_UPLOAD_PIXELS = 25_000_000
LARGEST_SIDE = 1320  # pixels of the finished PNG: twice Google's 660, the largest logo a wallet asks for
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


class PictureError(InputError):
    """A file that cannot be used as a picture."""


def stamp_strip_files(
    have: int,
    needed: int,
    background: Color,
    foreground: Color,
    accent: Color | None = None,
    rtl: bool = False,
    *,
    below: Sequence[tuple[int, int]] = (),
) -> dict[str, bytes]:
    """strip.png, strip@2x.png and strip@3x.png: 375 x 123 points at one, two and three pixels a point."""
    return {
        f"strip{ending}.png": stamp_strip(have, needed, background, foreground, accent, scale, rtl, below=below)
        for ending, scale in SCALES.items()
    }


def stamp_strip(
    have: int,
    needed: int,
    background: Color,
    foreground: Color,
    accent: Color | None = None,
    scale: int = 1,
    rtl: bool = False,
    *,
    below: Sequence[tuple[int, int]] = (),
) -> bytes:
    """A PNG of `have` stamps on a card of `needed` (1 to 30; have at most needed), in `scale` pixels a point.

    `below` are up to two further cards, (have, needed), to be drawn below it. Stamps are in the foreground colour, the
    reward's place is in the accent. `rtl` fills from right to left. Equal arguments give equal bytes.
    """
    cards = [(have, needed), *below]
    picture = Image.new("L", (WIDTH * scale, HEIGHT * scale), 0)
    for count, layout in zip(cards, stamp_layouts([of for _, of in cards], rtl), strict=True):
        for place, kind in zip(layout.places, place_kinds(*count), strict=True):
            drawn = tile(kind, layout.radius * scale, scale)
            corner = (round(place.x * scale - drawn.width / 2), round(place.y * scale - drawn.height / 2))
            picture.paste(drawn, corner)
    picture.putpalette([part for color in _palette(background, foreground, accent or foreground) for part in color])
    file = BytesIO()
    picture.save(file, "PNG")  # optimize=True saves a tenth of the bytes and takes seven times as long
    return file.getvalue()


def stamp_svg(
    have: int,
    needed: int,
    background: Color,
    foreground: Color,
    accent: Color | None = None,
    *,
    label: str,
    rtl: bool = False,
) -> str:
    """The same picture as an <svg> element for a page; `label` is what a screen reader says.

    It uses neither style attributes nor ids, so it suits a strict Content-Security-Policy and may stand on a page
    any number of times.
    """
    layout = stamp_layout(needed, rtl)
    drawn = []
    for place, kind in zip(layout.places, place_kinds(have, needed), strict=True):
        ink = (accent or foreground) if kind.startswith("reward") else foreground
        drawn += [svg_shape(shape, place, background, ink) for shape in shapes(kind, layout.radius)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label={quoteattr(label)}><rect width="{WIDTH}" height="{HEIGHT}" fill="{background.hex}"/>'
        f"{''.join(drawn)}</svg>"
    )


def read_upload(data: bytes) -> bytes:
    """The uploaded PNG, JPEG, WebP or GIF (its first frame) as an RGBA PNG; otherwise PictureError says why not.

    At most 5 MB and 25 megapixels are read, the latter by the header, before a pixel is unpacked. The result is
    turned upright, without empty edges, without metadata, and at most 1320 pixels wide and high. CMYK is converted
    without its ICC profile. Equal files give equal bytes.
    """
    if not data:
        raise PictureError("The file is empty. Choose a picture.")
    if len(data) > MAX_UPLOAD_BYTES:
        raise PictureError(
            "The file is larger than %(limit)s MB. Choose a smaller one.", {"limit": MAX_UPLOAD_BYTES // 10**6}
        )
    if b"<svg" in data[:4096].lower():
        raise PictureError("SVG pictures cannot go on wallet cards. Save the logo as PNG and choose that file.")
    return _png(_cleaned(_decoded(_opened(data))))


def pass_images(logo_png: bytes | None, background: Color, foreground: Color) -> dict[str, bytes]:
    """icon.png and logo.png with their @2x and @3x.

    `logo_png` is what read_upload() made. Without a logo, a stamp in the card's colours takes its place. The logo
    keeps its shape within 160 x 50 points; the icon is a full square, whose corners the phone rounds.
    """
    logo = None
    if logo_png is not None:
        with Image.open(BytesIO(logo_png), formats=("PNG",)) as file:
            logo = file.convert("RGBA")
    files = {f"icon{end}.png": _png(_icon(logo, scale, background, foreground)) for end, scale in SCALES.items()}
    for end, scale in SCALES.items():
        files[f"logo{end}.png"] = _png(_logo(logo, scale, foreground))
    return files


def _palette(background: Color, foreground: Color, accent: Color) -> list[tuple[int, int, int]]:
    blends = [mix(background, ink, tone / (TONES - 1)) for ink in (foreground, accent) for tone in range(TONES)]
    return [(color.red, color.green, color.blue) for color in blends]


def _opened(data: bytes) -> Image.Image:
    """Only the header is read here."""
    try:
        picture = Image.open(BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large() from error
    except Exception as error:  # Pillow's readers answer a broken header with half a dozen kinds of exceptions
        raise PictureError("This is not a picture we can read. Choose a PNG, JPEG, WebP or GIF file.") from error
    if picture.width * picture.height > MAX_UPLOAD_PIXELS:
        raise _too_large()
    return picture


def _decoded(picture: Image.Image) -> Image.Image:
    try:
        picture.draft(None, (LARGEST_SIDE, LARGEST_SIDE))  # lets a large JPEG be unpacked at a fraction of its size
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
        return picture
    except Exception as error:  # as above: a file cut short or with damaged data
        raise PictureError("The picture is damaged or was cut short. Save it again and choose the new file.") from error


def _cleaned(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):  # 16 bits of grey; convert() would clip them to white
        picture = picture.convert("I").point([level >> 8 for level in range(65536)], "L")
    if picture.mode != "RGBA":  # convert() and crop() copy up to 100 MB even when there is nothing to do
        picture = picture.convert("RGBA")
    seen = picture.getbbox()  # of what is not see-through
    if seen is None:
        raise PictureError("The picture is empty: every part of it is see-through. Choose another file.")
    if seen != (0, 0, *picture.size):
        picture = picture.crop(seen)
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    picture.info = {}
    return picture


def _too_large() -> PictureError:
    return PictureError(
        "The picture has more than %(limit)s million pixels. Make it smaller and choose it again.",
        {"limit": MAX_UPLOAD_PIXELS // 10**6},
    )


def _icon(logo: Image.Image | None, scale: int, background: Color, foreground: Color) -> Image.Image:
    side = ICON * scale
    icon = Image.new("RGB", (side, side), (background.red, background.green, background.blue))
    opaque = logo is not None and logo.getchannel("A").getextrema() == (255, 255)
    room = side if opaque else round(side * (1 - 2 * _ICON_MARGIN))
    mark = stamp_mark(room, foreground) if logo is None else _within(logo, room, room)
    icon.paste(mark, ((side - mark.width) // 2, (side - mark.height) // 2), mark)
    return icon


def _logo(logo: Image.Image | None, scale: int, foreground: Color) -> Image.Image:
    if logo is None:
        return stamp_mark(LOGO_HEIGHT * scale, foreground)
    return _within(logo, LOGO_WIDTH * scale, LOGO_HEIGHT * scale)


def _within(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The picture as large as it fits, up or down, so that it is the same number of points at every scale."""
    ratio = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _png(picture: Image.Image) -> bytes:
    """The picture as a PNG file without metadata."""
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
