"""Wrong gateway settings are told by field, before the first message, and without their secrets."""

import json
from typing import Any

import pytest

from sms.gateway_settings import GatewaySettingsError, settings_from

GOOD: dict[str, Any] = {
    "name": "panel",
    "url": "https://panel.example/send",
    "fields": {"to": "{to}", "text": "{body}"},
    "auth": {"kind": "header", "name": "X-Api-Key", "value": "s3cret"},
}


def test_the_shortest_settings_are_few() -> None:
    settings = settings_from(json.dumps(GOOD))
    assert ("POST", "form", (200, 201, 202)) == (settings.method, settings.encoding, settings.success.statuses)
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"url": "http://panel.example/send"}, "url: .*https"),
        ({"url": "https://{to}.example/send"}, "url: .*whole address"),
        ({"url": "https://user:s3cret@panel.example/"}, "url: .*use auth"),
        ({"url": "/send"}, "url: .*whole address"),
        ({"fields": {"to": "{to}"}}, "needs {body}"),
        ({"fields": {"text": "{body}"}}, r"{to} or {to_digits}"),
        ({"fields": {"to": "{to}", "text": "{body}", "x": "{password}"}}, "unknown placeholders: password"),
        ({"fields": {"to": "{to}", "text": "{body}", "from": "{sender}"}}, "{sender} needs"),
        ({"headers": {"X-Text": "{body}"}}, "headers: .*{body}"),
        ({"method": "GET"}, "encoding `query`"),
        ({"method": "DELETE"}, "method"),
        ({"auth": {"kind": "magic", "name": "x", "value": "s3cret"}}, "auth.kind"),
        ({"errors": [{"reason": "busy"}]}, "errors.0: .*needs a status"),
        ({"errors": [{"status": 400, "reason": "because"}]}, "errors.0.reason"),
        ({"errors": [{"pattern": "(", "reason": "busy"}]}, "errors.0.pattern: .*regular expression"),
        ({"id": {"path": "x"}}, "id.path"),
        ({"name": "My Panel"}, "name"),
        ({"extra": 1}, "extra"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(GatewaySettingsError, match=told) as caught:
        settings_from(json.dumps(GOOD | change))
    assert "s3cret" not in str(caught.value)


def test_settings_that_are_no_json_are_refused() -> None:
    with pytest.raises(GatewaySettingsError, match="settings"):
        settings_from("{")


def test_a_gateway_on_this_machine_needs_no_tls() -> None:
    assert settings_from(json.dumps(GOOD | {"url": "http://127.0.0.1:8080/send"}))
