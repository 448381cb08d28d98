"""scripts/setup.sh takes over the lock of a set-up that was killed, and says for whom it waits."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where everything is installed already: a set-up has nothing to do but to take its turn."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / "site").mkdir()
    shutil.copy(ROOT / "scripts/setup.sh", tmp_path / "scripts")
    for name in ("requirements.lock", "requirements-build.lock"):
        (tmp_path / name).touch()
        (tmp_path / f".venv/.installed-{name}").touch()
    python = tmp_path / ".venv/bin/python"
    python.write_text('#!/bin/sh\ncase "$2" in *purelib*) echo "$PWD/site" ;; esac\n')
    python.chmod(0o755)
    return tmp_path


def start(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [folder / "scripts/setup.sh"],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHON": sys.executable},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_lock_of_a_set_up_that_was_killed_is_taken_over(folder: Path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    (folder / ".venv.lock").mkdir()
    (folder / ".venv.lock/pid").write_text(f"{gone.pid}\n")
    _, told = start(folder).communicate(timeout=20)
    assert "" == told
    assert not (folder / ".venv.lock").exists()
    assert (folder / ".venv/bin/leima").exists()


def test_a_lock_that_names_nobody_holds_for_ten_seconds_only(folder: Path):
    (folder / ".venv.lock").mkdir()
    started = start(folder)
    _, told = started.communicate(timeout=40)
    assert (0, "") == (started.returncode, told)
    assert (folder / ".venv/bin/leima").exists()


def test_it_says_for_whom_it_waits(folder: Path):
    other = subprocess.Popen(["sleep", "60"])
    (folder / ".venv.lock").mkdir()
    (folder / ".venv.lock/pid").write_text(f"{other.pid}\n")
    waiting = start(folder)
    assert waiting.stderr is not None
    assert f"Waiting for another set-up (pid {other.pid}) …\n" == waiting.stderr.readline()
    other.kill()
    other.wait()
    assert (0, "") == (waiting.wait(20), waiting.stderr.read())
    waiting.stderr.close()
