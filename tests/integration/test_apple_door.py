"""Phones are answered before Flask as the view would answer them; what is not a plain yes is left to the view."""

import io
import json
import zipfile
from collections.abc import Callable

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import literal_column, select, text
from werkzeug.http import http_date

from app.db.engine import make_engine
from app.db.lookup import Lookup
from app.services import till
from app.services.context import Context
from app.services.views import MemberView
from app.web import apple_door
from app.web.factory import create_app
from certs.identity import SigningIdentity
from tests.factories import Shop

PASS_TYPE = "pass.fi.leima.test"


@pytest.fixture
def member(shop: Shop, pass_identity: SigningIdentity) -> MemberView:
    return shop.member(7, name="Bob Miller", language="fi")


@pytest.fixture
def ask(shop: Shop, member: MemberView) -> Callable[..., object]:
    def asked(client: FlaskClient, method: str = "GET", **headers: str) -> object:
        token = shop.ctx.derived_token("apple-pass", member.card_id)
        sent = {"Authorization": f"ApplePass {token}"} | {name.replace("_", "-"): one for name, one in headers.items()}
        return client.open(f"/apple/v1/passes/{PASS_TYPE}/{member.card_id}", method=method, headers=sent)

    return asked


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("held", [False, True])
def test_a_phone_gets_the_same_answer_with_and_without_the_door(
    app: Flask, member: MemberView, ask, monkeypatch: pytest.MonkeyPatch, method: str, held: bool
) -> None:
    seen = {"If_Modified_Since": http_date(member.card_changed_at)} if held else {}
    by_door = ask(app.test_client(), method, **seen)
    monkeypatch.setattr(app, "wsgi_app", app.wsgi_app._inner)
    by_view = ask(app.test_client(), method, **seen)
    assert (304 if held else 200) == by_door.status_code
    assert by_view.status_code == by_door.status_code
    assert by_view.data == by_door.data
    assert (b"" if held or method == "HEAD" else b"PK") == by_door.data[:2]
    # Werkzeug drops what a 304 need not repeat.
    for name in () if held else ("Content-Type", "Content-Disposition", "Content-Length", "Last-Modified"):
        assert by_view.headers[name] == by_door.headers[name]
    assert by_view.headers["Cache-Control"] == by_door.headers["Cache-Control"]


def test_a_card_held_from_before_its_last_stamp_is_sent_anew(shop: Shop, app: Flask, member: MemberView, ask) -> None:
    till.give_stamps(shop.ctx, shop.cashier, member.card_code)
    assert 200 == ask(app.test_client(), If_Modified_Since=http_date(member.card_changed_at)).status_code


def test_a_card_with_rewards_shows_them(shop: Shop, app: Flask, member: MemberView, ask) -> None:
    till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=10)
    shown = json.loads(_document(ask(app.test_client()).data))
    assert "1 × Free coffee" == shown["storeCard"]["auxiliaryFields"][0]["value"]


def test_a_change_in_the_office_shows_at_the_next_fetch(shop: Shop, app: Flask, ask) -> None:
    before = ask(app.test_client()).data
    shop.change_program(reward_name="Free cake")
    after = ask(app.test_client()).data
    assert b"Free coffee" in _document(before)
    assert b"Free cake" in _document(after)


@pytest.mark.parametrize("authorization", ["", "ApplePass", "ApplePass wrong", "Bearer abc", "applepass x"])
def test_a_wrong_token_is_refused_by_the_view(app: Flask, ask, authorization: str) -> None:
    answer = ask(app.test_client(), Authorization=authorization)
    assert (401, "ApplePass") == (answer.status_code, answer.headers["WWW-Authenticate"])


def test_phones_that_fetch_are_counted_under_the_route(ctx: Context, ask) -> None:
    app = create_app(ctx)
    ask(app.test_client())
    counted = app.extensions["leima_numbers"].registry.get_sample_value(
        "leima_requests_total", {"route": apple_door.ROUTE, "method": "GET", "status": "200"}
    )
    assert 1.0 == counted
    assert apple_door.ROUTE in {rule.rule for rule in app.url_map.iter_rules()}


def test_connections_that_the_database_closed_meanwhile_cost_no_phone_an_error(shop: Shop, app: Flask, ask) -> None:
    client = app.test_client()
    assert 200 == ask(client).status_code
    ended = _end_connections(shop)
    assert ended >= 1
    assert [200, 200] == [ask(client).status_code, ask(client).status_code]


def test_a_read_that_fails_leaves_no_broken_connection_behind(shop: Shop, app: Flask, ask) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        Lookup(select(literal_column("1 / 0"))).first(shop.ctx.engine)
    assert 200 == ask(app.test_client()).status_code


def test_a_session_after_a_quick_read_still_works_in_a_transaction(shop: Shop, app: Flask, ask) -> None:
    ask(app.test_client())
    with shop.ctx.sessions() as session:
        session.execute(text("UPDATE members SET city = 'nowhere'"))
        session.rollback()
    with shop.ctx.sessions() as session:
        assert 0 == session.execute(text("SELECT count(*) FROM members WHERE city = 'nowhere'")).scalar_one()


def _document(content: bytes) -> bytes:
    return zipfile.ZipFile(io.BytesIO(content)).read("pass.json")


def _end_connections(shop: Shop) -> int:
    """End all idle connections of this process, as a database does that restarts. Waits until they have ended."""
    other = make_engine(shop.ctx.engine.url.render_as_string(hide_password=False))
    with other.connect() as connection:
        ended = connection.execute(
            text(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'leima' AND pid <> pg_backend_pid()"
            )
        ).scalar_one()
    other.dispose()
    return int(ended)
