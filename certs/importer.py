"""Reads signing identities from the files that people have: .p12 / .pfx, .pem in one or several files, .cer."""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key, pkcs12
from cryptography.x509.oid import NameOID

from certs.check import signed, where_to_get
from certs.identity import PASS_TYPE, WRONG_KIND, CertificateError, SigningIdentity, name_part

_PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)

CONVERT = "openssl pkcs12 -legacy -in OLD.p12 -out NEW.pem"
"""Turns a .p12 that a library refuses into a .pem with the key encrypted; asks for the old and a new password."""

_UNKNOWN_FILE = (
    "This file is damaged, or is none of .p12, .pfx, .pem, .cer and .key. Export it from Keychain Access as .p12, "
    "or download the certificate from Apple's developer account again"
)

_BROKEN_CIPHERS = {
    b"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x01": "RC4-128",
    b"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x02": "RC4-40",
    b"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x05": "RC2-128",
    b"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x06": "RC2-40",
}
"""The DER of PKCS #12's old password ciphers (RFC 7292, appendix C): they stand unencrypted in the file."""


class PasswordError(CertificateError):
    """The password is missing or wrong."""


@dataclass
class _Contents:
    """What a file held."""

    certificates: list[x509.Certificate] = field(default_factory=list)
    keys: list[RSAPrivateKey] = field(default_factory=list)


def read(
    data: bytes, password: str | None = None, wwdr: bytes | None = None, key: bytes | None = None
) -> SigningIdentity:
    """The identity in `data`, a .p12, .pem or .cer, completed by `wwdr` and `key` when those are files of their own.

    The intermediate is chosen by the pass certificate's issuer. Nothing but what belongs together by form is checked
    here: ask certs.check.problems before use. Raises PasswordError when the password is missing or wrong, and
    CertificateError when a part is missing or a file can't be read.
    """
    main = _contents(data, password)
    extra = _contents(wwdr, None) if wwdr is not None else _Contents()
    keys = _contents(key, password).keys if key is not None else main.keys
    if not main.certificates:
        raise CertificateError(
            "There is no certificate in this file, only a private key. In Keychain Access, export the entry "
            "“Pass Type ID: …” itself, with the key under it; or give the key with --key and the certificate as FILE"
        )
    if not keys:
        raise CertificateError(_no_key(of_key_file=key is not None))
    leaf, private_key = _pair(main.certificates, keys)
    return SigningIdentity(leaf, _intermediate(leaf, main.certificates, extra.certificates), private_key)


def broken_cipher(data: bytes) -> str | None:
    """The name of the outdated cipher, such as RC2-40, that protects a .p12; None for a sound one or another format.

    Leima reads such files. But anybody who gets hold of one gets the key, password or not.
    """
    return next((name for marker, name in _BROKEN_CIPHERS.items() if marker in data), None)


def _no_key(*, of_key_file: bool) -> str:
    if of_key_file:
        return "There is no private key in the file given with --key. Give the .key or .pem file that has it"
    return (
        "There is no private key in this file: only the certificate was exported. In Keychain Access, open "
        "“My Certificates”, unfold the certificate to see the key under it, select both and export them as .p12. "
        "When the key is a file of its own, give it with --key FILE"
    )


def _pair(certificates: list[x509.Certificate], keys: list[RSAPrivateKey]) -> tuple[x509.Certificate, RSAPrivateKey]:
    """The pass certificate and its key; a mismatched pair when none match, so that the check can say so."""
    passes = [item for item in certificates if PASS_TYPE.fullmatch(name_part(item.subject, NameOID.USER_ID))]
    matching = [
        (certificate, key)
        for certificate in passes or certificates
        for key in keys
        if certificate.public_key() == key.public_key()
    ]
    if len({name_part(certificate.subject, NameOID.USER_ID) for certificate, _ in matching}) > 1:
        raise CertificateError(
            "There are several pass types in this file. Export them one by one, and import each file by itself"
        )
    if not matching:
        return (passes or certificates)[0], keys[0]
    return max(matching, key=lambda pair: pair[0].not_valid_after_utc)


