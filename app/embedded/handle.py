"""Starting the engines, or attaching to those that run already, and giving them back."""

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from app.embedded.errors import EnginesError
from app.embedded.folder import (
    POLL_SECONDS,
    VALKEY_SOCKET,
    Folder,
    State,
    is_disk_full,
    is_locked,
    try_lock,
    wait_for_lock,
)

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 40.0  # longer than the supervisor gives the engines


class Engines:
    """Running engines, for as long as one process (and whatever it forks) needs them. Use it with `with`, or close it.

    The kernel gives the handle back when the process ends in any way. Children made by fork share it: the engines live
    until the last of them has ended or closed it. Children made by exec don't have it.
    """

    def __init__(self, folder: Folder, state: State, users_lock: int) -> None:
        self._folder = folder
        self._users_lock: int | None = users_lock
        password = folder.password_file.read_text()
        self.database_url = f"postgresql://leima:{password}@/leima?host={quote(state.sockets)}&port=5432"
        self.redis_url = f"unix://{state.sockets}/{VALKEY_SOCKET}"

    def close(self) -> None:
        """Give the handle back. Whoever does so last waits until the engines have stopped."""
        if self._users_lock is None:
            return
        os.close(self._users_lock)
        self._users_lock = None
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and self._are_stopping():
            time.sleep(POLL_SECONDS)

    def _are_stopping(self) -> bool:
        """Whether the engines run and nobody uses them. While somebody else is starting them, that is not known yet."""
        try:
            starting = try_lock(self._folder.start_lock, fcntl.LOCK_EX)
        except FileNotFoundError:  # the folder was removed, and the supervisor notices that by itself
            return False
        if starting is None:
            return True
        try:
            if not is_locked(self._folder.supervisor_lock):
                return False
            alone = try_lock(self._folder.users_lock, fcntl.LOCK_EX)
            if alone is not None:
                os.close(alone)
                return True
            # Others share the lock, or the supervisor has it for itself because it is stopping the engines.
            shared = try_lock(self._folder.users_lock, fcntl.LOCK_SH)
            if shared is None:
                return True
            os.close(shared)
            return False
        finally:
            os.close(starting)

    def __enter__(self) -> "Engines":
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


def start(data: Path, *, durable: bool = True, timeout: float = 60) -> Engines:
    """Attach to the engines of this data folder, or start them, within `timeout` seconds. Raises EnginesError.

    With `durable=False`, which is for tests, a power cut may destroy the database.
    """
    folder = Folder(data.resolve() / "engines")
    folder.prepare()
    try:
        return _start(folder, durable, time.monotonic() + timeout)
    except OSError as error:
        raise EnginesError(f"The engines in {folder.path} can't be started: {error}") from error


def is_running(data: Path) -> bool:
    """Whether anybody's engines run in this data folder. Raises EnginesError when the folder is somebody else's."""
    folder = Folder(data.resolve() / "engines")
    with contextlib.suppress(PermissionError):  # prepare() tells whose it is
        if not folder.path.exists():
            return False
    folder.prepare()
    start_lock = _patient_lock(folder.start_lock, fcntl.LOCK_EX, time.monotonic() + STOP_SECONDS)
    try:
        return is_locked(folder.supervisor_lock)
    finally:
        os.close(start_lock)


def _start(folder: Folder, durable: bool, deadline: float) -> Engines:
    starting = _patient_lock(folder.start_lock, fcntl.LOCK_EX, deadline)
    try:
        users = _patient_lock(folder.users_lock, fcntl.LOCK_SH, deadline)
        try:
            return Engines(folder, _attach(folder, durable, deadline), users)
        except BaseException:
            os.close(users)
            raise
    finally:
        os.close(starting)


def _attach(folder: Folder, durable: bool, deadline: float) -> State:
    spawned = False
    while time.monotonic() < deadline:
        runs = is_locked(folder.supervisor_lock)
        state = folder.read_state()
        if runs and state is not None and state.sockets:
            if durable and not state.durable:
                raise EnginesError(
                    f"The engines in {folder.path} were started for tests, without durability. "
                    "Stop the tests that use them, or set LEIMA_DATA to another folder."
                )
            return state
        if not runs and spawned:
            raise EnginesError(state.error if state else _silent_failure(folder))
        if not runs:
            folder.state_file.unlink(missing_ok=True)
            _spawn_supervisor(folder, durable)
            spawned = True
        time.sleep(POLL_SECONDS)
    raise EnginesError(
        f"The engines in {folder.path} are not ready yet. If PostgreSQL is repairing its data after a crash, "
        f"start again and wait longer; {folder.path / 'postgres.log'} tells what it does."
    )


def _silent_failure(folder: Folder) -> str:
    """Why a supervisor that could not even write its state may have ended."""
    if is_disk_full(folder.path):
        return f"The disk of {folder.path} is full: make room and start again."
    return f"The engines stopped at once. See {folder.supervisor_log}."


def _spawn_supervisor(folder: Folder, durable: bool) -> None:
    """Start the supervisor in a session of its own, so that Ctrl-C in our terminal does not reach it."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONUTF8": "1", "TMPDIR": tempfile.gettempdir()}
    descriptor = os.open(folder.supervisor_log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        subprocess.run(
            [sys.executable, "-m", "app.embedded.supervisor", folder.path, "durable" if durable else "volatile"],
            check=True,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    except subprocess.CalledProcessError as error:
        raise EnginesError(f"The engines' supervisor did not start. See {folder.supervisor_log}.") from error
    finally:
        os.close(descriptor)


def _patient_lock(path: Path, mode: int, deadline: float) -> int:
    lock = wait_for_lock(path, mode, deadline)
    if lock is None:
        raise EnginesError(
            f"Another process is still starting or stopping the engines in {path.parent}. "
            "Wait a little and start again."
        )
    return lock
