"""Old cards: however a scanner, a stripe reader or a person types their number, it is the same card."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.db.people import Role
from app.services import old_cards
from app.services.errors import Refused
from tests.factories import Shop, open_shop


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("1234567890", "1234567890"),
        (" 1234-5678 90 ", "1234567890"),
        ("۱۲۳۴۵۶۷۸۹۰", "1234567890"),
        ("%B1234567890^SMITH/JOHN^2512101?", "1234567890"),
        ("%B1234567890^SMITH/JOHN^2512?;1234567890=2512?", "1234567890"),
        ("%1234567890?", "1234567890"),
        (";1234567890=25121010000?", "1234567890"),
        (";1234567890?\n", "1234567890"),
        ("ö1234567890´2512_", "1234567890"),
        ("ж1234567890=2512,", "1234567890"),
        ("ک۱۲۳۴۵۶۷۸۹۰=۲۵۱۲؟", "1234567890"),
        ("ab-12 c", "AB12C"),
        ("000123", "000123"),
        ("Anna", ""),
        ("", ""),
        ("%", ""),
        ("1" * 41, ""),
    ],
)
def test_what_is_typed_is_read_as_the_number_on_the_card(typed: str, number: str) -> None:
    assert number == old_cards.normal(typed)


def test_an_old_card_finds_its_member_until_it_is_removed(shop: Shop) -> None:
    member = shop.member()
    assert "AB123" == old_cards.add(shop.ctx, shop.owner, member.id, "ab-123")
    assert "AB123" == old_cards.add(shop.ctx, shop.owner, member.id, "AB 123")
    assert ["AB123"] == old_cards.of_member(shop.ctx, shop.owner, member.id)
    with shop.ctx.sessions() as session:
        assert member.id == old_cards.find(session, shop.program.id, "%ab123?")
    old_cards.remove(shop.ctx, shop.owner, member.id, "ab123")
    old_cards.remove(shop.ctx, shop.owner, member.id, "ab123")
    with shop.ctx.sessions() as session:
        assert old_cards.find(session, shop.program.id, "AB123") is None


def test_a_card_has_one_holder_in_a_programme_and_means_nothing_in_another(shop: Shop) -> None:
    other = open_shop(shop.ctx, slug="toinen")
    old_cards.add(shop.ctx, shop.owner, shop.member(1).id, "123")
    with pytest.raises(Refused) as refused:
        old_cards.add(shop.ctx, shop.owner, shop.member(2).id, "123")
    assert "old-card-taken" == refused.value.kind
    with shop.ctx.sessions() as session:
        assert old_cards.find(session, other.program.id, "123") is None
    with pytest.raises(Refused) as refused:
        old_cards.add(shop.ctx, other.owner, shop.member(1).id, "456")
    assert 404 == refused.value.status


def test_a_member_holds_a_sane_number_of_old_cards(shop: Shop) -> None:
    member = shop.member()
    for number in range(old_cards.MOST_PER_MEMBER):
        old_cards.add(shop.ctx, shop.owner, member.id, str(number))
    old_cards.add(shop.ctx, shop.owner, member.id, "0")
    with pytest.raises(Refused) as refused:
        old_cards.add(shop.ctx, shop.owner, member.id, "999")
    assert "too-many-old-cards" == refused.value.kind


def test_a_manager_adds_and_removes_a_card_on_the_members_page(
    shop: Shop, sign_in: Callable[[Role], FlaskClient]
) -> None:
    browser, member = sign_in(Role.MANAGER), shop.member()
    page = f"/office/members/{member.id}"
    added = browser.post(f"{page}/old-cards", data={"old_card": ";77-88?"})
    assert (303, f"{page}#old-cards") == (added.status_code, added.location)
    assert "7788" in browser.get(page).text
    wrong = browser.post(f"{page}/old-cards", data={"old_card": "none"})
    assert 422 == wrong.status_code
    assert 'aria-describedby="old_card-error"' in wrong.text
    browser.post(f"{page}/old-cards/remove", data={"number": "7788"})
    assert [] == old_cards.of_member(shop.ctx, shop.owner, member.id)


def test_only_managers_see_and_change_old_cards(shop: Shop, sign_in: Callable[[Role], FlaskClient]) -> None:
    member = shop.member()
    old_cards.add(shop.ctx, shop.owner, member.id, "998877")
    browser = sign_in(Role.MARKETER)
    assert "998877" not in browser.get(f"/office/members/{member.id}").text
    assert 403 == browser.post(f"/office/members/{member.id}/old-cards", data={"old_card": "1"}).status_code
