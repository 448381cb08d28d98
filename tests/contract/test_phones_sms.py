"""The pretend phones' SMS app: texts to the shop and from it, links that lead to the card, and trouble on the way."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.runner import Sandbox
from sandbox.twilio_server import last_values
from sms.provider import OutgoingMessage, SmsError
from sms.provider_line import ProviderLine
from sms.twilio import TwilioProvider
from sms.twilio_webhooks import TWIML_TYPE, WebhookKeys, twiml
from tests.pass_samples import root_pem
from tests.tiny_pass_service import TinyPassService, serving, stamps

JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html"}
ALICE = "+358401234567"


@dataclass(frozen=True)
class Posted:
    """What Twilio posted to the shop."""

    path: str
    form: dict[str, str]
    headers: Any


@dataclass
class Shop(TinyPassService):
    """Stands where Leima will: has alice's card and its page, keeps what Twilio posts, and can send SMS."""

    url: str = ""
    posted: list[Posted] = field(default_factory=list)
    status: int = 200

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
        match path:
            case "/sms/twilio/inbound":
                self.posted.append(Posted(path, last_values(body.decode()), headers))
                return self.status, {"Content-Type": TWIML_TYPE}, twiml().encode()
            case "/c/alice":
                links = '<a href="/c/alice/apple.pkpass">Apple</a> <a href="/c/alice/google">Google</a>'
                page = f"<title>Card</title><h1>Kanta <b>Äijä</b></h1>{links}"
                return 200, {"Content-Type": "text/html; charset=utf-8"}, page.encode()
            case "/s/abc":
                return 302, {"Location": "/c/alice"}, b""
            case "/s/away":
                return 302, {"Location": "https://elsewhere.example/x"}, b""
        if path.startswith("/sms/twilio/status/"):
            return 204, {}, b""
        return super().answer(method, path, headers, body)

    def send(self, sandbox: Sandbox, to: str, body: str) -> None:
        """As Leima does, with Leima's own adapter."""
        told = sandbox.told()["twilio"]
        provider = TwilioProvider(
            told["account_sid"],
            (told["account_sid"], told["auth_token"]),
            told["number"],
            status_callback=lambda reference: f"{self.url}/sms/twilio/status/{reference}",
            line=ProviderLine(str(sandbox.ca_file), answer_seconds=2),
            base_url=told["api_url"],
        )
        provider.send(OutgoingMessage(to=to, body=body, reference="row"))


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    shop.put("alice", **stamps(3))
    with serving(shop) as (host, port):
        shop.url = f"http://{host}:{port}"
        yield shop


@pytest.fixture
def sandbox(shop: Shop, tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path, shop.url, 0, [root_pem()], shop.url) as running:
        shop.base = running.proxy.url
        yield running


