"""`leima serve`: everything as one, for a small shop. `leima migrate`: the schema alone."""

import fcntl
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from app import embedded, logs
from app.cli.common import connected, settings_or_exit
from app.cli.processes import Running, python, run_together
from app.db import migrate as migration
from app.embedded.folder import try_lock
from app.settings import Settings

SERVING_LOCK = "serving.lock"


@click.command()
@click.pass_obj
def serve(load: Callable[[], Settings]) -> None:
    """Start web server and worker; run PostgreSQL and Valkey too, unless they are set."""
    settings = settings_or_exit(load)
    ensure_port_is_free(settings)
    with only_server(settings):
        run(settings)


@click.command()
@click.pass_obj
def migrate(load: Callable[[], Settings]) -> None:
    """Bring the database to the newest schema (also done by `leima serve`)."""
    with connected(settings_or_exit(load)) as context:
        migration.upgrade(context.engine)
    click.echo("The database is up to date.")


def run(settings: Settings, ready: Callable[[Settings], None] | None = None, beside: Sequence[Running] = ()) -> None:
    """Serve until a signal ends it. `ready` is called with migrated engines, before the first request. What runs
    `beside` us is stopped with us.

    Call it holding only_server. The processes read their settings from the environment, as they do when each is
    started by hand.
    """
    logs.configure(settings.log_level)
    _name_files_from_the_root(settings)
    own = OwnEngines(settings)
    try:
        own.hold()
        with connected(settings) as context:
            migration.upgrade(context.engine)
        if ready is not None:
            ready(settings)
        web = Running("web", python("-m", "gunicorn", "wsgi:app"))
        worker = Running("worker", python("worker.py"))
        run_together([web, worker, *beside], look_after=own.hold)
    except embedded.EnginesError as error:
        raise click.ClickException(str(error)) from None
    finally:
        own.close()


def _name_files_from_the_root(settings: Settings) -> None:
    """The processes run in the project's folder: have the environment name files so that they are found from there."""
    os.environ["LEIMA_DATA"] = str(settings.data.resolve())
    for name, value in os.environ.items():
        if name.startswith("LEIMA_") and name.endswith("_FILE") and value:
            os.environ[name] = str(Path(value).resolve())


@contextmanager
def only_server(settings: Settings) -> Iterator[None]:
    """Serve as the only one on this data folder: two would count in the same files. The kernel ends it with us."""
    settings.data.mkdir(parents=True, exist_ok=True)
    lock = try_lock(settings.data / SERVING_LOCK, fcntl.LOCK_EX)
    if lock is None:
        raise click.ClickException(
            f"Another `leima serve` or `leima demo` runs on the data folder {settings.data}. "
            "Stop it first, or set LEIMA_DATA to another folder."
        )
    try:
        yield
    finally:
        os.close(lock)


class OwnEngines:
    """Our engines, held for as long as we serve; started again should even their supervisor have been killed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.wanted = not (settings.database_url.get_secret_value() and settings.redis_url.get_secret_value())
        self.engines: embedded.Engines | None = None

    def hold(self) -> None:
        """Start the engines unless they run. Raises EnginesError."""
        if not self.wanted or (self.engines is not None and embedded.is_running(self.settings.data)):
            return
        before, self.engines = self.engines, embedded.start(self.settings.data)
        if before is not None:
            before.close()

    def close(self) -> None:
        if self.engines is not None:
            self.engines.close()


def ensure_port_is_free(settings: Settings) -> None:
    """End with a clear text when something else listens on our port already."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise click.ClickException(
                f"Port {settings.port} on {settings.host} cannot be used ({error.strerror}). "
                f"If something else uses it, choose another: LEIMA_PORT={settings.port + 1}"
            ) from None
