"""Running our processes side by side: start them, start again what died, stop them together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from app.embedded.identity import before_exec
from app.logs import log

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.1
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a process that died is started again
HEALTHY_SECONDS = 60.0  # after so long the pause starts small again
STOP_SECONDS = 20.0  # for requests and batches that are under way; then they are killed


@dataclass
class Running:
    """One process that is kept running. It gets SIGTERM from the kernel when we are killed (on Linux)."""

    name: str
    command: Sequence[str]
    child: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started: float = field(default=0.0, init=False)
    due: float = field(default=0.0, init=False)
    pause: float = field(default=FIRST_PAUSE, init=False)

    def watch(self) -> None:
        """Start it when it is due; note when it died, and when to start it again."""
        if self.child is None:
            if time.monotonic() >= self.due:
                self._start()
            return
        status = self.child.poll()
        if status is None:
            return
        if time.monotonic() - self.started > HEALTHY_SECONDS:
            self.pause = FIRST_PAUSE
        log().error("process.died", process=self.name, status=status, again_in_seconds=self.pause)
        self.child, self.due = None, time.monotonic() + self.pause
        self.pause = min(self.pause * 2, LONGEST_PAUSE)

    def _start(self) -> None:
        self.started = time.monotonic()
        # A session of its own: Ctrl-C in the terminal reaches us alone, and we stop all in order.
        self.child = subprocess.Popen(
            self.command, cwd=ROOT, start_new_session=True, preexec_fn=before_exec(None, signal.SIGTERM)
        )

    def ask_to_stop(self) -> None:
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()

    def stop(self) -> None:
        """Ask it to stop, and wait for its end."""
        self.ask_to_stop()
        self.wait(time.monotonic() + STOP_SECONDS)

    def wait(self, until: float) -> None:
        """Wait for its end until the moment (of time.monotonic); then kill it with all that it started."""
        if self.child is None:
            return
        try:
            self.child.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()


def python(*arguments: str) -> list[str]:
    """A command of this Python."""
    return [sys.executable, *arguments]


def run_together(
    processes: Sequence[Running], look_after: Callable[[], None] = lambda: None, stop_seconds: float = STOP_SECONDS
) -> None:
    """Run them until SIGINT, SIGTERM or SIGHUP comes, then stop them. `look_after` is called about once a second.

    Each is given `stop_seconds`; those that run others themselves give those less.
    """
    stop: list[int] = []

    def told(number: int, _frame: FrameType | None) -> None:
        stop.append(number)

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    looked_after = time.monotonic()
    try:
        while not stop:
            for process in processes:
                process.watch()
            if time.monotonic() - looked_after >= 1.0:
                look_after()
                looked_after = time.monotonic()
            time.sleep(POLL_SECONDS)
    finally:
        for process in processes:
            process.ask_to_stop()
        until = time.monotonic() + stop_seconds
        for process in processes:
            process.wait(until)
        for number, handler in before.items():
            signal.signal(number, handler)
