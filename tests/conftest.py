"""Fixtures that every test may use: real engines, a clean database, an app and its people."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from hypothesis import HealthCheck, settings
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import exists, literal, select, text, union_all
from sqlalchemy.exc import OperationalError

from app import clock, logs, wiring
from app.db import migrate, tables
from app.db.engine import make_engine
from app.services import kept_counts, staff
from app.services.context import Context
from app.settings import Settings, load
from app.web.factory import create_app
from certs import development, identity
from tests.factories import Shop, open_shop

# The same examples each time, however slow the machine is; HYPOTHESIS_PROFILE=search looks for new ones.
_ALLOWED = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)
settings.register_profile("suite", deadline=None, derandomize=True, database=None, suppress_health_check=_ALLOWED)
settings.register_profile("search", deadline=None, print_blob=True, suppress_health_check=_ALLOWED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the whole run: its engines are shared by all of pytest-xdist's workers."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "leima"


@pytest.fixture(scope="session")
def own_database(data_folder: Path) -> Iterator[tuple[str, str]]:
    """URLs of this worker's own database and Valkey database number."""
    from app import embedded

    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    with embedded.start(data_folder, durable=False) as engines:
        admin = make_engine(engines.database_url)
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS test_{worker} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE test_{worker}"))
        admin.dispose()
        url = engines.database_url.replace("/leima?", f"/test_{worker}?")
        engine = make_engine(url)
        migrate.upgrade(engine)
        engine.dispose()
        yield url, f"{engines.redis_url}?db={int(worker.removeprefix('gw'))}"


@pytest.fixture(scope="session")
def test_settings(own_database: tuple[str, str], data_folder: Path) -> Settings:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    database_url, redis_url = own_database
    return load(
        {},
        env="test",
        data=data_folder / f"data-{worker}",
        secret_key="a secret that only the tests know, 40 characters",
        database_url=database_url,
        redis_url=redis_url,
        public_url="http://localhost:8400",
        card_link="page",
    )


@pytest.fixture(scope="session")
def pass_identity(test_settings: Settings) -> identity.SigningIdentity:
    """A development signing identity, as `leima certs dev` makes it."""
    made = development.make("pass.fi.leima.test", "LEIMATEAM1", "Leima", datetime.now(UTC))
    identity.save(made, test_settings.data / "certs")
    return made


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> None:
    """Argon2 with the least effort: a test shop hires five people, and a real hash takes a tenth of a second."""
    staff._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(scope="session", autouse=True)
def templates_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a test's own application compiles of its templates, the next one finds."""
    Flask.jinja_options = {"bytecode_cache": FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))}


@pytest.fixture(scope="session", autouse=True)
def fresh_counts() -> None:
    """However slow the machine is, a campaign is counted each time that a test looks."""
    kept_counts.QUICK_SECONDS = 3600.0


@pytest.fixture(scope="session")
def wired(test_settings: Settings, pass_identity: identity.SigningIdentity) -> Iterator[wiring.Wired]:
    logs.configure("error")
    made = wiring.Wired(test_settings)
    yield made
    made.close()


# Most tests fill a few tables with a few rows. To empty just those takes a tenth of what truncating all of them does.
_TABLES = {table.name: table for table in reversed(tables.metadata.sorted_tables)}
_MANY = 1000
_FILLED = union_all(
    *(
        select(literal(name).label("name"), exists(select(1).select_from(table).offset(_MANY)).label("many")).where(
            exists().select_from(table)
        )
        for name, table in _TABLES.items()
    )
)


@pytest.fixture
def ctx(wired: wiring.Wired) -> Iterator[Context]:
    """The connections, over an empty database and an empty Valkey."""
    yield wired.context
    for tries_left in reversed(range(3)):
        try:
            _empty(wired.context)
            break
        except OperationalError:  # a deadlock with a thread of the test that had not ended yet
            if not tries_left:
                raise
    wired.context.valkey.flushdb()


def _empty(ctx: Context) -> None:
    with ctx.engine.begin() as connection:
        filled = {row.name: row.many for row in connection.execute(_FILLED)}
        if any(filled.values()):
            connection.execute(text(f"TRUNCATE {', '.join(filled)} CASCADE"))
            return
        for name, table in _TABLES.items():
            if name in filled:
                connection.execute(table.delete())


@pytest.fixture(scope="session")
def _made_once(wired: wiring.Wired) -> Flask:
    # Its routes and templates take longer to make than most tests take to run.
    return create_app(wired.context)


@pytest.fixture
def web_app(ctx: Context, _made_once: Flask) -> Iterator[Flask]:
    """The web application over the test's connections, as it is served."""
    _made_once.config.update(TESTING=False, WTF_CSRF_ENABLED=True)
    yield _made_once
    _made_once.extensions["leima_clicks"].close()  # else it writes into the next test's database


@pytest.fixture
def shop(ctx: Context) -> Shop:
    """A café with ten stamps to a free coffee, one location, and staff of every role."""
    return open_shop(ctx)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the clock: `at(datetime(2027, 1, 1, tzinfo=UTC))`."""

    def set_clock(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)

    return set_clock
