"""The files that people really have become signing identities, or a sentence that says what is missing."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certs import development, identity, importer
from certs.identity import CertificateError, SigningIdentity

NOW = datetime.now(UTC)
PASSWORD = "kahvi ja pulla ääni"


@pytest.fixture(scope="module")
def demo() -> SigningIdentity:
    return development.make("pass.fi.leima.demo", "LEIMADEMO1", "Kahvila", NOW)


@pytest.fixture(scope="module")
def other() -> SigningIdentity:
    return development.make("pass.fi.leima.other", "LEIMADEMO1", "Kahvila", NOW)


@pytest.fixture(scope="module")
def files(demo: SigningIdentity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo identity's folder, as PEM files."""
    return identity.save(demo, tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def legacy_openssl() -> None:
    listed = subprocess.run(["openssl", "list", "-providers", "-provider", "legacy"], capture_output=True)
    if listed.returncode:
        pytest.skip("this openssl has no legacy provider, so it can't write an old .p12")


def openssl(arguments: str, folder: Path, *more: str | Path) -> bytes:
    command = ["openssl", *arguments.split(), *more]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout


def p12(files: Path, *options: str, password: str = PASSWORD) -> bytes:
    return openssl("pkcs12 -export", files, "-passout", f"pass:{password}", *options)


WHOLE = ("-in", "certificate.pem", "-inkey", "key.pem", "-certfile", "wwdr.pem")
WITHOUT_WWDR = ("-in", "certificate.pem", "-inkey", "key.pem")


def same(expected: SigningIdentity, found: SigningIdentity) -> bool:
    return (
        expected.certificate == found.certificate
        and expected.intermediate == found.intermediate
        and expected.private_key.private_numbers() == found.private_key.private_numbers()
    )


def pem_key(of: SigningIdentity) -> bytes:
    return of.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_p12_with_the_wwdr_certificate_inside_is_all_it_takes(demo, files):
    assert same(demo, importer.read(p12(files, *WHOLE), PASSWORD))


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_p12_without_wwdr_takes_it_from_its_own_file_pem_or_der(demo, files, encoding):
    wwdr = demo.intermediate.public_bytes(encoding)
    assert same(demo, importer.read(p12(files, *WITHOUT_WWDR), PASSWORD, wwdr=wwdr))


def test_a_p12_without_wwdr_says_that_it_is_missing(files):
    with pytest.raises(CertificateError, match=r"Apple's WWDR certificate is missing.*wwdr.pem with --wwdr FILE"):
        importer.read(p12(files, *WITHOUT_WWDR), PASSWORD)


def test_the_right_wwdr_inside_wins_over_a_wrong_one_given(demo, other, files):
    wrong = other.root.public_bytes(Encoding.PEM)
    assert same(demo, importer.read(p12(files, *WHOLE), PASSWORD, wwdr=wrong))


def test_a_wwdr_of_the_same_name_but_another_key_loses_to_the_one_that_signed(demo, other, files):
    namesake = other.intermediate.public_bytes(Encoding.PEM)
    assert same(demo, importer.read(p12(files, *WHOLE), PASSWORD, wwdr=namesake))


def test_a_wrong_wwdr_given_alone_is_kept_for_the_check_to_explain(other, files):
    wrong = other.root.public_bytes(Encoding.DER)
    assert other.root == importer.read(p12(files, *WITHOUT_WWDR), PASSWORD, wwdr=wrong).intermediate


def test_a_p12_without_password_is_read(demo, files):
    assert same(demo, importer.read(p12(files, *WHOLE, password="")))


@pytest.mark.parametrize(("password", "said"), [("wrong", "is wrong"), (None, "protected by a password")])
def test_a_wrong_or_missing_password_of_a_p12_is_told(files, password, said):
    with pytest.raises(importer.PasswordError, match=said):
        importer.read(p12(files, *WHOLE), password)


def test_a_p12_exported_without_its_key_says_how_to_export_it(files):
    with pytest.raises(CertificateError, match=r"only the certificate was exported.*My Certificates"):
        importer.read(p12(files, "-nokeys", "-in", "certificate.pem"), PASSWORD)


def test_a_p12_without_its_key_is_completed_by_a_key_file(demo, files):
    exported = p12(files, "-nokeys", "-in", "certificate.pem", "-certfile", "wwdr.pem")
    assert same(demo, importer.read(exported, PASSWORD, key=(files / "key.pem").read_bytes()))


def test_a_p12_with_nothing_but_a_key_says_that_the_certificate_is_missing(files):
    with pytest.raises(CertificateError, match="no certificate in this file, only a private key"):
        importer.read(p12(files, "-nocerts", "-in", "key.pem", "-inkey", "key.pem"), PASSWORD)


@pytest.mark.parametrize("cipher", ["RC2-40", "RC4-128", "RC2-128", "RC4-40"])
def test_an_old_p12_with_a_broken_cipher_is_read_and_known_as_such(demo, files, legacy_openssl, cipher):
    old = p12(files, *WHOLE, "-legacy", "-certpbe", f"PBE-SHA1-{cipher}")
    assert same(demo, importer.read(old, PASSWORD))
    assert cipher == importer.broken_cipher(old)


def test_an_old_p12_that_does_not_open_names_the_command_that_converts_it(files, legacy_openssl):
    old = p12(files, *WHOLE, "-legacy", "-certpbe", "PBE-SHA1-RC2-40")
    with pytest.raises(importer.PasswordError) as caught:
        importer.read(old, "wrong")
    assert importer.CONVERT in str(caught.value)
    assert "outdated RC2-40" in str(caught.value)


def test_the_command_in_the_hint_makes_a_file_that_is_read(demo, files, legacy_openssl, tmp_path):
    (tmp_path / "OLD.p12").write_bytes(p12(files, *WHOLE, "-legacy", "-certpbe", "PBE-SHA1-RC2-40"))
    passwords = ["-passin", f"pass:{PASSWORD}", "-passout", "pass:uusi"]
    subprocess.run([*importer.CONVERT.split(), *passwords], cwd=tmp_path, check=True, capture_output=True)
    assert same(demo, importer.read((tmp_path / "NEW.pem").read_bytes(), "uusi"))


def test_todays_p12_is_not_called_outdated(files):
    assert importer.broken_cipher(p12(files, *WHOLE)) is None


def test_one_pem_with_everything_is_read_in_any_order(demo, files):
    parts = [(files / name).read_bytes() for name in ("root.pem", "wwdr.pem", "key.pem", "certificate.pem")]
    assert same(demo, importer.read(b"Bag Attributes\n friendlyName: Pass\n".join(parts)))
    assert same(demo, importer.read(b"\r\n".join(reversed(parts)).replace(b"\n", b"\r\n")))


@pytest.mark.parametrize(("form", "encoding"), [("PEM", Encoding.PEM), ("DER", Encoding.DER)])
def test_three_separate_files_are_read_as_pem_or_der(demo, files, form, encoding):
    certificate, wwdr = (item.public_bytes(encoding) for item in (demo.certificate, demo.intermediate))
    key = openssl(f"pkey -in key.pem -outform {form}", files)
    assert same(demo, importer.read(certificate, wwdr=wwdr, key=key))


def test_a_password_that_nothing_needs_does_no_harm(demo, files):
    parts = [(files / name).read_bytes() for name in ("certificate.pem", "wwdr.pem", "key.pem")]
    assert same(demo, importer.read(b"".join(parts), "not needed"))


@pytest.mark.parametrize(
    "command",
    [
        "pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -passout pass:sala",
        "pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -passout pass:sala -outform DER",
        "rsa -traditional -aes256 -in key.pem -passout pass:sala",
        "rsa -traditional -des3 -in key.pem -passout pass:sala",
    ],
)
def test_an_encrypted_key_file_opens_with_its_password_only(demo, files, command):
    key, wwdr = openssl(command, files), demo.intermediate.public_bytes(Encoding.PEM)
    certificate = demo.certificate.public_bytes(Encoding.PEM)
    assert same(demo, importer.read(certificate, "sala", wwdr=wwdr, key=key))
    with pytest.raises(importer.PasswordError, match="password of the private key is wrong"):
        importer.read(certificate, "wrong", wwdr=wwdr, key=key)
    with pytest.raises(importer.PasswordError, match="protected by a password"):
        importer.read(certificate, None, wwdr=wwdr, key=key)


def test_a_certificate_alone_asks_for_its_key(demo):
    with pytest.raises(CertificateError, match="give it with --key FILE"):
        importer.read(demo.certificate.public_bytes(Encoding.DER), wwdr=demo.intermediate.public_bytes(Encoding.DER))


def test_a_certificate_given_as_the_key_is_told(demo):
    certificate = demo.certificate.public_bytes(Encoding.PEM)
    with pytest.raises(CertificateError, match="no private key in the file given with --key"):
        importer.read(certificate, key=certificate)


def test_a_key_of_another_certificate_is_kept_for_the_check_to_explain(demo, other):
    pems = [item.public_bytes(Encoding.PEM) for item in (demo.certificate, demo.intermediate)]
    found = importer.read(pems[0], wwdr=pems[1], key=pem_key(other))
    assert (demo.certificate, other.private_key.private_numbers()) == (
        found.certificate,
        found.private_key.private_numbers(),
    )


def test_several_pass_types_in_one_file_are_refused(demo, other):
    both = [item.public_bytes(Encoding.PEM) for one in (demo, other) for item in (one.certificate, one.intermediate)]
    with pytest.raises(CertificateError, match="several pass types in this file"):
        importer.read(b"".join([*both, pem_key(demo), pem_key(other)]))


def test_a_certificate_request_is_recognised(files):
    request = openssl("req -new -key key.pem -subj /CN=Kahvila", files)
    with pytest.raises(CertificateError, match="This is the certificate request"):
        importer.read(request)


def test_an_elliptic_curve_key_is_told_to_be_rsa(demo, files):
    key = openssl("ecparam -name prime256v1 -genkey -noout", files)
    with pytest.raises(CertificateError, match="not an RSA key"):
        importer.read(demo.certificate.public_bytes(Encoding.PEM), key=key)


def test_a_certificate_for_something_else_is_told(files):
    with pytest.raises(CertificateError, match="not a Pass Type ID certificate"):
        importer.read((files / "root.pem").read_bytes() + (files / "key.pem").read_bytes())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x30\x82\x0a\x00\x02\x01\x03",
        b"PK\x03\x04",
        b"-----BEGIN NOTHING-----\nAA==\n-----END NOTHING-----\n",
        b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\n",
    ],
)
def test_a_file_that_is_no_certificate_is_called_damaged_or_unknown(data):
    with pytest.raises(CertificateError, match=r"damaged"):
        importer.read(data, "password")


def test_a_p12_cut_off_anywhere_is_refused_without_a_crash(files):
    whole = p12(files, *WHOLE)
    for length in range(0, len(whole) - 1, 97):
        with pytest.raises(CertificateError):
            importer.read(whole[:length], PASSWORD)
