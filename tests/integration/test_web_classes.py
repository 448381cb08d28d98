"""The office page of classes and credit: who may see it, what it shows, and what its buttons do."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app import clock
from app.db.credit import Credit
from app.db.people import Member, Role
from app.services import classing, credit_granting, credit_policies, customer_classes
from tests.factories import Shop

SignIn = Callable[[Role], FlaskClient]
RANGES = {f"{figure}_{end}": value for figure in ("recency", "frequency", "money") for end, value in
          (("min", "1"), ("max", "5"))}  # fmt: skip
FRIENDS = RANGES | {"name": "Friends", "policy": "fixed", "amount": "5", "valid_days": "14"}


def words(page: str) -> str:
    """The page's text, on one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def long_ago(shop: Shop) -> None:
    """Have all members joined long before the time that counts: newcomers without purchases are in no class."""
    with shop.ctx.sessions.begin() as session:
        session.execute(update(Member).values(joined_at=clock.now() - timedelta(days=500)))


@pytest.fixture
def friends(shop: Shop) -> str:
    """The address of a class with credit, in which both of the shop's members are."""
    shop.member(1, consents={"sms_marketing": "Yes"})
    shop.member(2)
    long_ago(shop)
    class_id = customer_classes.save(shop.ctx, shop.owner, FRIENDS)
    classing.work(shop.ctx, shop.program.id, 0.0)
    return f"/office/classes/{class_id}"


def test_from_no_classes_to_five_with_one_button(shop: Shop, sign_in: SignIn):
    mary = sign_in(Role.MANAGER)
    assert "There are no classes yet." in mary.get("/office/classes").text
    assert "/office/classes" == mary.post("/office/classes/propose").location
    shop.member()
    long_ago(shop)
    classing.work(shop.ctx, shop.program.id, 0.0)
    page = words(mary.get("/office/classes").text)
    for name in ("Best", "Loyal", "New", "At risk", "Lost"):
        assert f" {name} " in page
    assert "1 member bought nothing in the time that counts" in page
    assert "Scores: how lately 4–5 | how often 4–5 | how much 4–5" in page


def test_marketers_see_the_classes_and_change_nothing(shop: Shop, sign_in: SignIn, friends: str):
    max_ = sign_in(Role.MARKETER)
    page = max_.get("/office/classes").text
    assert "Each member gets €5.00." in words(page)
    assert "Give now" not in page
    assert {403} == {max_.get(address).status_code for address in (friends, f"{friends}/give", "/office/classes/new")}
    assert 403 == max_.post(f"{friends}/give").status_code
    assert 403 == sign_in(Role.CASHIER).get("/office/classes").status_code


def test_a_class_is_made_tried_out_changed_and_removed(shop: Shop, sign_in: SignIn):
    mary = sign_in(Role.MANAGER)
    shop.member()
    long_ago(shop)
    tried = mary.post("/office/classes/new", data=FRIENDS | {"act": "preview"})
    assert 200 == tried.status_code
    assert "Friends 1 100% €0.00 €5.00" in words(tried.text)
    assert [] == customer_classes.overview(shop.ctx, shop.program.id).classes
    assert "/office/classes?note=saved" == mary.post("/office/classes/new", data=FRIENDS | {"act": "save"}).location
    made = customer_classes.overview(shop.ctx, shop.program.id).classes[0]
    address = f"/office/classes/{made.id}"
    assert 'value="5.00"' in mary.get(address).text
    mary.post(address, data=FRIENDS | {"repeats": "on", "every_days": "7", "at_hour": "10"})
    assert "then every 7 days." in mary.get("/office/classes").text
    mary.post(address, data=FRIENDS)
    assert "Only given by hand." in mary.get("/office/classes").text
    assert 303 == mary.post(f"{address}/remove").status_code
    assert 404 == mary.get(address).status_code


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(shop: Shop, sign_in: SignIn):
    answer = sign_in(Role.OWNER).post("/office/classes/new", data=FRIENDS | {"amount": "much", "recency_max": "9"})
    assert 422 == answer.status_code
    assert 'id="amount-error"' in answer.text
    assert 'id="recency_max-error"' in answer.text
    assert 'value="much"' in answer.text


