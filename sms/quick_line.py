"""A line that hands messages over in a quarter of the time: for campaigns, where the provider's library and HTTP cost
more than everything else.

Only a plain form that is posted goes this way, over connections of the standard library's HTTP client; whatever else
is asked, and whatever has to go through a proxy, goes the usual one.
"""

import http.client
import os
import select
import ssl
import time
import weakref
from base64 import b64encode
from collections import deque
from collections.abc import Mapping
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies

from sms.provider_line import ANSWER_SECONDS, CONNECT_SECONDS, LONGEST_ANSWER, Answer, Failure, ProviderLine

# A server that closes what nobody has used for a minute could do so while we send: then nobody would know.
_IDLE_SECONDS = 20.0
_FORM = "application/x-www-form-urlencoded"
_Idle = dict[str, deque[tuple[HTTPConnection, float]]]
_PLAIN = {"data", "headers", "auth", "params"}


class QuickLine(ProviderLine):
    """See ProviderLine. May be used from many threads: each request takes a connection that nobody uses."""

    def __init__(
        self,
        ca_file: str | None = None,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        super().__init__(ca_file, connect_seconds=connect_seconds, answer_seconds=answer_seconds)
        self._ours = ca_file is not None
        self._direct: dict[str, bool] = {}
        self._idle: _Idle = {}
        weakref.finalize(self, _let_go, self._idle)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
        return ssl.create_default_context(cafile=self._ca_file or bundle)

    def close(self) -> None:
        _let_go(self._idle)
        super().close()

    def _exchange(self, method: str, url: str, given: Mapping[str, Any]) -> Answer | Failure:
        form = given.get("data")
        plain = method == "POST" and isinstance(form, Mapping) and given.keys() <= _PLAIN and not given.get("params")
        place = urlsplit(url)
        if not plain or not self._is_direct(place, url):
            return super()._exchange(method, url, given)
        try:
            connection = self._connected(place)
        except (OSError, HTTPException, ValueError) as error:  # nothing was sent: there was no connection
            return Failure(_word(error), never_sent=True)
        try:
            answer = self._asked(connection, place, given)
        except (OSError, HTTPException, ValueError) as error:
            connection.close()
            return Failure(_word(error), never_sent=False)
        return answer

    def _is_direct(self, place: SplitResult, url: str) -> bool:
        known = self._direct.get(place.netloc)
        if known is None:
            known = self._direct[place.netloc] = self._ours or not get_environ_proxies(url)
        return known

    def _connected(self, place: SplitResult) -> HTTPConnection:
        """A connection that is open as far as anybody can tell."""
        idle = self._idle.setdefault(place.netloc, deque())
        while idle:
            try:
                connection, since = idle.pop()
            except IndexError:  # another thread took the last one
                break
            if time.monotonic() - since < _IDLE_SECONDS and not _has_ended(connection):
                return connection
            connection.close()
        connect, answer = self._times
        if place.scheme == "https":
            made: HTTPConnection = http.client.HTTPSConnection(
                place.hostname or "", place.port, timeout=connect, context=self._context
            )
        else:
            made = HTTPConnection(place.hostname or "", place.port, timeout=connect)
        try:
            made.connect()
        except BaseException:
            made.close()
            raise
        made.sock.settimeout(answer)
        return made

    def _asked(self, connection: HTTPConnection, place: SplitResult, given: Mapping[str, Any]) -> Answer:
        form = {name: value for name, value in given["data"].items() if value is not None}
        headers = {"Content-Type": _FORM} | dict(given.get("headers") or {})
        if auth := given.get("auth"):
            headers["Authorization"] = "Basic " + b64encode(":".join(auth).encode()).decode()
        until = time.monotonic() + sum(self._times)
        connection.request("POST", place.path or "/", urlencode(form, doseq=True), headers)
        response = connection.getresponse()
        content = _content(response, until)
        answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
        if response.will_close:
            connection.close()
        else:
            self._idle[place.netloc].append((connection, time.monotonic()))
        return answer


def _let_go(idle: _Idle) -> None:
    for connections in idle.values():
        while connections:
            connections.pop()[0].close()


def _content(response: HTTPResponse, until: float) -> str:
    if response.getheader("Content-Encoding", "identity") != "identity":
        raise HTTPException("The answer is in an encoding that nobody asked for")
    content = bytearray()
    while chunk := response.read1(65536):
        content += chunk
        if len(content) > LONGEST_ANSWER or time.monotonic() > until:
            raise HTTPException("The answer is too long, or trickles in too slowly")
    if response.length:  # it ended before what it had announced
        raise http.client.IncompleteRead(bytes(content), response.length)
    response.close()  # which read1 does not do at the end; the connection stays open
    return content.decode("utf-8", "replace")


def _has_ended(connection: HTTPConnection) -> bool:
    """Whether there is something to read although nothing was asked: the server has closed it."""
    if connection.sock is None:
        return True
    looked = select.poll()
    looked.register(connection.sock, select.POLLIN)
    return bool(looked.poll(0))


def _word(error: BaseException) -> str:
    """A short word for the log."""
    return "read_timeout" if isinstance(error, TimeoutError) else type(error).__name__.lower()
