"""Google's published root keys, with which callbacks are verified; fetched when needed and kept for a while."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from requests import Session
from requests.exceptions import RequestException

from passes.google.callbacks import PROTOCOL, RootKey, from_millis, public_key
from passes.google.errors import KeysUnavailable

KEYS_URL = "https://pay.google.com/gp/m/issuer/keys"
_TIMEOUT = 5.0
_KEPT = timedelta(hours=1)
_NOT_ASKED_AGAIN = timedelta(seconds=10)


def fetch_root_keys(session: Session, url: str = KEYS_URL, timeout: float = _TIMEOUT) -> tuple[RootKey, ...]:
    """The keys for our protocol that are published now. `timeout` is in seconds. Raises KeysUnavailable."""
    try:
        response = session.get(url, timeout=timeout)
        response.raise_for_status()
        given = response.json()
    except (RequestException, ValueError) as error:
        raise KeysUnavailable(f"Google's root keys could not be fetched: {type(error).__name__}") from None
    entries = given.get("keys") if isinstance(given, dict) else None
    keys = [key for entry in entries if (key := _root_key(entry))] if isinstance(entries, list) else []
    if not keys:
        raise KeysUnavailable(f"{url} names no root keys for {PROTOCOL}")
    return tuple(keys)


def _root_key(entry: Any) -> RootKey | None:
    """The key in an entry; None for other protocols and for what can't be read, which Google may add one day."""
    if not isinstance(entry, dict) or entry.get("protocolVersion") != PROTOCOL:
        return None
    try:
        expiration = entry.get("keyExpiration")
        expires_at = None if expiration is None else from_millis(expiration)
        return RootKey(public_key(entry["keyValue"]), expires_at)
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class _Kept:
    keys: tuple[RootKey, ...]
    until: datetime


class RootKeys:
    """The root keys of one address, fetched anew every hour and when one expires. Safe to share between threads."""

    def __init__(self, session: Session, url: str = KEYS_URL) -> None:
        self._session, self._url = session, url
        self._lock = Lock()
        self._kept: _Kept | None = None
        self._failed_at: datetime | None = None

    def at(self, moment: datetime) -> Sequence[RootKey]:
        """The keys to verify with at `moment`. When Google can't be reached, those from before that have not expired.

        Raises KeysUnavailable when there are none; then Google is not asked again for ten seconds, because anybody can
        post callbacks, and each would wait for the timeout.
        """
        with self._lock:
            kept = self._kept
            if kept is not None and moment < kept.until:
                return kept.keys
            try:
                keys = self._fetched(moment)
            except KeysUnavailable:
                still_good = [key for key in kept.keys if _good(key, moment)] if kept else []
                if not still_good:
                    raise
                return still_good
            ends = [key.expires_at for key in keys if key.expires_at is not None and key.expires_at > moment]
            self._kept = _Kept(keys, min([moment + _KEPT, *ends]))
            return keys

    def _fetched(self, moment: datetime) -> tuple[RootKey, ...]:
        if self._failed_at is not None and abs(moment - self._failed_at) < _NOT_ASKED_AGAIN:
            raise KeysUnavailable("Google's root keys could not be fetched a moment ago")
        self._failed_at = moment
        keys = fetch_root_keys(self._session, self._url)
        self._failed_at = None
        return keys


def _good(key: RootKey, moment: datetime) -> bool:
    return key.expires_at is None or key.expires_at > moment
