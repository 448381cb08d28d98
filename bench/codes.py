"""How quickly credit codes are redeemed over HTTP, next to a bare psycopg transaction with the same two statements.

    python bench/codes.py [--seconds N] [--rounds N] [--expired N]

Two gunicorn workers, PostgreSQL, Valkey and the load generator share the machine. All kinds take turns, before and
after a million expired codes are put into the table; then redeems come at an even pace. Prints Markdown.
"""

import argparse
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from itertools import count
from multiprocessing.pool import Pool
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_load import Generator
from bench.installation import Installation, machine, share
from sms.codes import code_hash

CODES = 20_000
KEYS = 64  # a key may make 1200 calls a minute
CONNECTIONS = 8
WORKERS = 2
PACE = 100  # redeems a second
MOST_A_SECOND = 1500  # requests that are made ready

_GUARD = """INSERT INTO guard_rules (program_id, rule, most, minutes, active)
    VALUES (:program, 'member_uses', 100000, 1440, true)"""
_CREDITS = """INSERT INTO credits (id, program_id, member_id, source, status, amount_minor, balance_minor, reason,
        valid_from, expires_at, granted_at, code_hash, pepper_id)
    SELECT uuidv7(), :program, members.id, 'hand', 'open', 100000, 100000, '', now() - interval '1 hour',
        now() + interval '30 days', now(), hashes.hash, :pepper
    FROM unnest(CAST(:phones AS text[]), CAST(:hashes AS bytea[])) AS hashes (phone, hash)
    JOIN members ON members.phone = hashes.phone"""
_MEMBERS = "UPDATE members SET credit_minor = 100000, next_expiry_at = now() + interval '30 days'"
_GROUP = """INSERT INTO code_groups (id, program_id, name, amount_minor, valid_from, expires_at, created_at)
    VALUES (:group, :program, 'Expired', 100, now() - interval '60 days', now() - interval '1 day', now())"""
_EXPIRED = """INSERT INTO credits (id, program_id, group_id, source, status, amount_minor, balance_minor, reason,
        valid_from, expires_at, granted_at, closed_at, code_hash, pepper_id)
    SELECT uuidv7(), :program, :group, 'group', 'lapsed', 100, 0, '', now() - interval '60 days',
        now() - interval '1 day', now() - interval '60 days', now() - interval '1 day',
        sha256(('expired ' || n)::bytea), :pepper
    FROM generate_series(1, CAST(:expired AS int)) AS n"""
_TAKE = """UPDATE credits SET balance_minor = balance_minor - 1
    WHERE code_hash = %s AND status = 'open' AND valid_from <= now() AND now() < expires_at AND balance_minor >= 1
    RETURNING id, program_id, member_id"""
_WRITE = """INSERT INTO ledger_entries (id, program_id, member_id, operation_id, unit, kind, amount, at, credit_id,
    receipt_no) VALUES (%s, %s, %s, %s, 'credit', 'redeem', -1, now(), %s, '')"""


@dataclass(frozen=True)
class Codes:
    """Usable codes with the last digits of their members' phones, and what a load generator needs."""

    codes: list[tuple[str, str]]
    hashes: list[bytes]
    keys: list[str]

    def requests(self, path: str, number: int) -> list[bytes]:
        """That many requests, each with a key of its own and another code."""
        chosen = random.Random(number)
        return [_request(path, *chosen.choice(self.codes), self.keys[at % KEYS]) for at in range(number)]


def prepare(here: Installation) -> Codes:
    here.fill(CODES)
    pepper = here.context.peppers().newest
    numbers = range(1, CODES + 1)
    codes = [f"{number * 487:07d}" for number in numbers]
    hashes = [code_hash(pepper.key, here.program.id, code) for code in codes]
    phones = [f"+358{number:09d}" for number in numbers]
    values = {"program": here.program.id, "pepper": pepper.id, "phones": phones, "hashes": hashes}
    with here.context.engine.begin() as connection:
        connection.execute(text(_CREDITS), values)
        connection.execute(text(_MEMBERS))
        connection.execute(text(_GUARD), values)  # nobody pays so often in a day
    vacuum(here)
    last4 = [phone[-4:] for phone in phones]
    return Codes(list(zip(codes, last4, strict=True)), hashes, [here.api_key() for _ in range(KEYS)])


def add_expired(here: Installation, expired: int) -> None:
    """A million codes that were never used and whose time is over. They still rest, so that nobody draws them."""
    values = {"program": here.program.id, "pepper": here.context.peppers().newest.id, "group": uuid4()}
    with here.context.engine.begin() as connection:
        connection.execute(text(_GROUP), values)
        connection.execute(text(_EXPIRED), values | {"expired": expired})
    vacuum(here)


def vacuum(here: Installation) -> None:
    with here.context.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE credits, members, ledger_entries"))


