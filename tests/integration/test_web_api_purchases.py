"""The purchase calls: what till software can rely on, over HTTP and a real database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.db.purchases import Purchase
from app.services import till as till_service
from tests.factories import Shop, open_shop
from tests.integration.api_till import Till, refusal

LINE = {"name": "Tea"}
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def till(app: Flask, shop: Shop) -> Till:
    return Till(app, shop.api_key, shop.ctx.settings.base_url)


def kept(shop: Shop) -> int:
    with shop.ctx.sessions() as session:
        return session.scalar(select(func.count()).select_from(Purchase)) or 0


def test_a_purchase_is_made_read_and_undone(till: Till, shop: Shop) -> None:
    member = shop.member()
    lines = [
        {"name": "Flat white", "product": "17", "quantity": 2, "amount_minor": 900},
        {"name": "-", "quantity": "0.35"},
    ]

    made = till.purchase(
        amount_minor=900, phone=member.phone, receipt_no="R1", lines=lines, location="Kulma", currency="EUR"
    )

    assert (201, 1, None, 1) == (made.status_code, *(made.json[name] for name in ("given", "no_stamp", "stamps")))
    read = till.show_purchase(made.json["purchase_id"])
    assert f"/api/v1/purchases/{read.json['id']}" == made.headers["Location"]
    assert (str(member.id), 900, "EUR", "R1", "Kulma", made.json["entry_id"], None) == tuple(
        read.json[name]
        for name in ("member_id", "amount_minor", "currency", "receipt_no", "location", "entry_id", "undone_at")
    )
    assert [("Flat white", "17", "2", 900), ("-", None, "0.35", None)] == [
        (line["name"], line["product"], line["quantity"], line["amount_minor"]) for line in read.json["lines"]
    ]
    undone = till.undo_purchase(made.json["purchase_id"], key="a")
    assert (200, 0) == (undone.status_code, undone.json["stamps"])
    assert undone.data == till.undo_purchase(made.json["purchase_id"], key="a").data
    assert (409, "already-undone") == refusal(till.undo_purchase(made.json["purchase_id"]))
    assert till.show_purchase(made.json["purchase_id"]).json["undone_at"]


def test_a_repeat_is_200_with_the_first_answer(till: Till, shop: Shop) -> None:
    first = till.purchase(key="a", amount_minor=500, phone=shop.member().phone)

    again = till.purchase(key="a", amount_minor=500, phone="+358401230000")

    assert (201, None) == (first.status_code, first.headers.get("Idempotency-Replayed"))
    assert (200, "true") == (again.status_code, again.headers.get("Idempotency-Replayed"))
    assert (first.data, first.headers["Location"]) == (again.data, again.headers["Location"])
    assert (409, "idempotency-key-reused") == refusal(till.purchase(key="a", amount_minor=501))
    assert 1 == kept(shop)


def test_eight_threads_with_one_key_make_one_purchase(app: Flask, till: Till, shop: Shop) -> None:
    phone = shop.member().phone

    def post(_: int) -> TestResponse:
        return Till(app, shop.api_key, shop.ctx.settings.base_url).purchase(key="one", amount_minor=1, phone=phone)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))

    assert [200] * 7 + [201] == sorted(answer.status_code for answer in answers)
    assert (1, 1) == (len({answer.data for answer in answers}), kept(shop))


def test_a_purchase_waits_for_who_is_no_member_yet(till: Till) -> None:
    made = till.purchase(amount_minor=500, phone="040 123 4567")

    assert (201, True, "waiting", None) == (
        made.status_code,
        *(made.json[name] for name in ("waiting", "no_stamp", "stamps")),
    )
    assert True is till.show_purchase(made.json["purchase_id"]).json["waiting"]
    assert 1 == till.join(phone="0401234567").json["stamps"]
    read = till.show_purchase(made.json["purchase_id"]).json
    assert (False, True) == (read["waiting"], read["entry_id"] is not None)


def test_a_purchase_of_nobody_is_kept_and_undone(till: Till) -> None:
    made = till.purchase(amount_minor=0)

    assert (201, "no-member", None) == (made.status_code, made.json["no_stamp"], made.json["member_id"])
    undone = till.undo_purchase(made.json["purchase_id"]).json
    assert (None, None) == (undone["member_id"], undone["entry_id"])


def test_stamps_given_without_a_sum_are_read_as_a_purchase_too(till: Till, shop: Shop) -> None:
    till_service.give_stamps(shop.ctx, shop.cashier, shop.member().card_code)
    with shop.ctx.sessions() as session:
        [purchase_id] = session.scalars(select(Purchase.id))

    read = till.show_purchase(purchase_id).json
    assert (None, []) == (read["amount_minor"], read["lines"])


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["amount_minor"]),
        ({"amount_minor": -1}, ["amount_minor"]),
        ({"amount_minor": 10**12 + 1}, ["amount_minor"]),
        ({"amount_minor": 12.5}, ["amount_minor"]),
        ({"amount_minor": "1250"}, ["amount_minor"]),
        ({"amount_minor": 1, "phone": "0401234567", "card": "7K3M9QX2V8T4HJ5N"}, ["$"]),
        ({"amount_minor": 1, "phone": "12"}, ["phone"]),
        ({"amount_minor": 1, "card": ""}, ["card"]),
        ({"amount_minor": 1, "member_id": "7"}, ["member_id"]),
        ({"amount_minor": 1, "member_id": 7}, ["member_id"]),
        ({"amount_minor": 1, "currency": "USD"}, ["currency"]),
        ({"amount_minor": 1, "currency": "€"}, ["currency"]),
        ({"amount_minor": 1, "at": "2027-01-31T15:04:05"}, ["at"]),
        ({"amount_minor": 1, "at": "yesterday"}, ["at"]),
        ({"amount_minor": 1, "at": True}, ["at"]),
        ({"amount_minor": 1, "at": "2001-01-31T15:04:05Z"}, ["at"]),
        ({"amount_minor": 1, "at": "2999-01-31T15:04:05+02:00"}, ["at"]),
        ({"amount_minor": 1, "at": "0001-01-01T00:00:00+14:00"}, ["at"]),
        ({"amount_minor": 1, "lines": {}}, ["lines"]),
        ({"amount_minor": 1, "lines": [LINE] * 201}, ["lines"]),
        ({"amount_minor": 1, "lines": ["Tea"]}, ["lines.0"]),
        ({"amount_minor": 1, "lines": [LINE, {}]}, ["lines.1.name"]),
        ({"amount_minor": 1, "lines": [{"name": ""}]}, ["lines.0.name"]),
        ({"amount_minor": 1, "lines": [{"name": "x" * 121}]}, ["lines.0.name"]),
        ({"amount_minor": 1, "lines": [LINE | {"product": "x" * 61}]}, ["lines.0.product"]),
        ({"amount_minor": 1, "lines": [LINE | {"quantity": 0.35}]}, ["lines.0.quantity"]),
        ({"amount_minor": 1, "lines": [LINE | {"quantity": "1,5"}]}, ["lines.0.quantity"]),
        ({"amount_minor": 1, "lines": [LINE | {"quantity": True}]}, ["lines.0.quantity"]),
        ({"amount_minor": 1, "lines": [LINE | {"quantity": 10**10}]}, ["lines.0.quantity"]),
        ({"amount_minor": 1, "lines": [LINE | {"amount_minor": 10**12 + 1}]}, ["lines.0.amount_minor"]),
        ({"amount_minor": 1, "lines": [LINE | {"price": 1}]}, ["lines.0.price"]),
        ({"amount_minor": 1, "receipt_no": "x" * 61}, ["receipt_no"]),
        ({"amount_minor": 1, "receiptno": "x"}, ["receiptno"]),
        ([], ["$"]),
    ],
)
def test_each_wrong_field_is_named_with_what_to_do(till: Till, shop: Shop, body: object, wrong: list[str]) -> None:
    answer = till.call("POST", "/api/v1/purchases", json=body, headers={"Idempotency-Key": "a"})

    assert (422, "invalid-fields") == refusal(answer)
    assert wrong == list(answer.json["errors"])
    assert 0 == kept(shop)


def test_two_hundred_lines_fit(till: Till) -> None:
    line = {"name": "Суп дня с хлебом и сметаной", "product": "1017", "quantity": "1", "amount_minor": 900}
    made = till.purchase(amount_minor=1, lines=[line] * 200)

    assert (201, 200) == (made.status_code, len(till.show_purchase(made.json["purchase_id"]).json["lines"]))


def test_a_tills_clock_that_runs_a_little_ahead_is_forgiven(till: Till, at: Any) -> None:
    at(NOON)
    made = till.purchase(amount_minor=1, at="2027-03-01T14:05:00+02:00")
    late = till.purchase(amount_minor=1, at="2027-03-01T14:05:01+02:00")

    read = till.show_purchase(made.json["purchase_id"]).json
    assert (NOON, NOON) == (datetime.fromisoformat(read["at"]), datetime.fromisoformat(read["recorded_at"]))
    assert "2027-03-01T12:00:00+00:00" in late.json["errors"]["at"]
    assert 201 == till.purchase(amount_minor=1, at=(NOON - timedelta(days=30)).isoformat()).status_code


def test_a_purchase_needs_its_idempotency_key(till: Till) -> None:
    for path, template in (("", ""), (f"/{uuid4()}/undo", "/api/v1/purchases/{id}/undo")):
        answer = till.call("POST", f"/api/v1/purchases{path}", template, json={"amount_minor": 1} if not path else {})
        assert (400, "idempotency-key-missing") == refusal(answer)


def test_a_till_sees_no_purchase_and_no_member_of_another_programme(app: Flask, till: Till, shop: Shop) -> None:
    other = open_shop(shop.ctx, "muualla")
    elsewhere = Till(app, other.api_key, shop.ctx.settings.base_url)
    member = shop.member()
    made = till.purchase(amount_minor=1, phone=member.phone).json

    assert (404, "purchase-not-found") == refusal(elsewhere.show_purchase(made["purchase_id"]))
    assert (404, "purchase-not-found") == refusal(elsewhere.undo_purchase(made["purchase_id"]))
    assert (404, "member-not-found") == refusal(elsewhere.purchase(amount_minor=1, member_id=made["member_id"]))
    assert (404, "member-not-found") == refusal(elsewhere.purchase(amount_minor=1, card=member.card_code))
    assert (404, "location-not-found") == refusal(elsewhere.purchase(amount_minor=1, location=str(shop.location.id)))
    assert (404, "not-found") == refusal(till.show_purchase("7"))


def test_what_a_card_reader_read_must_be_a_card(till: Till) -> None:
    assert (422, "unreadable-code") == refusal(till.purchase(amount_minor=1, card="?"))
