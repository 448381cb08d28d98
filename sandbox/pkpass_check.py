"""What a phone checks before it takes a .pkpass: everything that is wrong with one, in plain words.

Pure Python on zipfile, json and `cryptography`; nothing of the code that makes passes is used. Sources: Apple's
"Building a Pass" and "Pass Package Format", and what iPhones refuse in practice. One pass takes about a millisecond.
"""

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from cryptography import x509

from sandbox.pkpass_contents import contents_faults
from sandbox.pkpass_files import picture_faults, read_strings
from sandbox.pkpass_signature import signature_faults

MIME_TYPE = "application/vnd.apple.pkpass"
_NEEDED = ("pass.json", "manifest.json", "signature", "icon.png")
_LARGEST = 20 * 1024 * 1024
_FAULTS_SHOWN = 50
# What zipfile raises for damaged archives, depending on where the damage is.
_NOT_A_ZIP = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError)


class _Doubled(ValueError):
    """A JSON object has the same name twice."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A pass that was looked at. With `faults`, the rest holds what could be read."""

    faults: list[str]
    contents: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    strings: dict[str, dict[str, str]] = field(default_factory=dict)
    """pass.strings by language tag."""


def check(data: bytes, roots: Sequence[x509.Certificate], at: datetime) -> Checked:
    """Look at the pass as a phone that trusts `roots` does at `at` (aware)."""
    try:
        files, faults = _unzipped(data)
    except _NOT_A_ZIP as error:
        return Checked([f"The file is not a sound ZIP archive ({error})."])
    missing = [name for name in _NEEDED if name not in files]
    if faults or missing:
        return Checked([*faults, *(f"{name} is missing." for name in missing)], files=files)
    faults += _manifest_faults(files)
    contents, wrong = _json(files["pass.json"], "pass.json")
    faults += wrong
    faults += signature_faults(files["signature"], files["manifest.json"], contents, roots, at)
    if not wrong:
        faults += contents_faults(contents)
    strings = {}
    for name, file in files.items():
        faults += picture_faults(name, file, contents)
        if name.endswith("pass.strings"):
            strings[name.partition(".lproj/")[0]], unreadable = read_strings(name, file)
            faults += unreadable
    return Checked(faults[:_FAULTS_SHOWN], contents, files, strings)


def _unzipped(data: bytes) -> tuple[dict[str, bytes], list[str]]:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        entries = package.infolist()
        faults = list(_name_faults([entry.orig_filename for entry in entries]))
        if sum(entry.file_size for entry in entries) > _LARGEST:
            return {}, [*faults, f"The pass unpacks to more than {_LARGEST // 1024 // 1024} MB."]
        if faults:
            return {}, faults
        # Reading compares each file with its checksum.
        return {entry.filename: package.read(entry) for entry in entries}, []


def _name_faults(names: Sequence[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name} is in the archive twice."
    for name in names:
        if name.endswith("/"):
            yield f"{name} is a folder. A pass holds files only."
        elif "\\" in name:
            yield f"{name} has a backslash in its name."
        elif name.startswith("/") or ".." in name.split("/"):
            yield f"{name} leads out of the pass."


def _manifest_faults(files: dict[str, bytes]) -> Iterator[str]:
    manifest, wrong = _json(files["manifest.json"], "manifest.json")
    yield from wrong
    listed = files.keys() - {"manifest.json", "signature"}
    for name in sorted(listed - manifest.keys()):
        yield f"{name} is not in the manifest."
    for name in sorted(manifest.keys() - listed):
        yield f"The manifest names {name}, which is not in the pass."
    for name in sorted(listed & manifest.keys()):
        if hashlib.sha1(files[name], usedforsecurity=False).hexdigest() != manifest[name]:
            yield f"{name} has another digest than the manifest says."


def _json(file: bytes, name: str) -> tuple[dict[str, Any], list[str]]:
    try:
        found = json.loads(file.decode("utf-8"), parse_float=Decimal, object_pairs_hook=_object, parse_constant=_refuse)
    except _Doubled as error:
        return {}, [f"{name} has “{error}” twice."]
    except ValueError:
        return {}, [f"{name} is not JSON in UTF-8."]
    return (found, []) if isinstance(found, dict) else ({}, [f"{name} is not a JSON object."])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Doubled(next(name for name in names if names.count(name) > 1))
    return made


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
