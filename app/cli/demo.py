"""`leima demo`: the whole product with a seeded shop. `--tour` walks the main job end to end."""

import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import click

from app import clock, embedded, logs
from app import settings as settings_module
from app.cli import tour as tour_module
from app.cli.common import connected
from app.cli.demo_sandbox import DemoSandbox
from app.cli.demo_shop import PASS_TYPE, fill
from app.cli.serve import SERVING_LOCK, ensure_port_is_free, only_server, run
from app.settings import Settings, SettingsError
from certs import development, identity

_MARK = "demo.json"


@click.command()
@click.option("--reset", is_flag=True, help="Start anew: the data folder is emptied first.")
@click.option("--tour", is_flag=True, help="Walk the main job end to end in a folder of its own; ends with 0 or 1.")
@click.option("--history/--no-history", default=True, help="Whether the shop has had some months already.")
def demo(reset: bool, tour: bool, history: bool) -> None:
    """Start the whole product with a seeded shop, on engines of its own."""
    if tour:
        raise click.exceptions.Exit(0 if tour_module.walk() else 1)
    settings = _settings()
    ensure_port_is_free(settings)
    logs.configure(settings.log_level)
    with only_server(settings):
        if reset:
            _empty(settings.data)
        _serve(settings, history)


def _serve(settings: Settings, history: bool) -> None:
    sandbox = DemoSandbox(settings, _certificate(settings.data / "certs") / "root.pem")
    sandbox.start()
    try:
        run(_settings(), ready=partial(_open_shop, sandbox.told, history), beside=[sandbox.process])
    finally:
        sandbox.process.stop()


def _settings() -> Settings:
    """The demo's settings, in the environment too: the processes that serve read them there."""
    os.environ["LEIMA_ENV"] = "demo"
    if not os.environ.get("LEIMA_LOG_LEVEL_FILE"):
        os.environ.setdefault("LEIMA_LOG_LEVEL", "warning")
    try:
        return settings_module.load()
    except SettingsError as error:
        click.echo(f"The demo cannot start: its settings are not right.\n{error}", err=True)
        raise click.exceptions.Exit(2) from None


def _empty(folder: Path) -> None:
    """Remove the demo's data; refuse when the folder does not look like a demo's."""
    found = [item for item in folder.iterdir() if item.name != SERVING_LOCK]
    if not found:
        return
    if not (folder / _MARK).exists() and not (folder / "secret_key").exists():
        raise click.ClickException(
            f"{folder} does not look like a demo's data folder. Empty it yourself, if it is one."
        )
    if embedded.is_running(folder):
        raise click.ClickException(f"A demo is running on {folder}. Stop it first (Ctrl-C in its window).")
    for item in found:
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()


def _certificate(folder: Path) -> Path:
    """The folder of the demo's certificate, made when there is none, or one whose days are over."""
    found = {own.name: own for own in identity.folders(folder)}
    if PASS_TYPE not in found or identity.load(found[PASS_TYPE]).days_left(clock.now()) < 1:
        identity.save(development.make(PASS_TYPE, "LEIMADEMO1", "Café Kulma", clock.now()), folder)
    return folder / PASS_TYPE


def _open_shop(sandbox: dict[str, Any], history: bool, settings: Settings) -> None:
    with connected(settings) as context:
        told = fill(context, settings.data / _MARK, sandbox, history=history)
    _say(told, settings)


def _say(told: dict[str, Any], settings: Settings) -> None:
    logins = ", ".join(f"{person['login']} ({person['role']})" for person in told["staff"])
    click.echo(
        f"""
Leima's demo is running: Café Kulma, with {len(told["members"])} members.

  A customer joins      {told["join_url"]}
  …or texts             {told["texting"]["code"]} to {told["texting"]["number"]}, from a pretend phone
  A customer's card     {told["members"][0]["card_url"]}
  The till              {told["till_url"]}
  The check-in page     {told["door_url"]}
  The office            {told["office_url"]}
  The API for tills     {told["api_docs_url"]}
  Pretend phones        {told["sandbox"]["phones_url"]}

  Sign in as            {logins}
  with the password     {told["staff"][0]["password"]}
  A card to scan        {told["members"][0]["card_code"]}

All of this also stands in {settings.data / _MARK}. Press Ctrl-C to stop; the data is kept.
"""
    )
