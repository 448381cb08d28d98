"""Several programmes in one installation are strangers to each other: staff, members, codes, cards, numbers."""

from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from app.db.people import Role
from app.services.context import Context
from tests.factories import PASSWORD, Shop
from tests.integration import filled_tables, form_fields, office_walk, strangers
from tests.integration.strangers import Stranger

SignIn = Callable[[Role], FlaskClient]

# Public by what is in the address itself: whoever was given it may see what is behind it.
BY_ITS_OWN_SECRET = {
    "home.front": "the installation's front door names every programme that can be joined",
    "join.picture": "a picture of their form, which is public; its id is drawn by chance",
    "links.friend": "a member's link for friends, made to be passed on",
}
# They would end what the walk goes on with: our own sign-in, our own membership.
ENDS_OUR_OWN = {"staff.sign_out", "card.leave", "own_keeping.erase_now", "own_keeping.send_link", "fresh.renew"}


@pytest.fixture
def stranger(ctx: Context, shop: Shop) -> Stranger:
    """Another programme, with rows in every table, and the same word in all of its texts."""
    with ctx.engine.begin() as connection:
        filled = filled_tables.fill(connection, "berta")
    return Stranger(ctx, filled)


class Walk:
    """Calls every route with their rows, and collects what is wrong."""

    def __init__(self, stranger: Stranger, shop: Shop) -> None:
        self.stranger, self.shop = stranger, shop
        self.own: dict[str, str] = {}
        self.fields = stranger.fields()
        self.before = stranger.state()
        self.wrong: list[str] = []
        self.walkers: list[str] = []
        self.statuses: Counter[int] = Counter()

    def by(self, who: str, browser: FlaskClient, rules: list[Rule], headers: dict[str, str] | None = None) -> None:
        called: list[str] = []
        self.own = office_walk.own_words(self.shop, len(self.walkers))
        self.walkers.append(who)
        for rule in rules:
            for address in strangers.addresses(rule, self.stranger, self.own):
                for method in strangers.methods(rule):
                    self._call(who, browser, rule, method, address, headers)
                    called.append(rule.endpoint)
            if len(called) > 150:
                self._unchanged(who, called)
                called = []
        self._unchanged(who, called)

    def _call(
        self, who: str, browser: FlaskClient, rule: Rule, method: str, address: str, headers: dict[str, str] | None
    ) -> None:
        sent = {"query_string": self.fields} if method == "GET" else {"data": self.fields}
        if rule.endpoint.startswith("api.") and method != "GET":
            sent = {"json": self.fields}
        with browser.open(address, method=method, headers=headers, **sent) as answer:
            self.statuses[answer.status_code] += 1
            self._judge(answer, rule, f"{who}: {method} {rule.rule} ({rule.endpoint})")

    def _judge(self, answer: TestResponse, rule: Rule, told: str) -> None:
        if answer.status_code >= 500:
            self.wrong.append(f"{told} answers {answer.status_code}")
        if rule.endpoint not in BY_ITS_OWN_SECRET and strangers.leaks(answer):
            self.wrong.append(f"{told} tells what is theirs")

    def _unchanged(self, who: str, called: list[str]) -> None:
        after = self.stranger.state()
        changed = sorted(name for name in after if after[name] != self.before[name])
        if changed:
            self.wrong.append(f"{who}: {changed} of theirs changed by one of {sorted(set(called))}")
            self.before = after


def test_no_route_shows_or_changes_another_programmes_rows(app: Flask, shop: Shop, stranger: Stranger, sign_in: SignIn):
    app.testing = False
    rules = [rule for rule in strangers.walked(app) if rule.endpoint not in ENDS_OUR_OWN]
    walk = Walk(stranger, shop)
    for role in Role:
        walk.by(role.value, sign_in(role), rules)
    public = [rule for rule in rules if app.view_functions[rule.endpoint].access == "public"]  # type: ignore[attr-defined]
    apple = office_walk.own_words(shop, 99)["apple"]
    walk.by("nobody", app.test_client(), public, {"Authorization": f"ApplePass {apple}"})
    key = {"Authorization": f"Bearer {shop.api_key}"}
    walk.by("API key", app.test_client(), [rule for rule in rules if rule.endpoint.startswith("api.")], key)
    assert [] == walk.wrong
    assert 0 == walk.statuses[HTTPStatus.TOO_MANY_REQUESTS]  # it is not the pace that kept us out


# What a field is asked for with.
ASKED_WITH = {"benefit_type": {"benefit": "reward"}, "location_id": {"password": PASSWORD}}
# The walk is no use when it doesn't find at least these.
FOUND = {"location_id", "stamp_card", "operation_id", "segment", "tier", "reward", "benefit_type", "type_id", "id-0"}


def test_no_form_takes_another_programmes_things(app: Flask, shop: Shop, stranger: Stranger, sign_in: SignIn):
    office_walk.fill(shop)
    ours = strangers.side_of(shop.ctx, shop.program.slug)
    untouched, browser = stranger.state(), sign_in(Role.OWNER)
    wrong, tried = [], set[tuple[str, str]]()
    for path, page in office_walk.pages(app, browser, ours, office_walk.own_words(shop, 98)):
        for form in form_fields.forms(page):
            for name, table in choices(form, ours):
                action = form.action or path
                if (action, name) in tried:
                    continue
                tried.add((action, name))
                before = ours.state()
                sent = form.sent | ASKED_WITH.get(name, {}) | {name: str(stranger.values(table)[0])}
                status = browser.post(action, data=sent).status_code
                after = ours.state()
                changed = [one for one in after if after[one] != before[one]]
                if changed or not 400 <= status < 500:
                    wrong.append(f"{action}: a strange {name} is answered with {status} and changes our {changed}")
    assert [] == wrong
    assert untouched == stranger.state()
    assert {name for _, name in tried} >= FOUND


def choices(form: form_fields.Form, ours: Stranger) -> Iterator[tuple[str, str]]:
    """The form's fields that name a thing of ours, and the table that it is in."""
    tables_of = {str(row.get("id")): table for table, rows in ours.filled.rows.items() for row in rows}
    for name, values in form.offered.items():
        found = [tables_of[value] for value in values if len(value) == 36 and value in tables_of]
        if found:
            yield name, found[0]
