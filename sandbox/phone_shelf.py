"""The pretend phones that stand on the page, what is done with them, and what has changed on them."""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition
from typing import Any

from cryptography import x509

from sandbox.android import Android, CannotSave
from sandbox.google_view import WalletFeed
from sandbox.iphone import CannotAdd, Iphone
from sandbox.lock_screen import Message as Notice
from sandbox.phone_browser import OpenedPage, PhoneBrowser
from sandbox.phone_texts import Bubble, Texts, arrived, read_number, shown_number
from sandbox.push_feed import PushFeed
from sandbox.twilio_messages import Message
from sms.phones import PhoneError

MOST_PHONES = 12
APPS = ("wallet", "messages")
_LONGEST_TEXT = 1600
_CARD = re.compile(r"/c/([A-Za-z0-9_-]+)")


SMS = "sms"
"""The card that a lock-screen message names when it is an SMS."""


class NotPossible(Exception):
    """What was asked can't be done. The text says why and what to do."""


@dataclass(slots=True)
class Stand:
    """One phone on the shelf, with the address of the card that it was given, if it was.

    `app` is what its screen shows: one of APPS, or “browser” with `page`. `read` is the number of the newest message
    that was seen; `missed` are those that came while the phone was off.
    """

    id: str
    kind: str
    name: str
    number: str
    phone: Iphone | Android
    card_url: str = ""
    app: str = "wallet"
    page: OpenedPage | None = None
    read: int = 0
    missed: list[Message] = field(default_factory=list)
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
    texts: Texts
    browser: PhoneBrowser
    stands: dict[str, Stand] = field(default_factory=dict)
    changed: Condition = field(default_factory=Condition)
    closed: bool = False
    _version: int = 0

    def __post_init__(self) -> None:
        self.texts.twilio.messages.on_change = self.hear

    def members(self) -> list[dict[str, str]]:
        """The demo's members: `name`, `phone` and `card_url` of each. Empty when no demo runs."""
        found: list[dict[str, str]] = self._demo().get("members", [])
        return found

    def join_code(self) -> str:
        """What to text to the shop to join; empty when no demo runs."""
        return str(self._demo().get("texting", {}).get("code", ""))

    def _demo(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.demo_file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def add(self, kind: str, address: str, language: str, number: str = "") -> Stand:
        """A new phone with the card of this address; without an address, without a card. The number is the member's,
        or one that is free, unless one was typed. Raises NotPossible."""
        match = _CARD.search(address)
        if match is None and address:
            raise NotPossible("This is not the address of a card. It looks like …/c/ and some letters.")
        if len(self.stands) >= MOST_PHONES:
            raise NotPossible(f"There is room for {MOST_PHONES} phones. Throw one away first.")
        whose = next((one for one in self.members() if match and match[0] in one["card_url"]), {})
        number = self._number(number or whose.get("phone", ""))
        phone: Iphone | Android
        if kind == "iphone":
            phone = Iphone(self.ca_file, self.roots, self.pushes, language=language)
        else:
            phone = Android(self.ca_file, self.changes, language=language)
        stand = Stand(secrets.token_hex(4), kind, whose.get("name", ""), number, phone)
        phone.log.on_change = lambda: self.touch(stand)
        if match is None:
            stand.app = "messages"
        else:
            stand.card_url = f"{self.wallet_url}/c/{match[1]}"
            try:
                self.take_card(stand)
            except NotPossible:
                phone.stop()
                raise
        self._see(stand)  # what this number was sent before is not news
        self.stands[stand.id] = stand
        self.touch(stand)
        return stand

    def take_card(self, stand: Stand) -> None:
        """Add the phone's card to it. Raises NotPossible."""
        self._add(stand, f"{stand.card_url}/{'apple.pkpass' if stand.kind == 'iphone' else 'google'}")

    def take_coupon(self, stand: Stand, link: str) -> None:
        """Add a coupon of the page that is open. Raises NotPossible."""
        if stand.page is None or link not in stand.page.coupon_links:
            raise NotPossible("The page that is open offers no such coupon for this phone.")
        self._add(stand, link)
        self.show(stand, "wallet")

    def _add(self, stand: Stand, link: str) -> None:
        try:
            stand.phone.add(link)
        except CannotAdd as error:
            raise NotPossible(str(error)) from None
        except CannotSave as error:
            raise NotPossible(f"This card cannot be added: {error}") from None

    def _number(self, wanted: str) -> str:
        if not wanted:
            return self.texts.free_number({stand.number for stand in self.stands.values()})
        try:
            number = read_number(wanted)
        except PhoneError as error:
            raise NotPossible(str(error)) from None
        if number == self.texts.shop:
            raise NotPossible("This is the shop's own number. Choose another one.")
        return number

    def drop_card(self, stand: Stand) -> None:
        """Remove every card from the phone, as its user would."""
        for card_id in stand.card_ids:
            stand.phone.remove(card_id)

    def show(self, stand: Stand, app: str) -> None:
        """Open one of APPS on the phone."""
        stand.app, stand.page = app, None
        if app == "messages":
            self._see(stand)
        self.touch(stand)

    def text(self, stand: Stand, body: str) -> None:
        """Text the shop from the phone. Raises NotPossible."""
        if not stand.phone.is_on:
            raise NotPossible("The phone is switched off. Turn it on first.")
        if not body.strip() or len(body) > _LONGEST_TEXT:
            raise NotPossible(f"Write a message first, of {_LONGEST_TEXT} characters at most.")
        status = self.texts.send(stand.number, body)
        told = f"the shop's server answered {status}" if status else "the shop's server did not answer"
        stand.phone.log.tell("texted" if status == 200 else "failed", f"Texted the shop; {told}.")

    def follow(self, stand: Stand, link: str) -> None:
        """Tap a link in one of the phone's messages. Raises NotPossible."""
        if (link, True) not in [piece for bubble in self.bubbles(stand) for piece in bubble.pieces]:
            raise NotPossible("No message on this phone has this link.")
        stand.page = page = self.browser.open(link, stand.kind, stand.phone.language)
        stand.app = "browser"
        stand.phone.log.tell("followed", f"Followed the link to {page.host} ({page.status or 'not asked'}).")

    def install(self, stand: Stand) -> None:
        """Add the card of the page that is open. Raises NotPossible."""
        if stand.page is None or not stand.page.wallet_link:
            raise NotPossible("The page that is open offers no card for this phone.")
        card_url = stand.page.wallet_link.rpartition("/")[0]
        if stand.card_ids and card_url != stand.card_url:
            raise NotPossible("There is another card on this phone. Remove it first.")
        stand.card_url = card_url
        self.take_card(stand)
        self.show(stand, "wallet")

    def hear(self, message: Message) -> None:
        """A message is new or has got further: show it where it belongs."""
        for stand in list(self.stands.values()):
            if stand.number == message.sender:
                self.touch(stand)
            elif stand.number == message.to and arrived(message):
                if stand.phone.is_on:
                    self._arrive(stand, message)
                else:
                    stand.missed.append(message)

    def switch_on(self, stand: Stand) -> None:
        """Turn the phone on; what came meanwhile arrives."""
        stand.phone.switch_on()
        missed, stand.missed = stand.missed, []
        for message in missed:
            self._arrive(stand, message)

    def bubbles(self, stand: Stand) -> list[Bubble]:
        """The messages that the phone shows."""
        return self.texts.bubbles(stand.number, self._ignored(stand))

    def threads(self, stand: Stand) -> list[tuple[str, list[Bubble]]]:
        """The same, by whom they are with."""
        return self.texts.threads(stand.number, self._ignored(stand))

    def unread(self, stand: Stand) -> int:
        """How many messages have come that nobody has seen."""
        return sum(not bubble.mine and bubble.number > stand.read for bubble in self.bubbles(stand))

    def _ignored(self, stand: Stand) -> set[int]:
        return {message.number for message in stand.missed}

    def _see(self, stand: Stand) -> None:
        stand.read = max((bubble.number for bubble in self.bubbles(stand)), default=0)

    def _arrive(self, stand: Stand, message: Message) -> None:
        if stand.app == "messages":
            self._see(stand)
        else:
            sender = shown_number(message.sender or "")
            stand.phone.lock_screen.append(Notice(message.created_at, sender, message.body, SMS))
        stand.phone.log.tell("sms", f"SMS: {message.body}")

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
