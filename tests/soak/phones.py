"""Light pretend phones: hundreds in a few threads, each with one card. They hear pushes and fetch what changed."""

import json
import queue
import threading
import time
import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from uuid import UUID

import requests

from sandbox.apns_rules import PushRules
from tests.soak.installation import PASS_TYPE

PAUSE = 0.2  # seconds until a phone tries again what did not work


@dataclass
class Phone:
    """A phone and its one card. `shown` holds each pass.json that it was given, the newest last."""

    device: str
    token: str
    serial: str
    secret: str
    tag: str = ""
    last_modified: str = ""
    shown: list[dict[str, Any]] = field(default_factory=list)

    @property
    def stamps(self) -> str:
        """What is in the corner of the card: '3 of 10'."""
        return str(self.shown[-1]["storeCard"]["headerFields"][0]["value"]) if self.shown else ""


class Phones:
    """Phones of one installation. `busy` is true while any of them has something to fetch."""

    def __init__(self, url: str, rules: PushRules, threads: int = 2) -> None:
        self.url, self.rules = f"{url}/apple/v1", rules
        self.by_token: dict[str, Phone] = {}
        self.retries = 0
        self._seen = len(rules.log)
        self._waiting: queue.SimpleQueue[Phone | None] = queue.SimpleQueue()
        self._queued: set[str] = set()
        self._at_work = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, name="phones") for _ in range(threads)]
        self._threads.append(threading.Thread(target=self._listen, name="phones-listen"))
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Phones":
        return self

    def __exit__(self, *failure: object) -> None:
        self._ended.set()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def add(self, card_id: UUID, secret: str) -> Phone:
        """A new phone that holds this card and has registered for it."""
        phone = Phone(f"device-{card_id}", self.rules.issue(PASS_TYPE), str(card_id), secret)
        self.by_token[phone.token] = phone
        with requests.Session() as session:
            answer = session.post(
                f"{self.url}/devices/{phone.device}/registrations/{PASS_TYPE}/{phone.serial}",
                json={"pushToken": phone.token},
                headers={"Authorization": f"ApplePass {secret}"},
                timeout=10,
            )
        answer.raise_for_status()
        return phone

    @property
    def busy(self) -> bool:
        with self._lock:
            return bool(self._queued) or self._at_work > 0 or self._seen < len(self.rules.log)

    def newest(self, phone: Phone) -> dict[str, Any]:
        """The card as the web service gives it now."""
        with requests.Session() as session:
            return _contents(self._get_pass(session, phone, since=""))

    def _listen(self) -> None:
        while not self._ended.is_set():
            pushes = self.rules.pushes(self._seen, 0.2)
            with self._lock:
                for push in pushes:
                    phone = self.by_token.get(push.token)
                    if phone and push.token not in self._queued:
                        self._queued.add(push.token)
                        self._waiting.put(phone)
                self._seen += len(pushes)

    def _work(self) -> None:
        with requests.Session() as session:
            while (phone := self._waiting.get()) is not None:
                with self._lock:
                    self._queued.discard(phone.token)
                    self._at_work += 1
                try:
                    self._update(session, phone)
                except requests.RequestException:
                    self._later(phone)
                with self._lock:
                    self._at_work -= 1

    def _later(self, phone: Phone) -> None:
        with self._lock:
            self.retries += 1
            if phone.token not in self._queued and not self._ended.is_set():
                self._queued.add(phone.token)
                self._waiting.put(phone)
        time.sleep(PAUSE)

    def _update(self, session: requests.Session, phone: Phone) -> None:
        """Ask what has changed, and fetch it: as Apple says."""
        answer = session.get(
            f"{self.url}/devices/{phone.device}/registrations/{PASS_TYPE}",
            params={"passesUpdatedSince": phone.tag} if phone.tag else None,
            timeout=10,
        )
        answer.raise_for_status()
        if answer.status_code == 204:
            return
        told = answer.json()
        if phone.serial in told["serialNumbers"]:
            got = self._get_pass(session, phone, since=phone.last_modified)
            if got.status_code == 200:
                phone.shown.append(_contents(got))
                phone.last_modified = got.headers["Last-Modified"]
        phone.tag = told["lastUpdated"]

    def _get_pass(self, session: requests.Session, phone: Phone, since: str) -> requests.Response:
        headers = {"Authorization": f"ApplePass {phone.secret}"} | ({"If-Modified-Since": since} if since else {})
        answer = session.get(f"{self.url}/passes/{PASS_TYPE}/{phone.serial}", headers=headers, timeout=10)
        answer.raise_for_status()
        return answer


def _contents(answer: requests.Response) -> dict[str, Any]:
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        found: dict[str, Any] = json.loads(archive.read("pass.json"))
        return found
