"""Serving as processes: two workers count as one, one server a data folder, and clear ends instead of tracebacks."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from click import ClickException
from click.testing import CliRunner

from app.cli.main import main
from app.cli.serve import only_server
from app.settings import Settings

ROOT = Path(__file__).parents[2]
NOWHERE = {"LEIMA_DATABASE_URL": "postgresql://nobody:hush@127.0.0.1:1/none", "LEIMA_REDIS_URL": "redis://127.0.0.1:1"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def environment(**settings: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LEIMA_")} | settings


def of(settings: Settings, data: Path, port: int) -> dict[str, str]:
    """These settings as variables, with another data folder and port."""
    return environment(
        LEIMA_ENV="test",
        LEIMA_DATA=str(data),
        LEIMA_PORT=str(port),
        LEIMA_SECRET_KEY=settings.secret_key.get_secret_value(),
        LEIMA_DATABASE_URL=settings.database_url.get_secret_value(),
        LEIMA_REDIS_URL=settings.redis_url.get_secret_value(),
        LEIMA_WEB_WORKERS="2",
    )


@contextmanager
def gunicorn(variables: dict[str, str], log: Path) -> Iterator[str]:
    """Two web workers as they are started by hand: their address, once they answer."""
    url = f"http://127.0.0.1:{variables['LEIMA_PORT']}"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "wsgi:app"], cwd=ROOT, env=variables, stdout=out, stderr=out
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                requests.get(f"{url}/readyz", timeout=5)
                break
            except requests.RequestException:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def ended(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_metrics_are_the_sums_over_all_workers_and_the_log_is_json(test_settings: Settings, tmp_path: Path):
    variables = of(test_settings, tmp_path / "data", free_port())
    with gunicorn(variables, tmp_path / "log") as url:
        counters, asked, deadline = tmp_path / "data/metrics", 0, time.monotonic() + 60
        while len(list(counters.glob("counter_*.db"))) < 2 or asked < 40:
            with ThreadPoolExecutor(16) as together:
                answers = list(together.map(lambda _: requests.get(f"{url}/healthz", timeout=30), range(16)))
            assert {200} == {answer.status_code for answer in answers}
            asked += len(answers)
            assert time.monotonic() < deadline, "one worker does everything"
        counted = f'leima_requests_total{{method="GET",route="/healthz",status="200"}} {asked}.0'
        shown = [requests.get(f"{url}/metrics", timeout=30).text.splitlines() for _ in range(4)]
        assert [True] * 4 == [counted in lines for lines in shown]
    logged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {"request.answered"} == {line["event"] for line in logged}


def test_one_server_runs_on_a_data_folder(test_settings: Settings, tmp_path: Path):
    settings = test_settings.model_copy(update={"data": tmp_path})
    with only_server(settings):
        taken = "Another `leima serve` or `leima demo` runs on the data folder"
        with pytest.raises(ClickException, match=taken), only_server(settings):
            pytest.fail("two serve")
        second = CliRunner().invoke(
            main, ["demo", "--reset"], env={"LEIMA_DATA": str(tmp_path), "LEIMA_PORT": str(free_port())}
        )
        assert (1, True) == (second.exit_code, "set LEIMA_DATA to another folder" in second.stderr)
    with only_server(settings):
        pass


@pytest.mark.parametrize("command", [("migrate",), ("program", "list"), ("serve",)])
def test_a_database_that_is_not_there_is_told_with_what_to_do(command: tuple[str, ...], tmp_path: Path):
    done = ended(
        "-m", "app.cli", *command, LEIMA_ENV="test", LEIMA_DATA=str(tmp_path), LEIMA_PORT=str(free_port()), **NOWHERE
    )
    assert 1 == done.returncode
    assert done.stderr.startswith("Error: PostgreSQL cannot be used: ")
    assert "is LEIMA_DATABASE_URL right?" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.parametrize("command", [("-m", "gunicorn", "wsgi:app"), ("worker.py",), ("-c", "import wsgi")])
def test_missing_settings_stop_every_process_with_what_to_do(command: tuple[str, ...]):
    done = ended(*command)
    assert 2 == done.returncode
    assert "LEIMA_SECRET_KEY is missing" in done.stderr
    assert "Traceback" not in done.stderr
