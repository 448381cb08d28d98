"""The five calls that phones make, as Apple's table says."""

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.db.delivery import AppleDevice, AppleRegistration, InstallEvent
from app.db.people import MemberStatus
from app.services import apple_devices, members, till
from app.services.context import Context
from app.services.views import MemberView
from tests.factories import Shop

PASS_TYPE = "pass.fi.leima.test"
TOKEN = "ab" * 32


class Phone:
    """The calls of one phone for one card."""

    def __init__(self, client: FlaskClient, ctx: Context, member: MemberView, device: str = "device-1") -> None:
        self.client, self.device, self.serial = client, device, str(member.card_id)
        self.auth = {"Authorization": f"ApplePass {ctx.derived_token('apple-pass', member.card_id)}"}

    def register(self, token: str = TOKEN, **changes: Any) -> TestResponse:
        return self.client.post(
            self._registration(), **({"json": {"pushToken": token}, "headers": self.auth} | changes)
        )

    def unregister(self, **changes: Any) -> TestResponse:
        return self.client.delete(self._registration(), **({"headers": self.auth} | changes))

    def changed(self, tag: str | None = None, pass_type: str = PASS_TYPE) -> TestResponse:
        query = {} if tag is None else {"passesUpdatedSince": tag}
        return self.client.get(f"/apple/v1/devices/{self.device}/registrations/{pass_type}", query_string=query)

    def get(self, method: str = "GET", since: str = "", **changes: Any) -> TestResponse:
        headers = self.auth | ({"If-Modified-Since": since} if since else {})
        address = f"/apple/v1/passes/{changes.pop('pass_type', PASS_TYPE)}/{changes.pop('serial', self.serial)}"
        return self.client.open(address, method=method, **({"headers": headers} | changes))

    def _registration(self) -> str:
        return f"/apple/v1/devices/{self.device}/registrations/{PASS_TYPE}/{self.serial}"


@pytest.fixture
def member(shop: Shop) -> MemberView:
    return shop.member()


@pytest.fixture
def phone(client: FlaskClient, ctx: Context, member: MemberView) -> Phone:
    return Phone(client, ctx, member)


def count(ctx: Context, table: Any) -> int:
    with ctx.sessions() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_phone_registers_once_and_may_give_a_new_token(ctx: Context, phone: Phone):
    assert [201, 200, 200] == [phone.register(token).status_code for token in (TOKEN, TOKEN, "cd" * 32)]
    with ctx.sessions() as session:
        assert ["cd" * 32] == list(session.scalars(select(AppleDevice.push_token)))


@pytest.mark.parametrize("header", [{}, {"Authorization": "ApplePass wrong"}, {"Authorization": "Bearer x"}])
def test_a_wrong_token_is_401_whether_or_not_the_serial_exists(phone: Phone, header: dict[str, str]):
    for answer in (
        phone.register(headers=header),
        phone.unregister(headers=header),
        phone.get(headers=header),
        phone.get(serial="018f0000-0000-7000-8000-000000000000", headers=header),
        phone.get(serial="nonsense", headers=header),
    ):
        assert (401, b"") == (answer.status_code, answer.data)


def test_the_token_of_another_card_opens_nothing(client: FlaskClient, ctx: Context, shop: Shop, phone: Phone):
    other = Phone(client, ctx, shop.member(1))
    assert 401 == phone.get(headers=other.auth).status_code


def test_another_programmes_pass_type_opens_nothing(phone: Phone):
    assert 401 == phone.get(pass_type="pass.fi.leima.other").status_code
    phone.register()
    assert 204 == phone.changed(pass_type="pass.fi.leima.other").status_code


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"pushToken": 7}', b'{"pushToken": ""}', b'{"pushToken": "../x"}']
)
def test_a_registration_without_a_push_token_is_400(phone: Phone, body: bytes):
    assert 400 == phone.register(json=None, data=body, headers=phone.auth).status_code


def test_a_body_of_ten_megabytes_is_refused(phone: Phone):
    assert 413 == phone.register(json=None, data=b"x" * 10_000_000, headers=phone.auth).status_code


def test_without_a_tag_all_cards_are_told(phone: Phone):
    phone.register()
    answer = phone.changed()
    assert (200, [phone.serial]) == (answer.status_code, answer.get_json()["serialNumbers"])
    assert isinstance(answer.get_json()["lastUpdated"], str)


def test_nothing_new_is_204(phone: Phone):
    phone.register()
    assert 204 == phone.changed(phone.changed().get_json()["lastUpdated"]).status_code


def test_an_unknown_device_is_204(phone: Phone):
    assert (204, b"") == ((answer := phone.changed()).status_code, answer.data)


@pytest.mark.parametrize("tag", ["", "nonsense", "-1", "99999999999999999999999", "999999", "۱۲"])
def test_a_tag_that_we_never_gave_gets_everything(phone: Phone, tag: str):
    phone.register()
    assert [phone.serial] == phone.changed(tag).get_json()["serialNumbers"]


