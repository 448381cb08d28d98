"""The pretend Twilio's memory on disk: a line for each change, so that even one that is killed forgets nothing."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

_TIMES = ("created_at", "sent_at")


class Journal:
    """The file of messages. Each line is a message as it was at that moment, or a phone that opted out or in."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.touch(mode=0o600)

    def read(self) -> tuple[list[dict[str, Any]], set[str]]:
        """The messages as they were last, in their order, and the phones that have opted out.

        A last line that was cut off in the middle is left out.
        """
        messages: dict[int, dict[str, Any]] = {}
        opted_out: set[str] = set()
        for line in self._file.read_text("utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if "phone" in entry:
                (opted_out.add if entry["out"] else opted_out.discard)(entry["phone"])
            else:
                messages[entry["number"]] = entry
        for message in messages.values():
            message |= {name: datetime.fromisoformat(message[name]) for name in _TIMES if message[name]}
        return list(messages.values()), opted_out

    def keep(self, message: Mapping[str, Any]) -> None:
        """A message that is new, or has got further."""
        times = {name: message[name] and message[name].isoformat() for name in _TIMES}
        self._append({**message, **times})

    def opt(self, phone: str, *, out: bool) -> None:
        """This phone has opted out, or in again."""
        self._append({"phone": phone, "out": out})

    def _append(self, entry: Mapping[str, Any]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
