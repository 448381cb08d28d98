"""`leima certs`: the identities that sign Apple passes."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click

from app import clock
from app.cli.common import settings_or_exit
from app.settings import Settings
from certs import check, development, identity, importer
from certs.identity import CertificateError, SigningIdentity

_LARGEST_FILE = 1 << 20
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def certs() -> None:
    """Make, import and show the certificates that sign Apple passes."""


@certs.command()
@click.option("--pass-type", default="pass.fi.leima.demo", show_default=True, help="Pass type identifier.")
@click.option("--team", default="LEIMADEMO1", show_default=True, help="Team identifier, ten characters.")
@click.option("--organization", default="Leima demo", show_default=True, help="Whom the certificate names.")
@click.option("--force", metavar="REASON", help="Make one in production too; say why.")
@click.pass_obj
def dev(load_settings: Callable[[], Settings], pass_type: str, team: str, organization: str, force: str | None) -> None:
    """Make a development chain. OpenSSL verifies its passes, phones refuse them."""
    settings = settings_or_exit(load_settings)
    _refuse_development(settings, force)
    folder = _folder(settings)
    try:
        _refuse_to_replace_real(folder, pass_type)
        made = development.make(pass_type, team, organization, clock.now())
        stored = identity.save(made, folder)
    except CertificateError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Made a development certificate for {pass_type} in {stored}")
    click.echo(f"Verify passes against {stored / 'root.pem'}. Phones refuse them: for those, import a real one.")
    if force:
        click.echo(f"Reason given: {force.strip()}")


@certs.command("import")
@click.argument("file", type=_FILE)
@click.option("--wwdr", type=_FILE, help="Apple's WWDR certificate (.cer or .pem), when FILE lacks it.")
@click.option("--key", type=_FILE, help="The private key, when FILE lacks it.")
@click.option("--password-file", type=_FILE, help="A file that holds the password; else it is asked for when needed.")
@click.option("--force", metavar="REASON", help="Import a development certificate in production too; say why.")
@click.pass_obj
def import_(
    load_settings: Callable[[], Settings],
    file: Path,
    wwdr: Path | None,
    key: Path | None,
    password_file: Path | None,
    force: str | None,
) -> None:
    """Import a Pass Type ID certificate from FILE (.p12, .pfx, .pem or .cer) after checking that it can sign."""
    settings = settings_or_exit(load_settings)
    try:
        found = _read(file, wwdr, key, password_file)
        _refuse_problems(found, clock.now())
        if found.development:
            _refuse_development(settings, force)
        stored = identity.save(found, _folder(settings))
    except CertificateError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Imported into {stored}")
    _describe(found, clock.now())
    if force:
        click.echo(f"Reason given: {force.strip()}")
    cipher = importer.broken_cipher(_bytes(file))
    if cipher:
        click.echo(
            f"Note: {file.name} is protected with the outdated {cipher}, which anyone can break without the "
            "password. Delete the file, or keep it where nobody else can read it."
        )


@certs.command()
@click.pass_obj
def show(load_settings: Callable[[], Settings]) -> None:
    """Print every identity. Exits 1 when there is none, or one that can't sign."""
    at = clock.now()
    folders = identity.folders(_folder(settings_or_exit(load_settings)))
    if not folders:
        raise click.ClickException("There is no certificate yet. Run: leima certs dev, or: leima certs import FILE")
    good = [_show_one(folder, at) for folder in folders]
    if not all(good):
        raise SystemExit(1)


def _refuse_development(settings: Settings, force: str | None) -> None:
    if settings.env == "production" and not (force and force.strip()):
        raise click.ClickException(
            "This is a production installation, and phones refuse passes signed with a development certificate. "
            "Import a real one with: leima certs import FILE. To use this one all the same: --force REASON"
        )


def _folder(settings: Settings) -> Path:
    return settings.data / "certs"


def _refuse_to_replace_real(folder: Path, pass_type: str) -> None:
    if folder / pass_type in identity.folders(folder) and not identity.load(folder / pass_type).development:
        raise CertificateError(
            f"There is a real certificate for {pass_type}, and a development one must not replace it. "
            f"Choose another --pass-type, or move {folder / pass_type} away yourself"
        )


def _read(file: Path, wwdr: Path | None, key: Path | None, password_file: Path | None) -> SigningIdentity:
    password = _bytes(password_file).decode("utf-8", "replace").strip("\r\n") if password_file else None
    data = _bytes(file), password, _bytes(wwdr) if wwdr else None, _bytes(key) if key else None
    try:
        return importer.read(*data)
    except importer.PasswordError:
        if password_file:
            raise
    asked = click.prompt("Password of the file", hide_input=True, err=True)
    return importer.read(data[0], asked, *data[2:])


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise CertificateError(f"{path} can't be read: {error.strerror}") from None
    if len(data) > _LARGEST_FILE:
        raise CertificateError(f"{path} is larger than 1 MB: it is no certificate or key. Choose another file")
    return data


def _refuse_problems(found: SigningIdentity, at: datetime) -> None:
    problems = check.problems(found.certificate, found.intermediate, found.private_key, at)
    if problems:
        listed = "\n".join(f"- {problem.text}." for problem in problems)
        raise CertificateError(f"Phones would refuse passes signed with this. Nothing was imported.\n{listed}")


def _show_one(folder: Path, at: datetime) -> bool:
    try:
        found = identity.load(folder)
    except CertificateError as error:
        click.echo(f"{folder.name}\n  PROBLEM       {error}.")
        return False
    _describe(found, at)
    problems = check.problems(found.certificate, found.intermediate, found.private_key, at)
    for problem in problems:
        click.echo(f"  PROBLEM       {problem.text}.")
    return not problems


def _describe(found: SigningIdentity, at: datetime) -> None:
    days = found.days_left(at)
    click.echo(found.pass_type_identifier)
    for label, value in (
        ("kind", "development: phones refuse its passes" if found.development else "real"),
        ("team", found.team_identifier),
        ("organisation", found.organization),
        ("issuer", found.issuer),
        ("valid from", f"{found.not_before:%Y-%m-%d %H:%M} UTC"),
        ("valid until", f"{found.not_after:%Y-%m-%d %H:%M} UTC"),
        ("days left", str(days)),
    ):
        click.echo(f"  {label:<13} {value}")
    if 0 <= days < identity.RENEW_DAYS:
        click.echo(f"  WARNING       Expires in {days} days: renew it now (docs/certificates.md says how).")