def _request(path: str, code: str, last4: str, key: str) -> bytes:
    sent: dict[str, object] = {"code": code, "phone_last4": last4}
    once = ""
    if path == "redeem":
        sent["amount_minor"] = 1
        once = f"Idempotency-Key: {uuid4()}\r\n"
    body = json.dumps(sent)
    head = f"POST /api/v1/codes/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n{once}"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def bare(url: str, hashes: Sequence[bytes], seconds: float, connections: int) -> float:
    """Transactions a second of this process: the conditional UPDATE and the ledger's row, nothing else."""
    until = time.perf_counter() + seconds

    def work(number: int) -> int:
        chosen, done = random.Random(number), 0
        with psycopg.connect(url) as connection:
            while time.perf_counter() < until:
                credit, program, member = _one(connection, _TAKE, (chosen.choice(hashes),))
                entry = uuid4()
                connection.execute(_WRITE, (entry, program, member, entry, credit))
                connection.commit()
                done += 1
        return done

    with ThreadPoolExecutor(connections) as threads:
        return sum(threads.map(work, range(connections))) / seconds


def _one(connection: psycopg.Connection[tuple[UUID, UUID, UUID]], query: str, values: tuple[bytes]) -> tuple[UUID, ...]:
    row = connection.execute(query, values).fetchone()
    if row is None:
        raise RuntimeError("a credit could not be used")
    return row


@dataclass
class Rates:
    """What the turns brought, a second."""

    alone: list[float]  # one connection
    bare: list[float]
    redeem: list[float]
    check: list[float]


def turns(here: Installation, codes: Codes, pool: Pool, seconds: float, rounds: int) -> Rates:
    url = here.context.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    rates = Rates([], [], [], [])
    generator = Generator(here.port, CONNECTIONS)
    for number in range(rounds + 1):
        alone = pool.apply(bare, (url, codes.hashes, seconds, 1))
        each = (url, codes.hashes, seconds, CONNECTIONS // WORKERS)
        done = pool.starmap(bare, [each] * WORKERS, chunksize=1)
        found = {}
        for path in ("redeem", "check"):
            loaded = generator.run(codes.requests(path, int(seconds * MOST_A_SECOND)), seconds)
            if set(loaded.statuses) != {200}:
                sys.exit(f"{path}: answered {dict(loaded.statuses)}, not only 200")
            found[path] = loaded.rate
        if number:  # the first round warms up
            rates.alone.append(alone)
            rates.bare.append(sum(done))
            rates.redeem.append(found["redeem"])
            rates.check.append(found["check"])
    generator.close()
    return rates


def paced(port: int, bodies: Sequence[bytes], pace: float) -> list[float]:
    """Seconds from the moment when each request was due to its answer, at an even pace."""
    begun, following = time.perf_counter() + 0.2, count()
    waits: list[float] = []

    def work(_number: int) -> None:
        connection = HTTPConnection("127.0.0.1", port)
        connection.connect()
        with suppress(IndexError):
            while True:
                number = next(following)
                request, due = bodies[number], begun + number / pace
                time.sleep(max(0.0, due - time.perf_counter()))
                connection.sock.sendall(request)
                answer = HTTPResponse(connection.sock)
                answer.begin()
                if answer.status != 200:
                    raise RuntimeError(answer.read().decode())
                answer.read()
                waits.append(time.perf_counter() - due)

    with ThreadPoolExecutor(32) as threads:
        list(threads.map(work, range(32)))
    return waits


def report(none: Rates, many: Rates, expired: int, waits: list[float]) -> None:
    print("| | a second | with expired codes |")
    print("|---|---:|---:|")
    for name, before, after in (
        ("bare psycopg, one connection", none.alone, many.alone),
        (f"bare psycopg, {CONNECTIONS} connections", none.bare, many.bare),
        ("redeem over HTTP", none.redeem, many.redeem),
        ("check over HTTP", none.check, many.check),
    ):
        print(f"| {name} | {median(before):,.0f} | {median(after):,.0f} |")
    of_one, of_all = (median(none.redeem) / median(rates) for rates in (none.alone, none.bare))
    print(
        f"\nRedeems over HTTP are {of_one:.0%} of the bare transactions of one connection, {of_all:.0%} of those of "
        f"{CONNECTIONS}. Expired codes in the table: {expired:,}."
    )
    for name, before, after in (("redeem", none.redeem, many.redeem), ("check", none.check, many.check)):
        print(f"With them {name} runs at {median(after) / median(before):.0%} of its rate without.")
    at = ", ".join(f"{label} {share(waits, part) * 1000:.1f} ms" for label, part in
                   (("median", 0.5), ("p99", 0.99), ("longest", 1.0)))  # fmt: skip
    print(f"At {PACE} redeems a second: {at} ({len(waits):,} redeems).")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each, before and after")
    parser.add_argument("--expired", type=int, default=1_000_000, help="expired codes for the second half")
    chosen = parser.parse_args()
    random.seed(4)
    with Installation(web_workers=WORKERS) as here, multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        print(f"{machine()}\n", flush=True)
        codes = prepare(here)
        here.start_web()
        none = turns(here, codes, pool, chosen.seconds, chosen.rounds)
        add_expired(here, chosen.expired)
        many = turns(here, codes, pool, chosen.seconds, chosen.rounds)
        seconds = chosen.seconds * chosen.rounds
        waits = pool.apply(paced, (here.port, codes.requests("redeem", int(PACE * seconds)), PACE))
        report(none, many, chosen.expired, waits)


if __name__ == "__main__":
    main()
