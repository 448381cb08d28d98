"""Coupon codes on the pages: made once, printed, saved, taken back, and paid with at the till."""

import csv
import html
import io
import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.db.credit import CodeGroup, Credit
from app.db.people import Role
from app.services import staff
from tests.factories import Shop
from tests.integration.code_shop import NOON
from tests.integration.credit_shop import SetClock

SignIn = Callable[[Role], FlaskClient]
FORM = {"name": "Staff of Acme", "amount": "12,50", "count": "30", "last_day": "2027-03-31", "key": "key-1"}


@pytest.fixture(autouse=True)
def noon(at: SetClock) -> None:
    at(NOON)


@pytest.fixture
def office(sign_in: SignIn) -> FlaskClient:
    return sign_in(Role.MANAGER)


def make(office: FlaskClient, **form: str) -> TestResponse:
    return office.post("/office/code-groups", data=FORM | form)


def sent_back(page: TestResponse) -> dict[str, str]:
    """What the page's forms send to the sheet and the file."""
    return {name: re.findall(f'name="{name}" value="([^"]*)"', page.text)[0] for name in ("codes", "seal")}


def group_path(shop: Shop) -> str:
    with shop.ctx.sessions() as session:
        return f"/office/code-groups/{session.scalars(select(CodeGroup.id)).one()}"


def how_many(shop: Shop) -> int:
    with shop.ctx.sessions() as session:
        return session.scalar(select(func.count()).select_from(Credit)) or 0


def plain(page: TestResponse) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


def test_the_codes_are_shown_once_and_never_again(office: FlaskClient, shop: Shop) -> None:
    page = make(office)
    codes = sent_back(page)["codes"].split()
    assert (200, 30, "no-store") == (page.status_code, len(codes), page.headers["Cache-Control"])
    assert "They are shown only now" in page.text
    assert f"{codes[0][:3]} {codes[0][3:5]} {codes[0][5:]}" in page.text
    for path in ("/office/code-groups", group_path(shop)):
        later = office.get(path)
        assert "30 codes of €12.50" in plain(later)
        assert not [code for code in codes if f"{code[:3]} {code[3:5]} {code[5:]}" in later.text or code in later.text]


def test_a_double_click_makes_the_codes_once_and_says_so(office: FlaskClient, shop: Shop) -> None:
    make(office)
    again = make(office)
    assert (409, 30) == (again.status_code, how_many(shop))
    assert "This form was sent twice, and its codes were shown the first time." in again.text
    assert "make new ones" in again.text


def test_what_was_typed_stays_when_something_is_wrong(office: FlaskClient, shop: Shop) -> None:
    page = make(office, count="2001")
    assert (422, 0) == (page.status_code, how_many(shop))
    assert 'value="Staff of Acme"' in page.text
    assert "Enter a whole number from 1 to 2,000." in page.text


def test_a_form_without_its_key_makes_nothing(office: FlaskClient, shop: Shop) -> None:
    assert (400, 0) == (make(office, key="").status_code, how_many(shop))


def test_the_sheet_has_a_card_for_each_code_in_the_programmes_language(office: FlaskClient, shop: Shop) -> None:
    shop.change_program(language="fi")
    page = make(office)
    sheet = office.post(f"{group_path(shop)}/sheet", data=sent_back(page))
    assert (200, "no-store", 30, 2) == (
        sheet.status_code,
        sheet.headers["Cache-Control"],
        sheet.text.count('class="coupon"'),
        sheet.text.count('class="coupon-page"'),
    )
    assert '<html lang="en"' in sheet.text
    assert 'lang="fi" dir="ltr"' in sheet.text
    assert all(words in sheet.text for words in ("Kulma Club", "12,50\xa0€", "31. maaliskuuta 2027"))


def test_the_file_is_read_by_spreadsheets_with_its_zeros(office: FlaskClient, shop: Shop) -> None:
    sent = sent_back(make(office, name='=Acme: "Staff"/ها', first_day="2027-03-10"))
    answer = office.post(f"{group_path(shop)}/csv", data=sent)
    assert (200, "no-store", "text/csv; charset=utf-8") == (
        answer.status_code,
        answer.headers["Cache-Control"],
        answer.content_type,
    )
    assert answer.data.startswith("\ufeffcode,amount,currency,valid from,last day\r\n".encode())
    rows = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))
    assert sent["codes"].split() == [row[0].replace(" ", "") for row in rows[1:]]
    assert {("12.50", "EUR", "2027-03-10", "2027-03-31")} == {tuple(row[1:]) for row in rows[1:]}
    assert {(3, 2, 2)} == {tuple(map(len, row[0].split(" "))) for row in rows[1:]}
    assert "filename*=UTF-8''%3DAcme%20%20%20Staff%20%D9%87%D8%A7.csv" in answer.headers["Content-Disposition"]


