"""What several commands need: settings or a clear end, and connections that are closed again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from redis import RedisError
from sqlalchemy.exc import OperationalError

from app.embedded import EnginesError
from app.services.context import Context
from app.settings import Settings, SettingsError
from app.wiring import Wired


def settings_or_exit(load: Callable[[], Settings]) -> Settings:
    """The settings; with a wrong one, say what is wrong with it and end with status 2."""
    try:
        return load()
    except SettingsError as error:
        click.echo(f"Leima cannot start: its settings are not right.\n{error}", err=True)
        raise SystemExit(2) from None


@contextmanager
def connected(settings: Settings) -> Iterator[Context]:
    """Connections for one command. An engine that does not start, or is not reached,
    ends it with a clear text and status 1."""
    try:
        wired = Wired(settings)
    except EnginesError as error:
        raise click.ClickException(str(error)) from None
    try:
        yield wired.context
    except OperationalError as error:
        raise click.ClickException(
            f"PostgreSQL cannot be used: {_first_line(error.orig)}. Is it running, and is LEIMA_DATABASE_URL right?"
        ) from None
    except RedisError as error:
        raise click.ClickException(
            f"Valkey cannot be used: {_first_line(error)}. Is it running, and is LEIMA_REDIS_URL right?"
        ) from None
    finally:
        wired.close()


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
