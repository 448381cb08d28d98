"""How close signing a pass comes to the cost of its RSA signature.

    python bench/passes.py [--seconds N]

Every contender signs the same cards with the same key. They take turns in slices of a tenth of a second, so that
whatever else the machine does slows all of them alike, and CPU time is counted, child processes included. A sample of
what each contender made is verified with the openssl program. Prints a Markdown table.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

import cryptography
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder
from wallet import models

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.samples.cards import card, look_with, pictures
from certs import development
from certs.identity import SigningIdentity
from passes.apple.document import pass_json
from passes.apple.package import PassTemplate
from passes.apple.strings import localized_files
from passes.card import Card, CardLook

SLICE = 0.1
PASSWORD = "bench"


@dataclass
class Contender:
    """Something that signs, and how often it did, a CPU second, in each of its turns."""

    name: str
    sign_one: Callable[[Card], Any]
    rates: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    """Each turn's rate as a share of the bare loop's just before it."""

    def turn(self, cards: Iterator[Card]) -> float:
        sign_one, count, start, end = self.sign_one, 0, cpu_seconds(), time.perf_counter() + SLICE
        while time.perf_counter() < end:
            for _ in range(8):
                sign_one(next(cards))
            count += 8
        self.rates.append(count / (cpu_seconds() - start))
        return self.rates[-1]


def cpu_seconds() -> float:
    """CPU time of this process and of the children that have ended."""
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def filled_in(unchanging: dict[str, Any], one: Card) -> dict[str, Any]:
    """pass.json by the shortest way that plain Python has: a shallow copy with the card's own values, unchecked."""
    barcode = unchanging["barcode"] | {"message": one.code, "altText": one.code_text}
    style = {
        f"{group}Fields": [{"key": f.key, "label": f.label, "value": f.value} for f in getattr(one, group)]
        for group in ("header", "secondary", "auxiliary", "back")
    }
    style["backFields"][0]["changeMessage"] = "%@"
    own = {"serialNumber": one.serial, "authenticationToken": one.authentication_token}
    return unchanging | own | {"storeCard": style, "barcode": barcode, "barcodes": [barcode]}


def builder_loop(
    unchanging: dict[str, bytes], identity: SigningIdentity, dump: Callable[[Card], bytes]
) -> Callable[[Card], bytes]:
    """What a careful program does with `cryptography` and zipfile: key parsed once, everything stored."""
    options = [PKCS7Options.DetachedSignature, PKCS7Options.Binary]

    def sign_one(one: Card) -> bytes:
        files = {"pass.json": dump(one), **unchanging}
        manifest = json.dumps({name: hashlib.sha1(data).hexdigest() for name, data in files.items()}).encode()  # noqa: S324
        signature = (
            PKCS7SignatureBuilder()
            .set_data(manifest)
            .add_signer(identity.certificate, identity.private_key, SHA256())
            .add_certificate(identity.intermediate)
            .sign(Encoding.DER, options)
        )
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as package:
            for name, data in (files | {"manifest.json": manifest, "signature": signature}).items():
                package.writestr(name, data)
        return file.getvalue()

    return sign_one


def wallet_py3k(
    look: CardLook, files: dict[str, bytes], identity: SigningIdentity, folder: Path
) -> Callable[[Card], bytes]:
    """wallet-py3k's own create(), used as its README shows."""
    certificate, intermediate, key = (str(folder / name) for name in ("certificate.pem", "wwdr.pem", "key.pem"))
    Path(certificate).write_bytes(identity.certificate.public_bytes(Encoding.PEM))
    Path(intermediate).write_bytes(identity.intermediate.public_bytes(Encoding.PEM))
    # An encrypted PKCS #8 key, which is what the README's `openssl pkcs12 -nocerts` writes.
    plain = identity.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    command = ["openssl", "pkcs8", "-topk8", "-passout", f"pass:{PASSWORD}", "-out", key]
    subprocess.run(command, input=plain, check=True)

    def sign_one(one: Card) -> bytes:
        information = models.StoreCard()
        for group in ("header", "secondary", "auxiliary", "back"):
            for shown in getattr(one, group):
                made = models.Field(shown.key, str(shown.value), shown.label)
                made.changeMessage = shown.change_message
                getattr(information, f"{group}Fields").append(made)
        made = models.Pass(
            information,
            passTypeIdentifier=identity.pass_type_identifier,
            organizationName=look.organization_name,
            teamIdentifier=identity.team_identifier,
        )
        made.serialNumber, made.description = one.serial, look.description
        made.barcode = models.Barcode(one.code, models.BarcodeFormat.QR, one.code_text)
        made.webServiceURL, made.authenticationToken = look.web_service_url, one.authentication_token
        for name, data in files.items():
            made.addFile(name, io.BytesIO(data))
        created: io.BytesIO = made.create(certificate, key, intermediate, PASSWORD)
        return created.getvalue()

    return sign_one


