"""What the pretend Twilio posts to the app: delivery reports and messages from phones, signed as Twilio signs."""

import base64
import hmac
import random
import secrets
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

import requests

from sandbox.twilio_messages import Message, Messages
from sms.text import count_parts

_TIMEOUT = 15.0  # Twilio's own
_ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_STOP = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
_START = frozenset({"start", "unstop", "yes"})
_HELP = frozenset({"help", "info"})
_GOODBYE = "You have successfully been unsubscribed. Reply START to resubscribe."
_WELCOME = "You have successfully been re-subscribed. Reply STOP to unsubscribe."
_HELPING = "Reply STOP to unsubscribe. Msg&Data Rates May Apply."


@dataclass(slots=True)
class Signer:
    """Signs with the auth token, or with a shared key when `key_id` is set."""

    secret: str
    key_id: str | None = None
    algorithm: str = "HMAC_SHA1"

    def headers(self, url: str, form: Mapping[str, str]) -> dict[str, str]:
        """The headers that Twilio signs a form with."""
        signed = url + "".join(name + form[name] for name in sorted(form))
        digest = hmac.digest(self.secret.encode(), signed.encode(), _ALGORITHMS[self.algorithm])
        made = {"X-Twilio-Signature": base64.b64encode(digest).decode("ascii")}
        if self.key_id:
            made["X-Twilio-Webhooks-Signature-Settings"] = f"key={self.key_id},algorithm={self.algorithm}"
        return made


class Poster:
    """Posts to the app. Delivery reports go out in a thread of their own, shuffled and some of them twice.

    `ca_file` is what the app's certificate is checked by. Everything that was posted stays in `log`.
    """

    def __init__(self, messages: Messages, account: str, signer: Signer, ca_file: str | None, seed: int) -> None:
        self.messages, self.account, self.signer = messages, account, signer
        self.inbound_url: str | None = None
        self.log: list[dict[str, Any]] = []
        self._random, self._lock = random.Random(seed), Lock()  # noqa: S311 - an order, not a secret
        self._session = requests.Session()
        self._session.trust_env, self._session.verify = False, ca_file or True
        self._queue: SimpleQueue[Message | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="twilio-callbacks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Post what is queued, then end."""
        self._queue.put(None)
        self._thread.join(_TIMEOUT)
        self._session.close()

    def report(self, message: Message) -> None:
        """Send the message on its way; its reports follow soon."""
        self._queue.put(message)

    def report_now(self, message: Message) -> None:
        """The same, and come back when all reports are posted."""
        reports: list[dict[str, str]] = []
        for status in message.course():
            self.messages.progress(message, status)
            reports.append(self._report(message))
        if message.callback is None:
            return
        with self._lock:
            reports += self._random.sample(reports, self._random.randint(1, len(reports)))
            self._random.shuffle(reports)
        for form in reports:
            self._post("status", message.callback, form)

    def text(self, phone: str, body: str, to: str | None = None) -> dict[str, Any]:
        """Someone texts the shop: post it to the app and carry the answer back. Returns status and replies."""
        message = self.messages.add("inbound", phone, to or self.messages.number, body, "received")
        opt_out = self._keyword(message)
        if self.inbound_url is None:
            return {"sid": message.sid, "status": 0, "replies": [], "error": "The app's inbound URL is not set"}
        form = {
            **self._basics(message),
            "Body": body,
            "NumMedia": "0",
            "NumSegments": str(count_parts(body).parts or 1),
            "SmsStatus": "received",
            **opt_out,
        }
        return {"sid": message.sid, **self._deliver(self.inbound_url, form)}

    def repeat(self, number: int = -1) -> dict[str, Any]:
        """Post an earlier webhook once more, as it was, with its signature."""
        entry = self.log[number]
        if entry["kind"] == "inbound":
            return self._deliver(entry["url"], entry["form"])
        return {"status": self._post("status", entry["url"], entry["form"])[0]}

    def _deliver(self, url: str, form: dict[str, str]) -> dict[str, Any]:
        status, text, content_type = self._post("inbound", url, form)
        replies, error = _replies(status, text, content_type)
        for reply in replies:
            if form["From"] not in self.messages.opted_out:  # else Twilio drops it with 21610
                self.messages.add("outbound-reply", form["To"], form["From"], reply, "delivered")
        return {"status": status, "replies": replies, "error": error}

    def _keyword(self, message: Message) -> dict[str, str]:
        """What Twilio does with STOP, START and HELP before the app hears of them."""
        word, phone = message.body.strip().lower(), message.sender or ""
        if word in _STOP:
            self.messages.add("outbound-reply", message.to, phone, _GOODBYE, "delivered")
            self.messages.opt(phone, out=True)
            return {"OptOutType": "STOP"}
        if word in _START:
            self.messages.opt(phone, out=False)
            self.messages.add("outbound-reply", message.to, phone, _WELCOME, "delivered")
            return {"OptOutType": "START"}
        if word in _HELP:
            self.messages.add("outbound-reply", message.to, phone, _HELPING, "delivered")
            return {"OptOutType": "HELP"}
        return {}

    def _basics(self, message: Message) -> dict[str, str]:
        return {
            "AccountSid": self.account,
            "ApiVersion": "2010-04-01",
            "From": message.sender or "",
            "To": message.to,
            "MessageSid": message.sid,
            "SmsSid": message.sid,
        }

    def _report(self, message: Message) -> dict[str, str]:
        form = {**self._basics(message), "MessageStatus": message.status, "SmsStatus": message.status}
        if message.error_code:
            form["ErrorCode"] = message.error_code
        if message.service:
            form["MessagingServiceSid"] = message.service
        return form

    def _post(self, kind: str, url: str, form: dict[str, str]) -> tuple[int, str, str]:
        entry: dict[str, Any] = {"kind": kind, "url": url, "form": form, "status": 0}
        self.log.append(entry)
        headers = {**self.signer.headers(url, form), "I-Twilio-Idempotency-Token": secrets.token_hex(16)}
        try:
            answer = self._session.post(url, data=form, headers=headers, timeout=_TIMEOUT, allow_redirects=False)
        except requests.RequestException:
            return 0, "", ""
        entry["status"] = answer.status_code
        return answer.status_code, answer.content.decode("utf-8", "replace"), answer.headers.get("Content-Type", "")

    def _run(self) -> None:
        while (message := self._queue.get()) is not None:
            self.report_now(message)


def _replies(status: int, text: str, content_type: str) -> tuple[list[str], str | None]:
    """The messages in the app's TwiML, and Twilio's code for what is wrong with it."""
    if status == 0 or status >= 400:
        return [], "11200"
    if not text.strip():
        return [], None
    if content_type.partition(";")[0].strip() not in ("text/xml", "application/xml"):
        return [], "12300"
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - it comes from the app beside us
    except ElementTree.ParseError:
        return [], "12100"
    if root.tag != "Response":
        return [], "12102"
    return [_message_text(message) for message in root.iter("Message")], None


def _message_text(message: ElementTree.Element) -> str:
    inner = message.find("Body")
    return "".join((message if inner is None else inner).itertext())
