"""What every soak's command line needs: a plan from its arguments, an empty installation, and a report at the end."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

from app import embedded, logs
from app.db import migrate
from app.db.engine import make_engine
from app.embedded import Engines

PlanType = TypeVar("PlanType")


class Report(Protocol):
    """What is printed at the end; `faults` are promises that were not kept."""

    faults: list[str]


def plan_of(name: str, what: str | None, plan: type[PlanType]) -> PlanType:
    """The plan that the command line of `python -m tests.soak.<name>` asks for. Its fields are numbers."""
    logs.configure("error")
    parser = argparse.ArgumentParser(prog=f"python -m tests.soak.{name}", description=what)
    for field, default in vars(plan()).items():
        parser.add_argument(f"--{field.replace('_', '-')}", type=int, default=default)
    return plan(**vars(parser.parse_args()))


@contextmanager
def new_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="leima-soak-") as folder:
        yield Path(folder)


@contextmanager
def migrated(folder: Path) -> Iterator[Engines]:
    """Engines with all tables, and nothing in them."""
    with embedded.start(folder) as engines:
        engine = make_engine(engines.database_url)
        migrate.upgrade(engine)
        engine.dispose()
        yield engines


def tell(report: Report, log: Path) -> NoReturn:
    """Print the report, and the end of the log when something is wrong; exit 1 then."""
    print(report)
    if report.faults:
        print(log.read_text()[-4000:], file=sys.stderr)
    sys.exit(1 if report.faults else 0)
