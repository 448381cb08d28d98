"""Scripts and styles: kept by browsers for a year, and new ones seen at once."""

from flask import Flask
from flask.testing import FlaskClient


def test_a_style_is_kept_for_a_year(app: Flask, client: FlaskClient):
    with app.test_request_context():
        address = app.jinja_env.globals["asset"]("leima.css")
    with client.get(address) as answer:
        assert (200, "text/css; charset=utf-8") == (answer.status_code, answer.content_type)
        assert "immutable" in answer.headers["Cache-Control"]


def test_an_older_address_is_answered_and_not_kept(client: FlaskClient):
    with client.get("/static/000000000000/leima.css") as answer:
        assert (200, "no-cache") == (answer.status_code, answer.headers["Cache-Control"])


def test_no_other_file_can_be_asked_for(client: FlaskClient):
    for name in ("../factory.py", "..%2Ffactory.py", "nothing.css"):
        assert 404 == client.get(f"/static/x/{name}").status_code
