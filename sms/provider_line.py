"""The HTTP line to a provider: strict time-outs, and the truth about what a failure means.

Only a connection that was never made is certain to have carried nothing. Whatever fails after that (a time-out, a
reset, half an answer) leaves the outcome of a send unknown.
"""

import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.exceptions import InvalidHeader, InvalidURL, RequestException
from urllib3.exceptions import ConnectTimeoutError, HTTPError

from sms.provider import SmsError
from sms.reasons import Reason

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0
LONGEST_ANSWER = 4 * 1024 * 1024
_NEVER_SENT = (ConnectTimeoutError, ssl.SSLCertVerificationError, InvalidURL, InvalidHeader)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def retry_after(self) -> float | None:
        """Retry-After in seconds, when it is given as such; its other form, a date, is left alone."""
        value = self.headers.get("retry-after", "")
        return float(value) if value.isascii() and value.isdigit() else None


class ProviderLine:
    """Keeps connections open between messages. May be used from several threads.

    `ca_file` (PEM) replaces the usual authorities; the sandbox has its own. Times are in seconds: for connecting, and
    for each wait for the answer; body and all, it has the sum of both.
    """

    def __init__(
        self,
        ca_file: str | None = None,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._times = (connect_seconds, answer_seconds)
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = _as_given  # else requests would send a password from the user's .netrc
        self._ca_file = ca_file
        if ca_file is not None:
            # A line to the sandbox, on this machine: proxies and authorities of the surroundings don't concern it.
            self._session.trust_env = False

    def ask(self, method: str, url: str, **given: Any) -> Answer:
        """A request that changes nothing. Raises SmsError, never with `unknown`. `given` is as for requests."""
        answer = self._exchange(method, url, given)
        if isinstance(answer, Answer):
            return answer
        raise SmsError.refused(Reason.NO_CONNECTION, answer.word)

    def send(self, method: str, url: str, **given: Any) -> Answer:
        """A request that may send a message. Raises SmsError. `given` is as for requests."""
        answer = self._exchange(method, url, given)
        if isinstance(answer, Answer):
            return answer
        if answer.never_sent:
            raise SmsError.refused(Reason.NO_CONNECTION, answer.word)
        raise SmsError.unanswered(answer.word)

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def _exchange(self, method: str, url: str, given: Mapping[str, Any]) -> "Answer | Failure":
        # A failure is handed back as words. The error itself holds the URL, which may hold numbers, texts and keys, and
        # must not hang on to what is raised, or a traceback in the log would show it.
        try:
            return self._answer(method, url, given)
        except (RequestException, HTTPError, _TooMuch) as error:
            return Failure(_word(error), any(isinstance(cause, _NEVER_SENT) for cause in _causes(error)))

    def _answer(self, method: str, url: str, given: Mapping[str, Any]) -> Answer:
        end = time.monotonic() + sum(self._times)
        # Redirects are not followed: they would hand the password and the message to somebody else.
        with self._session.request(
            method,
            url,
            timeout=self._times,
            verify=self._ca_file or True,
            allow_redirects=False,
            stream=True,
            **given,
        ) as response:
            content = bytearray()
            # read1 comes back with what is there: read would wait for ever while a byte trickles in now and then.
            while chunk := response.raw.read1(65536, decode_content=True):
                content += chunk
                if len(content) > LONGEST_ANSWER or time.monotonic() > end:
                    raise _TooMuch("The answer is too long, or trickles in too slowly")
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, content.decode("utf-8", "replace"))


class _TooMuch(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer. `never_sent`: certainly nothing has arrived there."""

    word: str
    never_sent: bool


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it wraps: requests wraps urllib3's errors, which wrap those of sockets."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        found = waiting.pop()
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [found.__cause__, found.__context__, getattr(found, "reason", None), *found.args]


def _word(error: BaseException) -> str:
    """A short word for the log."""
    names: dict[type[BaseException], str] = {
        requests.ConnectTimeout: "connect_timeout",
        requests.ReadTimeout: "read_timeout",
    }
    return names.get(type(error), type(error).__name__.strip("_").lower())
