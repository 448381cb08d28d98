"""How many phones a second are told of changed cards: through outbox and client, next to aioapns sending bare.

    python bench/push_fanout.py [--cards N] [--rounds N]

Both push to the stand-in (sandbox/apns.py) over TLS, with 20 ms of latency, from a process of their own, in turns.
Leima's turn is the whole job of a worker: claim the rows, find the phones, push, and record what became of it, with
PostgreSQL on the same machine. aioapns has a list of tokens in memory, and no more. It is no dependency of Leima:
without it only Leima is measured. Prints Markdown.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app import clock, logs
from app import settings as settings_module
from app.db.delivery import Channel
from app.jobs import apple, drain
from app.jobs.station import Station
from app.services import outbox
from app.wiring import PushClients, Wired
from bench.installation import PASS_TYPE, BenchCard, Installation, machine, vacuum
from bench.push_contenders import Service, with_aioapns
from bench.push_libraries import cpu_seconds, prepare
from sandbox.apns import ApnsSandbox, Behaviour
from sandbox.apns_rules import Device

LATENCY = 0.02


def leima(environment: Mapping[str, str]) -> Callable[[], None]:
    """A worker's Apple channel, told to empty the outbox."""
    logs.configure("warning")
    wired = Wired(settings_module.load(environment))
    clients = PushClients(wired.context)
    here = Station(wired.context, {Channel.APPLE: partial(apple.push_phones, wired.context, clients)})

    def run() -> None:
        drain.empty(here, Channel.APPLE)

    return run


def bare(service: Service, tokens: list[str]) -> Callable[[], None]:
    """aioapns with all tokens at hand."""
    send = with_aioapns(service)

    def run() -> None:
        if send(tokens) != len(tokens):
            raise RuntimeError("aioapns did not get all pushes sent")

    return run


def work(make: Callable[[], Callable[[], None]], pipe: Connection) -> None:
    """A contender's process: does its work whenever it is told to, and says how long that took."""
    run = make()
    pipe.send(None)
    while pipe.recv():
        wall, cpu = time.perf_counter(), cpu_seconds()
        run()
        pipe.send((time.perf_counter() - wall, cpu_seconds() - cpu))
    os._exit(0)  # some leave threads behind


class Contender:
    """One of the two, in its process."""

    def __init__(self, name: str, make: Callable[[], Callable[[], None]]) -> None:
        self.name = name
        self.walls: list[float] = []
        self.cpus: list[float] = []
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(make, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()

    def turn(self) -> tuple[float, float]:
        """Wall time and CPU time of one turn, in seconds."""
        self._pipe.send(True)
        took: tuple[float, float] = self._pipe.recv()
        return took

    def close(self) -> None:
        self._pipe.send(False)
        self._process.join()


def change_all(here: Installation, cards: list[BenchCard]) -> None:
    """Announce all cards, as the change of a programme does, all due at once."""
    now = clock.now()
    with here.context.sessions.begin() as session:
        for part in range(0, len(cards), 1000):
            due = {card.card_id: now for card in cards[part : part + 1000]}
            outbox.announce_all(session, Channel.APPLE, here.program.id, due)
        session.info.pop("doorbells")  # nobody is there to hear
    vacuum(here.context.engine)


def measure(
    here: Installation, apns: ApnsSandbox, cards: list[BenchCard], contenders: list[Contender], rounds: int
) -> None:
    """Let them take turns, and make sure that each turn reached every phone once."""
    everybody = {card.push_token for card in cards}
    for number in range(rounds + 1):
        for contender in contenders:
            if contender.name == "Leima":
                change_all(here, cards)
            before = len(apns.rules.log)
            wall, cpu = contender.turn()
            reached = [push.token for push in apns.rules.pushes(before)]
            if len(reached) != len(cards) or set(reached) != everybody:
                sys.exit(f"{contender.name}: {len(reached)} pushes reached {len(set(reached))} of {len(cards)} phones")
            if number:  # the first round connects and warms up
                contender.walls.append(wall)
                contender.cpus.append(cpu)


def report(contenders: list[Contender], cards: int) -> None:
    print(f"| {cards:,} cards, each on one phone | pushes/s | CPU µs per push | times aioapns |")
    print("|---|---:|---:|---:|")
    base = contenders[-1]
    for contender in contenders:
        rate, cpu = cards / median(contender.walls), median(contender.cpus) / cards * 1e6
        times = median(theirs / ours for ours, theirs in zip(contender.walls, base.walls, strict=True))
        ratio = f"{times:.1f}" if len(contenders) > 1 and contender is not base else ""
        print(f"| {contender.name} | {rate:,.0f} | {cpu:.0f} | {ratio} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, default=5000, help="cards, each on one phone")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each")
    chosen = parser.parse_args()
    with Installation() as here, tempfile.TemporaryDirectory() as folder:
        print(f"{machine()}\n", flush=True)
        cards = here.fill(chosen.cards)
        with ApnsSandbox([here.pass_root.read_bytes()]) as apns:
            apns.behaviour = Behaviour(latency=LATENCY)
            apns.rules.devices |= {card.push_token: Device(PASS_TYPE) for card in cards}
            ca_file = here.folder / "ca.pem"
            ca_file.write_text(apns.ca_pem)
            here.set(apns_address=f"localhost:{apns.address[1]}", ca_file=str(ca_file))
            contenders = [Contender("Leima", partial(leima, here.environment))]
            try:
                name = f"aioapns {version('aioapns')}, bare"
                service = prepare(here.identity, apns, Path(folder))
                contenders.append(Contender(name, partial(bare, service, [card.push_token for card in cards])))
            except PackageNotFoundError:
                print("aioapns is not installed (pip install aioapns), so there is nothing to compare with.\n")
            measure(here, apns, cards, contenders, chosen.rounds)
            report(contenders, len(cards))
            for contender in contenders:
                contender.close()


if __name__ == "__main__":
    main()
