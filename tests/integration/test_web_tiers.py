"""Tiers and groups in the office, on cards, at the till and through the API."""

from collections.abc import Callable
from io import BytesIO
from uuid import UUID
from zipfile import ZipFile

import pytest
from flask.testing import FlaskClient

from app.db.people import Role
from app.i18n import translator
from app.services import apple_passes, card_state, cards, group_pricing, members, pictures, programs
from app.services.card_tier import dressed, next_goal
from app.services.member_groups import add, every, save
from app.services.tier_rules import tiers
from app.services.views import MemberView
from passes.colors import contrast, parse, readable_on
from tests.factories import Shop
from tests.integration.tier_shop import FORM, buy, set_tiers

SignIn = Callable[[Role], FlaskClient]


@pytest.fixture
def gold(shop: Shop) -> MemberView:
    """A member who has just become Gold, and is VIP with 10% off."""
    set_tiers(shop)
    anna = shop.member(1, name="Anna")
    buy(shop, anna.id, 10_000)
    return members.by_id(shop.ctx, shop.owner, anna.id)


def vip(shop: Shop, member: MemberView) -> UUID:
    group = save(shop.ctx, shop.owner, {"name": "VIP", "details": "Free milk", "on_card": "on"})
    group_pricing.add(shop.ctx, shop.owner, group, {"kind": "off", "off": "10"})
    add(shop.ctx, shop.owner, group, member.card_code)
    return group


def test_an_owner_sets_tiers_up_and_sees_what_they_mean(shop: Shop, sign_in: SignIn):
    owner = sign_in(Role.OWNER)
    assert "There are no tiers yet" in owner.get("/office/tiers").text
    assert 200 == owner.get("/office/tiers/edit").status_code
    preview = owner.post("/office/tiers/edit", data=FORM | {"act": "preview"})
    assert 200 == preview.status_code
    assert "With these settings" in preview.text
    assert [] == tiers(shop.ctx, shop.program.id)
    assert 303 == owner.post("/office/tiers/edit", data=FORM).status_code
    page = owner.get("/office/tiers").text
    for text in ("From €50.00 in the last 365 days", "Free milk", "--tier: #d4af37", "keeps it until"):
        assert text in page
    form = owner.get("/office/tiers/edit").text
    assert 'value="50.00"' in form


def test_what_is_wrong_is_shown_at_its_field_with_what_was_typed(sign_in: SignIn):
    answer = sign_in(Role.OWNER).post("/office/tiers/edit", data=FORM | {"needs-1": "10", "name-1": "Mine"})
    assert 422 == answer.status_code
    assert "Another tier has this limit" in answer.text
    assert 'value="Mine"' in answer.text


def test_marketers_see_tiers_and_groups_without_changing_them(shop: Shop, gold: MemberView, sign_in: SignIn):
    group = vip(shop, gold)
    marketer = sign_in(Role.MARKETER)
    assert 200 == marketer.get("/office/tiers").status_code
    page = marketer.get(f"/office/groups/{group}").text
    assert gold.phone[-7:] not in page.replace(" ", "")
    for address in ("/office/tiers/edit", "/office/groups/new", f"/office/groups/{group}/edit"):
        assert 403 == marketer.get(address).status_code
    for address in (f"/office/groups/{group}/add", f"/office/groups/{group}/members.csv", "/office/tiers/edit"):
        assert 403 == marketer.post(address, data={"code": gold.card_code}).status_code


def test_a_group_is_made_filled_priced_and_removed(shop: Shop, gold: MemberView, sign_in: SignIn):
    owner = sign_in(Role.OWNER)
    made = owner.post("/office/groups/new", data={"name": "VIP", "details": "Free milk"})
    address = made.headers["Location"].partition("?")[0]
    assert "Nobody is in the group yet." in owner.get(address).text
    assert 303 == owner.post(f"{address}/add", data={"code": "0401230001"}).status_code
    assert "Anna" in owner.get(address).text
    wrong = owner.post(f"{address}/add", data={"code": "0409999999"})
    assert (404, True) == (wrong.status_code, "No member has this card or number." in wrong.text)
    file = {"file": (BytesIO(b"Phone number\n0401230001\n0409999999\n"), "vip.csv")}
    report = owner.post(f"{address}/file", data=file, content_type="multipart/form-data").text
    assert "1 member of the file is in the group." in report
    assert 422 == owner.post(f"{address}/file", data={}, content_type="multipart/form-data").status_code
    priced = {"product": "Coffee", "kind": "price", "price": "2.50"}
    assert 303 == owner.post(f"{address}/prices", data=priced).status_code
    assert "Coffee: €2.50" in owner.get(address).text
    assert 422 == owner.post(f"{address}/prices", data={"kind": "off", "off": "200"}).status_code
    csv = owner.post(f"{address}/members.csv")
    assert f'{gold.phone},"Anna"' in csv.text
    assert "VIP" in owner.get(f"/office/members/{gold.id}").text
    out = owner.post(f"{address}/take-out", data={"member_id": str(gold.id), "back": "member"})
    assert f"/office/members/{gold.id}" == out.headers["Location"]
    (one,) = every(shop.ctx, shop.owner)
    assert 303 == owner.post(f"/office/members/{gold.id}/groups", data={"group_id": str(one.group.id)}).status_code
    assert 1 == every(shop.ctx, shop.owner)[0].members
    assert 303 == owner.post(f"{address}/remove").status_code
    assert [] == every(shop.ctx, shop.owner)


