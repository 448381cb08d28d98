"""Every way in which certificates don't belong together is told in plain words, by a stable code."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs import check, development

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DEMO = "pass.fi.leima.demo"


@dataclass(frozen=True)
class Keys:
    authority: RSAPrivateKey
    leaf: RSAPrivateKey
    stranger: RSAPrivateKey
    small: RSAPrivateKey


@dataclass(frozen=True)
class Chain:
    """A chain named as Apple's, sound unless told otherwise."""

    generation: str = "G4"
    given_generation: str = "G4"
    signed_by: str = "authority"
    authority_identifier_of: str | None = "authority"
    uid: str | None = DEMO
    extension: bytes | None = b"\x0c\x12" + DEMO.encode()
    team: str = "LEIMADEMO1"
    usages: tuple[x509.ObjectIdentifier, ...] = (check.PASS_SIGNING,)
    leaf_dates: tuple[datetime, datetime] = (NOW - DAY, NOW + DAY)
    authority_dates: tuple[datetime, datetime] = (NOW - DAY, NOW + DAY)
    leaf_key: str = "leaf"
    given_key: str = "leaf"


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys(
        *(generate_private_key(65537, 2048) for _ in range(3)),
        # Only a weak key shows that weak keys are found.
        small=generate_private_key(65537, 1024),  # noqa: S505
    )


def authority_name(generation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "Apple Worldwide Developer Relations Certification Authority"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, generation),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Apple Inc."),
        ]
    )


def builder(subject, issuer, public_key, dates) -> x509.CertificateBuilder:
    named = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
    return named.serial_number(7).not_valid_before(dates[0]).not_valid_after(dates[1])


def leaf_of(chain: Chain, keys: Keys) -> x509.Certificate:
    subject = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, chain.team)]
    if chain.uid is not None:
        subject.append(x509.NameAttribute(NameOID.USER_ID, chain.uid))
    public = getattr(keys, chain.leaf_key).public_key()
    leaf = builder(x509.Name(subject), authority_name(chain.generation), public, chain.leaf_dates)
    if chain.authority_identifier_of:
        issuer_key = getattr(keys, chain.authority_identifier_of).public_key()
        leaf = leaf.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    if chain.usages:
        leaf = leaf.add_extension(x509.ExtendedKeyUsage(chain.usages), critical=False)
    if chain.extension is not None:
        mark = x509.UnrecognizedExtension(check.PASS_TYPE_EXTENSION, chain.extension)
        leaf = leaf.add_extension(mark, critical=False)
    return leaf.sign(getattr(keys, chain.signed_by), hashes.SHA256())


def problems(chain: Chain, keys: Keys) -> list[check.Problem]:
    name = authority_name(chain.given_generation)
    authority = builder(name, name, keys.authority.public_key(), chain.authority_dates)
    identifier = x509.SubjectKeyIdentifier.from_public_key(keys.authority.public_key())
    intermediate = authority.add_extension(identifier, critical=False).sign(keys.authority, hashes.SHA256())
    return check.problems(leaf_of(chain, keys), intermediate, getattr(keys, chain.given_key), NOW)


def test_a_sound_chain_has_no_problems(keys):
    assert problems(Chain(), keys) == []


def test_a_development_chain_has_no_problems():
    made = development.make(DEMO, "LEIMADEMO1", "Leima demo", NOW)
    assert check.problems(made.certificate, made.intermediate, made.private_key, NOW) == []


def test_an_expired_development_chain_is_made_anew_not_renewed_at_apple():
    made = development.make(DEMO, "LEIMADEMO1", "Leima demo", NOW, days=1)
    found = check.problems(made.certificate, made.intermediate, made.private_key, NOW + 2 * DAY)
    expected = "The pass certificate expired on 2026-11-23. Make a new development chain with: leima certs dev"
    assert [check.Problem("expired", expected)] == found


@pytest.mark.parametrize(
    ("chain", "code", "said"),
    [
        (Chain(given_generation="G3"), "wrong_wwdr", "Download “Worldwide Developer Relations - G4” from Apple's cert"),
        (Chain(given_generation="Apple"), "wrong_wwdr", "the first “Worldwide Developer Relations”, which expired in"),
        (Chain(signed_by="stranger"), "wwdr_did_not_sign", "its key did not sign"),
        (Chain(authority_identifier_of="stranger"), "key_identifier", "authority key identifier"),
        (Chain(authority_identifier_of=None), "key_identifier", "authority key identifier"),
        (Chain(leaf_dates=(NOW - 2 * DAY, NOW - DAY)), "expired", "The pass certificate expired on 2026-11-21"),
        (Chain(leaf_dates=(NOW + DAY, NOW + 2 * DAY)), "not_yet_valid", "valid only from 2026-11-23"),
        (Chain(authority_dates=(NOW - 2 * DAY, NOW - DAY)), "wwdr_expired", "The WWDR certificate expired on"),
        (Chain(authority_dates=(NOW + DAY, NOW + 2 * DAY)), "wwdr_not_yet_valid", "Check this machine's clock"),
        (Chain(uid=None), "not_a_pass_certificate", "not a Pass Type ID certificate"),
        (Chain(uid="fi.leima.app"), "not_a_pass_certificate", "one for apps or for push alone does not work"),
        (Chain(extension=None), "no_pass_type_extension", "lacks Apple's pass type extension"),
        (Chain(extension=b"\x0c\x0bpass.fi.other"), "pass_type_mismatch", "pass.fi.leima.demo in its subject and pass"),
        (Chain(team="Kahvila"), "no_team", "it is “Kahvila”"),
        (Chain(usages=()), "not_for_passes", "1.2.840.113635.100.4.14 is missing"),
        (Chain(usages=(ExtendedKeyUsageOID.CLIENT_AUTH,)), "not_for_passes", "1.2.840.113635.100.4.14 is missing"),
        (Chain(given_key="stranger"), "key_mismatch", "belongs to another certificate"),
        (Chain(leaf_key="small", given_key="small"), "weak_key", "only 1024 bits"),
    ],
)
def test_a_fault_is_named_and_said_in_plain_words(keys, chain, code, said):
    found = problems(chain, keys)
    assert [code] == [problem.code for problem in found]
    assert said in found[0].text


@pytest.mark.parametrize(
    "value", [b"\x0c\x12" + DEMO.encode(), b"\x16\x12" + DEMO.encode(), b"\x13\x12" + DEMO.encode(), DEMO.encode()]
)
def test_the_pass_type_extension_may_be_any_string(keys, value):
    assert problems(Chain(extension=value), keys) == []


def test_a_pass_type_extension_longer_than_127_bytes_or_of_nonsense_is_no_pass_type(keys):
    for value in (b"", b"\x05\x00", b"\xff" * 40, b"\x0c\x81\x80pass." + b"a" * 123):
        assert [item.code for item in problems(Chain(extension=value), keys)] == ["no_pass_type_extension"]


def test_every_fault_is_told_at_once(keys):
    chain = Chain(given_generation="G3", team="x", usages=(), given_key="stranger", extension=None)
    expected = ["wrong_wwdr", "no_pass_type_extension", "no_team", "not_for_passes", "key_mismatch"]
    assert expected == [problem.code for problem in problems(chain, keys)]


def test_an_elliptic_curve_certificate_is_told_to_be_rsa(keys):
    name = authority_name("G4")
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    leaf = builder(name, name, public, (NOW - DAY, NOW + DAY)).sign(keys.authority, hashes.SHA256())
    codes = {problem.code for problem in check.problems(leaf, leaf, keys.leaf, NOW)}
    assert {"not_rsa", "key_mismatch"} <= codes
