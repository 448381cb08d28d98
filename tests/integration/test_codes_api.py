"""Credit codes over the API: as a till's software uses them."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.services.context import Context
from tests.factories import Shop
from tests.integration.code_shop import Coupon, drawn, give, give_group


@pytest.fixture
def coupon(ctx: Context, shop: Shop) -> Coupon:
    return give(ctx, shop, shop.member(4567, name="Maija").id)


def post(client: FlaskClient, shop: Shop, path: str, body: dict[str, Any], **headers: str) -> TestResponse:
    sent = {"Authorization": f"Bearer {shop.api_key}"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return client.post(f"/api/v1/codes/{path}", json=body, headers=sent)


def kind(answer: TestResponse) -> str:
    return str(answer.json["type"]).rpartition("/")[2]  # type: ignore[index]


def test_a_code_is_checked_redeemed_and_its_use_undone(client: FlaskClient, shop: Shop, coupon: Coupon) -> None:
    checked = post(client, shop, "check", {"code": coupon.code}).json
    assert (1000, "Maija", False) == (checked["balance_minor"], checked["holder"], checked["needs_phone_digits"])

    bill = {"code": coupon.code, "amount_minor": 400, "receipt_no": "R 1", "location": "Kulma", "phone_last4": "4567"}
    used = post(client, shop, "redeem", bill, Idempotency_Key="one")
    assert (200, 400, 600) == (used.status_code, used.json["redeemed_minor"], used.json["left_minor"])
    again = post(client, shop, "redeem", bill, Idempotency_Key="one")
    assert (used.json, "true") == (again.json, again.headers["Idempotency-Replayed"])
    other = post(client, shop, "redeem", bill | {"amount_minor": 401}, Idempotency_Key="one")
    assert (409, "idempotency-key-reused") == (other.status_code, kind(other))
    assert 600 == post(client, shop, "check", {"code": coupon.code}).json["balance_minor"]


@pytest.mark.parametrize("typed", ["۰۰۰۰۰۴۲", "000 00 42", "0000042"])
def test_digits_of_any_script_are_read(ctx: Context, client: FlaskClient, shop: Shop, typed: str) -> None:
    give_group(ctx, shop, 1, draw_one=drawn(["0000042"]))

    found = post(client, shop, "check", {"code": typed}).json
    assert ("Virtanen Ltd", None) == (found["holder"], found["member_id"])


@pytest.mark.parametrize("body", [{"code": "42"}, {"code": 482135}, {}, {"code": "0000042", "surprise": 1}])
def test_a_body_that_is_no_code_is_mended_and_is_no_try(client: FlaskClient, shop: Shop, body: dict[str, Any]) -> None:
    for _ in range(6):
        answer = post(client, shop, "check", body)
        assert (422, "invalid-fields") == (answer.status_code, kind(answer))


def test_a_paused_key_is_told_for_how_long(client: FlaskClient, shop: Shop, coupon: Coupon) -> None:
    answers = [post(client, shop, "check", {"code": "9090909"}) for _ in range(6)]

    assert ["code-not-valid"] * 5 + ["codes-paused"] == [kind(answer) for answer in answers]
    assert [404] * 5 + [429] == [answer.status_code for answer in answers]
    assert "60" == answers[-1].headers["Retry-After"]


def test_phone_digits_are_asked_for_when_many_codes_are_active(
    ctx: Context, client: FlaskClient, shop: Shop, coupon: Coupon
) -> None:
    give_group(ctx, shop, 100)

    asked = post(client, shop, "check", {"code": coupon.code})
    assert (422, "phone-digits-needed") == (asked.status_code, kind(asked))
    assert "invalid-phone-digits" == kind(post(client, shop, "check", {"code": coupon.code, "phone_last4": "45"}))
    assert post(client, shop, "check", {"code": coupon.code, "phone_last4": "۴۵۶۷"}).json["needs_phone_digits"]


def test_redeeming_needs_a_key_for_repeats_and_a_bill(client: FlaskClient, shop: Shop, coupon: Coupon) -> None:
    assert "idempotency-key-missing" == kind(post(client, shop, "redeem", {"code": coupon.code, "amount_minor": 1}))
    nothing = post(client, shop, "redeem", {"code": coupon.code, "amount_minor": 0}, Idempotency_Key="k")
    assert ["amount_minor"] == list(nothing.json["errors"])


def test_only_keys_may_try(client: FlaskClient, coupon: Coupon) -> None:
    assert 401 == client.post("/api/v1/codes/check", json={"code": coupon.code}).status_code
