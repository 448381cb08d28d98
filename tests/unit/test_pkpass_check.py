"""The pretend phone takes what we make, and finds each broken rule of the format."""

import hashlib
import io
import json
import random
import warnings
import zipfile
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

from certs import development
from certs.identity import SigningIdentity
from passes.apple.package import PassTemplate
from sandbox.pkpass_check import check
from sandbox.pkpass_files import png_size, read_strings
from tests.pass_samples import NOW, card, look, png, signing_identity, strip

Files = dict[str, bytes]
DETACHED = (PKCS7Options.Binary, PKCS7Options.DetachedSignature)


@cache
def signed() -> bytes:
    return PassTemplate.prepare(look(), signing_identity()).with_strip(strip()).sign(card(), NOW)


@cache
def other_identity() -> SigningIdentity:
    """Of the same pass type and team, but from another chain."""
    return development.make("pass.fi.leima.test", "LEIMATEST1", "Leima", NOW)


def files_of(data: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return {name: package.read(name) for name in package.namelist()}


def zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w") as package:
        warnings.simplefilter("ignore")  # of names that come twice, which is what is to be found
        for name, content in files:
            package.writestr(name, content)
    return made.getvalue()


def signature(manifest: bytes, options: Iterable[PKCS7Options] = DETACHED, **given: Any) -> bytes:
    """A signature by another program than ours."""
    identity: SigningIdentity = given.get("identity", signing_identity())
    builder = PKCS7SignatureBuilder().set_data(manifest)
    builder = builder.add_signer(identity.certificate, identity.private_key, given.get("hash", SHA256()))
    for one in given.get("chain", (identity.intermediate,)):
        builder = builder.add_certificate(one)
    return builder.sign(Encoding.DER, list(options))


def remade(change: Callable[[Files], object] = lambda files: None, **given: Any) -> bytes:
    """The pass with changed files, with a new manifest and signed anew."""
    files = files_of(signed())
    change(files)
    listed = {name: file for name, file in files.items() if name not in ("manifest.json", "signature")}
    digests = {name: hashlib.sha1(file, usedforsecurity=False).hexdigest() for name, file in listed.items()}
    manifest = json.dumps(digests, indent=1).encode()
    return zipped([*listed.items(), ("manifest.json", manifest), ("signature", signature(manifest, **given))])


def with_contents(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The pass with another pass.json, signed anew."""

    def rewrite(files: Files) -> None:
        contents = json.loads(files["pass.json"])
        change(contents)
        files["pass.json"] = json.dumps(contents).encode()

    return remade(rewrite)


def faults(data: bytes, **given: Any) -> list[str]:
    roots = given.get("roots", [signing_identity().root])
    return check(data, roots, given.get("at", NOW)).faults


def test_a_pass_that_we_sign_is_taken():
    assert [] == faults(signed())


def test_a_pass_that_another_program_signs_is_taken():
    assert [] == faults(remade())


def test_a_coupon_is_taken():
    template = PassTemplate.prepare(look(), signing_identity(), "coupon").with_strip(strip(144))
    assert [] == faults(template.sign(card(), NOW))


def changed_names(add: Iterable[tuple[str, bytes]]) -> bytes:
    return zipped([*files_of(signed()).items(), *add])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (lambda: b"", "not a sound ZIP archive"),
        (lambda: signed()[:-30], "not a sound ZIP archive"),
        (lambda: signed().replace(b"IDAT", b"IDAX", 1), "not a sound ZIP archive (Bad CRC-32"),
        (lambda: changed_names([("icon.png", b"")]), "icon.png is in the archive twice"),
        (lambda: changed_names([("en.lproj/", b"")]), "en.lproj/ is a folder"),
        (lambda: changed_names([("a\\b", b"")]), "has a backslash"),
        (lambda: changed_names([("../evil", b"")]), "../evil leads out of the pass"),
        (lambda: changed_names([("extra.txt", b"")]), "extra.txt is not in the manifest"),
        (lambda: zipped(list(files_of(signed()).items())[1:]), "icon.png is missing"),
        (lambda: zipped(list(files_of(signed()).items())[:-1]), "signature is missing"),
    ],
)
def test_a_broken_archive_is_refused(data, told):
    assert any(told in fault for fault in faults(data())), faults(data())


def unsigned(change: Callable[[Files], object]) -> bytes:
    """The pass with changed files, but the old signature."""
    files = files_of(signed())
    change(files)
    return zipped(files.items())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda files: files.update({"logo.png": png(10, 10)}), "logo.png has another digest"),
        (lambda files: files.pop("logo.png"), "The manifest names logo.png"),
        (lambda files: files.update({"manifest.json": files["manifest.json"] + b"\n"}), "manifest was changed after"),
        (lambda files: files.update({"manifest.json": b"{"}), "manifest.json is not JSON"),
        (lambda files: files.update({"signature": b"\x30\x03abc"}), "not a CMS signature"),
        (lambda files: files.update({"signature": files["signature"][:-1] + b"?"}), "was changed"),
        (lambda files: files.update({"signature": signing_identity().certificate.public_bytes(Encoding.DER)}), "not a"),
    ],
)
def test_a_pass_that_was_changed_after_signing_is_refused(change, told):
    found = faults(unsigned(change))
    assert any(told in fault for fault in found), found


def test_every_flipped_byte_of_the_manifest_is_noticed():
    manifest = files_of(signed())["manifest.json"]
    for at in range(0, len(manifest), 37):
        flipped = manifest[:at] + bytes((manifest[at] ^ 1,)) + manifest[at + 1 :]
        assert "The manifest was changed after it was signed." in faults(
            unsigned(lambda files, flipped=flipped: files.update({"manifest.json": flipped}))
        )


def without(attribute: bytes) -> bytes:
    """The pass whose signature has one signed attribute less: its identifier is another one's."""
    other = attribute[:-1] + b"\x63"
    return unsigned(lambda files: files.update({"signature": files["signature"].replace(attribute, other)}))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (lambda: remade(options=(PKCS7Options.Binary,)), "not detached"),
        (lambda: remade(options=(*DETACHED, PKCS7Options.NoAttributes)), "no signed attributes"),
        (lambda: remade(options=(*DETACHED, PKCS7Options.NoCerts)), "exactly two certificates"),
        # Without Binary, the builder turns LF into CRLF before it signs.
        (lambda: remade(options=(PKCS7Options.DetachedSignature,)), "manifest was changed"),
        (lambda: remade(chain=()), "exactly two certificates"),
        (lambda: remade(chain=(signing_identity().intermediate, other_identity().intermediate)), "exactly two"),
        (lambda: remade(chain=(other_identity().intermediate,)), "did not sign the pass type's"),
        (lambda: remade(chain=(other_identity().intermediate,)), "another authority key"),
        (lambda: remade(identity=other_identity()), "do not lead to a root"),
        (lambda: without(bytes.fromhex("06092a864886f70d010903")), "contentType is missing"),
        (lambda: without(bytes.fromhex("06092a864886f70d010904")), "messageDigest is missing"),
        (lambda: without(bytes.fromhex("06092a864886f70d010905")), "signingTime is missing"),
    ],
)
def test_a_signature_of_the_wrong_form_is_refused(data, told):
    found = faults(data())
    assert any(told in fault for fault in found), found


