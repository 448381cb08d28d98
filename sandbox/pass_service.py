"""Apple's web service for passes as a phone calls it: registrations, changed serials, passes, logs.

Source: Apple's "Adding a Web Service to Update Passes".
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

import requests

from app import clock
from sandbox.pass_face import HeldPass

_TIMEOUT = 10.0
_KEPT = 1000


class Unavailable(Exception):
    """The service did not answer, or answered 429 or 5xx: try again later."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its outcome. `status` is 0 when no answer came. `seconds` is how long it took."""

    at: datetime
    method: str
    path: str
    status: int
    seconds: float


class PassService:
    """One phone's way to the web services of its passes, over connections that are kept. Not for several threads."""

    def __init__(self, device: str, ca_file: str | None, now: Callable[[], datetime] = clock.now) -> None:
        self.device = device
        self.exchanges: list[Exchange] = []
        self._now = now
        self._session = requests.Session()
        self._session.trust_env = False
        if ca_file:
            self._session.verify = ca_file

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def register(self, held: HeldPass, push_token: str) -> int:
        """Ask for pushes about this pass. The status: 201, 200 when it was registered before, or a refusal's."""
        return self._ask("POST", self._registration(held), held.token, json={"pushToken": push_token}).status_code

    def unregister(self, held: HeldPass) -> int:
        """The pass left this phone. The answer's status."""
        return self._ask("DELETE", self._registration(held), held.token).status_code

    def changed(self, service: str, pass_type: str, tag: str) -> requests.Response:
        """The serial numbers of this phone's passes that have changed since `tag`; of all when it is empty."""
        url = f"{service}/v1/devices/{self.device}/registrations/{quote(pass_type)}"
        return self._ask("GET", url, params={"passesUpdatedSince": tag} if tag else None)

    def latest(self, held: HeldPass) -> requests.Response:
        """The newest version of a pass, or 304 when the phone has it."""
        url = f"{held.service}/v1/passes/{quote(held.pass_type)}/{quote(held.serial)}"
        conditional = {"If-Modified-Since": held.last_modified} if held.last_modified else {}
        return self._ask("GET", url, held.token, conditional)

    def log(self, service: str, text: str) -> None:
        """Tell the service what went wrong here, as phones do. Nobody minds when that fails, too."""
        try:
            self._ask("POST", f"{service}/v1/log", json={"logs": [f"[{self._now():%Y-%m-%d %H:%M:%S} +0000] {text}"]})
        except Unavailable:
            return

    def download(self, url: str) -> requests.Response:
        """What is at an address that somebody tapped."""
        return self._ask("GET", url)

    def _registration(self, held: HeldPass) -> str:
        tail = f"{quote(held.pass_type)}/{quote(held.serial)}"
        return f"{held.service}/v1/devices/{self.device}/registrations/{tail}"

    def _ask(
        self,
        method: str,
        url: str,
        token: str = "",
        headers: dict[str, str] | None = None,
        json: object = None,
        params: dict[str, str] | None = None,
    ) -> requests.Response:
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"ApplePass {token}"
        try:
            # A kept connection may have been closed just now by the other side: the second try uses a new one.
            for last in (False, True):
                begun = time.monotonic()
                try:
                    answer = self._session.request(
                        method, url, headers=sent, json=json, params=params, timeout=_TIMEOUT
                    )
                    break
                except requests.ConnectionError:
                    if last:
                        raise
        except requests.RequestException as error:
            self._note(method, url, 0, begun)
            raise Unavailable(f"{method} {urlsplit(url).path}: no answer ({type(error).__name__})") from None
        self._note(method, answer.url, answer.status_code, begun)
        if answer.status_code == 429 or answer.status_code >= 500:
            raise Unavailable(f"{method} {urlsplit(url).path}: {answer.status_code}")
        return answer

    def _note(self, method: str, url: str, status: int, begun: float) -> None:
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self.exchanges.append(Exchange(self._now(), method, path, status, time.monotonic() - begun))
        del self.exchanges[:-_KEPT]
