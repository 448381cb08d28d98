"""What the generic gateway asks, and what it makes of the answers that panels give."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.twilio_server import Reply, Request, Server
from sms.gateway import GatewayProvider
from sms.gateway_settings import settings_from
from sms.provider import OutgoingMessage, SmsError

ALICE = "+358401234567"
FIELDS = {"to": "{to}", "text": "{body}"}


class Panel:
    """A gateway that keeps what it was asked and answers what the test says."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.reply = Reply(200, {"status": "ok", "id": 42})
        self.server = Server(0, self._answer)
        self.server.start()

    def _answer(self, request: Request) -> Reply:
        self.asked.append(request)
        return self.reply

    def send(self, body: str = "Hi", **settings: Any) -> str:
        made = {"name": "panel", "url": f"{self.server.url}/send", "fields": FIELDS, **settings}
        provider = GatewayProvider(settings_from(json.dumps(made)), status_callback="https://leima.example/{reference}")
        return provider.send(OutgoingMessage(to=ALICE, body=body, reference="row 1")).provider_id

    def refuses(self, **settings: Any) -> SmsError:
        with pytest.raises(SmsError) as caught:
            self.send(**settings)
        return caught.value


@pytest.fixture
def panel() -> Iterator[Panel]:
    panel = Panel()
    yield panel
    panel.server.stop()


def test_a_form_carries_any_text_unharmed(panel: Panel) -> None:
    body = 'کارت & "x"={to} %20 {reference}\n+€'
    panel.send(body)
    assert {"to": ALICE, "text": body} == panel.asked[0].form


def test_json_keeps_its_shape_and_any_text_unharmed(panel: Panel) -> None:
    body = '"}], {to} \\ ☕'
    fields = {"messages": [{"to": ["{to_digits}"], "text": "{body}"}], "flash": False, "ref": "{reference}"}
    panel.send(body, encoding="json", fields=fields)
    expected = {"messages": [{"to": ["358401234567"], "text": body}], "flash": False, "ref": "row 1"}
    assert expected == panel.asked[0].json
    assert "application/json" == panel.asked[0].headers["content-type"]


def test_a_get_request_carries_everything_in_its_query(panel: Panel) -> None:
    panel.send("a&b=c ☕", method="GET", encoding="query", sender="LEIMA", fields={**FIELDS, "from": "{sender}"})
    assert ("GET", {"to": ALICE, "text": "a&b=c ☕", "from": "LEIMA"}) == (panel.asked[0].method, panel.asked[0].query)


def test_what_goes_into_the_path_cannot_leave_its_place(panel: Panel) -> None:
    panel.send("../../x?y=#", url=f"{panel.server.url}/send/{{to}}/{{body}}", fields={})
    assert "/send/%2B358401234567/..%2F..%2Fx%3Fy%3D%23" == panel.asked[0].path


def test_a_message_may_name_its_sender_and_the_callback_names_the_message(panel: Panel) -> None:
    fields = {**FIELDS, "from": "{sender}", "report": "{status_callback}"}
    given = {"name": "panel", "url": f"{panel.server.url}/send", "fields": fields, "sender": "LEIMA"}
    provider = GatewayProvider(settings_from(json.dumps(given)), status_callback="https://leima.example/{reference}")
    for sender in (None, "+358501112223"):
        provider.send(OutgoingMessage(to=ALICE, body="Hi", reference="row 1", sender=sender))
    assert ["LEIMA", "+358501112223"] == [request.form["from"] for request in panel.asked]
    assert "https://leima.example/row%201" == panel.asked[0].form["report"]


def test_it_shows_its_credentials_as_the_gateway_wants_them(panel: Panel) -> None:
    panel.send(auth={"kind": "header", "name": "X-Api-Key", "value": "s3cret"}, headers={"X-Shop": "leima"})
    panel.send(auth={"kind": "basic", "name": "alice", "value": "pässword"})
    panel.send(auth={"kind": "query", "name": "key", "value": "s3&cret"})
    header, basic, query = panel.asked
    assert ("s3cret", "leima") == (header.headers["x-api-key"], header.headers["x-shop"])
    assert "Basic " + base64.b64encode("alice:pässword".encode()).decode() == basic.headers["authorization"]
    assert {"key": "s3&cret"} == query.query


def test_the_id_is_found_in_json_or_by_a_pattern(panel: Panel) -> None:
    assert "42" == panel.send(id={"json": "id"})
    panel.reply = Reply(200, "OK: msg-77\n", {"Content-Type": "text/plain"})
    assert "msg-77" == panel.send(id={"pattern": r"OK: (\S+)"}, success={"pattern": "^OK"})


def test_a_message_taken_without_an_id_gets_one_of_ours(panel: Panel) -> None:
    assert panel.send(id={"json": "nothing.here"}).startswith("panel-")


def test_a_200_that_says_error_is_what_it_says(panel: Panel) -> None:
    panel.reply = Reply(200, "ERR 305 no credit", {"Content-Type": "text/plain"})
    error = panel.refuses(errors=[{"pattern": r"^ERR (305)", "reason": "account"}])
    assert ("305", "account", True, False) == (error.code, error.reason, error.stop, error.unknown)


def test_a_200_that_nobody_has_described_leaves_the_outcome_unknown(panel: Panel) -> None:
    panel.reply = Reply(200, "Momentan leider", {"Content-Type": "text/plain"})
    error = panel.refuses(success={"pattern": "^OK"})
    assert ("http_200", True) == (error.code, error.unknown)


@pytest.mark.parametrize(
    ("status", "reason", "permanent", "unknown", "stop"),
    [
        (302, "settings", False, False, True),
        (400, "unknown", True, False, False),
        (401, "account", False, False, True),
        (402, "account", False, False, True),
        (403, "account", False, False, True),
        (404, "settings", False, False, True),
        (408, "no-answer", False, True, False),
        (422, "unknown", True, False, False),
        (429, "busy", False, False, False),
        (500, "no-answer", False, True, False),
        (503, "no-answer", False, True, False),
    ],
)
def test_a_status_says_what_became_of_the_message(
    panel: Panel, status: int, reason: str, permanent: bool, unknown: bool, stop: bool
) -> None:
    panel.reply = Reply(status, {})
    error = panel.refuses()
    assert (reason, permanent, unknown, stop) == (error.reason, error.permanent, error.unknown, error.stop)
    assert 1 == len(panel.asked)


def test_a_rule_may_name_a_status_and_a_place(panel: Panel) -> None:
    panel.reply = Reply(400, {"error": {"code": 21}})
    rules = [
        {"status": 401, "json": "error.code", "reason": "account"},
        {"status": 400, "json": "error.code", "pattern": "^(21|22)$", "reason": "opted-out"},
    ]
    error = panel.refuses(errors=rules)
    assert ("21", True, True) == (error.code, error.opted_out, error.permanent)