class Page:
    """The phones' page as a program uses it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.url, self.http = sandbox.phones_url, requests.Session()
        self.http.trust_env = False

    def add(self, **form: str) -> str:
        answer = self.http.post(self.url, data=form, headers=JSON, timeout=10)
        assert 200 == answer.status_code, answer.text
        return str(answer.json()["id"])

    def act(self, phone: str, act: str, **form: str) -> requests.Response:
        return self.http.post(f"{self.url}/{phone}/{act}", data=form, headers=JSON, timeout=10)

    def phone(self, phone: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"{self.url}/{phone}", headers=JSON, timeout=10).json()
        return found

    def texts(self, phone: str) -> list[str]:
        return [message["text"] for message in self.phone(phone)["messages"]]

    def drawing(self, phone: str) -> str:
        return self.http.get(f"{self.url}/{phone}", headers=HTML, timeout=10).text


@pytest.fixture
def page(sandbox: Sandbox) -> Iterator[Page]:
    page = Page(sandbox)
    yield page
    page.http.close()


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it did not happen within ten seconds"
        time.sleep(0.01)


def test_a_phone_without_a_card_has_a_number_of_its_own_and_shows_its_messages(page):
    first, second = page.add(kind="iphone"), page.add(kind="android")
    shown = page.phone(first)
    assert ([], [], "messages") == (shown["cards"], shown["messages"], shown["app"])
    assert ["+358457398001", "+358457398002"] == [shown["number"], page.phone(second)["number"]]


def test_a_text_reaches_the_shop_as_it_was_typed_and_signed_for_its_public_address(page, sandbox, shop):
    phone = page.add(kind="iphone")
    assert 200 == page.act(phone, "text", text="۴۸۲۱۳ ☕").status_code
    [posted] = shop.posted
    number = page.phone(phone)["number"]
    assert ("/sms/twilio/inbound", number, "۴۸۲۱۳ ☕") == (posted.path, posted.form["From"], posted.form["Body"])
    signature = posted.headers["X-Twilio-Signature"]
    assert WebhookKeys(sandbox.twilio.auth_token).signed(f"{shop.url}{posted.path}", posted.form, signature, None)
    [bubble] = page.phone(phone)["messages"]
    assert (True, "۴۸۲۱۳ ☕") == (bubble["mine"], bubble["text"])


def test_what_the_shop_sends_is_shown_with_parts_and_links_on_every_phone_of_that_number(page, sandbox, shop):
    phones = [page.add(kind=kind, number="040 123 4567") for kind in ("iphone", "android")]
    other = page.add(kind="iphone")
    text = f"Tervetuloa ☕: {shop.url}/c/alice. {'x' * 60}"
    shop.send(sandbox, ALICE, text)
    for phone in phones:
        eventually(lambda phone=phone: page.texts(phone) == [text])
        [bubble] = page.phone(phone)["messages"]
        assert (False, 2, [f"{shop.url}/c/alice"]) == (bubble["mine"], bubble["parts"], bubble["links"])
    assert [] == page.texts(other)


def test_the_link_leads_to_the_card_and_the_card_into_the_wallet(page, sandbox, shop):
    phone = page.add(kind="iphone", language="fa")
    shop.send(sandbox, page.phone(phone)["number"], f"{shop.url}/s/abc")
    eventually(lambda: len(page.texts(phone)) == 1)
    assert 200 == page.act(phone, "follow", link=f"{shop.url}/s/abc").status_code
    opened = page.phone(phone)["page"]
    assert (200, "Card", "Kanta Äijä") == (opened["status"], opened["title"], opened["heading"])
    assert f"{sandbox.proxy.url}/c/alice/apple.pkpass" == opened["wallet_link"]
    assert "Add to Apple Wallet" in page.drawing(phone)
    assert 200 == page.act(phone, "install").status_code
    shown = page.phone(phone)
    assert ("wallet", ["alice"]) == (shown["app"], [card["id"] for card in shown["cards"]])
    assert 1 == len(shop.registered)


def test_a_second_card_waits_until_the_first_is_removed(page, sandbox, shop):
    shop.put("bob", **stamps(1))
    phone = page.add(kind="iphone", address="/c/bob")
    shop.send(sandbox, page.phone(phone)["number"], f"{shop.url}/c/alice")
    eventually(lambda: len(page.texts(phone)) == 1)
    page.act(phone, "follow", link=f"{shop.url}/c/alice")
    assert "There is another card on this phone" in page.act(phone, "install").json()["error"]
    page.act(phone, "remove-card")
    page.act(phone, "install")
    assert ["alice"] == [card["id"] for card in page.phone(phone)["cards"]]


def test_links_that_lead_elsewhere_or_nowhere_are_not_asked_for(page, sandbox, shop):
    phone = page.add(kind="iphone")
    links = ["https://elsewhere.example/x", f"{shop.url}/s/away", f"{shop.url}/c/none"]
    shop.send(sandbox, page.phone(phone)["number"], " ".join(links))
    eventually(lambda: len(page.texts(phone)) == 1)
    seen = []
    for link in links:
        page.act(phone, "follow", link=link)
        opened = page.phone(phone)["page"]
        seen.append((opened["host"].partition(":")[0], opened["status"], opened["wallet_link"]))
        assert "See the whole page" in page.drawing(phone)
    assert [("elsewhere.example", 0, ""), ("elsewhere.example", 0, ""), ("127.0.0.1", 404, "")] == seen
    assert 422 == page.act(phone, "install").status_code
    assert 422 == page.act(phone, "follow", link=f"{shop.url}/c/alice").status_code  # no message has it


def test_a_message_speaks_on_the_lock_screen_and_is_counted_until_it_is_read(page, sandbox, shop):
    phone = page.add(kind="iphone")
    page.act(phone, "wallet")
    shop.send(sandbox, page.phone(phone)["number"], "Hei!")
    eventually(lambda: bool(page.phone(phone)["lock_screen"]))
    [notice] = page.phone(phone)["lock_screen"]
    assert ("045 7399999", "Hei!") == (notice["title"], notice["text"])
    assert "Messages, 1 new" in page.drawing(phone)
    page.act(phone, "messages")
    assert "1 new" not in page.drawing(phone)


def test_what_came_while_the_phone_was_off_is_there_when_it_is_on(page, sandbox, shop):
    phone = page.add(kind="android")
    page.act(phone, "off")
    shop.send(sandbox, page.phone(phone)["number"], "Hei!")
    eventually(lambda: bool(sandbox.shelf.stands[phone].missed))
    assert [] == page.texts(phone)
    assert 422 == page.act(phone, "text", text="48213").status_code
    page.act(phone, "on")
    assert ["Hei!"] == page.texts(phone)


def test_a_shop_that_refuses_a_text_is_told_on_the_phones_log(page, shop):
    phone = page.add(kind="iphone")
    shop.status = 403
    assert 200 == page.act(phone, "text", text="48213").status_code
    assert "Texted the shop; the shop's server answered 403." == page.phone(phone)["log"][-1]["text"]
    assert 422 == page.act(phone, "text", text="  ").status_code


@pytest.mark.parametrize(("number", "told"), [("12", "digits"), ("09 1234567", "landline"), ("045 739 9999", "own")])
def test_a_number_that_no_phone_can_have_is_explained(page, number, told):
    answer = page.http.post(page.url, data={"number": number}, headers=JSON, timeout=10)
    assert (422, True) == (answer.status_code, told in answer.json()["error"])


def test_sms_trouble_is_made_and_ended_like_that_of_the_others(page, sandbox, shop):
    url = page.url.replace("/phones", "/faults")
    told = page.http.post(url, data={"fault": "sms-503", "amount": "1", "unit": "requests"}, timeout=10)
    assert "SMS 503 for the next 1 requests" in told.text
    with pytest.raises(SmsError):
        shop.send(sandbox, ALICE, "Hei!")
    page.http.post(url, data={"fault": "sms-30003", "amount": "1", "unit": "requests"}, timeout=10)
    shop.send(sandbox, ALICE, "Hei!")
    [message] = sandbox.twilio.messages.of(ALICE)
    eventually(lambda: ("undelivered", "30003") == (message.status, message.error_code))
    page.http.post(url, data={"fault": "sms-21610", "amount": "60", "unit": "seconds"}, timeout=10)
    with pytest.raises(SmsError) as refused:
        shop.send(sandbox, ALICE, "Hei!")
    assert refused.value.opted_out
    page.http.post(url, data={"end": "1"}, timeout=10)
    shop.send(sandbox, ALICE, "Hei!")
    phone = page.add(number=ALICE)
    eventually(lambda: ["Hei!"] == page.texts(phone))


def test_messages_and_opt_outs_outlive_the_sandbox_and_a_free_number_is_a_fresh_one(shop, tmp_path):
    with Sandbox(tmp_path, shop.url, 0, [root_pem()]) as first:
        page = Page(first)
        phone = page.add()
        number = page.phone(phone)["number"]
        page.act(phone, "text", text="stop")
        said = page.texts(phone)
    with Sandbox(tmp_path, shop.url, 0, [root_pem()]) as second:
        page = Page(second)
        assert said == page.texts(page.add(number=number))
        assert "+358457398002" == page.phone(page.add())["number"]
        with pytest.raises(SmsError) as refused:
            shop.send(second, number, "Hei!")
        assert refused.value.opted_out
    assert "stop" == said[0]
