"""What the outbox and the serials call cost as an installation grows: 1,000, 100,000 and 1,000,000 cards.

    python bench/growth.py [--sizes N,N,…] [--rounds N] [--explain]

Each size has a database of its own, where every card is on a phone and waits in the outbox. The sizes take turns. What
is measured is our own work: claiming rows, finding their phones, recording what became of them; and the read behind the
serials call and behind a phone's fetch. No pushes, no HTTP. Prints Markdown; --explain adds PostgreSQL's plans for the
largest size.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Connection, event, text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app import clock, embedded
from app import settings as settings_module
from app.db import migrate
from app.db.delivery import Channel
from app.db.engine import make_engine
from app.jobs import drain
from app.jobs.outcome import Outcome
from app.jobs.station import Station
from app.services import apple_devices, card_state, outbox, programs
from app.services.outbox import Claimed
from app.wiring import Wired
from bench.installation import PASS_TYPE, PROGRAM, Installation, fill, machine, vacuum

LONGEST_LINE = 110  # of a plan: it names five hundred cards
SAMPLE = 1000  # cards that a turn drains, and phones that ask in it
_BACKLOG = """INSERT INTO outbox (channel, program_id, subject_id, state, notify, payload, due_at, attempts, error,
                    created_at)
    SELECT 'apple', :program, cards.id, 'waiting', true, '{}', CAST(:at AS timestamptz) - random() * interval '1 hour',
           0, '', :at
    FROM cards WHERE NOT EXISTS (SELECT FROM outbox WHERE subject_id = cards.id)"""


@dataclass
class Size:
    """One database, and what its turns brought, in calls a second by name."""

    cards: int
    wired: Wired
    rates: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.context = self.wired.context
        migrate.upgrade(self.context.engine)
        self.program = programs.create(self.context, "bench", PROGRAM)
        self.sample = fill(self.context.engine, self.program.id, self.cards, SAMPLE)
        self.station = Station(self.context, {Channel.APPLE: self._deliver})
        self.drained = 0

    def _deliver(self, rows: Sequence[Claimed]) -> Sequence[Outcome]:
        apple_devices.targets(self.context, [row.subject_id for row in rows])
        self.drained += len(rows)
        self.station.stop.asked = self.drained >= len(self.sample)
        return [Outcome(row) for row in rows]

    def prepare(self) -> None:
        """Have every card wait in the outbox."""
        with self.context.engine.begin() as connection:
            connection.execute(text(_BACKLOG), {"program": self.program.id, "at": clock.now()})
        vacuum(self.context.engine)

    def time(self, name: str, act: Callable[["Size"], object]) -> None:
        """One turn of one thing."""
        begun = time.perf_counter()
        act(self)
        self.rates.setdefault(name, []).append(len(self.sample) / (time.perf_counter() - begun))

    def drain(self) -> None:
        self.drained, self.station.stop.asked = 0, False
        drain.empty(self.station, Channel.APPLE)

    def ask_serials(self) -> None:
        for card in self.sample:
            if apple_devices.changed_since(self.context, card.device, PASS_TYPE, "0") is None:
                sys.exit(f"{card.device} has no changed card")

    def read_states(self) -> None:
        for card in self.sample:
            if card_state.find(self.context, card.card_id) is None:
                sys.exit(f"card {card.card_id} is gone")


MEASURES: dict[str, Callable[[Size], object]] = {
    "cards drained/s": Size.drain,
    "serials calls/s": Size.ask_serials,
    "reads for a fetch/s": Size.read_states,
}


def sized(here: Installation, engines: embedded.Engines, cards: int) -> Size:
    """A database with that many cards."""
    name = f"bench_{cards}"
    admin = make_engine(engines.database_url)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    url = engines.database_url.replace("/leima?", f"/{name}?")
    here.set(database_url=url, redis_url=engines.redis_url)
    return Size(cards, Wired(settings_module.load(here.environment)))


def explain(size: Size) -> None:
    """Print how PostgreSQL finds the rows of each read."""
    plans: list[tuple[str, str]] = []
    context = size.context

    def note(connection: Connection, _cursor: object, statement: str, values: object, *_: object) -> None:
        if statement.startswith("WITH due"):
            driver: Any = connection.connection.driver_connection
            driver.execute("SAVEPOINT plan")  # EXPLAIN ANALYZE really claims
            plans.append(("claim", _plan(driver, statement, values)))
            driver.execute("ROLLBACK TO plan")

    event.listen(context.engine, "before_cursor_execute", note)
    rows = outbox.claim(context, Channel.APPLE, 500)
    event.remove(context.engine, "before_cursor_execute", note)
    with context.engine.connect() as connection:
        driver, card = connection.connection.driver_connection, size.sample[0]
        device = {"library_identifier": card.device, "pass_type": PASS_TYPE}
        cards = {"card_ids": [row.subject_id for row in rows]}
        plans.append(("phones of cards", _plan(driver, apple_devices.PHONES_OF_CARDS.text, cards)))
        plans.append(("serials", _plan(driver, apple_devices.CARDS_ON_PHONE.text, device)))
        plans.append(("a fetch", _plan(driver, card_state.STATE.text, {"card_id": card.card_id})))
    for name, plan in plans:
        print(f"\n{name}:\n\n```\n{plan}\n```")


def _plan(driver: Any, statement: str, values: object) -> str:
    found = driver.execute(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) {statement}", values)
    lines = [row[0] for row in found]
    return "\n".join(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in lines)


def report(sizes: list[Size]) -> None:
    print(f"| | {' | '.join(f'{size.cards:,} cards' for size in sizes)} | slowest of fastest |")
    print("|---|" + "---:|" * (len(sizes) + 1))
    for name in sizes[0].rates:
        rates = [median(size.rates[name][1:]) for size in sizes]  # the first turn warms up
        print(f"| {name} | {' | '.join(f'{rate:,.0f}' for rate in rates)} | {min(rates) / max(rates):.0%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,100000,1000000", help="cards, separated by commas")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each size")
    parser.add_argument("--explain", action="store_true", help="print PostgreSQL's plans, too")
    chosen = parser.parse_args()
    with Installation() as here, embedded.start(here.folder) as engines:
        print(f"{machine()}\n", flush=True)
        sizes = [sized(here, engines, int(cards)) for cards in chosen.sizes.split(",")]
        for _ in range(chosen.rounds + 1):
            for size in sizes:
                size.prepare()
            for name, act in MEASURES.items():
                for size in sizes:
                    size.time(name, act)
        report(sizes)
        if chosen.explain:
            explain(sizes[-1])
        for size in sizes:
            size.wired.close()


if __name__ == "__main__":
    main()
