"""How pretend iPhones hear of pushes: at once, each of its own."""

import time
from collections.abc import Callable
from threading import Lock, Thread
from typing import Protocol

import requests

from sandbox.apns_rules import Accepted

_WAIT_SECONDS = 5.0


class PushService(Protocol):
    """The push service as a phone sees it. sandbox.apns_rules.PushRules is one."""

    def issue(self, topic: str | None = None) -> str:
        """A new device token for pushes of this topic."""

    def unregister(self, token: str) -> None:
        """The phone is no more: pushes to the token are refused from now on."""

    def pushes(self, since: int = 0, wait: float = 0.0) -> list[Accepted]:
        """The pushes after the number `since`; waits up to `wait` seconds for one."""


class RemotePushService:
    """The stand-in in another process, through its control interface (http://127.0.0.1:PORT)."""

    def __init__(self, control_url: str) -> None:
        self._url = control_url
        self._session, self._waiting = requests.Session(), requests.Session()
        # Proxies of the surroundings have nothing to do with this machine's own addresses.
        self._session.trust_env = self._waiting.trust_env = False

    def issue(self, topic: str | None = None) -> str:
        answer = self._session.post(f"{self._url}/control/devices", json={"topic": topic}, timeout=10)
        answer.raise_for_status()
        return str(answer.json()["token"])

    def unregister(self, token: str) -> None:
        self._session.delete(f"{self._url}/control/devices/{token}", timeout=10).raise_for_status()

    def pushes(self, since: int = 0, wait: float = 0.0) -> list[Accepted]:
        """As PushRules does. Raises requests.RequestException when the stand-in is gone."""
        answer = self._waiting.get(
            f"{self._url}/control/pushes", params={"since": str(since), "wait": str(wait)}, timeout=wait + 10
        )
        answer.raise_for_status()
        return [Accepted(**push) for push in answer.json()["pushes"]]


class PushFeed:
    """Hands each push to the phone that has its token. One thread for all phones; it waits, and never polls."""

    def __init__(self, service: PushService) -> None:
        self.service = service
        self._listeners: dict[str, Callable[[Accepted], None]] = {}
        self._lock = Lock()
        self._seen = 0
        self._stopped = False
        self._thread: Thread | None = None

    def listen(self, token: str, hear: Callable[[Accepted], None]) -> None:
        """Call `hear` with each push for this token. It has to return quickly."""
        with self._lock:
            self._listeners[token] = hear
            if self._thread is None:
                self._thread = Thread(target=self._run, name="push-feed", daemon=True)
                self._thread.start()

    def forget(self, token: str) -> None:
        """Hear of this token no more."""
        with self._lock:
            self._listeners.pop(token, None)

    @property
    def handed_on(self) -> int:
        """The number of the last push that its phone has heard."""
        return self._seen

    def stop(self) -> None:
        """Hear of nothing more. The thread ends with the next push, or after five seconds."""
        self._stopped = True

    def _run(self) -> None:
        while not self._stopped:
            asked = time.monotonic()
            try:
                pushes = self.service.pushes(self._seen, _WAIT_SECONDS)
            except requests.RequestException:
                return
            for push in pushes:
                with self._lock:
                    hear = self._listeners.get(push.token)
                if hear:
                    hear(push)
                self._seen = max(self._seen, push.number)
            if not pushes and time.monotonic() - asked < _WAIT_SECONDS / 2:
                time.sleep(0.1)  # the service is closing: it answers at once, with nothing
