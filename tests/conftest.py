"""Fixtures that every test may use: real engines, a clean database, an app and its people."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import exists, literal, select, text, union_all

from app import clock, logs, wiring
from app.db import migrate, tables
from app.db.engine import make_engine
from app.services import kept_counts, staff
from app.services.context import Context
from app.settings import Settings, load
from certs import development, identity
from tests.factories import Shop, open_shop


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
def fresh_counts() -> None:
    """However slow the machine is, a campaign is counted each time that a test looks."""
    kept_counts.QUICK_SECONDS = 3600.0


@pytest.fixture(scope="session")
def wired(test_settings: Settings, pass_identity: identity.SigningIdentity) -> Iterator[wiring.Wired]:
    logs.configure("error")
    made = wiring.Wired(test_settings)
    yield made
    made.close()


# Most tests fill a few tables. To empty just those takes a tenth of what truncating all of them does.
_TABLES = {table.name: table for table in reversed(tables.metadata.sorted_tables)}
_FILLED = union_all(*(select(literal(name)).where(exists().select_from(table)) for name, table in _TABLES.items()))


@pytest.fixture
def ctx(wired: wiring.Wired) -> Iterator[Context]:
    """The connections, over an empty database and an empty Valkey."""
    yield wired.context
    with wired.context.engine.begin() as connection:
        filled = set(connection.scalars(_FILLED))
        for name, table in _TABLES.items():
            if name in filled:
                connection.execute(table.delete())
    wired.context.valkey.flushdb()


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
