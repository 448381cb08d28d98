"""Every answer of a push service is understood. Real TLS and HTTP/2, against the stand-in."""

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certs import development
from certs.identity import SigningIdentity
from passes.apple.push import Push, Verdict
from passes.apple.push_auth import CertificateAuth
from passes.apple.push_client import PushClient
from passes.apple.push_connection import Answer, Headers, PushConnection
from sandbox.apns import ApnsSandbox
from sandbox.apns_rules import STATUSES, Fault

TOPIC = "pass.fi.leima.demo"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def identity() -> SigningIdentity:
    return development.make(TOPIC, "LEIMADEMO1", "Leima", now())


@pytest.fixture
def apns(identity: SigningIdentity) -> Iterator[ApnsSandbox]:
    assert identity.root is not None
    with ApnsSandbox([identity.root.public_bytes(Encoding.PEM)]) as sandbox:
        yield sandbox


@pytest.fixture
def client(apns: ApnsSandbox, identity: SigningIdentity) -> Iterator[PushClient]:
    with PushClient(apns.address, auth=CertificateAuth(identity), clock=now, ca_pem=apns.ca_pem) as client:
        yield client


def test_a_push_reaches_the_phone_with_exactly_the_empty_payload(apns: ApnsSandbox, client: PushClient) -> None:
    token = apns.rules.issue(TOPIC)

    [result] = client.send([Push(token, TOPIC, 5)])

    assert Verdict.SENT == result.verdict
    assert 200 == result.status
    assert len("123E4567-E89B-12D3-A456-4266554400A0") == len(result.apns_id)
    [push] = apns.rules.pushes()
    assert (1, token, TOPIC, 5, "{}") == (push.number, push.token, push.topic, push.priority, push.payload)


def test_five_hundred_pushes_in_one_go_arrive_once_each_and_the_results_keep_their_order(
    apns: ApnsSandbox, client: PushClient
) -> None:
    apns.behaviour.max_streams = 100
    tokens = [apns.rules.issue(TOPIC) for _ in range(500)]
    for token in tokens[::7]:
        apns.rules.unregister(token)

    results = client.send([Push(token, TOPIC) for token in tokens])

    assert tokens == [result.push.token for result in results]
    gone = [result.push.token for result in results if result.verdict is Verdict.UNREGISTERED]
    assert tokens[::7] == gone
    assert sorted(set(tokens) - set(gone)) == sorted(push.token for push in apns.rules.pushes())
    assert 1 == apns.connections


def test_one_stream_at_a_time_is_enough(apns: ApnsSandbox, client: PushClient) -> None:
    apns.behaviour.max_streams = 1
    tokens = [apns.rules.issue(TOPIC) for _ in range(20)]

    results = client.send([Push(token, TOPIC) for token in tokens])

    assert [Verdict.SENT] * 20 == [result.verdict for result in results]
    assert tokens == [push.token for push in apns.rules.pushes()]


def test_nothing_to_send_needs_no_connection(apns: ApnsSandbox, client: PushClient) -> None:
    assert [] == client.send([])
    assert 0 == apns.connections


def test_a_phone_that_gave_the_pass_away_says_since_when(apns: ApnsSandbox, client: PushClient) -> None:
    token = apns.rules.issue(TOPIC)
    apns.rules.unregister(token, datetime(2026, 11, 1, 12, 30, 15, 250_000, UTC))

    [result] = client.send([Push(token, TOPIC)])

    assert (Verdict.UNREGISTERED, 410, "Unregistered") == (result.verdict, result.status, result.reason)
    assert datetime(2026, 11, 1, 12, 30, 15, 250_000, UTC) == result.timestamp


@pytest.mark.parametrize("token", ["ab" * 32, "ab" * 20, "not hexadecimal", "", "a/b", "ab\r\nx: y", "ä"])
def test_a_token_that_was_never_issued_is_to_be_forgotten(apns: ApnsSandbox, client: PushClient, token: str) -> None:
    good = apns.rules.issue()

    bad, sent = client.send([Push(token, TOPIC), Push(good, TOPIC)])

    assert (Verdict.BAD_TOKEN, "BadDeviceToken") == (bad.verdict, bad.reason)
    assert Verdict.SENT == sent.verdict


def test_a_token_of_another_pass_type_is_to_be_forgotten(apns: ApnsSandbox, client: PushClient) -> None:
    [result] = client.send([Push(apns.rules.issue("pass.fi.leima.other"), TOPIC)])

    assert (Verdict.BAD_TOKEN, "DeviceTokenNotForTopic") == (result.verdict, result.reason)


