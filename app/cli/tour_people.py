"""Who takes part in the tour: people with browsers, and pretend phones. Each says what came instead when it fails."""

import io
import json
import re
import time
import zipfile
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import click
import requests


class StepFailed(Exception):
    """A step of the tour did not do what was promised. The text says what came instead."""


def expect(truth: bool, otherwise: str) -> None:
    """Raise StepFailed with the text unless it is true."""
    if not truth:
        raise StepFailed(otherwise)


class Forms(HTMLParser):
    """The forms of a page: each one's address and the values that it would send."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given.get("action", ""), {}))
        elif tag == "input" and self.found and given.get("name") and given.get("type") != "checkbox":
            if given.get("type") != "radio" or "checked" in given:
                self.found[-1][1][given["name"]] = given.get("value", "")
            else:
                self.found[-1][1].setdefault(given["name"], "")  # to be chosen


class Visitor:
    """Somebody with a browser."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.http = requests.Session()

    def open(self, path: str) -> requests.Response:
        answer = self.http.get(urljoin(self.base, path), timeout=20)
        expect(answer.status_code == 200, f"{path} answered {answer.status_code}")
        return answer

    def send(self, page: requests.Response, field: str, **values: str) -> requests.Response:
        """Fill in and send the form of `page` that has this field."""
        for action, hidden in Forms(page.text).found:
            if field in hidden:
                answer = self.http.post(urljoin(page.url, action), data=hidden | values, timeout=20)
                expect(answer.status_code == 200, f"sending the form with {field} answered {answer.status_code}")
                return answer
        raise StepFailed(f"{page.url} has no form with {field}")

    def send_to(self, page: requests.Response, address: str, **values: str) -> requests.Response:
        """Send the form of `page` that goes to this address, as it is but for these values."""
        hidden = next(values for action, values in Forms(page.text).found if action == address)
        answer = self.http.post(urljoin(page.url, address), data=hidden | values, timeout=20)
        expect(answer.status_code == 200, f"sending to {address} answered {answer.status_code}")
        return answer


class Phones:
    """The pretend phones of the demo's sandbox."""

    KINDS = ("iphone", "android")
    PATIENCE_SECONDS = 10.0

    def __init__(self, address: str) -> None:
        self.address = address
        self.http = requests.Session()
        self.http.headers["Accept"] = "application/json"

    def add(self, kind: str, card_url: str = "") -> str:
        """A new phone of this kind, with the card that its owner puts on it from the card's page; its id."""
        return str(self._post("", kind=kind, address=card_url, language="en")["id"])

    def shown(self) -> list[str]:
        """What the phones' cards say about the stamps: '2 of 10', however each wallet writes it."""
        cards = [phone["cards"][0] for phone in self._all()]
        fields = [
            card["groups"]["header"][0]
            if "groups" in card
            else next(one for one in card["points"] if re.search(r"\d/\d", str(one)))
            for card in cards
        ]
        return [" of ".join(re.findall(r"\d+", str(field))[-2:]) for field in fields]

    def wait_for(self, stamps: str) -> float:
        """Wait until all phones show it; return the seconds."""
        begun = time.monotonic()
        while self.shown() != [stamps] * len(self.KINDS):
            waited = time.monotonic() - begun
            expect(waited < self.PATIENCE_SECONDS, f"after {waited:.0f} s the phones show {self.shown()}")
            time.sleep(0.02)
        return time.monotonic() - begun

    def lock_screen(self) -> str:
        """The newest message on the iPhone's lock screen."""
        messages = next(phone["lock_screen"] for phone in self._all() if phone["kind"] == "iphone")
        expect(bool(messages), "there is no message on the lock screen")
        return str(messages[-1]["text"])

    def text(self, phone: str, body: str) -> tuple[dict[str, Any], float]:
        """Text the shop from this phone; its reply, and the seconds until it was there."""
        begun, before = time.monotonic(), len(self.messages(phone))
        self._post(f"/{phone}/text", text=body)
        return self.next_message(phone, before), time.monotonic() - begun

    def say(self, phone: str, body: str) -> None:
        """Text the shop from this phone, when the provider answers by itself or nobody does."""
        self._post(f"/{phone}/text", text=body)

    def follow(self, phone: str, link: str) -> None:
        """Open a link in a message with the phone's browser."""
        self._post(f"/{phone}/follow", link=link)

    def next_message(self, phone: str, before: int) -> dict[str, Any]:
        """Wait for the shop's first message after the phone's first `before` messages."""
        begun = time.monotonic()
        while not (arrived := [one for one in self.messages(phone)[before:] if not one["mine"]]):
            waited = time.monotonic() - begun
            expect(waited < self.PATIENCE_SECONDS, f"after {waited:.0f} s there is no message on the phone")
            time.sleep(0.02)
        return arrived[0]

    def install(self, phone: str, link: str) -> list[str]:
        """Follow the link in a message, and add the card of the page that opens; the ids of the cards on the phone."""
        self._post(f"/{phone}/follow", link=link)
        self._post(f"/{phone}/install")
        return [card["id"] for card in self._one(phone)["cards"]]

    def card(self, phone: str, card: str = "") -> dict[str, Any]:
        """What this phone shows of the card with this id, or of its first one."""
        found: list[dict[str, Any]] = self._one(phone)["cards"]
        return next(one for one in found if card in ("", one["id"]))

    def news(self, phone: str) -> str:
        """The newest message on this phone's lock screen that came with a card; empty when there is none."""
        texts = [str(one["text"]) for one in self._one(phone)["lock_screen"]]
        return texts[-1] if texts else ""

    def take_coupon(self, phone: str) -> dict[str, Any]:
        """Add the first coupon of the page that is open; how the phone shows it."""
        shown = self._one(phone)
        before = {card["id"] for card in shown["cards"]}
        links = shown["page"]["coupon_links"]
        expect(bool(links), "the page offers no coupon")
        self._post(f"/{phone}/coupon", link=links[0])
        return next(card for card in self._one(phone)["cards"] if card["id"] not in before)

    def messages(self, phone: str) -> list[dict[str, Any]]:
        """What this phone was sent and has sent, oldest first."""
        found: list[dict[str, Any]] = self._one(phone)["messages"]
        return found

    def _post(self, path: str, **form: str) -> dict[str, Any]:
        answer = self.http.post(f"{self.address}{path}", data=form, timeout=20)
        expect(answer.status_code == 200, f"the pretend phone answered: {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    def _one(self, phone: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"{self.address}/{phone}", timeout=20).json()
        return found

    def _all(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(self.address, timeout=20).json()
        return found


def sign_in(somebody: Visitor, told: dict[str, Any], role: str = "cashier") -> requests.Response:
    person = next(person for person in told["staff"] if person["role"] == role)
    page = somebody.open("/staff/sign-in")
    return somebody.send(page, "login", login=person["login"], password=person["password"])


def shown_pass(customer: Visitor, card_url: str) -> dict[str, Any]:
    """The pass.json of the card's Apple pass."""
    content = customer.open(f"{card_url}/apple.pkpass").content
    shown: dict[str, Any] = json.loads(zipfile.ZipFile(io.BytesIO(content)).read("pass.json"))
    return shown


def step(promise: str, outcome: str) -> None:
    click.echo(f"  ok      {promise}: {outcome}")
