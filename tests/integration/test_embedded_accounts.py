"""Who the engines run as: root gives them to an ordinary user and changes nothing outside their folder."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.embedded import EnginesError, start
from app.embedded.folder import is_locked
from app.embedded.identity import Account, before_exec

TRY = """
import pathlib, sys
from app.embedded import EnginesError, start
try:
    with start(pathlib.Path(sys.argv[1]), durable=False) as engines:
        print("runs")
except EnginesError as error:
    print(error)
"""
DOCKER = ("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service")
CAP_DAC_READ_SEARCH = 1 << 2

as_root = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="needs root on Linux")
with_setpriv = pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs util-linux's setpriv")


def run(data: Path, *wrapper: str, account: Account | None = None) -> str:
    """What another process says that starts the engines."""
    found = subprocess.run(
        [*wrapper, sys.executable, "-c", TRY, data],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        preexec_fn=before_exec(account, 9) if account else None,
    )
    assert "" == found.stderr
    return found.stdout.strip()


def capabilities(process: int) -> dict[str, int]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1], 16) for line in lines if line.startswith(("CapPrm", "CapEff"))}


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that only its owner can enter."""
    folder = Path(tempfile.mkdtemp(prefix="t-"))
    yield folder
    for lock in folder.glob("*/engines/*.lock"):
        assert not is_locked(lock), lock
    shutil.rmtree(folder)


@as_root
def test_root_runs_the_engines_as_nobody_below_a_folder_that_nobody_can_enter(closed: Path) -> None:
    (closed / "data").mkdir(mode=0o700)
    outside = [closed / "data", closed, Path(sys.executable), Path(psycopg.__file__), *Path(__file__).parents]
    before = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in outside]
    with start(closed / "data", durable=False):
        for name in ("postgres", "valkey"):
            process = int((closed / "data" / "engines" / f"{name}.lock").read_text())
            assert pwd.getpwnam("nobody").pw_uid == Path(f"/proc/{process}").stat().st_uid
            assert {"CapPrm": CAP_DAC_READ_SEARCH, "CapEff": CAP_DAC_READ_SEARCH} == capabilities(process)
    assert before == [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in outside]
    assert {0o700} == {path.stat().st_mode & 0o777 for path in (closed / "data").glob("**/engines")}


@as_root
def test_an_ordinary_user_runs_the_engines_as_itself(closed: Path) -> None:
    # The account may read past permissions, because the interpreter may lie in root's home; it may write nowhere else.
    nobody = Account(pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
    os.chown(closed, nobody.uid, nobody.gid)
    assert "runs" == run(closed / "data", account=nobody)
    owners = {path.stat().st_uid for path in (closed / "data").rglob("*")}
    assert {nobody.uid} == owners


@as_root
@with_setpriv
def test_root_of_a_docker_container_can_start_the_engines(closed: Path) -> None:
    bounds = ",".join(["-all", *(f"+{name}" for name in DOCKER)])
    assert "runs" == run(closed / "data", "setpriv", "--bounding-set", bounds)


@as_root
@with_setpriv
def test_root_without_its_powers_is_told_what_to_do(closed: Path) -> None:
    said = run(closed / "data", "setpriv", "--bounding-set", "-setuid,-setgid")
    assert "this root lacks CAP_SETGID, CAP_SETUID" in said
    assert "Run Leima as an ordinary user, or set LEIMA_DATABASE_URL" in said


@as_root
def test_a_folder_of_somebody_else_is_refused_with_both_names(closed: Path) -> None:
    start(closed / "data", durable=False).close()
    os.chown(closed / "data" / "engines", pwd.getpwnam("nobody").pw_uid, -1)
    with pytest.raises(EnginesError, match=r"belongs to nobody, and this is root\. Run Leima as nobody"):
        start(closed / "data", durable=False)


@as_root
def test_a_backup_that_root_restored_is_given_back_to_the_engines(closed: Path) -> None:
    start(closed / "data", durable=False).close()
    cluster = closed / "data" / "engines" / "postgres"
    for path in [*cluster.rglob("*"), cluster]:
        os.chown(path, 0, 0, follow_symlinks=False)
    assert "runs" == run(closed / "data")


def test_a_folder_that_cannot_be_written_to_is_refused_in_plain_words(closed: Path) -> None:
    (closed / "data").symlink_to("/proc/self")
    with pytest.raises(EnginesError, match=r"can't be made: .*set LEIMA_DATA to a folder that you can write to"):
        start(closed / "data")
