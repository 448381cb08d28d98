"""The pretend phones that stand on the page, and what has changed on them."""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition

from cryptography import x509

from sandbox.android import Android, CannotSave
from sandbox.google_view import WalletFeed
from sandbox.iphone import CannotAdd, Iphone
from sandbox.push_feed import PushFeed

MOST_PHONES = 12
_CARD = re.compile(r"/c/([A-Za-z0-9_-]+)")


class NotPossible(Exception):
    """What was asked can't be done. The text says why and what to do."""


@dataclass(slots=True)
class Stand:
    """One phone on the shelf, with the address of the card that it was given."""

    id: str
    kind: str
    name: str
    phone: Iphone | Android
    card_url: str
    version: int = 0

    @property
    def card_ids(self) -> list[str]:
        """The cards on it: serial numbers, or Google's object ids."""
        return list(self.phone.passes if isinstance(self.phone, Iphone) else self.phone.cards)


@dataclass(slots=True)
class Shelf:
    """All phones. `wallet_url` is where they reach the app; `demo_file` tells whose cards there are to pick from."""

    wallet_url: str
    ca_file: str
    roots: Sequence[x509.Certificate]
    pushes: PushFeed
    changes: WalletFeed
    demo_file: Path
    stands: dict[str, Stand] = field(default_factory=dict)
    changed: Condition = field(default_factory=Condition)
    closed: bool = False
    _version: int = 0

    def members(self) -> list[dict[str, str]]:
        """The demo's members: `name` and `card_url` of each. Empty when no demo runs."""
        try:
            found: list[dict[str, str]] = json.loads(self.demo_file.read_text("utf-8"))["members"]
        except (OSError, ValueError, KeyError):
            return []
        return found

    def add(self, kind: str, address: str, language: str) -> Stand:
        """A new phone with the card of this address. Raises NotPossible."""
        match = _CARD.search(address)
        if match is None:
            raise NotPossible("This is not the address of a card. It looks like …/c/ and some letters.")
        if len(self.stands) >= MOST_PHONES:
            raise NotPossible(f"There is room for {MOST_PHONES} phones. Throw one away first.")
        phone: Iphone | Android
        if kind == "iphone":
            phone = Iphone(self.ca_file, self.roots, self.pushes, language=language)
        else:
            phone = Android(self.ca_file, self.changes, language=language)
        name = next((one["name"] for one in self.members() if match[0] in one["card_url"]), "")
        stand = Stand(secrets.token_hex(4), kind, name, phone, f"{self.wallet_url}/c/{match[1]}")
        phone.log.on_change = lambda: self.touch(stand)
        try:
            self.take_card(stand)
        except NotPossible:
            phone.stop()
            raise
        self.stands[stand.id] = stand
        self.touch(stand)
        return stand

    def take_card(self, stand: Stand) -> None:
        """Add the phone's card to it. Raises NotPossible."""
        try:
            if isinstance(stand.phone, Iphone):
                stand.phone.add(f"{stand.card_url}/apple.pkpass")
            else:
                stand.phone.add(f"{stand.card_url}/google")
        except CannotAdd as error:
            raise NotPossible(str(error)) from None
        except CannotSave as error:
            raise NotPossible(f"This card cannot be added: {error}") from None

    def drop_card(self, stand: Stand) -> None:
        """Remove every card from the phone, as its user would."""
        for card_id in stand.card_ids:
            stand.phone.remove(card_id)

    def set_language(self, stand: Stand, language: str) -> None:
        """Set the phone to another language."""
        stand.phone.language = language
        stand.phone.log.tell("language", f"The phone's language is now {language}.")

    def throw_away(self, stand: Stand) -> None:
        """The phone is no more. No web service is told, as when a phone falls into a lake."""
        del self.stands[stand.id]
        if isinstance(stand.phone, Iphone):
            stand.phone.erase()
        stand.phone.stop()
        self.touch(stand)

    def touch(self, stand: Stand) -> None:
        """The phone looks different now."""
        with self.changed:
            self._version += 1
            stand.version = self._version
            self.changed.notify_all()

    def versions(self, since: int, timeout: float) -> tuple[int, dict[str, int]]:
        """The shelf's version and that of each phone; waits up to `timeout` seconds for one newer than `since`."""
        with self.changed:
            self.changed.wait_for(lambda: self._version > since or self.closed, timeout)
            return self._version, {stand.id: stand.version for stand in self.stands.values()}

    def close(self) -> None:
        """Stop all phones, and wake everybody who waits."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        for stand in list(self.stands.values()):
            stand.phone.stop()
