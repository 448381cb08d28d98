"""Every route is public on purpose or guarded; every form needs its token; every answer carries its headers."""

import re
from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from app.db.people import Role
from app.services import staff
from app.services.context import Context
from app.web.factory import create_app
from tests.factories import PASSWORD, Shop, actor_for

SAMPLES = {"uuid": "018f0000-0000-7000-8000-000000000000", "int": "1", "string": "x", "default": "x", "path": "x"}
NOT_OURS = {"static"}
# They prove who they are by a token or a signature of their own.
MACHINES = ("apple.", "google.", "sms.")


def rules(app: Flask) -> Iterator[Rule]:
    return (rule for rule in app.url_map.iter_rules() if rule.endpoint not in NOT_OURS)


def access(app: Flask, rule: Rule) -> object:
    return getattr(app.view_functions[rule.endpoint], "access", None)


def sample(rule: Rule) -> str:
    values = {}
    for name in rule.arguments:
        kind = type(rule._converters[name]).__name__.removesuffix("Converter").lower()
        values[name] = SAMPLES.get({"uuid": "uuid", "integer": "int"}.get(kind, kind), "x")
        if kind == "any":
            values[name] = min(rule._converters[name].items)
    built = rule.build(values)
    assert built is not None
    return str(built[1])


def ask(browser: FlaskClient, rule: Rule) -> int:
    method = next(method for method in ("POST", "PUT", "DELETE", "GET") if method in (rule.methods or ()))
    return browser.open(sample(rule), method=method).status_code


def test_every_route_says_who_may_open_it(app: Flask):
    assert [] == [rule.rule for rule in rules(app) if access(app, rule) is None]


PUBLIC = {
    "api.docs",
    "api.openapi",
    "api.problem",
    "apple.changed",
    "apple.current",
    "apple.register",
    "apple.told_log",
    "apple.unregister",
    "card.apple_pass",
    "card.google_pass",
    "card.leave",
    "card.page",
    "coupons.apple_pass",
    "coupons.google_pass",
    "fresh.page",
    "fresh.renew",
    "google.coupon",
    "google.hear",
    "google.logo",
    "google.stamps",
    "health.alive",
    "health.metrics",
    "health.ready",
    "home.front",
    "join.form",
    "join.lost",
    "join.picture",
    "join.send_link",
    "join.submit",
    "links.follow",
    "links.friend",
    "links.offers",
    "links.start_again",
    "links.stop",
    "nps.answer",
    "nps.page",
    "own.data",
    "own.friend",
    "own.hear",
    "own.page",
    "own.receipts",
    "own.save_details",
    "own.survey",
    "own_keeping.erase",
    "own_keeping.erase_now",
    "own_keeping.everything",
    "own_keeping.keep",
    "own_keeping.link",
    "own_keeping.receipt",
    "own_keeping.remove",
    "own_keeping.send_code",
    "own_keeping.send_link",
    "own_keeping.stay",
    "privacy.page",
    "sms.twilio_inbound",
    "sms.twilio_status",
    "staff.check",
    "staff.sign_in",
    "staff.sign_out",
    "till.door",
    "till.door_worker",
}


def test_what_is_public_is_so_on_purpose(app: Flask):
    """A new public route is to be added above, by somebody who has thought about it."""
    assert {rule.endpoint for rule in rules(app) if access(app, rule) == "public"} == PUBLIC


def test_strangers_are_asked_to_sign_in(app: Flask, client: FlaskClient, shop: Shop):
    for rule in rules(app):
        if isinstance(access(app, rule), frozenset):
            assert HTTPStatus.FOUND == ask(client, rule), rule


def test_without_a_key_the_api_answers_401(app: Flask, client: FlaskClient, shop: Shop):
    guarded = [rule for rule in rules(app) if access(app, rule) == "key"]
    assert guarded
    for rule in guarded:
        assert HTTPStatus.UNAUTHORIZED == ask(client, rule), rule


@pytest.mark.parametrize("role", list(Role))
def test_each_role_is_kept_out_of_what_is_not_its_own(app: Flask, sign_in: Callable[[Role], FlaskClient], role: Role):
    browser = sign_in(role)
    for rule in rules(app):
        roles = access(app, rule)
        if isinstance(roles, frozenset):
            assert (role not in roles) == (ask(browser, rule) == HTTPStatus.FORBIDDEN), rule


def test_every_form_needs_its_token(ctx: Context, shop: Shop):
    app = create_app(ctx)
    browser = app.test_client()
    for rule in rules(app):
        machine = access(app, rule) == "key" or rule.endpoint.startswith(MACHINES)
        if rule.methods and rule.methods & {"POST", "PUT", "DELETE"} and not machine:
            assert HTTPStatus.BAD_REQUEST == ask(browser, rule), rule


def test_every_page_carries_a_strict_content_security_policy(app: Flask, client: FlaskClient, shop: Shop):
    for path in ("/staff/sign-in", f"/join/{shop.program.slug}", "/api/docs", "/nowhere"):
        policy = client.get(path).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


def test_someone_blocked_is_out_at_once(ctx: Context, shop: Shop, sign_in: Callable[[Role], FlaskClient]):
    browser = sign_in(Role.CASHIER)
    assert HTTPStatus.OK == browser.get("/till").status_code
    charlie = shop.people[Role.CASHIER]
    form = {"name": charlie.name, "login": charlie.login, "role": "cashier", "language": "en", "active": "off"}
    staff.save(ctx, actor_for(shop.people[Role.OWNER]), form, charlie.id)
    assert HTTPStatus.FOUND == browser.get("/till").status_code


