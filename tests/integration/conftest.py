"""An app over the test's connections, and clients that are signed in."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.db.people import Role
from tests.factories import PASSWORD, Shop


@pytest.fixture
def app(web_app: Flask) -> Flask:
    """The web application. CSRF tokens are not asked for; test_web_security.py turns them on."""
    web_app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    return web_app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Somebody who has not signed in."""
    return app.test_client()


@pytest.fixture
def sign_in(app: Flask, shop: Shop) -> Callable[[Role], FlaskClient]:
    """A client signed in as the shop's person of this role."""

    def signed_in(role: Role) -> FlaskClient:
        browser = app.test_client()
        answer = browser.post("/staff/sign-in", data={"login": shop.people[role].login, "password": PASSWORD})
        assert answer.status_code == 302
        return browser

    return signed_in
