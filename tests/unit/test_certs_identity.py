"""Signing identities: what they say about themselves, and that storing them loses nothing."""

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certs import development, identity
from certs.identity import CertificateError, SigningIdentity

NOW = datetime.now(UTC)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path.cwd())}


@pytest.fixture(scope="module")
def demo() -> SigningIdentity:
    return development.make("pass.fi.leima.demo", "LEIMADEMO1", "Kahvila Ääni", NOW, days=365)


@pytest.fixture(scope="module")
def other() -> SigningIdentity:
    return development.make("pass.fi.leima.other", "LEIMADEMO2", "Parturi", NOW, days=30)


@pytest.fixture(scope="module")
def renewed() -> SigningIdentity:
    return development.make("pass.fi.leima.demo", "LEIMADEMO1", "Kahvila Ääni", NOW, days=700)


@pytest.fixture(scope="module")
def signed_manifest(demo: SigningIdentity, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of the stored identity and one with manifest.json and a detached signature of it by openssl."""
    work = tmp_path_factory.mktemp("signed")
    folder = identity.save(demo, work / "certs")
    (work / "manifest.json").write_bytes(b'{\n"pass.json": "0123"\n}\n')
    subprocess.run(
        f"openssl smime -sign -binary -in manifest.json -out signature -outform DER -signer {folder}/certificate.pem "
        f"-inkey {folder}/key.pem -certfile {folder}/wwdr.pem".split(),
        cwd=work,
        check=True,
        capture_output=True,
    )
    return folder, work


def verify(folder: Path, work: Path, *purpose: str) -> int:
    arguments = ["-binary", "-inform", "DER", "-in", "signature", "-content", "manifest.json"]
    command = ["openssl", "smime", "-verify", *arguments, "-CAfile", folder / "root.pem", *purpose]
    return subprocess.run(command, cwd=work, capture_output=True).returncode


def test_openssl_verifies_a_development_signature_when_told_that_any_purpose_will_do(signed_manifest):
    assert verify(*signed_manifest, "-purpose", "any") == 0


def test_openssl_refuses_a_development_signature_as_mail_like_it_refuses_apples(signed_manifest):
    assert verify(*signed_manifest) != 0


def test_openssl_refuses_a_manifest_with_one_byte_changed(signed_manifest, tmp_path):
    folder, work = signed_manifest
    (tmp_path / "manifest.json").write_bytes((work / "manifest.json").read_bytes().replace(b"0123", b"0124"))
    (tmp_path / "signature").write_bytes((work / "signature").read_bytes())
    assert verify(folder, tmp_path, "-purpose", "any") != 0


def test_openssl_accepts_the_whole_development_chain_strictly(signed_manifest):
    folder, _ = signed_manifest
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "wwdr.pem", "certificate.pem"]
    assert subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout == "certificate.pem: OK\n"


def test_an_identity_tells_whose_it_is_and_until_when(demo):
    told = (demo.pass_type_identifier, demo.team_identifier, demo.organization, demo.development, demo.days_left(NOW))
    assert told == ("pass.fi.leima.demo", "LEIMADEMO1", "Kahvila Ääni", True, 365)


def test_the_certificate_or_the_intermediate_that_ends_first_decides(demo, other):
    mixed = SigningIdentity(other.certificate, demo.intermediate, other.private_key)
    assert other.certificate.not_valid_after_utc == mixed.not_after
    swapped = SigningIdentity(demo.certificate, other.certificate, demo.private_key)
    assert other.certificate.not_valid_after_utc == swapped.not_after


def test_days_left_is_negative_after_the_end(demo):
    assert [demo.days_left(demo.not_after), demo.days_left(demo.not_after + timedelta(seconds=1))] == [0, -1]


def test_signing_is_allowed_in_date(demo):
    for moment in (demo.not_before, NOW, demo.not_after):
        demo.ensure_valid(moment)


def test_signing_with_an_expired_identity_is_refused_with_the_reason(demo):
    with pytest.raises(CertificateError, match=r"pass\.fi\.leima\.demo expired on .*leima certs dev"):
        demo.ensure_valid(demo.not_after + timedelta(seconds=1))


def test_signing_before_the_certificate_begins_is_refused_and_points_at_the_clock(demo):
    with pytest.raises(CertificateError, match=r"valid only from .*Check this machine's clock"):
        demo.ensure_valid(demo.not_before - timedelta(seconds=1))


def test_a_private_key_is_never_printed(demo):
    assert "private_key" not in repr(demo)


def test_a_certificate_without_a_pass_type_is_no_identity(demo):
    with pytest.raises(CertificateError, match="not a Pass Type ID certificate"):
        SigningIdentity(demo.intermediate, demo.intermediate, demo.private_key)


@pytest.mark.parametrize(
    ("pass_type", "team", "organization", "said"),
    [
        ("fi.leima.demo", "LEIMADEMO1", "Leima", "not a pass type identifier"),
        ("pass.../../etc", "LEIMADEMO1", "Leima", "not a pass type identifier"),
        ("pass." + "a" * 123, "LEIMADEMO1", "Leima", "not a pass type identifier"),
        ("pass.fi.leima.demo", "SHORT", "Leima", "not a team identifier"),
        ("pass.fi.leima.demo", "LEIMADEMO1", "", "1 to 64 characters"),
    ],
)
def test_a_development_chain_is_refused_for_names_that_apple_never_gives(pass_type, team, organization, said):
    with pytest.raises(CertificateError, match=said):
        development.make(pass_type, team, organization, NOW)


def test_a_stored_identity_comes_back_whole(demo, tmp_path):
    loaded = identity.load(identity.save(demo, tmp_path))
    assert demo == loaded
    assert demo.private_key.private_numbers() == loaded.private_key.private_numbers()


def test_only_the_owner_can_read_the_key(demo, tmp_path):
    folder = identity.save(demo, tmp_path / "certs")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes["key.pem"] == 0o600
    assert {"certificate.pem", "wwdr.pem", "key.pem", "root.pem"} == set(modes)


def test_several_pass_types_live_side_by_side(demo, other, tmp_path):
    identity.save(demo, tmp_path)
    identity.save(other, tmp_path)
    assert {"pass.fi.leima.demo": demo, "pass.fi.leima.other": other} == identity.load_all(tmp_path)


def test_an_installation_without_certificates_has_no_identities(tmp_path):
    assert identity.load_all(tmp_path / "certs") == {}


def test_a_renewed_identity_replaces_the_old_one_and_leaves_nothing_behind(demo, renewed, tmp_path):
    identity.save(demo, tmp_path)
    identity.save(renewed, tmp_path)
    assert renewed == identity.load(tmp_path / "pass.fi.leima.demo")
    assert [path.name for path in tmp_path.iterdir()] == ["pass.fi.leima.demo"]


KILLED_SAVE = """
import os, signal, sys
from pathlib import Path
from certs import identity
calls_until_kill = int(sys.argv[1])
def count(frame, event, called):
    global calls_until_kill
    if event == "c_call" and called in (os.open, os.fsync, os.rename, os.rmdir, os.unlink):
        calls_until_kill -= 1
        if calls_until_kill == 0:
            os.kill(os.getpid(), signal.SIGKILL)
new = identity.load(Path(sys.argv[2]))
sys.setprofile(count)
identity.save(new, Path(sys.argv[3]))
"""


def test_a_save_that_is_killed_at_any_step_leaves_the_old_or_the_new_identity_whole(demo, renewed, tmp_path):
    new, kept = identity.save(renewed, tmp_path / "new"), tmp_path / "certs"
    identity.save(demo, kept)
    killed, outcomes = 0, []
    for step in range(1, 60):
        command = [sys.executable, "-c", KILLED_SAVE, str(step), new, kept]
        code = subprocess.run(command, capture_output=True, env=ENVIRONMENT).returncode
        found = identity.load_all(kept)
        assert list(found) == ["pass.fi.leima.demo"]
        outcomes.append("new" if found["pass.fi.leima.demo"] == renewed else "old")
        if code == 0:
            break
        assert code == -9
        killed += 1
        identity.save(demo, kept)
    assert {"old", "new"} == set(outcomes)
    assert killed > 10
    assert [path.name for path in kept.iterdir()] == ["pass.fi.leima.demo"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from certs import identity
new = identity.load(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    identity.save(new, Path(sys.argv[2]))
except identity.CertificateError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_leaves_the_old_identity_and_says_so(demo, renewed, tmp_path):
    new, kept = identity.save(renewed, tmp_path / "new"), tmp_path / "certs"
    identity.save(demo, kept)
    command = [sys.executable, "-c", FULL_DISK, new, kept]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert "could not be stored" in done.stdout
    assert "Nothing was changed" in done.stdout
    assert {"pass.fi.leima.demo": demo} == identity.load_all(kept)
    assert [path.name for path in kept.iterdir()] == ["pass.fi.leima.demo"]


def test_a_missing_folder_says_how_to_import(tmp_path):
    for folder in (tmp_path / "pass.fi.leima.demo", tmp_path / "nowhere" / "pass.fi.leima.demo"):
        with pytest.raises(CertificateError, match="leima certs import FILE"):
            identity.load(folder)


@pytest.mark.parametrize("name", ["certificate.pem", "wwdr.pem", "key.pem"])
def test_a_missing_or_damaged_file_is_named(demo, tmp_path, name):
    folder = identity.save(demo, tmp_path)
    (folder / name).write_text("damaged")
    with pytest.raises(CertificateError, match=rf"{name} is damaged"):
        identity.load(folder)
    (folder / name).unlink()
    with pytest.raises(CertificateError, match=rf"{name} can't be read: No such file"):
        identity.load(folder)


def test_a_certificate_with_the_key_of_another_is_refused(demo, renewed, tmp_path):
    folder = identity.save(demo, tmp_path)
    (folder / "certificate.pem").write_bytes(renewed.certificate.public_bytes(Encoding.PEM))
    with pytest.raises(CertificateError, match="is not the key of"):
        identity.load(folder)


def test_a_folder_named_after_another_pass_type_is_refused(demo, tmp_path):
    folder = identity.save(demo, tmp_path).rename(tmp_path / "pass.fi.leima.wrong")
    with pytest.raises(CertificateError, match=r"Rename the folder to pass\.fi\.leima\.demo"):
        identity.load(folder)