def _intermediate(
    leaf: x509.Certificate, bundled: list[x509.Certificate], given: list[x509.Certificate]
) -> x509.Certificate:
    """The issuer of `leaf`; a wrong one only when it was given by hand, so that the check can say what is wrong."""
    named = [item for item in given + bundled if item.subject == leaf.issuer and item != leaf]
    candidates = [item for item in named if signed(item, leaf)] or named or given
    if not candidates:
        if not PASS_TYPE.fullmatch(name_part(leaf.subject, NameOID.USER_ID)):
            raise CertificateError(WRONG_KIND)
        raise CertificateError(
            "Apple's WWDR certificate is missing: it stands between this certificate and Apple's root, and every "
            f"pass carries it. {where_to_get(leaf.issuer)}"
        )
    return max(candidates, key=lambda item: item.not_valid_after_utc)


def _contents(data: bytes, password: str | None) -> _Contents:
    if b"-----BEGIN " in data:
        return _pem(data, password)
    with contextlib.suppress(ValueError):
        return _Contents(certificates=[x509.load_der_x509_certificate(data)])
    # A PKCS #12 file is a sequence that begins with version 3 (RFC 7292, section 4); a key begins otherwise.
    if b"\x02\x01\x03" in data[:12]:
        return _pkcs12(data, password)
    return _Contents(keys=[_key(load_der_private_key, data, password)])


def _pem(data: bytes, password: str | None) -> _Contents:
    contents = _Contents()
    blocks = [(match[1], match[0]) for match in _PEM_BLOCK.finditer(data)]
    for label, block in blocks:
        if label == b"CERTIFICATE":
            try:
                contents.certificates.append(x509.load_pem_x509_certificate(block))
            except ValueError:
                raise CertificateError("A certificate in this file is damaged. Export or download it again") from None
        elif label.endswith(b"PRIVATE KEY"):
            contents.keys.append(_key(load_pem_private_key, block, password))
    if not contents.certificates and not contents.keys:
        if any(label.endswith(b"CERTIFICATE REQUEST") for label, _ in blocks):
            raise CertificateError(
                "This is the certificate request. Upload it in Apple's developer account, and import the certificate "
                "that Apple makes from it, with the key that the request was made with: "
                "leima certs import pass.cer --key pass.key"
            )
        raise CertificateError(_UNKNOWN_FILE)
    return contents


def _key(load: Callable[[bytes, bytes | None], object], data: bytes, password: str | None) -> RSAPrivateKey:
    try:
        key = _load_key(load, data, password)
    except UnsupportedAlgorithm:
        raise CertificateError(
            "The private key is of a kind that Apple does not use. Give the RSA key that the request was made with"
        ) from None
    except ValueError as error:
        if "password" in str(error):
            raise PasswordError("The password of the private key is wrong") from None
        raise CertificateError(_UNKNOWN_FILE) from None
    if not isinstance(key, RSAPrivateKey):
        raise CertificateError(
            "The private key is not an RSA key. Give the RSA key that the certificate request was made with"
        )
    return key


def _load_key(load: Callable[[bytes, bytes | None], object], data: bytes, password: str | None) -> object:
    # cryptography answers TypeError both for a password that is missing and for one that nothing needs.
    with contextlib.suppress(TypeError):
        return load(data, None)
    if not password:
        raise PasswordError("The private key is protected by a password. Give it")
    return load(data, password.encode())


def _pkcs12(data: bytes, password: str | None) -> _Contents:
    try:
        loaded = pkcs12.load_pkcs12(data, password.encode() if password else None)
    except (ValueError, UnsupportedAlgorithm) as error:
        cipher = broken_cipher(data)
        convert = (
            f". It is protected with the outdated {cipher}, which some machines no longer read: if the password is "
            f"right, convert the file with “{CONVERT}” and import NEW.pem"
            if cipher
            else ""
        )
        if "password" not in str(error).lower() and not cipher:
            raise CertificateError(_UNKNOWN_FILE) from None
        what = "The password of this .p12 file is wrong" if password else "This .p12 file is protected by a password"
        raise PasswordError(what + convert) from None
    bundled = [item.certificate for item in loaded.additional_certs]
    if loaded.key is not None and not isinstance(loaded.key, RSAPrivateKey):
        raise CertificateError(
            "The private key is not an RSA key. Make the certificate anew, from an RSA 2048 bit request"
        )
    return _Contents(
        certificates=[loaded.cert.certificate, *bundled] if loaded.cert else bundled,
        keys=[loaded.key] if loaded.key else [],
    )
