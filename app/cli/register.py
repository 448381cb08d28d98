"""`leima import`: bringing an old register from the command line."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import click

from app.cli.common import connected, settings_or_exit
from app.db import migrate
from app.db.register import ImportState
from app.services import programs, register_import, register_work
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.register_import import RegisterView
from app.settings import Settings

_SLICE_SECONDS = 2.0


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--program", "slug", required=True, help="The programme's short name.")
@click.option("--dry-run", is_flag=True, help="Only look at the file; nobody joins.")
@click.option("--invite", is_flag=True, help="Send each newcomer their link by SMS. They must have agreed to that.")
@click.option("--consent-wording", default="", help="What those agreed to who have a yes in the column of consents.")
@click.pass_obj
def register(
    load: Callable[[], Settings], file: Path, slug: str, dry_run: bool, invite: bool, consent_wording: str
) -> None:
    """Bring an old register: a CSV file whose headings say what the columns hold."""
    with connected(settings_or_exit(load)) as context:
        migrate.upgrade(context.engine)
        try:
            actor = Actor(programs.by_slug(context, slug).id)
            import_id = register_import.upload(context, actor, file.name, file.read_bytes())
            view = _checked(context, actor, import_id)
            if dry_run or not (view.joined or view.known):
                register_import.stop(context, actor, import_id)
                return
            answers = {
                "invite": "on" if invite else "",
                "may_invite": "on" if invite else "",
                "may_offer": "on" if consent_wording else "",
                "wording": consent_wording,
            }
            register_import.start(context, actor, import_id, answers)
        except (InvalidForm, Refused) as error:
            raise click.ClickException(str(error)) from None
        view = _work(context, actor, import_id)
        click.echo(f"{view.joined} joined, {view.known} were members already.")
        if view.state is ImportState.RUNNING:
            click.echo("The worker sends the invitations from now on. Stop them in the office.")


def _checked(context: Context, actor: Actor, import_id: UUID) -> RegisterView:
    """Do the dry run, and say what came of it."""
    view = register_import.get(context, actor, import_id)
    if view.needs_columns:
        register_import.stop(context, actor, import_id)
        raise click.ClickException(
            f"None of these headings is known as the phone number: {', '.join(view.headings)}. "
            "Rename one to 'phone', or choose the columns in the office."
        )
    view = _work(context, actor, import_id)
    for error in view.errors:
        outcome = "left out" if error.left_out else "joins without it"
        click.echo(f"row {error.row}, {error.field}: {error.message % error.params} ({outcome})")
    if view.mistakes > len(view.errors):
        click.echo(f"… and {view.mistakes - len(view.errors)} more mistakes.")
    click.echo(f"{view.joined} new, {view.known} members already, {view.faulty} rows left out.")
    return view


def _work(context: Context, actor: Actor, import_id: UUID) -> RegisterView:
    """Do what the worker would do, until only invitations are left. Together with a worker it only is quicker."""
    while True:
        done = register_work.work(context, import_id, time.monotonic() + _SLICE_SECONDS)
        view = register_import.get(context, actor, import_id)
        if sys.stderr.isatty():
            click.echo(f"\rrow {view.rows_done} of {view.rows}", nl=done, err=True)
        if done:
            return view
