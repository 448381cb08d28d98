"""Run the whole sandbox until SIGTERM or SIGINT.

    export LEIMA_ENV=demo
    python -m sandbox --folder var/sandbox --app-url http://127.0.0.1:8400 --public-url http://localhost:8400 \
        --port 8401 --pass-root root.pem

When everything listens, FOLDER/sandbox.json says where.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from threading import Event

from sandbox.runner import Sandbox, silence


def main(arguments: list[str] | None = None) -> int:
    """Run the sandbox. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="Stand-ins for Apple, Google and Twilio, and phones"
    )
    parser.add_argument("--folder", type=Path, required=True, help="what is kept, and sandbox.json")
    parser.add_argument("--app-url", required=True, help="where Leima answers plain HTTP, e.g. http://127.0.0.1:8400")
    parser.add_argument("--public-url", default="", help="LEIMA_PUBLIC_URL, when it is another than --app-url")
    parser.add_argument("--port", type=int, required=True, help="port of the phones' page; 0 takes a free one")
    parser.add_argument(
        "--pass-root", type=Path, action="append", default=[], help="PEM of a development root for passes; repeatable"
    )
    given = parser.parse_args(arguments)
    if os.environ.get("LEIMA_ENV", "production") == "production":
        sys.stderr.write("Sandbox code can't run in production settings. Set LEIMA_ENV to demo or test.\n")
        return 2
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    silence()
    try:
        roots = [file.read_bytes() for file in given.pass_root]
        with Sandbox(given.folder, given.app_url, given.port, roots, given.public_url):
            ended.wait()
    except OSError as error:
        sys.stderr.write(f"The sandbox could not start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
