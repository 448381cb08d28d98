"""The rules that a .pkpass must keep for a phone to accept it, checked with nothing of ours.

Uses zipfile, json, Pillow, `cryptography`'s X.509 parser and the openssl program.
"""

import hashlib
import io
import json
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID
from PIL import Image

PASS_TYPE_EXTENSION = x509.ObjectIdentifier("1.2.840.113635.100.6.1.16")
PASS_SIGNING = x509.ObjectIdentifier("1.2.840.113635.100.4.14")
STYLES = {"boardingPass", "coupon", "eventTicket", "generic", "storeCard"}
GROUPS = ("headerFields", "primaryFields", "secondaryFields", "auxiliaryFields", "backFields")
REQUIRED = ("description", "organizationName", "passTypeIdentifier", "serialNumber", "teamIdentifier")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)")
PICTURE = re.compile(r"([\w-]+\.lproj/)?(icon|logo|strip|thumbnail|background|footer)(@([23])x)?\.png")
STRINGS_LINE = re.compile(r'"((?:[^"\\\n]|\\.)*)" = "((?:[^"\\\n]|\\.)*)";')


def violations(data: bytes, root_pem: bytes) -> list[str]:
    """Everything that is wrong with a signed pass; empty when phones that trust `root_pem` would accept it."""
    try:
        package = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        return [f"not a ZIP file: {error}"]
    with package:
        names = package.namelist()
        if len(names) != len(set(names)):
            return ["two files have the same name"]
        missing = [name for name in ("pass.json", "manifest.json", "signature", "icon.png") if name not in names]
        if missing:
            return [f"{name} is missing" for name in missing]
        if damaged := package.testzip():
            return [f"{damaged} is damaged"]
        files = {name: package.read(name) for name in names}
    found = list(_package(files))
    found += _signature(files["signature"], files["manifest.json"], root_pem)
    try:
        contents = json.loads(files["pass.json"])
    except ValueError as error:
        return [*found, f"pass.json is not JSON: {error}"]
    found += _certificates(files["signature"], contents)
    found += _contents(contents)
    for name, file in files.items():
        found += _picture(name, file, contents)
        if name.endswith("pass.strings"):
            found += _strings(name, file)
    return found


