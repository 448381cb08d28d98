"""The pretend Android shows what Google Wallet has, and Google tells the shop who has the card."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.auth.crypt import RSASigner

from passes.card import CardField
from passes.google.objects import ClassSettings, ObjectSettings, loyalty_class, loyalty_object
from passes.google.save_link import save_link
from sandbox.android import Android, CannotSave
from sandbox.google_view import RemoteWallet, WalletFeed
from sandbox.runner import Sandbox
from tests.pass_samples import card, look, png
from tests.tiny_pass_service import TinyPassService, serving

CLASS_ID, OBJECT_ID = "3388000000000000001.kulma", "3388000000000000001.bob"


@dataclass
class TinyShop(TinyPassService):
    """A shop with a link to Google's save page, pictures and a place for callbacks."""

    link: str = ""
    callbacks: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        if path == "/callback":
            self.callbacks.append(json.loads(json.loads(body)["signedMessage"]))
            return 200, {}, b""
        if path.startswith("/picture/"):
            return 200, {"Content-Type": "image/png"}, png(int(path.rpartition("/")[2]), 10)
        return (302, {"Location": self.link}, b"") if path == "/c/token/google" else (404, {}, b"")


@pytest.fixture
def shop() -> TinyShop:
    return TinyShop()


@pytest.fixture
def sandbox(shop: TinyShop, tmp_path: Path) -> Iterator[Sandbox]:
    with serving(shop) as (host, port), Sandbox(tmp_path, f"http://{host}:{port}") as running:
        shop.base = f"http://localhost:{port}"
        settings = ClassSettings(CLASS_ID, f"{running.proxy.url}/picture/66", f"{shop.base}/callback")
        running.google.state.insert("loyaltyClass", loyalty_class(look(), settings))
        running.google.state.insert("loyaltyObject", drawn(running, 3))
        account = json.loads(running.google.account_file.read_text())
        signer = RSASigner.from_service_account_info(account)
        shop.link = save_link(
            signer, account["client_email"], CLASS_ID, OBJECT_ID, ["https://localhost"], datetime.now(UTC),
            running.google.save_url,
        )  # fmt: skip
        yield running


@pytest.fixture
def phone(sandbox: Sandbox) -> Iterator[Android]:
    made = Android(str(sandbox.ca_file), sandbox.changes)
    yield made
    made.stop()


def drawn(sandbox: Sandbox, have: int, back: tuple[CardField, ...] = (), **changes: Any) -> dict[str, Any]:
    settings = ObjectSettings(
        OBJECT_ID, CLASS_ID, "Leimoja", f"{have}/10", hero_url=f"{sandbox.proxy.url}/picture/{have}"
    )
    made: dict[str, Any] = loyalty_object(card(header=(), back=back, **changes), look(), settings, datetime.now(UTC))
    return made


def change(sandbox: Sandbox, have: int, notify: bool = False, **changes: Any) -> None:
    made = notifying(sandbox, have, **changes) if notify else drawn(sandbox, have, **changes)
    sandbox.google.state.change("loyaltyObject", OBJECT_ID, made)


def notifying(sandbox: Sandbox, have: int, **changes: Any) -> dict[str, Any]:
    return drawn(sandbox, have, **changes) | {"notifyPreference": "NOTIFY_ON_UPDATE"}


def points(phone: Android) -> str:
    return phone.face(OBJECT_ID).points[0].body


def add(sandbox: Sandbox, phone: Android) -> None:
    assert [OBJECT_ID] == phone.add(f"{sandbox.proxy.url}/c/token/google")


def test_the_link_puts_the_card_on_the_phone_and_google_tells_the_shop(sandbox, shop, phone):
    add(sandbox, phone)
    face = phone.face(OBJECT_ID)
    assert ("Kahvila Äijä", "Kanta-asiakkaat", "#3c2415") == (face.issuer, face.program, face.background)
    assert ("3/10", "QMCP54WJ0G1D2MMP", "") == (face.points[0].body, face.code, face.ended)
    assert {face.logo, face.hero} == phone.pictures.keys()
    sandbox.google.sender.stop()
    assert [("save", OBJECT_ID)] == [(one["eventType"], one["objectId"]) for one in shop.callbacks]


def test_a_stamp_appears_at_once_with_its_own_picture_and_silently(sandbox, phone):
    add(sandbox, phone)
    change(sandbox, 4)
    assert phone.log.wait_for(lambda: points(phone) == "4/10" and "changed" in phone.log.kinds())
    assert phone.face(OBJECT_ID).hero.endswith("/picture/4")
    assert phone.face(OBJECT_ID).hero in phone.pictures
    assert [] == phone.lock_screen


