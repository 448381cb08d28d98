"""PostgreSQL: how its cluster is made and how it is run."""

import contextlib
import os
import secrets
import shutil
from pathlib import Path
from signal import SIGINT, SIGQUIT

from app.embedded.binaries import postgres_program
from app.embedded.errors import EnginesError
from app.embedded.folder import Folder, write_private
from app.embedded.identity import Account, give
from app.embedded.process import Command, Engine, Program

MAJOR = "18"
STOPS = [(SIGINT, 20.0), (SIGQUIT, 5.0)]  # fast shutdown (clients are cut off), then immediate (recovery at next start)
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
}
INITDB_OPTIONS = (
    "--username=postgres",
    "--auth=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)
# Outlives the kill of any process, because the kernel has what was written; does not outlive a power cut.
VOLATILE = {"fsync": "off", "full_page_writes": "off"}


def postgres(folder: Folder, sockets: Path, account: Account | None, *, durable: bool) -> Engine:
    """The engine, with its cluster made if there is none. Raises EnginesError."""
    program = Program("postgres", folder.path, account, STOPS)
    cluster = folder.cluster
    settings = SETTINGS if durable else SETTINGS | VOLATILE
    program.stop_earlier()
    if not cluster.exists():
        _create(program, folder, settings)
    _check_version(cluster)
    if account is not None and cluster.stat().st_uid != account.uid:
        give(cluster, account)
    if not folder.password_file.exists():
        _set_password(program, folder, settings)
    command: Command = [postgres_program("postgres"), "-D", cluster, "-k", sockets, *_options(settings)]

    def before_start() -> None:
        _forget_dead(cluster)
        for stale in sockets.glob(".s.PGSQL.*"):
            stale.unlink()

    def is_ready(pid: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            lines = (cluster / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"
        return False

    return Engine(program, command, is_ready, before_start)


def _create(program: Program, folder: Folder, settings: dict[str, str]) -> None:
    """Make the cluster beside its place and move it there when it is whole, so a kill halfway leaves no half of one."""
    draft = folder.path / "postgres.new"
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    give(draft, program.account)
    sync = ["--no-sync"] if settings.get("fsync") == "off" else []
    initdb: Command = [postgres_program("initdb"), f"--pgdata={draft}", *INITDB_OPTIONS, *sync]
    program.run(initdb)
    (draft / "pg_hba.conf").write_text("local all leima scram-sha-256\n")
    if not folder.password_file.exists():
        write_private(folder.password_file, _new_password())
    password = folder.password_file.read_text()
    role = f"CREATE ROLE leima LOGIN CREATEDB PASSWORD '{password}'"
    _single_user(program, draft, settings, [role, "CREATE DATABASE leima OWNER leima"])
    draft.rename(folder.cluster)
    descriptor = os.open(folder.path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _set_password(program: Program, folder: Folder, settings: dict[str, str]) -> None:
    """Give the role a new password when its file was lost."""
    password = _new_password()
    _forget_dead(folder.cluster)
    _single_user(program, folder.cluster, settings, [f"ALTER ROLE leima PASSWORD '{password}'"])
    write_private(folder.password_file, password)


def _single_user(program: Program, cluster: Path, settings: dict[str, str], statements: list[str]) -> None:
    """Run statements as the superuser, which no connection can be."""
    options = _options(settings | {"exit_on_error": "on"})
    command: Command = [postgres_program("postgres"), "--single", "-D", cluster, *options, "postgres"]
    program.run(command, "".join(statement + "\n" for statement in statements))


def _options(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _new_password() -> str:
    return secrets.token_urlsafe(24)


def _check_version(cluster: Path) -> None:
    try:
        found = (cluster / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise EnginesError(
            f"{cluster} is not a whole PostgreSQL folder ({error.strerror}: PG_VERSION). Restore it from a backup, "
            "or move it away to start with an empty database."
        ) from error
    if found != MAJOR:
        raise EnginesError(
            f"The data in {cluster} was written by PostgreSQL {found}, and this Leima brings PostgreSQL {MAJOR}. "
            "Dump it with the Leima that wrote it (pg_dump) and load it into a new folder."
        )


def _forget_dead(cluster: Path) -> None:
    """Remove a killed PostgreSQL's pid file, for the next one would take whoever has that pid now for the dead one.

    In containers this is usual: pids are small and come back after each restart, and where process 1 reaps no
    children the dead one itself stays as a zombie. We hold postgres.lock, so no PostgreSQL of ours is alive; one that
    somebody started by hand works in the cluster's folder, and is left for PostgreSQL to complain about.
    """
    pid_file = cluster / "postmaster.pid"
    if not Path("/proc/self/cwd").exists() or not pid_file.exists():
        return
    pid = pid_file.read_text().split("\n")[0]
    try:
        works_here = Path(f"/proc/{pid}/cwd").readlink() == cluster
    except OSError:
        works_here = False
    if not works_here:
        pid_file.unlink()
