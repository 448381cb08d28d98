"""What taking a programme's data out costs, and bringing them in: rows a second, memory, and beside PostgreSQL's COPY.

    python bench/export.py [--members N] [--purchases N]

A database of its own, filled in SQL. Bare COPY writes the same rows of the same tables to nowhere, in this process and
in the same run: what is on top of it are the digests, the ZIP and the formats. Prints Markdown.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.db import tables
from app.services import backups, export_policy, exporting, loading, whole_files
from app.services.context import Actor, Context
from app.services.table_copy import driver, prepare
from bench.classing import fill
from bench.installation import Installation, machine

_LEDGER = """INSERT INTO ledger_entries (id, program_id, member_id, operation_id, unit, kind, amount, at, receipt_no)
    SELECT uuidv7(), program_id, member_id, id, 'stamp', 'earn', 1, at, '' FROM purchases"""


def seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def megabytes() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bare_copy(engine: Engine, program: UUID) -> int:
    """PostgreSQL's own CSV of the same rows, as it is, thrown away. Returns how many rows."""
    count = 0
    with engine.connect() as connection:
        prepare(connection)
        for table in export_policy.exported():
            where = export_policy.scope(table.name)
            query = f'COPY (SELECT * FROM "{table.name}" WHERE {where}) TO STDOUT (FORMAT csv)'  # noqa: S608 - our tables
            with driver(connection).cursor() as cursor, cursor.copy(query, {"program": program}) as copy:
                for _ in copy:
                    count += 1
    return count


def empty(engine: Engine) -> None:
    names = ", ".join(table.name for table in tables.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {names} CASCADE"))


def without(pieces: Iterator[bytes]) -> int:
    """Go through all pieces and keep none; returns their size."""
    return sum(map(len, pieces))


def measure(context: Context, program: UUID, folder: Path) -> list[tuple[str, float, str]]:
    engine, kept = context.engine, folder / "programme.zip"
    told: list[tuple[str, float, str]] = []

    def note(what: str, act: Callable[[], Any], remark: str = "") -> None:
        told.append((what, seconds(act), remark))

    rows = bare_copy(engine, program)  # once for the caches
    note("bare COPY of the same rows", lambda: bare_copy(engine, program))
    before = megabytes()
    note("export, sent away", lambda: without(exporting.stream(context, Actor(program))))
    note("export to a file", lambda: whole_files.write(kept, exporting.stream(context, Actor(program))))
    told[-1] = (
        *told[-1][:2],
        f"{kept.stat().st_size / 2**20:.0f} MB; {megabytes() - before:.0f} MB more memory at most",
    )
    note("backup of the installation to a file", lambda: whole_files.write(folder / "backup", backups.stream(context)))
    empty(engine)

    def load() -> None:
        with kept.open("rb") as file:
            loading.load(context, file)

    before = megabytes()
    note("load into an empty installation", load)
    told[-1] = (*told[-1][:2], f"{megabytes() - before:.0f} MB more memory at most")
    return [(what, took, f"{rows / took:,.0f} rows/s" + (f"; {more}" if more else "")) for what, took, more in told]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--purchases", type=int, default=0, help="by default three for each member")
    given = parser.parse_args()
    purchases = given.purchases or 3 * given.members
    with Installation() as here, tempfile.TemporaryDirectory(prefix="leima-export-") as folder:
        fill(here.context.engine, here.program.id, given.members, purchases)
        with here.context.engine.begin() as connection:
            connection.execute(text(_LEDGER))
            connection.execute(text("ANALYZE"))
        measured = measure(here.context, here.program.id, Path(folder))
    print(f"{machine()}. {given.members:,} members, {purchases:,} purchases, as many ledger entries.\n")
    print("| | seconds | of bare COPY | |\n|---|---:|---:|---|")
    for what, took, remark in measured:
        print(f"| {what} | {took:.2f} | {took / measured[0][1]:.1f} × | {remark} |")


if __name__ == "__main__":
    main()
