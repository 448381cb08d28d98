"""Signed .pkpass files.

    template = PassTemplate.prepare(look, identity)                    # once per programme and language
    with_stamps = template.with_strip({"strip.png": …, "strip@2x.png": …})  # once per stamp picture
    data = with_stamps.sign(card, at)                                  # per card: little more than one RSA operation

A pass is a ZIP file. The files that all cards share come first in it, so their bytes, offsets, checksums and digests
are made once; pass.json, manifest.json and the signature follow them, 6 to 8 KB in all.
"""

import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

from certs.identity import SigningIdentity
from passes.apple.archive import Entry, LateFile, archive, deflated, end_record, stored
from passes.apple.cms import DetachedSigner
from passes.apple.document import PassDocument, Style
from passes.apple.errors import PassError
from passes.apple.strings import localized_files
from passes.card import Card, CardLook

if TYPE_CHECKING:
    from hashlib import _Hash

MIME_TYPE = "application/vnd.apple.pkpass"
BUNDLE_MIME_TYPE = "application/vnd.apple.pkpasses"
MAX_BUNDLED = 10

_IMAGE = re.compile(r"([A-Za-z-]+\.lproj/)?(icon|logo|strip|thumbnail|background|footer)(@[23]x)?\.png")
_STRIP = re.compile(r"strip(@[23]x)?\.png")
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\0\0\0\0IEND\xaeB`\x82"

_DOCUMENT, _MANIFEST, _SIGNATURE = LateFile("pass.json"), LateFile("manifest.json"), LateFile("signature")


@dataclass(frozen=True, slots=True)
class _Shared:
    """What passes with the same pictures and strings begin with, and how far checksums and digests have come."""

    names: frozenset[str]
    segments: tuple[bytes, ...]
    size: int
    directory: bytes
    directory_size: int
    """With the records of the card's own three files, which are always of the same length; so is `count`."""
    count: int
    manifest: bytes
    manifest_crc32: int
    manifest_sha256: "_Hash"

    def plus(self, entries: Sequence[Entry], digests: Iterable[tuple[str, str]]) -> "_Shared":
        """The same with one more segment that holds `entries`. Nothing of this one is copied or changed."""
        size, directory = self.size, [self.directory]
        for entry in entries:
            directory.append(entry.record(size))
            size += len(entry.local)
        lines = "".join(f'"{name}":"{digest}",' for name, digest in digests).encode()
        sha256 = self.manifest_sha256.copy()
        sha256.update(lines)
        return _Shared(
            names=self.names | {entry.name.decode() for entry in entries},
            segments=(*self.segments, b"".join(entry.local for entry in entries)),
            size=size,
            directory=b"".join(directory),
            directory_size=self.directory_size + sum(map(len, directory[1:])),
            count=self.count + len(entries),
            manifest=self.manifest + lines,
            manifest_crc32=zlib.crc32(lines, self.manifest_crc32),
            manifest_sha256=sha256,
        )


_DOCUMENT_HEADER_SIZE, _MANIFEST_HEADER_SIZE, _SIGNATURE_HEADER_SIZE = (
    file.header_size for file in (_DOCUMENT, _MANIFEST, _SIGNATURE)
)
_OWN_RECORDS = sum(file.record_size for file in (_DOCUMENT, _MANIFEST, _SIGNATURE))
_NOTHING = _Shared(frozenset(), (), 0, b"", _OWN_RECORDS, 3, b"{", zlib.crc32(b"{"), hashlib.sha256(b"{"))


class PassTemplate:
    """Signs cards of one look. Safe to share between threads: signing takes no lock."""

    def __init__(self, document: PassDocument, signer: DetachedSigner, shared: _Shared) -> None:
        self._document, self._signer, self._shared = document, signer, shared

    @classmethod
    def prepare(cls, look: CardLook, identity: SigningIdentity, style: Style = "storeCard") -> Self:
        """A template with the look's pictures and strings. Raises PassError when phones would refuse every card."""
        if "icon.png" not in look.images:
            raise PassError("The pass has no icon.png. Wallet refuses passes without one")
        _check_images(look.images, _IMAGE)
        texts = localized_files(look.language, look.strings)
        entries = [stored(name, data) for name, data in sorted(look.images.items())]
        entries += [deflated(name, data) for name, data in texts.items()]
        shared = _NOTHING.plus(entries, _digests({**dict(sorted(look.images.items())), **texts}))
        return cls(PassDocument(look, identity, style), DetachedSigner(identity), shared)

    def with_strip(self, images: Mapping[str, bytes]) -> Self:
        """This template with a strip picture: `images` are PNGs named strip.png, strip@2x.png and strip@3x.png.

        Shares everything with this template, so one for each number of stamps costs little more than the pictures.
        """
        _check_images(images, _STRIP)
        if repeated := sorted(self._shared.names & images.keys()):
            raise PassError(f"The look has a picture {repeated[0]} already")
        pictures = dict(sorted(images.items()))
        entries = [stored(name, data) for name, data in pictures.items()]
        return type(self)(self._document, self._signer, self._shared.plus(entries, _digests(pictures)))

    def sign(self, card: Card, at: datetime) -> bytes:
        """The card's .pkpass, signed at `at` (aware).

        Raises PassError for a card that Wallet would refuse, and CertificateError when the identity is not valid.
        """
        return b"".join((*self._shared.segments, *self._own_parts(card, at)))

    def segments(self, card: Card, at: datetime) -> list[bytes]:
        """The same bytes in pieces: shared ones that are never copied, then the card's own. For WSGI and writev."""
        return [*self._shared.segments, b"".join(self._own_parts(card, at))]

    def _own_parts(self, card: Card, at: datetime) -> tuple[bytes, ...]:
        """What follows the shared files: pass.json, manifest.json, the signature and the directory."""
        shared = self._shared
        head = self._signer.head(at)
        opening, document = self._document.parts(card)
        sha1 = opening.sha1.copy()
        sha1.update(document)
        manifest_end = b'"pass.json":"%b"}' % sha1.hexdigest().encode()
        sha256 = shared.manifest_sha256.copy()
        sha256.update(manifest_end)
        signature_end = self._signer.sign(head, sha256.digest())

        document_size = len(opening.text) + len(document)
        document_crc32 = zlib.crc32(document, opening.crc32)
        manifest_at = shared.size + _DOCUMENT_HEADER_SIZE + document_size
        manifest_size = len(shared.manifest) + len(manifest_end)
        manifest_crc32 = zlib.crc32(manifest_end, shared.manifest_crc32)
        signature_at = manifest_at + _MANIFEST_HEADER_SIZE + manifest_size
        signature_size = len(head.der) + len(signature_end)
        signature_crc32 = zlib.crc32(signature_end, head.crc32)
        directory_at = signature_at + _SIGNATURE_HEADER_SIZE + signature_size
        # fmt: off
        return (
            _DOCUMENT.header(document_crc32, document_size), opening.text, document,
            _MANIFEST.header(manifest_crc32, manifest_size), shared.manifest, manifest_end,
            _SIGNATURE.header(signature_crc32, signature_size), head.der, signature_end,
            shared.directory,
            _DOCUMENT.record(document_crc32, document_size, shared.size),
            _MANIFEST.record(manifest_crc32, manifest_size, manifest_at),
            _SIGNATURE.record(signature_crc32, signature_size, signature_at),
            end_record(shared.count, shared.directory_size, directory_at),
        )
        # fmt: on


def bundle(passes: Sequence[bytes]) -> bytes:
    """A .pkpasses file: up to ten signed passes that a phone adds at once. Raises PassError for none or more."""
    if not 1 <= len(passes) <= MAX_BUNDLED:
        raise PassError(f"A bundle holds 1 to {MAX_BUNDLED} passes, not {len(passes)}")
    return archive([stored(f"{number}.pkpass", data) for number, data in enumerate(passes, 1)])


def _digests(files: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Each file's SHA-1, which is what manifest.json holds."""
    return [(name, hashlib.sha1(data, usedforsecurity=False).hexdigest()) for name, data in files.items()]


def _check_images(images: Mapping[str, bytes], allowed: re.Pattern[str]) -> None:
    for name, data in images.items():
        if not allowed.fullmatch(name):
            raise PassError(f"“{name}” is not a name of a picture in a pass, such as icon.png or strip@2x.png")
        if not (data.startswith(_PNG_START) and data.endswith(_PNG_END)):
            raise PassError(f"{name} is not a whole PNG file")
