"""A ZIP of tables: a file for each, and at its end a manifest with the number of rows and the digest of every file.

It is written from front to back and never whole in memory or on a disk of ours, and the same content gives the same
bytes: files have no time, and come in a fixed order. Reading begins with the digests, so that nothing of a damaged
archive is ever used.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

MANIFEST = "manifest.json"
PIECE = 256 * 1024  # bytes
# With 6 a table gets a tenth smaller, and takes two and a half times as long.
_LEVEL = 1
_LARGEST_MANIFEST = 16 * 1024 * 1024
# What zipfile raises for bytes that were changed; RuntimeError is for a file that says it is encrypted.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OverflowError)
_DAMAGED = "The file is damaged, or is no file of Leima's: {why}. Take another copy of it"


class ArchiveError(Exception):
    """An archive can't be used. The text says why, and what to do."""


@dataclass(slots=True)
class Entry:
    """A file to pack. `rows` may be set while `pieces` are gone through."""

    name: str
    pieces: Iterable[bytes]
    rows: int | None = None


class _Sink:
    """What a ZIP is written to, until somebody takes it. It cannot be sought in, so nothing is ever written twice."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is to be given back."""

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return taken


def packed(entries: Iterable[Entry], head: Mapping[str, object]) -> Iterator[bytes]:
    """The archive's bytes, in pieces of some 256 KB. `head` is what the manifest says beside its list of files.

    An entry's pieces are asked for only when those before it have been taken.
    """
    sink = _Sink()
    files = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as made:
        for entry in entries:
            digest, size = hashlib.sha256(), 0
            with made.open(entry.name, "w", force_zip64=True) as into, _closing(entry.pieces) as pieces:
                for piece in pieces:
                    into.write(piece)
                    digest.update(piece)
                    size += len(piece)
                    if sink.size >= PIECE:
                        yield sink.take()
            listed = {"name": entry.name, "bytes": size, "sha256": digest.hexdigest()}
            files.append(listed if entry.rows is None else listed | {"rows": entry.rows})
        told = json.dumps({**head, "files": files}, indent=1, ensure_ascii=False) + "\n"
        with made.open(MANIFEST, "w") as into:  # writestr would note the time
            into.write(told.encode())
    yield sink.take()


@contextmanager
def _closing(pieces: Iterable[bytes]) -> Iterator[Iterable[bytes]]:
    """Whoever stops reading in the middle ends the query that the pieces come from before its transaction ends."""
    try:
        yield pieces
    finally:
        if isinstance(pieces, Generator):
            pieces.close()


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file in an archive, as the manifest lists it. `rows` is None unless it is a table."""

    name: str
    bytes: int
    sha256: str
    rows: int | None = None


@dataclass(slots=True)
class Archive:
    """An archive that is read. `head` is what its manifest says beside the files."""

    _zip: zipfile.ZipFile
    head: dict[str, Any]
    files: dict[str, PackedFile] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """A word of the head. Raises ArchiveError when it is not there."""
        value = self.head.get(key)
        if not isinstance(value, str):
            raise ArchiveError(_DAMAGED.format(why=f"its manifest says nothing of {key}"))
        return value

    def open(self, name: str) -> IO[bytes]:
        return self._zip.open(name)

    def ensure_whole(self) -> None:
        """Read everything and compare. Raises ArchiveError at the first byte that is not what was packed."""
        for packed_file in self.files.values():
            digest, size = hashlib.sha256(), 0
            try:
                with self.open(packed_file.name) as file:
                    while piece := file.read(PIECE):
                        digest.update(piece)
                        size += len(piece)
            except _UNREADABLE as error:
                raise ArchiveError(_DAMAGED.format(why=f"{packed_file.name} can't be read ({error})")) from None
            if (size, digest.hexdigest()) != (packed_file.bytes, packed_file.sha256):
                raise ArchiveError(_DAMAGED.format(why=f"{packed_file.name} is not what was packed"))


def opened(file: IO[bytes], kind: str, version: int) -> Archive:
    """The archive in a file that can be sought in. Its content is not read yet: ask ensure_whole.

    Raises ArchiveError when it is none, or one of another `kind`, or a newer version of it.
    """
    try:
        held = zipfile.ZipFile(file)
        if held.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
            raise ArchiveError(_DAMAGED.format(why="its manifest is too large"))
        head = json.loads(held.read(MANIFEST))
        listed = [PackedFile(**one) for one in head.pop("files")]
        found, found_version = head["format"], int(head["format_version"])
    except _UNREADABLE as error:
        raise ArchiveError(_DAMAGED.format(why=str(error).rstrip("."))) from None
    except (KeyError, ValueError, TypeError, AttributeError):
        raise ArchiveError(_DAMAGED.format(why="it has no manifest that can be read")) from None
    if found != kind:
        raise ArchiveError(f"This is a {found!r}, and a {kind!r} is needed. See docs/operations.md for which is which")
    if found_version > version:
        raise ArchiveError(
            f"A newer Leima wrote this (format {found_version}, known is {version}): upgrade Leima first"
        )
    files = {one.name: one for one in listed}
    if sorted(held.namelist()) != sorted([*files, MANIFEST]):
        raise ArchiveError(_DAMAGED.format(why="its files are not those of its manifest"))
    return Archive(held, head, files)
