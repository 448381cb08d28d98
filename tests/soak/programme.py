"""The whole programme's books are right after any history: `python -m tests.soak.programme` (`make soak` runs it too).

The long form of tests/integration/test_whole_programme.py: many histories of purchases, stamps, visits, rewards,
credit, bonus, friends, undos and days that go by, at one till and at several at once; and then everything that locks
anything on the same few members, for a minute.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import text

from app import clock, settings
from app.db import tables
from app.services.context import Context
from app.wiring import Wired
from certs import development, identity
from tests.factories import open_shop
from tests.integration.whole_books import assert_books
from tests.integration.whole_hunt import Hunt, deadlocks
from tests.integration.whole_shop import Clock, WholeShop, finish, play
from tests.soak.commands import migrated, new_folder, plan_of


@dataclass(frozen=True)
class Plan:
    """How much is done: so many histories of so many rounds, and then the hunt for deadlocks."""

    histories: int = 40
    rounds: int = 30
    seconds: int = 60
    seed: int = 1


def run(plan: Plan, context: Context) -> str:
    """Carry the plan out; raises at the first promise that was not kept. Returns what was done."""
    begun, acts = time.monotonic(), 0
    for number in range(plan.histories):
        tills = 1 if number % 3 == 0 else 4
        seed = plan.seed + number
        with _clock(Clock()) as days, _empty(context):
            here = WholeShop(open_shop(context), points=number % 2 == 1)
            try:
                play(here, days, seed, plan.rounds, tills, 12 // tills)
                assert_books(here)
                finish(here)
                assert_books(here)
            except BaseException as fault:
                fault.add_note(f"the history with --seed {seed} --histories 1, at {tills} tills")
                raise
            acts += len(here.told)
    with _clock(Clock()) as days, _empty(context):
        hunt = Hunt(open_shop(context))
        setattr(clock, "now", hunt.now)  # noqa: B010
        before = deadlocks(context)
        hunt.run(plan.seconds, plan.seed)
        if hunt.faults or deadlocks(context) != before:
            raise AssertionError("\n".join([f"{deadlocks(context) - before} deadlocks", *hunt.faults]))
        days.moment = hunt.now()
        setattr(clock, "now", days.now)  # noqa: B010
        finish(hunt)
        assert_books(hunt)
    seconds = time.monotonic() - begun
    return f"{plan.histories} histories with {acts} acts, and {hunt.done} in the hunt, in {seconds:.0f} s: all is right"


@contextmanager
def _clock(days: Clock) -> Iterator[Clock]:
    real = clock.now
    setattr(clock, "now", days.now)  # noqa: B010 - a name of a module, as pytest's monkeypatch sets it
    try:
        yield days
    finally:
        setattr(clock, "now", real)  # noqa: B010


@contextmanager
def _empty(context: Context) -> Iterator[None]:
    names = ", ".join(table.name for table in tables.metadata.sorted_tables)
    with context.engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    context.valkey.flushdb()
    yield


def main() -> None:
    plan = plan_of("programme", __doc__, Plan)
    with new_folder() as folder, migrated(folder) as engines:
        own = development.make("pass.fi.leima.test", "LEIMATEAM1", "Leima", clock.now())
        identity.save(own, folder / "certs")
        environment = {
            "LEIMA_ENV": "test",
            "LEIMA_DATA": str(folder),
            "LEIMA_SECRET_KEY": "a secret that only the soak knows, 40 characters",
            "LEIMA_DATABASE_URL": engines.database_url,
            "LEIMA_REDIS_URL": engines.redis_url,
            "LEIMA_PUBLIC_URL": "http://localhost:8400",
            "LEIMA_LOG_LEVEL": "error",
        }
        wired = Wired(settings.load(environment))
        try:
            print(run(plan, wired.context), file=sys.stderr)
        finally:
            wired.close()


if __name__ == "__main__":
    main()
