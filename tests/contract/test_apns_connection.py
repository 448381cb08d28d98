"""Whatever happens to the connection, every push gets a true result. Real TLS and HTTP/2, against the stand-in."""

import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certs import development
from certs.identity import SigningIdentity
from passes.apple.push import Push, Verdict
from passes.apple.push_auth import CertificateAuth
from passes.apple.push_client import PushClient
from sandbox.apns import ApnsSandbox
from sandbox.authority import Authority

TOPIC = "pass.fi.leima.demo"


def now() -> datetime:
    return datetime.now(UTC)


def make_identity(at: datetime, days: int = 365) -> SigningIdentity:
    return development.make(TOPIC, "LEIMADEMO1", "Leima", at, days)


@pytest.fixture(scope="module")
def identity() -> SigningIdentity:
    return make_identity(now())


@pytest.fixture
def apns(identity: SigningIdentity) -> Iterator[ApnsSandbox]:
    with ApnsSandbox([root_of(identity)]) as sandbox:
        yield sandbox


@pytest.fixture
def client(apns: ApnsSandbox, identity: SigningIdentity) -> Iterator[PushClient]:
    auth = CertificateAuth(identity)
    with PushClient(apns.address, auth=auth, clock=now, ca_pem=apns.ca_pem, pause=0.05) as client:
        yield client


def root_of(identity: SigningIdentity) -> bytes:
    assert identity.root is not None
    return identity.root.public_bytes(Encoding.PEM)


def some_pushes(apns: ApnsSandbox, count: int) -> list[Push]:
    return [Push(apns.rules.issue(TOPIC), TOPIC) for _ in range(count)]


def send_until_accepted(client: PushClient, push: Push) -> None:
    """Repeat a push after the pauses that the client asks for."""
    for _ in range(100):
        [result] = client.send([push])
        if result.verdict is Verdict.SENT:
            return
        assert Verdict.RETRY == result.verdict
        time.sleep(result.retry_after or 0.01)
    raise AssertionError(result)


def test_after_goaway_the_rest_goes_on_a_new_connection_and_nothing_twice(
    apns: ApnsSandbox, client: PushClient
) -> None:
    apns.behaviour.goaway_after, apns.behaviour.max_streams, apns.behaviour.latency = 150, 100, 0.01
    pushes = some_pushes(apns, 500)

    results = client.send(pushes)

    assert Counter({Verdict.SENT: 500}) == Counter(result.verdict for result in results)
    assert pushes == [result.push for result in results]
    assert sorted(push.token for push in pushes) == sorted(push.token for push in apns.rules.pushes())


def test_goaway_for_a_certificate_that_is_not_accepted_refuses_what_was_not_looked_at(
    apns: ApnsSandbox, client: PushClient
) -> None:
    apns.behaviour.goaway_after, apns.behaviour.goaway_reason = 10, "BadCertificate"

    results = client.send(some_pushes(apns, 30))

    assert [Verdict.SENT] * 10 + [Verdict.REFUSED] * 20 == [result.verdict for result in results]
    assert "BadCertificate" == results[-1].reason
    assert "import it again" in results[-1].detail


def test_goaway_because_the_server_shuts_down_is_no_reason_to_give_up(apns: ApnsSandbox, client: PushClient) -> None:
    apns.behaviour.goaway_after, apns.behaviour.goaway_reason = 10, "Shutdown"

    results = client.send(some_pushes(apns, 30))

    assert [Verdict.SENT] * 30 == [result.verdict for result in results]


def test_a_connection_cut_in_the_middle_leaves_every_push_sent_or_to_be_repeated(
    apns: ApnsSandbox, client: PushClient
) -> None:
    apns.behaviour.drop_after, apns.behaviour.max_streams, apns.behaviour.latency = 250, 100, 0.02
    pushes = some_pushes(apns, 500)

    results = client.send(pushes)

    assert pushes == [result.push for result in results]
    accepted = {push.token for push in apns.rules.pushes()}
    assert [] == [result for result in results if result.verdict is Verdict.SENT and result.push.token not in accepted]
    lost = [result for result in results if result.verdict is not Verdict.SENT]
    assert {(Verdict.RETRY, "ConnectionLost")} == {(result.verdict, result.reason) for result in lost}
    assert 0 < len(lost) <= 100


