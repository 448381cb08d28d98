"""Signing identities: a Pass Type certificate, its private key, and Apple's certificate between it and the root.

An installation may have several, one per pass type, each in a folder of its own:
`<data>/certs/<passTypeIdentifier>/` with certificate.pem, wwdr.pem, key.pem (mode 0600) and, for a development chain
only, root.pem.
"""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

DEVELOPMENT_ORGANIZATION = "Leima development"
"""The organization that every development chain names as its issuer. It is how one is told from a real identity."""

RENEW_DAYS = 30
"""From this many days before it expires, people are warned to renew a certificate."""

PASS_TYPE = re.compile(r"(?=.{6,127}\Z)pass\.[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
TEAM = re.compile(r"[A-Z0-9]{10}")

WRONG_KIND = (
    "This is not a Pass Type ID certificate: its subject has no UID that starts with “pass.”. In Apple's developer "
    "account, make a certificate of the kind “Pass Type ID Certificate”; one for apps or for push alone does not work"
)

_CERTIFICATE, _INTERMEDIATE, _KEY, _ROOT = "certificate.pem", "wwdr.pem", "key.pem", "root.pem"
_IMPORT_AGAIN = "Import the certificate again with: leima certs import FILE"


class CertificateError(Exception):
    """A signing identity can't be used. The text says in plain words why, and what to do."""


def name_part(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    """The first value of `oid` in a certificate's subject or issuer; empty when there is none."""
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""


@dataclass(frozen=True)
class SigningIdentity:
    """What signs passes of one pass type. Raises CertificateError when the certificate names no pass type."""

    certificate: x509.Certificate
    intermediate: x509.Certificate
    private_key: RSAPrivateKey = field(repr=False, compare=False)
    root: x509.Certificate | None = None
    """The chain's root, kept for development chains only: phones and Macs have Apple's own."""

    def __post_init__(self) -> None:
        # The identifier becomes a folder's name, so nothing but its own alphabet may pass.
        if not PASS_TYPE.fullmatch(self.pass_type_identifier):
            raise CertificateError(WRONG_KIND)

    @cached_property
    def pass_type_identifier(self) -> str:
        """passTypeIdentifier of the passes that this identity may sign, for example pass.fi.leima.demo."""
        return name_part(self.certificate.subject, NameOID.USER_ID)

    @cached_property
    def team_identifier(self) -> str:
        """teamIdentifier of the Apple developer team, ten characters."""
        return name_part(self.certificate.subject, NameOID.ORGANIZATIONAL_UNIT_NAME)

    @cached_property
    def organization(self) -> str:
        """Whom Apple issued the certificate to: the subject's organization, or its common name when it has none."""
        subject = self.certificate.subject
        return name_part(subject, NameOID.ORGANIZATION_NAME) or name_part(subject, NameOID.COMMON_NAME)

    @cached_property
    def issuer(self) -> str:
        """The issuer's common name with its generation, for example “Apple Worldwide … Authority, G4”."""
        issuer = self.certificate.issuer
        parts = (name_part(issuer, NameOID.COMMON_NAME), name_part(issuer, NameOID.ORGANIZATIONAL_UNIT_NAME))
        return ", ".join(part for part in parts if part)

    @cached_property
    def not_before(self) -> datetime:
        """Aware, UTC: when both the certificate and its intermediate have become valid."""
        return max(self.certificate.not_valid_before_utc, self.intermediate.not_valid_before_utc)

    @cached_property
    def not_after(self) -> datetime:
        """Aware, UTC: the last moment at which both the certificate and its intermediate are valid."""
        return min(self.certificate.not_valid_after_utc, self.intermediate.not_valid_after_utc)

    @cached_property
    def development(self) -> bool:
        """Whether the chain was made by `leima certs dev`. Phones refuse passes signed with it."""
        return name_part(self.intermediate.subject, NameOID.ORGANIZATION_NAME) == DEVELOPMENT_ORGANIZATION

    def days_left(self, at: datetime) -> int:
        """Whole days from `at` until the identity expires; negative once it has."""
        return (self.not_after - at) // timedelta(days=1)

    def ensure_valid(self, at: datetime) -> None:
        """Raise CertificateError unless passes may be signed at `at` (aware)."""
        if at < self.not_before:
            raise CertificateError(
                f"The signing certificate for {self.pass_type_identifier} is valid only from {_day(self.not_before)}, "
                f"and it is {_day(at)} now. Check this machine's clock"
            )
        if at > self.not_after:
            raise CertificateError(
                f"The signing certificate for {self.pass_type_identifier} expired on {_day(self.not_after)}, so "
                "phones would refuse its passes. Renew it in Apple's developer account (docs/certificates.md says "
                "how) and run: leima certs import FILE"
                if not self.development
                else f"The development certificate for {self.pass_type_identifier} expired on {_day(self.not_after)}. "
                f"Make a new one with: leima certs dev --pass-type {self.pass_type_identifier}"
            )


def load(folder: Path) -> SigningIdentity:
    """The identity stored in `folder`. Raises CertificateError when a file is missing, broken or of another key."""
    with _lock(folder.parent, fcntl.LOCK_SH):
        return _read(folder)


def load_all(certs_folder: Path) -> dict[str, SigningIdentity]:
    """Every stored identity by its passTypeIdentifier. Raises CertificateError for the first that can't be read."""
    return {identity.pass_type_identifier: identity for identity in map(load, folders(certs_folder))}


def folders(certs_folder: Path) -> list[Path]:
    """The folders that hold, or held until a crash, an identity; sorted by name. May be empty."""
    if not certs_folder.is_dir():
        return []
    names = {path.name for path in certs_folder.iterdir() if path.is_dir()}
    kept = {name.removesuffix(_PREVIOUS).removeprefix(".") for name in names if name.endswith(_PREVIOUS)}
    return [certs_folder / name for name in sorted({n for n in names if not n.startswith(".")} | kept)]


def save(identity: SigningIdentity, certs_folder: Path) -> Path:
    """Store `identity` in its folder, in place of an older one of the same pass type; returns the folder.

    A folder can't replace a full one in one step, so the older one is first moved aside, and `load` looks there too:
    after a crash at any moment either the old or the new identity is complete. Raises CertificateError when the disk
    is full or refuses; the old identity stays then.
    """
    folder = certs_folder / identity.pass_type_identifier
    try:
        certs_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _lock(certs_folder, fcntl.LOCK_EX):
            _clear_leftovers(certs_folder, identity.pass_type_identifier)
            fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=_FRESH, dir=certs_folder))
            try:
                _write(identity, fresh)
                _put_in_place(fresh, folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    _clear_leftovers(certs_folder, identity.pass_type_identifier)
                raise
    except OSError as error:
        raise CertificateError(
            f"The certificate could not be stored in {folder}: {error.strerror}. "
            "Nothing was changed; free some space or fix the folder's permissions, and try again"
        ) from error
    return folder


_PREVIOUS, _FRESH = ".previous", ".fresh"


def _previous(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{_PREVIOUS}")


def _clear_leftovers(certs_folder: Path, pass_type_identifier: str) -> None:
    """Finish what a killed `save` left: put the old identity back, and remove half-written new ones."""
    folder = certs_folder / pass_type_identifier
    if _previous(folder).exists():
        if folder.exists():
            shutil.rmtree(_previous(folder))
        else:
            _previous(folder).rename(folder)
    for path in certs_folder.iterdir():
        if path.name.startswith(f".{pass_type_identifier}.") and path.name.endswith(_FRESH):
            shutil.rmtree(path)


def _write(identity: SigningIdentity, folder: Path) -> None:
    certificates = {_CERTIFICATE: identity.certificate, _INTERMEDIATE: identity.intermediate, _ROOT: identity.root}
    contents = {name: item.public_bytes(Encoding.PEM) for name, item in certificates.items() if item is not None}
    contents[_KEY] = identity.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, content in contents.items():
        # The key is never readable by others, not even for the moment between creating and chmod.
        mode = 0o600 if name == _KEY else 0o644
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _sync(folder)


def _put_in_place(fresh: Path, folder: Path) -> None:
    if folder.exists():
        folder.rename(_previous(folder))
    fresh.rename(folder)
    _sync(folder.parent)
    shutil.rmtree(_previous(folder), ignore_errors=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _lock(folder: Path, kind: int) -> Iterator[None]:
    """Keep readers from seeing one file of the old identity and another of the new. A killed process holds nothing."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        raise CertificateError(f"The folder {folder} does not exist. {_IMPORT_AGAIN}") from None
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def _read(folder: Path) -> SigningIdentity:
    source = folder if folder.exists() else _previous(folder)
    if not source.is_dir():
        raise CertificateError(f"There is no signing certificate in {folder}. {_IMPORT_AGAIN}")
    identity = SigningIdentity(
        certificate=_read_certificate(source / _CERTIFICATE),
        intermediate=_read_certificate(source / _INTERMEDIATE),
        private_key=_read_key(source / _KEY),
        root=_read_certificate(source / _ROOT) if (source / _ROOT).exists() else None,
    )
    if identity.pass_type_identifier != folder.name:
        raise CertificateError(
            f"The folder {folder} holds the certificate for {identity.pass_type_identifier}. "
            f"Rename the folder to {identity.pass_type_identifier}"
        )
    if identity.certificate.public_key() != identity.private_key.public_key():
        raise CertificateError(f"{folder / _KEY} is not the key of {folder / _CERTIFICATE}. {_IMPORT_AGAIN}")
    return identity


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_read_bytes(path))
    except ValueError:
        raise CertificateError(f"{path} is damaged: it holds no PEM certificate. {_IMPORT_AGAIN}") from None


def _read_key(path: Path) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(_read_bytes(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateError(f"{path} is damaged: it holds no plain PEM private key. {_IMPORT_AGAIN}") from None
    if not isinstance(key, RSAPrivateKey):
        raise CertificateError(f"{path} is not an RSA key, and Apple's pass certificates are RSA. {_IMPORT_AGAIN}")
    return key


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{path} can't be read: {error.strerror}. {_IMPORT_AGAIN}") from None


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
