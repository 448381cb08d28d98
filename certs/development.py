"""A development chain shaped like Apple's: root → Worldwide Developer Relations → Pass Type certificate.

OpenSSL verifies passes signed with it exactly as it verifies real ones, given the chain's own root. Phones refuse them:
they trust Apple's root only. The root's and the intermediate's keys are forgotten as soon as the chain is made, so
nothing else can ever be issued under it.
"""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.check import PASS_SIGNING, PASS_TYPE_EXTENSION
from certs.identity import DEVELOPMENT_ORGANIZATION, PASS_TYPE, TEAM, CertificateError, SigningIdentity

INTERMEDIATE_MARKER = x509.ObjectIdentifier("1.2.840.113635.100.6.2.1")
"""Apple's mark on Worldwide Developer Relations intermediates; its value is an ASN.1 NULL."""

_AUTHORITY_LIFE = timedelta(days=3650)
_CLOCK_SKEW = timedelta(minutes=5)
_COMMON_NAME_LENGTH = 64


def make(
    pass_type_identifier: str, team_identifier: str, organization: str, at: datetime, days: int = 365
) -> SigningIdentity:
    """A new chain, valid from five minutes before `at` (aware) until `days` after it.

    Raises CertificateError when a name is not of Apple's form. Takes 0.2 to 2 seconds: it generates three RSA keys.
    """
    if not PASS_TYPE.fullmatch(pass_type_identifier):
        raise CertificateError(
            f"“{pass_type_identifier}” is not a pass type identifier. It looks like pass.fi.leima.demo: "
            "“pass.”, then letters, digits, hyphens and dots"
        )
    if not TEAM.fullmatch(team_identifier):
        raise CertificateError(
            f"“{team_identifier}” is not a team identifier. It has ten capital letters and digits, such as LEIMADEMO1"
        )
    if not 1 <= len(organization) <= _COMMON_NAME_LENGTH:
        raise CertificateError(f"The organization's name must have 1 to {_COMMON_NAME_LENGTH} characters")

    # Certificates count in whole seconds; rounding up keeps the promised number of days.
    start, end = at - _CLOCK_SKEW, at.replace(microsecond=0) + timedelta(days=days, seconds=1)
    authority_end = max(at + _AUTHORITY_LIFE, end)
    root_key, intermediate_key, leaf_key = (generate_private_key(65537, 2048) for _ in range(3))

    root_name = _name("Leima Development Root CA", "Leima Certification Authority")
    root = _authority(root_name, root_key.public_key(), root_name, root_key, (start, authority_end), None)
    intermediate_name = _name("Leima Worldwide Developer Relations Certification Authority", "G4")
    intermediate = _authority(
        intermediate_name, intermediate_key.public_key(), root_name, root_key, (start, authority_end), 0
    )
    subject = _leaf_name(pass_type_identifier, team_identifier, organization)
    unsigned = certificate_builder(subject, leaf_key.public_key(), intermediate_name, intermediate_key, (start, end))
    leaf = _leaf_extensions(unsigned, pass_type_identifier).sign(intermediate_key, hashes.SHA256())
    return SigningIdentity(certificate=leaf, intermediate=intermediate, private_key=leaf_key, root=root)


def _name(common_name: str, unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, DEVELOPMENT_ORGANIZATION),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FI"),
        ]
    )


def _leaf_name(pass_type_identifier: str, team_identifier: str, organization: str) -> x509.Name:
    # X.509 allows a common name 64 characters; nobody reads the identifier from here, so a long one is cut.
    common_name = f"Pass Type ID: {pass_type_identifier}"[:_COMMON_NAME_LENGTH]
    return x509.Name(
        [
            x509.NameAttribute(NameOID.USER_ID, pass_type_identifier),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, team_identifier),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FI"),
        ]
    )


def certificate_builder(
    subject: x509.Name,
    public_key: RSAPublicKey | EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: RSAPrivateKey | EllipticCurvePrivateKey,
    validity: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    """A certificate with names, keys and a serial number; its uses are still to be added. `validity` is aware."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _authority(
    subject: x509.Name,
    public_key: RSAPublicKey,
    issuer: x509.Name,
    issuer_key: RSAPrivateKey,
    validity: tuple[datetime, datetime],
    path_length: int | None,
) -> x509.Certificate:
    builder = (
        certificate_builder(subject, public_key, issuer, issuer_key, validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(key_usage(authority=True), critical=True)
    )
    if issuer != subject:
        builder = builder.add_extension(x509.UnrecognizedExtension(INTERMEDIATE_MARKER, b"\x05\x00"), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _leaf_extensions(builder: x509.CertificateBuilder, pass_type_identifier: str) -> x509.CertificateBuilder:
    utf8_string = b"\x0c" + bytes([len(pass_type_identifier)]) + pass_type_identifier.encode()
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(authority=False), critical=True)
        # Apple's own have client authentication too: the same certificate opens the connection to APNs.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, PASS_SIGNING]), critical=False)
        .add_extension(x509.UnrecognizedExtension(PASS_TYPE_EXTENSION, utf8_string), critical=False)
    )


def key_usage(*, authority: bool) -> x509.KeyUsage:
    """An authority signs certificates and revocation lists only, everybody else signatures only."""
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
