"""Files that commands write whole and read back, under a passphrase if asked."""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from app.services import sealing, whole_files
from app.services.archive import ArchiveError
from app.services.sealing import SealError, Unsealed

Command = TypeVar("Command", bound=Callable[..., Any])

NEW_FILE = click.Path(dir_okay=False, path_type=Path)
KNOWN_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

passphrase_file = click.option(
    "--passphrase-file", type=KNOWN_FILE, help="A file that holds the passphrase; else it is asked for."
)
encrypt = click.option("--encrypt", is_flag=True, help="Write it under a passphrase (AES-256-GCM, scrypt).")


def new_passphrase(wanted: bool, file: Path | None) -> str | None:
    """The passphrase to write under; None when it is not wanted. Ends the command when it is too short."""
    if not wanted and file is None:
        return None
    given = _in_file(file) if file else click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    if len(given) < sealing.SHORTEST_PASSPHRASE:
        raise click.ClickException(f"The passphrase must have at least {sealing.SHORTEST_PASSPHRASE} characters")
    return str(given)


def write(path: Path, pieces: Iterable[bytes], passphrase: str | None) -> int:
    """Write a new file, whole or not at all; returns its size. Ends the command with plain words when it can't."""
    try:
        return whole_files.write(path, pieces if passphrase is None else sealing.sealed(pieces, passphrase))
    except FileExistsError as error:
        raise click.ClickException(str(error)) from None
    except ArchiveError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(
            f"{path} cannot be written: {error.strerror or error}. Nothing is left of it"
        ) from None


@contextmanager
def reading(path: Path, passphrase: Path | None) -> Iterator[IO[bytes]]:
    """The file's content, unsealed if it is sealed. What is wrong with it ends the command with plain words."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    try:
        with file:
            if not sealing.is_sealed(file):
                yield file
                return
            given = _in_file(passphrase) if passphrase else click.prompt("Passphrase", hide_input=True, err=True)
            yield io.BufferedReader(Unsealed(file, str(given)), sealing.CHUNK)
    except (ArchiveError, SealError) as error:
        raise click.ClickException(str(error)) from None


def _in_file(path: Path) -> str:
    try:
        return path.read_text().strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from None
