"""`leima export` and `leima load`: a programme's data, out of one installation and into another."""

from collections.abc import Callable
from pathlib import Path

import click

from app.cli import sealed_files
from app.cli.common import connected, settings_or_exit
from app.cli.doctor import doctor
from app.db import migrate
from app.services import exporting, loading, programs
from app.services.context import Actor
from app.services.errors import Refused
from app.settings import Settings

STILL_TO_MEND = 3  # the status of a command that has done its work, when the doctor then finds something


@click.command()
@click.argument("slug")
@click.option("--to", "file", type=sealed_files.NEW_FILE, required=True, help="The file to write, such as kulma.zip.")
@click.option("--with-passwords", is_flag=True, help="Take the hashes of the staff's passwords along.")
@sealed_files.encrypt
@sealed_files.passphrase_file
@click.pass_obj
def export(
    load: Callable[[], Settings],
    slug: str,
    file: Path,
    with_passwords: bool,
    encrypt: bool,
    passphrase_file: Path | None,
) -> None:
    """Take all data of a programme out, as CSV files in one ZIP."""
    settings = settings_or_exit(load)
    passphrase = sealed_files.new_passphrase(encrypt, passphrase_file)
    with connected(settings) as context:
        migrate.upgrade(context.engine)
        try:
            pieces = exporting.stream(context, Actor(programs.by_slug(context, slug).id), passwords=with_passwords)
        except Refused as error:
            raise click.ClickException(str(error)) from None
        try:
            size = sealed_files.write(file, pieces, passphrase)
        finally:
            pieces.close()
    click.echo(f"Wrote {file}, {size:,} bytes.")
    click.echo(
        "It does not hold LEIMA_SECRET_KEY, nor the code peppers: cards and links go on with the same ones alone."
    )


@click.command("load")
@click.argument("file", type=sealed_files.KNOWN_FILE)
@sealed_files.passphrase_file
@click.pass_context
def load_data(command: click.Context, file: Path, passphrase_file: Path | None) -> None:
    """Bring the data of a programme that another installation has written with `leima export`.

    Ends with status 3 when the data are in and the doctor has found something to mend.
    """
    settings = settings_or_exit(command.obj)
    with sealed_files.reading(file, passphrase_file) as content, connected(settings) as context:
        done = loading.load(context, content)
    click.echo(f"Brought {done.name} ({done.slug}): {done.rows:,} rows.")
    if not done.same_secret:
        click.echo(
            "WARNING: LEIMA_SECRET_KEY is another one here. Cards that are installed, personal links and API keys do "
            "not work until it is the one of the installation that the data came from."
        )
    if not done.passwords:
        click.echo(f"The staff's passwords were not in the file. Begin with: leima program owner {done.slug}")
    if done.held:
        click.echo(f"{done.held} messages and tasks were on their way. See them in the office, under Wallets.")
    look(command)


def look(command: click.Context) -> None:
    """Have the doctor look at everything; the command ends with STILL_TO_MEND when there is something to mend."""
    try:
        command.invoke(doctor)
    except click.exceptions.Exit as end:
        if end.exit_code:
            raise click.exceptions.Exit(STILL_TO_MEND) from None
