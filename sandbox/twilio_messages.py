"""What the pretend Twilio keeps: every message, both ways, and who has opted out."""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from email.utils import format_datetime
from threading import Condition
from typing import Any
from urllib.parse import urlsplit

from sandbox.twilio_faults import REFUSED, UNDELIVERED, ApiError, refusal
from sandbox.twilio_journal import Journal
from sms.text import count_parts

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
_LONGEST = 1600
_UNDER_WAY = ("accepted", "queued", "sending", "sent")


@dataclass(slots=True)
class Message:
    """One message. `number` counts all messages from 1; `direction` is Twilio's word."""

    number: int
    sid: str
    direction: str
    sender: str | None
    to: str
    body: str
    created_at: datetime
    status: str
    error_code: str | None = None
    callback: str | None = None
    service: str | None = None
    sent_at: datetime | None = None
    fate: str = ""
    """The code of UNDELIVERED that it ends with, whatever the number says."""

    def course(self) -> list[str]:
        """The statuses that follow, in their true order."""
        last = UNDELIVERED.get(self._code, "delivered")
        return ["sending", "failed"] if last == "failed" else ["sending", "sent", last]

    @property
    def _code(self) -> str:
        return self.fate or self.to[-5:]

    def fail(self) -> None:
        """Note the code that it ended with."""
        self.error_code = self._code

    def shown(self) -> dict[str, Any]:
        """For the control API and the pretend phones."""
        return {
            "number": self.number,
            "sid": self.sid,
            "direction": self.direction,
            "from": self.sender,
            "to": self.to,
            "body": self.body,
            "parts": count_parts(self.body).parts,
            "status": self.status,
            "error_code": self.error_code,
            "at": self.created_at.isoformat(),
        }

    def resource(self, account: str) -> dict[str, Any]:
        """As Twilio's API shows it."""
        place = f"/2010-04-01/Accounts/{account}/Messages/{self.sid}"
        return {
            "sid": self.sid,
            "account_sid": account,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": format_datetime(self.created_at),
            "date_sent": format_datetime(self.sent_at) if self.sent_at else None,
            "date_updated": format_datetime(self.sent_at or self.created_at),
            "direction": self.direction,
            "error_code": int(self.error_code) if self.error_code else None,
            "error_message": None,
            "from": self.sender,
            "messaging_service_sid": self.service,
            "num_media": "0",
            # A Messaging Service counts when it has chosen the sender.
            "num_segments": "0" if self.status == "accepted" else str(count_parts(self.body).parts),
            "price": None,
            "price_unit": "USD",
            "status": self.status,
            "subresource_uris": {"media": f"{place}/Media.json"},
            "to": self.to,
            "uri": f"{place}.json",
        }


@dataclass(slots=True)
class Messages:
    """`now` is the clock; `number` is the shop's own, which belongs to the Messaging Service `service`, too. `journal`
    keeps all when the stand-in ends. `on_change` is called with a message that is new, or has got further."""

    now: Callable[[], datetime]
    number: str
    service: str
    journal: Journal
    all: list[Message] = field(default_factory=list)
    opted_out: set[str] = field(default_factory=set)
    changed: Condition = field(default_factory=Condition)  # over an RLock
    on_change: Callable[[Message], None] = lambda message: None

    def __post_init__(self) -> None:
        kept, self.opted_out = self.journal.read()
        self.all = [Message(**values) for values in kept]

    def create(self, form: Mapping[str, str], fate: str = "") -> Message:
        """Take a message as the API does; `fate` as in Message. Raises ApiError."""
        to, body = form.get("To", ""), form.get("Body", "")
        sender, service = form.get("From") or None, form.get("MessagingServiceSid") or None
        self._check_sender(sender, service)
        if not to:
            raise ApiError(400, 21604, "A 'To' phone number is required.")
        if not _E164.fullmatch(to):
            raise ApiError(400, 21211, f"The 'To' number {to} is not a valid phone number.")
        if to == (sender or self.number):
            raise ApiError(400, 21266, "'To' and 'From' number cannot be the same")
        if not body:
            raise ApiError(400, 21602, "Message body is required.")
        if len(body) > _LONGEST:
            raise ApiError(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
        callback = _callback(form)
        if to[-5:] in REFUSED:
            raise refusal(to[-5:])
        if to in self.opted_out:
            raise ApiError(400, 21610, "Attempt to send to unsubscribed recipient")
        status_word = "accepted" if service else "queued"
        return self.add("outbound-api", sender, to, body, status_word, callback, service, fate)

    def add(
        self,
        direction: str,
        sender: str | None,
        to: str,
        body: str,
        status: str,
        callback: str | None = None,
        service: str | None = None,
        fate: str = "",
    ) -> Message:
        """Keep a message and wake those who wait for one."""
        with self.changed:
            sid = f"SM{secrets.token_hex(16)}"
            message = Message(
                number=len(self.all) + 1,
                sid=sid,
                direction=direction,
                sender=sender,
                to=to,
                body=body,
                created_at=self.now(),
                status=status,
                callback=callback,
                service=service,
                fate=fate,
            )
            self.all.append(message)
            self.journal.keep(asdict(message))
            self.changed.notify_all()
        self.on_change(message)
        return message

    def opt(self, phone: str, *, out: bool) -> None:
        """This phone wants nothing more from the shop; or wants it again."""
        with self.changed:
            (self.opted_out.add if out else self.opted_out.discard)(phone)
            self.journal.opt(phone, out=out)

    def progress(self, message: Message, status: str) -> None:
        """The message has got this far."""
        with self.changed:
            message.status = status
            if status == "sending":
                message.sender, message.sent_at = message.sender or self.number, self.now()
            if status in ("undelivered", "failed"):
                message.fail()
            self.journal.keep(asdict(message))
        self.on_change(message)

    def since(self, number: int, timeout: float) -> list[Message]:
        """The messages after this one; waits up to `timeout` seconds for the first."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.all) > number, timeout)
            return self.all[max(number, 0) :]

    def of(self, phone: str) -> list[Message]:
        """All messages from and to this phone, oldest first."""
        with self.changed:
            return [message for message in self.all if phone in (message.sender, message.to)]

    def unfinished(self) -> list[Message]:
        """The messages that were accepted and have not come to their end."""
        with self.changed:
            return [message for message in self.all if message.status in _UNDER_WAY]

    def with_sid(self, sid: str) -> Message:
        """Raises ApiError 404."""
        with self.changed:
            for message in self.all:
                if message.sid == sid:
                    return message
        raise ApiError(404, 20404, f"The requested resource Messages/{sid} was not found")

    def _check_sender(self, sender: str | None, service: str | None) -> None:
        if not sender and not service:
            raise ApiError(400, 21603, "A 'From' phone number is required.")
        if service and service != self.service:
            raise ApiError(400, 21705, "The Messaging Service Sid is invalid.")
        if sender and sender != self.number and not _NAME.fullmatch(sender):
            raise ApiError(400, 21606, f"The 'From' phone number {sender} is not a valid sender of this account.")


def _callback(form: Mapping[str, str]) -> str | None:
    callback = form.get("StatusCallback") or None
    if callback is not None:
        parts = urlsplit(callback)
        if parts.scheme not in ("http", "https") or not parts.hostname or "_" in parts.hostname:
            raise ApiError(400, 21609, "The 'StatusCallback' URL is not a valid URL.")
    return callback
