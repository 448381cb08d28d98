"""Nothing that is killed loses committed data, leaves an engine running, or stops the next start."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from app.embedded import binaries, start
from tests.integration.embedded_processes import NAMES, USER, ask, kill, pid, running, spawn_user, until, urls

COUNT = "SELECT count(*) FROM stamps"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("engines")
    with start(data, durable=False) as engines, psycopg.connect(engines.database_url) as connection:
        connection.execute("CREATE TABLE stamps (member text)")
    return data


@pytest.fixture
def data(kept: Path) -> Iterator[Path]:
    """A folder with a database."""
    yield kept
    until(lambda: running(kept) == [])


@pytest.fixture
def used(data: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that uses the engines, in which one stamp was given a moment ago."""
    with spawn_user(data) as process:
        with psycopg.connect(urls(process)[0]) as connection:
            connection.execute("DELETE FROM stamps")
            connection.execute("INSERT INTO stamps VALUES ('Alice')")
        yield process
        process.kill()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """A folder that does not exist yet."""
    yield tmp_path / "data"
    until(lambda: running(tmp_path / "data") == [])


def stamps_at_next_start(data: Path) -> object:
    with start(data, durable=False) as engines:
        return ask(engines.database_url, COUNT)


def answers(question: Callable[[], object]) -> bool:
    try:
        question()
    except (psycopg.OperationalError, redis.ConnectionError):
        return False
    return True


def test_a_killed_user_leaves_no_engine_running(data: Path, used: "subprocess.Popen[str]") -> None:
    used.kill()
    until(lambda: running(data) == [])
    assert 1 == stamps_at_next_start(data)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_supervisor_takes_the_engines_with_it(data: Path, used: "subprocess.Popen[str]") -> None:
    kill(data, "supervisor")
    until(lambda: running(data) == [])
    assert 1 == stamps_at_next_start(data)


def test_a_start_right_after_the_supervisor_was_killed_works(data: Path, used: "subprocess.Popen[str]") -> None:
    kill(data, "supervisor")
    assert 1 == stamps_at_next_start(data)


def test_after_a_kill_of_everything_the_next_start_has_the_data(data: Path, used: "subprocess.Popen[str]") -> None:
    used.kill()
    kill(data, *NAMES)
    assert 1 == stamps_at_next_start(data)


def test_a_pid_file_that_names_a_foreign_process_stops_no_start(data: Path, used: "subprocess.Popen[str]") -> None:
    used.kill()
    kill(data, *NAMES)
    until(lambda: running(data) == [])
    pid_file = data / "engines" / "postgres" / "postmaster.pid"
    owner = pid_file.stat().st_uid if os.geteuid() == 0 else None
    with subprocess.Popen(["sleep", "20"], user=owner) as foreign:
        pid_file.write_text("\n".join([str(foreign.pid), *pid_file.read_text().splitlines()[1:]]))
        assert 1 == stamps_at_next_start(data)
        assert foreign.poll() is None
        foreign.kill()


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_a_killed_engine_is_started_again(data: Path, used: "subprocess.Popen[str]", name: str) -> None:
    with start(data, durable=False) as engines:
        killed = pid(data, name)
        os.kill(killed, signal.SIGKILL)
        until(lambda: pid(data, name) != killed)
        until(lambda: answers(lambda: ask(engines.database_url, COUNT)))
        with redis.Redis.from_url(engines.redis_url) as client:
            until(lambda: answers(client.ping))
        assert 1 == ask(engines.database_url, COUNT)


def test_a_supervisor_that_is_asked_to_stop_stops_the_engines(data: Path, used: "subprocess.Popen[str]") -> None:
    log = data / "engines" / "postgres.log"
    earlier = log.stat().st_size
    os.kill(pid(data, "supervisor"), signal.SIGTERM)
    until(lambda: running(data) == [])
    assert b"database system is shut down" in log.read_bytes()[earlier:]
    assert 1 == stamps_at_next_start(data)


@pytest.mark.parametrize("marker", ["PG_VERSION", "global/pg_control"])
def test_a_kill_while_the_database_is_being_made_leaves_no_half_of_it(fresh: Path, marker: str) -> None:
    with spawn_user(fresh) as process:
        until(lambda: (fresh / "engines" / "postgres.new" / marker).exists())
        kill(fresh, "supervisor")
        process.kill()
    with start(fresh, durable=False) as engines:
        assert "leima" == ask(engines.database_url, "SELECT current_database()")


def test_an_engine_that_outlived_its_supervisor_is_replaced(data: Path) -> None:
    lock = os.open(data / "engines" / "valkey.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    command = [binaries.valkey_program(), "--port", "0", "--unixsocket", "orphan.sock"]
    with subprocess.Popen(command, pass_fds=[lock], cwd=data, stdout=subprocess.DEVNULL) as orphan:
        os.pwrite(lock, f"{orphan.pid:<12}".encode(), 0)
        os.close(lock)
        with start(data, durable=False) as engines, redis.Redis.from_url(engines.redis_url) as client:
            assert client.ping()
            assert orphan.wait(1) is not None


def test_engines_stop_when_their_folder_is_removed(fresh: Path) -> None:
    engines = start(fresh, durable=False)
    removed = fresh.with_name("removed")
    fresh.rename(removed)
    until(lambda: running(removed) == [])
    engines.close()
    start(fresh, durable=False).close()


def test_a_full_disk_is_told_in_plain_words(tmp_path: Path) -> None:
    small = ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs -o size=20m tmpfs '{tmp_path}' && exec \"$@\"", "sh"]
    if shutil.which("unshare") is None or subprocess.run([*small, "true"], capture_output=True).returncode != 0:
        pytest.skip("only who may mount can make a small disk")
    found = subprocess.run(
        [*small, sys.executable, "-c", USER, tmp_path / "data"],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
    )
    assert f"The disk of {tmp_path}/data/engines is full: make room and start again." in found.stderr