def test_two_signers_are_one_too_many():
    def sign_twice(files: Files) -> None:
        builder = PKCS7SignatureBuilder().set_data(files["manifest.json"])
        identity = signing_identity()
        for _ in range(2):
            builder = builder.add_signer(identity.certificate, identity.private_key, SHA256())
        files["signature"] = builder.add_certificate(identity.intermediate).sign(Encoding.DER, list(DETACHED))

    found = faults(unsigned(sign_twice))
    assert any("exactly one signer" in fault or "exactly two" in fault for fault in found), found


def test_dates_of_certificates_count():
    assert any("pass type's certificate is valid from" in fault for fault in faults(signed(), at=NOW + timedelta(400)))
    assert any("intermediate certificate is valid" in fault for fault in faults(signed(), at=NOW + timedelta(4000)))
    assert any("signed in the future" in fault for fault in faults(signed(), at=NOW - timedelta(days=2)))


def test_a_phone_without_our_root_refuses_the_pass():
    assert ["The certificates do not lead to a root that this phone trusts."] == faults(signed(), roots=[])


def test_the_certificate_must_be_of_the_pass_and_for_passes():
    stranger = development.make("pass.fi.leima.other", "LEIMATEST2", "Leima", NOW)
    found = faults(remade(identity=stranger), roots=[stranger.root])
    assert [
        "The certificate is for pass.fi.leima.other, the pass for pass.fi.leima.test.",
        "The certificate's pass type extension is not the passTypeIdentifier.",
        "The certificate is of team LEIMATEST2, the pass of LEIMATEST1.",
    ] == found


