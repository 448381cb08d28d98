"""Whatever is killed, at whatever moment: no stamp is lost and no phone is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis, RedisError

from app.db.delivery import Channel, OutboxState
from app.embedded.binaries import valkey_program
from app.services import doorbell
from app.wiring import connect_valkey
from certs.identity import SigningIdentity
from tests.factories import Shop
from tests.integration.apple_shop import AppleShop, open_apple_shop
from tests.soak.delivery import Plan, run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def kulma(shop: Shop, pass_identity: SigningIdentity, tmp_path: Path) -> Iterator[AppleShop]:
    with open_apple_shop(shop, pass_identity, tmp_path) as opened:
        yield opened


@contextmanager
def valkey(socket: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A Valkey of its own, that may be killed."""
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(socket.parent)]
    with subprocess.Popen([valkey_program(), *options], stdout=subprocess.DEVNULL) as process:
        try:
            client = connect_valkey(f"unix://{socket}")
            until(lambda: answers(client))
            client.close()
            yield process
        finally:
            process.kill()
    socket.unlink(missing_ok=True)


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


@contextmanager
def worker(kulma: AppleShop, socket: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`python worker.py apple`, which rings at this Valkey."""
    settings = kulma.ctx.settings
    environment = {
        "LEIMA_ENV": "test",
        "LEIMA_DATA": str(settings.data),
        "LEIMA_SECRET_KEY": settings.secret_key.get_secret_value(),
        "LEIMA_DATABASE_URL": settings.database_url.get_secret_value(),
        "LEIMA_REDIS_URL": f"unix://{socket}",
        "LEIMA_APNS_ADDRESS": settings.apns_address,
        "LEIMA_CA_FILE": str(settings.ca_file),
        "LEIMA_LOG_LEVEL": "error",
    }
    command = [sys.executable, "worker.py", "apple"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | environment) as process:
        try:
            yield process
        finally:
            process.kill()


def ring(socket: Path) -> None:
    """Ring at the worker's Valkey, as a commit does at the shop's."""
    client = connect_valkey(f"unix://{socket}")
    assert doorbell.ring(client, Channel.APPLE)
    client.close()


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until it comes true, and fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def stop(process: "subprocess.Popen[bytes]") -> int:
    process.terminate()
    return process.wait(20)


def test_without_valkey_the_worker_looks_by_itself(kulma: AppleShop, tmp_path: Path):
    member = kulma.shop.member()
    token = kulma.phone(member)
    with worker(kulma, tmp_path / "nowhere.sock") as process:
        kulma.stamp(member)
        until(lambda: kulma.pushes(token) == [5, 10])
        kulma.stamp(member)
        until(lambda: kulma.pushes(token) == [5, 10, 10])
        assert 0 == stop(process)


def test_a_worker_outlives_valkey_and_hears_the_next_one(kulma: AppleShop, tmp_path: Path):
    member = kulma.shop.member()
    token, socket = kulma.phone(member), tmp_path / "valkey.sock"
    with worker(kulma, socket) as process:
        with valkey(socket):
            kulma.stamp(member)
            ring(socket)
            until(lambda: len(kulma.pushes(token)) == 2)
        kulma.stamp(member)  # nobody hears this bell
        until(lambda: len(kulma.pushes(token)) == 3)
        with valkey(socket):
            kulma.stamp(member)
            ring(socket)
            until(lambda: len(kulma.pushes(token)) == 4)
            assert 0 == stop(process)


def test_a_worker_that_is_asked_to_stop_finishes_its_batch(kulma: AppleShop, tmp_path: Path):
    member = kulma.shop.member()
    token, socket = kulma.phone(member), tmp_path / "valkey.sock"
    kulma.apns.behaviour.slow[token] = 1.5
    with valkey(socket), worker(kulma, socket) as process:
        kulma.stamp(member)
        ring(socket)
        until(lambda: kulma.pushes(token) == [5, 10])  # it is there, but the answer is on its way
        assert [(member.card_id, OutboxState.LEASED)] == kulma.states()
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(20)
    assert ([], [5, 10]) == (kulma.rows(), kulma.pushes(token))


def test_a_killed_workers_rows_are_told_by_the_next_one(kulma: AppleShop, tmp_path: Path):
    member = kulma.shop.member()
    token, nowhere = kulma.phone(member), tmp_path / "nowhere.sock"
    kulma.apns.behaviour.slow[token] = 30
    with worker(kulma, nowhere) as process:
        kulma.stamp(member)
        until(lambda: kulma.pushes(token) == [5, 10])
        process.kill()
    kulma.apns.behaviour.slow.clear()
    with worker(kulma, nowhere) as process:
        until(lambda: kulma.rows() == [])
        assert 0 == stop(process)
    assert [5, 10, 10] == kulma.pushes(token)


def test_who_may_write_to_valkey_may_not_run_functions_of_the_worker(kulma: AppleShop, tmp_path: Path):
    socket, made = tmp_path / "valkey.sock", tmp_path / "made by a stranger"
    with valkey(socket), worker(kulma, socket) as process:
        client = connect_valkey(f"unix://{socket}")
        jobs = doorbell.queue(client, Channel.APPLE)
        jobs.enqueue_call("os.mkdir", args=(str(made),))
        doorbell.ring(client, Channel.APPLE)
        jobs.enqueue_call(doorbell.DRAIN, args=("apple",))
        until(lambda: jobs.is_empty() and not client.exists("doorbell:apple"))
        assert (0, False) == (stop(process), made.exists())
        client.close()


def test_nothing_that_is_killed_loses_a_stamp_or_leaves_a_phone_behind(tmp_path: Path):
    """The short form of `make soak`; with this seed Valkey, the worker, a web process and PostgreSQL are killed."""
    report = run(Plan(stamps=60, cards=20, kills=4, seed=37), tmp_path)
    assert ([], 4) == (report.faults, report.kills.total())
