"""A reward's own pass in Apple Wallet: added, voided when it is used or over, and good again after an undo."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID
from zipfile import ZipFile

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from app import clock
from app.db.delivery import Channel
from app.db.people import MemberStatus
from app.db.rewards import CouponRegistration
from app.services import apple_coupons, coupon_wallets, coupons, members, night_settling, till
from app.services.context import Context
from app.services.views import MemberView, RewardView
from app.web.factory import create_app
from certs.identity import SigningIdentity
from sandbox.authority import Authority
from sandbox.iphone import Iphone
from sandbox.pkpass_check import check
from sandbox.pkpass_signature import load_roots
from sandbox.push_feed import PushFeed
from tests.factories import Shop
from tests.integration.apple_shop import PASS_TYPE, AppleShop, open_apple_shop
from tests.integration.reward_shop import give, make_type
from tests.pkpass_rules import violations

TOKEN = "ab" * 32


@pytest.fixture
def kulma(shop: Shop, pass_identity: SigningIdentity, tmp_path: Path) -> Iterator[AppleShop]:
    with open_apple_shop(shop, pass_identity, tmp_path) as opened:
        yield opened


@pytest.fixture
def client(ctx: Context) -> Iterator[FlaskClient]:
    """Somebody who asks an installation that phones can reach."""
    settings = ctx.settings.model_copy(update={"wallet_url": "https://localhost:1"})
    made = create_app(replace(ctx, settings=settings))
    yield made.test_client()
    made.extensions["leima_clicks"].close()


@pytest.fixture
def member(shop: Shop) -> MemberView:
    return shop.member(1, name="Erin")


@pytest.fixture
def cake(shop: Shop, member: MemberView) -> RewardView:
    return give(shop, member, make_type(shop, valid_days="30"))


def download(client: FlaskClient, shop: Shop, member: MemberView, reward: RewardView) -> bytes:
    page = members.card_token(shop.ctx, member)
    answer = client.get(f"/c/{page}/coupons/{reward.id}/apple.pkpass")
    assert (200, "application/vnd.apple.pkpass") == (answer.status_code, answer.mimetype)
    return answer.data


def contents(data: bytes) -> dict[str, Any]:
    with ZipFile(BytesIO(data)) as files:
        found: dict[str, Any] = json.loads(files.read("pass.json"))
    return found


class Phone:
    """The calls of a phone for the coupon that it holds."""

    def __init__(self, client: FlaskClient, data: bytes, device: str = "device-1") -> None:
        held = contents(data)
        self.client, self.device, self.serial = client, device, held["serialNumber"]
        self.auth = {"Authorization": f"ApplePass {held['authenticationToken']}"}
        self.at = f"/apple/v1/devices/{device}/registrations/{PASS_TYPE}"

    def register(self) -> int:
        return self.client.post(f"{self.at}/{self.serial}", json={"pushToken": TOKEN}, headers=self.auth).status_code

    def unregister(self) -> int:
        return self.client.delete(f"{self.at}/{self.serial}", headers=self.auth).status_code

    def changed(self, tag: str = "") -> tuple[list[str], str]:
        answer = self.client.get(self.at, query_string={"passesUpdatedSince": tag} if tag else {})
        return (answer.json["serialNumbers"], answer.json["lastUpdated"]) if answer.status_code == 200 else ([], tag)

    def fetch(self, since: str = "") -> Any:
        headers = self.auth | ({"If-Modified-Since": since} if since else {})
        return self.client.get(f"/apple/v1/passes/{PASS_TYPE}/{self.serial}", headers=headers)

    def shown(self) -> dict[str, Any]:
        return contents(self.fetch().data)


def field(shown: dict[str, Any], key: str) -> str:
    groups = [group for name, group in shown["coupon"].items() if name.endswith("Fields")]
    return str(next(one["value"] for group in groups for one in group if one["key"] == key))


def use(shop: Shop, member: MemberView, reward: RewardView) -> UUID:
    answer, _ = till.redeem_reward(shop.ctx, shop.cashier, reward.id, card_code=member.card_code)
    return UUID(answer["entry_id"])


def test_the_pass_meets_apples_rules(
    client: FlaskClient, shop: Shop, member: MemberView, cake: RewardView, pass_identity: SigningIdentity
):
    data = download(client, shop, member, cake)
    assert pass_identity.root is not None
    root = pass_identity.root.public_bytes(Encoding.PEM)
    assert [] == violations(data, root)
    assert [] == check(data, load_roots(root), datetime.now(UTC)).faults


def test_the_pass_says_what_it_is_worth_and_until_when(
    client: FlaskClient, shop: Shop, member: MemberView, cake: RewardView
):
    shown = contents(download(client, shop, member, cake))
    assert ("Free cake", "Erin", "Ready to use") == tuple(field(shown, key) for key in ("worth", "member", "status"))
    assert cake.expires_at is not None
    assert cake.expires_at == datetime.fromisoformat(shown["expirationDate"])
    assert str(cake.id) == shown["serialNumber"]


def test_a_used_coupon_is_voided_on_the_phone_and_is_good_again_after_the_undo(
    client: FlaskClient, shop: Shop, member: MemberView, cake: RewardView
):
    phone = Phone(client, download(client, shop, member, cake))
    assert [201, 200] == [phone.register(), phone.register()]
    serials, tag = phone.changed()
    assert [str(cake.id)] == serials
    assert ([], tag) == phone.changed(tag)

    act = use(shop, member, cake)
    serials, used_tag = phone.changed(tag)
    assert [str(cake.id)] == serials
    shown = phone.shown()
    assert shown["voided"]
    assert field(shown, "status").startswith("Used on ")

    till.undo(shop.ctx, shop.cashier, act)
    assert [str(cake.id)] == phone.changed(used_tag)[0]
    assert ("Ready to use", None) == (field(phone.shown(), "status"), phone.shown().get("voided"))


def test_a_phone_that_has_the_newest_version_gets_it_no_second_time(
    client: FlaskClient, shop: Shop, member: MemberView, cake: RewardView
):
    phone = Phone(client, download(client, shop, member, cake))
    first = phone.fetch()
    assert 304 == phone.fetch(first.headers["Last-Modified"]).status_code
    use(shop, member, cake)
    assert 200 == phone.fetch(first.headers["Last-Modified"]).status_code


def test_a_coupon_that_lapsed_is_voided(
    client: FlaskClient, shop: Shop, member: MemberView, cake: RewardView, at: Callable[[datetime], None]
):
    phone = Phone(client, download(client, shop, member, cake))
    phone.register()
    _, tag = phone.changed()
    assert cake.expires_at is not None
    at(cake.expires_at + timedelta(minutes=1))
    night_settling.settle_lapsed(shop.ctx, float("inf"))
    assert [str(cake.id)] == phone.changed(tag)[0]
    assert (True, "Its last day has passed") == (phone.shown()["voided"], field(phone.shown(), "status"))


def test_a_blocked_members_coupons_are_void_until_the_block_ends(
    client: FlaskClient, shop: Shop, member: MemberView, cake: RewardView
):
    phone = Phone(client, download(client, shop, member, cake))
    phone.register()
    for status, voided in ((MemberStatus.BLOCKED, True), (MemberStatus.ACTIVE, None)):
        tag = phone.changed()[1]
        members.set_status(shop.ctx, shop.owner, member.id, status)
        assert [str(cake.id)] == phone.changed(tag)[0]
        assert voided == phone.shown().get("voided")


def test_phones_with_the_coupon_are_pushed_once_when_it_is_used(
    kulma: AppleShop, shop: Shop, member: MemberView, cake: RewardView
):
    token = kulma.apns.rules.issue(PASS_TYPE)
    coupon = coupons.find(kulma.ctx, [cake.id])[cake.id]
    apple_coupons.register(kulma.ctx, coupon, "device-1", token)
    kulma.deliver()
    use(shop, member, cake)
    kulma.deliver()
    assert ([5, 10], []) == (kulma.pushes(token), kulma.rows())


def test_a_phone_without_the_coupon_is_forgotten(client: FlaskClient, shop: Shop, member: MemberView, cake: RewardView):
    phone = Phone(client, download(client, shop, member, cake))
    phone.register()
    assert [200, 200] == [phone.unregister(), phone.unregister()]
    assert ([], "") == phone.changed()


def test_a_dead_phone_is_forgotten_with_its_coupons(kulma: AppleShop, shop: Shop, member: MemberView, cake: RewardView):
    token = kulma.apns.rules.issue(PASS_TYPE)
    coupon = coupons.find(kulma.ctx, [cake.id])[cake.id]
    apple_coupons.register(kulma.ctx, coupon, "device-1", token)
    kulma.apns.rules.unregister(token, datetime.now(UTC) + timedelta(seconds=1))
    use(shop, member, cake)
    kulma.deliver()
    assert ([], []) == (kulma.tokens(), kulma.rows())
    with kulma.ctx.sessions() as session:
        assert 0 == session.query(CouponRegistration).count()


def test_an_iphone_takes_the_coupon_and_hears_that_it_was_used(
    kulma: AppleShop, shop: Shop, member: MemberView, cake: RewardView, pass_identity: SigningIdentity, tmp_path: Path
):
    """Over real TLS, with a push in between."""
    assert pass_identity.root is not None
    authority = Authority.kept_in(tmp_path / "web", clock.now())
    server = make_server("localhost", 0, Flask("nothing"), threaded=True, ssl_context=authority.context())
    url = f"https://localhost:{server.port}"
    app = create_app(replace(kulma.ctx, settings=kulma.ctx.settings.model_copy(update={"wallet_url": url})))
    server.app = app
    serving = Thread(target=server.serve_forever, args=[0.01], daemon=True)
    serving.start()
    roots = load_roots(pass_identity.root.public_bytes(Encoding.PEM))
    phone = Iphone(str(authority.ca_file), roots, PushFeed(kulma.apns.rules))
    try:
        held = phone.add(f"{url}/c/{members.card_token(shop.ctx, member)}/coupons/{cake.id}/apple.pkpass")
        kulma.deliver()
        assert "" == held.ended(clock.now())
        act = use(shop, member, cake)
        kulma.deliver()
        phone.log.wait_for(lambda: phone.passes[held.serial].ended(clock.now()) == "Voided")
        assert [True] == [message.text.startswith("Used on ") for message in phone.lock_screen]
        till.undo(shop.ctx, shop.cashier, act)
        kulma.deliver()
        phone.log.wait_for(lambda: phone.passes[held.serial].ended(clock.now()) == "")
        assert "Ready to use" == phone.lock_screen[-1].text
    finally:
        phone.stop()
        server.shutdown()
        serving.join()
        server.server_close()
        app.extensions["leima_clicks"].close()


def test_a_coupon_is_not_told_to_its_phones_twice_for_one_change_of_look(
    kulma: AppleShop, shop: Shop, member: MemberView, cake: RewardView
):
    token = kulma.apns.rules.issue(PASS_TYPE)
    before = coupons.find(kulma.ctx, [cake.id])[cake.id]
    apple_coupons.register(kulma.ctx, before, "device-1", token)
    kulma.deliver()
    shop.change_program(brand_color="#7a1f3d")
    kulma.deliver(Channel.REFRESH)
    kulma.deliver()
    after = coupons.find(kulma.ctx, [cake.id])[cake.id]
    assert (1, [5, 5]) == (after.version - before.version, kulma.pushes(token))


def test_nobody_gets_anothers_coupon(client: FlaskClient, shop: Shop, member: MemberView, cake: RewardView):
    other = shop.member(2)
    page = members.card_token(shop.ctx, other)
    assert 404 == client.get(f"/c/{page}/coupons/{cake.id}/apple.pkpass").status_code
    phone = Phone(client, download(client, shop, member, cake))
    phone.auth = {"Authorization": f"ApplePass {shop.ctx.derived_token('apple-pass', other.card_id)}"}
    assert (401, 401) == (phone.fetch().status_code, phone.register())


def test_a_reward_without_a_pass_of_its_own_has_none(client: FlaskClient, shop: Shop, member: MemberView):
    plain = give(shop, member, make_type(shop, own_pass=""))
    page = members.card_token(shop.ctx, member)
    assert 404 == client.get(f"/c/{page}/coupons/{plain.id}/apple.pkpass").status_code


def test_a_new_link_ends_the_coupons_on_phones(client: FlaskClient, shop: Shop, member: MemberView, cake: RewardView):
    phone = Phone(client, download(client, shop, member, cake))
    phone.register()
    with shop.ctx.sessions.begin() as session:
        coupon_wallets.forget_phones(session, member.id)
    assert ([], "") == phone.changed()
