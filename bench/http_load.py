"""A small load generator: keeps connections to one server busy with ready-made requests, from a process of its own."""

import multiprocessing
import selectors
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing.connection import Connection

_READ = 256 * 1024


@dataclass
class Loaded:
    """What came of it. `cpu` is the generator's own CPU time, in seconds."""

    statuses: Counter[int]
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.statuses.total() / self.seconds


@dataclass(slots=True)
class _Kept:
    """A connection that is kept, and the answer that is coming in on it."""

    socket: socket.socket
    came: list[bytes] = field(default_factory=list)
    missing: int = -1  # bytes of the answer; -1 until its head is there


class Generator:
    """The process. Close it at the end; its connections are kept from run to run."""

    def __init__(self, port: int, connections: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(port, connections, theirs), daemon=True)
        self._process.start()

    def run(self, requests: Sequence[bytes], seconds: float) -> Loaded:
        """Send the requests, over and over, for that long: the next one on a connection when the last was answered."""
        self._pipe.send((list(requests), seconds))
        loaded: Loaded = self._pipe.recv()
        return loaded

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join()


def _work(port: int, connections: int, pipe: Connection) -> None:
    with selectors.EpollSelector() as selector:
        kept = [_Kept(socket.create_connection(("127.0.0.1", port))) for _ in range(connections)]
        for one in kept:
            one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(one.socket, selectors.EVENT_READ, one)
        while order := pipe.recv():
            pipe.send(_run(kept, selector, *order))


def _run(kept: list[_Kept], selector: selectors.BaseSelector, requests: list[bytes], seconds: float) -> Loaded:
    following, statuses = cycle(requests), Counter[int]()
    begun, cpu = time.perf_counter(), time.process_time()
    until, busy = begun + seconds, len(kept)
    for one in kept:
        one.socket.sendall(next(following))
    while busy:
        for key, _ in selector.select():
            one = key.data
            status = _answered(one)
            if not status:
                continue
            statuses[status] += 1
            if time.perf_counter() < until:
                one.socket.sendall(next(following))
            else:
                busy -= 1
    return Loaded(statuses, time.perf_counter() - begun, time.process_time() - cpu)


def _answered(one: _Kept) -> int:
    """The status of an answer that is whole now; 0 while there is more to come."""
    data = one.socket.recv(_READ)
    if not data:
        raise ConnectionError("the server closed a connection that was to be kept")
    one.came.append(data)
    if one.missing < 0:
        head, found, body = b"".join(one.came).partition(b"\r\n\r\n")
        if not found:
            return 0
        lower = head.lower()
        place = lower.find(b"\r\ncontent-length:")
        one.missing = int(lower[place + 17 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        one.missing -= len(body)
        one.came = [head[:12]]
    else:
        one.missing -= len(data)
        one.came.pop()
    if one.missing > 0:
        return 0
    status = int(one.came[0][9:12])
    one.came, one.missing = [], -1
    return status
