"""The office pages for an old register: from the file to its people, and who may do that."""

import csv
import io
import re
from collections.abc import Callable
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.db.delivery import Channel
from app.db.people import Role
from app.jobs import tasks as task_job
from app.services import outbox, register_columns, register_file, register_import, stamp_cards
from tests.factories import Shop

FILE = "Phone;Name;SMS marketing\n0401231000;Anna;yes\n040;Bo;no\n0401231002;=1+1;no\n"


@pytest.fixture
def browser(sign_in: Callable[[Role], FlaskClient]) -> FlaskClient:
    return sign_in(Role.MANAGER)


def send(browser: FlaskClient, data: bytes, **form: str) -> TestResponse:
    name = 'Content-Disposition: form-data; name="{}"'
    parts = [f"--x\r\n{name.format(field)}\r\n\r\n{value}\r\n".encode() for field, value in form.items()]
    parts.append(
        f'--x\r\n{name.format("file")}; filename="old register.csv"\r\n\r\n'.encode() + data + b"\r\n--x--\r\n"
    )
    return browser.post("/office/register", data=b"".join(parts), content_type="multipart/form-data; boundary=x")


def work(shop: Shop) -> None:
    while rows := outbox.claim(shop.ctx, Channel.TASK, 1):
        outbox.told(shop.ctx, [outcome.row for outcome in task_job.work(shop.ctx, rows)])


def test_a_manager_brings_a_register(shop: Shop, browser: FlaskClient) -> None:
    assert "/office/register" in browser.get("/office/members").text
    sent = send(browser, FILE.encode())
    assert 303 == sent.status_code
    page = browser.get(sent.location).text
    assert "<progress" in page
    assert 200 == browser.get(f"{sent.location}/state").status_code
    work(shop)
    assert 204 == browser.get(f"{sent.location}/state").status_code
    page = browser.get(sent.location).text
    assert "Import 2 people" in page
    assert "Row 3" in page
    assert "1 person has agreed to offers by SMS" in page
    started = browser.post(f"{sent.location}/start", data={"may_offer": "on", "wording": "Paper form of 2020"})
    assert 303 == started.status_code
    work(shop)
    assert "Have joined" in browser.get(sent.location).text
    assert "2 have joined" in browser.get("/office/register").text
    assert "Anna" in browser.get("/office/members").text


def test_what_was_forgotten_is_said_at_its_field(shop: Shop, browser: FlaskClient) -> None:
    location = send(browser, FILE.encode()).location
    work(shop)
    answer = browser.post(f"{location}/start", data={"invite": "on", "may_offer": "on", "wording": ""})
    assert 422 == answer.status_code
    assert 'aria-describedby="may_invite-error"' in answer.text
    assert 'aria-describedby="wording-error"' in answer.text


def test_columns_from_which_nothing_is_taken_are_named(shop: Shop, browser: FlaskClient) -> None:
    said = "Nothing is taken from these columns"
    address = send(browser, b"Phone;Name;Shoe size;Dog\n0401112223;Jaana;450;38\n").location
    work(shop)
    assert f"{said}: Shoe size, Dog." in browser.get(address).text
    address = send(browser, b"Phone;Name\n0401112224;Olli\n").location
    work(shop)
    assert said not in browser.get(address).text


def test_columns_can_be_chosen_by_hand(shop: Shop, browser: FlaskClient) -> None:
    location = send(browser, b"a;b\nAnna;0401231000\n").location
    assert "Choose at least the column with the phone numbers" in browser.get(location).text
    wrong = browser.post(f"{location}/columns", data={"column_0": "name"})
    assert (422, True) == (wrong.status_code, "Choose the column that holds the phone numbers." in wrong.text)
    twice = browser.post(f"{location}/columns", data={"column_0": "phone", "column_1": "phone"})
    assert (422, True) == (twice.status_code, 'id="column_1-error"' in twice.text)
    browser.post(f"{location}/columns", data={"column_0": "name", "column_1": "phone"})
    work(shop)
    assert "Import 1 person" in browser.get(location).text


