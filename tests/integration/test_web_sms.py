"""What Twilio posts to us: only what it signed counts, and a repeat changes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Thread
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from twilio.request_validator import RequestValidator
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from app.db.people import MemberStatus
from app.services import join_codes, members, messages
from app.services.context import Context
from app.web.factory import create_app
from app.wiring import webhook_keys
from sandbox.twilio import TwilioSandbox
from sms.delivery_states import State
from sms.twilio_webhooks import WebhookKeys
from tests.factories import Shop
from tests.integration.sms_shop import SmsShop, open_sms_shop

PHONE = "+358401239999"
SHARED_KEY = "webhooks_sharedkey_1"


@pytest.fixture
def desk(ctx: Context, shop: Shop, tmp_path: Path) -> Iterator[SmsShop]:
    with open_sms_shop(ctx, shop, tmp_path) as made:
        made.ctx = replace(made.ctx, twilio_keys=WebhookKeys(made.twilio.auth_token, {SHARED_KEY: "a shared secret"}))
        yield made


@pytest.fixture
def web(desk: SmsShop) -> FlaskClient:
    """CSRF tokens are asked for, as in production."""
    return create_app(desk.ctx).test_client()


def inbound(body: str, number: int = 1, **more: str) -> dict[str, str]:
    return {
        "MessageSid": f"SM{number:032}",
        "From": PHONE,
        "To": "+358457399999",
        "Body": body,
        "NumMedia": "0",
        "NumSegments": "1",
        **more,
    }


def status_of(message_id: UUID) -> str:
    return f"/sms/twilio/status/{message_id}"


def posted(
    desk: SmsShop, web: FlaskClient, path: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> TestResponse:
    """Signed as Twilio does it, over the address that Twilio knows."""
    signature = RequestValidator(desk.twilio.auth_token).compute_signature("http://localhost:8400" + path, dict(form))
    return web.post(path, data=form, headers={"X-Twilio-Signature": signature, **(headers or {})})


def test_a_signed_text_is_taken_and_answered_with_empty_twiml(desk: SmsShop, web: FlaskClient, shop: Shop) -> None:
    join_codes.create(desk.ctx, shop.owner, {"code": "04821"})
    answer = posted(desk, web, "/sms/twilio/inbound", inbound("۰۴۸۲۱"))
    assert (200, "text/xml; charset=utf-8") == (answer.status_code, answer.content_type)
    assert '<?xml version="1.0" encoding="UTF-8"?><Response></Response>' == answer.text
    desk.deliver()
    assert MemberStatus.ACTIVE is members.find(desk.ctx, shop.cashier, PHONE).status
    assert 1 == len(desk.on_phone())


def test_a_replayed_text_gets_the_same_answer_and_does_nothing(desk: SmsShop, web: FlaskClient, shop: Shop) -> None:
    join_codes.create(desk.ctx, shop.owner, {"code": "04821"})
    answers = [posted(desk, web, "/sms/twilio/inbound", inbound("04821")) for _ in range(3)]
    assert 1 == len({(answer.status_code, answer.text) for answer in answers})
    desk.deliver()
    assert 1 == len(desk.on_phone())


@pytest.mark.parametrize("path", ["/sms/twilio/inbound", status_of(UUID(int=7))])
def test_what_is_not_signed_is_refused_and_nothing_of_it_kept(desk: SmsShop, web: FlaskClient, path: str) -> None:
    form = inbound("04821", MessageStatus="delivered")
    assert 403 == web.post(path, data=form).status_code
    for wrong in ("", "AAAA", "ÿ"):
        assert 403 == posted(desk, web, path, form, {"X-Twilio-Signature": wrong}).status_code
    assert 403 == posted(desk, web, path, form | {"Body": "changed"}, _signed_for(desk, path, form)).status_code
    assert [] == desk.messages(PHONE)


def _signed_for(desk: SmsShop, path: str, form: Mapping[str, str]) -> dict[str, str]:
    made = RequestValidator(desk.twilio.auth_token).compute_signature("http://localhost:8400" + path, dict(form))
    return {"X-Twilio-Signature": made}


def test_the_signature_is_over_our_public_address_whatever_proxies_say(desk: SmsShop, web: FlaskClient) -> None:
    headers = {"Host": "10.0.0.7:8000", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    assert 200 == posted(desk, web, "/sms/twilio/inbound", inbound("hello"), headers).status_code
    form = inbound("hello", 2)
    over_theirs = RequestValidator(desk.twilio.auth_token).compute_signature(
        "https://evil.example/sms/twilio/inbound", form
    )
    headers["X-Twilio-Signature"] = over_theirs
    assert 403 == web.post("/sms/twilio/inbound", data=form, headers=headers).status_code


def test_a_shared_key_signs_with_sha_256(desk: SmsShop, web: FlaskClient) -> None:
    from sandbox.twilio_posting import Signer

    form = inbound("hello")
    headers = Signer("a shared secret", SHARED_KEY, "HMAC_SHA256").headers(
        "http://localhost:8400/sms/twilio/inbound", form
    )
    assert 200 == web.post("/sms/twilio/inbound", data=form, headers=headers).status_code
    headers["X-Twilio-Webhooks-Signature-Settings"] = "key=unknown,algorithm=HMAC_SHA256"
    assert 403 == web.post("/sms/twilio/inbound", data=form, headers=headers).status_code


def test_the_settings_name_the_shared_keys_and_leave_out_the_token(desk: SmsShop, tmp_path: Path) -> None:
    """Whoever has moved to a key of their own: over real HTTP, from a stand-in that signs with it."""
    server = make_server("127.0.0.1", 0, lambda environ, start: [], threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    statuses = []
    thread = Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        for place, shared_key in enumerate((True, False)):
            with TwilioSandbox(tmp_path / str(place), shared_key=shared_key) as twilio:
                keys = SecretStr(f"another=secret {twilio.key_id}={twilio.key_secret}")
                own = desk.ctx.settings.model_copy(update={"public_url": url, "twilio_shared_keys": keys})
                server.app = create_app(replace(desk.ctx, settings=own, twilio_keys=webhook_keys(own)))
                twilio.poster.inbound_url = f"{url}/sms/twilio/inbound"
                statuses.append(twilio.poster.text(PHONE, "hello")["status"])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert [200, 403] == statuses  # the second is signed with a token


def test_a_signed_request_that_is_no_message_is_a_clear_miss(desk: SmsShop, web: FlaskClient) -> None:
    assert 400 == posted(desk, web, "/sms/twilio/inbound", {"MessageSid": "SM1", "From": PHONE}).status_code
    assert 400 == posted(desk, web, status_of(uuid4()), {"MessageSid": "SM1"}).status_code


def test_reports_take_a_message_on_by_rank(desk: SmsShop, web: FlaskClient, shop: Shop) -> None:
    messages.send_card_link(desk.ctx, shop.member(1))
    desk.deliver()
    (message,) = desk.messages("+358401230001")
    for status, code in (("undelivered", "30003"), ("sent", ""), ("undelivered", "")):
        form = {"MessageSid": message.provider_id or "", "MessageStatus": status, "ErrorCode": code}
        assert 204 == posted(desk, web, status_of(message.id), form).status_code
    now = desk.message(message.id)
    assert (State.UNDELIVERED, "unreachable", "30003") == (now.state, now.reason, now.code)


def test_a_report_of_an_unknown_message_is_taken_and_let_go(desk: SmsShop, web: FlaskClient) -> None:
    form = {"MessageSid": "SM" + "1" * 32, "MessageStatus": "delivered"}
    assert 204 == posted(desk, web, status_of(uuid4()), form).status_code


def test_an_opt_out_that_a_report_tells_is_kept(desk: SmsShop, web: FlaskClient, shop: Shop) -> None:
    from app.services import sms_gate

    member = shop.member(1, consents={"sms_marketing": "Yes."})
    messages.send_card_link(desk.ctx, member)
    desk.deliver()
    (message,) = desk.messages(member.phone)
    form = {"MessageSid": message.provider_id or "", "MessageStatus": "failed", "ErrorCode": "21610"}
    posted(desk, web, status_of(message.id), form)
    with desk.ctx.sessions() as session:
        assert not sms_gate.wants_offers(session, member.id)