def test_two_changes_within_one_second_are_both_seen(
    ctx: Context, shop: Shop, member: MemberView, phone: Phone, at: Callable[[datetime], None]
):
    at(datetime(2027, 1, 1, 12, 0, 0, 100_000, tzinfo=UTC))
    phone.register()
    seen, tags = phone.get().headers["Last-Modified"], [phone.changed().get_json()["lastUpdated"]]
    for _ in range(2):
        till.give_stamps(ctx, shop.cashier, member.card_code)
        tags.append(phone.changed(tags[-1]).get_json()["lastUpdated"])
        answer = phone.get(since=seen)
        assert 200 == answer.status_code
        assert parsedate_to_datetime(seen) < parsedate_to_datetime(answer.headers["Last-Modified"])
        seen = answer.headers["Last-Modified"]
    assert tags == sorted(set(tags), key=int)
    assert 304 == phone.get(since=seen).status_code


def test_a_clock_that_jumps_back_hides_no_change(
    ctx: Context, shop: Shop, member: MemberView, phone: Phone, at: Callable[[datetime], None]
):
    at(datetime(2027, 1, 1, 12, tzinfo=UTC))
    till.give_stamps(ctx, shop.cashier, member.card_code)
    seen = phone.get().headers["Last-Modified"]
    at(datetime(2027, 1, 1, 11, tzinfo=UTC))
    till.give_stamps(ctx, shop.cashier, member.card_code)
    assert 200 == phone.get(since=seen).status_code


def test_head_answers_like_get_without_the_pass(phone: Phone):
    get, head = phone.get(), phone.get("HEAD")
    assert (200, b"") == (head.status_code, head.data)
    assert get.headers["Last-Modified"] == head.headers["Last-Modified"]
    assert "application/vnd.apple.pkpass" == head.content_type
    assert 304 == phone.get("HEAD", since=get.headers["Last-Modified"]).status_code


def test_a_date_in_the_future_or_none_at_all_gets_an_answer(phone: Phone):
    future = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    assert 304 == phone.get(since=future).status_code
    assert 200 == phone.get(since="not a date").status_code


def test_the_same_state_is_signed_once(phone: Phone):
    assert phone.get().data == phone.get().data


def test_a_card_is_unregistered_once_and_for_all(ctx: Context, phone: Phone):
    phone.register()
    assert [200, 200] == [phone.unregister().status_code for _ in range(2)]
    assert 204 == phone.changed().status_code
    assert (0, 0) == (count(ctx, AppleDevice), count(ctx, AppleRegistration))


def test_installs_and_removals_are_counted_once(ctx: Context, phone: Phone):
    for call in (phone.register, phone.register, phone.unregister, phone.unregister):
        call()
    with ctx.sessions() as session:
        assert [True, False] == list(session.scalars(select(InstallEvent.added).order_by(InstallEvent.id)))


def test_a_card_keeps_its_newest_phones(client: FlaskClient, ctx: Context, member: MemberView):
    for number in range(apple_devices.MOST_DEVICES + 5):
        assert 201 == Phone(client, ctx, member, f"device-{number:03}").register(f"{number:064x}").status_code
    with ctx.sessions() as session:
        kept = session.scalars(select(AppleDevice.library_identifier).order_by(AppleDevice.library_identifier)).all()
    assert [f"device-{number:03}" for number in range(5, apple_devices.MOST_DEVICES + 5)] == list(kept)


def test_a_phone_that_moves_between_cards_hears_of_each(client: FlaskClient, ctx: Context, shop: Shop):
    alice, bob = shop.member(1), shop.member(2)
    first, second = Phone(client, ctx, alice), Phone(client, ctx, bob)
    first.register()
    second.register()
    tag = first.changed().get_json()["lastUpdated"]
    till.give_stamps(ctx, shop.cashier, bob.card_code)
    assert [second.serial] == first.changed(tag).get_json()["serialNumbers"]
    first.unregister()
    assert [second.serial] == first.changed().get_json()["serialNumbers"]


def test_leaving_voids_the_card(client: FlaskClient, ctx: Context, shop: Shop, member: MemberView, phone: Phone):
    phone.register()
    tag = phone.changed().get_json()["lastUpdated"]
    members.set_status(ctx, shop.owner, member.id, MemberStatus.LEFT)
    assert [phone.serial] == phone.changed(tag).get_json()["serialNumbers"]
    assert shown(phone)["voided"] is True


def test_a_blocked_card_says_so(ctx: Context, shop: Shop, member: MemberView, phone: Phone):
    members.set_status(ctx, shop.owner, member.id, MemberStatus.BLOCKED)
    assert "Blocked. Please ask the staff." in str(shown(phone)["storeCard"])


def test_what_lapsed_is_not_on_the_card_that_a_phone_gets(
    ctx: Context, shop: Shop, phone: Phone, member: MemberView, at: Callable[[datetime], None]
):
    shop.change_program(stamp_valid_days="1")
    at(datetime(2027, 1, 1, 12, tzinfo=UTC))
    till.give_stamps(ctx, shop.cashier, member.card_code)
    assert "1 of 10" == shown(phone)["storeCard"]["headerFields"][0]["value"]
    at(datetime(2027, 1, 5, 12, tzinfo=UTC))
    assert "0 of 10" == shown(phone)["storeCard"]["headerFields"][0]["value"]


def test_what_phones_complain_of_is_taken_and_cut_short(client: FlaskClient):
    assert 200 == client.post("/apple/v1/log", json={"logs": ["something went wrong " * 500]}).status_code
    assert 200 == client.post("/apple/v1/log", data=b"nonsense").status_code
    assert 413 == client.post("/apple/v1/log", data=b"x" * 100_000).status_code


def shown(phone: Phone) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(zipfile.ZipFile(BytesIO(phone.get().data)).read("pass.json"))
    return found
