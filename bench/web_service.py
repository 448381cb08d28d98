"""How many phones Apple's web service answers a second, next to what a bare RSA loop signs on the same cores.

    python bench/web_service.py [--seconds N] [--rounds N]

Two gunicorn workers, PostgreSQL, Valkey and the load generator share the machine. All kinds of calls take turns, a
bare loop in two processes among them. CPU time is read from /proc, so this runs on Linux only. Prints Markdown.
"""

import argparse
import multiprocessing
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.pool import Pool
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_load import Generator, Loaded
from bench.installation import PASS_TYPE, BenchCard, Installation, cpu_of, machine

CARDS = 6000  # more than are asked for in a turn: no pass is asked for twice of one version
CONNECTIONS = 8
WORKERS = 2


@dataclass
class Kind:
    """One kind of call, and what its turns brought."""

    name: str
    requests: list[bytes]
    status: int
    rates: list[float] = field(default_factory=list)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    """CPU seconds an answer took, in each turn: of the web processes, the database, the generator."""

    def note(self, loaded: Loaded, used: dict[str, float]) -> None:
        if set(loaded.statuses) != {self.status}:
            sys.exit(f"{self.name}: answered {dict(loaded.statuses)}, not only {self.status}")
        self.rates.append(loaded.rate)
        for name, seconds in (used | {"generator": loaded.cpu}).items():
            self.cpu.setdefault(name, []).append(seconds / loaded.statuses.total())

    def microseconds(self, name: str) -> float:
        return median(self.cpu[name]) * 1e6


def kinds(here: Installation, cards: list[BenchCard]) -> list[Kind]:
    """Requests as phones send them. Each comes from another address, since an address may not ask without end."""
    changed = _last_modified(here)
    serials = []
    for number, card in enumerate(cards):
        address = f"X-Forwarded-For: 10.{number >> 16}.{number >> 8 & 255}.{number & 255}\r\n"
        path = f"/devices/{card.device}/registrations/{PASS_TYPE}?passesUpdatedSince=0"
        serials.append(_get(here, path, None, address))
    passes = [_get(here, f"/passes/{PASS_TYPE}/{card.card_id}", card) for card in cards]
    seen = f"If-Modified-Since: {changed}\r\n"
    held = [_get(here, f"/passes/{PASS_TYPE}/{card.card_id}", card, seen) for card in cards]
    return [
        Kind("a pass, signed", passes, 200),
        Kind("a pass, its bytes kept", passes[:16], 200),
        Kind("a pass, not modified", held, 304),
        Kind("the serials", serials, 200),
    ]


def _get(here: Installation, path: str, card: BenchCard | None, more: str = "") -> bytes:
    if card is not None:
        more += f"Authorization: ApplePass {here.context.derived_token('apple-pass', card.card_id)}\r\n"
    agent = "User-Agent: PassKit/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n"
    return f"GET /apple/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{agent}{more}\r\n".encode()


def _last_modified(here: Installation) -> str:
    with here.context.engine.connect() as connection:
        newest = connection.execute(text("SELECT max(changed_at) FROM cards")).scalar_one()
    return f"{newest:%a, %d %b %Y %H:%M:%S} GMT"


def bare(seconds: float) -> tuple[float, float]:
    """RSA-2048 signatures a second, and a CPU second, of a loop that does nothing else."""
    key, padding, digest = generate_private_key(65537, 2048), PKCS1v15(), SHA256()
    count, begun, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < seconds:
        for _ in range(20):
            key.sign(b"manifest", padding, digest)
        count += 20
    return count / (time.perf_counter() - begun), count / (time.process_time() - cpu)


def turns(here: Installation, calls: list[Kind], seconds: float, rounds: int, pool: Pool) -> list[tuple[float, float]]:
    """Let all take turns; return the bare loop's rates a second and a CPU second, both workers' together."""
    loops: list[tuple[float, float]] = []
    generator = Generator(here.port, CONNECTIONS)
    for number in range(rounds + 1):
        with here.context.engine.begin() as connection:  # kept bytes are of no use any more
            connection.execute(text("UPDATE cards SET version = version + 1"))
        done = pool.map(bare, [seconds] * WORKERS, chunksize=1)
        for call in calls:
            before = cpu_of(here)
            loaded = generator.run(call.requests, seconds)
            used = {name: value - before[name] for name, value in cpu_of(here).items()}
            if number:  # the first round warms up
                call.note(loaded, used)
        if number:
            loops.append((sum(rate for rate, _ in done), sum(rate for _, rate in done) / WORKERS))
    generator.close()
    return loops


def report(calls: list[Kind], loops: list[tuple[float, float]]) -> None:
    wall, cpu = median(rate for rate, _ in loops), median(rate for _, rate in loops)
    print("| | answers/s | CPU µs: web | database | load generator |")
    print("|---|---:|---:|---:|---:|")
    print(f"| bare `private_key.sign`, {WORKERS} processes | {wall:,.0f} | {1e6 / cpu:.0f} | | |")
    for call in calls:
        spent = " | ".join(f"{call.microseconds(name):.0f}" for name in ("web", "database", "generator"))
        print(f"| {call.name} | {median(call.rates):,.0f} | {spent} |")
    signed = calls[0]
    of_wall = median(rate / bare_rate for rate, (bare_rate, _) in zip(signed.rates, loops, strict=True))
    taken = signed.microseconds("web") + signed.microseconds("database")
    print(
        f"\nSigned passes are {of_wall:.0%} of what the bare loop makes of the whole machine, load generator included, "
        f"and {1e6 / cpu / taken:.0%} by the CPU time that web and database take."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each")
    chosen = parser.parse_args()
    with Installation(web_workers=WORKERS) as here, multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        print(f"{machine()}\n", flush=True)
        here.set(proxy_count="1")
        cards = here.fill(CARDS)
        here.start_web()
        calls = kinds(here, cards)
        report(calls, turns(here, calls, chosen.seconds, chosen.rounds, pool))


if __name__ == "__main__":
    main()
