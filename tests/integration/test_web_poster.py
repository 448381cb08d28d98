"""The join poster."""

from collections.abc import Callable

from flask.testing import FlaskClient

from app.db.people import Role
from tests.factories import Shop
from tests.qr_reading import scanned

SignIn = Callable[[Role], FlaskClient]


def test_the_code_opens_the_join_page_with_its_channel(sign_in: SignIn, shop: Shop) -> None:
    client = sign_in(Role.MARKETER)
    assert scanned(client.get("/office/poster?via=Table 1").text) == "http://localhost:8400/join/kulma?via=table-1"
    assert scanned(client.get("/office/poster?via=").text) == "http://localhost:8400/join/kulma"


def test_the_poster_speaks_to_customers_and_the_page_to_staff(sign_in: SignIn, shop: Shop) -> None:
    page = sign_in(Role.OWNER).get("/office/poster?language=fa&size=A5").text
    assert '<html lang="en" dir="ltr"' in page
    assert 'class="sheet a5" lang="fa" dir="rtl"' in page
    assert "@page { size: A5 portrait; margin: 0; }" in page


def test_strange_choices_fall_back_to_the_programmes(sign_in: SignIn, shop: Shop) -> None:
    page = sign_in(Role.OWNER).get("/office/poster?language=xx&size=A0").text
    assert 'class="sheet a4" lang="en" dir="ltr"' in page


def test_a_cashier_has_no_poster(sign_in: SignIn, shop: Shop) -> None:
    assert sign_in(Role.CASHIER).get("/office/poster").status_code == 403
