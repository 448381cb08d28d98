"""A team's .p8 key pushes to its pass types, with tokens as old and as new as Apple wants them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key

from passes.apple.push import Push, Verdict
from passes.apple.push_auth import TokenAuth
from passes.apple.push_client import PushClient
from sandbox.apns import ApnsSandbox

TOPIC = "pass.fi.leima.demo"
MINUTE = timedelta(minutes=1)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


@pytest.fixture
def apns(clock: Clock, key: EllipticCurvePrivateKey) -> Iterator[ApnsSandbox]:
    with ApnsSandbox(clock=clock) as sandbox:
        sandbox.rules.register_key("LEIMADEMO1", "KEY1234567", key.public_key())
        yield sandbox


def make_client(
    apns: ApnsSandbox, clock: Clock, key: EllipticCurvePrivateKey, key_id: str = "KEY1234567"
) -> PushClient:
    return PushClient(apns.address, auth=TokenAuth("LEIMADEMO1", key_id, key), clock=clock, ca_pem=apns.ca_pem)


def test_a_key_pushes_to_any_pass_type_of_its_team(
    apns: ApnsSandbox, clock: Clock, key: EllipticCurvePrivateKey
) -> None:
    topics = [TOPIC, "pass.fi.leima.other"]

    with make_client(apns, clock, key) as client:
        results = client.send([Push(apns.rules.issue(topic), topic) for topic in topics])

    assert [Verdict.SENT, Verdict.SENT] == [result.verdict for result in results]


@pytest.mark.parametrize("start", [0, 1, 19, 39])
def test_workers_that_come_and_go_for_three_hours_never_have_a_token_too_old_or_too_new(
    apns: ApnsSandbox, clock: Clock, key: EllipticCurvePrivateKey, start: int
) -> None:
    push = Push(apns.rules.issue(TOPIC), TOPIC)
    clock.at += start * MINUTE

    with make_client(apns, clock, key) as steady:
        for minute in range(180):
            with make_client(apns, clock, key) as passing:
                sender = steady if minute % 3 else passing
                [result] = sender.send([push])
            assert Verdict.SENT == result.verdict, (minute, result.reason)
            clock.at += MINUTE


def test_a_clock_that_is_hours_wrong_is_told(apns: ApnsSandbox, key: EllipticCurvePrivateKey) -> None:
    late = Clock()
    late.at -= timedelta(hours=3)

    with make_client(apns, late, key) as client:
        [result] = client.send([Push(apns.rules.issue(TOPIC), TOPIC)])

    assert (Verdict.REFUSED, 403, "ExpiredProviderToken") == (result.verdict, result.status, result.reason)
    assert "clock" in result.detail


def test_a_forged_token_is_refused(apns: ApnsSandbox, clock: Clock) -> None:
    with make_client(apns, clock, generate_private_key(SECP256R1())) as client:
        [result] = client.send([Push(apns.rules.issue(TOPIC), TOPIC)])

    assert (Verdict.REFUSED, 403, "InvalidProviderToken") == (result.verdict, result.status, result.reason)


def test_a_key_that_apple_does_not_know_is_refused(
    apns: ApnsSandbox, clock: Clock, key: EllipticCurvePrivateKey
) -> None:
    with make_client(apns, clock, key, "UNKNOWN123") as client:
        [result] = client.send([Push(apns.rules.issue(TOPIC), TOPIC)])

    assert (Verdict.REFUSED, "InvalidProviderToken") == (result.verdict, result.reason)
    assert "key id" in result.detail


def test_the_stand_in_notices_tokens_that_are_renewed_too_often(
    apns: ApnsSandbox, clock: Clock, key: EllipticCurvePrivateKey
) -> None:
    push = Push(apns.rules.issue(TOPIC), TOPIC)
    wrong = Clock()
    with make_client(apns, wrong, key) as client:
        reasons = []
        for minutes in (0, 40, -40):
            wrong.at = clock.at + minutes * MINUTE
            reasons.append(client.send([push])[0].reason)

    assert ["", "", "TooManyProviderTokenUpdates"] == reasons
