"""ZIP files (PKWARE's APPNOTE.TXT) whose bytes depend on nothing but their contents: no clock, no platform."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")

_VERSION = 20
_DOS_TIME, _DOS_DATE = 0, 0x21  # 1980-01-01 00:00, the earliest that the format can tell
_STORED, _DEFLATED = 0, 8
_REGULAR_FILE = 0o100644 << 16
_MADE_ON_UNIX = 3 << 8 | _VERSION


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, ready to be written anywhere in an archive. `local` is its local header and its data."""

    name: bytes
    local: bytes
    crc32: int
    size: int
    packed: int
    method: int

    def record(self, offset: int) -> bytes:
        """The file's record in the central directory, for a local header at `offset`."""
        return _record(self.name, self.crc32, self.size, self.packed, self.method, offset)


def stored(name: str, data: bytes) -> Entry:
    """A file kept as it is: right for PNGs, which are compressed already. `name` is ASCII."""
    encoded, crc32, size = name.encode("ascii"), zlib.crc32(data), len(data)
    return Entry(encoded, _header(encoded, crc32, size, size, _STORED) + data, crc32, size, size, _STORED)


def deflated(name: str, data: bytes) -> Entry:
    """A compressed file. `name` is ASCII."""
    encoded, crc32, size = name.encode("ascii"), zlib.crc32(data), len(data)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = compressor.compress(data) + compressor.flush()
    local = _header(encoded, crc32, size, len(packed), _DEFLATED) + packed
    return Entry(encoded, local, crc32, size, len(packed), _DEFLATED)


class LateFile:
    """A stored file that many archives have under one name, with the parts of its headers that are always the same."""

    __slots__ = ("_header", "_header_end", "_header_start", "_record", "_record_end", "_record_middle", "_record_start")

    def __init__(self, name: str) -> None:
        encoded = name.encode("ascii")
        header, record = _header(encoded, 0, 0, 0, _STORED), _record(encoded, 0, 0, 0, _STORED, 0)
        self._header_start, self._header_end = header[:14], header[26:]
        self._record_start, self._record_middle, self._record_end = record[:16], record[28:42], record[46:]
        self._header = struct.Struct(f"<14s3L{len(self._header_end)}s")
        self._record = struct.Struct(f"<16s3L14sL{len(encoded)}s")

    @property
    def header_size(self) -> int:
        return self._header.size

    @property
    def record_size(self) -> int:
        return self._record.size

    def header(self, crc32: int, size: int) -> bytes:
        """What stands before the file's data."""
        return self._header.pack(self._header_start, crc32, size, size, self._header_end)

    def record(self, crc32: int, size: int, offset: int) -> bytes:
        """The file's record in the central directory, for a header at `offset`."""
        return self._record.pack(self._record_start, crc32, size, size, self._record_middle, offset, self._record_end)


def end_record(count: int, directory_size: int, offset: int) -> bytes:
    """What ends an archive of `count` files, whose directory stands at `offset`."""
    return _END.pack(b"PK\5\6", 0, 0, count, count, directory_size, offset, 0)


def archive(entries: Sequence[Entry]) -> bytes:
    """A whole ZIP file."""
    offset, directory = 0, b""
    for entry in entries:
        directory += entry.record(offset)
        offset += len(entry.local)
    return b"".join([*(entry.local for entry in entries), directory, end_record(len(entries), len(directory), offset)])


def _header(name: bytes, crc32: int, size: int, packed: int, method: int) -> bytes:
    """What stands before a file's data."""
    return _LOCAL.pack(b"PK\3\4", _VERSION, 0, method, _DOS_TIME, _DOS_DATE, crc32, packed, size, len(name), 0) + name


def _record(name: bytes, crc32: int, size: int, packed: int, method: int, offset: int) -> bytes:
    """A file's record in the central directory, for a local header at `offset`."""
    # fmt: off
    return _CENTRAL.pack(
        b"PK\1\2", _MADE_ON_UNIX, _VERSION, 0, method, _DOS_TIME, _DOS_DATE, crc32, packed, size,
        len(name), 0, 0, 0, 0, _REGULAR_FILE, offset,
    ) + name
    # fmt: on
