"""The embedded engines as their users see them: sharing, staying, settings, and clear words when something is wrong."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import redis

from app.embedded import EnginesError, is_running, postgres_version, start, valkey_version
from tests.integration.embedded_processes import ask, pid, running, spawn_user, until, urls

FORKING_USER = """
import os, pathlib, sys
from app.embedded import start
engines = start(pathlib.Path(sys.argv[1]), durable=False)
if os.fork():
    engines.close()
else:
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture
def data(kept: Path) -> Iterator[Path]:
    """A folder whose database has been made, unless this is the first test."""
    yield kept
    until(lambda: running(kept) == [])


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """A folder that does not exist yet."""
    yield tmp_path / "data"
    until(lambda: running(tmp_path / "data") == [])


def test_processes_share_the_engines_and_the_last_one_stops_them(data: Path) -> None:
    with spawn_user(data) as first, spawn_user(data) as second:
        assert urls(first) == urls(second)
        first.communicate()
        assert ["supervisor", "postgres", "valkey"] == running(data)
        second.communicate()
        assert [] == running(data)


def test_processes_that_start_at_the_same_instant_get_the_same_engines(fresh: Path) -> None:
    with ExitStack() as stack:
        users = [stack.enter_context(spawn_user(fresh)) for _ in range(3)]
        assert 1 == len({tuple(urls(each)) for each in users})
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda each: each.communicate(), users))
        assert [] == running(fresh)


def test_a_second_start_takes_less_than_two_seconds_and_keeps_the_data(fresh: Path) -> None:
    with start(fresh) as engines, psycopg.connect(engines.database_url) as connection:
        connection.execute("CREATE TABLE cards AS SELECT 'Alice' AS name")
    begin = time.monotonic()
    with start(fresh) as engines:
        assert time.monotonic() - begin < 2
        assert "Alice" == ask(engines.database_url, "SELECT name FROM cards")


def test_ctrl_c_for_the_process_that_started_the_engines_leaves_them_to_the_others(data: Path) -> None:
    with spawn_user(data) as first:
        urls(first)
        with start(data, durable=False) as engines:
            os.killpg(first.pid, signal.SIGINT)
            first.wait()
            time.sleep(0.3)
            assert 1 == ask(engines.database_url, "SELECT 1")


def test_a_forked_child_keeps_the_engines_after_its_parent_has_closed_them(data: Path) -> None:
    command = [sys.executable, "-c", FORKING_USER, data]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(Path.cwd())}) as parent:
        assert 0 == parent.wait()
        time.sleep(0.3)
        assert ["supervisor", "postgres", "valkey"] == running(data)
    until(lambda: running(data) == [])


def test_closing_twice_is_harmless(data: Path) -> None:
    engines = start(data, durable=False)
    engines.close()
    engines.close()
    assert [] == running(data)


def test_a_folder_tells_whether_its_engines_run(data: Path) -> None:
    assert is_running(data) is False
    with start(data, durable=False):
        assert is_running(data) is True
    assert is_running(data) is False


def test_two_data_folders_side_by_side_do_not_meet(tmp_path: Path) -> None:
    with start(tmp_path / "one", durable=False) as one, start(tmp_path / "two", durable=False) as two:
        first, second = redis.Redis.from_url(one.redis_url), redis.Redis.from_url(two.redis_url)
        first.set("here", 1)
        assert second.get("here") is None
        identifier = "SELECT system_identifier FROM pg_control_system()"
        assert ask(one.database_url, identifier) != ask(two.database_url, identifier)
        first.close()
        second.close()


def test_a_long_path_with_spaces_quotes_and_persian_letters_works_and_leaves_nothing_behind(tmp_path: Path) -> None:
    data = tmp_path / ("kahvila 'Äiti', 50% " * 5) / "قهوه"
    with start(data, durable=False) as engines:
        assert 1 == ask(engines.database_url, "SELECT 1")
        sockets = Path(engines.redis_url.removeprefix("unix://")).parent
        assert sockets.is_relative_to(tempfile.gettempdir())
        assert 0o700 == sockets.parent.stat().st_mode & 0o777
    assert not sockets.parent.exists()


def test_the_database_is_ours_in_unicode_and_reachable_only_through_its_socket_with_the_password(data: Path) -> None:
    with start(data) as engines:
        settings = (
            "listen_addresses",
            "server_encoding",
            "timezone",
            "fsync",
            "synchronous_commit",
            "full_page_writes",
        )
        assert ["", "UTF8", "UTC", "on", "on", "on"] == [ask(engines.database_url, f"SHOW {name}") for name in settings]
        assert "b C.UTF-8" == ask(
            engines.database_url,
            "SELECT concat_ws(' ', datlocprovider, datlocale) FROM pg_database WHERE datname = current_database()",
        )
        assert "f t" == ask(
            engines.database_url, "SELECT concat_ws(' ', rolsuper, rolcreatedb) FROM pg_roles WHERE rolname = 'leima'"
        )
        password = engines.database_url.split(":")[2].split("@")[0]
        for wrong in (password[::-1], ""):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(engines.database_url.replace(password, wrong))
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(engines.database_url.replace("//leima:", "//postgres:"))
        assert 0o600 == (data / "engines" / "password").stat().st_mode & 0o777


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_engines_do_not_see_our_secrets(data: Path) -> None:
    with spawn_user(data) as process:
        urls(process)
        for name in ("supervisor", "postgres", "valkey"):
            assert b"LEIMA_" not in Path(f"/proc/{pid(data, name)}/environ").read_bytes()
        process.communicate()


def test_logs_are_bounded(data: Path) -> None:
    start(data, durable=False).close()
    log = data / "engines" / "postgres.log"
    os.truncate(log, 9_000_000)
    with start(data, durable=False):
        deadline = time.monotonic() + 5
        while log.stat().st_size > 9_000_000 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert log.stat().st_size < 1_000_000
        assert 9_000_000 <= log.with_name("postgres.log.1").stat().st_size


def test_a_lost_password_file_is_made_anew(data: Path) -> None:
    start(data, durable=False).close()
    (data / "engines" / "password").unlink()
    with start(data, durable=False) as engines:
        assert 1 == ask(engines.database_url, "SELECT 1")


def test_engines_of_tests_are_not_lent_to_a_shop(data: Path) -> None:
    with start(data, durable=False), pytest.raises(EnginesError, match="without durability"):
        start(data)


def test_a_cluster_of_another_major_version_is_refused_with_what_to_do(fresh: Path) -> None:
    start(fresh, durable=False).close()
    (fresh / "engines" / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EnginesError, match=r"written by PostgreSQL 17.*pg_dump"):
        start(fresh, durable=False)


def test_a_damaged_cluster_is_refused_with_the_end_of_the_log(fresh: Path) -> None:
    start(fresh, durable=False).close()
    (fresh / "engines" / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(EnginesError, match=r"postgres did not start.*postgres\.log(.|\n)*pg_control"):
        start(fresh, durable=False)


def test_a_file_in_the_folders_place_is_refused_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(EnginesError, match=r"can't be made: .*set LEIMA_DATA"):
        start(tmp_path / "data")


def test_versions_are_those_that_we_promise() -> None:
    assert ["18", "9"] == [version.split(".")[0] for version in (postgres_version(), valkey_version())]
