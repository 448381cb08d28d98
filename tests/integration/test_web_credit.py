"""Credit on the pages: given, blocked and withdrawn in the office, and seen by its member."""

import re
from datetime import date, timedelta

import pytest
from flask.testing import FlaskClient

from app import clock
from app.db.credit import CreditStatus
from app.db.people import Role
from app.services import credit_codes, credit_views, members, program_rules, staff
from app.services.views import CreditView, MemberView
from tests.factories import Shop
from tests.integration.credit_shop import RULES, credit_of, grant, group_credit, take_from_group, use

LAST = str((clock.now() + timedelta(days=30)).date())
FORM = {"key": "1", "amount": "12,50", "last_day": LAST, "reason": "Spilled coffee", "sms": "on"}


@pytest.fixture
def member(shop: Shop) -> MemberView:
    return shop.member(name="Liisa")


def page_of(member: MemberView) -> str:
    return f"/office/members/{member.id}"


def held(shop: Shop, member: MemberView) -> list[CreditView]:
    return credit_views.of_member(shop.ctx, shop.owner, member.id)


def own_page(shop: Shop, client: FlaskClient, member: MemberView) -> str:
    return client.get(f"/c/{members.card_token(shop.ctx, member)}").text


def test_a_manager_gives_credit_and_sees_it_with_the_member(sign_in, shop: Shop, member: MemberView):
    office = sign_in(Role.MANAGER)
    assert "Give credit" in office.get(f"{page_of(member)}/credit").text
    answer = office.post(f"{page_of(member)}/credit", data=FORM)
    assert (303, f"{page_of(member)}#credit-title") == (answer.status_code, answer.location)
    page = office.get(page_of(member)).text
    assert all(words in page for words in ("€12.50", "Spilled coffee", "Withdraw", "Credit given: €12.50"))


def test_a_double_click_gives_once(sign_in, shop: Shop, member: MemberView):
    office = sign_in(Role.OWNER)
    for _ in range(2):
        assert 303 == office.post(f"{page_of(member)}/credit", data=FORM).status_code
    assert 1 == len(held(shop, member))


def test_what_was_typed_stays_when_something_is_wrong(sign_in, shop: Shop, member: MemberView):
    answer = sign_in(Role.OWNER).post(f"{page_of(member)}/credit", data=FORM | {"amount": "much"})
    assert (422, []) == (answer.status_code, held(shop, member))
    assert all(words in answer.text for words in ('value="much"', "Spilled coffee", "Enter an amount such as 12.50."))


def test_a_cashier_gives_credit_only_with_the_right_and_comes_back_to_the_till(sign_in, shop: Shop, member: MemberView):
    till = sign_in(Role.CASHIER)
    seen = till.get(f"{page_of(member)}/credit"), till.post(f"{page_of(member)}/credit", data=FORM)
    assert [303, 403] == [answer.status_code for answer in seen]
    person = shop.people[Role.CASHIER]
    form = {"name": person.name, "login": person.login, "role": "cashier", "language": "en", "may_grant_credit": "on"}
    staff.save(shop.ctx, shop.owner, form, person.id)
    assert f'href="{page_of(member)}/credit"' in till.get(f"/till/m/{member.id}").text
    assert 200 == till.get(f"{page_of(member)}/credit").status_code
    answer = till.post(f"{page_of(member)}/credit", data=FORM)
    assert (303, f"/till/m/{member.id}") == (answer.status_code, answer.location)


def test_the_owner_gives_someone_the_right_with_a_tick(sign_in, shop: Shop):
    person = shop.people[Role.MARKETER]
    form = {"name": "Max", "login": person.login, "role": "marketer", "language": "en", "active": "on"}
    office = sign_in(Role.OWNER)
    rights = []
    for tick in ({"may_grant_credit": "on"}, {}):
        office.post(f"/office/staff/{person.id}", data=form | tick)
        rights.append(staff.get(shop.ctx, shop.owner, person.id).may_grant_credit)
    assert [True, False] == rights


