"""The project's own shape: what the linters can't say."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("app", "passes", "certs", "sms")
    for path in (ROOT / folder).rglob("*.py")
    if "versions" not in path.parts
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_time_is_read_only_by_the_clock(path: Path):
    if path.name != "clock.py":
        assert not re.search(r"\b(datetime\.now|datetime\.utcnow|date\.today|time\.time)\(", path.read_text())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_stay_small(path: Path):
    assert len(path.read_text().splitlines()) <= 330


def test_the_lock_files_name_no_index_and_pin_every_hash():
    for lock in ROOT.glob("*.lock"):
        lines = lock.read_text().splitlines()
        assert not [line for line in lines if "://" in line or line.startswith("--")]
        assert all("==" in line for line in lines if line and not line.startswith((" ", "#")))
        assert any("--hash=sha256:" in line for line in lines)