def test_a_milestone_notifies_once(sandbox, phone):
    add(sandbox, phone)
    change(sandbox, 10, notify=True)
    assert phone.log.wait_for(lambda: "message" in phone.log.kinds())
    assert [("Kahvila Äijä", "Leimoja: 10/10")] == [(one.title, one.text) for one in phone.lock_screen]


def test_the_lock_screen_says_what_is_new_on_the_card(sandbox, phone):
    back = (CardField("news", "Uutiset", "Palkintosi odottaa: kahvi"),)
    add(sandbox, phone)
    sandbox.google.state.change("loyaltyObject", OBJECT_ID, notifying(sandbox, 0, back=back))
    sandbox.google.state.change("loyaltyObject", OBJECT_ID, notifying(sandbox, 1, back=back))
    assert phone.log.wait_for(lambda: len(phone.lock_screen) == 2)
    assert ["Palkintosi odottaa: kahvi", "Leimoja: 1/10"] == [one.text for one in phone.lock_screen]


def test_a_reward_speaks_before_the_stamps_that_it_took(sandbox, phone):
    add(sandbox, phone)
    reward = {"label": "Palkinnot", "balance": {"string": "1"}}
    sandbox.google.state.change("loyaltyObject", OBJECT_ID, notifying(sandbox, 0) | {"secondaryLoyaltyPoints": reward})
    assert phone.log.wait_for(lambda: "message" in phone.log.kinds())
    assert ["Palkinnot: 1"] == [one.text for one in phone.lock_screen]


def test_pictures_of_an_address_are_fetched_once(sandbox, shop, phone):
    add(sandbox, phone)
    for have in (4, 3, 4):
        change(sandbox, have)
        assert phone.log.wait_for(lambda now=f"{have}/10": points(phone) == now)
    assert 1 == shop.asked.count("/picture/3")


def test_labels_are_in_the_phones_language(sandbox, phone):
    phone.language = "fa"
    add(sandbox, phone)
    assert "مهرها" == phone.face(OBJECT_ID).points[0].header


def test_a_phone_that_was_off_shows_the_newest_card_when_it_is_on_again(sandbox, phone):
    add(sandbox, phone)
    phone.switch_off()
    change(sandbox, 4)
    change(sandbox, 5, notify=True)
    assert "3/10" == points(phone)
    phone.switch_on()
    assert "5/10" == points(phone)
    assert 1 == len(phone.lock_screen)


def test_a_voided_card_says_so(sandbox, phone):
    add(sandbox, phone)
    change(sandbox, 3, voided=True)
    assert phone.log.wait_for(lambda: phone.face(OBJECT_ID).ended == "Inactive")


def test_removing_the_card_is_told_to_the_shop(sandbox, shop, phone):
    add(sandbox, phone)
    phone.remove(OBJECT_ID)
    sandbox.google.sender.stop()
    assert ["save", "del"] == [one["eventType"] for one in shop.callbacks]
    assert {} == phone.cards


def test_google_calls_a_shop_back_whose_address_the_sandbox_knows(sandbox, shop, phone):
    callback = {"callbackOptions": {"url": f"{sandbox.proxy.url}/callback"}, "reviewStatus": "UNDER_REVIEW"}
    sandbox.google.state.change("loyaltyClass", CLASS_ID, callback)
    add(sandbox, phone)
    sandbox.google.sender.stop()
    assert [[200]] == [one["statuses"] for one in sandbox.google.sender.sent]
    assert ["save"] == [one["eventType"] for one in shop.callbacks]


def test_two_phones_may_have_the_same_card(sandbox, phone):
    second = Android(str(sandbox.ca_file), WalletFeed(RemoteWallet(sandbox.google.page_url)))
    add(sandbox, phone)
    add(sandbox, second)
    change(sandbox, 6, auxiliary=(CardField("rewards", "Palkinnot", "1"),))
    for one in (phone, second):
        assert one.log.wait_for(lambda one=one: points(one) == "6/10")
    second.stop()


def test_a_link_that_leads_elsewhere_saves_nothing(sandbox, phone):
    with pytest.raises(CannotSave, match="does not lead to Google's page"):
        phone.add(f"{sandbox.proxy.url}/c/other/google")
    assert {} == phone.cards
