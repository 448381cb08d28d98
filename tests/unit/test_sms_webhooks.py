"""Only Twilio can post to our webhooks; what it posts is understood, and what we answer is always valid TwiML."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import ImmutableMultiDict

from sandbox.twilio_posting import Signer
from sms.delivery_states import State
from sms.reasons import Reason
from sms.twilio_webhooks import StatusReport, WebhookError, WebhookKeys, inbound, status_report, twiml

SID = f"SM{32 * 'a'}"
URL = "https://leima.example/sms/twilio/inbound?shop=1"
FORM = {"MessageSid": SID, "From": "+358401234567", "To": "+358457399999", "Body": "JOIN ۴۸۲۱۳ & more"}
TOKEN, SHARED = "token", {"webhooks_sharedkey_1": "first", "webhooks_sharedkey_2": "second"}
SETTINGS = "key=webhooks_sharedkey_2,algorithm=HMAC_SHA256"

# https://www.twilio.com/docs/usage/security and the libraries' documentation
PUBLISHED_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PUBLISHED_FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}


def _signed(keys: WebhookKeys, signer: Signer, url: str = URL, form: Mapping[str, str] = FORM) -> bool:
    headers = signer.headers(URL, FORM)
    settings = headers.get("X-Twilio-Webhooks-Signature-Settings")
    return keys.signed(url, form, headers["X-Twilio-Signature"], settings)


def _parsed(xml: str) -> ElementTree.Element:
    return ElementTree.fromstring(xml.encode("utf-8"))  # noqa: S314 - it is our own


def test_the_signature_that_twilio_has_published_is_right() -> None:
    keys = WebhookKeys("12345")
    assert keys.signed(PUBLISHED_URL, PUBLISHED_FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")
    assert not keys.signed(PUBLISHED_URL, PUBLISHED_FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B9=")


def test_what_the_auth_token_or_a_shared_key_has_signed_is_twilios() -> None:
    keys = WebhookKeys(TOKEN, SHARED)
    assert _signed(keys, Signer(TOKEN))
    assert keys.signed(URL, FORM, Signer(TOKEN).headers(URL, FORM)["X-Twilio-Signature"], settings="")
    for key_id, secret in SHARED.items():
        assert _signed(keys, Signer(secret, key_id, "HMAC_SHA256"))
        assert _signed(keys, Signer(secret, key_id, "HMAC_SHA1"))


def test_a_form_as_flask_has_it_will_do() -> None:
    assert _signed(WebhookKeys(TOKEN), Signer(TOKEN), form=ImmutableMultiDict(FORM.items()))
    assert "JOIN ۴۸۲۱۳ & more" == inbound(ImmutableMultiDict(FORM.items())).body


def test_a_url_with_the_usual_port_is_the_same_url() -> None:
    assert _signed(WebhookKeys(TOKEN), Signer(TOKEN), URL.replace(".example/", ".example:443/"))


@pytest.mark.parametrize("signature", [None, "", "x", "ä", "=" * 28])
def test_a_missing_or_mangled_signature_is_no_signature(signature: str | None) -> None:
    assert not WebhookKeys(TOKEN).signed(URL, FORM, signature)
    assert not WebhookKeys(TOKEN, SHARED).signed(URL, FORM, signature, SETTINGS)


def test_anything_changed_breaks_the_signature() -> None:
    keys = WebhookKeys(TOKEN, SHARED)
    for signer in (Signer(TOKEN), Signer("second", "webhooks_sharedkey_2", "HMAC_SHA256")):
        assert not _signed(keys, signer, url=URL.replace("shop=1", "shop=2"))
        assert not _signed(keys, signer, url=URL.replace("https", "http"))
        assert not _signed(keys, signer, form=FORM | {"Body": "STOP"})
        assert not _signed(keys, signer, form=FORM | {"Extra": ""})


def test_who_has_moved_to_a_shared_key_takes_the_token_no_more() -> None:
    assert not _signed(WebhookKeys(None, SHARED), Signer(TOKEN))
    assert not _signed(WebhookKeys("", {}), Signer(""))


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256",
        "key=webhooks_sharedkey_3,algorithm=HMAC_SHA256",
        "key=webhooks_sharedkey_2,algorithm=HMAC_MD5",
        "key=webhooks_sharedkey_2,algorithm=HMAC_SHA1",
        "key=webhooks_sharedkey_2",
        "algorithm=HMAC_SHA256",
        "nonsense",
        ",,=,=",
    ],
)
def test_the_signature_must_be_by_the_key_and_the_algorithm_that_are_named(settings: str) -> None:
    headers = Signer("second", "webhooks_sharedkey_2", "HMAC_SHA256").headers(URL, FORM)
    keys = WebhookKeys("second", SHARED)
    assert keys.signed(URL, FORM, headers["X-Twilio-Signature"], SETTINGS)
    assert not keys.signed(URL, FORM, headers["X-Twilio-Signature"], settings)


def test_keys_are_not_in_logs() -> None:
    assert "second" not in repr(WebhookKeys(TOKEN, SHARED))


def test_a_message_from_a_phone_is_understood() -> None:
    message = inbound(FORM | {"NumSegments": "2", "NumMedia": "1", "OptOutType": "STOP"})
    assert (SID, "+358401234567", "+358457399999", "JOIN ۴۸۲۱۳ & more", 2, "stop", 1) == (
        message.message_sid,
        message.sender,
        message.to,
        message.body,
        message.parts,
        message.opt_out,
        message.media,
    )
    assert "۴۸۲۱۳" not in repr(message)


def test_a_message_without_text_or_counts_is_a_message() -> None:
    message = inbound({name: FORM[name] for name in ("MessageSid", "From", "To")} | {"NumSegments": "²"})
    assert ("", 1, 0, None) == (message.body, message.parts, message.media, message.opt_out)


@pytest.mark.parametrize(
    "change", [{"From": ""}, {"To": ""}, {"MessageSid": ""}, {"MessageSid": "SM1"}, {"MessageSid": f"XX{32 * 'a'}"}]
)
def test_what_is_no_message_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(WebhookError):
        inbound(FORM | change)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"MessageStatus": "delivered"}, ("delivered", State.DELIVERED, None, None)),
        (
            {"MessageStatus": "undelivered", "ErrorCode": "30003"},
            ("undelivered", State.UNDELIVERED, "30003", Reason.UNREACHABLE),
        ),
        ({"MessageStatus": "failed", "ErrorCode": "39999"}, ("failed", State.FAILED, "39999", Reason.UNKNOWN)),
        ({"SmsStatus": "sent", "ErrorCode": ""}, ("sent", State.SENT, None, None)),
        ({"MessageStatus": "sent", "ErrorCode": "0"}, ("sent", State.SENT, None, None)),
        ({"MessageStatus": "teleported"}, ("teleported", None, None, None)),
    ],
)
def test_a_delivery_report_is_understood(form: dict[str, str], expected: tuple[object, ...]) -> None:
    assert StatusReport(SID, *expected) == status_report({"MessageSid": SID, **form})  # type: ignore[arg-type]


def test_a_report_without_a_status_is_refused() -> None:
    with pytest.raises(WebhookError, match="SmsStatus is missing"):
        status_report({"MessageSid": SID})


@given(st.lists(st.text(), max_size=3))
def test_an_answer_is_always_valid_and_says_what_it_should(texts: list[str]) -> None:
    root = _parsed(twiml(*texts))
    shown = [message.text or "" for message in root]
    assert all(text.strip() for text in shown)
    assert ("Response", {"Message"} if shown else set()) == (root.tag, {message.tag for message in root})
    plain = [text for text in texts if text.strip() and text.isprintable()]
    assert [text for text in shown if text in plain] == plain


def test_nothing_to_say_is_an_empty_response() -> None:
    assert '<?xml version="1.0" encoding="UTF-8"?><Response></Response>' == twiml() == twiml("", " \n", "\x00")


def test_text_is_escaped() -> None:
    text = "Kahvila & Co <3: https://leima.example/?a=1&b=2 ]]>"
    assert text == _parsed(twiml(text))[0].text
