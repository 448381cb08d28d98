"""The office's pages: who may open which, what they save, and what they never show."""

import re
from collections.abc import Callable
from io import BytesIO
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from app.db.people import MemberStatus, Role
from app.services import api_keys, members, programs, staff, till
from tests.factories import PASSWORD, PROGRAM_FORM, Shop, open_shop

SignIn = Callable[[Role], FlaskClient]

PAGES = {
    "/office": (Role.OWNER, Role.MANAGER, Role.MARKETER),
    "/office/program": (Role.OWNER, Role.MANAGER),
    "/office/locations": (Role.OWNER, Role.MANAGER),
    "/office/locations/new": (Role.OWNER, Role.MANAGER),
    "/office/staff": (Role.OWNER, Role.MANAGER),
    "/office/staff/new": (Role.OWNER, Role.MANAGER),
    "/office/members": (Role.OWNER, Role.MANAGER, Role.MARKETER),
    "/office/delivery": (Role.OWNER, Role.MANAGER, Role.MARKETER),
    "/office/keys": (Role.OWNER,),
    "/staff/password": tuple(Role),
}


def logo() -> tuple[BytesIO, str]:
    file = BytesIO()
    Image.new("RGB", (40, 20), "red").save(file, "PNG")
    file.seek(0)
    return file, "logo.png"


def where_to(answer: TestResponse) -> str:
    assert 303 == answer.status_code
    return answer.location


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_for_its_roles_only(sign_in: SignIn, page: str, role: Role) -> None:
    assert (200 if role in PAGES[page] else 403) == sign_in(role).get(page).status_code


@pytest.mark.parametrize("page", PAGES)
def test_nobody_in_particular_is_asked_to_sign_in(client: FlaskClient, page: str) -> None:
    answer = client.get(page)
    assert 302 == answer.status_code
    assert answer.location.startswith("/staff/sign-in")


def test_the_way_between_pages_leads_only_where_one_may_go(sign_in: SignIn) -> None:
    def ways(role: Role, page: str = "/office") -> set[str]:
        return set(re.findall(r'<li><a href="(/office[^"]*)"', sign_in(role).get(page).text))

    assert {"/office", "/office/members", "/office/classes", "/office/campaigns"} <= ways(Role.MARKETER)
    assert "/office/poster" in ways(Role.MARKETER, "/office/channels")
    assert "/office/program" not in ways(Role.MARKETER)
    assert {"/office/program", "/office/staff"} <= ways(Role.MANAGER, "/office/locations")
    assert "/office/keys" not in ways(Role.MANAGER, "/office/locations")
    assert "/office/keys" in ways(Role.OWNER, "/office/locations")


