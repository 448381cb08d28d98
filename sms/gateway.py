"""Any SMS service that takes a message as one HTTP request: most countries' panels do. Settings describe it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from sms.gateway_settings import PLACEHOLDER, GatewaySettings
from sms.provider import Accepted, NotOffered, OutgoingMessage, ProviderMessage, SmsError
from sms.provider_line import Answer, ProviderLine
from sms.reasons import Reason

_STATUSES = {401: Reason.ACCOUNT, 402: Reason.ACCOUNT, 403: Reason.ACCOUNT, 429: Reason.BUSY}


class GatewayProvider:
    """Sends through the gateway that the settings describe."""

    reports_delivery = False
    finds_messages = False
    fetches_messages = False

    def __init__(self, settings: GatewaySettings, line: ProviderLine | None = None, status_callback: str = "") -> None:
        """`status_callback` is a URL with {reference}, for gateways that want one."""
        self.name = settings.name
        self._settings, self._line, self._callback = settings, line or ProviderLine(), status_callback

    def send(self, message: OutgoingMessage) -> Accepted:
        settings = self._settings
        values = {
            "to": message.to,
            "to_digits": message.to.lstrip("+"),
            "body": message.body,
            "reference": message.reference,
            "sender": message.sender or settings.sender or "",
            "status_callback": self._callback.replace("{reference}", quote(message.reference, safe="")),
        }
        url = _filled(settings.url, {name: quote(value, safe="") for name, value in values.items()})
        answer = self._line.send(settings.method, url, **self._request(values))
        return self._outcome(answer)

    def find(self, to: str, since: datetime) -> list[ProviderMessage]:
        raise NotOffered("A generic gateway lists no messages: look them up in its own panel.")

    def fetch(self, provider_id: str) -> ProviderMessage | None:
        raise NotOffered("A generic gateway tells nothing of single messages: look them up in its own panel.")

    def _request(self, values: Mapping[str, str]) -> dict[str, Any]:
        settings, given = self._settings, {"form": "data", "json": "json", "query": "params"}
        request: dict[str, Any] = {given[settings.encoding]: _filled(settings.fields, values)}
        headers = _filled(settings.headers, values)
        if auth := settings.auth:
            if auth.kind == "basic":
                request["auth"] = (auth.name.encode(), auth.value.encode())
            elif auth.kind == "header":
                headers = {**headers, auth.name: auth.value}
            else:
                request["params"] = {**request.get("params", {}), auth.name: auth.value}
        return {**request, "headers": headers}

    def _outcome(self, answer: Answer) -> Accepted:
        """Errors first: many panels say 200 to everything and tell the truth in the body."""
        for rule in self._settings.errors:
            found = rule.value(answer.text) if rule.json_path or rule.pattern else str(answer.status)
            if found is not None and rule.status in (None, answer.status):
                raise SmsError.refused(rule.reason, found[:40], answer.retry_after)
        success = self._settings.success
        if answer.status in success.statuses and success.value(answer.text) is not None:
            known = self._settings.id.value(answer.text) if self._settings.id else None
            return Accepted(known or f"{self.name}-{uuid4().hex}", None)
        code = f"http_{answer.status}"
        if answer.status < 300 or answer.status >= 500 or answer.status == 408:
            raise SmsError.unanswered(code)  # also 200 with a text that no rule knows: it may well have been sent
        if answer.status in (400, 422):
            raise SmsError("The gateway does not take this message.", code=code, permanent=True)
        raise SmsError.refused(_STATUSES.get(answer.status, Reason.SETTINGS), code, answer.retry_after)


def _filled(template: Any, values: Mapping[str, str]) -> Any:
    """The template with its placeholders filled, once: what is filled in is never taken for a placeholder."""
    if isinstance(template, str):
        return PLACEHOLDER.sub(lambda match: values[match[1]], template)
    if isinstance(template, Mapping):
        return {name: _filled(value, values) for name, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, values) for value in template]
    return template
