"""The process that runs both engines while anybody uses them: `python -m app.embedded.supervisor FOLDER MODE`."""

import contextlib
import fcntl
import logging
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from app.embedded.errors import EnginesError
from app.embedded.folder import Folder, State, name_holder, try_lock
from app.embedded.identity import engine_account, give
from app.embedded.postgres import postgres
from app.embedded.process import Engine
from app.embedded.valkey import valkey

log = logging.getLogger("engines")

LOOK_SECONDS = 0.1
STARTING_LOOK_SECONDS = 0.01
LOOKS_PER_LOG_CHECK = 600


class Supervisor:
    """Runs the engines until no user is left, it is told to stop, or the folder is removed."""

    def __init__(self, folder: Folder, own_lock: int, *, durable: bool) -> None:
        self.folder = folder
        self.own_lock = own_lock
        self.durable = durable
        self.told_to_stop = False
        self.engines: list[Engine] = []

    def run(self) -> int:
        """The exit status: 1 when the engines could not run; the state file then says why."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        failure = ""
        try:
            self._supervise()
        except EnginesError as error:
            failure = str(error)
        except OSError as error:
            failure = f"The engines in {self.folder.path} can't run: {error}"
        finally:
            self._finish()
        if failure:
            log.error("%s", failure)
            with contextlib.suppress(OSError):  # a full disk; whoever waits for us looks at that too
                if self._has_folder():
                    self.folder.write_state(State(error=failure))
            return 1
        return 0

    def _supervise(self) -> None:
        # Opened once: when the folder is removed and made anew, the new one's users are not ours.
        users = os.open(self.folder.users_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        account = engine_account(self.folder.cluster)
        sockets = self.folder.make_sockets()
        give(sockets, account)
        self._start(valkey(self.folder, sockets, account))
        self._start(postgres(self.folder, sockets, account, durable=self.durable))
        while not all(engine.ready for engine in self.engines) and self._is_wanted(users):
            self._watch()
            time.sleep(STARTING_LOOK_SECONDS)
        if self._is_wanted(users):
            self.folder.write_state(State(sockets=str(sockets), durable=self.durable))
        looks = 0
        while self._is_wanted(users):
            self._watch()
            if looks % LOOKS_PER_LOG_CHECK == 0:
                for engine in self.engines:
                    engine.program.bound_log()
            looks += 1
            time.sleep(LOOK_SECONDS)

    def _start(self, engine: Engine) -> None:
        engine.start()
        self.engines.append(engine)

    def _watch(self) -> None:
        for engine in self.engines:
            engine.watch()

    def _is_wanted(self, users: int) -> bool:
        """Whether to go on. The users' lock, once ours, is kept to our end: new users wait until all has stopped."""
        if self.told_to_stop or not self._has_folder():
            return False
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False

    def _has_folder(self) -> bool:
        """Whether the folder still is the one that we were started for, and not removed or made anew."""
        try:
            found, own = self.folder.supervisor_lock.stat(), os.fstat(self.own_lock)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.told_to_stop = True

    def _finish(self) -> None:
        if self._has_folder():
            self.folder.state_file.unlink(missing_ok=True)
        for engine in self.engines:
            engine.ask_to_stop()
        for engine in self.engines:
            engine.wait_until_stopped()
        if self._has_folder():
            self.folder.remove_sockets()


def main(path: str, mode: str) -> int:
    """Take the supervisor's lock, then go on in the background; the caller's wait ends when the lock is taken."""
    folder = Folder(Path(path))
    lock = try_lock(folder.supervisor_lock, fcntl.LOCK_EX)
    if lock is None:
        return 1
    if os.fork() != 0:
        return 0
    name_holder(lock)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    return Supervisor(folder, lock, durable=mode == "durable").run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
