"""Spending over the API: with the card or a code that was sent to the phone, never by a phone number alone."""

import re
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db.credit import Credit
from app.db.messages import SmsMessage
from app.services import api_keys, members, old_cards, sms_sending
from app.services.views import MemberView
from tests.factories import Shop, open_shop
from tests.integration import code_shop
from tests.integration.api_till import Till, refusal


class Spender(Till):
    """A till that also spends."""

    def send_code(self, member_id: object) -> TestResponse:
        path = "/api/v1/members/{id}/one-time-code"
        return self.call("POST", path.replace("{id}", str(member_id)), path)

    def confirm(self, member_id: object, **body: object) -> TestResponse:
        path = "/api/v1/members/{id}/proof"
        return self.call("POST", path.replace("{id}", str(member_id)), path, json=body)

    def use_credit(self, member_id: object, key: str | None = None, **body: object) -> TestResponse:
        path = "/api/v1/members/{id}/credit/redeem"
        headers = {"Idempotency-Key": key or str(uuid4())}
        return self.call("POST", path.replace("{id}", str(member_id)), path, json=body, headers=headers)


@pytest.fixture
def till(app: Flask, shop: Shop) -> Spender:
    return Spender(app, shop.api_key, shop.ctx.settings.base_url)


@pytest.fixture
def member(shop: Shop) -> MemberView:
    """A member with a reward and 12.50 of credit."""
    made = shop.member(7, name="Aino")
    code_shop.give(shop.ctx, shop, made.id, 1250)
    return made


def sent_code(shop: Shop) -> str:
    with shop.ctx.sessions() as session:
        newest = select(SmsMessage).where(SmsMessage.template == "one_time").order_by(SmsMessage.id.desc())
        message = session.scalars(newest).first()
        assert message
        return re.findall(r"\b\d{6}\b", sms_sending.body_of(shop.ctx, session, message))[0]


def left(shop: Shop, member: MemberView) -> int:
    with shop.ctx.sessions() as session:
        return sum(session.scalars(select(Credit.balance_minor).where(Credit.member_id == member.id)))


def reward_of(till: Spender, member: MemberView) -> str:
    return str(till.stamps(phone=member.phone, count=10).json["issued"][0]["id"])


def test_nothing_that_is_answered_to_a_phone_number_is_as_good_as_the_card(
    till: Spender, shop: Shop, member: MemberView
) -> None:
    joined = till.join(phone=member.phone)
    stamped = till.stamps(phone=member.phone)
    undone = till.undo(stamped.json["entry_id"])
    bought = till.purchase(phone=member.phone, amount_minor=500)

    assert [200, 200, 200, 201] == [answer.status_code for answer in (joined, stamped, undone, bought)]
    token = members.card_token(shop.ctx, member)
    for answer in (joined, stamped, undone, bought):
        assert member.card_code not in answer.text
        assert token not in answer.text
        assert answer.json.get("card_code") is None
    assert (None, None) == (joined.json["proof"], joined.json["card_url"])


def test_who_sends_the_card_code_is_told_it_again(till: Spender, member: MemberView) -> None:
    assert member.card_code == till.stamps(card_code=member.card_code).json["card_code"]


def test_a_reward_needs_proof_or_card(till: Spender, shop: Shop, member: MemberView) -> None:
    reward = reward_of(till, member)
    other = shop.member(8)

    assert (403, "proof-needed") == refusal(till.redeem(reward))
    assert (403, "proof-needed") == refusal(till.redeem(reward, json={"location": "Kulma"}))
    for wrong in (
        {"proof": "x"},
        {"card_code": other.card_code},
        {"proof": till.member(other.card_code).json["proof"]},
    ):
        assert (403, "proof-not-valid") == refusal(till.redeem(reward, json=wrong))
    assert 1 == len(till.member(member.card_code).json["rewards"])

    assert 200 == till.redeem(reward, json={"card_code": member.card_code}).status_code


def test_another_keys_proof_is_worth_nothing(app: Flask, till: Spender, shop: Shop, member: MemberView) -> None:
    reward = reward_of(till, member)
    _, secret = api_keys.create(shop.ctx, shop.owner, {"name": "Till 2"})
    second = Spender(app, secret, shop.ctx.settings.base_url)

    proof = second.member(member.card_code).json["proof"]

    assert (403, "proof-not-valid") == refusal(till.redeem(reward, json={"proof": proof}))


