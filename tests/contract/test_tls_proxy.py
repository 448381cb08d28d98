"""The TLS proxy carries whatever the app and a client say to each other, and ends both sides together."""

import contextlib
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from sandbox.authority import Authority
from sandbox.tls_proxy import TlsProxy

Serve = Callable[[socket.socket], None]
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@contextmanager
def app(serve: Serve) -> Iterator[tuple[str, int]]:
    """An app that serves each connection with this function, in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection:
            serve(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=one, args=(connection,)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    yield listening.getsockname()
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    accepting.join()
    for thread in threads:
        thread.join()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.kept_in(tmp_path, datetime.now(UTC))


@contextmanager
def proxied(authority: Authority, serve: Serve) -> Iterator[TlsProxy]:
    with app(serve) as address, TlsProxy(authority.context(), address) as proxy:
        yield proxy


def connect(proxy: TlsProxy, authority: Authority) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    return context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port), 10), server_hostname="localhost")


def until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def greet(connection: socket.socket) -> None:
    while connection.recv(65536):
        connection.sendall(HELLO)


def test_requests_share_a_connection_to_the_app(authority):
    connections = []

    def serve(connection: socket.socket) -> None:
        connections.append(connection)
        greet(connection)

    with proxied(authority, serve) as proxy, requests.Session() as session:
        session.trust_env, session.verify = False, str(authority.ca_file)
        answers = [session.get(proxy.url, timeout=10).text for _ in range(5)]
    assert ["hello"] * 5 == answers
    assert 1 == len(connections)


def test_large_bodies_pass_both_ways_unchanged(authority):
    sent = hashlib.sha256(b"leima").digest() * (8 * 1024 * 1024 // 32)

    def echo(connection: socket.socket) -> None:
        while data := connection.recv(65536):
            connection.sendall(data)

    with proxied(authority, echo) as proxy, connect(proxy, authority) as client:
        sending = threading.Thread(target=client.sendall, args=(sent,))
        sending.start()
        received = bytearray()
        while len(received) < len(sent):
            received += client.recv(65536)
        sending.join()
    assert hashlib.sha256(sent).digest() == hashlib.sha256(received).digest()


def test_a_stream_arrives_while_it_is_made(authority):
    go_on = threading.Event()

    def stream(connection: socket.socket) -> None:
        connection.sendall(b"first")
        go_on.wait(10)
        connection.sendall(b"second")

    with proxied(authority, stream) as proxy, connect(proxy, authority) as client:
        assert b"first" == client.recv(100)
        go_on.set()
        assert b"second" == client.recv(100)
        assert b"" == client.recv(100)


def test_when_the_client_goes_the_app_is_told(authority):
    gone = threading.Event()

    def wait(connection: socket.socket) -> None:
        connection.recv(100)
        if connection.recv(100) == b"":
            gone.set()

    with proxied(authority, wait) as proxy:
        with connect(proxy, authority) as client:
            client.sendall(b"I am here")
        assert gone.wait(5)
        assert until(lambda: proxy.connections == 0)


def test_an_app_that_is_down_closes_the_connection(authority):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
    with TlsProxy(authority.context(), address) as proxy, connect(proxy, authority) as client:
        assert b"" == client.recv(100)
        assert until(lambda: proxy.connections == 0)


def test_plain_http_and_broken_handshakes_disturb_nobody(authority):
    with proxied(authority, greet) as proxy:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", proxy.port), 10) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with connect(proxy, authority) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert HELLO == client.recv(1000)


def test_a_hundred_connections_at_once_are_served(authority):
    with proxied(authority, greet) as proxy:

        def ask(_number: int) -> bytes:
            with connect(proxy, authority) as client:
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                return client.recv(1000)

        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(ask, range(100)))
        assert [HELLO] * 100 == answers
        assert until(lambda: proxy.connections == 0)


def test_stopping_cuts_what_is_open(authority):
    with app(greet) as address:
        proxy = TlsProxy(authority.context(), address)
        proxy.start()
        with connect(proxy, authority) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert HELLO == client.recv(1000)
            proxy.stop()
            # Cut with or without a goodbye: either way nothing more comes.
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                assert b"" == client.recv(100)


def test_the_authority_is_made_once(tmp_path):
    first = Authority.kept_in(tmp_path, datetime.now(UTC)).ca_file.read_bytes()
    assert first == Authority.kept_in(tmp_path, datetime.now(UTC)).ca_file.read_bytes()
    assert 0o600 == (tmp_path / "server-key.pem").stat().st_mode & 0o777
