"""A pretend Android: follows the link behind 'Add to Google Wallet', and shows the card as Google Wallet has it.

phone = Android("sandbox/ca.pem", WalletFeed(LocalWallet(google)))
phone.add("https://localhost:8443/c/TOKEN/google")
…a stamp…
phone.log.wait_for(lambda: phone.face(object_id).points[0].body == "4/10")
"""

import secrets
from collections.abc import Callable
from datetime import datetime
from threading import RLock
from typing import Any
from urllib.parse import urlsplit

import requests

from app import clock
from sandbox.android_face import AndroidFace, face
from sandbox.google_view import WalletFeed
from sandbox.lock_screen import Message
from sandbox.phone_log import PhoneLog

_TIMEOUT = 10.0
_LARGEST_PICTURE = 8 * 1024 * 1024
_PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")


class CannotSave(Exception):
    """The card can't be put on the phone. The text says why, in plain words."""


class Android:
    """One phone. `ca_file` is what it trusts web servers by."""

    def __init__(
        self,
        ca_file: str | None,
        feed: WalletFeed,
        *,
        language: str = "en",
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self.user = f"phone-{secrets.token_hex(8)}"
        self.language = language
        self.cards: dict[str, dict[str, Any]] = {}
        """The cards on the phone by object id, as WalletView.shown gives them."""
        self.pictures: dict[str, tuple[str, bytes]] = {}
        """Content type and bytes of each picture by its address. Like Google, the phone fetches an address once."""
        self.lock_screen: list[Message] = []
        self.log = PhoneLog(now)
        self.is_on = True
        self._now, self._feed = now, feed
        self._told: dict[str, int] = {}
        self._using = RLock()
        self._session = requests.Session()
        self._session.trust_env = False
        if ca_file:
            self._session.verify = ca_file
        feed.listen(self._hear)

    def add(self, url: str) -> list[str]:
        """Tap a link that leads to Google's save page, and save. The object ids. Raises CannotSave."""
        try:
            page = self._session.get(url, timeout=_TIMEOUT)
            if page.status_code != 200 or "/gp/v/save/" not in urlsplit(page.url).path:
                raise CannotSave(f"The link does not lead to Google's page ({_reason(page)}).")
            saved = self._session.post(page.url, data={"user": self.user}, timeout=_TIMEOUT)
        except requests.RequestException as error:
            raise CannotSave(f"There was no answer ({type(error).__name__}).") from None
        if saved.status_code != 200:
            raise CannotSave(f"Google refused to save the card ({_reason(saved)}).")
        ids: list[str] = saved.json()["saved"]
        for object_id in ids:
            with self._using:
                self.cards[object_id] = found = self._feed.wallet.shown(object_id)
                self._told[object_id] = len(found["notifications"])
                self._fetch_pictures(found)
            self.log.tell("saved", f"Saved “{face(found, self.language).program}” to Google Wallet.")
        return ids

    def remove(self, object_id: str) -> None:
        """Take the card off the phone; Google calls the issuer back."""
        with self._using:
            del self.cards[object_id]
            self._feed.wallet.remove(object_id, self.user)
        self.log.tell("removed", "Removed the card. Google tells the shop.")

    def face(self, object_id: str) -> AndroidFace:
        """The card as it is drawn."""
        return face(self.cards[object_id], self.language)

    def switch_off(self) -> None:
        """Hear nothing of changes until it is on again."""
        self.is_on = False
        self.log.tell("off", "Switched off.")

    def switch_on(self) -> None:
        """Show the cards as Google has them now, and what was notified meanwhile."""
        self.is_on = True
        self.log.tell("on", "Switched on.")
        for object_id in list(self.cards):
            self._update(object_id)

    def stop(self) -> None:
        """Close the phone's connections."""
        self._feed.forget(self._hear)
        self._session.close()

    def _hear(self, kind: str, changed_id: str) -> None:
        if not self.is_on:
            return
        for object_id, card in list(self.cards.items()):
            if changed_id in (object_id, card["class"]["id"]) and kind in ("object", "class", "notification"):
                self._update(object_id)

    def _update(self, object_id: str) -> None:
        with self._using:
            try:
                new = self._feed.wallet.shown(object_id)
            except LookupError:
                return
            old = self.cards.get(object_id)
            if old is None:
                return
            self.cards[object_id] = new
            self._fetch_pictures(new)
            told, self._told[object_id] = self._told[object_id], len(new["notifications"])
            news = new["notifications"][told:]
            for one in news:
                self.lock_screen.append(Message(self._now(), one["header"], one["body"], object_id))
        changed = _changed(old["object"], new["object"]) + _changed(old["class"], new["class"])
        if changed:
            self.log.tell("changed", f"Google sent the new card. Changed: {', '.join(changed)}.")
        for one in news:
            self.log.tell("message", f"Notification: {one['header']} – {one['body']}")

    def _fetch_pictures(self, card: dict[str, Any]) -> None:
        drawn = face(card, self.language)
        for url in (drawn.logo, drawn.hero):
            if url and url not in self.pictures:
                self._fetch_picture(url)

    def _fetch_picture(self, url: str) -> None:
        try:
            answer = self._session.get(url, timeout=_TIMEOUT)
        except requests.RequestException as error:
            self.log.tell("complaint", f"A picture could not be fetched ({type(error).__name__}): {url}")
            return
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        if answer.status_code != 200 or kind not in _PICTURE_TYPES or len(answer.content) > _LARGEST_PICTURE:
            self.log.tell("complaint", f"A picture is not one ({answer.status_code}, {kind}): {url}")
            return
        self.pictures[url] = (kind, answer.content)


def _changed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _reason(answer: requests.Response) -> str:
    """What an answer says about why; at least its status."""
    try:
        return f"{answer.status_code}: {answer.json()['error']['message']}"
    except (ValueError, KeyError, TypeError):
        return f"it answered {answer.status_code}"
