"""The pretend Google Wallet as pretend Androids see it: cards, changes, removals; here or in another process."""

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import requests

from sandbox.google import GoogleSandbox
from sandbox.google_errors import ApiError

_WAIT_SECONDS = 5.0


class WalletView(Protocol):
    """What phones need of the wallet."""

    def shown(self, object_id: str) -> dict[str, Any]:
        """`{"class", "object", "users", "notifications"}`. Raises LookupError."""

    def changes(self, since: int, timeout: float) -> tuple[int, list[dict[str, Any]]]:
        """The number of the last change, and the changes after `since`; waits up to `timeout` seconds for one."""

    def remove(self, object_id: str, user: str) -> None:
        """The user removes the card; the issuer is called back. Raises LookupError."""


class LocalWallet:
    """The stand-in in this process."""

    def __init__(self, google: GoogleSandbox) -> None:
        self._google = google

    def shown(self, object_id: str) -> dict[str, Any]:
        try:
            return self._google.state.shown(object_id)
        except ApiError as error:
            raise LookupError(str(error)) from None

    def changes(self, since: int, timeout: float) -> tuple[int, list[dict[str, Any]]]:
        return self._google.state.changes(since, timeout)

    def remove(self, object_id: str, user: str) -> None:
        try:
            self._google.save_page.remove(object_id, user)
        except ApiError as error:
            raise LookupError(str(error)) from None


class RemoteWallet:
    """The stand-in in another process, through its control interface (http://localhost:PORT)."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session, self._waiting = requests.Session(), requests.Session()
        # Proxies of the surroundings have nothing to do with this machine's own addresses.
        self._session.trust_env = self._waiting.trust_env = False

    def shown(self, object_id: str) -> dict[str, Any]:
        found: dict[str, Any] = _json(self._session.get(f"{self._url}/control/objects/{object_id}", timeout=10))
        return found

    def changes(self, since: int, timeout: float) -> tuple[int, list[dict[str, Any]]]:
        """As WalletState does. Raises requests.RequestException when the stand-in is gone."""
        given = {"since": str(since), "timeout": str(timeout)}
        found = _json(self._waiting.get(f"{self._url}/control/changes", params=given, timeout=timeout + 10))
        return found["last"], found["changes"]

    def remove(self, object_id: str, user: str) -> None:
        given = {"objectId": object_id, "user": user}
        _json(self._session.post(f"{self._url}/control/remove", json=given, timeout=10))


def _json(answer: requests.Response) -> Any:
    if answer.status_code == 404:
        raise LookupError(answer.text)
    answer.raise_for_status()
    return answer.json()


class WalletFeed:
    """Tells each change of a class or an object to all phones. One thread; it waits, and never polls."""

    def __init__(self, wallet: WalletView) -> None:
        self.wallet = wallet
        self._listeners: list[Callable[[str, str], None]] = []
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def listen(self, hear: Callable[[str, str], None]) -> None:
        """Call `hear(kind, id)` with each change from now on. It has to return quickly."""
        with self._lock:
            self._listeners = [*self._listeners, hear]
            if self._thread is None:
                since, _ = self.wallet.changes(0, 0)
                self._thread = threading.Thread(target=self._run, args=(since,), name="wallet-feed", daemon=True)
                self._thread.start()

    def forget(self, hear: Callable[[str, str], None]) -> None:
        """Tell this listener no more."""
        with self._lock:
            self._listeners = [one for one in self._listeners if one != hear]

    def stop(self) -> None:
        """Tell nothing more. The thread ends with the next change, or after five seconds."""
        self._stopped = True

    def _run(self, since: int) -> None:
        while not self._stopped:
            asked = time.monotonic()
            try:
                since, changes = self.wallet.changes(since, _WAIT_SECONDS)
            except requests.RequestException:
                return
            for change in changes:
                for hear in self._listeners:
                    hear(change["kind"], change["id"])
            if not changes and time.monotonic() - asked < _WAIT_SECONDS / 2:
                time.sleep(0.1)  # the stand-in is closing: it answers at once, with nothing