def strings_of(file: bytes) -> dict[str, str]:
    """The translations in a pass.strings file, read by rule 8 and no looser."""
    text = file.decode("utf-16" if file[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    return {_unescaped(m[1]): _unescaped(m[2]) for m in STRINGS_LINE.finditer(text)}


def _unescaped(text: str) -> str:
    meanings = {"n": "\n", "r": "\r", "t": "\t"}
    return re.sub(r"\\(.)", lambda m: meanings.get(m[1], m[1]), text)


def _package(files: dict[str, bytes]) -> Iterator[str]:
    for name in files:
        if name.endswith("/") or "\\" in name or name.startswith("/") or ".." in name:
            yield f"{name} is a directory or has a wrong separator"
    manifest = json.loads(files["manifest.json"])
    listed = files.keys() - {"manifest.json", "signature"}
    if listed != manifest.keys():
        yield f"manifest and files differ: {sorted(listed ^ manifest.keys())}"
    for name in listed & manifest.keys():
        if hashlib.sha1(files[name]).hexdigest() != manifest[name]:  # noqa: S324 - Apple's format
            yield f"{name} has another digest than the manifest says"


def _signature(signature: bytes, manifest: bytes, root_pem: bytes) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "signature").write_bytes(signature)
        (folder / "root.pem").write_bytes(root_pem)

        def verify(content: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
            (folder / "manifest.json").write_bytes(content)
            command = ["openssl", "smime", "-verify", "-binary", "-inform", "DER", "-in", "signature"]
            command += ["-content", "manifest.json", "-CAfile", "root.pem", *options]
            return subprocess.run(command, cwd=folder, capture_output=True, check=False)

        outcome = verify(manifest, "-purpose", "any")
        if outcome.returncode != 0:
            yield f"openssl refuses the signature: {outcome.stderr.decode()}"
        middle = len(manifest) // 2
        flipped = manifest[:middle] + bytes((manifest[middle] ^ 1,)) + manifest[middle + 1 :]
        if verify(flipped, "-purpose", "any").returncode == 0:
            yield "openssl accepts another manifest"
        if verify(manifest).returncode == 0:
            yield "the certificate is one for mail: openssl accepts it without -purpose any"
        printed = subprocess.run(
            ["openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", "signature"],
            cwd=folder, capture_output=True, check=True,
        ).stdout.decode()  # fmt: skip
    if "eContent: <ABSENT>" not in printed:
        yield "the signature is not detached"
    if printed.count("issuerAndSerialNumber") != 1:
        yield "there is not exactly one signer"
    signed = printed.partition("signedAttrs:")[2].partition("signatureAlgorithm:")[0]
    for attribute in ("contentType", "messageDigest", "signingTime"):
        if signed.count(f"object: {attribute} ") != 1:
            yield f"the signed attributes lack {attribute}"


def _certificates(signature: bytes, contents: dict[str, Any]) -> Iterator[str]:
    certificates = pkcs7.load_der_pkcs7_certificates(signature)
    leaves = [c for c in certificates if c.subject.get_attributes_for_oid(NameOID.USER_ID)]
    if len(certificates) != 2 or len(leaves) != 1:
        yield "the signature does not carry exactly the leaf and its intermediate"
        return
    leaf = leaves[0]
    (intermediate,) = (c for c in certificates if c is not leaf)
    if leaf.issuer != intermediate.subject:
        yield "the intermediate is not the leaf's issuer"
    authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    if authority != intermediate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest:
        yield "the leaf's authority key is not the intermediate's key"
    now = datetime.now(UTC)
    if not all(c.not_valid_before_utc <= now <= c.not_valid_after_utc for c in certificates):
        yield "a certificate is out of date"
    pass_type, team = contents.get("passTypeIdentifier", ""), contents.get("teamIdentifier", "")
    if leaf.subject.get_attributes_for_oid(NameOID.USER_ID)[0].value != pass_type:
        yield "the leaf's UID is not the passTypeIdentifier"
    extension = leaf.extensions.get_extension_for_oid(PASS_TYPE_EXTENSION).value
    if not isinstance(extension, x509.UnrecognizedExtension) or not extension.value.endswith(pass_type.encode()):
        yield "the leaf's pass type extension is not the passTypeIdentifier"
    if [a.value for a in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)] != [team]:
        yield "the leaf's OU is not the teamIdentifier"
    if PASS_SIGNING not in leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value:
        yield "the leaf may not sign passes"


def _contents(contents: dict[str, Any]) -> Iterator[str]:
    for path, value in _walk("pass.json", contents):
        if value is None or value == "":
            yield f"{path} is null or empty"
    if contents.get("formatVersion") != 1:
        yield "formatVersion is not 1"
    yield from (f"{name} is missing" for name in REQUIRED if not isinstance(contents.get(name), str))
    styles = STYLES & contents.keys()
    if len(styles) != 1:
        yield f"there is not exactly one style: {sorted(styles)}"
    for style in styles:
        yield from _fields(contents[style])
    url, token = contents.get("webServiceURL"), contents.get("authenticationToken")
    if (url is None) != (token is None):
        yield "webServiceURL and authenticationToken are not both there"
    elif url is not None and not (url.startswith("https://") and len(token) >= 16):
        yield "webServiceURL is not https or authenticationToken is short"
    if len(contents.get("locations", ())) > 10:
        yield "more than 10 locations"
    if "expirationDate" in contents and not MOMENT.fullmatch(contents["expirationDate"]):
        yield "expirationDate has no zone"
    yield from _barcodes(contents)


def _fields(style: dict[str, Any]) -> Iterator[str]:
    keys = [field["key"] for group in GROUPS for field in style.get(group, ())]
    if len(keys) != len(set(keys)):
        yield "two fields have the same key"
    for group in GROUPS:
        for field in style.get(group, ()):
            if group in ("primaryFields", "backFields") and "textAlignment" in field:
                yield f"{field['key']}: textAlignment in {group}"
            if {"currencyCode", "numberStyle"} & field.keys() and isinstance(field["value"], str | bool):
                yield f"{field['key']}: a number is written as a text"
            if {"dateStyle", "timeStyle"} & field.keys() and not MOMENT.fullmatch(field["value"]):
                yield f"{field['key']}: a date without a zone"
            if "changeMessage" in field and "%@" not in field["changeMessage"]:
                yield f"{field['key']}: a change message without %@"


def _barcodes(contents: dict[str, Any]) -> Iterator[str]:
    barcodes = contents.get("barcodes", [])
    readable_before_ios_9 = [b for b in barcodes if b["format"] != "PKBarcodeFormatCode128"]
    if contents.get("barcode") != (readable_before_ios_9[0] if readable_before_ios_9 else None):
        yield "barcode is not the first of barcodes"
    for barcode in barcodes:
        try:
            barcode["message"].encode(barcode["messageEncoding"])
        except UnicodeEncodeError:
            yield "a barcode's message does not fit its encoding"


def _walk(path: str, value: object) -> Iterator[tuple[str, object]]:
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(f"{path}.{key}", inner)
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _walk(f"{path}[{number}]", inner)


def _picture(name: str, file: bytes, contents: dict[str, Any]) -> Iterator[str]:
    match = PICTURE.fullmatch(name)
    if not match:
        return
    scale = int(match[4] or 1)
    try:
        with Image.open(io.BytesIO(file), formats=["PNG"]) as image:
            image.load()
            width, height = image.size
    except OSError as error:
        yield f"{name} is not a PNG: {error}"
        return
    if match[2] == "icon" and (width, height) not in ((29 * scale, 29 * scale), (38 * scale, 38 * scale)):
        yield f"{name} is {width}×{height}"
    if match[2] == "logo" and (width > 160 * scale or height > 50 * scale):
        yield f"{name} is {width}×{height}"
    strip = (375 * scale, 123 * scale) if "storeCard" in contents else (375 * scale, 144 * scale)
    if match[2] == "strip" and (width, height) != strip:
        yield f"{name} is {width}×{height}"


def _strings(name: str, file: bytes) -> Iterator[str]:
    try:
        text = file.decode("utf-16" if file[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    except UnicodeDecodeError:
        yield f"{name} is neither UTF-8 nor UTF-16"
        return
    if STRINGS_LINE.sub("", text).strip():
        yield f"{name} has lines that phones can't read"
