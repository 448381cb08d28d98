"""The engines' files inside a data folder, and the locks by which several processes share them.

Every lock is a flock: the kernel gives it back when its last holder is gone, also after a kill -9.

start.lock       exclusive, while somebody starts, attaches or looks whether they were the last user
users.lock       shared, by every process that uses the engines; a fork inherits it, an exec does not
supervisor.lock  exclusive, by the supervisor, for its whole life
postgres.lock    exclusive, by PostgreSQL's own processes, until the last of them has ended; so valkey.lock

The last three files hold the pid of the supervisor and of each engine's first process.
"""

import fcntl
import json
import os
import pwd
import re
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from app.embedded.errors import EnginesError

LONGEST_SOCKET_PATH = 103  # bytes; macOS allows this much, Linux four more
POSTGRES_SOCKET = ".s.PGSQL.5432"
VALKEY_SOCKET = "valkey.sock"
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")  # needs no quoting, neither in a URL nor in PostgreSQL's settings
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class State:
    """What the supervisor tells: where the sockets are once the engines answer, or why they don't run."""

    sockets: str = ""
    durable: bool = True
    error: str = ""


@dataclass(frozen=True)
class Folder:
    """`<data>/engines`."""

    path: Path

    @property
    def start_lock(self) -> Path:
        return self.path / "start.lock"

    @property
    def users_lock(self) -> Path:
        return self.path / "users.lock"

    @property
    def supervisor_lock(self) -> Path:
        return self.path / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        return self.path / "supervisor.log"

    @property
    def cluster(self) -> Path:
        return self.path / "postgres"

    @property
    def password_file(self) -> Path:
        return self.path / "password"

    @property
    def state_file(self) -> Path:
        return self.path / "state.json"

    def prepare(self) -> None:
        """Make the folder, readable only to us. Raises EnginesError when it can't be ours."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            owner = self.path.stat().st_uid
        except OSError as error:
            raise EnginesError(
                f"The engines' folder {self.path} can't be made: {error.strerror}. "
                "Mend that, or set LEIMA_DATA to a folder that you can write to."
            ) from error
        if owner != os.geteuid():
            theirs, ours = _user_name(owner), _user_name(os.geteuid())
            raise EnginesError(
                f"The engines' folder {self.path} belongs to {theirs}, and this is {ours}. "
                f"Run Leima as {theirs}, or set LEIMA_DATA to a folder of your own."
            )

    def read_state(self) -> State | None:
        """What the supervisor said last, or None when it has said nothing yet."""
        try:
            return State(**json.loads(self.state_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write_state(self, state: State) -> None:
        """Replace the state at once, so that no reader sees half of it."""
        write_private(self.state_file, json.dumps(asdict(state)))

    def make_sockets(self) -> Path:
        """A new, empty folder for the sockets: here when their paths are short enough, else in the temporary folder."""
        self.remove_sockets()
        run = self.path / "run"
        if _can_hold_sockets(run):
            run.mkdir(mode=0o700)
            return run
        temporary = tempfile.gettempdir()
        if not _can_hold_sockets(Path(temporary, "leima-12345678", "run")):
            temporary = "/tmp"  # noqa: S108 mkdtemp makes an unguessable folder in it that is closed to others
        sockets = Path(tempfile.mkdtemp(prefix="leima-", dir=temporary)) / "run"
        run.symlink_to(sockets)
        sockets.mkdir(mode=0o700)
        return sockets

    def remove_sockets(self) -> None:
        """Remove the folder that make_sockets made, also one that a killed supervisor left behind."""
        run = self.path / "run"
        if run.is_symlink():
            shutil.rmtree(run.readlink().parent, ignore_errors=True)
            run.unlink()
        elif run.exists():
            shutil.rmtree(run)


def _can_hold_sockets(folder: Path) -> bool:
    longest = len(os.fsencode(folder / POSTGRES_SOCKET))
    return longest <= LONGEST_SOCKET_PATH and PLAIN_PATH.fullmatch(str(folder)) is not None


def try_lock(path: Path, mode: int) -> int | None:
    """Take a flock of the mode fcntl.LOCK_SH or LOCK_EX without waiting: its descriptor, or None when it is taken."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def wait_for_lock(path: Path, mode: int, deadline: float) -> int | None:
    """The same, waiting until `deadline` (of time.monotonic)."""
    while (descriptor := try_lock(path, mode)) is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return descriptor


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock. Ask only while holding start.lock, because asking takes it for an instant."""
    descriptor = try_lock(path, fcntl.LOCK_EX)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def is_disk_full(path: Path) -> bool:
    """Whether too little room is left for PostgreSQL to start: one file of its log takes 16 MB."""
    return shutil.disk_usage(path).free < 16 * 1024 * 1024


def name_holder(lock: int) -> None:
    """Write this process's pid into the locked file, in one go, so that nobody reads half of it."""
    os.pwrite(lock, f"{os.getpid():<12}\n".encode(), 0)


def write_private(path: Path, text: str) -> None:
    """Write a file that only we can read, wholly or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
