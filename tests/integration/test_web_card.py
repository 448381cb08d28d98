"""The card's own page, the pass that is downloaded from it, and the buttons of the wallets."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from flask.testing import FlaskClient
from pydantic import SecretStr

from app.db.people import MemberStatus
from app.i18n import LANGUAGES
from app.services import members, stamp_cards, till
from app.services.views import MemberView
from app.web.factory import create_app
from certs.identity import SigningIdentity
from tests.factories import Shop
from tests.integration.visit_shop import kind_of_reward
from tests.pkpass_rules import strings_of, violations
from tests.qr_reading import scanned


def path_of(shop: Shop, member: MemberView) -> str:
    return urlsplit(members.card_url(shop.ctx, member)).path


def pass_of(client: FlaskClient, shop: Shop, member: MemberView) -> dict[str, bytes]:
    answer = client.get(path_of(shop, member) + "/apple.pkpass")
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.data)) as package:
        return {name: package.read(name) for name in package.namelist()}


def test_the_page_shows_the_card(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1, name="Erin")
    till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=3, amount_minor=1250, receipt_no="R-7")
    page = client.get(path_of(shop, member)).text
    grouped = "-".join(member.card_code[place : place + 4] for place in (0, 4, 8, 12))
    for shown in ("Kulma Club", "Erin", "3 of 10", "7 more stamps", grouped, "€12.50", "R-7", shop.program.terms_text):
        assert shown in page


def test_the_link_in_the_address_stays_private(client: FlaskClient, shop: Shop) -> None:
    for path in (path_of(shop, shop.member(1)), "/c/unknown"):
        headers = client.get(path).headers
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Robots-Tag"] == "noindex, nofollow"
        assert headers["Cache-Control"] == "no-store"
        assert "'unsafe-inline'" not in headers["Content-Security-Policy"]


def test_an_unknown_link_opens_nothing_and_cannot_be_tried_for_long(client: FlaskClient, shop: Shop) -> None:
    answer = client.get("/c/AAAAAAAAAAAAAAAAAAAAAA")
    assert answer.status_code == 404
    assert "This card link is not valid" in answer.text
    assert {client.get(f"/c/guess-{number}").status_code for number in range(119)} == {404}
    assert client.get("/c/one-too-many").status_code == 429
    assert client.get(path_of(shop, shop.member(1))).status_code == 200  # a real link is never held back


def test_a_reward_shows_its_last_day_where_the_shop_is(
    client: FlaskClient, shop: Shop, at: Callable[[datetime], None]
) -> None:
    shop.change_program(reward_valid_days="30")
    at(datetime(2026, 11, 22, 23, 30, tzinfo=UTC))  # in Helsinki it is the 23rd already
    member = shop.member(1)
    till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=10)
    assert "Last day: 23 December 2026" in client.get(path_of(shop, member)).text


def test_the_page_speaks_the_members_language_with_its_digits(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1, language="fa")
    till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=3)
    page = client.get(path_of(shop, member)).text
    assert '<html lang="fa" dir="rtl"' in page
    assert "۳" in page
    assert '<html lang="fi" dir="ltr"' in client.get(path_of(shop, member) + "?lang=fi").text


def test_the_page_tells_of_each_stamp_card_by_its_name_what_it_gives_stamps_for(
    client: FlaskClient, shop: Shop
) -> None:
    shop.change_program(smallest_purchase="5", stamp_valid_days="90", reward_valid_days="30")
    path = path_of(shop, shop.member(1))
    alone = ["A purchase earns one stamp.", "The purchase must be €5.00 or more."]
    alone += ["10 stamps fill the card and give: Free coffee", "A stamp is valid for 90 days."]
    alone += ["A reward is valid for 30 days."]
    assert [("", alone)] == earning(client.get(path).text)

    stamp_cards.save_first(shop.ctx, shop.owner, {"name": "<Coffee>", "products": "1021\nCoffee\nLatte"})
    lunch = {"name": "Lunch", "stamps_needed": "8", "reward_name": "A lunch", "per_amount": "12.50"}
    lunch |= {"reward_type_id": str(kind_of_reward(shop, "Free lunch")), "reward_valid_days": "7"}
    card = stamp_cards.save(shop.ctx, shop.owner, lunch)
    bakery = {"name": "Bakery", "stamps_needed": "5", "reward_name": "Free cake", "products": "77"}
    stamp_cards.save(shop.ctx, shop.owner, bakery)
    coffee = ["Each of these gives a stamp: Coffee, Latte", *alone[1:]]
    each = "A purchase earns one stamp for each full €12.50."
    baker = ["Some of our products give a stamp each.", "5 stamps fill the card and give: Free cake"]
    found = earning(client.get(path).text)
    assert [
        ("&lt;Coffee&gt;", coffee),
        ("Lunch", [each, "8 stamps fill the card and give: Free lunch"]),
        ("Bakery", baker),
    ] == found

    stamp_cards.save(shop.ctx, shop.owner, lunch | {"active": ""}, card)
    assert ["&lt;Coffee&gt;", "Bakery"] == [name for name, _ in earning(client.get(path).text)]


def earning(page: str) -> list[tuple[str, list[str]]]:
    """What the page says of earning stamps: a card's name, if any, and its sentences."""
    (told,) = re.findall(r"<summary>How to earn stamps</summary>(.*?)</details>", page, re.DOTALL)
    lists = re.findall(r"(?:<bdi>([^<]*)</bdi></strong></p>\s*)?<ul>(.*?)</ul>", told, re.DOTALL)
    return [(name, re.findall(r"<li>(.*?)</li>", items)) for name, items in lists]


