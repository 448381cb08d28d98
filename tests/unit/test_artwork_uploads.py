"""Uploaded logos: any real picture becomes a clean PNG, anything else a plain sentence, nothing a crash."""

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from passes.artwork import LARGEST_SIDE, MAX_UPLOAD_BYTES, PictureError, pass_images, read_upload
from passes.colors import Color

BACKGROUND, FOREGROUND = Color(59, 35, 20), Color(246, 231, 208)


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def opened(png: bytes) -> Image.Image:
    picture = Image.open(BytesIO(png))
    assert (picture.format, picture.mode) == ("PNG", "RGBA")
    return picture


def logo(width: int = 60, height: int = 40, mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", (width, height), (255, 0, 0))
    picture.paste((0, 0, 255), (width // 2, 0, width, height))
    return picture.convert(mode)


def near(expected: tuple[int, int, int], actual: tuple[int, ...]) -> bool:
    return all(abs(a - b) <= 6 for a, b in zip(expected, actual[:3], strict=True))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {}),
        ("JPEG", "RGB", {"quality": 95}),
        ("JPEG", "CMYK", {"quality": 95}),
        ("WEBP", "RGB", {"lossless": True}),
        ("GIF", "P", {}),
    ],
)
def test_every_accepted_format_keeps_its_colours(form: str, mode: str, options: dict[str, object]) -> None:
    picture = opened(read_upload(encoded(logo(mode=mode), form, **options)))
    assert picture.size == (60, 40)
    assert near((255, 0, 0), picture.getpixel((5, 20)))
    assert near((0, 0, 255), picture.getpixel((55, 20)))


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    picture = Image.new("I;16", (2, 1), 0)
    picture.putpixel((1, 0), 0x8000)
    read = opened(read_upload(encoded(picture)))
    assert [read.getpixel((0, 0)), read.getpixel((1, 0))] == [(0, 0, 0, 255), (128, 128, 128, 255)]


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ((255, 0, 0), (0, 255, 0))]
    for form, options in (("GIF", {}), ("WEBP", {"lossless": True})):
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
        assert opened(read_upload(data)).getpixel((4, 4)) == (255, 0, 0, 255)


def test_a_photo_is_turned_upright_and_its_metadata_is_gone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned a quarter
    exif[0x010E] = "a secret place"
    read = read_upload(encoded(logo(60, 40), "JPEG", quality=95, exif=exif, comment=b"a secret comment"))
    picture = opened(read)
    assert picture.size == (40, 60)
    assert near((255, 0, 0), picture.getpixel((20, 5)))
    assert b"secret" not in read
    assert picture.info == {}


def test_a_large_picture_is_made_smaller_in_its_shape() -> None:
    assert opened(read_upload(encoded(logo(4000, 2000)))).size == (LARGEST_SIDE, LARGEST_SIDE // 2)
    assert opened(read_upload(encoded(logo(4000, 2000), "JPEG"))).size == (LARGEST_SIDE, LARGEST_SIDE // 2)
    assert opened(read_upload(encoded(logo(20000, 1)))).size == (LARGEST_SIDE, 1)


def test_empty_edges_are_cut_off() -> None:
    canvas = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    canvas.paste(logo(), (70, 80))
    assert opened(read_upload(encoded(canvas))).size == (60, 40)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "The file is empty. Choose a picture."),
        (b"hello", "This is not a picture we can read. Choose a PNG, JPEG, WebP or GIF file."),
        (b"%PDF-1.7 ...", "This is not a picture we can read. Choose a PNG, JPEG, WebP or GIF file."),
        (encoded(logo(), "BMP"), "This is not a picture we can read. Choose a PNG, JPEG, WebP or GIF file."),
        (
            b'<?xml version="1.0"?><!-- logo --><SVG xmlns="http://www.w3.org/2000/svg"/>',
            "SVG pictures cannot go on wallet cards. Save the logo as PNG and choose that file.",
        ),
        (b"\0" * (MAX_UPLOAD_BYTES + 1), "The file is larger than 5 MB. Choose a smaller one."),
        (
            encoded(logo(400, 400), "JPEG")[:-200],
            "The picture is damaged or was cut short. Save it again and choose the new file.",
        ),
        (
            png_header(100, 100),
            "The picture is damaged or was cut short. Save it again and choose the new file.",
        ),
        (
            encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0))),
            "The picture is empty: every part of it is see-through. Choose another file.",
        ),
    ],
    ids=["empty", "text", "pdf", "bmp", "svg", "too many bytes", "cut short", "no pixels", "see-through"],
)
def test_what_is_no_usable_picture_is_answered_in_plain_words(data: bytes, expected: str) -> None:
    with pytest.raises(PictureError) as caught:
        read_upload(data)
    assert expected == str(caught.value)


