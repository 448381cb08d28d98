"""Every pass that we sign keeps the rules of the format, whatever the card shows."""

import io
import json
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest

from passes.apple.package import PassTemplate, bundle
from passes.card import Card, CardField, StampCount
from tests.pass_samples import NOW, card, look, png, root_pem, signing_identity, strip
from tests.pkpass_rules import violations

CARDS = {
    "with every kind of field": card(),
    "with nothing but a code": card(header=(), primary=(), secondary=(), auxiliary=(), back=(), code_text=""),
    "in Persian": card(
        header=(CardField("stamps", "مهرها", "۳ از ۱۰", change_message="مهرهای شما: %@"),),
        secondary=(CardField("member", "عضو", "شیرین\u200cبانو"),),
    ),
    "of a member whose name is emoji": card(secondary=(CardField("member", "👤", "👩‍👩‍👧 Zoë 🇫🇮 %s %d"),)),
    "in yen and in fractions of a euro": card(
        secondary=(
            CardField("yen", "円", Decimal("12000"), currency="JPY"),
            CardField("euro", "€", Decimal("0.10"), currency="EUR"),
            CardField("share", "%", Decimal("-1E+2")),
        )
    ),
    "that is voided": card(voided=True),
    "that has expired": card(expires_at=NOW - timedelta(days=1)),
    "whose code needs UTF-8": card(code="کارت-۱"),
    "whose field is empty": card(primary=(CardField("reward", "Etusi", ""),)),
}


def signed(one: Card) -> bytes:
    return PassTemplate.prepare(look(), signing_identity()).with_strip(strip()).sign(one, NOW)


@pytest.mark.parametrize("one", CARDS.values(), ids=CARDS.keys())
def test_a_card_keeps_every_rule(one: Card) -> None:
    assert violations(signed(one), root_pem()) == []


def test_a_look_without_web_service_places_and_translations_keeps_every_rule() -> None:
    bare = look(web_service_url="", locations=(), strings={}, logo_text="", images={"icon.png": png(38, 38)})
    data = PassTemplate.prepare(bare, signing_identity()).sign(card(authentication_token=""), NOW)
    assert violations(data, root_pem()) == []


def test_a_single_reward_is_a_coupon_that_keeps_every_rule() -> None:
    template = PassTemplate.prepare(look(), signing_identity(), "coupon").with_strip(strip(144))
    data = template.sign(card(), NOW)
    assert violations(data, root_pem()) == []
    assert "coupon" in json.loads(zipfile.ZipFile(io.BytesIO(data)).read("pass.json"))


def test_threads_that_share_a_template_sign_sound_passes() -> None:
    plain = PassTemplate.prepare(look(), signing_identity())
    templates = [plain.with_strip(strip()), plain]
    cards = [card(serial=f"serial-{n}", stamps=StampCount(n % 10, 10), voided=n % 3 == 0) for n in range(16)]

    def sign(number: int) -> bytes:
        # Each thread changes the second that is signed, so that they race for the signature's head.
        return templates[number % 2].sign(cards[number], NOW + timedelta(seconds=number % 4))

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(sign, range(16)))
    assert [violations(data, root_pem()) for data in made] == [[]] * 16
    serials = [json.loads(zipfile.ZipFile(io.BytesIO(data)).read("pass.json"))["serialNumber"] for data in made]
    assert serials == [one.serial for one in cards]


def test_a_bundle_holds_each_pass_as_it_was_signed() -> None:
    passes = [signed(card(serial=f"serial-{n}")) for n in range(3)]
    with zipfile.ZipFile(io.BytesIO(bundle(passes))) as files:
        assert files.testzip() is None
        assert [files.read(name) for name in files.namelist()] == passes
        assert all(name.endswith(".pkpass") for name in files.namelist())


def rewritten(data: bytes, change: Callable[[dict[str, bytes]], object]) -> bytes:
    """The pass with its files changed, zipped again without signing."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        files = {name: old.read(name) for name in old.namelist()}
    change(files)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        for name, file in files.items():
            new.writestr(name, file)
    return made.getvalue()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda files: files.update({"logo.png": png(10, 10)}), "logo.png has another digest"),
        (lambda files: files.update({"extra.txt": b"x"}), "manifest and files differ"),
        (lambda files: files.pop("icon.png"), "icon.png is missing"),
        (lambda files: files.update({"manifest.json": files["manifest.json"] + b" "}), "openssl refuses"),
        (lambda files: files.update({"strip.png": png(1, 1)}), "strip.png is 1×1"),
        (lambda files: files.update({"en.lproj/pass.strings": b'"a" = "b"'}), "has lines that phones can't read"),
        (lambda files: files.update({"pass.json": b'{"logoText": null}'}), "pass.json.logoText is null"),
    ],
)
def test_the_checker_sees_a_broken_rule(change: Callable[[dict[str, bytes]], object], complaint: str) -> None:
    found = violations(rewritten(signed(card()), change), root_pem())
    assert any(complaint in violation for violation in found), found
