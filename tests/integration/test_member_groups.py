"""Groups: who is in them by hand and by file, what they cost, where they are shown, and to whom they belong."""

import csv
import io
from uuid import UUID

import pytest
from sqlalchemy import select

from app.db.ledger import AuditEntry
from app.db.people import Role
from app.i18n import translator
from app.services import cards, group_pricing, member_groups, members, programs, segments
from app.services.errors import InvalidForm, Refused
from app.services.group_pricing import Asked
from app.services.views import MemberView
from tests.factories import Shop, open_shop

EN = translator("en")


@pytest.fixture
def vip(shop: Shop) -> UUID:
    return member_groups.save(shop.ctx, shop.owner, {"name": "VIP", "details": "Free milk", "on_card": "on"})


def seen(shop: Shop, member: MemberView) -> MemberView:
    return members.by_id(shop.ctx, shop.owner, member.id)


def back_of(shop: Shop, member: MemberView) -> dict[str, object]:
    card = cards.card(shop.ctx, programs.get(shop.ctx, shop.program.id), seen(shop, member), "https://kulma.example/c")
    return {field.key: field.value for field in card.back}


def test_a_member_is_put_in_by_number_or_card_once_and_the_card_shows_it_silently(shop: Shop, vip: UUID):
    anna = shop.member(1)
    news = seen(shop, anna).news
    member_groups.add(shop.ctx, shop.owner, vip, "040 123 0001")
    member_groups.add(shop.ctx, shop.owner, vip, anna.card_code)
    assert "VIP\nFree milk" == back_of(shop, anna)["groups"]
    assert (anna.card_version + 1, news) == (seen(shop, anna).card_version, seen(shop, anna).news)
    assert [1] == [one.members for one in member_groups.every(shop.ctx, shop.owner)]


def test_taken_out_the_card_does_not_show_it_any_more(shop: Shop, vip: UUID):
    anna = shop.member(1)
    member_groups.add(shop.ctx, shop.owner, vip, anna.card_code)
    member_groups.take_out(shop.ctx, shop.owner, vip, anna.id)
    assert "groups" not in back_of(shop, anna)
    assert () == seen(shop, anna).groups


def test_a_group_that_is_not_for_the_card_stays_off_it(shop: Shop):
    quiet = member_groups.save(shop.ctx, shop.owner, {"name": "Watch", "details": "Pays late"})
    anna = shop.member(1)
    member_groups.add(shop.ctx, shop.owner, quiet, anna.card_code)
    assert "groups" not in back_of(shop, anna)
    assert anna.card_version == seen(shop, anna).card_version


def test_a_file_puts_its_members_in_and_tells_the_rest(shop: Shop, vip: UUID):
    for number in (1, 2):
        shop.member(number)
    data = b"Phone number\n0401230001\n+358 40 123 0002\n0401230002\n0409999999\nnobody\n"
    report = member_groups.add_file(shop.ctx, shop.owner, vip, data)
    assert (5, 2, 1, 1) == (report.rows, report.members, report.strangers, report.faulty)
    assert 2 == member_groups.every(shop.ctx, shop.owner)[0].members
    member_groups.add_file(shop.ctx, shop.owner, vip, data)
    assert 2 == member_groups.every(shop.ctx, shop.owner)[0].members


