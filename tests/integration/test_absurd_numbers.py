"""Whatever number somebody types or sends, it is taken or refused in words, and never too much for the database."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, get_args
from uuid import uuid4

from flask import Flask
from flask.testing import FlaskClient

from app.db.people import Role
from app.loyalty.bonus import MOST_HELD
from app.services import members
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.web.api.schemas import Sent
from tests.factories import Shop
from tests.integration import bonus_shop, form_fields, office_walk, strangers

SignIn = Callable[[Role], FlaskClient]

ABSURD = (10**18, 10**19, 10**30, -(10**18), int("9" * 400))
TYPED = (str(10**18), str(-(10**18)), "9" * 400, "۹" * 10, "²")
LARGE = ("999999999", "9999999999")
# The walk is no use when it doesn't find at least these.
FOUND = {"threshold", "extra", "needs-0", "month_limit", "amount", "stamps_needed", "referrer_bonus", "largest_typed"}
OF_CUSTOMERS = ("card.", "own.", "own_keeping.", "join.", "nps.")
MOST_CHOICES = 6  # of a list that is longer, one is as good as another


def numeric_forms(app: Flask, shop: Shop, browser: FlaskClient) -> list[tuple[str, form_fields.Form]]:
    """Every form with fields for numbers, once, and where it is sent."""
    ours = strangers.side_of(shop.ctx, shop.program.slug)
    areas = (*office_walk.FOR_STAFF, *OF_CUSTOMERS)
    found: dict[tuple[str, frozenset[str]], form_fields.Form] = {}
    for path, page in office_walk.pages(app, browser, ours, office_walk.own_words(shop, 98), areas):
        for form in form_fields.forms(page):
            if form.numeric:
                found.setdefault((form.action or path, frozenset(form.numeric)), form)
    return [(action, form) for (action, _), form in found.items()]


def typed_into(form: form_fields.Form) -> Iterator[dict[str, str]]:
    """The form with each absurd number in each field; then, for each choice in it, with large ones in all fields."""
    for name in form.numeric:
        for typed in TYPED:
            yield form.sent | {name: typed}
    others = {name: form.sent.get(name) or "2" for name in form.numeric}
    for name in form.numeric:
        for typed in LARGE:
            yield form.sent | others | {name: typed}
    for name, values in form.offered.items():
        for chosen in sorted(set(values)) if 1 < len(set(values)) <= MOST_CHOICES else ():
            for typed in LARGE:
                yield form.sent | dict.fromkeys(form.numeric, typed) | {name: chosen}


def test_no_number_in_a_form_is_too_much(app: Flask, shop: Shop, sign_in: SignIn):
    app.testing = False
    office_walk.fill(shop)
    browser = sign_in(Role.OWNER)
    tried, wrong = set[str](), list[str]()
    for action, form in numeric_forms(app, shop, browser):
        tried |= form.numeric
        for sent in typed_into(form):
            with browser.post(action, data=sent | {"key": str(uuid4())}) as answer:
                if answer.status_code >= 500:
                    told = {name: typed[:20] for name, typed in sent.items()}
                    wrong.append(f"{action} answers {answer.status_code} to {told}")
    assert [] == wrong
    assert tried >= FOUND


def calls(member_id: str, phone: str, card: str) -> dict[str, dict[str, Any]]:
    """Each call of the API that takes numbers, with all of its numbers in it."""
    line = {"name": "Coffee", "quantity": 1, "amount_minor": 300, "warranty_months": 12}
    return {
        "stamps": {"phone": phone, "count": 1, "amount_minor": 300},
        "purchases": {"phone": phone, "amount_minor": 300, "lines": [line]},
        f"members/{member_id}/bonus/use": {"card_code": card, "amount_minor": 300, "use_minor": 10},
        f"members/{member_id}/credit/redeem": {"card_code": card, "amount_minor": 300},
        f"members/{member_id}/prices": {"products": [{"product": "Coffee", "amount_minor": 300}]},
        f"rewards/{uuid4()}/redeem": {"card_code": card, "amount_minor": 300},
        "codes/redeem": {"code": "1234567", "phone_last4": "0001", "amount_minor": 300},
    }


def numbers_in(body: Any) -> Iterator[tuple[Any, str]]:
    """Where the numbers of a body are: what holds one, and under which name."""
    for name, value in body.items():
        if isinstance(value, int):
            yield body, name
        for one in value if isinstance(value, list) else ():
            yield from numbers_in(one)


def sent_numbers() -> set[str]:
    """The names of all fields of the API that take whole numbers."""
    names, models = set[str](), list[type[Sent]](Sent.__subclasses__())
    for model in models:
        models += model.__subclasses__()
        names |= {
            name for name, field in model.model_fields.items() if int in (field.annotation, *get_args(field.annotation))
        }
    return names


def test_no_number_in_a_call_is_too_much(app: Flask, shop: Shop):
    app.testing = False
    bonus_shop.set_bonus(shop)
    anna = shop.member()
    client, headers = app.test_client(), {"Authorization": f"Bearer {shop.api_key}"}
    tried, wrong = set[str](), list[str]()
    for path, body in calls(str(anna.id), anna.phone, anna.card_code).items():
        for place, (_, name) in enumerate(numbers_in(body)):
            tried.add(name)
            for number in (*ABSURD, float("1e300"), "۹" * 30):
                shop.ctx.valkey.flushdb()
                sent = deepcopy(body)
                holder, _ = list(numbers_in(sent))[place]
                holder[name] = number
                key = {"Idempotency-Key": str(uuid4())}
                answer = client.post(f"/api/v1/{path}", json=sent, headers=headers | key)
                if answer.status_code != 422 or name not in json.dumps(answer.get_json()):
                    wrong.append(f"{path} answers {answer.status_code} to {name}={str(number)[:30]}")
    assert [] == wrong
    assert tried >= sent_numbers()


def test_the_largest_purchases_under_the_wildest_rules_are_counted_to_the_end(shop: Shop):
    bonus_shop.set_bonus(shop, bonus_shop.POINTS | {"points": "1000000", "per": "0.01"})
    bonus_shop.add_threshold(shop, 1, extra=999_999_999, every=True)
    anna = shop.member()
    for _ in range(3):
        bought = bonus_shop.buy(shop, anna, LARGEST_PURCHASE_MINOR)
    assert MOST_HELD == members.by_id(shop.ctx, shop.cashier, anna.id).bonus
    bonus_shop.undo_purchase(shop, bought)
    bonus_shop.assert_books_agree(shop)
