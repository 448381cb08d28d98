"""The Twilio stand-in behaves as Twilio does, seen through our own adapter, signatures and TwiML."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest
import requests

from sandbox.twilio import FILE, TwilioSandbox
from sandbox.twilio_server import Reply, Request, Server
from sms.delivery_states import State, later
from sms.provider import Accepted, OutgoingMessage, SmsError
from sms.provider_line import ProviderLine
from sms.twilio import TwilioProvider
from sms.twilio_errors import reason
from sms.twilio_webhooks import TWIML_TYPE, WebhookKeys, inbound, status_report, twiml

ALICE = "+358401234567"


class App:
    """Stands where Leima will: keeps what Twilio posts, and answers messages with what the test says."""

    def __init__(self) -> None:
        self.posted: list[Request] = []
        self.reply = Reply(200, twiml(), {"Content-Type": TWIML_TYPE})
        self.server = Server(0, self._answer)
        self.server.start()
        self.url = self.server.url

    def _answer(self, request: Request) -> Reply:
        self.posted.append(request)
        return self.reply

    def replies(self, *texts: str) -> None:
        self.reply = Reply(200, twiml(*texts), {"Content-Type": TWIML_TYPE})

    def reports(self) -> list[Request]:
        return [request for request in self.posted if request.path.startswith("/status/")]


@pytest.fixture
def app() -> Iterator[App]:
    app = App()
    yield app
    app.server.stop()


@pytest.fixture
def twilio(tmp_path: Path, app: App) -> Iterator[TwilioSandbox]:
    with TwilioSandbox(tmp_path, inbound_url=f"{app.url}/inbound") as twilio:
        yield twilio


def provider(twilio: TwilioSandbox, app: App, **given: object) -> TwilioProvider:
    token = str(given.get("token", twilio.auth_token))
    return TwilioProvider(
        twilio.account,
        (twilio.account, token),
        str(given.get("sender", twilio.service)),
        status_callback=lambda reference: f"{app.url}/status/{reference}",
        line=ProviderLine(str(twilio.ca_file), answer_seconds=2),
        base_url=twilio.url,
    )


@pytest.fixture
def send(twilio: TwilioSandbox, app: App) -> Callable[..., Accepted]:
    made = provider(twilio, app)
    return lambda to=ALICE, body="Hi", reference="row-1", sender=None: made.send(
        OutgoingMessage(to=to, body=body, reference=reference, sender=sender)
    )


def _eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it did not happen within ten seconds"
        time.sleep(0.01)


def _signed(request: Request, url: str, keys: WebhookKeys) -> bool:
    headers = request.headers
    signature, settings = headers.get("x-twilio-signature"), headers.get("x-twilio-webhooks-signature-settings")
    return keys.signed(url + request.path, request.form, signature, settings)


def test_reports_are_signed_shuffled_and_repeated_and_lead_to_the_true_end(
    twilio: TwilioSandbox, app: App, send: Callable[..., Accepted]
) -> None:
    sids = {f"row-{number}": send(reference=f"row-{number}").provider_id for number in range(12)}
    twilio.poster.stop()  # which posts what waits
    orders: set[tuple[str, ...]] = set()
    for reference, sid in sids.items():
        posted = [request for request in app.reports() if request.path == f"/status/{reference}"]
        assert all(_signed(request, app.url, WebhookKeys(twilio.auth_token)) for request in posted)
        reports = [status_report(request.form) for request in posted]
        assert {sid} == {report.message_sid for report in reports}
        assert {"sending", "sent", "delivered"} == {report.status for report in reports}
        assert len(reports) > 3
        state = State.SENDING
        for report in reports:
            assert report.state is not None
            state = later(state, report.state)
        assert State.DELIVERED == state
        orders.add(tuple(dict.fromkeys(report.status for report in reports)))
    assert len(orders) > 2


def test_reports_may_come_before_the_answer_to_the_send(
    twilio: TwilioSandbox, app: App, send: Callable[..., Accepted]
) -> None:
    accepted = send("+358401200200")
    assert {accepted.provider_id} == {status_report(request.form).message_sid for request in app.reports()}


@pytest.mark.parametrize("code", ["30003", "30004", "30005", "30006", "30007", "30008", "30001", "30450"])
def test_a_number_may_be_undeliverable(
    twilio: TwilioSandbox, app: App, send: Callable[..., Accepted], code: str
) -> None:
    send(f"+3584012{code}")
    twilio.poster.stop()
    ends = [report for request in app.reports() if (report := status_report(request.form)).error_code]
    assert {code} == {report.error_code for report in ends}
    assert {reason(code)} == {report.reason for report in ends}
    assert {report.state for report in ends} <= {State.UNDELIVERED, State.FAILED}


@pytest.mark.parametrize(
    ("code", "expected", "permanent", "stop"),
    [
        ("21211", "unknown-number", True, False),
        ("21408", "country", True, False),
        ("21610", "opted-out", True, False),
        ("21611", "busy", False, False),
        ("21614", "no-sms", True, False),
        ("20003", "account", False, True),
        ("20429", "busy", False, False),
    ],
)
def test_a_number_may_be_refused(
    twilio: TwilioSandbox, send: Callable[..., Accepted], code: str, expected: str, permanent: bool, stop: bool
) -> None:
    with pytest.raises(SmsError) as caught:
        send(f"+3584012{code}")
    error = caught.value
    assert (code, expected, permanent, stop, False) == (
        error.code,
        error.reason,
        error.permanent,
        error.stop,
        error.unknown,
    )
    assert [] == twilio.messages.all


def test_a_wrong_password_stops_everything(twilio: TwilioSandbox, app: App) -> None:
    with pytest.raises(SmsError) as caught:
        provider(twilio, app, token="wrong").send(OutgoingMessage(to=ALICE, body="Hi", reference="1"))
    assert ("20003", True, False) == (caught.value.code, caught.value.stop, caught.value.permanent)


@pytest.mark.parametrize(
    ("sender", "body", "code"),
    [("+358501112223", "Hi", "21606"), (f"MG{32 * '0'}", "Hi", "21705"), (None, "x" * 1601, "21617")],
)
def test_it_checks_what_is_sent(twilio: TwilioSandbox, app: App, sender: str | None, body: str, code: str) -> None:
    with pytest.raises(SmsError) as caught:
        provider(twilio, app, sender=sender or twilio.service).send(OutgoingMessage(to=ALICE, body=body, reference="1"))
    assert code == caught.value.code


def test_a_line_that_does_not_trust_the_certificate_sends_nothing(twilio: TwilioSandbox) -> None:
    account = (twilio.account, twilio.auth_token)
    stranger = TwilioProvider(twilio.account, account, twilio.number, base_url=twilio.url)
    with pytest.raises(SmsError) as caught:
        stranger.send(OutgoingMessage(to=ALICE, body="Hi", reference="1"))
    assert (False, False, []) == (caught.value.unknown, caught.value.permanent, twilio.messages.all)


@pytest.mark.parametrize(
    "answer",
    ["", "<html>", "null", "[]", "{}", '"x"', '{"sid": null}', '{"sid": 5}', '{"sid": {}, "date_created": 7}'],
)
def test_a_yes_that_cannot_be_read_leaves_the_outcome_unknown(app: App, answer: str) -> None:
    app.reply = Reply(201, answer)
    made = TwilioProvider("AC1", ("AC1", "x"), "LEIMA", base_url=app.url)
    with pytest.raises(SmsError) as caught:
        made.send(OutgoingMessage(to=ALICE, body="Hi", reference="1"))
    assert caught.value.unknown


@pytest.mark.parametrize("status", [200, 408, 500, 503])
@pytest.mark.parametrize("answer", ["", "<html>", "null", "[]", "{}", '{"messages": 5}', '{"messages": [5]}'])
def test_a_list_that_cannot_be_read_is_an_error_and_no_empty_list(app: App, status: int, answer: str) -> None:
    app.reply = Reply(status, answer)
    made = TwilioProvider("AC1", ("AC1", "x"), "LEIMA", base_url=app.url)
    with pytest.raises(SmsError) as caught:
        made.find(ALICE, datetime.now(UTC))
    assert not caught.value.unknown


def test_a_service_counts_parts_later_and_a_number_at_once(twilio: TwilioSandbox, app: App) -> None:
    message = OutgoingMessage(to=ALICE, body="ж" * 71, reference="1")
    parts = [provider(twilio, app, sender=one).send(message).parts for one in (twilio.service, twilio.number)]
    assert [None, 2] == parts


def test_faults_on_demand_hit_as_many_messages_as_asked(twilio: TwilioSandbox, send: Callable[..., Accepted]) -> None:
    control = f"{twilio.control_url}/control"
    requests.post(f"{control}/faults", json={"kind": "429", "count": 2}, timeout=5).raise_for_status()
    requests.post(f"{control}/faults", json={"kind": "refuse-503", "to": "+358409999999"}, timeout=5)
    for _ in range(2):
        with pytest.raises(SmsError) as caught:
            send()
        assert ("20429", 1.0) == (caught.value.code, caught.value.retry_after)
    assert send().provider_id
    assert 400 == requests.post(f"{control}/faults", json={"kind": "magic"}, timeout=5).status_code
    assert ["+358401234567"] == [message.to for message in twilio.messages.all]


def test_a_text_to_the_shop_is_signed_and_its_answer_comes_back(twilio: TwilioSandbox, app: App) -> None:
    app.replies("Your card: https://leima.example/c/1?a=1&b=2", "Tervetuloa ☕")
    heard = twilio.poster.text(ALICE, "کد ۴۸۲۱۳")
    [request] = app.posted
    assert _signed(request, app.url, WebhookKeys(twilio.auth_token))
    message = inbound(request.form)
    assert (heard["sid"], ALICE, twilio.number, "کد ۴۸۲۱۳", None) == (
        message.message_sid,
        message.sender,
        message.to,
        message.body,
        message.opt_out,
    )
    shown = requests.get(f"{twilio.control_url}/control/phones/{ALICE}", timeout=5).json()["messages"]
    expected = ["کد ۴۸۲۱۳", "Your card: https://leima.example/c/1?a=1&b=2", "Tervetuloa ☕"]
    assert expected == [message["body"] for message in shown]


def test_webhooks_may_be_signed_with_a_shared_key(tmp_path: Path, app: App) -> None:
    with TwilioSandbox(tmp_path, inbound_url=f"{app.url}/inbound", shared_key=True) as twilio:
        twilio.poster.text(ALICE, "Hi")
    assert _signed(app.posted[0], app.url, WebhookKeys(None, {twilio.key_id: twilio.key_secret}))
    assert not _signed(app.posted[0], app.url, WebhookKeys(twilio.auth_token))


def test_who_texts_stop_gets_nothing_more_until_start(
    twilio: TwilioSandbox, app: App, send: Callable[..., Accepted]
) -> None:
    app.replies("We are sorry to see you go.")
    twilio.poster.text(ALICE, " Stop ")
    assert "stop" == inbound(app.posted[0].form).opt_out
    with pytest.raises(SmsError) as caught:
        send()
    assert caught.value.opted_out
    app.replies()
    twilio.poster.text(ALICE, "START")
    assert send().provider_id
    bodies = [message.body for message in twilio.messages.of(ALICE)]
    assert [" Stop ", "START", "Hi"] == [bodies[0], bodies[2], bodies[4]]
    assert "We are sorry to see you go." not in bodies


@pytest.mark.parametrize(
    ("status", "text", "kind", "error"),
    [
        (500, "", "text/html", "11200"),
        (403, "", "text/html", "11200"),
        (200, "Hi", "text/html", "12300"),
        (200, "<Response><Message>", "text/xml", "12100"),
        (200, "<Answer/>", "text/xml", "12102"),
        (204, "", "text/xml", None),
    ],
)
def test_a_bad_answer_reaches_nobody_and_is_told(
    twilio: TwilioSandbox, app: App, status: int, text: str, kind: str, error: str | None
) -> None:
    app.reply = Reply(status, text, {"Content-Type": kind})
    heard = requests.post(f"{twilio.control_url}/control/inbound", json={"from": ALICE, "body": "Hi"}, timeout=5).json()
    assert (status, [], error) == (heard["status"], heard["replies"], heard["error"])
    assert ["Hi"] == [message.body for message in twilio.messages.of(ALICE)]


def test_a_webhook_can_be_replayed_as_it_was(twilio: TwilioSandbox, app: App) -> None:
    twilio.poster.text(ALICE, "Hi")
    requests.post(f"{twilio.control_url}/control/repeat", json={}, timeout=5).raise_for_status()
    first, again = app.posted
    assert first.form == again.form
    assert first.headers["x-twilio-signature"] == again.headers["x-twilio-signature"]


def test_phones_hear_of_a_message_at_once(twilio: TwilioSandbox, send: Callable[..., Accepted]) -> None:
    heard: list[dict[str, object]] = []

    def wait() -> None:
        url = f"{twilio.control_url}/control/messages"
        heard.append(requests.get(url, params={"since": "0", "timeout": "10"}, timeout=15).json())

    thread = Thread(target=wait)
    thread.start()
    started = time.monotonic()
    send(body="Your card: https://leima.example/c/1")
    thread.join(10)
    assert time.monotonic() - started < 5
    [message] = heard[0]["messages"]
    assert (1, "Your card: https://leima.example/c/1", ALICE) == (heard[0]["last"], message["body"], message["to"])


def test_messages_are_listed_by_number_and_date_in_pages(twilio: TwilioSandbox, send: Callable[..., Accepted]) -> None:
    sids = [send().provider_id for _ in range(5)]
    send("+358401112223")
    _eventually(lambda: all(message.sent_at for message in twilio.messages.all))
    with closing(requests.Session()) as session:
        session.auth, session.verify, session.trust_env = (
            (twilio.account, twilio.auth_token),
            str(twilio.ca_file),
            False,
        )
        page = f"/2010-04-01/Accounts/{twilio.account}/Messages.json?PageSize=2&To=%2B358401234567"
        listed: list[str] = []
        while page:
            content = session.get(twilio.url + page, timeout=5).json()
            listed += [message["sid"] for message in content["messages"]]
            page = content["next_page_uri"]
        assert sids[::-1] == listed
        url = f"{twilio.url}/2010-04-01/Accounts/{twilio.account}/Messages.json"
        today = datetime.now(UTC).date().isoformat()
        for query, count in (({"DateSent": today}, 6), ({"DateSent>": today}, 6), ({"DateSent>": "2100-01-01"}, 0)):
            assert count == len(session.get(url, params=query, timeout=5).json()["messages"])
        one = session.get(f"{url.removesuffix('.json')}/{sids[0]}.json", timeout=5).json()
        assert (sids[0], "Hi", "1") == (one["sid"], one["body"], one["num_segments"])
        assert 404 == session.get(f"{url.removesuffix('.json')}/SM0.json", timeout=5).status_code


def test_the_account_stays_the_same_when_it_starts_again(tmp_path: Path) -> None:
    first, again = TwilioSandbox(tmp_path), TwilioSandbox(tmp_path)
    for sandbox in (first, again):
        sandbox.start()
        sandbox.stop()
    assert (first.account, first.auth_token, first.service) == (again.account, again.auth_token, again.service)


def test_it_runs_as_a_process_but_never_for_production(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox.twilio", "--folder", str(tmp_path)]
    refused = subprocess.run(command, env={**os.environ, "LEIMA_ENV": "production"}, capture_output=True, timeout=60)
    assert (2, b"not for production") == (refused.returncode, refused.stderr[15:33])
    with subprocess.Popen(command, env={**os.environ, "LEIMA_ENV": "test"}, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().decode().strip()
            told = json.loads((tmp_path / FILE).read_text("utf-8"))
            assert url == told["base_url"]
            answer = requests.get(f"{told['control_url']}messages", timeout=5)
            assert {"last": 0, "messages": []} == answer.json()
        finally:
            process.terminate()
        assert 0 == process.wait(10)