def test_the_connection_is_kept_between_sends(apns: ApnsSandbox, client: PushClient) -> None:
    apns.behaviour.goaway_after = 4  # one connection takes four pushes and no more

    for push in some_pushes(apns, 4):
        client.send([push])

    assert 4 == len(apns.rules.pushes())
    assert 0 == open_connections(apns, 0)


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced_without_a_loss(
    apns: ApnsSandbox, client: PushClient
) -> None:
    first, second = some_pushes(apns, 2)
    client.send([first])
    apns.drop()

    [result] = client.send([second])

    assert Verdict.SENT == result.verdict


def test_a_service_that_is_out_is_found_again_when_it_comes_back(apns: ApnsSandbox, client: PushClient) -> None:
    push = some_pushes(apns, 1)[0]
    client.send([push])
    apns.down()

    down = [client.send([push])[0] for _ in range(3)]
    apns.up()
    send_until_accepted(client, push)

    assert {Verdict.RETRY} == {result.verdict for result in down}
    assert ["ConnectFailed", "Waiting", "Waiting"] == [result.reason for result in down]
    assert 2 == len(apns.rules.pushes())


def test_a_slow_answer_is_repeated_later_and_holds_up_nothing_else(
    apns: ApnsSandbox, identity: SigningIdentity
) -> None:
    pushes = some_pushes(apns, 20)
    apns.behaviour.slow[pushes[3].token] = 5.0
    auth = CertificateAuth(identity)

    with PushClient(apns.address, auth=auth, clock=now, ca_pem=apns.ca_pem, push_seconds=0.3) as client:
        results = client.send(pushes)

        assert [3] == [i for i, result in enumerate(results) if result.verdict is Verdict.RETRY]
        assert "Timeout" == results[3].reason
        assert 1 == apns.connections


def test_a_silent_service_is_given_up_after_one_time_out_not_one_for_each_push(
    apns: ApnsSandbox, identity: SigningIdentity
) -> None:
    apns.behaviour.latency, apns.behaviour.max_streams = 5.0, 10
    pushes = some_pushes(apns, 100)
    auth = CertificateAuth(identity)

    started = time.monotonic()
    with PushClient(apns.address, auth=auth, clock=now, ca_pem=apns.ca_pem, push_seconds=0.3) as client:
        results = client.send(pushes)

    assert [Verdict.RETRY] * 100 == [result.verdict for result in results]
    assert 2.0 > time.monotonic() - started


def test_sending_as_a_whole_ends_in_time(apns: ApnsSandbox, identity: SigningIdentity) -> None:
    apns.behaviour.latency, apns.behaviour.max_streams = 0.1, 1
    pushes = some_pushes(apns, 50)
    auth = CertificateAuth(identity)

    with PushClient(apns.address, auth=auth, clock=now, ca_pem=apns.ca_pem, send_seconds=0.5) as client:
        results = client.send(pushes)

    assert {Verdict.SENT, Verdict.RETRY} == {result.verdict for result in results}
    assert "NotSent" == results[-1].reason


def test_a_refused_handshake_is_tried_again_later(apns: ApnsSandbox, client: PushClient) -> None:
    push = some_pushes(apns, 1)[0]
    apns.behaviour.refuse_handshakes = True

    [result] = client.send([push])
    apns.behaviour.refuse_handshakes = False
    send_until_accepted(client, push)

    assert (Verdict.RETRY, "TlsFailed") == (result.verdict, result.reason)
    assert result.detail.startswith("No secure connection could be made")


def test_a_server_that_is_not_the_push_service_gets_nothing(apns: ApnsSandbox, identity: SigningIdentity) -> None:
    with PushClient(apns.address, auth=CertificateAuth(identity), clock=now) as client:
        [result] = client.send(some_pushes(apns, 1))

    assert (Verdict.RETRY, "UntrustedServer") == (result.verdict, result.reason)
    assert [] == apns.rules.pushes()


def test_a_server_that_takes_connections_and_says_nothing_is_given_up_in_time(identity: SigningIdentity) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address, auth = ("127.0.0.1", silent.getsockname()[1]), CertificateAuth(identity)
        started = time.monotonic()
        with PushClient(address, auth=auth, clock=now, connect_seconds=0.2) as client:
            [result] = client.send([Push("ab" * 32, TOPIC)])

    assert (Verdict.RETRY, "Timeout") == (result.verdict, result.reason)
    assert 2.0 > time.monotonic() - started


