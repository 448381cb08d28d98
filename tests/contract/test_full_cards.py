"""Cards with every feature on keep the rules of both wallets, in every language."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import event

from app.i18n import LANGUAGES
from app.services import apple_passes, card_state, google_describing
from app.services.context import Context
from app.services.views import MemberView
from certs.identity import SigningIdentity
from passes.google.account import Account
from passes.google.objects import MOST_TEXTS
from sandbox.google import GoogleSandbox
from sandbox.google_schema import check_fields, check_object
from tests.factories import Shop
from tests.integration.full_shop import member_with_everything, switch_everything_on
from tests.integration.google_shop import GoogleShop, fresh, google_shop, loaded
from tests.pkpass_rules import violations

NAMES = {"en": "Erin", "fi": "Äyräpää-Öhman", "ru": "Владислав", "fa": "زهرا\u200cبانو محمدی"}
WORDS = {"en": "Bun 🎉", "fi": "Korvapuusti “äö”", "ru": "Булочка\\", "fa": "نان\u200cشیرینی ۱۲"}
MOST_BELOW = 4  # what an iPhone shows of a store card with a square barcode
MOST_QUERIES = 15
FRONT = ["tier", "stamps_2", "rewards", "credit"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleSandbox]:
    """Kept for the module, because the service account's key is slow to make."""
    with GoogleSandbox(tmp_path_factory.mktemp("google")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def credentials(server: GoogleSandbox) -> Account:
    return loaded(server)


@pytest.fixture
def kulma(ctx: Context, server: GoogleSandbox, credentials: Account) -> Iterator[GoogleShop]:
    with google_shop(ctx, fresh(server), credentials) as made:
        yield made


def pass_of(shop: Shop, member: MemberView) -> bytes:
    """The pass as a phone fetches it."""
    state = card_state.find(shop.ctx, member.card_id)
    assert state is not None
    content = apple_passes.fetch(shop.ctx, state, None).content
    assert content is not None
    return content


def document(data: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        found: dict[str, Any] = json.loads(package.read("pass.json"))
    return found


def keys(fields: list[dict[str, Any]]) -> list[str]:
    return [field["key"] for field in fields]


@pytest.mark.parametrize("extreme", [False, True], ids=["usual", "extreme"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_both_wallets_take_a_card_with_every_feature(
    kulma: GoogleShop, pass_identity: SigningIdentity, language: str, extreme: bool
):
    shop = kulma.shop
    group = switch_everything_on(shop, words=WORDS[language], extreme=extreme)
    name = (NAMES[language] * 10)[:60] if extreme else NAMES[language]
    member = member_with_everything(shop, group, language=language, name=name)
    _keeps_apples_rules(pass_of(shop, member), pass_identity)
    kulma.save(member)
    shown = kulma.shown(member)
    check_fields(shown, "LoyaltyObject")
    check_object(shown)
    texts = shown["textModulesData"]
    assert len(texts) == MOST_TEXTS
    assert {"rewards", "credit", "tier", "stamps_2", "news", "survey"} <= {text["id"] for text in texts}
    links = {link["id"]: link["uri"] for link in shown["linksModuleData"]["uris"]}
    assert {"survey", "referral", "page", "website", "privacy"} == links.keys()
    assert "bonus" not in {text["id"] for text in texts}
    assert shown["loyaltyPoints"]["label"]
    assert shown["secondaryLoyaltyPoints"]["balance"]["string"]


def _keeps_apples_rules(data: bytes, identity: SigningIdentity) -> None:
    assert identity.root is not None
    assert [] == violations(data, identity.root.public_bytes(Encoding.PEM))
    card = document(data)["storeCard"]
    assert ["bonus", "stamps"] == sorted(keys(card["headerFields"]))
    front = keys(card["secondaryFields"]) + keys(card["auxiliaryFields"])
    assert (FRONT, MOST_BELOW) == (sorted(front, key=FRONT.index), len(front))
    back = keys(card["backFields"])
    assert "news" == back[0]
    assert {"survey", "credits", "visits", "next_tier", "member", "credit_later", "stamps_3", "next_reward"} < set(back)
    assert {"tier_benefits", "groups", "referral", "page", "terms", "contact", "website", "privacy"} < set(back)
    assert ["news"] == [field["key"] for field in card["backFields"] if "changeMessage" in field]


def test_what_google_has_no_room_for_is_in_the_last_text_by_its_label(kulma: GoogleShop):
    group = switch_everything_on(kulma.shop)
    (told,) = google_describing.describe(kulma.ctx, [member_with_everything(kulma.shop, group).card_id]).values()
    assert "" == told.problem
    *own, rest = [(text["id"], text.get("header", ""), text["body"]) for text in told.body["textModulesData"]]
    assert ("more-texts", "") == rest[:2]
    assert rest[2].endswith("Contact\nKorvapuusti")
    assert all(header for _, header, _ in own)


def test_many_full_cards_take_the_same_few_queries_as_two(kulma: GoogleShop, monkeypatch: pytest.MonkeyPatch):
    group = switch_everything_on(kulma.shop)
    made = [member_with_everything(kulma.shop, group, number).card_id for number in range(8)]
    google_describing.describe(kulma.ctx, made[:1])  # what all cards share is kept from then on
    seen: list[object] = []

    def see(connection: object, cursor: object, statement: str, *more: object) -> None:
        seen.append(statement)

    def see_lookup(connection: psycopg.Connection[Any], query: Any, *more: Any) -> psycopg.Cursor[Any]:
        seen.append(query)
        return execute(connection, query, *more)

    execute = psycopg.Connection.execute
    monkeypatch.setattr(psycopg.Connection, "execute", see_lookup)
    event.listen(kulma.ctx.engine, "before_cursor_execute", see)
    counts = []
    for some in (made[1:3], made):
        seen.clear()
        google_describing.describe(kulma.ctx, some)
        counts.append(len(seen))
    event.remove(kulma.ctx.engine, "before_cursor_execute", see)
    assert counts[0] == counts[1] <= MOST_QUERIES