def test_a_wrong_password_and_an_unknown_name_are_answered_alike(client: FlaskClient, shop: Shop):
    wrong = client.post("/staff/sign-in", data={"login": "alice", "password": "wrong"})
    unknown = client.post("/staff/sign-in", data={"login": "nobody", "password": "wrong"})
    assert (401, 401) == (wrong.status_code, unknown.status_code)
    pages = [
        re.sub(r'(name="csrf_token" value=)"[^"]+"', r"\1", answer.get_data(as_text=True))
        for answer in (wrong, unknown)
    ]
    assert pages[0].replace("alice", "nobody") == pages[1]


def test_guessing_passwords_is_stopped(client: FlaskClient, shop: Shop):
    answers = [
        client.post("/staff/sign-in", data={"login": "alice", "password": f"guess {n}"}).status_code for n in range(11)
    ]
    assert [401] * 10 + [429] == answers
    right = client.post("/staff/sign-in", data={"login": "alice", "password": PASSWORD})
    assert 429 == right.status_code


def test_a_stranger_does_not_lock_the_owner_out(client: FlaskClient, shop: Shop):
    stranger = {"REMOTE_ADDR": "203.0.113.9"}
    for number in range(12):
        client.post("/staff/sign-in", data={"login": "alice", "password": f"guess {number}"}, environ_base=stranger)
    assert 302 == client.post("/staff/sign-in", data={"login": "alice", "password": PASSWORD}).status_code


def test_signing_in_rightly_is_never_too_often(app: Flask, shop: Shop):
    for _ in range(12):
        answer = app.test_client().post("/staff/sign-in", data={"login": "charlie", "password": PASSWORD})
        assert 302 == answer.status_code


def test_nobody_gets_in_while_tries_cannot_be_counted(ctx: Context, shop: Shop):
    from dataclasses import replace

    from app.wiring import connect_valkey, make_limiter

    gone = connect_valkey("unix:///nowhere/valkey.sock")
    browser = create_app(replace(ctx, valkey=gone, limiter=make_limiter(gone))).test_client()
    browser.application.config["WTF_CSRF_ENABLED"] = False
    answer = browser.post("/staff/sign-in", data={"login": "alice", "password": PASSWORD})
    assert 503 == answer.status_code
    assert "cannot be checked safely" in answer.get_data(as_text=True)


def test_nobody_is_sent_elsewhere_after_signing_in(client: FlaskClient, shop: Shop):
    for wanted in (
        "https://evil.example/",
        "https:evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "/%5cevil.example",
        "/%2fevil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        "/%09/evil.example",
        "/nowhere",
        "/staff/sign-out",  # answers POST only
        "till",
    ):
        answer = client.post(
            "/staff/sign-in", query_string={"next": wanted}, data={"login": "charlie", "password": PASSWORD}
        )
        assert "/till" == answer.headers["Location"].rstrip("/")
        client.post("/staff/sign-out")


def test_after_signing_in_comes_the_page_that_was_asked_for(client: FlaskClient, shop: Shop):
    wanted = "/office/members?q=%D8%B3%D9%84%D8%A7%D9%85&page=2"
    asked = client.get(wanted)
    login = shop.people[Role.MANAGER].login
    answer = client.post(asked.headers["Location"], data={"login": login, "password": PASSWORD})
    assert wanted == answer.headers["Location"]


def test_nothing_is_found_under_an_address_that_no_text_can_hold(app: Flask, client: FlaskClient, shop: Shop):
    """PostgreSQL refuses NUL in texts; that must not look like a failure of ours."""
    app.testing = False
    headers = {"Authorization": "ApplePass none"}
    found = [rule for rule in rules(app) if "x" in sample(rule).split("/")]
    assert len(found) > 8
    for rule in found:
        path = "/".join("a%00b" if part == "x" else part for part in sample(rule).split("/"))
        for method in (rule.methods or set()) - {"OPTIONS"}:
            assert HTTPStatus.NOT_FOUND == client.open(path, method=method, headers=headers).status_code, rule


def test_values_that_no_text_can_hold_are_refused(app: Flask, client: FlaskClient, shop: Shop):
    app.testing = False
    nul = {"login": "alice\0", "password": PASSWORD}
    assert 400 == client.post("/staff/sign-in", data=nul).status_code
    assert 400 == client.get(f"/join/{shop.program.slug}", query_string={"via": "table\0"}).status_code


def test_only_short_names_are_looked_up(client: FlaskClient, shop: Shop):
    for slug in ("KULMA", "-", "x" * 41, "%F0%9F%8D%B0", "kulma%20"):
        assert 404 == client.get(f"/join/{slug}").status_code


def test_health_says_what_can_be_reached(client: FlaskClient):
    assert (200, {"status": "ok"}) == ((answer := client.get("/healthz")).status_code, answer.get_json())
    ready = client.get("/readyz")
    assert (200, {"database": "ok", "valkey": "ok"}) == (ready.status_code, ready.get_json())


def test_metrics_count_by_route_and_are_not_for_strangers(ctx: Context):
    client = create_app(ctx).test_client()
    client.get("/healthz")
    shown = client.get("/metrics").get_data(as_text=True)
    assert 'leima_requests_total{method="GET",route="/healthz",status="200"} 1.0' in shown
    assert 403 == client.get("/metrics", environ_base={"REMOTE_ADDR": "203.0.113.9"}).status_code