def test_a_server_without_http_2_gets_nothing(identity: SigningIdentity, tmp_path: Path) -> None:
    authority = Authority.kept_in(tmp_path, now())
    context = authority.context("http/1.1")
    received = []

    def serve() -> None:
        with listener.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as secure:
            received.append(secure.recv(1024))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        address = ("127.0.0.1", listener.getsockname()[1])
        with PushClient(address, auth=CertificateAuth(identity), clock=now, ca_pem=authority.ca_pem) as client:
            [result] = client.send([Push("ab" * 32, TOPIC)])
        thread.join()

    assert (Verdict.RETRY, "NotHttp2") == (result.verdict, result.reason)
    assert [b""] == received


def test_an_expired_certificate_is_told_in_plain_words_before_anything_is_sent(
    apns: ApnsSandbox, identity: SigningIdentity
) -> None:
    def in_two_years() -> datetime:
        return now() + timedelta(days=730)

    with PushClient(apns.address, auth=CertificateAuth(identity), clock=in_two_years, ca_pem=apns.ca_pem) as client:
        [result] = client.send(some_pushes(apns, 1))

    assert (Verdict.REFUSED, "CertificateExpired") == (result.verdict, result.reason)
    assert "expired on" in result.detail
    assert 0 == apns.connections


@pytest.mark.parametrize(
    ("made_at", "trusted", "said"),
    [
        (datetime(2025, 1, 1, tzinfo=UTC), True, "certificate expired"),
        (None, False, "unknown ca"),
    ],
)
def test_a_certificate_that_the_server_refuses_is_told_in_plain_words(
    apns: ApnsSandbox, made_at: datetime | None, trusted: bool, said: str
) -> None:
    identity = make_identity(made_at or now(), 30)
    if trusted:
        apns.trust(root_of(identity))
    auth, pushes = CertificateAuth(identity), some_pushes(apns, 3)

    with PushClient(apns.address, auth=auth, clock=lambda: made_at or now(), ca_pem=apns.ca_pem) as client:
        results = client.send(pushes)

    assert {(Verdict.REFUSED, "CertificateRefused")} == {(result.verdict, result.reason) for result in results}
    assert f"The server does not accept our certificate: {said}" == results[0].detail


def test_a_connection_that_died_silently_is_noticed_by_a_ping(apns: ApnsSandbox, identity: SigningIdentity) -> None:
    auth, pushes = CertificateAuth(identity), some_pushes(apns, 2)
    with Wire(apns.address) as wire:
        client = PushClient(wire.address, auth=auth, clock=now, ca_pem=apns.ca_pem, silent_seconds=0.0)
        with client:
            [before] = client.send([pushes[0]])
            wire.cut_silently()
            [after] = client.send([pushes[1]])

    assert [Verdict.SENT, Verdict.SENT] == [before.verdict, after.verdict]


def open_connections(apns: ApnsSandbox, expected: int) -> int:
    """How many are open, once the server has seen the client's closing."""
    for _ in range(200):
        if apns.connections == expected:
            break
        time.sleep(0.01)
    return apns.connections


class Wire:
    """A network between client and server that can swallow everything, as a firewall that forgot a connection."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ends: dict[socket.socket, socket.socket] = {}
        self._dead: set[socket.socket] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._listener.getsockname()[1]

    def __enter__(self) -> "Wire":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for end in (*self._ends, self._listener, self._selector):
            end.close()

    def cut_silently(self) -> None:
        self._dead = set(self._ends)

    def _run(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._selector.select(0.02):
                end = key.fileobj
                assert isinstance(end, socket.socket)
                if end is self._listener:
                    near, far = end.accept()[0], socket.create_connection(self._target)
                    self._ends |= {near: far, far: near}
                    self._selector.register(near, selectors.EVENT_READ)
                    self._selector.register(far, selectors.EVENT_READ)
                elif data := end.recv(65536):
                    if end not in self._dead:
                        self._ends[end].sendall(data)
                else:
                    self._selector.unregister(end)
