"""The command `leima` and what stands directly under it."""

from collections.abc import Callable

import click

from app import settings as settings_module
from app.cli.backup import backup, erasures, restore, upgrade
from app.cli.certs import certs
from app.cli.codes import codes
from app.cli.demo import demo
from app.cli.doctor import doctor
from app.cli.owners_data import export, load_data
from app.cli.program import program
from app.cli.register import register
from app.cli.serve import migrate, serve
from app.settings import Settings


@click.group()
@click.version_option("0.1.0", prog_name="leima")
@click.pass_context
def main(context: click.Context) -> None:
    """Leima: loyalty cards in the phone's own wallet."""
    load: Callable[[], Settings] = settings_module.load
    context.obj = load


@main.command()
def settings() -> None:
    """Print the table of all settings, as README shows it."""
    click.echo(settings_module.markdown_table())


for command in (
    *(serve, migrate, program, register, certs, codes, doctor, demo),
    *(export, load_data, backup, restore, upgrade, erasures),
):
    main.add_command(command)