@pytest.mark.parametrize("language", ["en", "fi", "ru", "fa"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_speaks_every_language(sign_in: SignIn, page: str, language: str) -> None:
    answer = sign_in(Role.OWNER).get(page, query_string={"lang": language})
    assert 200 == answer.status_code
    direction = "rtl" if language == "fa" else "ltr"
    assert f'<html lang="{language}" dir="{direction}"' in answer.text


def test_the_start_page_of_an_empty_programme_says_what_to_do(shop: Shop, sign_in: SignIn) -> None:
    page = sign_in(Role.OWNER).get("/office").text
    assert "Nobody has joined yet" in page
    assert "(still to do)" in page


def test_an_owner_sets_the_programme_up(shop: Shop, sign_in: SignIn) -> None:
    owner = sign_in(Role.OWNER)
    form = PROGRAM_FORM | {"name": "Torni Club", "brand_color": "cmyk(88, 0, 16, 64)", "smallest_purchase": "3,50"}
    assert "/office/program?saved=1" == where_to(owner.post("/office/program", data=form | {"logo": logo()}))
    saved = programs.get(shop.ctx, shop.program.id)
    assert ("Torni Club", "cmyk(88, 0, 16, 64)", 350) == (saved.name, saved.brand_color, saved.smallest_purchase_minor)
    assert saved.logo_id is not None
    page = owner.get("/office/program?saved=1").text
    assert 'value="Torni Club"' in page
    assert 'value="3.50"' in page
    assert f"/picture/{saved.logo_id}.png" in page
    assert "Saved." in page


def test_a_mistake_keeps_what_was_typed_and_says_that_the_logo_must_be_chosen_again(
    shop: Shop, sign_in: SignIn
) -> None:
    before = programs.get(shop.ctx, shop.program.id)
    form = PROGRAM_FORM | {"name": "Torni & Co", "brand_color": "cmyk(1, 2)", "stamps_needed": "99"}
    answer = sign_in(Role.OWNER).post("/office/program", data=form | {"logo": logo()})
    assert 422 == answer.status_code
    for part in ('value="Torni &amp; Co"', 'value="cmyk(1, 2)"', 'id="brand_color-error"', 'id="stamps_needed-error"'):
        assert part in answer.text
    assert "choose the logo again" in answer.text
    assert before == programs.get(shop.ctx, shop.program.id)


def test_a_file_that_is_no_picture_is_said_at_the_logo(shop: Shop, sign_in: SignIn) -> None:
    data = PROGRAM_FORM | {"logo": (BytesIO(b"%PDF-1.7"), "logo.png")}
    answer = sign_in(Role.OWNER).post("/office/program", data=data)
    assert 422 == answer.status_code
    assert 'id="logo-error"' in answer.text
    assert "not a picture" in answer.text


def test_the_picture_follows_the_form_and_saves_nothing(shop: Shop, sign_in: SignIn) -> None:
    before, owner = programs.get(shop.ctx, shop.program.id), sign_in(Role.OWNER)
    typed = PROGRAM_FORM | {"name": "<b>New</b>", "brand_color": "#fd3", "theme": "light", "stamps_needed": "x"}
    part = owner.post("/office/program/preview", data=typed | {"preview_state": "reward"})
    assert 200 == part.status_code
    assert "<html" not in part.text
    assert "&lt;b&gt;New&lt;/b&gt;" in part.text
    assert 'data-background="#ffffff"' in part.text
    assert 'data-brand="#ffdd33"' in part.text
    assert "pale on a white card" in part.text
    assert "1 × Free coffee" in part.text
    assert before == programs.get(shop.ctx, shop.program.id)


def test_the_picture_speaks_the_programme_s_language_and_direction(sign_in: SignIn) -> None:
    part = sign_in(Role.OWNER).post("/office/program/preview", data=PROGRAM_FORM | {"language": "fa"}).text
    assert 'lang="fa" dir="rtl"' in part
    assert "۱۰" in part


def test_members_with_stamps_are_mentioned_where_the_number_is_changed(shop: Shop, sign_in: SignIn) -> None:
    till.give_stamps(shop.ctx, shop.cashier, shop.member().card_code)
    assert "1 member has stamps now" in sign_in(Role.OWNER).get("/office/program").text


def test_a_location_is_added_changed_and_closed(shop: Shop, sign_in: SignIn) -> None:
    manager = sign_in(Role.MANAGER)
    form = {"name": "Torni", "address": "Yrjönkatu 26", "latitude": "60,1679", "longitude": "24.9384"}
    for _ in range(2):
        assert "/office/locations?saved=1" == where_to(manager.post("/office/locations/new", data=form))
    (made,) = (place for place in programs.locations(shop.ctx, shop.program.id) if place.name == "Torni")
    address = f"/office/locations/{made.id}"
    assert 'value="60.1679"' in manager.get(address).text
    where_to(manager.post(address, data=form))
    assert not programs.location(shop.ctx, shop.owner, made.id).active
    where_to(manager.post(address, data=form | {"active": "on"}))
    assert programs.location(shop.ctx, shop.owner, made.id).active
    wrong = manager.post("/office/locations/new", data={"name": "Half", "latitude": "60"})
    assert 422 == wrong.status_code
    assert "both coordinates, or neither" in wrong.text
    assert "۶۰٫۱۶۷۹۰" in manager.get("/office/locations?lang=fa").text.replace(".", "٫")


def test_an_owner_hires_a_cashier_who_can_sign_in_until_dismissed(shop: Shop, sign_in: SignIn, app: Flask) -> None:
    owner = sign_in(Role.OWNER)
    form = {"name": "Eve", "login": "Eve", "password": PASSWORD, "role": "cashier", "language": "fi"}
    where_to(owner.post("/office/staff/new", data=form))
    eve = app.test_client()
    assert "/till" == eve.post("/staff/sign-in", data={"login": "eve", "password": PASSWORD}).location
    (hired,) = (person for person in staff.every(shop.ctx, shop.program.id) if person.login == "eve")
    where_to(owner.post(f"/office/staff/{hired.id}", data=form | {"password": ""}))
    assert "/staff/sign-in" in eve.get("/staff/password").location


def test_a_password_is_never_sent_back(sign_in: SignIn) -> None:
    form = {"name": "", "login": "eve", "password": "tulips in a window", "role": "cashier", "language": "fi"}
    answer = sign_in(Role.OWNER).post("/office/staff/new", data=form)
    assert 422 == answer.status_code
    assert "tulips" not in answer.text


def test_the_last_owner_is_told_so(shop: Shop, sign_in: SignIn) -> None:
    alice = shop.people[Role.OWNER]
    form = {"name": "Alice", "login": "alice", "password": "", "role": "manager", "language": "en", "active": "on"}
    answer = sign_in(Role.OWNER).post(f"/office/staff/{alice.id}", data=form)
    assert 422 == answer.status_code
    assert "make somebody else an owner first" in answer.text


def test_an_owner_with_a_new_password_stays_signed_in_here_only(shop: Shop, sign_in: SignIn) -> None:
    here, elsewhere = sign_in(Role.OWNER), sign_in(Role.OWNER)
    form = {"name": "Alice", "login": "alice", "password": "tulips in a window", "role": "owner", "language": "en"}
    where_to(here.post(f"/office/staff/{shop.people[Role.OWNER].id}", data=form | {"active": "on"}))
    assert (200, 302) == (here.get("/office").status_code, elsewhere.get("/office").status_code)


def test_a_manager_neither_sees_nor_saves_the_form_of_an_owner(shop: Shop, sign_in: SignIn) -> None:
    manager = sign_in(Role.MANAGER)
    for role in (Role.OWNER, Role.MANAGER):
        address = f"/office/staff/{shop.people[role].id}"
        assert (403, 403) == (manager.get(address).status_code, manager.post(address, data={}).status_code)
        assert address not in manager.get("/office/staff").text
    form = {"name": "Eve", "login": "eve", "password": PASSWORD, "role": "owner", "language": "en"}
    assert 403 == manager.post("/office/staff/new", data=form).status_code


def test_everybody_changes_their_own_password(shop: Shop, sign_in: SignIn) -> None:
    here, elsewhere = sign_in(Role.CASHIER), sign_in(Role.CASHIER)
    form = {"current": PASSWORD, "new": "tulips in a window", "again": "tulips in a window"}
    wrong = here.post("/staff/password", data=form | {"current": "a guess"})
    assert 422 == wrong.status_code
    assert "not your present password" in wrong.text
    where_to(here.post("/staff/password", data=form))
    assert (200, 302) == (here.get("/staff/password").status_code, elsewhere.get("/staff/password").status_code)


def test_a_key_is_shown_once_and_can_be_ended(shop: Shop, sign_in: SignIn) -> None:
    owner = sign_in(Role.OWNER)
    page = owner.post("/office/keys", data={"name": "Web shop", "key": "once"}).text
    (secret,) = re.findall(r'value="(leima_[^"]+)"', page)
    made = api_keys.actor_of(shop.ctx, secret).api_key_id
    assert secret not in owner.get("/office/keys").text
    assert "/office/keys?revoked=1" == where_to(owner.post(f"/office/keys/{made}/revoke"))
    (ended,) = (key for key in api_keys.every(shop.ctx, shop.program.id) if key.id == made)
    assert ended.revoked_at is not None
    assert 422 == owner.post("/office/keys", data={"name": ""}).status_code


def test_members_are_searched_without_their_numbers_in_the_address(shop: Shop, sign_in: SignIn) -> None:
    shop.member(7, name="Aino")
    shop.member(8, name="Bob")
    answer = sign_in(Role.MANAGER).post("/office/members", data={"text": "040 123 0007"})
    assert 200 == answer.status_code
    assert "Aino" in answer.text
    assert "Bob" not in answer.text
    assert "Nobody was found" in sign_in(Role.MANAGER).post("/office/members", data={"text": "Zorro"}).text


def test_more_members_come_page_by_page(shop: Shop, sign_in: SignIn) -> None:
    for number in range(32):
        shop.member(number, name=f"Guest {number:02}")
    manager = sign_in(Role.MANAGER)
    first = manager.get("/office/members").text
    (after,) = re.findall(r'name="after" value="([^"]+)"', first)
    second = manager.post("/office/members", data={"after": after}).text
    shown = [re.findall(r"Guest \d\d", page) for page in (first, second)]
    assert ([f"Guest {n:02}" for n in range(31, 1, -1)], ["Guest 01", "Guest 00"]) == tuple(shown)
    assert 200 == manager.post("/office/members", data={"after": "nonsense"}).status_code


def test_a_marketer_never_sees_numbers_codes_or_links(shop: Shop, sign_in: SignIn) -> None:
    member = shop.member(7, name="Aino")
    marketer = sign_in(Role.MARKETER)
    pages = [
        marketer.get("/office/members").text,
        marketer.get(f"/office/members/{member.id}").text,
        marketer.post("/office/members", data={"text": "1230007"}).text,
    ]
    digits = [re.sub(r"\D", "", re.sub(r"<[^>]*>", "", page)) for page in pages]
    assert [False] * 3 == ["1230007" in page.replace('value="1230007"', "").replace("“1230007”", "") for page in pages]
    assert "401230007" not in digits[1]
    assert "/c/" not in pages[1]
    assert member.card_code[:4] not in pages[1]
    assert "Aino" not in pages[2]


def test_a_member_s_page_tells_the_history(shop: Shop, sign_in: SignIn) -> None:
    member = shop.member(7, name="Aino <3", via="poster")
    till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=3, amount_minor=1250, receipt_no="R-77")
    slip, _ = till.give_stamps(shop.ctx, shop.cashier, member.card_code)
    till.undo(shop.ctx, shop.cashier, slip["entry_id"])  # type: ignore[arg-type]
    page = sign_in(Role.MANAGER).get(f"/office/members/{member.id}").text
    for part in ("Aino &lt;3", "3 of 10", "€12.50", "Receipt R-77", "Charlie", "Undone", "poster", "040 1230007"):
        assert part in page
    assert members.card_url(shop.ctx, member) in page


def test_a_card_is_blocked_and_unblocked(shop: Shop, sign_in: SignIn) -> None:
    member = shop.member()
    manager = sign_in(Role.MANAGER)
    address = f"/office/members/{member.id}"

    def status() -> MemberStatus:
        return members.by_id(shop.ctx, shop.owner, member.id).status

    for _ in range(2):
        assert address == where_to(manager.post(f"{address}/block"))
        assert MemberStatus.BLOCKED is status()
    where_to(manager.post(f"{address}/unblock"))
    assert MemberStatus.ACTIVE is status()
    members.set_status(shop.ctx, shop.owner, member.id, MemberStatus.LEFT)
    for act in ("block", "unblock"):
        where_to(manager.post(f"{address}/{act}"))
        assert MemberStatus.LEFT is status()
    assert 403 == sign_in(Role.MARKETER).post(f"{address}/block").status_code


def test_what_belongs_to_another_programme_is_not_there(shop: Shop, sign_in: SignIn) -> None:
    other = open_shop(shop.ctx, "torni")
    owner = sign_in(Role.OWNER)
    theirs = [
        f"/office/locations/{other.location.id}",
        f"/office/staff/{other.people[Role.CASHIER].id}",
        f"/office/members/{other.member().id}",
    ]
    for address in [*theirs, f"/office/locations/{uuid4()}", f"/office/members/{uuid4()}", "/office/staff/1"]:
        assert 404 == owner.get(address).status_code
    for address in [
        *theirs[:2],
        f"{theirs[2]}/block",
        f"{theirs[2]}/unblock",
        f"/office/keys/{other.api.api_key_id}/revoke",
    ]:
        assert 404 == owner.post(address, data={"name": "Mine"}).status_code


def test_no_form_works_without_its_token(shop: Shop, sign_in: SignIn, app: Flask) -> None:
    owner = sign_in(Role.OWNER)
    app.config["WTF_CSRF_ENABLED"] = True
    for address in ("/office/program", "/office/locations/new", "/office/staff/new", "/office/keys", "/staff/password"):
        assert 400 == owner.post(address, data=PROGRAM_FORM).status_code


@pytest.mark.parametrize("page", PAGES)
def test_no_page_needs_what_its_policy_forbids(sign_in: SignIn, page: str) -> None:
    html = sign_in(Role.OWNER).get(page).text
    assert [] == re.findall(r"\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|(?:src|href)=\"https?:", html)