def test_members_are_shown_page_by_page(shop: Shop, vip: UUID, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(member_groups, "AT_A_TIME", 2)
    expected = []
    for number in range(5):
        expected.append(member_groups.add(shop.ctx, shop.owner, vip, shop.member(number).card_code))
    found: list[UUID] = []
    after = None
    for _ in range(3):
        people, after = member_groups.people(shop.ctx, shop.owner, vip, after)
        found += [one.id for one in people]
    assert (expected, None) == (found, after)


def test_the_file_of_a_group_is_a_managers_and_noted(shop: Shop, vip: UUID):
    anna = shop.member(1, name='=HYPERLINK("x")')
    member_groups.add(shop.ctx, shop.owner, vip, anna.card_code)
    with pytest.raises(Refused):
        member_groups.export(shop.ctx, shop.actor(Role.MARKETER), vip)
    text = "".join(member_groups.export(shop.ctx, shop.actor(Role.MANAGER), vip))
    assert [["phone", "name"], [anna.phone, '\'=HYPERLINK("x")']] == list(csv.reader(io.StringIO(text)))
    with shop.ctx.sessions() as session:
        assert 1 == len(session.scalars(select(AuditEntry).where(AuditEntry.action == "group.exported")).all())


def price(shop: Shop, group_id: UUID, **typed: str) -> None:
    group_pricing.add(shop.ctx, shop.owner, group_id, typed)


def test_a_member_pays_the_lowest_price_of_their_groups(shop: Shop, vip: UUID):
    locals_ = member_groups.save(shop.ctx, shop.owner, {"name": "Locals"})
    price(shop, vip, product="", kind="off", off="10")
    price(shop, vip, product="Coffee", kind="price", price="2.50")
    price(shop, locals_, product="Coffee", kind="off", off="33,33")
    anna = shop.member(1)
    for group in (vip, locals_):
        member_groups.add(shop.ctx, shop.owner, group, anna.card_code)
    answers = group_pricing.prices(shop.ctx, shop.api, anna.id, [Asked("Coffee", 300), Asked("Bun", 399), Asked("", 9)])
    assert [(201, "Locals"), (360, "VIP"), (9, "")] == [(one.price_minor, one.group) for one in answers]
    shown = "VIP\nFree milk\nEverything: 10% off\nCoffee: €2.50"
    assert shown == back_of(shop, anna)["groups"]


def test_a_price_is_replaced_and_removed(shop: Shop, vip: UUID):
    price(shop, vip, product="Coffee", kind="price", price="2.50")
    price(shop, vip, product="Coffee", kind="off", off="۱۲٫۵")
    (kept,) = member_groups.one(shop.ctx, shop.owner, vip).prices
    assert (None, 1250) == (kept.price_minor, kept.off_bp)
    group_pricing.remove(shop.ctx, shop.owner, vip, kept.id)
    assert () == member_groups.one(shop.ctx, shop.owner, vip).prices


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"kind": "off", "off": "0"}, "off"),
        ({"kind": "off", "off": "100.01"}, "off"),
        ({"kind": "off", "off": ""}, "off"),
        ({"kind": "price", "price": "3", "product": ""}, "product"),
        ({"kind": "price", "price": "", "product": "Coffee"}, "price"),
    ],
)
def test_a_price_that_cannot_be_is_told_at_its_field(shop: Shop, vip: UUID, typed: dict[str, str], field: str):
    with pytest.raises(InvalidForm) as caught:
        price(shop, vip, **typed)
    assert [field] == list(caught.value.errors)


def test_a_group_that_a_segment_asks_for_is_not_removed(shop: Shop, vip: UUID):
    form = {"name": "To VIP", "where-kind": "all", "where-0-kind": "member_group", "where-0-group_id": str(vip)}
    segment = segments.save(shop.ctx, shop.owner, form)
    with pytest.raises(Refused) as caught:
        member_groups.remove(shop.ctx, shop.owner, vip)
    assert "“To VIP” asks for this group. Change that first." == caught.value.text(EN)
    segments.remove(shop.ctx, shop.owner, segment)
    anna = shop.member(1)
    member_groups.add(shop.ctx, shop.owner, vip, anna.card_code)
    member_groups.remove(shop.ctx, shop.owner, vip)
    assert () == seen(shop, anna).groups


def test_two_groups_have_two_names(shop: Shop, vip: UUID):
    with pytest.raises(InvalidForm) as caught:
        member_groups.save(shop.ctx, shop.owner, {"name": "VIP"})
    assert ["name"] == list(caught.value.errors)


def test_another_programmes_group_is_not_there(shop: Shop, vip: UUID):
    other = open_shop(shop.ctx, "other")
    theirs, ours = other.member(1), shop.member(1)
    acts = [
        lambda: member_groups.one(shop.ctx, other.owner, vip),
        lambda: member_groups.people(shop.ctx, other.owner, vip),
        lambda: member_groups.add(shop.ctx, other.owner, vip, theirs.card_code),
        lambda: member_groups.add(shop.ctx, shop.owner, vip, theirs.card_code),
        lambda: member_groups.put(shop.ctx, shop.owner, vip, theirs.id),
        lambda: member_groups.take_out(shop.ctx, other.owner, vip, ours.id),
        lambda: member_groups.save(shop.ctx, other.owner, {"name": "Theirs"}, vip),
        lambda: member_groups.remove(shop.ctx, other.owner, vip),
        lambda: member_groups.export(shop.ctx, other.owner, vip),
        lambda: group_pricing.add(shop.ctx, other.owner, vip, {"kind": "off", "off": "5"}),
        lambda: group_pricing.prices(shop.ctx, shop.api, theirs.id, [Asked("", 100)]),
    ]
    for act in acts:
        with pytest.raises(Refused) as caught:
            act()
        assert 404 == caught.value.status
    data = b"Phone number\n0401230001\n"
    member_groups.add_file(shop.ctx, shop.owner, vip, data)
    assert [ours.id] == [one.id for one in member_groups.people(shop.ctx, shop.owner, vip)[0]]
