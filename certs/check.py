"""Do a Pass Type certificate, its WWDR intermediate and a key belong together, and will phones accept them?

The rules are Apple's: an iPhone refuses a pass whose chain breaks any of them, and shows no reason.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.x509.oid import NameOID

from certs.identity import DEVELOPMENT_ORGANIZATION, PASS_TYPE, TEAM, WRONG_KIND, name_part

PASS_TYPE_EXTENSION = x509.ObjectIdentifier("1.2.840.113635.100.6.1.16")
"""Apple's extension that repeats the pass type identifier."""

PASS_SIGNING = x509.ObjectIdentifier("1.2.840.113635.100.4.14")
"""Apple's extended key usage for signing passes."""

MINIMUM_RSA_BITS = 2048
_EXPORT_AGAIN = "Export the certificate together with its private key again, as one .p12 file"
_MAKE_NEW = "Make a new Pass Type ID Certificate in Apple's developer account"


@dataclass(frozen=True)
class Problem:
    """One reason why phones would refuse the passes. `code` is stable, `text` says what is wrong and what to do."""

    code: str
    text: str


def problems(
    certificate: x509.Certificate, intermediate: x509.Certificate, key: RSAPrivateKey, at: datetime
) -> list[Problem]:
    """Everything wrong with the identity at `at` (aware); empty when it can sign passes."""
    try:
        return [
            *_chain(certificate, intermediate),
            *_dates(certificate, intermediate, at),
            *_pass_type(certificate),
            *_team(certificate),
            *_purpose(certificate),
            *_key(certificate, key),
        ]
    except (ValueError, x509.DuplicateExtension) as error:
        return [Problem("damaged", f"A certificate is damaged ({error}). Download it from Apple again")]


def signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether `issuer`, by name and by key, signed `certificate`."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def authority(name: x509.Name) -> str:
    """Apple's intermediate as its page lists it, such as “Worldwide Developer Relations - G4”, from its `name`."""
    common_name = name_part(name, NameOID.COMMON_NAME)
    unit = name_part(name, NameOID.ORGANIZATIONAL_UNIT_NAME)
    if "Worldwide Developer Relations" not in common_name:
        return f"“{common_name or name.rfc4514_string()}”"
    if re.fullmatch(r"G\d+", unit):
        return f"“Worldwide Developer Relations - {unit}”"
    return "the first “Worldwide Developer Relations”, which expired in 2023"


def where_to_get(name: x509.Name) -> str:
    """A sentence that says where the intermediate called `name` is found and how it is imported."""
    if name_part(name, NameOID.ORGANIZATION_NAME) == DEVELOPMENT_ORGANIZATION:
        return "Make a new development chain with: leima certs dev; or give this one's own wwdr.pem with --wwdr FILE"
    return f"Download {authority(name)} from Apple's certificate authority page and give it with --wwdr FILE"


def pass_type_extension(certificate: x509.Certificate) -> str:
    """The pass type identifier in Apple's extension, or an empty string. Takes any ASN.1 string, or bare text."""
    try:
        extension = certificate.extensions.get_extension_for_oid(PASS_TYPE_EXTENSION).value
    except x509.ExtensionNotFound:
        return ""
    raw = extension.public_bytes()
    # A DER string of this length has two bytes before its text, or three from 128 bytes on; a bare one starts with “p”.
    for start in (0, 2, 3):
        text = raw[start:].decode("utf-8", "replace")
        if PASS_TYPE.fullmatch(text):
            return text
    return ""


