"""Signed packages: the same bytes every time, and no surprise at any moment."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certs import development
from certs.identity import CertificateError
from passes.apple.cms import DetachedSigner, der
from passes.apple.errors import PassError
from passes.apple.package import MAX_BUNDLED, MIME_TYPE, PassTemplate, bundle
from passes.card import CardLocation
from tests.pass_samples import NOW, card, look, png, signing_identity, strip


def template() -> PassTemplate:
    return PassTemplate.prepare(look(), signing_identity())


def contents(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as files:
        assert files.testzip() is None
        return {name: files.read(name) for name in files.namelist()}


def test_two_templates_sign_the_same_card_in_the_same_bytes() -> None:
    first, second = (template().with_strip(strip()).sign(card(), NOW) for _ in range(2))
    assert first == second


def test_only_the_signature_depends_on_the_time() -> None:
    prepared = template()
    earlier, later = contents(prepared.sign(card(), NOW)), contents(prepared.sign(card(), NOW + timedelta(seconds=1)))
    assert {name for name in earlier if earlier[name] != later[name]} == {"signature"}


def test_a_signing_time_is_that_of_its_pass_to_the_second() -> None:
    prepared = template()
    start = NOW.replace(microsecond=0)
    moments = [start, start + timedelta(microseconds=999_999), start + timedelta(seconds=1), start]
    signatures = [contents(prepared.sign(card(), at))["signature"] for at in moments]
    for at, signature in zip(moments, signatures, strict=True):
        assert at.strftime("%y%m%d%H%M%SZ").encode() in signature
    assert signatures[0] == signatures[1] == signatures[3] != signatures[2]


def test_segments_are_the_pass_in_pieces_and_share_the_pictures() -> None:
    with_strip = template().with_strip(strip())
    first, second = with_strip.segments(card(), NOW), with_strip.segments(card(serial="2"), NOW)
    assert b"".join(first) == with_strip.sign(card(), NOW)
    assert all(a is b for a, b in zip(first[:-1], second[:-1], strict=True))
    assert len(first[-1]) < 8000


def test_templates_with_other_strips_share_the_rest() -> None:
    shared = template()
    three, four = shared.with_strip(strip()), shared.with_strip({"strip.png": png(375, 122)})
    assert three.segments(card(), NOW)[0] is four.segments(card(), NOW)[0]
    assert contents(four.sign(card(), NOW))["strip.png"] == png(375, 122)
    assert "strip.png" not in contents(shared.sign(card(), NOW))


def test_pictures_are_stored_and_strings_compressed() -> None:
    with zipfile.ZipFile(io.BytesIO(template().sign(card(), NOW))) as files:
        packed = {info.filename: info.compress_type for info in files.infolist()}
    assert {name for name, kind in packed.items() if kind == zipfile.ZIP_DEFLATED} == {
        f"{language}.lproj/pass.strings" for language in ("en", "fa", "fi", "ru")
    }


@pytest.mark.parametrize("at", [signing_identity().not_after + timedelta(microseconds=1), NOW + timedelta(days=400)])
def test_signing_with_an_expired_certificate_is_refused_with_the_reason(at: datetime) -> None:
    prepared = template()
    prepared.sign(card(), signing_identity().not_after)  # the last moment: its head must not serve later ones
    with pytest.raises(CertificateError, match="expired"):
        prepared.sign(card(), at)


def test_signing_before_the_certificate_is_valid_is_refused_with_the_reason() -> None:
    prepared = template()
    prepared.sign(card(), signing_identity().not_before)
    with pytest.raises(CertificateError, match="valid only from"):
        prepared.sign(card(), signing_identity().not_before - timedelta(microseconds=1))


def test_the_chain_is_the_leaf_and_its_intermediate_byte_for_byte() -> None:
    signature = contents(template().sign(card(), NOW))["signature"]
    identity = signing_identity()
    for certificate in (identity.certificate, identity.intermediate):
        assert signature.count(certificate.public_bytes(Encoding.DER)) == 1
    assert identity.root is not None
    assert identity.root.public_bytes(Encoding.DER) not in signature


def test_from_2050_on_the_signing_time_has_four_digits_of_year() -> None:
    new_year = datetime(2050, 1, 1, tzinfo=UTC)
    signer = DetachedSigner(development.make("pass.fi.leima.test", "LEIMATEST1", "Leima", new_year - timedelta(days=1)))
    assert der(0x17, b"491231235959Z") in signer.head(new_year - timedelta(seconds=1)).attributes
    assert der(0x18, b"20500101000000Z") in signer.head(new_year).attributes


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_der_lengths_are_of_the_shortest_form(length: int) -> None:
    made = der(0x04, bytes(length))
    size = b"" if length < 128 else length.to_bytes((length.bit_length() + 7) // 8, "big")
    assert made == bytes((4, 0x80 | len(size) if size else length)) + size + bytes(length)


WRONG_LOOKS: dict[str, tuple[dict[str, Any], str]] = {
    "no icon": ({"images": {"logo.png": png(1, 1)}}, "no icon.png"),
    "a picture that is none": ({"images": {"icon.png": b"GIF89a"}}, "not a whole PNG"),
    "half a picture": ({"images": {"icon.png": png(29, 29)[:-20]}}, "not a whole PNG"),
    "a file elsewhere": ({"images": {"icon.png": png(29, 29), "../icon.png": png(29, 29)}}, "not a name"),
    "a file of ours": ({"images": {"icon.png": png(29, 29), "manifest.json": png(29, 29)}}, "not a name"),
    "eleven places": ({"locations": (CardLocation(1, 1),) * 11}, "at most 10 locations"),
    "a plain web service": ({"web_service_url": "http://leima.example/"}, "must start with https"),
    "no organization": ({"organization_name": ""}, "no organizationName"),
    "no description": ({"description": ""}, "no description"),
    "a wrong language": ({"strings": {"../x": {"a": "b"}}}, "not a language tag"),
}


@pytest.mark.parametrize(("changes", "reason"), WRONG_LOOKS.values(), ids=WRONG_LOOKS.keys())
def test_a_look_that_phones_would_refuse_is_refused_before_any_card(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(PassError, match=reason):
        PassTemplate.prepare(look(**changes), signing_identity())


def test_a_strip_has_its_own_names_and_comes_once() -> None:
    with pytest.raises(PassError, match="not a name"):
        template().with_strip({"icon.png": png(29, 29)})
    with pytest.raises(PassError, match=r"strip\.png already"):
        template().with_strip(strip()).with_strip(strip())


@pytest.mark.parametrize("count", [0, MAX_BUNDLED + 1])
def test_a_bundle_has_one_to_ten_passes(count: int) -> None:
    with pytest.raises(PassError, match="1 to 10 passes"):
        bundle([b"pass"] * count)


def test_the_mime_type_is_the_one_that_opens_wallet() -> None:
    assert MIME_TYPE == "application/vnd.apple.pkpass"


def test_the_manifest_lists_every_file_but_itself_and_the_signature() -> None:
    files = contents(template().with_strip(strip()).sign(card(), NOW))
    assert json.loads(files["manifest.json"]).keys() == files.keys() - {"manifest.json", "signature"}
