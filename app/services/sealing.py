"""A file under a passphrase: AES-256-GCM in chunks, with a key made by scrypt (RFC 7914).

The file is a header of 48 bytes and chunks of 256 KiB, each with its tag of 16 bytes. Each chunk's nonce holds its
number and whether it is the last one (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár), and each is
bound to the header: chunks can't be changed, left out, swapped, or cut off at the end. The salt makes the key another
one for each file.

header: 16 bytes b"LEIMA SEALED 1\\n\\0", 1 byte log2 of scrypt's N, 15 bytes salt, 16 bytes of HMAC-SHA256 of these 32
nonce: 8 bytes chunk number (big endian), 3 bytes zero, 1 byte: 1 for the last chunk, else 0
"""

import hmac
import io
import os
import struct
from collections.abc import Iterable, Iterator
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

MAGIC = b"LEIMA SEALED 1\n\0"
CHUNK = 256 * 1024
SHORTEST_PASSPHRASE = 12  # characters
_TAG = 16
_HEADER = 48
_SALT = 15
# 128 MB and some 0.4 s for a try: more than somebody who guesses likes, less than a small server has.
_COST, _LARGEST_COST = 17, 20


class SealError(Exception):
    """A sealed file can't be opened: the text says why, and what to do."""


def is_sealed(file: IO[bytes]) -> bool:
    """Whether the file begins as a sealed one; it stands at its beginning then."""
    file.seek(0)
    begun = file.read(len(MAGIC))
    file.seek(0)
    return begun == MAGIC


def sealed(pieces: Iterable[bytes], passphrase: str, cost: int = _COST) -> Iterator[bytes]:
    """These bytes, sealed. Nothing is held back but the chunk that is being filled."""
    begun = MAGIC + bytes([cost]) + os.urandom(_SALT)
    cipher, header = _keyed(begun, passphrase)
    yield header
    waiting = bytearray()
    number = 0
    for piece in pieces:
        waiting += piece
        while len(waiting) > CHUNK:  # what stays is never empty before the end, so the last chunk is known as such
            yield cipher.encrypt(_nonce(number, last=False), bytes(waiting[:CHUNK]), header)
            del waiting[:CHUNK]
            number += 1
    yield cipher.encrypt(_nonce(number, last=True), bytes(waiting), header)


class Unsealed(io.RawIOBase):
    """What was sealed, to be read and sought in. No byte is given out before its chunk's tag was checked.

    Raises SealError when the passphrase is wrong, or when a chunk that is read was changed.
    """

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        self._file = file
        file.seek(0)
        header = file.read(_HEADER)
        if len(header) < _HEADER or not header.startswith(MAGIC) or header[len(MAGIC)] > _LARGEST_COST:
            raise SealError("This is no sealed file of Leima's, or its beginning is damaged. Take another copy of it")
        self._cipher, expected = _keyed(header[: _HEADER - _TAG], passphrase)
        if not hmac.compare_digest(expected, header):
            raise SealError("The passphrase is wrong, or the file's beginning was changed. Nothing was read")
        self._header = header
        body = file.seek(0, os.SEEK_END) - _HEADER
        self._chunks = max(1, -(-body // (CHUNK + _TAG)))
        self._size = max(0, body - self._chunks * _TAG)
        self._place = 0
        self._held: tuple[int, bytes] = (-1, b"")
        self._chunk(self._chunks - 1)  # a file that was cut off is told at once

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override] # a buffer, whatever its kind
        if self._place >= self._size:
            return 0
        number, within = divmod(self._place, CHUNK)
        part = self._chunk(number)[within : within + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

    def _chunk(self, number: int) -> bytes:
        if self._held[0] != number:
            self._file.seek(_HEADER + number * (CHUNK + _TAG))
            kept = self._file.read(CHUNK + _TAG)
            last = number == self._chunks - 1
            try:
                content = self._cipher.decrypt(_nonce(number, last=last), kept, self._header)
            except InvalidTag:
                why = "cut off, or changed near its end" if last else f"changed in chunk {number + 1} of {self._chunks}"
                raise SealError(f"The file was {why}. Take another copy of it") from None
            self._held = (number, content)
        return self._held[1]


def _keyed(begun: bytes, passphrase: str) -> tuple[AESGCM, bytes]:
    """The cipher, and the whole header with its check."""
    cost, salt = begun[len(MAGIC)], begun[len(MAGIC) + 1 :]
    made = Scrypt(salt=salt, length=64, n=2**cost, r=8, p=1).derive(passphrase.encode())
    return AESGCM(made[:32]), begun + hmac.digest(made[32:], begun, "sha256")[:_TAG]


def _nonce(number: int, *, last: bool) -> bytes:
    return struct.pack(">Q3xB", number, last)