def test_a_certificate_for_something_else_may_not_sign_passes():
    leaf = signing_identity().certificate
    builder = x509.CertificateBuilder(
        leaf.issuer, leaf.subject, leaf.public_key(), 7, leaf.not_valid_before_utc, leaf.not_valid_after_utc
    )
    plain = builder.sign(signing_identity().private_key, SHA256())
    identity = SigningIdentity(plain, signing_identity().intermediate, signing_identity().private_key)
    found = faults(remade(identity=identity))
    assert any("may not sign passes" in fault for fault in found), found
    assert any("did not sign the pass type's" in fault for fault in found), found


def field(contents: dict[str, Any], group: str = "headerFields") -> dict[str, Any]:
    found: dict[str, Any] = contents["storeCard"][group][0]
    return found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.update(logoText=None), "pass.json.logoText is null"),
        (lambda c: field(c).update(label=""), "headerFields[0].label is an empty text"),
        (lambda c: c.update(formatVersion=2), "formatVersion is not 1"),
        (lambda c: c.update(formatVersion=True), "formatVersion is not 1"),
        (lambda c: c.pop("description"), "description is missing"),
        (lambda c: c.pop("organizationName"), "organizationName is missing"),
        (lambda c: c.pop("passTypeIdentifier"), "passTypeIdentifier is missing"),
        (lambda c: c.update(serialNumber=7), "serialNumber is missing, or not a text"),
        (lambda c: c.pop("teamIdentifier"), "teamIdentifier is missing"),
        (lambda c: c.pop("storeCard"), "exactly one style, but 0"),
        (lambda c: c.update(coupon={}), "exactly one style, but 2"),
        (lambda c: c.update(storeCard=[]), "storeCard is not a JSON object"),
        (lambda c: field(c).update(key="member"), "Two fields have the key “member”"),
        (lambda c: field(c).pop("key"), "has no key or no value"),
        (lambda c: field(c).update(value=True), "neither a text nor a number"),
        (lambda c: field(c, "primaryFields").update(textAlignment="x"), "textAlignment, which primaryFields"),
        (lambda c: field(c, "backFields").update(textAlignment="x"), "textAlignment, which backFields"),
        (lambda c: field(c).update(currencyCode="EUR"), "is a number, but is written as a text"),
        (lambda c: field(c).update(value="2026-01-01T10:00", dateStyle="x"), "written as one with a time zone"),
        (lambda c: field(c).update(changeMessage="News"), "has no %@"),
        (lambda c: c.pop("authenticationToken"), "come together or not at all"),
        (lambda c: c.pop("webServiceURL"), "come together or not at all"),
        (lambda c: c.update(webServiceURL="http://leima.example"), "does not start with https://"),
        (lambda c: c.update(authenticationToken="short"), "fewer than 16 characters"),
        (lambda c: c.update(expirationDate="2026-01-01T10:00:00"), "expirationDate is not a date with a time zone"),
        (lambda c: c.update(relevantDates=[{"date": "tomorrow"}]), "relevantDates[0].date is not a date"),
        (lambda c: c.update(backgroundColor="#ffffff"), "backgroundColor is not a colour"),
        (lambda c: c.update(labelColor="rgb(0, 0, 256)"), "labelColor is not a colour"),
        (lambda c: c.update(locations=c["locations"][:1] * 11), "11 locations; 10 are allowed"),
        (lambda c: c["locations"][0].update(latitude=91), "no such place as 91"),
        (lambda c: c["locations"][0].pop("longitude"), "no latitude or longitude"),
        (lambda c: c.pop("barcode"), "barcode, for old phones, is not the first"),
        (lambda c: c.pop("barcodes"), "but no barcodes"),
        (lambda c: c["barcodes"][0].update(format="QR"), "unknown format QR"),
        (lambda c: c["barcodes"][0].update(message="مهر"), "can't be written in its messageEncoding"),
        (lambda c: c["barcodes"][0].update(messageEncoding="klingon"), "an encoding that exists"),
    ],
)
def test_a_wrong_pass_json_is_refused(change, told):
    found = faults(with_contents(change))
    assert any(told in fault for fault in found), found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"[]", "pass.json is not a JSON object"),
        (b"{", "pass.json is not JSON"),
        (b'{"a": NaN}', "pass.json is not JSON"),
        ('{"ä": 1}'.encode("latin-1"), "pass.json is not JSON in UTF-8"),
        (b'{"logoText": "a", "logoText": "b"}', "pass.json has “logoText” twice"),
    ],
)
def test_a_pass_json_that_is_none_is_refused(text, told):
    found = faults(remade(lambda files: files.update({"pass.json": text})))
    assert any(told in fault for fault in found), found


