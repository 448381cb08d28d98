"""The secrets that 7-digit codes are keyed with: never in the database, so that its copy alone opens nothing.

They come from LEIMA_CODE_PEPPERS, else from a file in the data folder that is made on first use. The newest stands
first and keys new codes; older ones are kept as long as a code needs them.
"""

import hmac
import os
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from app.settings import CODE_PEPPER_SHORTEST, Settings

FILE_NAME = "code_peppers"


class PepperMissing(Exception):
    """A code was made with a pepper that is not held any more. The code cannot be made again, nor found."""


@dataclass(frozen=True, slots=True)
class Pepper:
    """One secret. `id` (8 hex digits) names it in the database, and tells nothing about it."""

    key: bytes
    id: str


@dataclass(frozen=True, slots=True)
class Peppers:
    """All that are held, the newest first; never empty."""

    held: tuple[Pepper, ...]

    @property
    def newest(self) -> Pepper:
        return self.held[0]

    def by_id(self, pepper_id: str) -> Pepper:
        """Raises PepperMissing."""
        for pepper in self.held:
            if pepper.id == pepper_id:
                return pepper
        raise PepperMissing(f"no pepper {pepper_id} is held")


def of(texts: Sequence[str]) -> Peppers:
    """The peppers with these secrets."""
    keys = [text.encode() for text in texts]
    return Peppers(tuple(Pepper(key, hmac.digest(key, b"pepper id", "sha256")[:4].hex()) for key in keys))


def new_secret() -> str:
    return secrets.token_urlsafe(48)


class PepperStore:
    """Where this process reads the peppers: call it each time. A file is read again as soon as it changed, so that
    processes that run learn of a rotation."""

    def __init__(self, settings: Settings) -> None:
        self.path = settings.data / FILE_NAME
        texts = settings.code_pepper_list
        self.in_settings = bool(texts)
        self._lock = Lock()
        self._stamp: tuple[int, int] | None = None
        self._known = of(texts) if texts else None

    def __call__(self) -> Peppers:
        """Raises OSError when the file can neither be read nor made."""
        if self.in_settings and self._known is not None:
            return self._known
        with self._lock:
            try:
                stamp = self._stamp_of_file()
            except FileNotFoundError:
                self._make()
                stamp = self._stamp_of_file()
            if self._known is None or stamp != self._stamp:
                self._known, self._stamp = of(_lines(self.path)), stamp
            return self._known

    def write(self, held: Sequence[Pepper]) -> None:
        """Have the file hold these, the newest first. For who holds the lock of app.services.pepper_rotation."""
        part = self._part([pepper.key.decode() for pepper in held])
        part.replace(self.path)
        _sync_folder(self.path.parent)

    def _stamp_of_file(self) -> tuple[int, int]:
        # Each writing makes a new file, so the inode tells of it even within one tick of the clock.
        found = self.path.stat()
        return found.st_ino, found.st_mtime_ns

    def _make(self) -> None:
        """Make the file whole, unless another process is quicker: a link is made by one of them only."""
        part = self._part([new_secret()])
        with suppress(FileExistsError):
            os.link(part, self.path)
        part.unlink()
        _sync_folder(self.path.parent)

    def _part(self, texts: Sequence[str]) -> Path:
        """A file with these, readable by its owner only, and on the disk before anything is keyed with them."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{FILE_NAME}-", dir=self.path.parent)
        with os.fdopen(handle, "w") as file:
            file.write("".join(f"{text}\n" for text in texts))
            file.flush()
            os.fsync(file.fileno())
        return Path(name)


def _lines(path: Path) -> list[str]:
    texts = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    if not texts or any(len(text) < CODE_PEPPER_SHORTEST for text in texts):
        raise OSError(f"{path} is damaged: it should hold one secret a line. Put it back from a backup")
    return texts


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
