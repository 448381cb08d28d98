"""A file that is written whole or not at all: a full disk or a kill leaves nothing under its name."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def write(path: Path, pieces: Iterable[bytes]) -> int:
    """Write the pieces to a new file that only we can read, and have them on the disk. Returns how many bytes.

    Raises FileExistsError when there is a file of this name, and OSError when it cannot be written; whatever `pieces`
    raises comes through. What a kill leaves begins with a dot and ends with `.part`.
    """
    if path.exists():
        raise FileExistsError(f"{path} is there already: choose another name")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".part", dir=path.parent)
    part = Path(name)
    size = 0
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                size += file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return size
