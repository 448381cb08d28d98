"""Staff and keys: who may sign in, who may change whom, and that a changed mind is heard at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.db.people import Role
from app.services import api_keys, staff
from app.services.context import Actor
from app.services.errors import InvalidForm, Refused
from app.services.views import StaffView
from tests.factories import PASSWORD, Shop, open_shop

NEW = {"name": "Eve", "login": "eve", "password": PASSWORD, "role": "cashier", "language": "fa"}


def as_typed(person: StaffView, **changes: str) -> dict[str, str]:
    form = {"name": person.name, "login": person.login, "role": person.role.value, "language": person.language}
    return form | {"location_id": str(person.location_id or ""), "active": "on"} | changes


def signs_in(shop: Shop, login: str, password: str = PASSWORD) -> bool:
    try:
        return staff.sign_in(shop.ctx, login, password, "192.0.2.1").active
    except Refused as refused:
        return refused.kind != "wrong-login"


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("name", ""),
        ("name", "x" * 61),
        ("login", ""),
        ("login", "a"),
        ("login", "has spaces"),
        ("login", "quote'"),
        ("login", "x" * 61),
        ("role", "king"),
        ("language", "xx"),
        ("password", ""),
        ("password", "short"),
        ("password", "x" * 1001),
    ],
)
def test_what_cannot_be_right_is_said_at_its_own_field(shop: Shop, field: str, typed: str) -> None:
    with pytest.raises(InvalidForm) as invalid:
        staff.save(shop.ctx, shop.owner, NEW | {field: typed})
    assert [field] == list(invalid.value.errors)


def test_capital_letters_make_no_other_login(shop: Shop) -> None:
    staff.save(shop.ctx, shop.owner, NEW | {"login": "Straße"})
    assert signs_in(shop, " STRASSE ")
    with pytest.raises(InvalidForm) as invalid:
        staff.save(shop.ctx, shop.owner, NEW | {"name": "Another", "login": "STRASSE"})
    assert ["login"] == list(invalid.value.errors)


def test_a_login_is_unique_across_programmes(shop: Shop) -> None:
    other = open_shop(shop.ctx, "torni")
    with pytest.raises(InvalidForm):
        staff.save(shop.ctx, other.owner, NEW | {"login": "alice"})


def test_two_programmes_never_get_the_same_login_in_the_same_instant(shop: Shop) -> None:
    owners = [shop.owner, open_shop(shop.ctx, "torni").owner]

    def hire(owner: Actor) -> list[str]:
        try:
            staff.save(shop.ctx, owner, NEW)
        except InvalidForm as invalid:
            return list(invalid.errors)
        return []

    with ThreadPoolExecutor(2) as tills:
        assert [[], ["login"]] == sorted(tills.map(hire, owners))


def test_a_double_click_hires_one_person(shop: Shop) -> None:
    first = staff.save(shop.ctx, shop.owner, NEW)
    assert first == staff.save(shop.ctx, shop.owner, NEW)
    with pytest.raises(InvalidForm):
        staff.save(shop.ctx, shop.owner, NEW | {"password": "another password"})


def test_an_empty_password_keeps_the_old_one_and_the_session(shop: Shop) -> None:
    charlie = shop.people[Role.CASHIER]
    saved = staff.save(shop.ctx, shop.owner, as_typed(charlie, name="Charles", password=""), charlie.id)
    assert charlie.session_version == saved.session_version
    assert signs_in(shop, "charlie")


@pytest.mark.parametrize("change", [{"password": "a new password"}, {"role": "marketer"}, {"active": "off"}])
def test_a_new_password_role_or_end_signs_out_at_once(shop: Shop, change: dict[str, str]) -> None:
    charlie = shop.people[Role.CASHIER]
    staff.save(shop.ctx, shop.owner, as_typed(charlie, **change), charlie.id)
    assert staff.by_session(shop.ctx, charlie.id, charlie.session_version) is None


def test_who_left_cannot_sign_in_until_taken_back(shop: Shop) -> None:
    charlie = shop.people[Role.CASHIER]
    staff.save(shop.ctx, shop.owner, as_typed(charlie, active="off"), charlie.id)
    assert not signs_in(shop, "charlie")
    staff.save(shop.ctx, shop.owner, as_typed(charlie), charlie.id)
    assert signs_in(shop, "charlie")


@pytest.mark.parametrize("change", [{"role": "manager"}, {"active": "off"}])
def test_the_last_owner_stays_one(shop: Shop, change: dict[str, str]) -> None:
    alice = shop.people[Role.OWNER]
    with pytest.raises(Refused) as refused:
        staff.save(shop.ctx, shop.owner, as_typed(alice, **change), alice.id)
    assert "last-owner" == refused.value.kind
    staff.save(shop.ctx, shop.owner, NEW | {"role": "owner"})
    staff.save(shop.ctx, shop.owner, as_typed(alice, **change), alice.id)
    remaining = [p.name for p in staff.every(shop.ctx, shop.program.id) if p.role is Role.OWNER and p.active]
    assert ["Eve"] == remaining


def test_a_manager_hires_and_changes_cashiers_and_marketers_only(shop: Shop) -> None:
    mary, charlie = shop.actor(Role.MANAGER), shop.people[Role.CASHIER]
    staff.save(shop.ctx, mary, NEW | {"role": "marketer"})
    staff.save(shop.ctx, mary, as_typed(charlie, name="Charles"), charlie.id)
    alice = shop.people[Role.OWNER]
    for form, staff_id in (
        (NEW | {"login": "eve2", "role": "owner"}, None),
        (NEW | {"login": "eve2", "role": "manager"}, None),
        (as_typed(charlie, role="owner"), charlie.id),
        (as_typed(alice, role="cashier"), alice.id),
        (as_typed(alice, password="a password of mine"), alice.id),
        (as_typed(shop.people[Role.MANAGER], role="owner"), shop.people[Role.MANAGER].id),
    ):
        with pytest.raises(Refused) as refused:
            staff.save(shop.ctx, mary, form, staff_id)
        assert ("not-allowed", 403) == (refused.value.kind, refused.value.status)


def test_cashiers_marketers_and_keys_hire_nobody(shop: Shop) -> None:
    for actor in (shop.cashier, shop.actor(Role.MARKETER), shop.api):
        with pytest.raises(Refused) as refused:
            staff.save(shop.ctx, actor, NEW)
        assert "not-allowed" == refused.value.kind


def test_another_programme_s_staff_cannot_be_seen_or_changed(shop: Shop) -> None:
    other = open_shop(shop.ctx, "torni")
    stranger = other.people[Role.CASHIER]
    for attempt in (
        lambda: staff.get(shop.ctx, shop.owner, stranger.id),
        lambda: staff.save(shop.ctx, shop.owner, as_typed(stranger), stranger.id),
    ):
        with pytest.raises(Refused) as refused:
            attempt()
        assert 404 == refused.value.status


def test_another_programme_s_location_is_nobody_s_till(shop: Shop) -> None:
    other = open_shop(shop.ctx, "torni")
    for typed in (str(other.location.id), "not an id"):
        with pytest.raises(InvalidForm) as refused:
            staff.save(shop.ctx, shop.owner, NEW | {"location_id": typed})
        assert "location-not-found" == refused.value.errors["location_id"].kind


def test_an_own_password_is_changed_with_the_present_one(shop: Shop) -> None:
    charlie = shop.people[Role.CASHIER]
    form = {"current": PASSWORD, "new": "tulips in a window", "again": "tulips in a window"}
    for wrong, field in (
        ({"current": "guess"}, "current"),
        ({"new": "short", "again": "short"}, "new"),
        ({"again": "tulips in a widow"}, "again"),
    ):
        with pytest.raises(InvalidForm) as invalid:
            staff.change_password(shop.ctx, shop.cashier, form | wrong)
        assert [field] == list(invalid.value.errors)
    changed = staff.change_password(shop.ctx, shop.cashier, form)
    assert staff.by_session(shop.ctx, charlie.id, charlie.session_version) is None
    assert changed == staff.by_session(shop.ctx, charlie.id, changed.session_version)
    assert signs_in(shop, "charlie", "tulips in a window")
    assert not signs_in(shop, "charlie")


def test_the_present_password_cannot_be_guessed_without_end(shop: Shop) -> None:
    form = {"current": "guess", "new": "tulips in a window", "again": "tulips in a window"}
    for _ in range(10):
        with pytest.raises(InvalidForm):
            staff.change_password(shop.ctx, shop.cashier, form)
    with pytest.raises(Refused) as refused:
        staff.change_password(shop.ctx, shop.cashier, form | {"current": PASSWORD})
    assert "too-many-tries" == refused.value.kind


def test_nobody_has_no_password_to_change(shop: Shop) -> None:
    with pytest.raises(Refused) as refused:
        staff.change_password(shop.ctx, Actor(shop.program.id), {"current": PASSWORD})
    assert "unauthorized" == refused.value.kind


def test_a_key_opens_the_api_until_it_is_ended(shop: Shop) -> None:
    made, secret = api_keys.create(shop.ctx, shop.owner, {"name": "Shop", "location_id": str(shop.location.id)})
    actor = api_keys.actor_of(shop.ctx, secret)
    assert (shop.program.id, made.id, shop.location.id) == (actor.program_id, actor.api_key_id, actor.location_id)
    assert secret.endswith(made.hint)
    for _ in range(2):
        api_keys.revoke(shop.ctx, shop.owner, made.id)
        with pytest.raises(Refused) as refused:
            api_keys.actor_of(shop.ctx, secret)
        assert 401 == refused.value.status


def test_a_double_click_makes_and_shows_one_key(shop: Shop) -> None:
    form = {"name": "Web shop", "key": "once"}
    assert api_keys.create(shop.ctx, shop.owner, form) == api_keys.create(shop.ctx, shop.owner, form)
    _, another = api_keys.create(shop.ctx, shop.owner, form | {"key": "twice"})
    _, third = api_keys.create(shop.ctx, shop.owner, {"name": "Web shop"})
    assert 4 == len(api_keys.every(shop.ctx, shop.program.id))
    assert another != third


def test_another_programme_s_key_cannot_be_ended(shop: Shop) -> None:
    other = open_shop(shop.ctx, "torni")
    assert other.api.api_key_id is not None
    with pytest.raises(Refused) as refused:
        api_keys.revoke(shop.ctx, shop.owner, other.api.api_key_id)
    assert 404 == refused.value.status
    with pytest.raises(InvalidForm):
        api_keys.create(shop.ctx, shop.owner, {"name": " "})
