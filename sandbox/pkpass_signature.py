"""The signature of a pass as a phone checks it: a detached CMS SignedData (RFC 5652) and its chain of certificates."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import NameOID

from certs.identity import name_part

PASS_TYPE_EXTENSION = x509.ObjectIdentifier("1.2.840.113635.100.6.1.16")
PASS_SIGNING = x509.ObjectIdentifier("1.2.840.113635.100.4.14")

_SEQUENCE, _SET, _INTEGER, _OCTETS, _OID, _CONTEXT_0, _CONTEXT_1 = 0x30, 0x31, 0x02, 0x04, 0x06, 0xA0, 0xA1
_UTC_TIME = 0x17
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_DATA = bytes.fromhex("2a864886f70d010701")
_CONTENT_TYPE = bytes.fromhex("2a864886f70d010903")
_MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
_SIGNING_TIME = bytes.fromhex("2a864886f70d010905")
_DIGESTS: dict[bytes, hashes.HashAlgorithm] = {
    bytes.fromhex("608648016503040201"): hashes.SHA256(),
    bytes.fromhex("608648016503040202"): hashes.SHA384(),
    bytes.fromhex("608648016503040203"): hashes.SHA512(),
}
_CLOCK_SKEW = timedelta(days=1)
"""A signing time this far in the future is one of a wrong clock."""


@dataclass(frozen=True, slots=True)
class Element:
    """One DER element (X.690): its tag, what is inside it, and the whole of it."""

    tag: int
    inside: bytes
    whole: bytes

    def children(self) -> list["Element"]:
        """The elements inside. Raises ValueError when they are not DER."""
        found, at = [], 0
        while at < len(self.inside):
            element = read(self.inside[at:])
            found.append(element)
            at += len(element.whole)
        return found


def read(data: bytes) -> Element:
    """The element that `data` begins with. Raises ValueError for what is not DER."""
    if len(data) < 2:
        raise ValueError("cut off")
    size, start = data[1], 2
    if size & 0x80:
        start += size & 0x7F
        if size in (0x80, 0xFF) or len(data) < start:
            raise ValueError("a length that DER does not have")
        size = int.from_bytes(data[2:start], "big")
    if len(data) < start + size:
        raise ValueError("cut off")
    return Element(data[0], data[start : start + size], data[: start + size])


@dataclass(frozen=True, slots=True)
class _SignedData:
    """What is needed of a CMS SignedData."""

    detached: bool
    certificates: list[x509.Certificate]
    signers: list[Element]


def signature_faults(
    signature: bytes, manifest: bytes, contents: dict[str, Any], roots: Sequence[x509.Certificate], at: datetime
) -> Iterator[str]:
    """Everything that is wrong with the signature, for a phone that trusts `roots` at `at` (aware)."""
    try:
        signed = _signed_data(signature)
    except (ValueError, IndexError):
        yield "The signature is not a CMS signature in DER."
        return
    if not signed.detached:
        yield "The signature is not detached: it carries the manifest."
    leaves = [one for one in signed.certificates if name_part(one.subject, NameOID.USER_ID)]
    if len(signed.certificates) != 2 or len(leaves) != 1:
        yield "The signature does not carry exactly two certificates: the pass type's and Apple's intermediate."
        return
    (leaf,) = leaves
    (intermediate,) = (one for one in signed.certificates if one is not leaf)
    if len(signed.signers) != 1:
        yield "The signature does not have exactly one signer."
    for signer in signed.signers:
        try:
            yield from _signer_faults(signer, manifest, leaf, at)
        except (ValueError, IndexError, KeyError):
            yield "The signer's part of the signature is not readable."
    yield from _chain_faults(leaf, intermediate, roots, at)
    yield from _leaf_faults(leaf, contents)


def _signed_data(signature: bytes) -> _SignedData:
    outer = read(signature)
    kind, wrapped = outer.children()
    if len(outer.whole) != len(signature) or kind.inside != _SIGNED_DATA:
        raise ValueError("not signed data")
    (data,) = wrapped.children()
    _version, _digests, content, *rest = data.children()
    certificates = [child for part in rest if part.tag == _CONTEXT_0 for child in part.children()]
    return _SignedData(
        detached=len(content.children()) == 1,
        certificates=[x509.load_der_x509_certificate(one.whole) for one in certificates],
        signers=rest[-1].children() if rest[-1].tag == _SET else [],
    )


def _signer_faults(signer: Element, manifest: bytes, leaf: x509.Certificate, at: datetime) -> Iterator[str]:
    _version, name, digest, *rest = signer.children()
    attributes = next((part for part in rest if part.tag == _CONTEXT_0), None)
    value = next(part.inside for part in rest if part.tag == _OCTETS)
    algorithm = _DIGESTS.get(digest.children()[0].inside)
    if algorithm is None:
        yield "The signature uses a digest that phones no longer accept. Use SHA-256."
        return
    if not _names(name, leaf):
        yield "The signer is not the pass type's certificate."
    if attributes is None:
        yield "The signature has no signed attributes (contentType, messageDigest, signingTime)."
        return
    found = {kind.inside: values.children() for kind, values in (one.children() for one in attributes.children())}
    yield from _attribute_faults(found, hashlib.new(algorithm.name, manifest).digest(), leaf, at)
    # What is signed is the attributes as a SET, not with the tag that they have inside the signature.
    signed = hashlib.new(algorithm.name, bytes((_SET,)) + attributes.whole[1:]).digest()
    if not _verifies(leaf, value, signed, algorithm):
        yield "The signature is not by the pass type's certificate, or was changed."


def _names(name: Element, leaf: x509.Certificate) -> bool:
    if name.tag != _SEQUENCE:
        key = leaf.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        return name.inside == key
    issuer, serial = name.children()
    return issuer.whole == leaf.issuer.public_bytes() and int.from_bytes(serial.inside, "big") == leaf.serial_number


def _attribute_faults(
    found: dict[bytes, list[Element]], digest: bytes, leaf: x509.Certificate, at: datetime
) -> Iterator[str]:
    names = {_CONTENT_TYPE: "contentType", _MESSAGE_DIGEST: "messageDigest", _SIGNING_TIME: "signingTime"}
    missing = [name for oid, name in names.items() if len(found.get(oid, ())) != 1]
    for name in missing:
        yield f"The signed attribute {name} is missing."
    if missing:
        return
    if found[_CONTENT_TYPE][0].inside != _DATA:
        yield "The signed attribute contentType is not “data”."
    if found[_MESSAGE_DIGEST][0].inside != digest:
        yield "The manifest was changed after it was signed."
    signed_at = _moment(found[_SIGNING_TIME][0])
    if signed_at > at + _CLOCK_SKEW:
        yield f"The pass was signed in the future, at {signed_at:%Y-%m-%d %H:%M} UTC."
    if not leaf.not_valid_before_utc - timedelta(seconds=1) <= signed_at <= leaf.not_valid_after_utc:
        yield "The pass was signed while its certificate was not valid."


def _moment(time: Element) -> datetime:
    text = time.inside.decode("ascii")
    return datetime.strptime(text, "%y%m%d%H%M%SZ" if time.tag == _UTC_TIME else "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _verifies(leaf: x509.Certificate, value: bytes, digest: bytes, algorithm: hashes.HashAlgorithm) -> bool:
    key = leaf.public_key()
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(value, digest, PKCS1v15(), Prehashed(algorithm))
        elif isinstance(key, EllipticCurvePublicKey):
            key.verify(value, digest, ECDSA(Prehashed(algorithm)))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _chain_faults(
    leaf: x509.Certificate, intermediate: x509.Certificate, roots: Sequence[x509.Certificate], at: datetime
) -> Iterator[str]:
    if leaf.issuer != intermediate.subject:
        yield "The intermediate certificate is not the one that issued the pass type's."
    elif not _issued(intermediate, leaf):
        yield "The intermediate certificate has the right name, but did not sign the pass type's."
    if _key_id(leaf, x509.AuthorityKeyIdentifier) != _key_id(intermediate, x509.SubjectKeyIdentifier):
        yield "The pass type's certificate names another authority key than the intermediate's."
    if not any(intermediate.issuer == root.subject and _issued(root, intermediate) for root in roots):
        yield "The certificates do not lead to a root that this phone trusts."
    for name, one in (("pass type's", leaf), ("intermediate", intermediate)):
        if not one.not_valid_before_utc <= at <= one.not_valid_after_utc:
            since, until = one.not_valid_before_utc, one.not_valid_after_utc
            yield f"The {name} certificate is valid from {since:%Y-%m-%d} to {until:%Y-%m-%d} only."


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _key_id(
    certificate: x509.Certificate, kind: type[x509.AuthorityKeyIdentifier | x509.SubjectKeyIdentifier]
) -> bytes:
    try:
        value = certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return b""
    return (value.key_identifier or b"") if isinstance(value, x509.AuthorityKeyIdentifier) else value.digest


def _leaf_faults(leaf: x509.Certificate, contents: dict[str, Any]) -> Iterator[str]:
    pass_type, team = str(contents.get("passTypeIdentifier", "")), str(contents.get("teamIdentifier", ""))
    extensions = {extension.oid: extension.value for extension in leaf.extensions}
    if name_part(leaf.subject, NameOID.USER_ID) != pass_type:
        yield f"The certificate is for {name_part(leaf.subject, NameOID.USER_ID)}, the pass for {pass_type}."
    named = extensions.get(PASS_TYPE_EXTENSION)
    if not isinstance(named, x509.UnrecognizedExtension) or _text(named.value) != pass_type:
        yield "The certificate's pass type extension is not the passTypeIdentifier."
    unit = name_part(leaf.subject, NameOID.ORGANIZATIONAL_UNIT_NAME)
    if unit != team:
        yield f"The certificate is of team {unit}, the pass of {team}."
    usage = extensions.get(x509.ExtendedKeyUsage.oid)
    if not isinstance(usage, x509.ExtendedKeyUsage) or PASS_SIGNING not in usage:
        yield "The certificate may not sign passes (its extended key usage lacks Apple's purpose)."


def _text(value: bytes) -> str:
    """The text in an extension, which is DER."""
    try:
        return read(value).inside.decode()
    except ValueError:
        return ""


def load_roots(pem: bytes) -> list[x509.Certificate]:
    """The certificates in a PEM file. Raises ValueError when there are none."""
    return x509.load_pem_x509_certificates(pem)
