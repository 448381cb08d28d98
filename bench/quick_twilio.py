"""A stand-in for Twilio that costs next to nothing: takes any message, and answers after a while. For benchmarks.

    python bench/quick_twilio.py FOLDER [--latency 0.05]

TLS, HTTP/1.1 with connections that stay open. Writes its address to FOLDER/quick_twilio.json, with the file of its
authority; GET /count tells how many messages it took, for how many numbers, and when the first and the last came.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app import clock
from sandbox.authority import Authority

_ANSWER = b'{"sid":"SM%032x","num_segments":"1","status":"queued","error_code":null}'


class Taken:
    """What came so far."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.numbers: Counter[str] = Counter()
        self.moments: list[float] = []

    def shown(self) -> bytes:
        counted = {
            "messages": len(self.moments),
            "numbers": len(self.numbers),
            "most": max(self.numbers.values(), default=0),
            "seconds": self.moments[-1] - self.moments[0] if self.moments else 0.0,
        }
        return json.dumps(counted).encode()


class Connection(asyncio.Protocol):
    """One connection: requests one after the other."""

    def __init__(self, taken: Taken) -> None:
        self._taken, self._buffer = taken, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(rest) < int(length or 0):
            return
        self._buffer = b""
        if head.startswith(b"GET "):
            self._answer(b"200 OK", self._taken.shown())
            return
        self._taken.numbers[parse_qs(rest.decode())["To"][0]] += 1
        self._taken.moments.append(time.monotonic())
        asyncio.get_running_loop().call_later(
            self._taken.latency, self._answer, b"201 Created", _ANSWER % len(self._taken.moments)
        )

    def _answer(self, status: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        self._transport.write(head + body)  # type: ignore[attr-defined] # a transport that writes


async def serve(folder: Path, latency: float) -> None:
    """Answer until the parent ends."""
    taken, authority = Taken(latency), Authority.kept_in(folder, clock.now())
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(taken), "127.0.0.1", 0, ssl=authority.context(), backlog=512)
    address = {"url": f"https://localhost:{server.sockets[0].getsockname()[1]}", "ca_file": str(authority.ca_file)}
    part = folder / "quick_twilio.part"
    part.write_text(json.dumps(address))
    part.replace(folder / "quick_twilio.json")
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency", type=float, default=0.05)
    given = parser.parse_args()
    asyncio.run(serve(given.folder, given.latency))


if __name__ == "__main__":
    main()