@pytest.mark.parametrize("what", ["sheet", "csv"])
def test_a_code_that_is_not_the_groups_is_neither_printed_nor_saved(office: FlaskClient, shop: Shop, what: str) -> None:
    sent = sent_back(make(office))
    path = f"{group_path(shop)}/{what}"
    for wrong in (sent | {"codes": sent["codes"] + " 1234567"}, sent | {"seal": ""}, {}, {"codes": "1234567"}):
        answer = office.post(path, data=wrong)
        assert 409 == answer.status_code
        assert "1234567" not in answer.text


def test_more_codes_are_shown_as_the_first(office: FlaskClient, shop: Shop) -> None:
    first = sent_back(make(office))["codes"].split()
    page = office.post(group_path(shop), data={"count": "5", "key": "key-2"})
    codes = sent_back(page)["codes"].split()
    assert (200, 5, 35, set()) == (page.status_code, len(codes), how_many(shop), set(first) & set(codes))
    wrong = office.post(group_path(shop), data={"count": "many", "key": "key-3"})
    assert (422, 35) == (wrong.status_code, how_many(shop))


def test_a_manager_blocks_unblocks_and_takes_the_codes_back(office: FlaskClient, shop: Shop) -> None:
    make(office)
    path = group_path(shop)
    seen = []
    for act, form in (("block", {}), ("unblock", {}), ("withdraw", {"made_at": NOON.isoformat()})):
        answer = office.post(f"{path}/{act}", data=form)
        assert (303, path) == (answer.status_code, answer.location)
        seen.append(plain(office.get(path)))
    assert "Codes blocked €375.00 30 codes" in seen[0]
    assert "30 codes are blocked." in seen[0]
    assert "Can be used €375.00 30 codes" in seen[1]
    assert "Taken back €375.00 30 codes" in seen[2]


@pytest.mark.parametrize("made_at", ["yesterday", "2027-03-01T10:00:00"])
def test_a_making_that_is_no_moment_is_not_taken_back(office: FlaskClient, shop: Shop, made_at: str) -> None:
    make(office)
    answer = office.post(f"{group_path(shop)}/withdraw", data={"made_at": made_at})
    assert (400, True) == (answer.status_code, "Can be used €375.00 30 codes" in plain(office.get(group_path(shop))))


def test_a_marketer_makes_codes_only_with_the_right_and_never_takes_them_back(sign_in: SignIn, shop: Shop) -> None:
    office = sign_in(Role.MARKETER)
    assert "Make the codes" not in office.get("/office/code-groups").text
    assert (403, 0) == (make(office).status_code, how_many(shop))
    person = shop.people[Role.MARKETER]
    form = {"name": "Max", "login": person.login, "role": "marketer", "language": "en", "active": "on"}
    staff.save(shop.ctx, shop.owner, form | {"may_grant_credit": "on"}, person.id)
    assert "Make the codes" in office.get("/office/code-groups").text
    assert (200, 30) == (make(office).status_code, how_many(shop))
    page = office.get(group_path(shop)).text
    assert ("More codes" in page, "Take all codes back" in page) == (True, False)
    assert [403] * 3 == [
        office.post(f"{group_path(shop)}/{act}").status_code for act in ("block", "unblock", "withdraw")
    ]


def test_a_cashier_has_no_such_page(sign_in: SignIn, shop: Shop) -> None:
    assert 403 == sign_in(Role.CASHIER).get("/office/code-groups").status_code


def test_a_coupon_pays_at_the_till_and_its_use_is_undone_by_a_manager(
    office: FlaskClient, sign_in: SignIn, shop: Shop
) -> None:
    code = sent_back(make(office))["codes"].split()[0]
    till = sign_in(Role.CASHIER)
    found = till.post("/till/find", data={"code": code}, follow_redirects=True)
    assert "Credit: €12.50 Staff of Acme Last day: 31 March 2027" in plain(found)
    form = {"code": code, "amount": "10", "key": "key-2"}
    assert "Take €10.00 off the bill" in plain(till.post("/till/credit/use", data=form, follow_redirects=True))
    assert "Used: €10.00" in plain(office.get("/office/code-groups"))
    form |= {"amount": "1", "key": "key-3"}
    page = office.post("/till/credit/use", data=form, follow_redirects=True)
    act = re.findall(r'name="operation_id" value="([^"]+)"', page.text)[0]
    assert "Used: €11.00" in plain(office.get("/office/code-groups"))
    office.post("/till/undo", data={"operation_id": act, "key": "key-4"})
    assert "Used: €10.00" in plain(office.get("/office/code-groups"))
