"""Cards made from members: looks that are kept, certificates that are chosen."""

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from PIL import Image

from app.services import apple_passes, cards, members, programs, till
from app.services.context import Context
from app.services.errors import Refused
from app.services.recent import Recent
from app.services.views import MemberView
from certs import identity
from certs.identity import SigningIdentity
from tests.factories import PROGRAM_FORM, Shop


def files_of(ctx: Context, member: MemberView) -> dict[str, bytes]:
    data = b"".join(apple_passes.apple_pass(ctx, member).segments)
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return {name: package.read(name) for name in package.namelist()}


def with_certificates(ctx: Context, data: Path) -> Context:
    """The same installation with the certificates of another data folder."""
    settings = ctx.settings.model_copy(update={"data": data})
    return replace(ctx, settings=settings, identity=lambda name: identity.load(data / "certs" / name))


def test_a_change_in_the_office_is_on_the_next_pass(ctx: Context, shop: Shop) -> None:
    member = shop.member(1)
    before = files_of(ctx, member)
    logo = io.BytesIO()
    Image.new("RGB", (40, 40), "orange").save(logo, "PNG")
    programs.update(ctx, shop.owner, PROGRAM_FORM | {"brand_color": "cmyk(0, 70, 90, 10)"}, logo=logo.getvalue())
    after = files_of(ctx, member)
    assert json.loads(before["pass.json"])["backgroundColor"] == "rgb(11, 93, 78)"
    assert json.loads(after["pass.json"])["backgroundColor"] == "rgb(230, 69, 23)"
    assert [before[name] == after[name] for name in ("logo.png", "icon.png", "strip.png")] == [False] * 3


def test_a_new_location_is_on_the_next_pass(ctx: Context, shop: Shop) -> None:
    member = shop.member(1)
    assert len(json.loads(files_of(ctx, member)["pass.json"])["locations"]) == 1
    programs.save_location(ctx, shop.owner, {"name": "Satama", "latitude": "60.15", "longitude": "24.95"})
    assert len(json.loads(files_of(ctx, member)["pass.json"])["locations"]) == 2


def test_each_number_of_stamps_and_each_direction_has_its_own_picture(ctx: Context, shop: Shop) -> None:
    members_ = [shop.member(1), shop.member(2, language="fa"), shop.member(3)]
    for member in members_[1:]:
        till.give_stamps(ctx, shop.cashier, member.card_code, count=3)
    fresh = [cards.members.by_id(ctx, shop.cashier, member.id) for member in members_]
    assert len({files_of(ctx, member)["strip@2x.png"] for member in fresh}) == 3


def test_a_programme_made_smaller_shows_a_full_card(ctx: Context, shop: Shop) -> None:
    member = shop.member(1)
    till.give_stamps(ctx, shop.cashier, member.card_code, count=9)
    shop.change_program(stamps_needed="5")
    member = cards.members.by_id(ctx, shop.cashier, member.id)
    header = json.loads(files_of(ctx, member)["pass.json"])["storeCard"]["headerFields"]
    assert [field["value"] for field in header] == ["5 of 5"]


def test_many_threads_sign_at_once(ctx: Context, shop: Shop) -> None:
    member = shop.member(1)
    start = Barrier(4)

    def sign(_number: int) -> str:
        start.wait()
        return str(json.loads(files_of(ctx, member)["pass.json"])["serialNumber"])

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(sign, range(4))) == {str(member.card_id)}


def test_without_a_pass_type_the_only_certificate_is_used(
    ctx: Context, shop: Shop, tmp_path: Path, pass_identity: SigningIdentity
) -> None:
    shop.change_program(pass_type_identifier="")
    identity.save(pass_identity, tmp_path / "certs")
    contents = json.loads(files_of(with_certificates(ctx, tmp_path), shop.member(1))["pass.json"])
    assert contents["passTypeIdentifier"] == "pass.fi.leima.test"


@pytest.mark.parametrize("pass_type", ["", "pass.fi.leima.test"])
def test_without_a_certificate_no_pass_is_signed(ctx: Context, shop: Shop, tmp_path: Path, pass_type: str) -> None:
    shop.change_program(pass_type_identifier=pass_type)
    with pytest.raises(Refused) as refused:
        apple_passes.apple_pass(with_certificates(ctx, tmp_path), shop.member(1))
    assert (refused.value.kind, refused.value.status) == ("card-not-signed", 503)


def test_a_pass_carries_the_date_of_the_state_that_it_shows(ctx: Context, shop: Shop) -> None:
    seen_before = shop.member(1)
    till.give_stamps(ctx, shop.cashier, seen_before.card_code)
    seen_after = members.by_id(ctx, shop.cashier, seen_before.id)
    assert apple_passes.apple_pass(ctx, seen_before).changed_at < apple_passes.apple_pass(ctx, seen_after).changed_at


def test_the_store_of_recent_things_forgets_the_oldest() -> None:
    made: list[int] = []
    recent: Recent[int] = Recent(2)

    def get(number: int) -> int:
        return recent.get(number, lambda: made.append(number) or number)

    assert [get(number) for number in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert made == [1, 2, 3, 2]
