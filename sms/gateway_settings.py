"""The settings of a generic HTTP gateway: what to ask, and how to read the answer. Data, never code.

Written as JSON; docs/sms-providers.md describes every field. Whatever is wrong is told when they are read, not when the
first message is sent.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sms.reasons import Reason

PLACEHOLDER = re.compile(r"\{(\w+)\}")
PLACEHOLDERS = frozenset({"to", "to_digits", "body", "reference", "sender", "status_callback"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class GatewaySettingsError(ValueError):
    """The settings are not right. The text names the field and says what it needs; it holds no secrets."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Auth(_Strict):
    """`header` and `query` send `value` under `name`; `basic` sends `name` as the user and `value` as the password."""

    kind: Literal["header", "query", "basic"]
    name: str = Field(min_length=1)
    value: str = Field(min_length=1, repr=False)


class Found(_Strict):
    """A place in the answer: `json` is a path such as `data.0.id`, `pattern` a regular expression.

    With a path, the pattern is looked for in the value there; without one, in the whole answer.
    """

    json_path: str | None = Field(None, alias="json", min_length=1)
    pattern: str | None = Field(None, min_length=1)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return pattern

    def value(self, text: str) -> str | None:
        """What is at this place: the first group of the pattern, or all that it matches. None when there is nothing."""
        if self.json_path is not None:
            found = _at(text, self.json_path)
            if found is None:
                return None
            text = found
        if self.pattern is None:
            return text
        match = re.search(self.pattern, text)
        return match[1 if match.re.groups else 0] if match else None


class ErrorRule(Found):
    """An answer that has this status (if given) and this place (if given) means a refusal for this reason."""

    status: int | None = Field(None, ge=100, le=599)
    reason: Reason

    @model_validator(mode="after")
    def _asks_something(self) -> "ErrorRule":
        if (self.status, self.json_path, self.pattern) == (None, None, None):
            raise ValueError("needs a status, a json path or a pattern")
        return self


class Success(Found):
    """An answer with one of these statuses, and this place if given, means that the message was taken."""

    statuses: tuple[int, ...] = (200, 201, 202)


class GatewaySettings(_Strict):
    """How one gateway is asked."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    url: str
    method: Literal["POST", "PUT", "GET"] = "POST"
    encoding: Literal["form", "json", "query"] = "form"
    fields: dict[str, Any]
    headers: dict[str, str] = {}
    auth: Auth | None = None
    sender: str | None = None
    success: Success = Success.model_validate({})
    id: Found | None = None
    errors: tuple[ErrorRule, ...] = ()

    @field_validator("url")
    @classmethod
    def _safe_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname or "{" in parts.netloc:
            raise ValueError("must be a whole address such as https://gateway.example/send")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("must begin with https://, since messages hold links and codes")
        if parts.username or parts.password:
            raise ValueError("must not hold a password: use auth")
        return url

    @field_validator("headers")
    @classmethod
    def _no_body_in_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        if any("{body}" in value for value in headers.values()):
            raise ValueError("cannot hold {body}: proxies log headers")
        return headers

    @model_validator(mode="after")
    def _whole(self) -> "GatewaySettings":
        if self.method == "GET" and self.encoding != "query":
            raise ValueError("GET needs the encoding `query`")
        used = set(PLACEHOLDER.findall(json.dumps([self.url, self.fields, self.headers])))
        if unknown := used - PLACEHOLDERS:
            raise ValueError(f"unknown placeholders: {', '.join(sorted(unknown))}")
        if "body" not in used or not used & {"to", "to_digits"}:
            raise ValueError("the request needs {body}, and {to} or {to_digits}")
        if "sender" in used and not self.sender:
            raise ValueError("{sender} needs a `sender` for messages that name none")
        return self


def settings_from(text: str) -> GatewaySettings:
    """The settings in this JSON. Raises GatewaySettingsError."""
    try:
        return GatewaySettings.model_validate_json(text)
    except ValidationError as error:
        found = [f"{'.'.join(map(str, one['loc'])) or 'settings'}: {one['msg']}" for one in error.errors()]
        raise GatewaySettingsError("; ".join(found)) from None


def _at(text: str, path: str) -> str | None:
    """The value at a path such as `data.0.id`, as text. None when the answer is no JSON or has no such place."""
    try:
        value: Any = json.loads(text)
        for step in path.split("."):
            value = value[int(step)] if isinstance(value, list) else value[step]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    if value is None or isinstance(value, Mapping | list):
        return None
    return json.dumps(value) if isinstance(value, bool) else str(value)
