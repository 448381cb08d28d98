"""The API for tills: what each call promises, over HTTP and a real database. Every answer is held to the document."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import sessionmaker
from werkzeug.test import TestResponse

from app import logs
from app.db.engine import make_engine
from app.db.ledger import LedgerEntry
from app.db.people import Consent, Member, MemberStatus
from app.services import api_keys, limits, members, programs, sms_rules
from app.services.context import Context
from app.web.api.problems import KINDS
from app.web.factory import create_app
from tests.factories import Shop, open_shop
from tests.integration.api_till import Till, kind_of, refusal


@pytest.fixture
def till(app: Flask, shop: Shop) -> Till:
    return Till(app, shop.api_key, shop.ctx.settings.base_url)


@pytest.fixture
def elsewhere(app: Flask, shop: Shop) -> Till:
    """A till of another programme in the same installation."""
    other = open_shop(shop.ctx, "muualla", name="Muualla")
    return Till(app, other.api_key, shop.ctx.settings.base_url)


def count(ctx: Context, what: type) -> int:
    with ctx.sessions() as session:
        return session.scalar(select(func.count()).select_from(what)) or 0


# Keys


def test_a_call_without_a_valid_key_is_refused_and_told_how_to_send_one(app: Flask, till: Till) -> None:
    for header in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Basic {till.key}"}):
        answer = app.test_client().get("/api/v1/program", headers=header)

        assert (401, "unauthorized") == refusal(answer)
        assert "Bearer" == answer.headers["WWW-Authenticate"]


def test_an_ended_key_opens_nothing_from_that_moment(till: Till, shop: Shop) -> None:
    assert 200 == till.call("GET", "/api/v1/program").status_code
    assert shop.api.api_key_id
    api_keys.revoke(shop.ctx, shop.owner, shop.api.api_key_id)

    answer = till.call("GET", "/api/v1/program")

    assert (401, "unauthorized") == refusal(answer)
    assert "Bearer" == answer.headers["WWW-Authenticate"]


def test_a_key_that_calls_too_often_is_told_when_to_come_back(till: Till, shop: Shop) -> None:
    shop.ctx.limiter.hit(limits.API, "api", str(shop.api.api_key_id), cost=limits.API.amount)

    answer = till.call("GET", "/api/v1/program")

    assert (429, "too-many-tries") == refusal(answer)
    assert "60" == answer.headers["Retry-After"]


def test_a_till_can_set_itself_up_from_its_key(till: Till, shop: Shop) -> None:
    answer = till.call("GET", "/api/v1/program")

    assert "Kulma Club" == answer.json["name"]
    assert ("EUR", 10) == (answer.json["currency"], answer.json["stamps_needed"])
    assert [{"id": str(shop.location.id), "name": "Kulma"}] == answer.json["locations"]


# Members


def test_a_newcomer_gets_a_card_and_a_link_to_it(app: Flask, till: Till, shop: Shop) -> None:
    answer = till.join(phone="040 123 4567", name="Maija", birth_date="1990-02-28", via="Till 2")

    assert 201 == answer.status_code
    assert ("+358401234567", "Maija", "1990-02-28") == tuple(answer.json[k] for k in ("phone", "name", "birth_date"))
    assert ("active", 0, 10, [], "till-2") == tuple(
        answer.json[k] for k in ("status", "stamps", "stamps_needed", "rewards", "via")
    )
    token = answer.json["card_url"].removeprefix(f"{shop.ctx.settings.base_url}/c/")
    assert answer.json["card_code"] == members.by_link(shop.ctx, token).card_code
    seen = till.call("GET", answer.headers["Location"], "/api/v1/members/{card_code}").json
    assert answer.json | {"proof": seen["proof"]} == seen


@pytest.mark.parametrize(
    "phone",
    [
        "+358401234567",
        "00358401234567",
        "040-123 4567",
        "(040) 1234567",
        "٠٤٠١٢٣٤٥٦٧",
        "۰۴۰۱۲۳۴۵۶۷",
        "+۳۵۸ ۴۰ ۱۲۳ ۴۵۶۷",
    ],
)
def test_a_known_number_in_any_form_is_the_same_member(till: Till, phone: str) -> None:
    first = till.join(phone="0401234567", name="Maija")

    again = till.join(phone=phone, name="Somebody else")

    assert 200 == again.status_code
    assert first.json | {"card_code": None, "card_url": None, "answers": None} == again.json
    assert 1 == till.stamps(phone=phone).json["stamps"]


@pytest.mark.parametrize("phone", ["", "12", "hello", "09 123 456", "+358", "\u202e", "1" * 60, "040\x00"])
def test_a_number_that_gets_no_texts_is_refused_beside_its_field(till: Till, phone: str) -> None:
    answer = till.join(phone=phone)

    assert (422, "invalid-fields") == refusal(answer)
    assert ["phone"] == list(answer.json["errors"])


@pytest.mark.parametrize("name", ["مریم احمدی", "Мария 🎂", "O'Hara-Öberg", "می\u200cخواهم", "李小龍"])
def test_a_name_in_any_script_comes_back_as_it_was_sent(till: Till, name: str) -> None:
    made = till.join(phone="0401234567", name=name, city=name)

    assert (name, name) == (made.json["name"], made.json["city"])
    assert name == till.member(made.json["card_code"]).json["name"]


def test_consent_is_kept_with_its_wording_and_a_bare_true_is_refused(till: Till, shop: Shop) -> None:
    bare = till.join(phone="0401234567", consents={"sms_marketing": True})
    made = till.join(phone="0401234567", consents={"sms_marketing": "Kulma may text me.", "email_marketing": None})

    assert (422, ["consents.sms_marketing"]) == (bare.status_code, list(bare.json["errors"]))
    assert 201 == made.status_code
    with shop.ctx.sessions() as session:
        row = session.scalars(select(Consent)).one()
        assert ("sms_marketing", True, "api", "Kulma may text me.") == (
            row.purpose,
            row.granted,
            row.source,
            row.wording,
        )


def test_eight_tills_joining_one_number_make_one_member(app: Flask, till: Till, shop: Shop) -> None:
    def join(_: int) -> TestResponse:
        return Till(app, shop.api_key, shop.ctx.settings.base_url).join(phone="0401234567")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(join, range(8)))

    assert [200] * 7 + [201] == sorted(answer.status_code for answer in answers)
    assert 1 == len({answer.json["id"] for answer in answers}) == count(shop.ctx, Member)


def test_a_typed_card_code_is_forgiven_its_look_alikes_and_missed_clearly(till: Till) -> None:
    code = till.join(phone="0401234567").json["card_code"]
    typed = "-".join(code[i : i + 4] for i in range(0, 16, 4)).lower().replace("0", "o").replace("1", "l")
    other = ("0" if code[0] != "0" else "2") + code[1:]

    assert code == till.member(typed).json["card_code"]
    assert (404, "member-not-found") == refusal(till.member(other))
    assert (422, "unreadable-code") == refusal(till.member("nonsense"))
    assert (422, "unreadable-code") == refusal(till.member("+358401234567"))


def test_a_blocked_member_is_shown_but_gets_no_stamps(till: Till, shop: Shop) -> None:
    member = shop.member()
    members.set_status(shop.ctx, shop.owner, member.id, MemberStatus.BLOCKED)

    assert "blocked" == till.member(member.card_code).json["status"]
    assert (403, "member-blocked") == refusal(till.stamps(card_code=member.card_code))
    assert (403, "member-blocked") == refusal(till.join(phone=member.phone))


def test_who_left_gets_no_stamps_until_joining_again(till: Till, shop: Shop) -> None:
    member = shop.member()
    till.stamps(card_code=member.card_code, count=3)
    members.set_status(shop.ctx, shop.owner, member.id, MemberStatus.LEFT)

    assert (403, "member-left") == refusal(till.stamps(card_code=member.card_code))
    again = till.join(phone=member.phone)
    assert (200, "active", 3) == (again.status_code, again.json["status"], again.json["stamps"])


# Stamps


def test_the_full_card_gives_its_reward_at_once(till: Till, shop: Shop) -> None:
    member = shop.member()
    till.stamps(card_code=member.card_code, count=9)

    answer = till.stamps(card_code=member.card_code, count=2, amount_minor=1250, receipt_no="2026-17", location="Kulma")

    assert 200 == answer.status_code
    assert (2, 1, 10, 1) == tuple(answer.json[k] for k in ("given", "stamps", "stamps_needed", "rewards"))
    assert ["Free coffee"] == [reward["name"] for reward in answer.json["issued"]]
    assert answer.json["issued"] == till.member(member.card_code).json["rewards"]


def test_a_location_is_named_by_id_or_by_its_exact_name(till: Till, shop: Shop) -> None:
    code = shop.member().card_code

    for place in (str(shop.location.id), str(shop.location.id).upper(), "Kulma"):
        assert 200 == till.stamps(card_code=code, location=place).status_code
    for place in ("kulma", "Muualla", str(uuid4())):
        assert (404, "location-not-found") == refusal(till.stamps(card_code=code, location=place))
    with shop.ctx.sessions() as session:
        assert {shop.location.id} == set(session.scalars(select(LedgerEntry.location_id)))


def test_a_closed_location_takes_no_stamps(till: Till, shop: Shop) -> None:
    programs.save_location(shop.ctx, shop.owner, {"name": "Kulma", "active": ""}, shop.location.id)

    assert (404, "location-not-found") == refusal(till.stamps(card_code=shop.member().card_code, location="Kulma"))
    assert [] == till.call("GET", "/api/v1/program").json["locations"]


def test_a_sixteen_digit_phone_number_is_not_taken_for_a_card(till: Till, shop: Shop) -> None:
    sms_rules.save(
        shop.ctx, shop.owner, sms_rules.as_typed(sms_rules.get(shop.ctx, shop.program.id)) | {"country_AT": "on"}
    )
    phone = "0043664123456789"  # Austria: 00, 43, and twelve digits more
    joined = till.join(phone=phone).json["id"]

    assert joined == till.stamps(phone=phone).json["member_id"]


def test_a_stamp_below_the_smallest_purchase_says_how_much_is_needed(till: Till, shop: Shop) -> None:
    shop.change_program(smallest_purchase="3,50")
    code = shop.member().card_code

    assert (422, "amount-needed") == refusal(till.stamps(card_code=code))
    below = till.stamps(card_code=code, amount_minor=349)
    assert (422, "purchase-too-small") == refusal(below)
    assert "€3.50" in below.json["detail"]
    assert 1 == till.stamps(card_code=code, amount_minor=350).json["stamps"]


def test_stamps_before_the_start_date_are_refused(till: Till, shop: Shop) -> None:
    shop.change_program(starts_on="2999-01-01")

    assert (409, "not-started") == refusal(till.stamps(card_code=shop.member().card_code))


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["$"]),
        ({"card_code": "7K3M9QX2V8T4HJ5N", "phone": "0401234567"}, ["$"]),
        ({"card_code": "7K3M"}, ["card_code"]),
        ({"phone": "12"}, ["phone"]),
        ({"phone": "0401234567", "count": 0}, ["count"]),
        ({"phone": "0401234567", "count": 21}, ["count"]),
        ({"phone": "0401234567", "count": "1"}, ["count"]),
        ({"phone": "0401234567", "count": 1.5}, ["count"]),
        ({"phone": "0401234567", "count": True}, ["count"]),
        ({"phone": "0401234567", "amount_minor": -1}, ["amount_minor"]),
        ({"phone": "0401234567", "amount_minor": 10**12 + 1}, ["amount_minor"]),
        ({"phone": "0401234567", "amount_minor": 10**400}, ["amount_minor"]),
        ({"phone": "0401234567", "receipt_no": "x" * 61}, ["receipt_no"]),
        ({"phone": "0401234567", "ammount_minor": 1}, ["ammount_minor"]),
        ({"phone": "0401234567", "location": ""}, ["location"]),
        ([], ["$"]),
        ("text", ["$"]),
    ],
)
def test_each_wrong_field_is_named_with_what_to_do(till: Till, shop: Shop, body: object, wrong: list[str]) -> None:
    shop.member()

    answer = till.call("POST", "/api/v1/stamps", json=body, headers={"Idempotency-Key": "a"})

    assert (422, "invalid-fields") == refusal(answer)
    assert wrong == list(answer.json["errors"])
    assert 0 == count(shop.ctx, LedgerEntry)


def test_the_detail_is_in_the_language_of_accept_language(till: Till, shop: Shop) -> None:
    shop.change_program(smallest_purchase="3,50")
    body = {"card_code": shop.member().card_code, "amount_minor": 1}
    headers = {"Idempotency-Key": "a", "Accept-Language": "fa-IR,fa;q=0.9,en;q=0.8"}

    answer = till.call("POST", "/api/v1/stamps", json=body, headers=headers)

    assert "purchase-too-small" == kind_of(answer)
    assert "۳" in answer.json["detail"]


# Once


def test_the_same_key_and_body_get_the_saved_answer(till: Till, shop: Shop) -> None:
    member = shop.member()
    first = till.stamps(key="till-1:17", card_code=member.card_code, count=10)
    till.stamps(card_code=member.card_code)

    again = till.stamps(key="till-1:17", card_code=member.card_code, count=10)

    assert first.data == again.data
    assert (None, "true") == (
        first.headers.get("Idempotency-Replayed"),
        again.headers.get("Idempotency-Replayed"),
    )
    assert 1 == till.member(member.card_code).json["stamps"]


def test_the_same_key_with_another_body_or_call_is_a_conflict(till: Till, shop: Shop) -> None:
    member = shop.member()
    entry = till.stamps(key="a", card_code=member.card_code).json["entry_id"]

    assert (409, "idempotency-key-reused") == refusal(till.stamps(key="a", card_code=member.card_code, count=2))
    assert (409, "idempotency-key-reused") == refusal(till.undo(entry, key="a"))
    assert 1 == till.member(member.card_code).json["stamps"]


def test_a_refused_call_leaves_its_key_unused(till: Till, shop: Shop) -> None:
    member = shop.member()
    shop.change_program(smallest_purchase="3,50")
    till.stamps(key="a", card_code=member.card_code, amount_minor=1)

    assert 200 == till.stamps(key="a", card_code=member.card_code, amount_minor=400).status_code


def test_two_keys_of_one_programme_do_not_share_idempotency_keys(app: Flask, till: Till, shop: Shop) -> None:
    _, secret = api_keys.create(shop.ctx, shop.owner, {"name": "Till 2"})
    member = shop.member()
    till.stamps(key="a", card_code=member.card_code)

    other = Till(app, secret, shop.ctx.settings.base_url).stamps(key="a", card_code=member.card_code)

    assert (200, 2) == (other.status_code, other.json["stamps"])


def test_eight_threads_with_one_key_give_one_stamp_and_one_answer(app: Flask, till: Till, shop: Shop) -> None:
    code = shop.member().card_code

    def stamp(_: int) -> TestResponse:
        return Till(app, shop.api_key, shop.ctx.settings.base_url).stamps(key="one", card_code=code)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(stamp, range(8)))

    assert [200] * 8 == [answer.status_code for answer in answers]
    assert 1 == len({answer.data for answer in answers})
    assert 7 == sum(answer.headers.get("Idempotency-Replayed") == "true" for answer in answers)
    assert 1 == count(shop.ctx, LedgerEntry)


@pytest.mark.parametrize("template", ["/api/v1/stamps", "/api/v1/rewards/{id}/redeem", "/api/v1/entries/{id}/undo"])
def test_what_changes_a_balance_needs_an_idempotency_key(till: Till, template: str) -> None:
    path = template.format(id=uuid4())
    body = {"phone": "0401234567"} if "{id}" not in template else {}

    def send(key: str | None) -> TestResponse:
        headers = {} if key is None else {"Idempotency-Key": key}
        return till.call("POST", path, template, json=body, headers=headers)

    assert (400, "idempotency-key-missing") == refusal(send(None))
    assert (400, "idempotency-key-missing") == refusal(send(""))
    for key in ("x" * 81, "two words", "clé"):
        assert (400, "invalid-idempotency-key") == refusal(send(key))
    assert 404 == send("x" * 80).status_code


# Rewards and undo


def test_a_reward_is_used_once(till: Till, shop: Shop) -> None:
    code = shop.member().card_code
    reward = till.stamps(card_code=code, count=10).json["issued"][0]["id"]
    sent = {"location": "Kulma", "proof": till.member(code).json["proof"]}

    used = till.redeem(reward, key="a", json=sent)

    assert (200, reward, 0) == (used.status_code, used.json["redeemed"], used.json["rewards"])
    assert used.data == till.redeem(reward, key="a", json=sent).data
    assert (409, "reward-used") == refusal(till.redeem(reward, json=sent))
    assert [] == till.member(code).json["rewards"]


def test_a_reward_past_its_last_day_is_refused(till: Till, shop: Shop, at: Any) -> None:
    shop.change_program(reward_valid_days="7")
    code = shop.member().card_code
    reward = till.stamps(card_code=code, count=10).json["issued"][0]
    at(datetime(2099, 1, 1, tzinfo=UTC))

    assert (409, "reward-expired") == refusal(till.redeem(reward["id"], json={"card_code": code}))


def test_undo_takes_back_the_stamps_and_the_reward_they_gave(till: Till, shop: Shop) -> None:
    code = shop.member().card_code
    stamped = till.stamps(card_code=code, count=10).json

    undone = till.undo(stamped["entry_id"], key="a")

    assert (200, 0, 0) == (undone.status_code, undone.json["stamps"], undone.json["rewards"])
    assert undone.data == till.undo(stamped["entry_id"], key="a").data
    assert (409, "already-undone") == refusal(till.undo(stamped["entry_id"]))
    assert (409, "reward-withdrawn") == refusal(till.redeem(stamped["issued"][0]["id"], json={"card_code": code}))


def test_a_used_reward_is_open_again_after_undo(till: Till, shop: Shop) -> None:
    code = shop.member().card_code
    stamped = till.stamps(card_code=code, count=10).json
    used = till.redeem(stamped["issued"][0]["id"], json={"card_code": code}).json

    assert (409, "reward-used") == refusal(till.undo(stamped["entry_id"]))
    assert 1 == till.undo(used["entry_id"]).json["rewards"]
    assert stamped["issued"] == till.member(code).json["rewards"]


def test_stamps_that_went_into_a_later_reward_cannot_be_undone(till: Till, shop: Shop) -> None:
    code = shop.member().card_code
    first = till.stamps(card_code=code, count=5).json
    till.stamps(card_code=code, count=5)

    assert (409, "stamps-used") == refusal(till.undo(first["entry_id"]))


def test_an_unknown_field_in_any_body_is_refused_by_name(till: Till) -> None:
    for answer in (
        till.join(phone="0401234567", surname="x"),
        till.redeem(uuid4(), json={"amount": 1}),
        till.undo(uuid4(), json={"why": "x"}),
    ):
        assert (422, "invalid-fields") == refusal(answer)
        assert set(answer.json["errors"]) <= {"surname", "amount", "why"}


# Strangers


def test_a_till_sees_nothing_of_another_programme(till: Till, elsewhere: Till, shop: Shop) -> None:
    member = shop.member()
    stamped = till.stamps(card_code=member.card_code, count=10).json

    assert (404, "member-not-found") == refusal(elsewhere.member(member.card_code))
    assert (404, "member-not-found") == refusal(elsewhere.stamps(card_code=member.card_code))
    assert (404, "member-not-found") == refusal(elsewhere.stamps(phone=member.phone))
    assert (404, "reward-not-found") == refusal(elsewhere.redeem(stamped["issued"][0]["id"]))
    assert (404, "entry-not-found") == refusal(elsewhere.undo(stamped["entry_id"]))
    own = elsewhere.join(phone="0407654321").json["card_code"]
    assert (404, "location-not-found") == refusal(elsewhere.stamps(card_code=own, location=str(shop.location.id)))
    joined = elsewhere.join(phone=member.phone)
    assert (201, "") == (joined.status_code, joined.json["name"])
    assert 1 == len(till.member(member.card_code).json["rewards"])


def test_ids_that_name_nothing_are_not_found(till: Till) -> None:
    assert (404, "reward-not-found") == refusal(till.redeem(uuid4()))
    assert (404, "entry-not-found") == refusal(till.undo(uuid4()))
    assert (404, "not-found") == refusal(till.redeem("7"))
    assert (404, "not-found") == refusal(till.undo("7"))


# Bodies


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"phone": "040', b"\xff\xfe", b'{"phone": "\\ud800"}', b"[" * 60_000, b'{"phone": "x"} x']
)
def test_what_is_not_json_is_said_to_be_so(till: Till, data: bytes) -> None:
    answer = till.call("POST", "/api/v1/members", data=data, content_type="application/json")

    assert (400, "malformed-json") == refusal(answer)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_that_is_not_said_to_be_json_is_refused(till: Till, content_type: str) -> None:
    answer = till.call("POST", "/api/v1/members", data=b'{"phone": "0401234567"}', content_type=content_type)

    assert (415, "wrong-content-type") == refusal(answer)


def test_a_charset_beside_the_content_type_does_no_harm(till: Till) -> None:
    answer = till.call(
        "POST", "/api/v1/members", data=b'{"phone": "0401234567"}', content_type="application/json; charset=utf-8"
    )

    assert 201 == answer.status_code


def test_a_body_of_64_kb_is_read_and_a_larger_one_is_not(till: Till) -> None:
    body = b'{"phone": "0401234567"}'

    most = till.call("POST", "/api/v1/members", data=body.ljust(65_536), content_type="application/json")
    more = till.call("POST", "/api/v1/members", data=body.ljust(65_537), content_type="application/json")

    assert 201 == most.status_code
    assert (413, "body-too-large") == refusal(more)


def test_many_wrong_fields_are_not_all_echoed(till: Till) -> None:
    answer = till.join(phone="0401234567", **{f"{'x' * 200}{number}": 1 for number in range(200)})

    assert 422 == answer.status_code
    assert len(answer.data) < 10_000


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_phones = st.sampled_from(["0401234567", "+358 40 765 4321", "۰۴۰۱۲۳۴۵۶۷"]) | st.text(max_size=20)
_new_members = st.fixed_dictionaries(
    {"phone": _phones | _values},
    optional={
        "name": st.text(max_size=90) | _values,
        "email": st.emails() | st.text(max_size=20) | _values,
        "birth_date": st.dates().map(str) | st.text(max_size=12) | _values,
        "language": st.sampled_from(["en", "fi", "ru", "fa"]) | _values,
        "consents": st.dictionaries(st.sampled_from(["terms", "sms_marketing", "x"]), st.text(max_size=9)) | _values,
        "via": st.text(max_size=40) | _values,
        "surprise": _values,
    },
)
_new_stamps = st.fixed_dictionaries(
    {},
    optional={
        "phone": _phones | _values,
        "card_code": st.text("0123456789ABCXYZoil-", min_size=14, max_size=20) | _values,
        "count": st.integers(-1, 25) | _values,
        "amount_minor": st.integers() | _values,
        "receipt_no": st.text(max_size=70) | _values,
        "location": st.just("Kulma") | _values,
    },
)


@settings(max_examples=30)
@given(new_member=_new_members | _values, new_stamps=_new_stamps | _values, data=st.binary(max_size=40))
def test_no_body_breaks_the_api(till: Till, new_member: object, new_stamps: object, data: bytes) -> None:
    headers = {"Idempotency-Key": str(uuid4())}

    joined = till.call("POST", "/api/v1/members", data=json.dumps(new_member), content_type="application/json")
    stamped = till.call(
        "POST", "/api/v1/stamps", data=json.dumps(new_stamps), content_type="application/json", headers=headers
    )
    raw = till.call("POST", "/api/v1/members", data=data, content_type="application/json")

    assert joined.status_code in (200, 201, 422)
    assert stamped.status_code in (200, 404, 422)
    assert raw.status_code in (400, 422)


@settings(max_examples=20)
@given(code=st.text(min_size=1, max_size=30).filter(lambda text: "/" not in text and text not in (".", "..")))
def test_no_card_code_breaks_the_api(till: Till, code: str) -> None:
    assert till.member(code).status_code in (404, 422)


# Pages and logs


def test_every_problem_type_opens_a_page_that_explains_it(till: Till) -> None:
    for kind in KINDS:
        answer = till.client.get(f"/api/problems/{kind}")
        assert (200, "text/html") == (answer.status_code, answer.mimetype)
        assert kind in answer.text
    assert 404 == till.client.get("/api/problems/no-such-thing").status_code


@pytest.mark.parametrize("language", ["en", "fi", "ru", "fa"])
def test_the_reference_shows_every_call_and_loads_nothing_from_elsewhere(till: Till, language: str) -> None:
    answer = till.client.get(f"/api/docs?lang={language}")

    assert 200 == answer.status_code
    for path, operations in till.document["paths"].items():
        for operation in operations.values():
            assert path in answer.text
            assert f'id="{operation["operationId"]}"' in answer.text
    assert "<script" not in answer.text
    assert 'src="http' not in answer.text
    assert 'stylesheet" href="http' not in answer.text


def test_addresses_and_methods_that_do_not_exist_are_problems_too(till: Till) -> None:
    assert (404, "not-found") == refusal(till.client.get("/api/v1/nothing"))
    assert (405, "method-not-allowed") == refusal(till.client.get("/api/v1/stamps"))


def test_logs_hold_neither_phone_numbers_nor_card_codes(till: Till) -> None:
    stream = StringIO()
    logs.configure("debug", stream)
    made = till.join(phone="0401234567", name="Maija").json
    till.member(made["card_code"])
    till.stamps(phone="0401234567", receipt_no="R-17")
    till.stamps(card_code=made["card_code"], count=99)
    logs.configure("error")

    written = stream.getvalue()
    assert "request.answered" in written
    for secret in ("401234567", made["card_code"], "Maija", till.key, made["card_url"].rsplit("/", 1)[1]):
        assert secret not in written


def test_a_database_that_is_away_is_a_problem_that_says_to_try_again(ctx: Context) -> None:
    away = make_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    app = create_app(replace(ctx, engine=away, sessions=sessionmaker(away)))

    answer = app.test_client().get("/api/v1/program", headers={"Authorization": "Bearer leima_x"})

    assert (500, "internal-server-error") == refusal(answer)
    assert "nobody" not in answer.text


def test_a_repeat_gets_its_answer_after_the_location_was_renamed(till: Till, shop: Shop) -> None:
    sent = {"card_code": shop.member(1).card_code, "location": shop.location.name}
    first = till.stamps("renamed", **sent)
    form = {"name": "Another name", "address": "", "latitude": "", "longitude": ""}
    programs.save_location(shop.ctx, shop.owner, form, shop.location.id)
    again = till.stamps("renamed", **sent)
    assert (200, first.get_json()) == (again.status_code, again.get_json())
