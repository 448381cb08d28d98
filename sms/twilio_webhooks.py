"""What Twilio posts to us, and how we know that it was Twilio.

Signatures: https://www.twilio.com/docs/usage/webhooks/webhooks-security (HMAC-SHA1 with the account's auth token) and
https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys (a key of one's own, HMAC-SHA256). Both are over the URL
as Twilio knows it, which is the public one: behind a proxy, the request's own URL is another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import escape

from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, RequestValidator

from sms.delivery_states import State
from sms.reasons import Reason
from sms.twilio_errors import STATES, reason

SIGNATURE = "X-Twilio-Signature"
SIGNATURE_SETTINGS = "X-Twilio-Webhooks-Signature-Settings"
TWIML_TYPE = "text/xml; charset=utf-8"
_PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>'
_OPT_OUTS: dict[str, Literal["stop", "start", "help"]] = {"STOP": "stop", "START": "start", "HELP": "help"}


class WebhookError(ValueError):
    """The request is signed, but is not what Twilio's documentation describes. The text holds no values."""


@dataclass(frozen=True, slots=True)
class WebhookKeys:
    """What webhooks may be signed with: the auth token, if at all, and shared keys (their id → their secret).

    Who has moved to a shared key leaves the token out, so that it can no longer sign.
    """

    auth_token: str | None = field(default=None, repr=False)
    shared: Mapping[str, str] = field(default_factory=dict, repr=False)

    def signed(self, url: str, form: Mapping[str, str], signature: str | None, settings: str | None = None) -> bool:
        """Whether the request was signed with one of the keys.

        `url` is the configured public one, with its query. `form` may be a mapping with several values per name, as
        web frameworks have it. `signature` and `settings` are the values of the headers
        SIGNATURE and SIGNATURE_SETTINGS; None or empty when they are missing.
        """
        if not signature:
            return False
        secret, algorithm = self.auth_token, HMAC_SHA1
        if settings:
            named = dict(part.strip().partition("=")[::2] for part in settings.split(","))
            secret, algorithm = self.shared.get(named.get("key", "")), named.get("algorithm", "")
        if not secret or algorithm not in (HMAC_SHA1, HMAC_SHA256):
            return False
        return bool(RequestValidator(secret).validate(url, form, signature, algorithm))


@dataclass(frozen=True, slots=True)
class Inbound:
    """A text message that somebody sent to the shop.

    `opt_out` is set when Twilio itself has taken the message for a STOP, START or HELP and has answered it (Advanced
    Opt-Out): then answer with nothing. `media` is the number of pictures that came along.
    """

    message_sid: str
    sender: str
    to: str
    body: str = field(repr=False)
    parts: int
    opt_out: Literal["stop", "start", "help"] | None
    media: int


@dataclass(frozen=True, slots=True)
class StatusReport:
    """A delivery report. They come in any order and more than once: apply `state` by its rank.

    `state` is None when the word (`status`) is new to us: keep the report, and leave the message as it is.
    `error_code` None says nothing: it must not wipe a code that an earlier report brought.
    """

    message_sid: str
    status: str
    state: State | None
    error_code: str | None
    reason: Reason | None


def inbound(form: Mapping[str, str]) -> Inbound:
    """The message in a request to the inbound webhook. Raises WebhookError."""
    return Inbound(
        message_sid=_sid(form),
        sender=_needed(form, "From"),
        to=_needed(form, "To"),
        body=form.get("Body", ""),
        parts=_number(form, "NumSegments", 1),
        opt_out=_OPT_OUTS.get(form.get("OptOutType", "").upper()),
        media=_number(form, "NumMedia", 0),
    )


def status_report(form: Mapping[str, str]) -> StatusReport:
    """The report in a request to a status callback. Raises WebhookError."""
    status = (form.get("MessageStatus") or _needed(form, "SmsStatus")).lower()
    code = form.get("ErrorCode") or None
    if code in ("0", "null"):
        code = None
    return StatusReport(_sid(form), status, STATES.get(status), code, reason(code) if code else None)


def twiml(*texts: str) -> str:
    """The answer to an inbound message: one SMS for each text, or nothing. Always valid XML, whatever they hold."""
    shown = [plain for text in texts if (plain := _xml(text)).strip()]
    messages = "".join(f"<Message>{escape(text)}</Message>" for text in shown)
    return f"{_PROLOGUE}<Response>{messages}</Response>"


def _xml(text: str) -> str:
    """Without characters that XML 1.0 cannot hold: control characters, halves of pairs, U+FFFE and U+FFFF."""
    return "".join(
        char
        for char in text
        if char in "\t\n" or " " <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char > "\uffff"
    )


def _sid(form: Mapping[str, str]) -> str:
    sid = form.get("MessageSid") or _needed(form, "SmsSid")
    if len(sid) != 34 or sid[:2] not in ("SM", "MM") or not sid.isalnum() or not sid.isascii():
        raise WebhookError("MessageSid is not a message's identifier")
    return sid


def _needed(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise WebhookError(f"{name} is missing")
    return value


def _number(form: Mapping[str, str], name: str, default: int) -> int:
    value = form.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 5 else default