def test_a_scanned_old_card_is_found_and_lets_its_member_spend(till: Spender, shop: Shop, member: MemberView) -> None:
    old_cards.add(shop.ctx, shop.owner, member.id, "K-00417")
    reward = reward_of(till, member)

    shown = till.member("K-00417").json

    assert (str(member.id), 1250) == (shown["id"], shown["credits"][0]["balance_minor"])
    assert 200 == till.redeem(reward, json={"proof": shown["proof"]}).status_code


def test_an_old_card_that_is_the_phone_number_tells_nothing_of_the_card(
    till: Spender, shop: Shop, member: MemberView
) -> None:
    old_cards.add(shop.ctx, shop.owner, member.id, "0401230007")
    shown = till.member("0401230007")
    assert (None, None, None) == tuple(shown.json[name] for name in ("proof", "card_code", "card_url"))
    assert member.card_code not in shown.text


def test_a_one_time_code_lets_a_caller_spend(till: Spender, shop: Shop, member: MemberView) -> None:
    reward = reward_of(till, member)
    assert 200 == till.send_code(member.id).status_code
    code = sent_code(shop)

    wrong = till.confirm(member.id, one_time_code=f"{(int(code) + 1) % 10**6:06d}")
    assert (422, "one-time-code-wrong") == refusal(wrong)
    assert "Tries left: 4." in wrong.json["detail"]
    given = till.confirm(member.id, one_time_code=code)
    assert (409, "one-time-code-over") == refusal(till.confirm(member.id, one_time_code=code))

    assert 200 == till.redeem(reward, json={"proof": given.json["proof"]}).status_code
    assert 200 == till.use_credit(member.id, amount_minor=800, proof=given.json["proof"]).status_code


def test_codes_are_not_sent_in_a_row(till: Spender, member: MemberView) -> None:
    till.send_code(member.id)
    again = till.send_code(member.id)
    assert (429, "too-many-tries") == refusal(again)
    assert "Retry-After" in again.headers


def test_credit_is_used_as_far_as_it_goes_and_once_for_a_key(till: Spender, shop: Shop, member: MemberView) -> None:
    proof = till.member(member.card_code).json["proof"]

    first = till.use_credit(member.id, key="a", amount_minor=800, proof=proof, receipt_no="R-17")
    again = till.use_credit(member.id, key="a", amount_minor=800, proof=proof, receipt_no="R-17")
    assert (800, 450, 0) == tuple(first.json[name] for name in ("redeemed_minor", "left_minor", "lapsed_minor"))
    assert first.data == again.data
    assert "true" == again.headers["Idempotency-Replayed"]
    assert 450 == left(shop, member)
    other = till.use_credit(member.id, key="a", amount_minor=801, proof=proof, receipt_no="R-17")
    assert (409, "idempotency-key-reused") == refusal(other)

    rest = till.use_credit(member.id, amount_minor=10_000, card_code=member.card_code)
    assert (450, 0, None) == tuple(rest.json[name] for name in ("redeemed_minor", "left_minor", "expires_at"))
    assert (409, "no-credit") == refusal(till.use_credit(member.id, amount_minor=1, proof=proof))


def test_credit_is_not_used_by_a_number_alone(till: Spender, shop: Shop, member: MemberView) -> None:
    assert (403, "proof-needed") == refusal(till.use_credit(member.id, amount_minor=800))
    assert (403, "proof-not-valid") == refusal(till.use_credit(member.id, amount_minor=800, proof="x"))
    assert 1250 == left(shop, member)


@pytest.mark.parametrize("amount", [0, -1, 10**12 + 1, "8", 8.5, None])
def test_a_bill_that_cannot_be_right_is_told_at_its_field(till: Spender, member: MemberView, amount: object) -> None:
    answer = till.use_credit(member.id, amount_minor=amount, card_code=member.card_code)
    assert (422, "invalid-fields") == refusal(answer)
    assert ["amount_minor"] == list(answer.json["errors"])


def test_strangers_of_another_programme_are_nobody(app: Flask, shop: Shop, member: MemberView) -> None:
    elsewhere = open_shop(shop.ctx, "muualla")
    stranger = Spender(app, elsewhere.api_key, shop.ctx.settings.base_url)
    for answer in (
        stranger.send_code(member.id),
        stranger.confirm(member.id, one_time_code="000000"),
        stranger.use_credit(member.id, amount_minor=800, card_code=member.card_code),
        stranger.send_code(UUID(int=0)),
    ):
        assert (404, "member-not-found") == refusal(answer)
    assert 1250 == left(shop, member)