def test_scoring_is_tried_out_before_it_is_saved(shop: Shop, sign_in: SignIn, friends: str):
    mary = sign_in(Role.MANAGER)
    form = {
        "method": "thresholds",
        "scores": "3",
        "window_days": "90",
        "recency_limits": "7 30",
        "frequency_limits": "10 3",
        "money_limits": "100 20",
    }
    tried = mary.post("/office/classes/scoring", data=form | {"act": "preview"})
    assert "Friends 2 100% €0.00 €10.00" in words(tried.text)
    assert 365 == customer_classes.overview(shop.ctx, shop.program.id).scoring.window_days
    assert 422 == mary.post("/office/classes/scoring", data=form | {"recency_limits": "30 7"}).status_code
    mary.post("/office/classes/scoring", data=form)
    assert 'value="100.00 20.00"' in mary.get("/office/classes/scoring").text


def test_credit_is_given_by_hand_after_looking_at_the_numbers_and_once(shop: Shop, sign_in: SignIn, friends: str):
    mary = sign_in(Role.MANAGER)
    page = mary.get(f"{friends}/give").text
    assert "2 Members who get credit" in re.sub(r"(Members who get credit) (\d)", r"\2 \1", words(page))
    assert "€10.00" in page
    seen_at = re.search(r'name="seen_at" value="([^"]+)"', page)[1]
    for _ in range(2):
        answer = mary.post(f"{friends}/give", data={"seen_at": seen_at})
        assert "/office/classes?note=given" == answer.location
    run = credit_policies.recent(shop.ctx, shop.program.id)[0]
    assert "Begins in a moment" in mary.get("/office/classes").text
    credit_granting.work(shop.ctx, run.id, time.monotonic() + 60)
    with shop.ctx.sessions() as session:
        assert 2 == len(session.scalars(select(Credit)).all())
    assert "2 members | €10.00" in words(mary.get("/office/classes").text)


@pytest.mark.parametrize("seen_at", ["", "nonsense", "0001-01-01T00:00:00+14:00", "2020-01-01T00:00:00+00:00"])
def test_numbers_that_nobody_looked_at_just_now_confirm_nothing(
    shop: Shop, sign_in: SignIn, friends: str, seen_at: str
):
    answer = sign_in(Role.MANAGER).post(f"{friends}/give", data={"seen_at": seen_at})
    assert 409 == answer.status_code
    assert "Please look at them again." in answer.text
    assert [] == credit_policies.recent(shop.ctx, shop.program.id)


def test_a_giving_is_stopped_by_its_button(shop: Shop, sign_in: SignIn, friends: str):
    mary = sign_in(Role.MANAGER)
    seen_at = re.search(r'name="seen_at" value="([^"]+)"', mary.get(f"{friends}/give").text)[1]
    mary.post(f"{friends}/give", data={"seen_at": seen_at})
    run = credit_policies.recent(shop.ctx, shop.program.id)[0]
    mary.post(f"/office/classes/runs/{run.id}/stop")
    page = mary.get("/office/classes").text
    assert "Stopped" in page
    assert "/stop" not in page


def test_a_class_that_is_not_there_is_not_found(shop: Shop, sign_in: SignIn):
    mary = sign_in(Role.OWNER)
    assert {404} == {mary.get(f"/office/classes/{uuid4()}{page}").status_code for page in ("", "/give")}
    assert 404 == mary.post(f"/office/classes/{uuid4()}", data=FRIENDS).status_code


@pytest.mark.parametrize("language", ["fi", "ru", "fa"])
def test_the_pages_speak_every_language(shop: Shop, sign_in: SignIn, friends: str, language: str):
    mary = sign_in(Role.MANAGER)
    for address in ("/office/classes", "/office/classes/scoring", "/office/classes/new", friends, f"{friends}/give"):
        assert 200 == mary.get(f"{address}?lang={language}").status_code