def verify(package: bytes, root: Path, folder: Path) -> None:
    """End the run unless openssl accepts the signature and every digest in the manifest is right."""
    with zipfile.ZipFile(io.BytesIO(package)) as files:
        for name in ("manifest.json", "signature"):
            (folder / name).write_bytes(files.read(name))
        for name, digest in json.loads(files.read("manifest.json")).items():
            assert digest == hashlib.sha1(files.read(name)).hexdigest(), name  # noqa: S324
    command = ["openssl", "smime", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-out", os.devnull]
    files_given = ["-in", folder / "signature", "-content", folder / "manifest.json", "-CAfile", root]
    subprocess.run([*command, *map(str, files_given)], check=True, capture_output=True)


def contenders(strip_mode: str, identity: SigningIdentity, now: datetime, folder: Path) -> list[Contender]:
    shared, strip = pictures(strip_mode)
    look = look_with(shared)
    template = PassTemplate.prepare(look, identity).with_strip(strip)
    files = shared | strip | localized_files(look.language, look.strings)
    private_key, padding, digest, algorithm = identity.private_key, PKCS1v15(), bytes(32), SHA256()

    def through_model(one: Card) -> bytes:
        return json.dumps(pass_json(look, one, identity), ensure_ascii=False).encode()

    unchanging = pass_json(look, card(0), identity)

    def from_ready_dict(one: Card) -> bytes:
        return json.dumps(filled_in(unchanging, one), ensure_ascii=False).encode()

    return [
        Contender("bare `private_key.sign`", lambda one: private_key.sign(digest, padding, algorithm)),
        Contender("Leima, segments", lambda one: template.segments(one, now)),
        Contender("Leima, one bytes object", lambda one: template.sign(one, now)),
        Contender("PKCS7SignatureBuilder + zipfile", builder_loop(files, identity, through_model)),
        Contender("the same, pass.json from a ready dict", builder_loop(files, identity, from_ready_dict)),
        Contender("wallet-py3k `create()`", wallet_py3k(look, files, identity, folder)),
    ]


def compare(bare: Contender, others: list[Contender], cards: Iterator[Card], seconds: float) -> None:
    """Let the contenders take turns, for `seconds` each, with a turn of the bare loop before each of theirs."""
    for contender in (bare, *others):
        contender.sign_one(next(cards))
    for _ in range(max(3, round(seconds / SLICE))):
        for contender in others:
            before = bare.turn(cards)
            contender.shares.append(contender.turn(cards) / before)


def thread_gains(compared: list[Contender], cards: list[Card], seconds: float) -> list[float]:
    """How many times more each contender signs with two threads than with one: best turns, by the wall clock."""
    best = {(contender.name, size): 0.0 for contender in compared for size in (1, 2)}

    def work(sign_one: Callable[[Card], object], end: float, counts: list[int]) -> None:
        count = 0
        for one in cycle(cards):
            if time.perf_counter() >= end:
                break
            sign_one(one)
            count += 1
        counts.append(count)

    for _ in range(max(8, round(seconds / SLICE / 4))):
        for contender in compared:
            for size in (1, 2):
                counts: list[int] = []
                start = time.perf_counter()
                given = contender.sign_one, start + 2 * SLICE, counts
                threads = [threading.Thread(target=work, args=given) for _ in range(size)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                rate = sum(counts) / (time.perf_counter() - start)
                best[contender.name, size] = max(best[contender.name, size], rate)
    return [best[contender.name, 2] / best[contender.name, 1] for contender in compared]


def main() -> None:
    parser = argparse.ArgumentParser(description="Signed passes a second, as a share of bare RSA signatures")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each contender and weight")
    seconds = parser.parse_args().seconds
    now = datetime.now(UTC)
    identity = development.make("pass.fi.leima.bench", "LEIMABENCH", "Leima", now)
    cards = [card(number) for number in range(50)]
    print(f"{platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, ", end="")
    print(f"cryptography {cryptography.__version__} with {backend.openssl_version_text()}")
    program = subprocess.run(["openssl", "version"], capture_output=True, check=True, text=True)
    print(f"the openssl program: {program.stdout}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = folder / "root.pem"
        assert identity.root is not None
        root.write_bytes(identity.root.public_bytes(Encoding.PEM))
        for weight, strip_mode in (("light", "1"), ("heavy", "RGB")):
            found = contenders(strip_mode, identity, now, folder)
            report(weight, found, cards, seconds, partial(verify, root=root, folder=folder))


def report(
    weight: str, found: list[Contender], cards: list[Card], seconds: float, checked: Callable[[bytes], None]
) -> None:
    """Run one weight's comparison and print its table."""
    bare, segments, whole, *others = found
    sample = whole.sign_one(cards[7])
    for package in (sample, b"".join(segments.sign_one(cards[7])), *(other.sign_one(cards[7]) for other in others)):
        checked(package)
    compare(bare, [segments, whole, *others], iter(cycle(cards)), seconds)
    rate = median(bare.rates)
    print(f"A {weight} pass, {len(sample) / 1000:.0f} KB:\n")
    print("| | passes/s on one core | share of bare RSA | Leima is faster by |")
    print("|---|---:|---:|---:|")
    print(f"| {bare.name} | {rate:,.0f} | | |")
    for contender in found[1:]:
        share = median(contender.shares)
        faster = f"{median(whole.shares) / share:.1f}×" if contender in others else ""
        print(f"| {contender.name} | {rate * share:,.0f} | {share:.1%} | {faster} |")
    gains = thread_gains([whole, bare], cards, seconds)
    print(f"\nTwo threads sign {gains[0]:.2f}× what one does (bare RSA: {gains[1]:.2f}×).\n")


if __name__ == "__main__":
    main()
