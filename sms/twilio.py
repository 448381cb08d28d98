"""Twilio, through its own library (https://www.twilio.com/docs/messaging/api/message-resource).

The library waits for ever and knows one address only, so it gets our own HTTP client: that one has time-outs, can be
led to another host, and tells what a failure means while it still knows the headers.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from twilio.base.exceptions import TwilioException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from sms.provider import Accepted, OutgoingMessage, ProviderMessage, SmsError
from sms.provider_line import ProviderLine
from sms.reasons import Reason
from sms.twilio_errors import STATES, reason, refusal

API = "https://api.twilio.com"
_MOST_FOUND = 200
_NO_SUCH_MESSAGE = "20404"
_UNREADABLE = (TwilioException, ValueError, TypeError, AttributeError, KeyError)  # the library trusts what it reads


class TwilioProvider:
    """Sends as one Twilio account.

    `sender` is a Messaging Service (MG…), a number in E.164 or a registered name; a message may name another number or
    name. `credentials` are an API key and its secret (better) or the account SID and the auth token. `status_callback`
    makes the public URL for the delivery reports of a message from its reference. `base_url` leads to a stand-in.
    """

    name = "twilio"
    finds_messages = True
    fetches_messages = True

    def __init__(
        self,
        account_sid: str,
        credentials: tuple[str, str],
        sender: str,
        *,
        status_callback: Callable[[str], str] | None = None,
        line: ProviderLine | None = None,
        base_url: str = API,
    ) -> None:
        self.reports_delivery = status_callback is not None
        self._sender, self._callback = sender, status_callback
        http = _Http(line or ProviderLine(), base_url)
        self._messages = Client(*credentials, account_sid, http_client=http).messages

    def send(self, message: OutgoingMessage) -> Accepted:
        given = {"to": message.to, "body": message.body, **_sender(message.sender or self._sender)}
        if self._callback:
            given["status_callback"] = self._callback(message.reference)
        try:
            made = self._messages.create(**given)
        except _UNREADABLE:  # it said 2xx, so it may well have taken the message
            raise SmsError.unanswered("unreadable_answer") from None
        if not isinstance(made.sid, str):
            raise SmsError.unanswered("unreadable_answer")
        return Accepted(made.sid, _parts(made.num_segments))

    def find(self, to: str, since: datetime) -> list[ProviderMessage]:
        # Twilio could filter by date, but by the date of sending, which messages still in its queue don't have.
        try:
            listed = self._messages.list(to=to, limit=_MOST_FOUND)
        except _UNREADABLE:
            raise SmsError.refused(Reason.NO_CONNECTION, "unreadable_answer") from None
        # Twilio answers STOP, START and HELP by itself: those answers are to the same number, and not ours.
        ours = [message for message in listed if message.direction != "outbound-reply" and message.date_created]
        return [_found(message) for message in ours if message.date_created >= since]

    def fetch(self, provider_id: str) -> ProviderMessage | None:
        try:
            return _found(self._messages(provider_id).fetch())
        except SmsError as error:
            if error.code == _NO_SUCH_MESSAGE:
                return None
            raise
        except _UNREADABLE:
            raise SmsError.refused(Reason.NO_CONNECTION, "unreadable_answer") from None


class _Http(HttpClient):  # type: ignore[misc] # the library has no type hints
    """The seam: everything the library asks for goes over our line. Nothing is logged, as URLs hold phone numbers."""

    def __init__(self, line: ProviderLine, base_url: str) -> None:
        self._line, self._base_url = line, base_url
        self.is_async = False

    def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        **_ours: Any,
    ) -> Response:
        go = self._line.send if method == "POST" else self._line.ask
        address = self._base_url + url.removeprefix(API)
        answer = go(method, address, params=params, data=data, headers=headers, auth=auth)
        if not 200 <= answer.status < 300:
            error = refusal(answer)
            if error.unknown and method != "POST":
                raise SmsError.refused(Reason.NO_CONNECTION, error.code)
            raise error
        return Response(answer.status, answer.text, answer.headers)


def _sender(sender: str) -> dict[str, str]:
    return {"messaging_service_sid": sender} if sender.startswith("MG") and len(sender) == 34 else {"from_": sender}


def _parts(segments: str | None) -> int | None:
    """A Messaging Service says 0 until it has chosen the sender."""
    text = str(segments)
    return int(text) or None if text.isdecimal() else None


def _found(message: Any) -> ProviderMessage:
    return ProviderMessage(
        provider_id=message.sid,
        to=message.to,
        body=message.body or "",
        state=STATES.get(str(message.status)),
        created_at=message.date_created,
        parts=_parts(message.num_segments),
        error_code=str(message.error_code) if message.error_code else None,
        reason=reason(message.error_code) if message.error_code else None,
    )