def test_a_certificate_pushes_to_its_own_pass_type_only(apns: ApnsSandbox, client: PushClient) -> None:
    [result] = client.send([Push(apns.rules.issue(), "pass.fi.leima.other")])

    assert (Verdict.REFUSED, "TopicDisallowed") == (result.verdict, result.reason)
    assert "own certificate" in result.detail


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("TooManyRequests", Verdict.RETRY),
        ("TooManyProviderTokenUpdates", Verdict.RETRY),
        ("InternalServerError", Verdict.RETRY),
        ("ServiceUnavailable", Verdict.RETRY),
        ("Shutdown", Verdict.RETRY),
        ("ExpiredToken", Verdict.UNREGISTERED),
        ("Unregistered", Verdict.UNREGISTERED),
        ("BadDeviceToken", Verdict.BAD_TOKEN),
        ("ExpiredProviderToken", Verdict.REFUSED),
        ("InvalidProviderToken", Verdict.REFUSED),
        ("BadCertificate", Verdict.REFUSED),
        ("BadTopic", Verdict.REFUSED),
        ("PayloadTooLarge", Verdict.REFUSED),
        ("MethodNotAllowed", Verdict.REFUSED),
    ],
)
def test_each_reason_has_its_verdict(apns: ApnsSandbox, client: PushClient, reason: str, expected: Verdict) -> None:
    token = apns.rules.issue()
    apns.rules.add_fault(Fault(reason, token=token, count=1))

    [first] = client.send([Push(token, TOPIC)])
    [second] = client.send([Push(token, TOPIC)])

    assert (expected, STATUSES[reason], reason) == (first.verdict, first.status, first.reason)
    assert (expected is Verdict.REFUSED) == bool(first.detail)
    assert Verdict.SENT == second.verdict


def test_half_the_answers_refused_for_now_are_half_the_pushes_to_repeat(apns: ApnsSandbox, client: PushClient) -> None:
    pushes = [Push(apns.rules.issue(), TOPIC) for _ in range(40)]
    apns.rules.add_fault(Fault("ServiceUnavailable", share=0.5, retry_after=7))

    results = client.send(pushes)

    again = [result for result in results if result.verdict is Verdict.RETRY]
    assert 20 == len(again)
    assert {7.0} == {result.retry_after for result in again}
    assert 20 == len(apns.rules.pushes())


@pytest.mark.parametrize(
    ("changes", "body", "reason"),
    [
        ({b":method": b"GET"}, b"{}", "MethodNotAllowed"),
        ({b":path": b"/3/devices/x"}, b"{}", "BadPath"),
        ({b":path": b"/3/device/"}, b"{}", "MissingDeviceToken"),
        ({b"apns-topic": b""}, b"{}", "MissingTopic"),
        ({b"apns-topic": b"a pass"}, b"{}", "BadTopic"),
        ({b"apns-priority": b"7"}, b"{}", "BadPriority"),
        ({b"apns-push-type": b"shout"}, b"{}", "InvalidPushType"),
        ({b"apns-push-type": b"background"}, b"{}", "BadPriority"),
        ({b"apns-expiration": b"tomorrow"}, b"{}", "BadExpirationDate"),
        ({b"apns-id": b"1"}, b"{}", "BadMessageId"),
        ({}, b"", "PayloadEmpty"),
        ({}, b"{" + b" " * 4096 + b"}", "PayloadTooLarge"),
    ],
)
def test_the_stand_in_keeps_the_rules_that_our_client_never_breaks(
    apns: ApnsSandbox, identity: SigningIdentity, changes: dict[bytes, bytes], body: bytes, reason: str
) -> None:
    path = b"/3/device/" + apns.rules.issue().encode()
    sound = {b":method": b"POST", b":scheme": b"https", b":authority": b"localhost", b":path": path}
    headers: Headers = list((sound | {b"apns-topic": TOPIC.encode(), b"apns-priority": b"10"} | changes).items())
    context = ssl.create_default_context(cadata=apns.ca_pem)
    context.set_alpn_protocols(["h2"])
    CertificateAuth(identity).prepare(context)
    connection = PushConnection(apns.address, context, 5.0)

    [answer] = connection.exchange([(headers, body)], 5.0, float("inf"))
    connection.close()

    assert isinstance(answer, Answer)
    assert (STATUSES[reason], reason) == (answer.status, json.loads(answer.body)["reason"])
    assert [] == apns.rules.pushes()
