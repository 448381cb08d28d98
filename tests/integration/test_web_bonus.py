"""Bonus on pages and through the API: the office's rules, the till, the cards, and software of other makers."""

import json
import re
import zipfile
from collections.abc import Callable
from io import BytesIO
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db.bonus import BonusRate, BonusThreshold
from app.db.people import Role
from app.services import apple_passes, members
from app.services.views import MemberView
from tests.factories import Shop, open_shop
from tests.integration.api_till import Till, refusal
from tests.integration.bonus_shop import MONEY, POINTS, add_threshold, bonus_of, buy, pay, reward_type, set_bonus

SignIn = Callable[[Role], FlaskClient]


@pytest.fixture
def cashier(sign_in: SignIn) -> FlaskClient:
    return sign_in(Role.CASHIER)


@pytest.fixture
def owner(sign_in: SignIn) -> FlaskClient:
    return sign_in(Role.OWNER)


def text_of(answer: TestResponse) -> str:
    body = re.sub(r"<head>.*?</head>", "", answer.text, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def find(client: FlaskClient, text: str) -> str:
    return text_of(client.post("/till/find", data={"code": text}, follow_redirects=True))


def use(client: FlaskClient, member: MemberView, bill: str, part: str = "", key: str = "one form") -> TestResponse:
    form = {"bonus_bill": bill, "bonus_part": part, "key": key}
    return client.post(f"/till/m/{member.id}/bonus", data=form, follow_redirects=True)


class TestOffice:
    def test_an_owner_sets_the_rule_and_sees_what_it_gives(self, owner: FlaskClient) -> None:
        assert "No bonus" in text_of(owner.get("/office/bonus"))
        page = text_of(owner.post("/office/bonus", data=MONEY | {"share": "3"}, follow_redirects=True))
        assert "A purchase of €12.50 gives €0.37." in page
        page = text_of(owner.post("/office/bonus", data=POINTS, follow_redirects=True))
        assert "A purchase of €12.50 gives 12 milkshakes." in page
        page = text_of(owner.get("/office/bonus?lang=ru"))
        assert "12 коктейлей" in page

    def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(self, owner: FlaskClient) -> None:
        answer = owner.post("/office/bonus", data=MONEY | {"share": "3.333", "valid_days": "90"})
        assert 422 == answer.status_code
        assert "Enter percent from 0 to 100" in text_of(answer)
        assert 'value="3.333"' in answer.text
        assert 'value="90"' in answer.text

    def test_rates_and_thresholds_are_added_and_stopped(self, shop: Shop, owner: FlaskClient) -> None:
        set_bonus(shop)
        cake = reward_type(shop)
        rate = {"rate": "20", "name": "Happy hour", "location": str(shop.location.id), "weekday_0": "on"}
        page = text_of(owner.post("/office/bonus/rates", data=rate, follow_redirects=True))
        assert "20% Happy hour Kulma | Monday" in page
        form = {"threshold": "50", "every": "on", "reward": str(cake), "extra": "1"}
        page = text_of(owner.post("/office/bonus/thresholds", data=form, follow_redirects=True))
        assert "Each €50.00 Cake | €1.00 more" in page
        with shop.ctx.sessions() as session:
            ids = session.scalars(select(BonusRate.id)).one(), session.scalars(select(BonusThreshold.id)).one()
        owner.post(f"/office/bonus/rates/{ids[0]}", data={"active": "off"})
        page = text_of(owner.post(f"/office/bonus/thresholds/{ids[1]}", data={"active": "off"}, follow_redirects=True))
        assert 2 == page.count("Start again")

    def test_a_rate_for_all_or_below_the_usual_one_is_refused(self, shop: Shop, owner: FlaskClient) -> None:
        set_bonus(shop)
        answer = owner.post("/office/bonus/rates", data={"rate": "20"})
        assert (422, True) == (answer.status_code, "Say for whom, where or when" in text_of(answer))
        answer = owner.post("/office/bonus/rates", data={"rate": "10", "weekday_0": "on"})
        assert "The highest rate counts" in text_of(answer)
        answer = owner.post("/office/bonus/thresholds", data={"threshold": "10"})
        assert "Choose a reward, or say how much more is given." in text_of(answer)

    def test_another_programmes_places_rewards_and_rows_are_strangers(self, shop: Shop, owner: FlaskClient) -> None:
        set_bonus(shop)
        other = open_shop(shop.ctx, "muualla")
        set_bonus(other)
        answer = owner.post("/office/bonus/rates", data={"rate": "20", "location": str(other.location.id)})
        assert "Please choose one from the list." in text_of(answer)
        form = {"threshold": "10", "reward": str(reward_type(other))}
        assert "Please choose one from the list." in text_of(owner.post("/office/bonus/thresholds", data=form))
        add_threshold(other, 100, extra=1)
        with shop.ctx.sessions() as session:
            theirs = session.scalars(select(BonusThreshold.id)).one()
        assert 404 == owner.post(f"/office/bonus/thresholds/{theirs}", data={"active": "off"}).status_code

    def test_a_manager_gives_by_hand_and_a_cashier_may_not(self, shop: Shop, sign_in: SignIn) -> None:
        set_bonus(shop)
        member = shop.member(1)
        form = {"what": "give", "amount": "2.50", "reason": "Sorry", "key": "one form"}
        manager = sign_in(Role.MANAGER)
        for _ in range(2):  # a double click
            page = manager.post(f"/office/members/{member.id}/bonus", data=form, follow_redirects=True)
        assert "Bonus given: €2.50" in text_of(page)
        assert 250 == bonus_of(shop, member)
        too_much = form | {"what": "take", "amount": "3", "key": "another"}
        answer = manager.post(f"/office/members/{member.id}/bonus", data=too_much)
        assert (422, True) == (answer.status_code, "does not have so much" in text_of(answer))
        refused = sign_in(Role.CASHIER).post(f"/office/members/{member.id}/bonus", data=form | {"key": "third"})
        assert 403 == refused.status_code

    def test_insights_tell_what_was_given_and_used(self, shop: Shop, owner: FlaskClient) -> None:
        assert "Bonus given" not in text_of(owner.get("/office/insights"))
        set_bonus(shop)
        member = shop.member(1)
        buy(shop, member, 20_000, location=shop.location.name)
        pay(shop, member, 500)
        table = owner.get("/office/insights/bonus.csv").text
        assert ["20.00", "5.00"] == table.strip().splitlines()[-1].split(",")[-2:]
        assert ["20.00", "5.00"] == owner.get("/office/insights/locations.csv").text.splitlines()[1].split(",")[-2:]


class TestTill:
    def test_a_bill_is_paid_after_the_card_was_scanned(self, shop: Shop, cashier: FlaskClient) -> None:
        set_bonus(shop)
        member = shop.member(1, name="Maija")
        buy(shop, member, 10_000)
        page = find(cashier, member.card_code)
        assert "Bonus: €10.00" in page
        assert "Pay with bonus" in page
        page = text_of(use(cashier, member, "4"))
        assert "Take €4.00 off the bill" in page
        assert "Bonus left: €6.00" in page
        use(cashier, member, "4")  # the same form once more
        assert 600 == bonus_of(shop, member)
        assert "Take €1.50 off the bill" in text_of(use(cashier, member, "20", "1.50", key="part"))
        assert "Enter the amount of the bill." in text_of(use(cashier, member, "", key="empty"))

    def test_a_phone_number_alone_opens_no_payment(self, shop: Shop, cashier: FlaskClient) -> None:
        set_bonus(shop)
        member = shop.member(1)
        buy(shop, member, 10_000)
        page = find(cashier, "040 123 0001")
        assert "Send a code to the customer&#39;s phone" in page
        assert "Pay with bonus" not in page
        assert 403 == use(cashier, member, "4").status_code
        assert 1000 == bonus_of(shop, member)

    def test_an_undone_purchase_tells_what_to_take_off_the_refund(self, shop: Shop, sign_in: SignIn) -> None:
        set_bonus(shop)
        member = shop.member(1)
        bought = buy(shop, member, 10_000)
        pay(shop, member, 120)
        manager = sign_in(Role.MANAGER)
        form = {"operation_id": bought["entry_id"], "key": "one form"}
        page = text_of(manager.post(f"/till/m/{member.id}/undo", data=form, follow_redirects=True))
        assert "Bonus worth €1.20 of this purchase was used already: take it off the refund." in page
        assert "Bonus: €0.00" in page

    def test_points_buy_rewards(self, shop: Shop, cashier: FlaskClient) -> None:
        set_bonus(shop, POINTS)
        cake = reward_type(shop, price=10)
        reward_type(shop, "Brunch", price=100)
        member = shop.member(1)
        buy(shop, member, 1500)
        page = find(cashier, member.card_code)
        assert "Cake 10 milkshakes Give for points Brunch 100 milkshakes" in page
        form = {"reward_type_id": str(cake), "key": "one form"}
        page = text_of(cashier.post(f"/till/m/{member.id}/bonus/reward", data=form, follow_redirects=True))
        assert "Reward given: Cake" in page
        assert "Bonus left: 5 milkshakes" in page
        assert "A reward for 10 milkshakes" in page
        form |= {"key": "another form"}
        assert "Points needed: 10. The customer has 5." in text_of(
            cashier.post(f"/till/m/{member.id}/bonus/reward", data=form)
        )

    def test_persian_digits_are_read_and_shown(self, shop: Shop, cashier: FlaskClient) -> None:
        set_bonus(shop)
        member = shop.member(1)
        buy(shop, member, 10_000)
        cashier.get("/till?lang=fa")
        find(cashier, member.card_code)
        assert "۲٫۵۰" in text_of(use(cashier, member, "۲٫۵۰"))
        assert 750 == bonus_of(shop, member)


class TestApi:
    @pytest.fixture
    def till(self, app: Flask, shop: Shop) -> Till:
        return Till(app, shop.api_key, shop.ctx.settings.base_url)

    def post(self, till: Till, member: MemberView, what: str, key: str = "", **body: object) -> TestResponse:
        path = f"/api/v1/members/{member.id}/bonus/{what}"
        headers = {"Idempotency-Key": key or str(uuid4())}
        return till.call("POST", path, f"/api/v1/members/{{id}}/bonus/{what}", json=body, headers=headers)

    def test_software_pays_with_bonus_and_undoes_it(self, till: Till, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        assert "money" == till.call("GET", "/api/v1/program").json["bonus_kind"]
        bought = till.purchase(amount_minor=10_000, card=member.card_code).json
        assert (1000, 1000) == (bought["bonus_given"], bought["bonus"])
        proof = till.member(member.card_code).json["proof"]
        assert (403, "proof-needed") == refusal(self.post(till, member, "use", amount_minor=300))
        answer = self.post(till, member, "use", "once", amount_minor=300, proof=proof)
        again = self.post(till, member, "use", "once", amount_minor=300, proof=proof)
        assert (300, 700) == (answer.json["used_minor"], answer.json["left_minor"])
        assert (answer.json, "true") == (again.json, again.headers["Idempotency-Replayed"])
        undone = till.undo_purchase(bought["purchase_id"]).json
        assert (0, 300) == (undone["bonus"], undone["bonus_missing_minor"])
        undone = till.undo(answer.json["entry_id"]).json
        assert (300, 0, 0) == (undone["bonus"], undone["bonus_missing_minor"], undone["bonus_lapsed_minor"])
        assert (409, "bonus-is-points") == self._with_points(till, shop, member)

    def _with_points(self, till: Till, shop: Shop, member: MemberView) -> tuple[int, str]:
        self.post(till, member, "use", amount_minor=10_000, card_code=member.card_code)
        set_bonus(shop, POINTS)
        return refusal(self.post(till, member, "use", amount_minor=300, card_code=member.card_code))

    def test_software_gives_rewards_for_points(self, till: Till, shop: Shop) -> None:
        set_bonus(shop, POINTS)
        cake = reward_type(shop, price=10)
        member = shop.member(1)
        till.purchase(amount_minor=1500, card=member.card_code)
        offers = till.call("GET", "/api/v1/program").json["rewards_for_points"]
        assert [{"id": str(cake), "name": "Cake", "points": 10}] == offers
        body = {"reward_type_id": str(cake), "card_code": member.card_code}
        answer = self.post(till, member, "reward", **body).json
        assert (10, 5, "Cake") == (answer["used"], answer["bonus"], answer["issued"][0]["name"])
        assert (409, "too-few-points") == refusal(self.post(till, member, "reward", **body))
        body["reward_type_id"] = str(uuid4())
        assert (404, "reward-not-for-points") == refusal(self.post(till, member, "reward", **body))
        assert 5 == till.member(member.card_code).json["bonus"]

    def test_another_programmes_key_reaches_nobody_here(self, app: Flask, shop: Shop) -> None:
        set_bonus(shop)
        member = shop.member(1)
        buy(shop, member, 10_000)
        other = open_shop(shop.ctx, "muualla")
        set_bonus(other)
        till = Till(app, other.api_key, shop.ctx.settings.base_url)
        answer = self.post(till, member, "use", amount_minor=300, card_code=member.card_code)
        assert (404, "member-not-found") == refusal(answer)


def pass_of(shop: Shop, member: MemberView) -> dict[str, object]:
    fresh = members.by_id(shop.ctx, shop.cashier, member.id)
    data = b"".join(apple_passes.apple_pass(shop.ctx, fresh).segments)
    with zipfile.ZipFile(BytesIO(data)) as package:
        return json.loads(package.read("pass.json"))["storeCard"]  # type: ignore[no-any-return] # JSON


class TestCards:
    def test_the_wallet_card_shows_money_or_named_points_in_its_language(self, shop: Shop) -> None:
        assert ["stamps"] == [field["key"] for field in pass_of(shop, shop.member(1))["headerFields"]]
        set_bonus(shop)
        member = shop.member(2)
        buy(shop, member, 12_345)
        shown = pass_of(shop, member)["headerFields"][1]
        assert ("Bonus", "€12.34") == (shown["label"], shown["value"])
        pay(shop, member, 100_000)
        set_bonus(shop, POINTS)
        russian = shop.member(3, language="ru")
        buy(shop, russian, 2300)
        shown = pass_of(shop, russian)["headerFields"][1]
        assert ("коктейля", "23") == (shown["label"], shown["value"])

    def test_the_members_own_page_shows_it_with_its_history(self, shop: Shop, client: FlaskClient) -> None:
        set_bonus(shop, POINTS)
        member = shop.member(1, language="fi")
        buy(shop, member, 2300)
        page = text_of(client.get(members.card_url(shop.ctx, member).removeprefix(shop.ctx.settings.base_url)))
        assert "Bonus 23 pirtelöä" in page
        assert "Bonus: 23 pirtelöä" in page

    def test_what_was_undone_is_told_as_taken_back(self, shop: Shop, client: FlaskClient) -> None:
        set_bonus(shop)
        member = shop.member(1)
        buy(shop, member, 10_000)
        used = pay(shop, member, 300)
        page = client.get(members.card_url(shop.ctx, member).removeprefix(shop.ctx.settings.base_url))
        assert "Bonus used: €3.00" in text_of(page)
        assert "You used €3.00 of bonus. Left: €7.00" in text_of(page)
        assert UUID(str(used["entry_id"]))