@pytest.mark.parametrize("side", [5001, 10_000, 12_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(side: int) -> None:
    with pytest.raises(PictureError) as caught:
        read_upload(png_header(side, side))
    assert str(caught.value) == "The picture has more than 25 million pixels. Make it smaller and choose it again."


SAMPLES = [encoded(logo(), form) for form in ("PNG", "JPEG", "WEBP", "GIF")]


@settings(max_examples=200)
@given(st.sampled_from(SAMPLES), st.data())
def test_a_damaged_file_never_gives_anything_but_a_picture_or_a_plain_sentence(
    sample: bytes, data: st.DataObject
) -> None:
    broken = bytearray(sample[: data.draw(st.integers(1, len(sample)))])
    for _ in range(data.draw(st.integers(0, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = read_upload(bytes(broken))
    except PictureError:
        return
    opened(read)


def test_equal_uploads_give_equal_bytes() -> None:
    data = encoded(logo(), "JPEG")
    assert read_upload(data) == read_upload(data)
    assert pass_images(read_upload(data), BACKGROUND, FOREGROUND) == pass_images(
        read_upload(data), BACKGROUND, FOREGROUND
    )


def test_icon_and_logo_come_in_the_three_sizes_that_apple_names() -> None:
    files = pass_images(read_upload(encoded(logo(600, 200))), BACKGROUND, FOREGROUND)
    assert {name: Image.open(BytesIO(png)).size for name, png in files.items()} == {
        "icon.png": (38, 38),
        "icon@2x.png": (76, 76),
        "icon@3x.png": (114, 114),
        "logo.png": (150, 50),
        "logo@2x.png": (300, 100),
        "logo@3x.png": (450, 150),
    }


@given(st.integers(1, 1320), st.integers(1, 1320))
@settings(max_examples=25)
def test_a_logo_of_any_shape_fits_its_room(width: int, height: int) -> None:
    files = pass_images(encoded(Image.new("RGBA", (width, height), (9, 9, 9, 255))), BACKGROUND, FOREGROUND)
    for name, scale in (("logo.png", 1), ("logo@3x.png", 3)):
        size = Image.open(BytesIO(files[name])).size
        assert size[0] <= 160 * scale
        assert size[1] <= 50 * scale
        assert size[0] == 160 * scale or size[1] == 50 * scale


def test_an_icon_is_a_full_square_in_the_cards_colour() -> None:
    see_through = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    see_through.paste((255, 0, 0, 255), (0, 20, 60, 40))
    for made in (None, read_upload(encoded(see_through))):
        icon = Image.open(BytesIO(pass_images(made, BACKGROUND, FOREGROUND)["icon@3x.png"]))
        assert icon.mode == "RGB"
        assert icon.getpixel((0, 0)) == (59, 35, 20)
    icon = Image.open(BytesIO(pass_images(read_upload(encoded(logo(60, 60))), BACKGROUND, FOREGROUND)["icon.png"]))
    assert near((255, 0, 0), icon.getpixel((0, 0)))  # a logo with its own background fills the square


def test_without_a_logo_a_stamp_in_the_cards_colours_takes_its_place() -> None:
    files = pass_images(None, BACKGROUND, FOREGROUND)
    mark = Image.open(BytesIO(files["logo@2x.png"]))
    assert mark.size == (100, 100)
    assert mark.getpixel((0, 0))[3] == 0
    assert mark.getpixel((50, 20)) == (246, 231, 208, 255)
