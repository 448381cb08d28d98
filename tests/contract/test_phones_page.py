"""The page of pretend phones: for people with and without JavaScript, and for programs that ask for JSON."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.runner import Sandbox
from tests.pass_samples import root_pem
from tests.tiny_pass_service import TinyPassService, serving, stamps

JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html"}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    service = TinyPassService()
    service.put("alice", **stamps(3))
    with serving(service) as (host, port), Sandbox(tmp_path, f"http://{host}:{port}", 0, [root_pem()]) as running:
        service.base = running.proxy.url
        yield running


@pytest.fixture
def browser(sandbox: Sandbox) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def added(sandbox: Sandbox, browser: requests.Session, **more: Any) -> str:
    form = {"kind": "iphone", "address": "http://localhost:8400/c/alice", **more}
    answer = browser.post(sandbox.phones_url, data=form, headers=JSON, timeout=10)
    assert 200 == answer.status_code, answer.text
    return str(answer.json()["id"])


def told(sandbox: Sandbox, browser: requests.Session, phone: str) -> dict[str, Any]:
    found: dict[str, Any] = browser.get(f"{sandbox.phones_url}/{phone}", headers=JSON, timeout=10).json()
    return found


def test_a_program_adds_a_phone_and_reads_its_card(sandbox, browser):
    phone = told(sandbox, browser, added(sandbox, browser, language="fa"))
    [card] = phone["cards"]
    assert ("iphone", "fa", True, "alice") == (phone["kind"], phone["language"], phone["on"], card["id"])
    assert {"key": "stamps", "label": "مهرها", "value": "3/10"} == card["groups"]["header"][0]
    assert ["added", "registered"] == [event["kind"] for event in phone["log"]]


def test_the_page_draws_the_card_with_its_pictures(sandbox, browser):
    phone = added(sandbox, browser)
    page = browser.get(sandbox.phones_url, headers=HTML, timeout=10)
    assert 200 == page.status_code
    assert "Kahvila Äijä" in page.text
    picture = told(sandbox, browser, phone)["cards"][0]["strip"]
    answer = browser.get(f"{sandbox.phones_url.partition('/sandbox')[0]}{picture}", timeout=10)
    assert (200, "image/png") == (answer.status_code, answer.headers["Content-Type"])
    assert b"\x89PNG" == answer.content[:4]


def test_buttons_work_without_javascript(sandbox, browser):
    form = {"kind": "iphone", "address": "/c/alice"}
    page = browser.post(sandbox.phones_url, data=form, headers=HTML, timeout=10)
    assert [303] == [answer.status_code for answer in page.history]
    [stand] = sandbox.shelf.stands.values()
    for act in ("off", "on", "language", "refresh", "remove-card", "add-card"):
        done = browser.post(f"{sandbox.phones_url}/{stand.id}/{act}", headers=HTML, timeout=10)
        assert 200 == done.status_code, act
    assert ["alice"] == stand.card_ids
    browser.post(f"{sandbox.phones_url}/{stand.id}/throw-away", timeout=10)
    assert {} == sandbox.shelf.stands


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://localhost:8400/join/kulma", "This is not the address of a card"),
        ("/c/nobody", "This pass cannot be added: Its address answered 404."),
    ],
)
def test_a_card_that_cannot_be_added_is_explained(sandbox, browser, address, told):
    for headers in (JSON, HTML):
        answer = browser.post(sandbox.phones_url, data={"address": address}, headers=headers, timeout=10)
        assert 422 == answer.status_code
        assert told in answer.text
    assert {} == sandbox.shelf.stands


def test_other_sites_can_neither_move_phones_nor_frame_the_page(sandbox, browser):
    for origin in ("https://evil.example", "null"):
        answer = browser.post(sandbox.phones_url, headers={"Origin": origin}, timeout=10)
        assert 403 == answer.status_code
    elsewhere = browser.get(sandbox.phones_url, headers={"Host": "evil.example"}, timeout=10)
    assert 400 == elsewhere.status_code
    policy = browser.get(sandbox.phones_url, timeout=10).headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_faults_are_made_and_ended(sandbox, browser):
    url = sandbox.phones_url.replace("/phones", "/faults")
    browser.post(url, data={"fault": "apple-503", "amount": "3", "unit": "requests"}, timeout=10)
    browser.post(url, data={"fault": "google-429", "amount": "60", "unit": "seconds"}, timeout=10)
    page = browser.post(url, data={"fault": "apple-down", "amount": "60", "unit": "seconds"}, timeout=10)
    assert "Apple 503 for the next 3 requests" in page.text
    assert ["ServiceUnavailable"] == [fault.reason for fault in sandbox.apns.rules.faults]
    page = browser.post(url, data={"end": "1"}, timeout=10)
    assert "Apple 503" not in page.text
    assert [] == sandbox.apns.rules.faults


def test_what_is_not_there_is_not_found(sandbox, browser):
    for path in ("/nobody", "/nobody/pictures/0", "/events/pictures/0"):
        assert 404 == browser.get(f"{sandbox.phones_url}{path}", timeout=10).status_code
    phone = added(sandbox, browser)
    assert 404 == browser.get(f"{sandbox.phones_url}/{phone}/pictures/0", timeout=10).status_code
    assert 404 == browser.post(f"{sandbox.phones_url}/{phone}/explode", timeout=10).status_code