def test_names_cannot_break_out_of_the_page(client: FlaskClient, shop: Shop) -> None:
    shop.change_program(name="<b>Kulma</b>", reward_name="\"><script>alert('x')</script>")
    member = shop.member(1, name="<img src=x onerror=alert(1)>")
    page = client.get(path_of(shop, member)).text
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "<b>" not in page


def test_leaving_needs_a_tick_and_ends_the_card(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    path = path_of(shop, member)
    client.post(f"{path}/leave")
    assert members.by_id(shop.ctx, shop.cashier, member.id).status is MemberStatus.ACTIVE
    answer = client.post(f"{path}/leave", data={"sure": "on"})
    assert (answer.status_code, answer.location) == (303, path)
    assert members.by_id(shop.ctx, shop.cashier, member.id).status is MemberStatus.LEFT
    page = client.get(path).text
    assert "You have left this programme" in page
    assert "/join/kulma" in page
    assert member.card_code[:4] + "-" not in page


def test_a_blocked_card_says_so_and_cannot_be_freed_by_leaving(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    members.set_status(shop.ctx, shop.owner, member.id, MemberStatus.BLOCKED)
    path = path_of(shop, member)
    assert "This card is blocked" in client.get(path).text
    client.post(f"{path}/leave", data={"sure": "on"})
    assert members.by_id(shop.ctx, shop.cashier, member.id).status is MemberStatus.BLOCKED


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pass_keeps_every_rule_of_apple_in_each_language(
    client: FlaskClient, shop: Shop, pass_identity: SigningIdentity, language: str
) -> None:
    member = shop.member(1, language=language, name="Erin")
    till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=13)
    answer = client.get(path_of(shop, member) + "/apple.pkpass")
    assert pass_identity.root is not None
    assert violations(answer.data, pass_identity.root.public_bytes(Encoding.PEM)) == []
    files = pass_of(client, shop, member)
    assert {name for name in files if name.endswith(".strings")} == {f"{tag}.lproj/pass.strings" for tag in LANGUAGES}
    assert len({frozenset(strings_of(files[f"{tag}.lproj/pass.strings"])) for tag in LANGUAGES}) == 1


def test_the_pass_is_a_download_with_the_date_of_the_card(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    path = path_of(shop, member) + "/apple.pkpass"
    answer = client.get(path)
    assert answer.mimetype == "application/vnd.apple.pkpass"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="kulma.pkpass"'
    assert answer.content_length == len(answer.data)
    assert abs(parsedate_to_datetime(answer.headers["Last-Modified"]) - datetime.now(UTC)) < timedelta(minutes=1)
    head = client.head(path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Last-Modified"] == answer.headers["Last-Modified"]


def test_a_change_moves_the_date_of_the_pass(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    path = path_of(shop, member) + "/apple.pkpass"
    before = parsedate_to_datetime(client.head(path).headers["Last-Modified"])
    till.give_stamps(shop.ctx, shop.cashier, member.card_code)
    assert parsedate_to_datetime(client.head(path).headers["Last-Modified"]) > before


@pytest.mark.parametrize("name", ["زهرا محمدی", "Владислав", "李小龍", "👩‍👩‍👧 Erin 🎉", "a\u202eb", 'Quo"te \\ back'])
def test_names_in_any_script_are_whole_in_the_pass(client: FlaskClient, shop: Shop, name: str) -> None:
    member = shop.member(1, name=name)
    fields = json.loads(pass_of(client, shop, member)["pass.json"])["storeCard"]["secondaryFields"]
    assert {field["key"]: field["value"] for field in fields}["member"] == member.name
    assert member.name.replace(" ", "") == name.replace("\u202e", "").replace(" ", "")


def test_page_and_pass_carry_the_same_code(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    contents = json.loads(pass_of(client, shop, member)["pass.json"])
    assert contents["barcodes"][0]["message"] == member.card_code
    page = client.get(path_of(shop, member)).text
    assert scanned(page) == member.card_code


def test_the_pass_of_someone_who_left_is_void(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1)
    assert "voided" not in json.loads(pass_of(client, shop, member)["pass.json"])
    members.leave(shop.ctx, path_of(shop, member).rpartition("/")[2])
    assert json.loads(pass_of(client, shop, member)["pass.json"])["voided"] is True


def test_with_an_expired_certificate_the_customer_is_sent_to_the_staff(
    client: FlaskClient, shop: Shop, at: Callable[[datetime], None], pass_identity: SigningIdentity
) -> None:
    path = path_of(shop, shop.member(1))
    at(pass_identity.not_after + timedelta(seconds=1))
    answer = client.get(f"{path}/apple.pkpass")
    assert answer.status_code == 503
    assert "Please tell the staff" in answer.text
    assert client.get(path).status_code == 200


IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile/15E148 Safari/604.1"
IPAD = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.5 Safari/605.1.15"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K) Chrome/138.0.0.0 Mobile Safari/537.36"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (IPHONE, [("Apple", False), ("Google", True)]),
        (IPAD, [("Apple", False), ("Google", True)]),
        (ANDROID, [("Google", False), ("Apple", True)]),
        (WINDOWS, [("Apple", False), ("Google", False)]),
        ("", [("Apple", False), ("Google", False)]),
    ],
)
def test_the_wallet_of_the_visitors_device_comes_first(
    shop: Shop, device: str, expected: list[tuple[str, bool]]
) -> None:
    settings = {
        "wallet_url": "https://kulma.example",
        "google_issuer_id": "3388000000000000001",
        "google_account": SecretStr("{}"),
    }
    client = create_app(replace(shop.ctx, settings=shop.ctx.settings.model_copy(update=settings))).test_client()
    answer = client.get(path_of(shop, shop.member(1)), headers={"User-Agent": device})
    buttons = re.findall(r'class="wallet-button( second)?".*?(Apple|Google) Wallet', answer.text, re.DOTALL)
    assert expected == [(wallet, bool(second)) for second, wallet in buttons]
    assert "User-Agent" in answer.vary


@pytest.mark.parametrize("device", [IPHONE, ANDROID, WINDOWS])
def test_without_an_issuer_account_nobody_is_sent_to_google(client: FlaskClient, shop: Shop, device: str) -> None:
    page = client.get(path_of(shop, shop.member(1)), headers={"User-Agent": device}).text
    assert (True, False) == ("Add to Apple Wallet" in page, "Google" in page)