def test_a_members_page_tells_the_tier_and_its_history(gold: MemberView, sign_in: SignIn):
    page = sign_in(Role.MANAGER).get(f"/office/members/{gold.id}").text
    for text in ("Kept until", "€100.00", "came to Gold"):
        assert text in page


def test_the_till_shows_the_tier_on_its_colour_and_the_groups_prices(shop: Shop, gold: MemberView, sign_in: SignIn):
    vip(shop, gold)
    page = sign_in(Role.CASHIER).get(f"/till/m/{gold.id}").text
    for text in ("--tier: #d4af37", "--on-tier: #000000", "Gold", "VIP", "Everything: 10% off"):
        assert text in page


def test_the_cards_page_has_the_tiers_colour_and_goal(shop: Shop, client: FlaskClient, gold: MemberView):
    page = client.get(members.card_url(shop.ctx, gold).removeprefix("http://localhost:8400")).text
    assert "--card: #d4af37" in page
    bert = shop.member(2)
    buy(shop, bert.id, 6000)
    page = client.get(members.card_url(shop.ctx, bert).removeprefix("http://localhost:8400")).text
    for text in ("Silver", "€40.00 more to Gold", "Free milk"):
        assert text in page


def test_apples_card_is_in_the_tiers_colour(shop: Shop, gold: MemberView):
    program = programs.get(shop.ctx, shop.program.id)
    look = cards.program_look(shop.ctx, dressed(program, gold), "en")
    assert (parse("#d4af37"), readable_on(parse("#d4af37"))) == (look.background, look.foreground)
    assert parse("#0b5d4e") == cards.program_look(shop.ctx, program, "en").background
    content = b"".join(apple_passes.apple_pass(shop.ctx, gold).segments)
    assert b"rgb(212, 175, 55)" in _pass_json(content)
    card = card_state.find(shop.ctx, gold.card_id)
    assert card is not None
    fetched = apple_passes.fetch(shop.ctx, card, None).content
    assert fetched is not None
    assert b'"Gold"' in _pass_json(fetched)


def _pass_json(content: bytes) -> bytes:
    with ZipFile(BytesIO(content)) as file:
        return file.read("pass.json")


def test_googles_picture_is_in_the_tiers_colour_and_its_texts_name_the_tier(shop: Shop, gold: MemberView):
    program = programs.get(shop.ctx, shop.program.id)
    assert "-d4af37-" in pictures.stamps_path(shop.ctx, dressed(program, gold), gold)
    card = cards.card(shop.ctx, program, gold, "https://kulma.example/c")
    assert "Gold" in [field.value for field in card.secondary]


def test_text_on_every_tiers_colour_can_be_read():
    for color in ("#8c5a2b", "#c0c0c0", "#d4af37", "#777777", "#767676"):
        assert contrast(parse(color), readable_on(parse(color))) >= 4.5


def test_tills_are_told_tier_groups_and_prices(shop: Shop, client: FlaskClient, gold: MemberView):
    group = vip(shop, gold)
    key = {"Authorization": f"Bearer {shop.api_key}"}
    answer = client.get(f"/api/v1/members/{gold.card_code}", headers=key).json
    assert answer is not None
    assert ("Gold", "spending", 10_000, None) == tuple(
        answer["tier"][name] for name in ("name", "basis", "figure", "next")
    )
    price = {"product": "", "price_minor": None, "off_bp": 1000}
    assert [{"id": str(group), "name": "VIP", "details": "Free milk", "prices": [price]}] == answer["groups"]
    asked = {"products": [{"product": "Bun", "amount_minor": 399}]}
    told = client.post(f"/api/v1/members/{gold.id}/prices", json=asked, headers=key)
    expected = {"product": "Bun", "amount_minor": 399, "price_minor": 360, "group": "VIP"}
    assert (200, {"prices": [expected]}) == (told.status_code, told.json)
    assert 422 == client.post(f"/api/v1/members/{gold.id}/prices", json={"products": []}, headers=key).status_code


@pytest.mark.parametrize("language", ["fi", "ru", "fa"])
def test_the_goal_is_told_in_the_members_language(shop: Shop, language: str):
    set_tiers(shop)
    member = shop.member(3, language=language)
    standing = members.by_id(shop.ctx, shop.owner, member.id).tier
    assert standing is not None
    assert "more" not in next_goal(translator(language), "EUR", standing)