def _chain(certificate: x509.Certificate, intermediate: x509.Certificate) -> Iterator[Problem]:
    issuer = certificate.issuer
    if issuer != intermediate.subject:
        yield Problem(
            "wrong_wwdr",
            f"This is the wrong WWDR certificate: the pass certificate was issued by {authority(issuer)}, and the "
            f"file given is {authority(intermediate.subject)}. {where_to_get(issuer)}",
        )
        return
    if not signed(intermediate, certificate):
        yield Problem(
            "wwdr_did_not_sign",
            f"The WWDR certificate has the right name, {authority(issuer)}, but its key did not sign the pass "
            f"certificate. {where_to_get(issuer)}",
        )
        return
    if _authority_key(certificate) is None or _authority_key(certificate) != _subject_key(intermediate):
        yield Problem(
            "key_identifier",
            "The pass certificate's authority key identifier is not the WWDR certificate's subject key identifier, "
            f"so phones can't link the two. {where_to_get(issuer)}",
        )


def _authority_key(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return None


def _subject_key(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def _dates(certificate: x509.Certificate, intermediate: x509.Certificate, at: datetime) -> Iterator[Problem]:
    made_here = name_part(certificate.issuer, NameOID.ORGANIZATION_NAME) == DEVELOPMENT_ORGANIZATION
    renew = "Make a new development chain with: leima certs dev" if made_here else f"{_MAKE_NEW} and import it"
    refresh = where_to_get(certificate.issuer)
    for what, item, prefix, remedy in (
        ("pass certificate", certificate, "", renew),
        ("WWDR certificate", intermediate, "wwdr_", refresh),
    ):
        if at > item.not_valid_after_utc:
            day = item.not_valid_after_utc.date()
            yield Problem(f"{prefix}expired", f"The {what} expired on {day}. {remedy}")
        elif at < item.not_valid_before_utc:
            day = item.not_valid_before_utc.date()
            yield Problem(
                f"{prefix}not_yet_valid",
                f"The {what} is valid only from {day}, and it is {at.date()} now. Check this machine's clock",
            )


def _pass_type(certificate: x509.Certificate) -> Iterator[Problem]:
    uid = name_part(certificate.subject, NameOID.USER_ID)
    extension = pass_type_extension(certificate)
    if not PASS_TYPE.fullmatch(uid):
        yield Problem("not_a_pass_certificate", WRONG_KIND)
    elif not extension:
        yield Problem(
            "no_pass_type_extension",
            f"The certificate lacks Apple's pass type extension, so it was not made for {uid}. {_MAKE_NEW}",
        )
    elif uid != extension:
        yield Problem(
            "pass_type_mismatch",
            f"The certificate names two pass types: {uid} in its subject and {extension} in Apple's extension. "
            f"{_MAKE_NEW}",
        )


def _team(certificate: x509.Certificate) -> Iterator[Problem]:
    team = name_part(certificate.subject, NameOID.ORGANIZATIONAL_UNIT_NAME)
    if not TEAM.fullmatch(team):
        yield Problem(
            "no_team",
            f"The certificate's OU must be the team identifier, ten capital letters and digits, but it is “{team}”. "
            f"{_MAKE_NEW}",
        )


def _purpose(certificate: x509.Certificate) -> Iterator[Problem]:
    try:
        usages = list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        usages = []
    if PASS_SIGNING not in usages:
        yield Problem(
            "not_for_passes",
            f"The certificate may not sign passes: extended key usage {PASS_SIGNING.dotted_string} is missing. "
            f"{_MAKE_NEW}; other kinds of certificates lack it",
        )


def _key(certificate: x509.Certificate, key: RSAPrivateKey) -> Iterator[Problem]:
    public = certificate.public_key()
    if public != key.public_key():
        yield Problem("key_mismatch", f"The private key belongs to another certificate. {_EXPORT_AGAIN}")
    if not isinstance(public, RSAPublicKey):
        yield Problem("not_rsa", f"The certificate's key is not RSA. {_MAKE_NEW}, from an RSA 2048 bit request")
    elif public.key_size < MINIMUM_RSA_BITS:
        yield Problem(
            "weak_key",
            f"The key has only {public.key_size} bits, and phones want at least {MINIMUM_RSA_BITS}. "
            f"{_MAKE_NEW}, from an RSA 2048 bit request",
        )
