"""How fast a night's lapsed stamps are closed, and what the till feels of it.

    python bench/expiry.py [--members N]

Each member has a stamp that lapsed at midnight. The worker closes them as it does each night, while a till gives stamps
over the API at an even pace, to the very same members. Durable database; everything shares the machine. Prints
Markdown.
"""

import argparse
import sys
import threading
import time
from pathlib import Path

from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.services import programs
from app.services.context import Actor
from bench.campaign import stamps
from bench.installation import Installation, machine, share

WARM_UP_SECONDS = 3.0
ALONE_SECONDS = 10.0


def fill(here: Installation, members: int) -> None:
    """Members with cards, and one stamp each that has lapsed."""
    with here.context.sessions.begin() as session:
        for statement in _FILL:
            session.execute(text(statement), {"program": here.program.id, "members": members})
    with here.context.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE members, cards, ledger_entries"))


def left(here: Installation) -> int:
    """How many members have something that is not closed yet."""
    with here.context.sessions() as session:
        number: int = session.execute(text("SELECT count(*) FROM members WHERE next_expiry_at <= now()")).scalar_one()
        return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=50_000)
    given = parser.parse_args()
    where = machine()
    with Installation(web_workers=2) as here:
        fill(here, given.members)
        programs.save_location(here.context, Actor(here.program.id), {"name": "Bench", "address": ""})
        here.start_web()
        stamps(here, WARM_UP_SECONDS)
        alone = stamps(here, ALONE_SECONDS)
        meanwhile: list[float] = []
        done = threading.Event()

        def till() -> None:
            while not done.is_set():
                meanwhile.extend(stamps(here, 2.0))

        thread = threading.Thread(target=till)
        open_before, begun = left(here), time.monotonic()
        here.start_worker()
        thread.start()
        try:
            while left(here):
                time.sleep(1)
        finally:
            seconds = time.monotonic() - begun
            done.set()
            thread.join()
    print(where, "\n")
    print("| | members/s | till: p50 | till: p99 |\n|---|---:|---:|---:|")
    print(f"| till alone | | {share(alone, 0.5) * 1000:.0f} ms | {share(alone, 0.99) * 1000:.0f} ms |")
    print(
        f"| {open_before} members' stamps closed in {seconds:.0f} s | {open_before / seconds:.0f} | "
        f"{share(meanwhile, 0.5) * 1000:.0f} ms | {share(meanwhile, 0.99) * 1000:.0f} ms |"
    )


_FILL = (
    """INSERT INTO members (id, program_id, phone, name, email, city, language, via, status, joined_at, stamps, rewards,
        next_expiry_at)
    SELECT uuidv7(), :program, '+35840' || lpad(n::text, 7, '0'), 'Anna Aalto', '', '', 'en', '', 'active',
        now() - interval '1 year', 1, 0, date_trunc('day', now())
    FROM generate_series(1, CAST(:members AS int)) AS n""",
    """INSERT INTO cards (id, member_id, code, link_generation, link_hash, version, changed_at, news)
    SELECT uuidv7(), id, substr(phone, 2), 1, encode(sha256(phone::bytea), 'hex'), 1, now() - interval '1 year', ''
    FROM members""",
    """INSERT INTO ledger_entries (id, program_id, member_id, operation_id, unit, kind, amount, at, expires_at,
        receipt_no)
    SELECT given.id, :program, given.member_id, given.id, 'stamp', 'earn', 1, now() - interval '1 year',
        date_trunc('day', now()), ''
    FROM (SELECT uuidv7() AS id, id AS member_id FROM members) AS given""",
)


if __name__ == "__main__":
    main()