@pytest.mark.parametrize(
    ("name", "file", "told"),
    [
        ("icon.png", png(30, 30), "icon.png has 30 × 30 pixels"),
        ("icon@2x.png", png(29, 29), "an icon has 58 × 58"),
        ("logo.png", png(161, 50), "a logo has at most 160 × 50"),
        ("logo@3x.png", png(480, 151), "a logo has at most 480 × 150"),
        ("strip.png", png(375, 144), "this strip has 375 × 123"),
        ("strip@2x.png", png(375, 123), "this strip has 750 × 246"),
        ("icon.png", b"GIF89a", "icon.png is not a whole PNG"),
        ("icon.png", png(29, 29)[:-20], "icon.png is not a whole PNG"),
        ("banner.png", png(10, 10), "no picture that passes have"),
        ("en.lproj/pass.strings", b'"a" = "b"', "lines that phones can't read"),
        ("en.lproj/pass.strings", b'"a" = "say "hi"";', "lines that phones can't read"),
        ("en.lproj/pass.strings", b'"a" = "\xff";', "neither UTF-8 nor UTF-16"),
    ],
)
def test_wrong_pictures_and_translations_are_refused(name, file, told):
    found = faults(remade(lambda files: files.update({name: file})))
    assert any(told in fault for fault in found), found


def test_translations_are_read_as_they_were_meant():
    written = '/* shop */\n"a \\"quote\\"" = "مهر \\\\ 1\\n2";\n// end\n"b"="\\U0416";'
    expected = {'a "quote"': "مهر \\ 1\n2", "b": "Ж"}
    for file in (written.encode(), b"\xef\xbb\xbf" + written.encode(), written.encode("utf-16")):
        assert (expected, []) == read_strings("en.lproj/pass.strings", file)


def test_newest_icons_may_be_larger():
    assert (38, 38) == png_size(png(38, 38))
    assert [] == faults(remade(lambda files: files.update({"icon.png": png(38, 38), "icon@3x.png": png(114, 114)})))


def test_no_damage_makes_the_phone_fall_over():
    chance = random.Random(7)
    data = signed()
    tail = data.index(b"pass.json")
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(3):
            damaged[chance.randrange(tail, len(data))] = chance.randrange(256)
        check(bytes(damaged), [signing_identity().root], NOW)


def test_no_contents_make_the_phone_fall_over():
    chance = random.Random(7)
    contents = json.loads(files_of(signed())["pass.json"])
    odd = [None, "", 1, -1.5, True, [], {}, [None], [{"a": []}], "text"]
    for name in contents:
        for value in odd:
            faults(with_contents(lambda c, name=name, value=value: c.update({name: value})))
    for name in ("headerFields", "backFields", "primaryFields"):
        faults(with_contents(lambda c, name=name: c["storeCard"].update({name: chance.choice(odd)})))
