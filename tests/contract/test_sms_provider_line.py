"""What a line to a provider makes of servers that misbehave below HTTP: real sockets on this machine."""

import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from sandbox.authority import Authority
from sandbox.twilio_server import Reply, Request, Server
from sms.provider import SmsError
from sms.provider_line import ProviderLine
from sms.quick_line import QuickLine

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SECRETS = {"text": "Code1234567", "key": "s3cret"}


@contextmanager
def _listening(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does this with every connection, after it has read one request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    connection.recv(65536)
                    talk(connection)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture(params=[ProviderLine, QuickLine])
def line(request: pytest.FixtureRequest) -> Iterator[ProviderLine]:
    line = request.param(connect_seconds=0.2, answer_seconds=0.3)
    yield line
    line.close()


def _fails(line: ProviderLine, url: str) -> SmsError:
    with pytest.raises(SmsError) as caught:
        line.send("POST", url, data={"text": "Hi"})
    return caught.value


def test_a_whole_answer_is_handed_over_whatever_its_status(line: ProviderLine) -> None:
    with _listening(lambda peer: peer.sendall(OK.replace(b"200 OK", b"418 Teapot"))) as url:
        answer = line.send("POST", url, data={"text": "Hi"})
    assert (418, "ok") == (answer.status, answer.text)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 2",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_half_an_answer_leaves_the_outcome_unknown(line: ProviderLine, said: bytes) -> None:
    with _listening(lambda peer: peer.sendall(said)) as url:
        assert _fails(line, url).unknown


def test_an_answer_that_trickles_in_is_given_up(line: ProviderLine) -> None:
    def trickle(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(40):
            peer.sendall(b".")
            time.sleep(0.1)

    with _listening(trickle) as url:
        started = time.monotonic()
        assert _fails(line, url).unknown
        assert time.monotonic() - started < 3


def test_an_endless_answer_is_given_up(line: ProviderLine) -> None:
    def flood(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            peer.sendall(b"x" * 100_000)

    with _listening(flood) as url:
        assert _fails(line, url).unknown


def test_a_connection_that_the_provider_closed_meanwhile_loses_no_message() -> None:
    with _listening(lambda peer: peer.sendall(OK)) as url:  # it hangs up without saying so
        line = ProviderLine()
        for _ in range(5):
            assert 200 == line.send("POST", url, data={"text": "Hi"}).status
            time.sleep(0.05)
        line.close()


def test_a_certificate_we_do_not_trust_means_that_nothing_was_sent(tmp_path: Path) -> None:

    authority = Authority.kept_in(tmp_path, datetime.now(UTC))
    asked: list[str] = []
    server = Server(0, lambda request: Reply(200, asked.append(request.path)), authority.context())
    server.start()
    try:
        error = _fails(ProviderLine(), server.url)
    finally:
        server.stop()
    assert (False, "no-connection", []) == (error.unknown, error.reason, asked)


def test_a_name_that_does_not_exist_means_that_nothing_was_sent(line: ProviderLine) -> None:
    assert not _fails(line, "https://nowhere.invalid/").unknown


def test_redirects_are_not_followed(line: ProviderLine) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
    with _listening(lambda peer: peer.sendall(moved)) as url:
        assert 302 == line.send("POST", url, data={"text": "Hi"}).status


def test_looking_something_up_is_never_unknown(line: ProviderLine) -> None:
    with _listening(lambda peer: None) as url, pytest.raises(SmsError) as caught:
        line.ask("GET", url)
    assert (False, False) == (caught.value.unknown, caught.value.permanent)


def test_cookies_are_not_kept() -> None:
    heard: list[str] = []

    def answer(request: Request) -> Reply:
        heard.append(request.headers.get("cookie", ""))
        return Reply(200, {}, {"Set-Cookie": "session=1"})

    server = Server(0, answer)
    server.start()
    line = ProviderLine()
    for _ in range(2):
        line.send("POST", server.url)
    line.close()
    server.stop()
    assert ["", ""] == heard


@pytest.mark.parametrize("port_open", [True, False])
def test_what_is_raised_holds_neither_numbers_nor_texts_nor_keys(line: ProviderLine, port_open: bool) -> None:
    with _listening(lambda peer: None) as url:
        address = url if port_open else "http://127.0.0.1:1/"
        with pytest.raises(SmsError) as caught:
            line.send("GET", address, params=SECRETS)
    told = "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in SECRETS.values() if secret in told]
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


def _rest(peer: socket.socket) -> None:
    """Read what still comes of a request: heads and bodies may come apart."""
    time.sleep(0.05)
    peer.setblocking(False)
    with suppress(BlockingIOError):
        peer.recv(65536)
    peer.setblocking(True)


def test_a_connection_is_kept_for_the_next_message_and_left_when_the_server_has_closed_it(line: ProviderLine) -> None:
    connections = []

    def talk(peer: socket.socket) -> None:
        connections.append(peer)
        _rest(peer)
        peer.sendall(OK)
        peer.recv(65536)
        _rest(peer)
        peer.sendall(OK)  # and then it closes

    with _listening(talk) as url:
        for _ in range(2):
            assert "ok" == line.send("POST", url, data={"text": "Hi"}).text
        assert 1 == len(connections)
        time.sleep(0.1)
        assert "ok" == line.send("POST", url, data={"text": "Hi"}).text
    assert 2 == len(connections)
