"""One engine as a child of the supervisor: start it, watch it, start it again when it dies, stop it."""

import contextlib
import fcntl
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, Signals

from app.embedded.errors import EnginesError
from app.embedded.folder import is_disk_full, name_holder, try_lock, wait_for_lock
from app.embedded.identity import Account, before_exec

log = logging.getLogger("engines")

ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}  # nothing of ours: an engine needs no secrets
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds before a dead engine is started again
HEALTHY_SECONDS = 60.0  # after so long the pause starts small again
KILLED_SECONDS = 5.0
LARGEST_LOG = 8 * 1024 * 1024  # bytes; one older file of the same size is kept
TAIL_BYTES = 2000
FULL_DISK = ("No space left on device", "Check free disk space")  # in C and in PostgreSQL's words

Command = Sequence[str | Path]
Stops = Sequence[tuple[Signals, float]]


@dataclass
class Program:
    """How to run one engine. `stops` are signals, the polite one first, with the seconds that each is given."""

    name: str
    folder: Path
    account: Account | None
    stops: Stops
    log_begins: int = field(default=0, init=False)  # where in the log file the last start's lines begin

    @property
    def lock_file(self) -> Path:
        return self.folder / f"{self.name}.lock"

    @property
    def log_file(self) -> Path:
        return self.folder / f"{self.name}.log"

    def stop_earlier(self) -> None:
        """Stop what a killed supervisor may have left running. Raises EnginesError when it can't be stopped."""
        os.close(self._lock())

    def run(self, command: Command, text: str = "") -> None:
        """Run a helper of the engine (such as initdb) to its end, giving it `text` to read. Raises EnginesError."""
        child = self.spawn(command, stdin=subprocess.PIPE)
        child.communicate(text.encode())
        if child.returncode != 0:
            raise EnginesError(self.explain(f"{Path(command[0]).name} failed"))

    def spawn(self, command: Command, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start a program that holds the engine's lock and dies with us. Raises EnginesError."""
        lock = self._lock()
        prepare = before_exec(self.account, self.stops[0][0])

        def become() -> None:
            name_holder(lock)
            prepare()

        descriptor = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.log_begins = os.fstat(descriptor).st_size
        try:
            return subprocess.Popen(
                command,
                stdin=stdin,
                stdout=descriptor,
                stderr=descriptor,
                env=ENVIRONMENT,
                cwd="/",
                pass_fds=[lock],
                start_new_session=True,
                preexec_fn=become,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EnginesError(f"{Path(command[0]).name} can't be started: {error}.") from error
        finally:
            os.close(descriptor)
            os.close(lock)

    def explain(self, what: str) -> str:
        """`what`, with the end of the log and, when the disk is full, that."""
        with contextlib.suppress(FileNotFoundError):
            tail = self.log_file.read_bytes()[self.log_begins :][-TAIL_BYTES:].decode(errors="replace")
            lines = tail.strip().splitlines()[-8:]
            if is_disk_full(self.folder) or any(sign in tail for sign in FULL_DISK):
                what = f"The disk of {self.folder} is full: make room and start again. ({what})"
            return "\n".join([f"{what}. The end of {self.log_file}:", *("  " + line for line in lines)])
        return what

    def bound_log(self) -> None:
        """Keep the log and one older file of at most LARGEST_LOG bytes each; engines append, so truncating is safe."""
        with contextlib.suppress(FileNotFoundError):
            if self.log_file.stat().st_size > LARGEST_LOG:
                shutil.copyfile(self.log_file, self.log_file.with_name(self.log_file.name + ".1"))
                os.truncate(self.log_file, 0)

    def _lock(self) -> int:
        """The engine's lock. Whoever outlived a killed supervisor is stopped first."""
        lock = try_lock(self.lock_file, fcntl.LOCK_EX)
        for number, seconds in [*self.stops, (SIGKILL, KILLED_SECONDS)]:
            if lock is not None:
                return lock
            with contextlib.suppress(ValueError, ProcessLookupError, PermissionError):
                os.kill(int(self.lock_file.read_text()), number)
            lock = wait_for_lock(self.lock_file, fcntl.LOCK_EX, time.monotonic() + seconds)
        if lock is None:
            raise EnginesError(
                f"An earlier {self.name} still runs in {self.folder} (process {self.lock_file.read_text().strip()}) "
                "and can't be stopped. Stop it and start again."
            )
        return lock


@dataclass
class Engine:
    """A program that is kept running."""

    program: Program
    command: Command
    is_ready: Callable[[int], bool]
    before_start: Callable[[], None]
    child: subprocess.Popen[bytes] = field(init=False)
    ready: bool = field(default=False, init=False)
    pause: float = field(default=FIRST_PAUSE, init=False)
    started: float = field(default=0.0, init=False)

    def start(self) -> None:
        """Start it; raises EnginesError."""
        self.started = time.monotonic()
        self.program.stop_earlier()
        self.before_start()
        self.child = self.program.spawn(self.command)

    def watch(self) -> None:
        """Note when it answers; start it again when it died. Raises EnginesError if it died before it ever answered."""
        code = self.child.poll()
        if code is None:
            self.ready = self.ready or self.is_ready(self.child.pid)
            return
        if not self.ready:
            raise EnginesError(self.program.explain(f"{self.program.name} did not start"))
        age = time.monotonic() - self.started
        if age > HEALTHY_SECONDS:
            self.pause = FIRST_PAUSE
        if age < self.pause:
            return
        self.pause = min(2 * self.pause, LONGEST_PAUSE)
        log.warning("%s ended with %s after %.0f s: starting it again", self.program.name, code, age)
        try:
            self.start()
        except (EnginesError, OSError) as error:
            log.warning("%s", error)

    def ask_to_stop(self) -> None:
        """Send the polite signal, without waiting."""
        if self.child.poll() is None:
            self.child.send_signal(self.program.stops[0][0])

    def wait_until_stopped(self) -> None:
        """Wait for the end, more forcefully step by step."""
        for (_, seconds), following in zip(
            self.program.stops, [*(number for number, _ in self.program.stops[1:]), SIGKILL], strict=True
        ):
            try:
                self.child.wait(seconds)
                return
            except subprocess.TimeoutExpired:
                log.warning("%s did not stop in %.0f s: sending %s", self.program.name, seconds, following.name)
                self.child.send_signal(following)
        self.child.wait()
