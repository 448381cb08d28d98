"""When something breaks: the log says what and where in JSON, and nothing of what people typed or hold."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app import logs
from app.db.engine import make_engine, make_sessions
from app.db.people import Role
from app.services import api_keys
from app.services.context import Context
from app.web.factory import create_app
from tests.factories import PASSWORD, Shop

PHONE = "+358401234567"
TOKEN = "a-token-that-opens-a-card-0123456789"


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, object]]]]:
    """What was logged, each line parsed: a line that is not JSON fails the test."""
    stream = io.StringIO()
    logs.configure("debug", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logs.configure("error")


@pytest.fixture
def breaking(ctx: Context) -> Flask:
    """An app whose database is gone."""
    engine = make_engine("postgresql://nobody:secret@127.0.0.1:1/nothing")
    app = create_app(replace(ctx, engine=engine, sessions=make_sessions(engine)))
    app.config["WTF_CSRF_ENABLED"] = False
    return app


def test_a_page_that_fails_leaves_no_token_in_the_log(breaking: Flask, lines: Callable[[], list[dict[str, object]]]):
    answer = breaking.test_client().get(f"/c/{TOKEN}")
    assert 500 == answer.status_code
    failed, answered = lines()
    assert ("request.failed", "/c/<token>") == (failed["event"], failed["route"])
    assert "sqlalchemy.exc.OperationalError" in failed["exceptions"]
    assert any("app/web/card.py" in frame for frame in failed["traceback"])
    assert failed["request_id"] == answered["request_id"]
    assert TOKEN not in json.dumps(lines())


def test_a_form_that_fails_leaves_nothing_that_was_typed(
    app: Flask, ctx: Context, shop: Shop, lines: Callable[[], list[dict[str, object]]]
):
    """The database itself refuses the row, and its message names the row's values."""
    with ctx.engine.begin() as connection:
        connection.execute(text("ALTER TABLE members ADD CONSTRAINT nobody CHECK (phone = '')"))
    app.testing = False
    try:
        form = {"phone": PHONE, "name": "Bertha Example", "terms": "on"}
        answer = app.test_client().post(f"/join/{shop.program.slug}", data=form)
    finally:
        with ctx.engine.begin() as connection:
            connection.execute(text("ALTER TABLE members DROP CONSTRAINT nobody"))
    assert 500 == answer.status_code
    assert "request.failed" in [line["event"] for line in lines()]
    for typed in (PHONE, PHONE[1:], "Bertha"):
        assert typed not in json.dumps(lines())


def test_the_api_answers_a_failure_with_a_problem_and_logs_no_body(
    breaking: Flask, lines: Callable[[], list[dict[str, object]]]
):
    body = {"phone": PHONE, "name": "Bertha Example"}
    answer = breaking.test_client().post(
        "/api/v1/members", json=body, headers={"Authorization": "Bearer leima_some_key_that_is_secret"}
    )
    assert (500, "application/problem+json") == (answer.status_code, answer.content_type)
    assert ["request.failed", "request.answered"] == [line["event"] for line in lines()]
    for secret in (PHONE, "Bertha", "some_key"):
        assert secret not in json.dumps(lines())


def test_staff_see_the_page_for_failures_when_the_database_goes(
    breaking: Flask, ctx: Context, shop: Shop, lines: Callable[[], list[dict[str, object]]]
):
    browser = breaking.test_client()
    with browser.session_transaction() as session:
        session["staff_id"], session["staff_version"] = str(shop.people[Role.CASHIER].id), 1
    answer = browser.get("/till")
    assert 500 == answer.status_code
    assert "Something went wrong on our side" in answer.get_data(as_text=True)


def test_a_library_logs_json_without_the_values(lines: Callable[[], list[dict[str, object]]]):
    try:
        raise ValueError(PHONE)
    except ValueError:
        logging.getLogger("gunicorn.error").exception("Error handling request %s for worker %d", f"/c/{TOKEN}", 7)
    (line,) = lines()
    assert ("library.logged", "gunicorn.error", "error") == (line["event"], line["logger"], line["level"])
    assert "Error handling request … for worker 7" == line["text"]
    assert ["builtins.ValueError"] == line["exceptions"]
    assert PHONE not in json.dumps(line)


def test_a_line_says_for_whom_a_request_was_answered(
    sign_in: Callable[[Role], FlaskClient],
    client: FlaskClient,
    ctx: Context,
    shop: Shop,
    lines: Callable[[], list[dict[str, object]]],
):
    charlie = shop.people[Role.CASHIER]
    sign_in(Role.CASHIER).get("/till")
    assert (str(charlie.id), str(shop.program.id)) == (lines()[-1]["staff_id"], lines()[-1]["program_id"])

    made, secret = api_keys.create(ctx, shop.owner, {"name": "Web shop"})
    client.get("/api/v1/program", headers={"Authorization": f"Bearer {secret}"})
    assert (str(made.id), str(shop.program.id)) == (lines()[-1]["api_key_id"], lines()[-1]["program_id"])
    assert PASSWORD not in json.dumps(lines())
    assert secret not in json.dumps(lines())
