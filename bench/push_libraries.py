"""Which HTTP/2 client pushes most for its CPU time, and which keeps its head when the service misbehaves.

    python bench/push_libraries.py [--pushes N] [--rounds N]

All contenders push to the stand-in (sandbox/apns.py) over TLS, with the pass certificate and 20 ms of latency. Each
lives in a process of its own; they take turns, so that whatever else the machine does slows all of them alike. Then the
service sends GOAWAY, allows few streams, or cuts the connection, and the stand-in's log tells what came through and
what came twice. Contenders that are not installed are left out: they are no dependencies of Leima. Prints Markdown.
"""

import argparse
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.push_contenders import CONTENDERS, TOPIC, Service
from certs import development
from certs.identity import SigningIdentity, save
from sandbox.apns import ApnsSandbox, Behaviour

LATENCY = 0.02


def work(name: str, service: Service, pipe: Connection) -> None:
    """A contender's process: pushes whenever it is told to, and says how many were sent and what that took."""
    send = CONTENDERS[name][1](service)
    while tokens := pipe.recv():  # an empty list ends it
        wall, cpu = time.perf_counter(), cpu_seconds()
        try:
            sent: int | str = send(tokens)
        except Exception as error:  # whatever a library raises is its result here
            sent = type(error).__name__
        pipe.send((sent, time.perf_counter() - wall, cpu_seconds() - cpu))
    os._exit(0)  # some leave threads behind


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@dataclass
class Contender:
    """A library in its process."""

    name: str
    service: Service
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(self.name, self.service, theirs), daemon=True)
        self.process.start()

    def send(self, tokens: Sequence[str], seconds: float = 60.0) -> tuple[int | str, float, float]:
        self.pipe.send(tokens)
        if not self.pipe.poll(seconds):
            self.process.kill()
            return f"hangs (> {seconds:g} s)", seconds, 0.0
        result: tuple[int | str, float, float] = self.pipe.recv()
        return result

    def close(self) -> None:
        if self.process.is_alive():
            self.pipe.send([])
        self.process.join()


def prepare(identity: SigningIdentity, apns: ApnsSandbox, folder: Path) -> Service:
    key = identity.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain = b"".join(item.public_bytes(Encoding.PEM) for item in (identity.certificate, identity.intermediate))
    files = {"ca.pem": apns.ca_pem.encode(), "chain.pem": chain, "key.pem": key, "all.pem": chain + key}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    save(identity, folder / "certs")
    return Service(apns.address[1], folder)


def speed(apns: ApnsSandbox, service: Service, names: Sequence[str], pushes: int, rounds: int) -> None:
    """Print how fast each is."""
    apns.behaviour = Behaviour(latency=LATENCY)
    tokens = [apns.rules.issue(TOPIC) for _ in range(pushes)]
    contenders = [Contender(name, service) for name in names]
    for number in range(rounds + 1):
        for contender in contenders:
            sent, wall, cpu = contender.send(tokens)
            if sent != pushes:
                sys.exit(f"{contender.name}: {sent} of {pushes} pushes were sent")
            if number:  # the first round connects and warms up
                contender.walls.append(wall)
                contender.cpus.append(cpu)
    for contender in contenders:
        contender.close()
    bare = next((contender for contender in contenders if contender.name == "aioapns"), contenders[0])
    print(f"| client | version | pushes/s | CPU µs per push | pushes per CPU second, {bare.name} = 1 |")
    print("|---|---|---|---|---|")
    for contender in contenders:
        cpu, rate = median(contender.cpus) / pushes, pushes / median(contender.walls)
        ratio = median(bare.cpus) / median(contender.cpus)
        package = CONTENDERS[contender.name][0]
        print(f"| {contender.name} | {version(package)} | {rate:,.0f} | {cpu * 1e6:.0f} | {ratio:.1f} |")


TROUBLES = {
    "GOAWAY after 150": Behaviour(latency=LATENCY, max_streams=100, goaway_after=150),
    "10 streams at a time": Behaviour(latency=LATENCY, max_streams=10),
    "cut after 250": Behaviour(latency=LATENCY, max_streams=100, drop_after=250),
}


def troubles(apns: ApnsSandbox, service: Service, names: Sequence[str]) -> None:
    """Print what came of 500 pushes when the service misbehaves: said to be sent, and taken twice by the service."""
    print(f"| of 500 pushes: said sent / taken twice | {' | '.join(TROUBLES)} |")
    print("|---|" + "---|" * len(TROUBLES))
    for name in names:
        cells = []
        for behaviour in TROUBLES.values():
            apns.behaviour = Behaviour(latency=LATENCY)
            tokens = [apns.rules.issue(TOPIC) for _ in range(500)]
            contender = Contender(name, service)
            apns.behaviour = Behaviour(**{item: getattr(behaviour, item) for item in Behaviour.__slots__})
            before = len(apns.rules.log)
            sent, _, _ = contender.send(tokens, 20.0)
            contender.close()
            taken = [push.token for push in apns.rules.pushes(before)]
            cells.append(f"{sent} / {len(taken) - len(set(taken))}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pushes", type=int, default=500, help="pushes in one go")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contender")
    chosen = parser.parse_args()
    names = [name for name, (package, _) in CONTENDERS.items() if installed(package)]
    identity = development.make(TOPIC, "LEIMADEMO1", "Leima", datetime.now(UTC))
    roots = [identity.root.public_bytes(Encoding.PEM)] if identity.root else []
    with tempfile.TemporaryDirectory() as folder, ApnsSandbox(roots) as apns:
        service = prepare(identity, apns, Path(folder))
        print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {chosen.pushes} pushes in one go\n")
        speed(apns, service, names, chosen.pushes, chosen.rounds)
        print()
        troubles(apns, service, names)


if __name__ == "__main__":
    main()
