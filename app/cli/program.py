"""`leima program`: making a programme and its owner from the command line."""

from collections.abc import Callable
from zoneinfo import available_timezones

import click

from app.cli.common import connected, settings_or_exit
from app.db import migrate
from app.db.people import Role
from app.i18n import LANGUAGES
from app.services import programs, staff
from app.services.context import Actor
from app.services.errors import InvalidForm, Refused
from app.settings import Settings


@click.group()
def program() -> None:
    """Make and list programmes. Everything else is set in the office."""


@program.command()
@click.option("--slug", prompt="Short name for addresses, e.g. kulma", help="Short name: /join/<slug>.")
@click.option("--name", prompt="Name of the programme, e.g. Kulma Club", help="Name of the programme.")
@click.option("--organization", prompt="Who offers it, e.g. Café Kulma", help="Whose programme it is.")
@click.option("--language", type=click.Choice(list(LANGUAGES)), default="en", show_default=True)
@click.option("--time-zone", default="Europe/Helsinki", show_default=True)
@click.option(
    "--country", default=None, help="Country of phone numbers typed without +. [default: LEIMA_DEFAULT_COUNTRY]"
)
@click.option("--currency", default="EUR", show_default=True)
@click.option("--stamps", default=10, show_default=True, help="Stamps that fill a card.")
@click.option("--reward", prompt="What a full card gives, e.g. Free coffee", help="What a full card gives.")
@click.option("--color", default="#0b5d4e", show_default=True, help="Brand colour: HEX, rgb() or cmyk().")
@click.option("--pass-type", default="", help="Pass type identifier, when the installation has several.")
@click.option("--owner-name", prompt="Owner's name", help="Who owns it.")
@click.option("--owner-login", prompt="Owner's sign-in name", help="The name that the owner signs in with.")
@click.option(
    "--owner-password-file", type=click.File(), help="A file that holds the owner's password; else it is asked for."
)
@click.pass_obj
def create(load: Callable[[], Settings], /, **given: object) -> None:
    """Make a programme and its owner. What has no default and is not given is asked for."""
    settings = settings_or_exit(load)
    if str(given["time_zone"]) not in available_timezones():
        raise click.ClickException(f"There is no time zone {given['time_zone']}. One is named like Europe/Helsinki.")
    form = {
        "name": str(given["name"]),
        "organization_name": str(given["organization"]),
        "language": str(given["language"]),
        "time_zone": str(given["time_zone"]),
        "country": str(given["country"] or settings.default_country).upper(),
        "currency": str(given["currency"]).upper(),
        "brand_color": str(given["color"]),
        "stamps_needed": str(given["stamps"]),
        "reward_name": str(given["reward"]),
        "pass_type_identifier": str(given["pass_type"]),
    }
    owner = {
        "name": str(given["owner_name"]),
        "login": str(given["owner_login"]),
        "password": _password(given["owner_password_file"]),
        "role": Role.OWNER.value,
        "language": str(given["language"]),
    }
    with connected(settings) as context:
        migrate.upgrade(context.engine)
        try:
            made = programs.create(context, str(given["slug"]), form, owner)
        except (InvalidForm, Refused) as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"Made {made.name}. Customers join at {context.settings.base_url}/join/{made.slug}")
        click.echo(
            f"Sign in at {context.settings.base_url}/staff/sign-in as {owner['login']} and finish it in the office."
        )


def _password(file: object) -> str:
    if file is not None:
        return str(file.read()).strip()  # type: ignore[attr-defined]
    answer: str = click.prompt("Owner's password (10 characters or more)", hide_input=True, confirmation_prompt=True)
    return answer


@program.command("list")
@click.pass_obj
def list_(load: Callable[[], Settings]) -> None:
    """List the programmes."""
    with connected(settings_or_exit(load)) as context:
        migrate.upgrade(context.engine)
        for made in programs.every(context):
            people = staff.every(context, Actor(made.id).program_id)
            owners = ", ".join(person.login for person in people if person.role is Role.OWNER and person.active)
            click.echo(f"{made.slug}\t{made.name}\towners: {owners or 'none'}")


@program.command()
@click.argument("slug")
@click.option("--name", prompt="Owner's name", help="Who owns it.")
@click.option("--login", prompt="Owner's sign-in name", help="The name that the owner signs in with.")
@click.option("--password-file", type=click.File(), help="A file that holds the password; else it is asked for.")
@click.pass_obj
def owner(load: Callable[[], Settings], slug: str, name: str, login: str, password_file: object) -> None:
    """Give a programme another owner: for one that nobody can sign in to any more."""
    with connected(settings_or_exit(load)) as context:
        migrate.upgrade(context.engine)
        try:
            found = programs.by_slug(context, slug)
            form = {
                "name": name,
                "login": login,
                "password": _password(password_file),
                "role": Role.OWNER.value,
                "language": found.language,
            }
            staff.save(context, Actor(found.id), form)
        except (InvalidForm, Refused) as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"{login} can sign in at {context.settings.base_url}/staff/sign-in")
