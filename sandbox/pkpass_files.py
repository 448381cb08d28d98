"""The rules for the pictures and translations in a pass. Source: Apple's "Pass Design and Creation"."""

import re
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_PICTURE = re.compile(r"(?:[\w-]+\.lproj/)?(icon|logo|strip|thumbnail|background|footer)(?:@([23])x)?\.png")
_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_LARGEST_SIDE = 4096
_STRINGS_LINE = re.compile(r'"((?:[^"\\\n]|\\.)*)"\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*;')
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_ESCAPED = re.compile(r"\\(U[0-9A-Fa-f]{4}|.)", re.DOTALL)
_MEANINGS = {"n": "\n", "r": "\r", "t": "\t"}


def picture_faults(name: str, file: bytes, contents: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one file of a pass, when it is a picture."""
    match = _PICTURE.fullmatch(name)
    if match is None:
        if name.endswith(".png"):
            yield f"{name} is no picture that passes have."
        return
    size = png_size(file)
    if size is None:
        yield f"{name} is not a whole PNG."
        return
    scale = int(match[2] or 1)
    width, height = size
    told = f"{name} has {width} × {height} pixels"
    if match[1] == "icon" and size not in ((29 * scale, 29 * scale), (38 * scale, 38 * scale)):
        yield f"{told}; an icon has {29 * scale} × {29 * scale}, or {38 * scale} × {38 * scale} for the newest systems."
    if match[1] == "logo" and (width > 160 * scale or height > 50 * scale):
        yield f"{told}; a logo has at most {160 * scale} × {50 * scale}."
    wanted = (375 * scale, (123 if "storeCard" in contents else 144) * scale)
    if match[1] == "strip" and {"storeCard", "coupon"} & contents.keys() and size != wanted:
        yield f"{told}; this strip has {wanted[0]} × {wanted[1]}."


@lru_cache(maxsize=256)
def png_size(file: bytes) -> tuple[int, int] | None:
    """Width and height of a whole PNG in pixels; None for anything else. Every byte is looked at, once per picture."""
    try:
        chunks = list(_chunks(file))
        width, height, depth, kind, _, _, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
        if chunks[0][0] != b"IHDR" or chunks[-1] != (b"IEND", b"") or not 0 < max(width, height) <= _LARGEST_SIDE:
            return None
        pixels = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
        row = 1 + (width * depth * _CHANNELS[kind] + 7) // 8
    except (ValueError, KeyError, IndexError, struct.error, zlib.error):
        return None
    return (width, height) if interlace or len(pixels) == row * height else None


def _chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not file.startswith(_PNG):
        raise ValueError("not a PNG")
    at = len(_PNG)
    while at < len(file):
        length, name = struct.unpack_from(">I4s", file, at)
        data = file[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", file, at + 8 + length)
        if zlib.crc32(data, zlib.crc32(name)) != checksum:
            raise ValueError("a damaged chunk")
        yield name, data
        at += length + 12


def read_strings(name: str, file: bytes) -> tuple[dict[str, str], list[str]]:
    """The translations in a pass.strings file, and what is wrong with it."""
    try:
        text = file.decode("utf-16" if file[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        return {}, [f"{name} is neither UTF-8 nor UTF-16."]
    found = {_unescaped(match[1]): _unescaped(match[2]) for match in _STRINGS_LINE.finditer(text)}
    rest = _COMMENT.sub("", _STRINGS_LINE.sub("", text)).strip()
    return found, [f"{name} has lines that phones can't read: {rest[:60]}"] if rest else []


def _unescaped(text: str) -> str:
    def meaning(match: re.Match[str]) -> str:
        found = match[1]
        return chr(int(found[1:], 16)) if len(found) == 5 else _MEANINGS.get(found, found)

    return _ESCAPED.sub(meaning, text)
