"""The signature of a pass: a detached CMS SignedData (RFC 5652), put together around one RSA operation.

Everything but the manifest's digest and the RSA signature is the same for all passes signed within one second. It is
kept ready as DER, so a signature costs what `private_key.sign` costs.
"""

import hashlib
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from certs.identity import SigningIdentity

if TYPE_CHECKING:
    from hashlib import _Hash

_SEQUENCE, _SET, _OCTETS, _ATTRIBUTES = 0x30, 0x31, 0x04, 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18

_VERSION_1 = bytes.fromhex("020101")
_NULL = bytes.fromhex("0500")
_DATA = bytes.fromhex("06092a864886f70d010701")
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_CONTENT_TYPE = bytes.fromhex("06092a864886f70d010903")
_MESSAGE_DIGEST = bytes.fromhex("06092a864886f70d010904")
_SIGNING_TIME = bytes.fromhex("06092a864886f70d010905")
_SHA256 = bytes.fromhex("0609608648016503040201")
_RSA_ENCRYPTION = bytes.fromhex("06092a864886f70d010101")

_DIGEST_LENGTH = 32


def der(tag: int, *contents: bytes) -> bytes:
    """One DER element (X.690) around its encoded contents."""
    body = b"".join(contents)
    return _header(tag, len(body)) + body


def _header(tag: int, length: int) -> bytes:
    if length < 0x80:
        return bytes((tag, length))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size


def _elements(encoded: bytes) -> list[bytes]:
    """The elements inside one DER element, each with its header."""
    found, at = [], _content_start(encoded, 0)
    while at < len(encoded):
        start = _content_start(encoded, at)
        size = encoded[at + 1]
        length = size if size < 0x80 else int.from_bytes(encoded[at + 2 : start], "big")
        found.append(encoded[at : start + length])
        at = start + length
    return found


def _content_start(encoded: bytes, at: int) -> int:
    size = encoded[at + 1]
    return at + 2 + (size & 0x7F if size & 0x80 else 0)


@dataclass(frozen=True, slots=True)
class SignatureHead:
    """What signatures made within one second begin with."""

    since: datetime
    until: datetime
    """The moments from `since` on and before `until` share this head."""
    der: bytes
    crc32: int
    attributes: bytes
    """The signed attributes up to the manifest's digest, as they are hashed."""
    attributes_sha256: "_Hash"


class DetachedSigner:
    """Signs digests with one identity. Safe to share between threads: it holds no lock around the RSA operation."""

    def __init__(self, identity: SigningIdentity) -> None:
        leaf, intermediate = (
            certificate.public_bytes(Encoding.DER) for certificate in (identity.certificate, identity.intermediate)
        )
        # TBSCertificate: [0] version, serialNumber, signature, issuer, … Copying the bytes keeps the issuer's encoding.
        _version, serial, _algorithm, issuer, *_rest = _elements(_elements(leaf)[0])
        self._identity = identity
        self._private_key = identity.private_key
        self._chain = der(0xA0, *sorted((leaf, intermediate)))
        self._signer = der(_SEQUENCE, issuer, serial)
        self._signature_length = (identity.private_key.key_size + 7) // 8
        self._before_signature = der(_SEQUENCE, _RSA_ENCRYPTION, _NULL) + _header(_OCTETS, self._signature_length)
        self._padding, self._hash = PKCS1v15(), Prehashed(SHA256())
        self._head: SignatureHead | None = None

    def head(self, at: datetime) -> SignatureHead:
        """The head for the second of `at` (aware). Raises CertificateError when the identity is not valid then."""
        head = self._head
        if head is None or not head.since <= at < head.until:
            self._identity.ensure_valid(at)
            # Threads may build the same head twice; assigning it is atomic, so none sees half of one.
            head = self._head = self._build_head(at.astimezone(UTC).replace(microsecond=0))
        return head

    def sign(self, head: SignatureHead, sha256: bytes) -> bytes:
        """What comes after `head` for content with this SHA-256 digest; together they are the DER signature."""
        attributes = head.attributes_sha256.copy()
        attributes.update(sha256)
        signature = self._private_key.sign(attributes.digest(), self._padding, self._hash)
        return sha256 + self._before_signature + signature

    def _build_head(self, second: datetime) -> SignatureHead:
        attributes = _attributes_before_digest(second)
        algorithm = der(_SEQUENCE, _SHA256, _NULL)
        # An element's header tells the length of what is inside it, so the head is made around zeros and cut off there.
        zeros = bytes(_DIGEST_LENGTH)
        tail = self._before_signature + bytes(self._signature_length)
        signed = attributes + zeros
        signer_info = der(
            _SEQUENCE, _VERSION_1, self._signer, algorithm, _header(_ATTRIBUTES, len(signed)), signed, tail
        )
        signed_data = der(
            _SEQUENCE,
            _VERSION_1,
            der(_SET, algorithm),
            der(_SEQUENCE, _DATA),  # no content: detached
            self._chain,
            der(_SET, signer_info),
        )
        whole = der(_SEQUENCE, _SIGNED_DATA, der(0xA0, signed_data))
        head = whole[: -len(zeros + tail)]
        # RFC 5652, 5.4: the attributes are hashed as a SET, but stored with the tag [0].
        hashed = _header(_SET, len(signed)) + attributes
        return SignatureHead(
            since=max(second, self._identity.not_before),
            until=min(second + timedelta(seconds=1), self._identity.not_after + timedelta.resolution),
            der=head,
            crc32=zlib.crc32(head),
            attributes=hashed,
            attributes_sha256=hashlib.sha256(hashed),
        )


def _attributes_before_digest(second: datetime) -> bytes:
    """contentType, signingTime and the start of messageDigest: already in the order that DER wants of a SET."""
    digest = der(_OCTETS, bytes(_DIGEST_LENGTH))
    return (
        der(_SEQUENCE, _CONTENT_TYPE, der(_SET, _DATA))
        + der(_SEQUENCE, _SIGNING_TIME, der(_SET, _time(second)))
        + der(_SEQUENCE, _MESSAGE_DIGEST, der(_SET, digest))[:-_DIGEST_LENGTH]
    )


def _time(at: datetime) -> bytes:
    """RFC 5652, 11.3: UTCTime until 2049, GeneralizedTime from 2050."""
    if at.year < 2050:
        return der(_UTC_TIME, at.strftime("%y%m%d%H%M%SZ").encode())
    return der(_GENERALIZED_TIME, at.strftime("%Y%m%d%H%M%SZ").encode())
