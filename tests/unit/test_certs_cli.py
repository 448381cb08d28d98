"""`leima certs` as a technician uses it."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from app import settings
from app.cli.certs import certs
from certs import check, development, identity
from certs.identity import SigningIdentity

NOW = datetime.now(UTC)
DEMO = "pass.fi.leima.demo"
REAL = "pass.fi.kahvila.kortti"
PRODUCTION = {"env": "production", "secret_key": "x" * 32, "public_url": "https://leima.example"}


@pytest.fixture(scope="module")
def demo() -> SigningIdentity:
    return development.make(DEMO, "LEIMADEMO1", "Leima demo", NOW)


@pytest.fixture(scope="module")
def expiring() -> SigningIdentity:
    return development.make("pass.fi.leima.expiring", "LEIMADEMO1", "Leima demo", NOW, days=12)


@pytest.fixture(scope="module")
def expired() -> SigningIdentity:
    return development.make("pass.fi.leima.expired", "LEIMADEMO1", "Leima demo", NOW - timedelta(days=9), days=2)


@pytest.fixture(scope="module")
def real(demo: SigningIdentity) -> SigningIdentity:
    """A chain named as Apple's. Only its names make it real: nobody else can sign with Apple's key."""
    key = generate_private_key(65537, 2048)
    common_name = "Apple Worldwide Developer Relations Certification Authority"
    apple = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "G4"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Apple Inc."),
        ]
    )
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.USER_ID, REAL),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "A1B2C3D4E5"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Kahvila Oy"),
        ]
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    intermediate = _dated(apple, apple, key.public_key()).add_extension(identifier, critical=False)
    of_authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    leaf = (
        _dated(subject, apple, demo.private_key.public_key())
        .add_extension(of_authority, critical=False)
        .add_extension(x509.ExtendedKeyUsage([check.PASS_SIGNING]), critical=False)
        .add_extension(x509.UnrecognizedExtension(check.PASS_TYPE_EXTENSION, REAL.encode()), critical=False)
    )
    signed = (item.sign(key, hashes.SHA256()) for item in (leaf, intermediate))
    return SigningIdentity(*signed, demo.private_key)


def _dated(subject: x509.Name, issuer: x509.Name, public_key) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
    return builder.serial_number(7).not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=300))


def leima(data: Path, *arguments: str | Path, typed: str | None = None, **changes: object) -> Result:
    def load() -> settings.Settings:
        return settings.load({}, **{"env": "demo", "data": data, **changes})

    return CliRunner().invoke(certs, [str(argument) for argument in arguments], input=typed, obj=load)


def exported(one: SigningIdentity, folder: Path, *options: str) -> Path:
    """A .p12 of `one` with the password `salasana`, without WWDR; and wwdr.cer and password.txt beside it."""
    stored = identity.save(one, folder / "source")
    out = folder / "pass.p12"
    command = ["openssl", "pkcs12", "-export", "-in", stored / "certificate.pem", "-inkey", stored / "key.pem"]
    subprocess.run([*command, "-out", out, "-passout", "pass:salasana", *options], check=True, capture_output=True)
    (folder / "wwdr.cer").write_bytes(one.intermediate.public_bytes(Encoding.DER))
    (folder / "password.txt").write_text("salasana\n")
    return out


def test_dev_makes_an_identity_that_can_sign(tmp_path):
    result = leima(tmp_path, "dev", "--pass-type", DEMO, "--team", "ABCDE12345")
    assert (result.exit_code, identity.load(tmp_path / "certs" / DEMO).team_identifier) == (0, "ABCDE12345")
    made = identity.load(tmp_path / "certs" / DEMO)
    assert check.problems(made.certificate, made.intermediate, made.private_key, datetime.now(UTC)) == []


def test_dev_again_makes_a_new_one(tmp_path, demo):
    identity.save(demo, tmp_path / "certs")
    assert leima(tmp_path, "dev").exit_code == 0
    assert demo != identity.load(tmp_path / "certs" / DEMO)


def test_dev_never_replaces_a_real_identity(tmp_path, real):
    identity.save(real, tmp_path / "certs")
    for changes in ({}, PRODUCTION):
        result = leima(tmp_path, "dev", "--pass-type", REAL, "--force", "trying out", **changes)
        assert (1, real) == (result.exit_code, identity.load(tmp_path / "certs" / REAL))
        assert "a development one must not replace it" in result.output


@pytest.mark.parametrize("force", [[], ["--force", " "]])
def test_dev_is_refused_in_production_without_a_reason(tmp_path, force):
    result = leima(tmp_path, "dev", *force, **PRODUCTION)
    assert (result.exit_code, identity.load_all(tmp_path / "certs")) == (1, {})
    assert "production installation" in result.output


def test_dev_in_production_repeats_the_reason(tmp_path):
    result = leima(tmp_path, "dev", "--force", "rehearsal before Apple's answer", **PRODUCTION)
    assert result.exit_code == 0
    assert "Reason given: rehearsal before Apple's answer" in result.output


def test_dev_says_what_a_pass_type_looks_like(tmp_path):
    result = leima(tmp_path, "dev", "--pass-type", "kortti")
    assert (result.exit_code, "It looks like pass.fi.leima.demo" in result.output) == (1, True)


def test_import_asks_for_the_password_without_showing_it(tmp_path, real):
    file = exported(real, tmp_path)
    result = leima(tmp_path, "import", file, "--wwdr", tmp_path / "wwdr.cer", typed="salasana\n")
    assert (result.exit_code, "salasana" in result.output) == (0, False)
    assert real == identity.load(tmp_path / "certs" / REAL)
    assert "A1B2C3D4E5" in result.output


def test_import_reads_the_password_from_a_file(tmp_path, real):
    file = exported(real, tmp_path)
    options = ("--wwdr", tmp_path / "wwdr.cer", "--password-file", tmp_path / "password.txt")
    assert leima(tmp_path, "import", file, *options).exit_code == 0
    assert real == identity.load(tmp_path / "certs" / REAL)


def test_import_of_open_pem_files_asks_for_nothing(tmp_path, real):
    exported(real, tmp_path)
    source = tmp_path / "source" / REAL
    result = leima(
        tmp_path, "import", source / "certificate.pem", "--wwdr", source / "wwdr.pem", "--key", source / "key.pem"
    )
    assert (0, real) == (result.exit_code, identity.load(tmp_path / "certs" / REAL))


def test_import_with_a_wrong_password_changes_nothing(tmp_path, real):
    file = exported(real, tmp_path)
    (tmp_path / "password.txt").write_text("wrong")
    for options, typed in ((("--password-file", tmp_path / "password.txt"), None), ((), "wrong\n")):
        result = leima(tmp_path, "import", file, "--wwdr", tmp_path / "wwdr.cer", *options, typed=typed)
        assert (result.exit_code, "password of this .p12 file is wrong" in result.output) == (1, True)
        assert identity.load_all(tmp_path / "certs") == {}


def test_import_with_the_wrong_wwdr_changes_nothing_and_names_the_right_one(tmp_path, real, demo):
    file = exported(real, tmp_path)
    (tmp_path / "wwdr.cer").write_bytes(demo.root.public_bytes(Encoding.DER))
    options = ("--wwdr", tmp_path / "wwdr.cer", "--password-file", tmp_path / "password.txt")
    result = leima(tmp_path, "import", file, *options)
    assert (result.exit_code, identity.load_all(tmp_path / "certs")) == (1, {})
    assert "Download “Worldwide Developer Relations - G4” from Apple's certificate authority page" in result.output


def test_import_without_wwdr_names_the_one_that_is_needed(tmp_path, real):
    file = exported(real, tmp_path)
    result = leima(tmp_path, "import", file, "--password-file", tmp_path / "password.txt")
    assert (result.exit_code, identity.load_all(tmp_path / "certs")) == (1, {})
    assert "Apple's WWDR certificate is missing" in result.output
    assert "Download “Worldwide Developer Relations - G4” from Apple's certificate authority page" in result.output


def test_import_of_an_expired_certificate_is_refused(tmp_path, expired):
    file = exported(expired, tmp_path)
    options = ("--wwdr", tmp_path / "wwdr.cer", "--password-file", tmp_path / "password.txt")
    result = leima(tmp_path, "import", file, *options)
    assert (result.exit_code, "The pass certificate expired on" in result.output) == (1, True)


def test_import_of_an_old_p12_warns_that_anyone_can_break_it(tmp_path, real):
    listed = subprocess.run(["openssl", "list", "-providers", "-provider", "legacy"], capture_output=True)
    if listed.returncode:
        pytest.skip("this openssl has no legacy provider, so it can't write an old .p12")
    file = exported(real, tmp_path, "-legacy", "-certpbe", "PBE-SHA1-RC2-40")
    options = ("--wwdr", tmp_path / "wwdr.cer", "--password-file", tmp_path / "password.txt")
    result = leima(tmp_path, "import", file, *options)
    assert (result.exit_code, "outdated RC2-40, which anyone can break" in result.output) == (0, True)


def test_import_of_a_development_chain_in_production_wants_a_reason(tmp_path, demo):
    file = exported(demo, tmp_path)
    options = ("--wwdr", tmp_path / "wwdr.cer", "--password-file", tmp_path / "password.txt")
    refused = leima(tmp_path, "import", file, *options, **PRODUCTION)
    assert (refused.exit_code, identity.load_all(tmp_path / "certs")) == (1, {})
    assert "--force REASON" in refused.output
    done = leima(tmp_path, "import", file, *options, "--force", "rehearsal", **PRODUCTION)
    assert (done.exit_code, list(identity.load_all(tmp_path / "certs"))) == (0, [DEMO])
    assert "Reason given: rehearsal" in done.output


def test_import_of_a_film_is_refused_before_it_fills_the_memory(tmp_path):
    film = tmp_path / "film.p12"
    with film.open("wb") as file:
        file.truncate(5 << 30)
    result = leima(tmp_path, "import", film)
    assert (result.exit_code, "larger than 1 MB" in result.output) == (1, True)


def test_show_tells_everything_about_each_identity(tmp_path, real, demo):
    for one in (real, demo):
        identity.save(one, tmp_path / "certs")
    result = leima(tmp_path, "show")
    assert result.exit_code == 0
    assert result.output.splitlines()[:8] == [
        REAL,
        "  kind          real",
        "  team          A1B2C3D4E5",
        "  organisation  Kahvila Oy",
        "  issuer        Apple Worldwide Developer Relations Certification Authority, G4",
        f"  valid from    {real.not_before:%Y-%m-%d %H:%M} UTC",
        f"  valid until   {real.not_after:%Y-%m-%d %H:%M} UTC",
        "  days left     299",
    ]
    assert f"{DEMO}\n  kind          development: phones refuse its passes" in result.output


def test_show_warns_in_the_last_thirty_days(tmp_path, expiring):
    identity.save(expiring, tmp_path / "certs")
    result = leima(tmp_path, "show")
    assert (result.exit_code, "WARNING       Expires in " in result.output) == (0, True)


def test_show_fails_for_an_expired_identity_and_still_shows_the_others(tmp_path, expired, expiring):
    for one in (expired, expiring):
        identity.save(one, tmp_path / "certs")
    result = leima(tmp_path, "show")
    assert result.exit_code == 1
    assert "PROBLEM       The pass certificate expired on" in result.output
    assert "pass.fi.leima.expiring\n  kind" in result.output


def test_show_fails_for_a_damaged_identity_and_still_shows_the_others(tmp_path, demo, expiring):
    (identity.save(demo, tmp_path / "certs") / "key.pem").write_text("")
    identity.save(expiring, tmp_path / "certs")
    result = leima(tmp_path, "show")
    assert result.exit_code == 1
    assert "key.pem is damaged" in result.output
    assert "pass.fi.leima.expiring\n  kind" in result.output


def test_show_without_any_identity_says_how_to_get_one(tmp_path):
    result = leima(tmp_path, "show")
    assert (result.exit_code, "leima certs import FILE" in result.output) == (1, True)


@pytest.mark.parametrize("command", [["dev"], ["show"]])
def test_a_wrong_setting_stops_every_command_with_its_reason(tmp_path, command):
    result = leima(tmp_path, *command, port=0)
    assert (result.exit_code, "LEIMA_PORT" in result.output) == (2, True)
