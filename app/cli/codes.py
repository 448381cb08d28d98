"""`leima codes`: the secret that 7-digit credit codes are keyed with, and how many codes are active."""

from collections.abc import Callable

import click

from app.cli.common import connected, settings_or_exit
from app.db import migrate
from app.services import pepper_rotation, peppers
from app.services.peppers import PepperStore
from app.settings import Settings

_BY_SETTINGS = """The peppers are in LEIMA_CODE_PEPPERS, so it is yours to change, in two steps:
1. Add this new secret at the end, after a comma, and restart all processes:
   {secret}
2. When all of them run with it, move it to the front, and restart them again. New codes are keyed with it.
Then `leima codes status` tells which of the others no code needs any more: those can be taken out."""


@click.group()
def codes() -> None:
    """Seven-digit credit codes: how safe they are, and the secret that keys them."""


@codes.command()
@click.pass_obj
def status(load: Callable[[], Settings]) -> None:
    """Show active codes by programme, the odds of guessing one, and which peppers are needed."""
    with connected(settings_or_exit(load)) as context:
        migrate.upgrade(context.engine)
        try:
            found = pepper_rotation.status(context)
        except OSError as error:
            raise click.ClickException(str(error)) from None
    for program in found.programs:
        digits = "tills ask the phone's last 4 digits" if program.asks_phone_digits else "the code alone is enough"
        click.echo(
            f"{program.slug}\t{program.active} active\t"
            f"{pepper_rotation.GUESSES} guesses hit one with {program.odds:.3%}\t{digits}"
        )
    click.echo(f"From {found.asks_from} active codes on, tills ask for the last 4 digits of the customer's phone, too.")
    for number, pepper in enumerate(found.peppers):
        newest = ", newest" if number == 0 else ""
        held = f"held{newest}" if pepper.held else "MISSING: these codes cannot be used. Put it back from a backup"
        click.echo(f"pepper {pepper.id}\t{pepper.codes} codes\t{held}")


@codes.command("rotate-pepper")
@click.pass_obj
def rotate_pepper(load: Callable[[], Settings]) -> None:
    """Key new codes with a new secret. Codes that people hold go on working."""
    settings = settings_or_exit(load)
    store = PepperStore(settings)
    if store.in_settings:
        click.echo(_BY_SETTINGS.format(secret=peppers.new_secret()))
        return
    with connected(settings) as context:
        migrate.upgrade(context.engine)
        try:
            done = pepper_rotation.rotate(context, store)
        except OSError as error:
            raise click.ClickException(f"The pepper was not changed: {error}") from None
    click.echo(f"New codes are keyed with pepper {done.newest_id} from now on. No restart is needed.")
    click.echo(f"Older peppers: {done.kept} kept, because codes need them; {done.dropped} dropped.")
    click.echo(f"Back up {store.path} now: without it, the codes that customers hold are lost.")
