"""An owner takes everything out with one click; nobody else can."""

import io
import zipfile
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db.ledger import AuditEntry
from app.db.people import Role
from app.services import exporting
from app.services.context import Context
from tests.factories import Shop, open_shop

SignIn = Callable[[Role], FlaskClient]


def test_an_owner_downloads_everything(ctx: Context, shop: Shop, sign_in: SignIn):
    shop.member(1, name="Alice")
    open_shop(ctx, "north").member(2, name="Bob")
    answer = sign_in(Role.OWNER).post("/office/your-data")
    assert (200, "application/zip") == (answer.status_code, answer.mimetype)
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="leima-kulma-')
    with zipfile.ZipFile(io.BytesIO(answer.data)) as file:
        assert file.testzip() is None
        members = file.read("tables/members.csv").decode()
    assert ("Alice" in members, "Bob" in members) == (True, False)
    with ctx.sessions() as session:
        taken = session.scalars(select(AuditEntry.staff_id).where(AuditEntry.action == "data.exported")).all()
    assert [shop.people[Role.OWNER].id] == list(taken)


@pytest.mark.parametrize("role", [Role.MANAGER, Role.MARKETER, Role.CASHIER])
def test_nobody_but_an_owner_gets_it(sign_in: SignIn, role: Role):
    browser = sign_in(role)
    assert (403, 403) == (browser.get("/office/your-data").status_code, browser.post("/office/your-data").status_code)


def test_a_second_download_at_once_is_refused_with_words(ctx: Context, shop: Shop, sign_in: SignIn):
    running = exporting.stream(ctx, shop.owner)
    try:
        answer = sign_in(Role.OWNER).post("/office/your-data")
    finally:
        running.close()
    assert 409 == answer.status_code
    assert "These data are being taken out already." in answer.text