def test_a_manager_blocks_unblocks_and_withdraws(sign_in, shop: Shop, member: MemberView):
    office, address = sign_in(Role.MANAGER), f"{page_of(member)}/credit/{grant(shop, member, last_day=LAST)}"
    seen = []
    for act in ("block", "unblock", "withdraw"):
        assert 303 == office.post(f"{address}/{act}", data={"key": act}).status_code
        seen.append(held(shop, member)[0].status)
    assert [CreditStatus.BLOCKED, CreditStatus.OPEN, CreditStatus.WITHDRAWN] == seen


def test_credit_of_which_something_was_used_is_not_withdrawn(sign_in, shop: Shop, member: MemberView):
    credit_id = grant(shop, member, last_day=LAST)
    use(shop, member, 100)
    answer = sign_in(Role.MANAGER).post(f"{page_of(member)}/credit/{credit_id}/withdraw", data={"key": "1"})
    assert (409, True) == (answer.status_code, "Some of this credit was used" in answer.text)


def test_the_member_sees_each_credit_with_its_last_day_and_no_code(shop: Shop, client: FlaskClient, member: MemberView):
    credit_id = grant(shop, member, last_day=LAST, sms="on")
    use(shop, member, 250)
    page = own_page(shop, client, member)
    code = credit_codes.code_again(shop.ctx, credit_of(shop, credit_id))
    assert all(words in page for words in ("€10.00", "Use it by", "Credit used: €2.50", "Bill €2.50"))
    assert code not in page


def test_the_member_sees_the_code_where_the_programme_wants_it(shop: Shop, client: FlaskClient, member: MemberView):
    program_rules.save(shop.ctx, shop.owner, RULES | {"code_on_card": "on"})
    credit_id = grant(shop, member, last_day=LAST)
    code = credit_codes.code_again(shop.ctx, credit_of(shop, credit_id))
    assert code in own_page(shop, client, member)


def test_the_owner_sets_the_rules(sign_in, shop: Shop):
    office = sign_in(Role.OWNER)
    page = office.get("/office/credit").text
    assert ["partial_use"] == re.findall(r'name="(\w+)" type="checkbox" value="on" checked', page)
    answer = office.post("/office/credit", data={"code_on_card": "on", "undo_hours": "24", "attach_days": "7"})
    assert 303 == answer.status_code
    assert program_rules.Rules(False, True, 24, 7) == program_rules.get(shop.ctx, shop.program.id)
    assert 422 == office.post("/office/credit", data={"undo_hours": "x", "attach_days": "7"}).status_code


def test_the_till_offers_undo_once_for_a_bill_that_took_several_credits(sign_in, shop: Shop, member: MemberView):
    for _ in range(2):
        grant(shop, member, last_day=LAST)
    operation = use(shop, member, 2000)
    page = sign_in(Role.MANAGER).get(f"/till/m/{member.id}").text
    assert [str(operation)] == re.findall(r'name="operation_id" value="([^"]+)"', page)


def test_a_tills_software_undoes_the_use_of_credit(shop: Shop, client: FlaskClient, member: MemberView):
    grant(shop, member, last_day=LAST)
    headers = {"Authorization": f"Bearer {shop.api_key}", "Idempotency-Key": "1"}
    answer = client.post(f"/api/v1/entries/{use(shop, member, 100)}/undo", headers=headers)
    told = answer.json
    assert (200, str(member.id), 0, 100, 0) == (
        answer.status_code,
        told["member_id"],
        told["stamps"],
        told["returned_minor"],
        told["lapsed_minor"],
    )


def test_a_tills_software_undoes_the_use_of_a_groups_coupon(shop: Shop, client: FlaskClient):
    operation = take_from_group(shop, group_credit(shop, last=date.fromisoformat(LAST)), 300)
    headers = {"Authorization": f"Bearer {shop.api_key}", "Idempotency-Key": "1"}
    told = client.post(f"/api/v1/entries/{operation}/undo", headers=headers).json
    assert (None, None, 300) == (told["member_id"], told["stamps"], told["returned_minor"])
