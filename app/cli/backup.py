"""`leima backup`, `leima restore`, `leima upgrade` and `leima erasures`: what keeps an installation safe."""

from collections.abc import Callable
from pathlib import Path

import click

from app import clock
from app.cli import sealed_files
from app.cli.common import connected, settings_or_exit
from app.cli.owners_data import look
from app.cli.serve import only_server
from app.db import migrate
from app.services import archive, backups, empty_place, erasure_lists, exporting
from app.services.backups import Restored
from app.services.context import Context
from app.settings import Settings


@click.command()
@click.argument("file", type=sealed_files.NEW_FILE)
@sealed_files.encrypt
@sealed_files.passphrase_file
@click.pass_obj
def backup(load: Callable[[], Settings], file: Path, encrypt: bool, passphrase_file: Path | None) -> None:
    """Back the whole installation up into FILE. Leima may go on serving meanwhile."""
    settings = settings_or_exit(load)
    passphrase = sealed_files.new_passphrase(encrypt, passphrase_file)
    with connected(settings) as context:
        _back_up(context, file, passphrase)


@click.command()
@click.argument("file", type=sealed_files.KNOWN_FILE)
@sealed_files.passphrase_file
@click.option("--erasures", type=sealed_files.KNOWN_FILE, help="A newer list, export or backup: who was erased since.")
@click.pass_context
def restore(command: click.Context, file: Path, passphrase_file: Path | None, erasures: Path | None) -> None:
    """Restore a backup into an empty installation.

    Ends with status 3 when everything is back and the doctor has found something to mend.
    """
    settings = settings_or_exit(command.obj)
    with only_server(settings), connected(settings) as context:
        lines = _lines(erasures, passphrase_file) if erasures else []
        with sealed_files.reading(file, passphrase_file) as content:
            done = backups.restore(context, content)
        _tell(done)
        if erasures:
            _apply(context, lines)
        else:
            click.echo("Who was erased since then is back. Erase them again with: leima erasures apply FILE")
    look(command)


@click.command()
@click.option("--backup-to", type=sealed_files.NEW_FILE, help="The backup that is made first; else in the data folder.")
@click.option("--no-backup", metavar="REASON", help="Make no backup; say why.")
@sealed_files.encrypt
@sealed_files.passphrase_file
@click.pass_context
def upgrade(
    command: click.Context, backup_to: Path | None, no_backup: str | None, encrypt: bool, passphrase_file: Path | None
) -> None:
    """Back up, bring the database to this Leima's schema, and look whether all is well. Stop Leima before it."""
    settings = settings_or_exit(command.obj)
    passphrase = sealed_files.new_passphrase(encrypt, passphrase_file)
    with only_server(settings), connected(settings) as context:
        with context.engine.connect() as connection:
            before = migrate.current(connection)
            filled = bool(empty_place.tables_with_rows(connection))
        if before == migrate.head():
            click.echo(f"The database is at schema {before}, which is this Leima's. There is nothing to do.")
        else:
            if before and not migrate.is_known(before):
                raise click.ClickException(
                    f"The database is at schema {before}, which a newer Leima has made. Install that one again"
                )
            click.echo(f"From schema {before or 'none'} to {migrate.head()}.")
            if no_backup:
                click.echo(f"No backup is made. Reason given: {no_backup.strip()}")
            elif filled:
                _back_up(context, backup_to or _usual_place(settings, str(before)), passphrase)
            migrate.upgrade(context.engine)
            click.echo("The database is up to date.")
    look(command)


@click.group()
def erasures() -> None:
    """Who was erased: a list to keep apart from backups, for a backup that is restored."""


@erasures.command("export")
@click.option("--to", "file", type=sealed_files.NEW_FILE, required=True, help="The CSV file to write.")
@click.pass_obj
def export_list(load: Callable[[], Settings], file: Path) -> None:
    """Write the list. It holds ids and moments only."""
    with connected(settings_or_exit(load)) as context:
        migrate.upgrade(context.engine)
        sealed_files.write(file, erasure_lists.listed(context), None)
    click.echo(f"Wrote {file}.")


@erasures.command("apply")
@click.argument("file", type=sealed_files.KNOWN_FILE)
@sealed_files.passphrase_file
@click.pass_obj
def apply_list(load: Callable[[], Settings], file: Path, passphrase_file: Path | None) -> None:
    """Erase again whom FILE names: a list, or a newer export or backup."""
    with connected(settings_or_exit(load)) as context:
        migrate.upgrade(context.engine)
        _apply(context, _lines(file, passphrase_file))


def _back_up(context: Context, file: Path, passphrase: str | None) -> None:
    pieces = backups.stream(context)
    try:
        size = sealed_files.write(file, pieces, passphrase)
    finally:
        pieces.close()
    click.echo(f"Wrote {file}, {size:,} bytes{', encrypted' if passphrase else ''}.")
    click.echo(
        "It does not hold, and is of little use without: LEIMA_SECRET_KEY and the other settings; code_peppers in the "
        "data folder (or LEIMA_CODE_PEPPERS); key.pem of each certificate. Keep them elsewhere."
    )


def _usual_place(settings: Settings, revision: str) -> Path:
    folder = settings.data / "backups"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"before-upgrade-from-{revision}-{clock.now():%Y%m%dT%H%M%SZ}.zip"


def _tell(done: Restored) -> None:
    click.echo(f"Restored the backup of {done.made_at}: {done.rows:,} rows.")
    if not done.same_secret:
        click.echo(
            "WARNING: LEIMA_SECRET_KEY is not the one of the backup. Cards that are installed, personal links and API "
            "keys do not work until it is."
        )
    for pepper in done.missing_peppers:
        click.echo(f"WARNING: code pepper {pepper} is not here: put code_peppers back into the data folder.")
    for pass_type in done.missing_keys:
        click.echo(f"WARNING: key.pem of {pass_type} is not here: put it beside its certificate, or import it again.")
    if done.missing_settings:
        click.echo(f"Set where the backup was made, and not here: {', '.join(done.missing_settings)}")
    if done.held or done.paused:
        click.echo(
            f"{done.held} messages and campaign runs that waited are held, and {done.paused} campaigns paused, because "
            "they may have gone out since. See them in the office, under Wallets and Campaigns."
        )


def _lines(file: Path, passphrase_file: Path | None) -> list[str]:
    """The list of erasures in a CSV file, an export or a backup."""
    with sealed_files.reading(file, passphrase_file) as content:
        begun = content.read(4)
        content.seek(0)
        if not begun.startswith(b"PK"):
            return erasure_lists.lines_of(content)
        try:
            found = archive.opened(content, exporting.FORMAT, exporting.FORMAT_VERSION)
        except archive.ArchiveError:
            found = archive.opened(content, backups.FORMAT, backups.FORMAT_VERSION)
        found.ensure_whole()
        return erasure_lists.lines_within(found)


def _apply(context: Context, lines: list[str]) -> None:
    try:
        done = erasure_lists.apply(context, lines)
    except archive.ArchiveError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Erased again: {done.erased}. Erased already: {done.already}. Not here: {done.unknown}.")