def test_a_file_that_cannot_be_read_is_refused_with_advice(browser: FlaskClient) -> None:
    for data, words in ((b"PK\x03\x04", "Save it there as CSV"), (b"phone\n", "nobody"), (b"", "table")):
        answer = send(browser, data)
        assert (422, True) == (answer.status_code, words in answer.text)
    nothing = browser.post("/office/register", data={})
    assert (422, True) == (nothing.status_code, "Choose the file first." in nothing.text)


def test_a_large_file_is_taken_and_a_larger_one_refused(browser: FlaskClient) -> None:
    row = b"0401231000;" + b"x" * 1000 + b"\n"
    assert 303 == send(browser, b"phone;name\n" + row * 8000).status_code
    assert 413 == send(browser, b"x" * (register_file.MOST_BYTES + 200_000)).status_code


def test_a_file_in_an_old_code_page_is_read_and_the_page_says_so(shop: Shop, browser: FlaskClient) -> None:
    location = send(browser, "Nimi;Puhelin\nPäivi;0401231000\n".encode("cp1252")).location
    work(shop)
    page = browser.get(location).text
    assert "Windows, Western European" in page
    assert "Päivi" in page
    location = send(browser, "Nimi;Puhelin\nИван;0401231000\n".encode("cp1251"), encoding="cp1251").location
    work(shop)
    assert "Иван" in browser.get(location).text


def test_mistakes_are_downloaded_without_formulas(shop: Shop, browser: FlaskClient) -> None:
    location = send(browser, b"=cmd()|phone;Phone\nx;040\n").location
    browser.post(f"{location}/columns", data={"column_0": "email", "column_1": "phone"})
    work(shop)
    answer = browser.get(f"{location}/mistakes.csv")
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [["2", "Phone"], ["2", "'=cmd()|phone"]] == [row[:2] for row in rows[1:]]
    assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("language", ["en", "fi", "ru", "fa"])
def test_the_example_is_a_register_that_leima_reads(shop: Shop, browser: FlaskClient, language: str) -> None:
    example = browser.get(f"/office/register/sample.csv?lang={language}").data
    location = send(browser, example).location
    work(shop)
    view = register_import.get(shop.ctx, shop.owner, UUID(location.rsplit("/", 1)[1]))
    assert set(register_columns.FIELDS) == set(view.columns)
    assert (1, []) == (view.joined, view.errors)


def test_the_example_and_the_columns_name_further_stamp_cards(shop: Shop, browser: FlaskClient) -> None:
    stamp_cards.save_first(shop.ctx, shop.owner, {"name": "Coffee"})
    form = {"name": "Lunch", "stamps_needed": "8", "reward_name": "Free lunch"}
    lunch = stamp_cards.save(shop.ctx, shop.owner, form)
    location = send(browser, browser.get("/office/register/sample.csv").data).location
    work(shop)
    view = register_import.get(shop.ctx, shop.owner, UUID(location.rsplit("/", 1)[1]))
    assert (1, []) == (view.joined, view.errors)
    assert set(register_columns.FIELDS) | {f"stamps:{lunch}"} == set(view.columns)
    page = browser.get(location).text
    assert f'<option value="stamps:{lunch}" selected>Stamps: Lunch</option>' in page
    assert '<option value="stamps" selected>Stamps: Coffee</option>' in page


def test_forgetting_a_file_leaves_nothing_of_it(shop: Shop, browser: FlaskClient) -> None:
    location = send(browser, FILE.encode()).location
    work(shop)
    browser.post(f"{location}/stop")
    page = browser.get(location).text
    assert "Stopped" in page
    assert "Anna" not in page
    assert not re.search(r'action="[^"]*/start"', page)


def test_only_managers_bring_registers(shop: Shop, sign_in: Callable[[Role], FlaskClient]) -> None:
    browser = sign_in(Role.MARKETER)
    assert 403 == browser.get("/office/register").status_code
    assert 403 == send(browser, FILE.encode()).status_code
    assert "/office/register" not in browser.get("/office/members").text
