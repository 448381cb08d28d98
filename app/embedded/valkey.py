"""Valkey: it holds nothing that can't be lost, so it writes nothing to disk."""

import contextlib
import socket
from pathlib import Path
from signal import SIGTERM

from app.embedded.binaries import valkey_program
from app.embedded.folder import VALKEY_SOCKET, Folder
from app.embedded.identity import Account
from app.embedded.process import Command, Engine, Program

STOPS = [(SIGTERM, 5.0)]
SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "daemonize": "no",
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
    "loglevel": "warning",
}


def valkey(folder: Folder, sockets: Path, account: Account | None) -> Engine:
    """The engine. Raises EnginesError when the wheel has no program for this machine."""
    path = sockets / VALKEY_SOCKET
    settings = SETTINGS | {"unixsocket": str(path), "dir": str(sockets)}
    command: Command = [valkey_program(), *(word for name, value in settings.items() for word in ("--" + name, value))]

    def is_ready(pid: int) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        return False

    program = Program("valkey", folder.path, account, STOPS)
    return Engine(program, command, is_ready, before_start=lambda: path.unlink(missing_ok=True))
