"""What one programme's customers carry opens nothing in another; the same number in both is two members; a chain that
shares one programme shares its balances."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app import clock
from app.db.ledger import LedgerEntry
from app.db.messages import SmsMessage
from app.db.people import Member, MemberStatus, Role
from app.services import (
    coupons,
    join_codes,
    members,
    old_cards,
    programs,
    purchases,
    referral_links,
    sms_incoming,
    till,
)
from app.services.context import Context
from app.services.errors import Refused
from app.services.purchases import PurchaseRequest
from app.services.sms_incoming import Incoming
from app.services.views import MemberView
from tests.factories import PASSWORD, Shop, open_shop
from tests.integration import code_shop, reward_shop, strangers, visit_shop
from tests.integration.referral_shop import ReferralShop
from tests.integration.strangers import MARKER

SignIn = Callable[[Role], FlaskClient]
PHONE, ELSEWHERE = "+358401230001", "+358401230007"


@dataclass(frozen=True)
class Other:
    """A second shop with a member whose name is the marker, and all that they carry: what it is → how it is typed."""

    shop: Shop
    member: MemberView
    carried: dict[str, str]


@pytest.fixture
def other(ctx: Context, shop: Shop) -> Other:
    """Both shops count visits and thank for friends, so that every way is open."""
    berta = open_shop(ctx, "berta", name=f"{MARKER} Club")
    for one in (shop, berta):
        visit_shop.count_visits(one)
        ReferralShop(one).rules()
    member = berta.member(7, name=MARKER)
    reward = reward_shop.give(berta, member, reward_shop.make_type(berta, name=f"{MARKER} cake"))
    now = clock.now()
    code = code_shop.give(ctx, berta, member.id, valid=(now - timedelta(days=1), now + timedelta(days=9))).code
    old_cards.add(ctx, berta.owner, member.id, "OLD-4711")
    till.give_stamps(ctx, berta.cashier, member.card_code)
    carried = {
        "card": member.card_code,
        "phone": ELSEWHERE,
        "credit-code": code,
        "coupon": coupons.code(ctx, reward.id, member.link_generation),
        "reward": str(reward.id),
        "referral": referral_links.code_of(ctx, member.id),
        "friends-link": referral_links.url_of(ctx, member.id),
        "old-card": "OLD-4711",
        "personal-link": f"{ctx.settings.public_url}/c/{members.card_token(ctx, member)}",
        "join-code": join_codes.create(ctx, berta.owner, {"code": "12321", "via": "sms"}).code,
    }
    return Other(berta, member, carried)


def typed_in_the_house(browser: FlaskClient, typed: str, mine: MemberView, key: str) -> Iterator[TestResponse]:
    """At the till, the door and the desk."""
    yield browser.post("/till/find", data={"code": typed})
    yield browser.post("/till/credit", data={"code": typed, "phone_last4": ELSEWHERE[-4:]})
    used = {"code": typed, "bill": "5", "amount": "5", "phone_last4": ELSEWHERE[-4:], "key": f"{key}-credit"}
    yield browser.post("/till/credit/use", data=used)
    yield browser.post("/till/door/visits", data={"code": typed, "key": f"{key}-door"})
    yield browser.post(f"/till/m/{mine.id}/stamps", data={"count": "1", "stamp_card": typed, "key": f"{key}-stamps"})
    yield browser.post(f"/till/m/{mine.id}/undo", data={"operation_id": typed, "key": f"{key}-undo"})
    yield browser.post(f"/till/m/{mine.id}/redeem", data={"reward_id": typed, "key": f"{key}-redeem"})
    yield browser.post("/office/members", data={"text": typed})


def typed_at_the_api(client: FlaskClient, shop: Shop, typed: str, key: str) -> Iterator[TestResponse]:
    headers = {"Authorization": f"Bearer {shop.api_key}"}
    yield client.get(f"/api/v1/members/{typed.replace('/', '')}", headers=headers)
    for number, (path, body) in enumerate(
        (
            ("stamps", {"card_code": typed}),
            ("stamps", {"phone": typed}),
            ("visits", {"card": typed}),
            ("visits", {"phone": typed}),
            ("purchases", {"amount_minor": 500, "card": typed}),
            ("codes/check", {"code": typed, "phone_last4": ELSEWHERE[-4:]}),
            ("codes/redeem", {"code": typed, "bill_minor": 500, "phone_last4": ELSEWHERE[-4:]}),
        )
    ):
        once = headers | {"Idempotency-Key": f"{key}-{number}"}
        yield client.post(f"/api/v1/{path}", json=body, headers=once)


def test_what_another_shops_customer_carries_opens_nothing_here(app: Flask, shop: Shop, other: Other, sign_in: SignIn):
    app.testing = False
    mine = shop.member(1)
    berta = strangers.side_of(shop.ctx, "berta")
    before = berta.state()
    browser, client = sign_in(Role.OWNER), app.test_client()
    for what, typed in other.carried.items():
        shop.ctx.valkey.flushdb()  # not the pace of guesses stops a stranger
        answers = [*typed_in_the_house(browser, typed, mine, what), *typed_at_the_api(client, shop, typed, what)]
        for answer in answers:
            told = f"{what} at {answer.request.method} {answer.request.path}: {answer.status_code}"
            assert answer.status_code < 500, told
            assert not strangers.leaks(answer), told
        assert before == berta.state(), what
    with shop.ctx.sessions() as session:
        ours = select(func.count()).select_from(LedgerEntry).where(LedgerEntry.program_id == shop.program.id)
        assert 0 == session.scalar(ours)
    there = app.test_client()
    there.post("/staff/sign-in", data={"login": other.shop.people[Role.CASHIER].login, "password": PASSWORD})
    found = {what: there.post("/till/find", data={"code": typed}) for what, typed in other.carried.items()}
    known = [what for what, answer in found.items() if answer.status_code < 400]
    assert ["card", "phone", "credit-code", "coupon", "old-card"] == known  # at home they open what they are for


def test_another_shops_friend_code_ties_nobody(app: Flask, shop: Shop, other: Other):
    client = app.test_client()
    before = strangers.side_of(shop.ctx, "berta").state()
    newcomer = {"phone": "0401230055", "terms": "on", "ref": other.carried["referral"]}
    newcomer |= {"referral": other.carried["referral"], "via": "friend"}
    client.post("/join/kulma", query_string={"ref": other.carried["referral"]}, data=newcomer)
    request = members.JoinRequest(phone="+358401230056", via="friend", referral=other.carried["referral"])
    members.join(shop.ctx, replace(shop.cashier, staff_id=None), request, source="web")
    assert before == strangers.side_of(shop.ctx, "berta").state()


def test_a_texted_join_code_joins_its_own_shop_alone(shop: Shop, other: Other):
    mine = strangers.side_of(shop.ctx, "kulma").state()
    sms_incoming.receive(shop.ctx, Incoming("console", "SM" + "1" * 32, "+358401230066", other.carried["join-code"]))
    with shop.ctx.sessions() as session:
        joined = session.scalars(select(Member.program_id).where(Member.phone == "+358401230066")).all()
        told = session.scalars(select(SmsMessage.program_id).where(SmsMessage.phone == "+358401230066")).all()
    assert [other.shop.program.id] == joined
    assert {other.shop.program.id} == set(told)
    assert mine == strangers.side_of(shop.ctx, "kulma").state()


def test_one_number_in_two_shops_is_two_members_with_two_balances(shop: Shop, other: Other):
    ctx, berta = shop.ctx, other.shop
    here, there = shop.member(1, name="Anna"), berta.member(1)
    assert here.phone == there.phone
    assert here.card_code != there.card_code
    till.give_stamps(ctx, shop.cashier, phone=PHONE, count=3)
    purchases.record(ctx, shop.api, PurchaseRequest(500, phone=PHONE))
    till.give_stamps(ctx, berta.cashier, phone=PHONE, count=2)
    stamps = [members.by_id(ctx, one.cashier, member.id).stamps for one, member in ((shop, here), (berta, there))]
    assert [4, 2] == stamps
    members.leave(ctx, members.card_token(ctx, here))
    assert MemberStatus.ACTIVE is members.by_id(ctx, berta.cashier, there.id).status
    assert "" == members.by_id(ctx, berta.cashier, there.id).name


def test_one_idempotency_key_in_two_shops_is_two_acts(app: Flask, shop: Shop, other: Other):
    client, answers = app.test_client(), []
    for one, member in ((shop, shop.member(1)), (other.shop, other.shop.member(1))):
        headers = {"Authorization": f"Bearer {one.api_key}", "Idempotency-Key": "bill-1"}
        answers.append(client.post("/api/v1/stamps", json={"phone": member.phone}, headers=headers).get_json())
    assert answers[0]["entry_id"] != answers[1]["entry_id"]
    assert answers[0]["member_id"] != answers[1]["member_id"]


def test_staff_and_keys_of_another_shop_are_nobody_here(app: Flask, shop: Shop, other: Other):
    mine = shop.member(1, name="Anna")
    till.give_stamps(shop.ctx, shop.cashier, mine.card_code)
    before = strangers.side_of(shop.ctx, "kulma").state()
    browser = app.test_client()
    login = {"login": other.shop.people[Role.OWNER].login, "password": PASSWORD}
    assert 302 == browser.post("/staff/sign-in", data=login).status_code
    key = {"Authorization": f"Bearer {other.shop.api_key}", "Idempotency-Key": "1"}
    answers = [
        browser.get(f"/till/m/{mine.id}"),
        browser.get(f"/office/members/{mine.id}"),
        browser.post(f"/till/m/{mine.id}/stamps", data={"count": "1", "key": "1"}),
        browser.get(f"/office/staff/{shop.people[Role.CASHIER].id}"),
        app.test_client().get(f"/api/v1/members/{mine.card_code}", headers=key),
        app.test_client().post("/api/v1/stamps", json={"card_code": mine.card_code}, headers=key),
        app.test_client().post("/api/v1/purchases", json={"amount_minor": 1, "member_id": str(mine.id)}, headers=key),
    ]
    assert [404] * len(answers) == [answer.status_code for answer in answers]
    assert before == strangers.side_of(shop.ctx, "kulma").state()


def test_a_chain_shares_one_balance_over_its_locations(shop: Shop):
    ctx = shop.ctx
    harbour = programs.save_location(ctx, shop.owner, {"name": "Harbour", "address": "Quay 1, Helsinki"})
    at_kulma, at_harbour = shop.cashier, replace(shop.cashier, location_id=harbour.id)
    anna = shop.member(1)
    till.give_stamps(ctx, at_kulma, anna.card_code, count=6)
    answer, _ = till.give_stamps(ctx, at_harbour, anna.card_code, count=4)
    reward = answer["issued"][0]["id"]
    till.redeem_reward(ctx, at_kulma, reward, card_code=anna.card_code)
    with pytest.raises(Refused) as again:
        till.redeem_reward(ctx, at_harbour, reward, card_code=anna.card_code)
    now = clock.now()
    code_shop.give(ctx, shop, anna.id, 1000, valid=(now - timedelta(days=1), now + timedelta(days=9)))
    seen = members.by_id(ctx, at_harbour, anna.id)
    assert ("reward-used", 0, [1000]) == (again.value.kind, seen.stamps, [one.balance_minor for one in seen.credits])
    with ctx.sessions() as session:
        places = session.scalars(select(LedgerEntry.location_id).where(LedgerEntry.member_id == anna.id)).all()
    assert {shop.location.id, harbour.id} <= set(places)
