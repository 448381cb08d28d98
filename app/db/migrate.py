"""Bringing the database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from app.db import tables

# Any fixed number does; it only has to be the same in every process that may migrate at the same time.
_LOCK = 5346
_FOLDER = Path(__file__).parent / "migrations"


def upgrade(engine: Engine) -> None:
    """Migrate to the newest schema. Processes that start together wait for each other."""
    with engine.begin() as connection:
        upgrade_within(connection)


def upgrade_within(connection: Connection, to: str = "head") -> None:
    """Migrate to this revision in the caller's transaction. For whoever brings data of that revision."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def pending(engine: Engine) -> bool:
    """Whether the database is behind the code."""
    with engine.connect() as connection:
        return current(connection) != head()


def current(connection: Connection) -> str | None:
    """The database's revision; None when it has no schema yet."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The newest revision that this code knows."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def is_known(revision: str) -> bool:
    """Whether this code can migrate from the revision: one that it does not know is of a newer Leima's."""
    return revision in {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def differences(engine: Engine) -> list[object]:
    """What the migrated database and the models disagree on; empty when all is well."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, tables.metadata))


def write_revision(engine: Engine, message: str) -> None:
    """Write a new migration from what the models have and the database has not (for developers)."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.revision(config, message=message, autogenerate=True)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    return config
