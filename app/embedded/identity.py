"""Who the engines run as, and how they die with their supervisor.

PostgreSQL refuses to run as root. So root runs the engines as `nobody`, leaving them one capability, to read past
permissions, so that they reach their programs and their data below folders that are closed to others (such as /root).
No permission is changed outside the engines' own folder, and no user is made. See capabilities(7), prctl(2).
"""

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.embedded.errors import EnginesError

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_GET_SECUREBITS, PR_SET_SECUREBITS, PR_CAP_AMBIENT = 1, 8, 27, 28, 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
NEEDED = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": CAP_DAC_OVERRIDE, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
ENGINE_LOG = 2  # the descriptor of standard error, which Popen has pointed at the log by then


@dataclass(frozen=True)
class Account:
    """An unprivileged user that root gives the engines to."""

    uid: int
    gid: int


def engine_account(cluster: Path) -> Account | None:
    """Whom to run the engines as: None is ourselves; as root, the cluster's owner or `nobody`. Raises EnginesError."""
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        raise EnginesError("PostgreSQL can't run as root on this system. Run Leima as an ordinary user.")
    held = _held_capabilities()
    if missing := [name for name, number in NEEDED.items() if not held >> number & 1]:
        raise EnginesError(
            f"PostgreSQL can't run as root, and this root lacks {', '.join(missing)} to run it as another user. "
            "Run Leima as an ordinary user, or set LEIMA_DATABASE_URL and LEIMA_REDIS_URL."
        )
    if cluster.exists() and (found := cluster.stat()).st_uid != 0:
        return Account(found.st_uid, found.st_gid)
    entries = sorted(pwd.getpwall(), key=lambda entry: entry.pw_name != "nobody")
    for entry in entries:
        if entry.pw_uid != 0 and entry.pw_gid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise EnginesError(
        "PostgreSQL can't run as root, and this machine has no other user. "
        "Run Leima as an ordinary user, or set LEIMA_DATABASE_URL and LEIMA_REDIS_URL."
    )


def give(path: Path, account: Account | None) -> None:
    """Make the account own the folder and all in it; the folder comes last, so its owner tells that all is done.

    Raises EnginesError.
    """
    if account is None:
        return
    try:
        for found in [*path.rglob("*"), path]:
            os.chown(found, account.uid, account.gid, follow_symlinks=False)
    except OSError as error:
        raise EnginesError(
            f"PostgreSQL can't run as root, and {path} can't be given to user {account.uid}: {error.strerror}. "
            "Run Leima as an ordinary user, or set LEIMA_DATABASE_URL and LEIMA_REDIS_URL."
        ) from error


def before_exec(account: Account | None, death_signal: signal.Signals) -> Callable[[], None]:
    """What a child of this (single-threaded) process does between fork and exec."""
    parent = os.getpid()
    libc = _libc() if sys.platform == "linux" else None

    def become() -> None:
        if libc is None:
            return
        try:
            if account is not None:
                _drop_root(libc, account)
            # The kernel forgets the death signal when the user changes, so it is set after that.
            _prctl(libc, PR_SET_PDEATHSIG, death_signal)
        except OSError as error:
            os.write(ENGINE_LOG, f"can't become user {account and account.uid}: {error}\n".encode())
            os._exit(1)
        if os.getppid() != parent:
            os._exit(1)

    return become


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    return libc


def _held_capabilities() -> int:
    """Ours, as a bit mask of the first 32."""
    sets = (ctypes.c_uint32 * 6)()
    if _libc().capget((ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), sets) != 0:
        return 0
    return int(sets[0])


def _drop_root(libc: ctypes.CDLL, account: Account) -> None:
    # Without this bit access(2) ignores an ordinary user's capabilities, and initdb asks access(2) for its programs.
    bits = libc.prctl(PR_GET_SECUREBITS, 0, 0, 0, 0)
    libc.prctl(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    _prctl(libc, PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    if not any(_keep_only(libc, capability) for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE)):
        raise OSError(ctypes.get_errno(), "no capability to read past permissions")


def _keep_only(libc: ctypes.CDLL, capability: int) -> bool:
    """Drop all capabilities but this one, and hand it on through exec. False when we don't have it."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    if libc.capset(header, sets) != 0:
        return False
    _prctl(libc, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)
    return True


def _prctl(libc: ctypes.CDLL, option: int, first: int, second: int = 0) -> None:
    if libc.prctl(option, first, second, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")
