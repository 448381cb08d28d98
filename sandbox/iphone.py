"""A pretend iPhone: takes passes as a real one does, registers them, hears pushes, fetches, and speaks up.

    feed = PushFeed(apns.rules)
    phone = Iphone("sandbox/ca.pem", load_roots(pem), feed)
    phone.add("https://localhost:8443/c/TOKEN/apple.pkpass")
    …a stamp…
    phone.log.wait_for(lambda: len(phone.lock_screen) == 1)

What a phone hears of is done in a thread of its own, one thing after the other.
"""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from threading import Event, RLock

from cryptography import x509
from requests import Response

from app import clock
from sandbox import lock_screen
from sandbox.apns_rules import Accepted
from sandbox.lock_screen import Message
from sandbox.pass_face import HeldPass
from sandbox.pass_service import Exchange, PassService, Unavailable
from sandbox.phone_log import PhoneLog
from sandbox.pkpass_check import MIME_TYPE, check
from sandbox.push_feed import PushFeed

RETRIES = (0.2, 0.5, 1.0, 2.0, 4.0, *[8.0] * 12)
"""Seconds between attempts when the web service is out: some two minutes in all, then the next push is waited for."""


class CannotAdd(Exception):
    """The phone does not take a pass. The text is what it shows; `faults` are the rules that the pass breaks."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(f"This pass cannot be added: {' '.join(faults)}")
        self.faults = list(faults)


class Iphone:
    """One phone. `roots` are the certificates that it trusts passes by; `ca_file` is what it trusts web servers by."""

    def __init__(
        self,
        ca_file: str | None,
        roots: Sequence[x509.Certificate],
        feed: PushFeed,
        *,
        language: str = "en",
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self.device = secrets.token_hex(16)
        self.language = language
        self.passes: dict[str, HeldPass] = {}
        """The passes on the phone, by serial number."""
        self.lock_screen: list[Message] = []
        """What was said, oldest first."""
        self.log = PhoneLog(now)
        self.is_on = True
        self._now, self._roots, self._feed = now, list(roots), feed
        self._service = PassService(self.device, ca_file, now)
        self._tokens: dict[str, str] = {}
        self._tags: dict[tuple[str, str], str] = {}
        self._stored: set[str] = set()
        self._queued: set[str] = set()
        self._using = RLock()
        self._ended = Event()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="iphone")

    @property
    def requests(self) -> list[Exchange]:
        """Every request that the phone made, oldest first."""
        return self._service.exchanges

    def add(self, source: bytes | str) -> HeldPass:
        """Take a pass, given as a file or by its address, and register it. Raises CannotAdd."""
        with self._using:
            data = self._download(source) if isinstance(source, str) else source
            held = self._checked(data)
            self.passes[held.serial] = held
            self.log.tell("added", f"Added “{held.contents['description']}”. Its signature and digests are right.")
            if held.service:
                self._register(held)
            return held

    def remove(self, serial: str) -> None:
        """Take the pass off the phone and tell the web service."""
        with self._using:
            held = self.passes.pop(serial)
            self.log.tell("removed", f"Removed “{held.contents['description']}”.")
            if held.service:
                self._again_until_done(lambda: self._unregister(held))

    def refresh(self, serial: str) -> bool:
        """Pull down on the pass to update it. Whether there was a newer one. Raises Unavailable."""
        with self._using:
            return self._fetch(self.passes[serial])

    def switch_off(self) -> None:
        """Hear no pushes. The push service keeps the last one of each kind."""
        self.is_on = False
        self.log.tell("off", "Switched off. Pushes are not heard.")

    def switch_on(self) -> None:
        """Hear pushes again, and the last one that was missed."""
        with self.log.changed:
            self.is_on = True
            stored, self._stored = self._stored, set()
        self.log.tell("on", "Switched on." + (" The stored push arrives." if stored else " No push was missed."))
        for topic in stored:
            self._hear_topic(topic)

    def erase(self) -> None:
        """Throw the phone away: its tokens end, and no web service is told."""
        for token in self._tokens.values():
            self._feed.forget(token)
            self._feed.service.unregister(token)
        self._tokens.clear()
        self.passes.clear()
        self.log.tell("erased", "The phone was erased. Its push tokens are no longer valid.")

    def stop(self) -> None:
        """End the phone's thread and connections. What it was doing is given up."""
        with self.log.changed:
            self._ended.set()
        for token in self._tokens.values():
            self._feed.forget(token)
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._service.close()

    def _download(self, url: str) -> bytes:
        try:
            answer = self._service.download(url)
        except Unavailable as error:
            raise CannotAdd([f"It could not be downloaded. {error}."]) from None
        faults = [] if answer.status_code == 200 else [f"Its address answered {answer.status_code}."]
        faults += _mime_faults(answer)
        if answer.status_code == 200 and ".pkpass" not in answer.headers.get("Content-Disposition", ""):
            faults.append("It did not come with a file name that ends in .pkpass.")
        if faults:
            self.log.tell("refused", f"This pass cannot be added: {' '.join(faults)}")
            raise CannotAdd(faults)
        return answer.content

    def _checked(self, data: bytes) -> HeldPass:
        found = check(data, self._roots, self._now())
        if found.faults:
            self.log.tell("refused", f"This pass cannot be added: {' '.join(found.faults)}")
            raise CannotAdd(found.faults)
        return HeldPass(found.contents, found.files, found.strings)

    def _token(self, topic: str) -> str:
        if topic not in self._tokens:
            self._tokens[topic] = self._feed.service.issue(topic)
            self._feed.listen(self._tokens[topic], self._hear)
        return self._tokens[topic]

    def _register(self, held: HeldPass) -> None:
        token = self._token(held.pass_type)

        def register() -> None:
            status = self._service.register(held, token)
            if status in (200, 201):
                self.log.tell("registered", f"Registered for updates ({status}).")
            else:
                self._complain(held.service, f"Registering answered {status}")

        self._again_until_done(register)

    def _unregister(self, held: HeldPass) -> None:
        status = self._service.unregister(held)
        if status == 200:
            self.log.tell("unregistered", "The web service was told.")
        else:
            self._complain(held.service, f"Unregistering answered {status}")

    def _again_until_done(self, act: Callable[[], None]) -> None:
        """Do it now; when the service is out, later, in the phone's own thread."""
        try:
            act()
        except Unavailable as error:
            self.log.tell("failed", f"{error}. It is tried again.")
            self._worker.submit(self._retry, act)

    def _hear(self, push: Accepted) -> None:
        with self.log.changed:
            if not self.is_on:
                self._stored.add(push.topic)
                return
        self._hear_topic(push.topic)

    def _hear_topic(self, topic: str) -> None:
        self.log.tell("push", "A push arrived.")
        with self.log.changed:
            if topic in self._queued or self._ended.is_set():
                return
            self._queued.add(topic)
            self._worker.submit(self._retry, lambda: self._update(topic))

    def _retry(self, act: Callable[[], None]) -> None:
        for pause in (*RETRIES, None):
            try:
                with self._using:
                    act()
                return
            except Unavailable as error:
                self.log.tell("failed", f"{error}. It is tried again." if pause else f"{error}. It is given up.")
            except Exception as error:
                self.log.tell("broken", f"The pretend phone has a fault: {error!r}")
                raise
            if pause is None or self._ended.wait(pause):
                return

    def _update(self, topic: str) -> None:
        """Ask for what has changed, and fetch it."""
        self._queued.discard(topic)
        services = {held.service for held in self.passes.values() if held.pass_type == topic and held.service}
        for service in services:
            tag = self._tags.get((service, topic), "")
            answer = self._service.changed(service, topic, tag)
            if answer.status_code != 200:
                self.log.tell("serials", f"Asked what has changed: nothing ({answer.status_code}).")
                continue
            serials, new_tag = _changed(answer)
            if not new_tag:
                self._complain(service, "The list of changed serial numbers is not as it should be")
                continue
            self.log.tell("serials", f"Asked what has changed: {len(serials)} (tag {tag or 'none'} → {new_tag}).")
            for serial in serials:
                if serial in self.passes:
                    self._fetch(self.passes[serial])
            self._tags[(service, topic)] = new_tag

    def _fetch(self, held: HeldPass) -> bool:
        answer = self._service.latest(held)
        if answer.status_code == 304:
            self.log.tell("unchanged", "Fetched the pass: not modified (304).")
            return False
        if answer.status_code != 200:
            self._complain(held.service, f"Get pass task ({held.serial}) answered {answer.status_code}")
            return False
        new = self._acceptable(answer, held)
        if new is None:
            return False
        text = lock_screen.message(held, new, self.language)
        self.passes[held.serial] = new
        if text is not None:
            self.lock_screen.append(Message(self._now(), new.contents["organizationName"], text, new.serial))
        changed = ", ".join(lock_screen.changed_fields(held, new)) or "no field"
        self.log.tell("pass", f"Fetched the pass (200, {len(answer.content) / 1024:.0f} KB). Changed: {changed}.")
        if text is not None:
            self.log.tell("message", f"Lock screen: {text}")
        return True

    def _acceptable(self, answer: Response, held: HeldPass) -> HeldPass | None:
        """The new version of a pass; None, and a complaint, when a phone would not take it."""
        found = check(answer.content, self._roots, self._now())
        faults = _mime_faults(answer) + found.faults
        if "Last-Modified" not in answer.headers:
            faults.append("The answer has no Last-Modified.")
        for name in ("passTypeIdentifier", "serialNumber"):
            if found.contents.get(name) != held.contents[name]:
                faults.append(f"The new version has another {name}.")
        if faults:
            self._complain(held.service, f"Get pass task ({held.serial}): the pass is not valid. {' '.join(faults)}")
            return None
        return replace(
            HeldPass(found.contents, found.files, found.strings), last_modified=answer.headers["Last-Modified"]
        )

    def _complain(self, service: str, text: str) -> None:
        self.log.tell("complaint", f"{text}.")
        self._service.log(service, text)


def _mime_faults(answer: Response) -> list[str]:
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    return (
        []
        if answer.status_code != 200 or kind == MIME_TYPE
        else [f"It came as {kind or 'nothing'}, not as {MIME_TYPE}."]
    )


def _changed(answer: Response) -> tuple[list[str], str]:
    """The serial numbers and the tag; without a tag when the answer is not as Apple wants it."""
    try:
        found = answer.json()
        serials, tag = found["serialNumbers"], found["lastUpdated"]
    except (ValueError, KeyError, TypeError):
        return [], ""
    sound = isinstance(tag, str) and isinstance(serials, list) and all(isinstance(one, str) for one in serials)
    return (serials, tag) if sound else ([], "")
