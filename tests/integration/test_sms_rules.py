"""The rules of a programme's SMS: reading them, changing them, and who may learn of it."""

from collections.abc import Callable, Iterator
from datetime import time
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.cli.doctor_delivery import sms_spending as looked_at
from app.db.ledger import AuditEntry
from app.db.people import Role
from app.i18n import translator
from app.services import sms_rules, sms_spending
from app.services.context import Context
from app.services.errors import InvalidForm
from app.web.factory import create_app
from sms.phones import country_of
from tests.factories import PASSWORD, Shop
from tests.integration.sms_shop import SmsShop, open_sms_shop
from tests.integration.test_sms_caps import queued, rule

SignIn = Callable[[Role], FlaskClient]
FORM = {
    "part_price": "0.0745",
    "daily_cap": "5",
    "number_daily_cap": "10",
    "quiet_from": "20:30",
    "quiet_until": "09:00",
    "country_FI": "on",
    "price_FI": "",
    "country_SE": "on",
    "price_SE": "0.05",
}
ADDRESS = "/office/sms-rules"


@pytest.fixture
def desk(ctx: Context, shop: Shop, tmp_path: Path) -> Iterator[SmsShop]:
    with open_sms_shop(ctx, shop, tmp_path) as made:
        yield made


@pytest.fixture
def office(desk: SmsShop) -> SignIn:
    app = create_app(desk.ctx)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)

    def signed_in(role: Role) -> FlaskClient:
        browser = app.test_client()
        browser.post("/staff/sign-in", data={"login": desk.shop.people[role].login, "password": PASSWORD})
        return browser

    return signed_in


def test_what_is_saved_is_what_holds_and_what_the_form_shows(desk: SmsShop) -> None:
    saved = sms_rules.save(desk.ctx, desk.shop.owner, FORM)
    assert (74_500, {"SE": 50_000}, 500, 10, ("FI", "SE"), time(20, 30), time(9)) == (
        saved.part_price_micro,
        saved.country_prices_micro,
        saved.daily_cap_minor,
        saved.number_daily_cap,
        saved.countries,
        saved.quiet.start,
        saved.quiet.end,
    )
    assert 5_000_000 == saved.daily_cap_micro
    assert FORM | {"daily_cap": "5.00"} == sms_rules.as_typed(saved)
    with desk.ctx.sessions() as session:
        assert "sms-rules.changed" in session.scalars(select(AuditEntry.action)).all()


def test_without_countries_it_is_the_programmes_own(desk: SmsShop) -> None:
    ticked = {name: value for name, value in FORM.items() if not name.startswith("country_")}
    assert ("FI",) == sms_rules.save(desk.ctx, desk.shop.owner, ticked).countries


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("part_price", "seven"),
        ("part_price", "0.0000001"),
        ("price_SE", "-1"),
        ("daily_cap", "1,000"),
        ("number_daily_cap", "0"),
        ("quiet_from", "25:00"),
        ("quiet_until", ""),
        ("add_country", "XX"),
    ],
)
def test_what_is_typed_wrong_is_said_at_its_field(desk: SmsShop, field: str, typed: str) -> None:
    with pytest.raises(InvalidForm) as caught:
        sms_rules.save(desk.ctx, desk.shop.owner, FORM | {field: typed})
    assert {field} == caught.value.errors.keys()


def test_prices_and_times_are_read_in_any_digits(desk: SmsShop) -> None:
    saved = sms_rules.save(desk.ctx, desk.shop.owner, FORM | {"part_price": "۰٫۰۷", "quiet_from": "۲۱:۰۰"})
    assert (70_000, time(21)) == (saved.part_price_micro, saved.quiet.start)


@pytest.mark.parametrize(
    ("phone", "country"), [("+358401234567", "FI"), ("+14155552671", "US"), ("+14165550123", "CA"), ("+7001", "")]
)
def test_a_number_tells_its_country(phone: str, country: str) -> None:
    assert country == country_of(phone)


def test_a_price_has_all_its_decimals_in_every_language() -> None:
    shown = [translator(language).price(74_500, "EUR") for language in ("en", "fi", "fa")]
    assert ["€0.0745", "0,0745\xa0€", True] == [*shown[:2], "۰٫۰۷۴۵" in shown[2]]


def test_only_managers_open_the_settings(office: SignIn) -> None:
    assert [200, 200, 403] == [
        office(role).get(ADDRESS).status_code for role in (Role.OWNER, Role.MANAGER, Role.MARKETER)
    ]


def test_the_page_saves_shows_mistakes_and_keeps_what_was_typed(desk: SmsShop, office: SignIn) -> None:
    manager = office(Role.MANAGER)
    assert 303 == manager.post(ADDRESS, data=FORM).status_code
    wrong = manager.post(ADDRESS, data=FORM | {"price_SE": "much"})
    assert 422 == wrong.status_code
    assert [True] * 2 == [part in wrong.text for part in ('value="much"', "Enter the price of one part")]
    page = manager.get(ADDRESS).text
    assert [True] * 4 == [part in page for part in ('value="0.0745"', "Sweden", 'value="20:30"', "€5.00")]


def test_the_manager_sees_on_every_start_that_the_cap_is_reached(desk: SmsShop, office: SignIn) -> None:
    rule(desk, part_price="0.10", daily_cap="0.05")
    for _ in range(2):
        queued(desk)
    desk.deliver()
    manager = office(Role.MANAGER)
    for path in ("/office", "/office/messages", ADDRESS):
        assert "everything waits until tomorrow" in manager.get(path).text
    assert ["error"] == [finding.state.name.lower().replace("bad", "error") for finding in looked_at(desk.ctx)]


def test_after_an_alarm_a_manager_lets_messages_go_again(desk: SmsShop, office: SignIn) -> None:
    with desk.ctx.sessions.begin() as session:
        sms_rules.stop(session, desk.shop.program.id)
    assert "nothing goes out" in next(looked_at(desk.ctx)).text
    manager = office(Role.MANAGER)
    assert "suspects" in manager.get("/office").text
    assert 403 == office(Role.MARKETER).post(f"{ADDRESS}/resume").status_code
    assert 303 == manager.post(f"{ADDRESS}/resume").status_code
    assert not sms_spending.standing(desk.ctx, desk.shop.program.id).is_alarm
    assert [] == list(looked_at(desk.ctx))


def test_before_writing_by_hand_the_cost_is_shown_and_after_it_too(desk: SmsShop, office: SignIn) -> None:
    rule(desk, part_price="0.07")
    member = desk.shop.member(1)
    manager, page = office(Role.MANAGER), f"/office/messages/member/{member.id}"
    counted = manager.post(f"/office/messages/count?member={member.id}", data={"text": "x" * 161}).text
    assert "2 parts, €0.14" in counted
    manager.post(page, data={"text": "x" * 161, "kind": "service", "key": "one"})
    desk.deliver()
    assert "2 parts, €0.14" in manager.get(page).text


def test_nobody_writes_to_a_country_that_is_not_served(desk: SmsShop, office: SignIn) -> None:
    desk.text("Hej!", "+46701234567")
    (message,) = desk.messages("+46701234567")
    with desk.ctx.sessions.begin() as session:
        session.merge(message).program_id = desk.shop.program.id
    answer = office(Role.MANAGER).post(
        f"/office/messages/{message.id}", data={"text": "Hej", "kind": "service", "key": "one"}
    )
    assert 422 == answer.status_code
    assert "SMS do not go to this country" in answer.text
    assert [message.id] == [one.id for one in desk.messages("+46701234567")]
