"""Processes around embedded engines: some that use them, and which of theirs run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from app.embedded.folder import is_locked

NAMES = ("supervisor", "postgres", "valkey")
USER = """
import json, pathlib, signal, sys
from app.embedded import start
signal.signal(signal.SIGINT, signal.default_int_handler)  # background shells have it ignored
with start(pathlib.Path(sys.argv[1]), durable=False) as engines:
    print(json.dumps([engines.database_url, engines.redis_url]), flush=True)
    sys.stdin.read()
"""


def spawn_user(data: Path) -> "subprocess.Popen[str]":
    """A process that uses the engines until its input ends, in a process group of its own, as a terminal makes it."""
    return subprocess.Popen(
        [sys.executable, "-c", USER, data],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "LEIMA_SECRET_KEY": "not for engines", "PYTHONPATH": str(Path.cwd())},
    )


def urls(process: "subprocess.Popen[str]") -> list[str]:
    """The URLs that a user process was given; waits until it has them."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the user process ended without engines"
    return json.loads(line)


def running(data: Path) -> list[str]:
    """Which of the supervisor and the engines of this folder run; their own locks tell."""
    engines = data / "engines"
    return [name for name in NAMES if engines.exists() and is_locked(engines / f"{name}.lock")]


def pid(data: Path, name: str) -> int:
    """The process that a lock file names."""
    return int((data / "engines" / f"{name}.lock").read_text())


def kill(data: Path, *names: str) -> None:
    """As kill -9 does; returns when the supervisor is gone, while engines may still be dying."""
    for name in names:
        os.kill(pid(data, name), signal.SIGKILL)
    until(lambda: "supervisor" not in running(data))


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until the condition holds, and fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def ask(database_url: str, statement: str) -> object:
    """The first value of the first row."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(statement).fetchone()
        return row[0] if row else None
