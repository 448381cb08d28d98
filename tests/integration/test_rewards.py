"""Kinds of rewards, giving them, using them at the till, and being reminded of them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db.ledger import AuditEntry, LedgerEntry, Reward, RewardStatus
from app.db.messages import SmsMessage
from app.db.people import MemberCard, Role
from app.i18n import translator
from app.loyalty.coupons import RewardValue
from app.loyalty.ledger import Kind
from app.services import (
    campaign_benefits,
    coupons,
    members,
    programs,
    recognise,
    reward_giving,
    reward_reminders,
    reward_types,
    spending_proofs,
    till,
)
from app.services.errors import InvalidForm, Refused
from app.services.recognise import What
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration.reward_shop import give, held, make_type

NOON = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)  # a Monday, 12:00 in Helsinki
FOREVER = float("inf")


@pytest.fixture
def member(shop: Shop) -> MemberView:
    return shop.member(1, name="Erin")


def use(shop: Shop, member: MemberView, reward_id: UUID, **more: object) -> dict[str, object]:
    answer, _ = till.redeem_reward(shop.ctx, shop.cashier, reward_id, card_code=member.card_code, **more)  # type: ignore[arg-type]
    return answer


def refusal(shop: Shop, member: MemberView, reward_id: UUID, **more: object) -> Refused:
    with pytest.raises(Refused) as refused:
        use(shop, member, reward_id, **more)
    return refused.value


def row(shop: Shop, reward_id: UUID) -> Reward:
    with shop.ctx.sessions() as session:
        return session.get_one(Reward, reward_id)


def test_a_full_card_gives_the_kind_that_was_chosen_for_it(shop: Shop, member: MemberView):
    kind = make_type(shop, name="Half price", value="percent", percent="50", for_full_card="on")
    answer, _ = till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=10)
    (issued,) = answer["issued"]
    assert ("Half price", "percent", 5000) == tuple(issued[name] for name in ("name", "value", "value_amount"))
    assert kind.id == row(shop, UUID(issued["id"])).type_id


def test_when_the_kind_was_stopped_a_full_card_gives_something_by_its_name(shop: Shop, member: MemberView):
    kind = make_type(shop, for_full_card="on")
    reward_types.set_active(shop.ctx, shop.owner, kind.id, False)
    answer, _ = till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=10)
    (issued,) = answer["issued"]
    assert ("Free cake", None) == (issued["name"], row(shop, UUID(issued["id"])).type_id)


def test_cards_name_what_a_full_one_gives(client: FlaskClient, shop: Shop, member: MemberView):
    make_type(shop, name="Half price", value="percent", percent="50", for_full_card="on")
    shop.change_program(reward_name="Free coffee")
    assert "you get: Half price" in client.get(f"/c/{members.card_token(shop.ctx, member)}").text


def test_only_one_kind_is_for_the_full_card(shop: Shop):
    make_type(shop, for_full_card="on")
    make_type(shop, name="Free pie", for_full_card="on")
    kinds = reward_types.all_of(shop.ctx, shop.program.id)
    assert {"Free cake": False, "Free pie": True} == {kind.name: kind.for_full_card for kind in kinds}


def test_what_a_member_holds_stays_as_it_was_promised(shop: Shop, member: MemberView):
    kind = make_type(shop, value="amount", amount="5", valid_days="30")
    before = give(shop, member, kind)
    reward_types.save(shop.ctx, shop.owner, {"name": "Small cake", "value": "amount", "amount": "1"}, kind.id)
    reward_types.set_active(shop.ctx, shop.owner, kind.id, False)
    after = held(shop, member, before.id)
    assert (before.name, before.value_amount, before.expires_at) == (after.name, after.value_amount, after.expires_at)
    assert 500 == use(shop, member, after.id, bill_minor=1250)["off_minor"]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"name": ""}, "name"),
        ({"value": "amount"}, "amount"),
        ({"value": "percent", "percent": "101"}, "percent"),
        ({"value": "percent"}, "percent"),
        ({"valid_from": "2027-02-01", "valid_until": "2027-01-01"}, "valid_until"),
        ({"remind_days": "3"}, "remind_days"),
        ({"valid_days": "0"}, "valid_days"),
    ],
)
def test_what_is_wrong_in_the_form_is_said_at_its_field(shop: Shop, form: dict[str, str], field: str):
    with pytest.raises(InvalidForm) as invalid:
        make_type(shop, **form)
    assert [field] == list(invalid.value.errors)


def test_two_kinds_cannot_have_one_name(shop: Shop):
    make_type(shop)
    with pytest.raises(InvalidForm) as invalid:
        make_type(shop)
    assert ["name"] == list(invalid.value.errors)


def test_a_gift_is_written_down_with_its_reason_and_can_be_taken_back(shop: Shop, member: MemberView):
    gift = give(shop, member, make_type(shop))
    with shop.ctx.sessions() as session:
        assert "Birthday" == session.get_one(Reward, gift.id).reason
        acts = set(session.scalars(select(AuditEntry.action)))
        assert Kind.GRANT == session.scalars(select(LedgerEntry.kind).where(LedgerEntry.reward_id == gift.id)).one()
    assert "reward.given" in acts
    reward_giving.take_back(shop.ctx, shop.owner, gift.id, key="back-1")
    assert RewardStatus.WITHDRAWN is row(shop, gift.id).status
    assert () == members.by_id(shop.ctx, shop.owner, member.id).rewards


def test_who_may_not_give_is_told_so(shop: Shop, member: MemberView):
    form = {"type_id": str(make_type(shop).id), "reason": "A friend of mine"}
    with pytest.raises(Refused) as refused:
        reward_giving.give(shop.ctx, shop.cashier, member.id, form, key="give-1")
    assert "not-allowed" == refused.value.kind


def test_a_double_click_gives_once(shop: Shop, member: MemberView):
    kind = make_type(shop)
    for _ in range(2):
        give(shop, member, kind, "same")
    assert 1 == len(members.by_id(shop.ctx, shop.owner, member.id).rewards)


def test_a_reward_of_a_full_card_is_not_taken_back_by_itself(shop: Shop, member: MemberView):
    answer, _ = till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=10)
    with pytest.raises(Refused) as refused:
        reward_giving.take_back(shop.ctx, shop.owner, UUID(answer["issued"][0]["id"]), key="back-1")
    assert "reward-not-found" == refused.value.kind


def test_a_reward_for_later_says_from_when_it_can_be_used(
    shop: Shop, member: MemberView, at: Callable[[datetime], None]
):
    at(NOON)
    gift = give(shop, member, make_type(shop, valid_from="2026-12-01", valid_until="2026-12-24"))
    refused = refusal(shop, member, gift.id)
    words = "This reward can be used from 1 December 2026 on."
    assert ("reward-not-yet", words) == (refused.kind, refused.text(translator("en")))
    at(datetime(2026, 11, 30, 22, 0, tzinfo=UTC))  # midnight in Helsinki
    assert "item" == use(shop, member, gift.id)["value"]


def test_a_reward_for_some_days_says_which(shop: Shop, member: MemberView, at: Callable[[datetime], None]):
    at(NOON)
    gift = give(shop, member, make_type(shop, weekday_1="on", weekday_2="on"))
    refused = refusal(shop, member, gift.id)
    assert ("reward-not-today", "This reward can be used on these days only: Tuesday, Wednesday.") == (
        refused.kind,
        str(refused),
    )
    at(NOON + timedelta(days=1))
    use(shop, member, gift.id)


def test_a_reward_for_one_place_says_where(shop: Shop, member: MemberView):
    harbour = programs.save_location(shop.ctx, shop.owner, {"name": "Harbour"})
    gift = give(shop, member, make_type(shop, **{f"location_{harbour.id}": "on"}))
    refused = refusal(shop, member, gift.id)
    assert ("reward-not-here", "This reward can be used here only: Harbour.") == (refused.kind, str(refused))
    use(shop, member, gift.id, location="Harbour")


def test_the_till_is_told_what_comes_off_the_bill(shop: Shop, member: MemberView):
    gift = give(shop, member, make_type(shop, value="percent", percent="12,5"))
    answer = use(shop, member, gift.id, bill_minor=333)
    assert ("percent", 1250, 41) == tuple(answer[name] for name in ("value", "value_amount", "off_minor"))


def test_a_used_reward_can_be_used_once_more_after_its_undo(shop: Shop, member: MemberView):
    gift = give(shop, member, make_type(shop))
    answer = use(shop, member, gift.id)
    assert "reward-used" == refusal(shop, member, gift.id).kind
    till.undo(shop.ctx, shop.cashier, UUID(str(answer["entry_id"])))
    use(shop, member, gift.id)


class TestScanningTheCoupon:
    def scanned(self, shop: Shop, member: MemberView, reward_id: UUID) -> str:
        with shop.ctx.sessions() as session:
            generation = session.scalars(
                select(MemberCard.link_generation).where(MemberCard.id == member.card_id)
            ).one()
        return coupons.code(shop.ctx, reward_id, generation)

    def test_it_opens_the_member_with_proof_and_the_reward(self, shop: Shop, member: MemberView):
        gift = give(shop, member, make_type(shop))
        found = recognise.recognise(shop.ctx, shop.cashier, self.scanned(shop, member, gift.id))
        assert found.member is not None
        assert (What.COUPON, member.id, gift.id) == (found.what, found.member.id, found.reward_id)
        till.redeem_reward(shop.ctx, shop.cashier, gift.id, proof=found.proof)

    def test_it_lets_nothing_else_of_the_members_be_spent(
        self, shop: Shop, member: MemberView, client: FlaskClient, sign_in: Callable[[Role], FlaskClient]
    ):
        """Friends are given coupons; a coupon in a message is no card."""
        other = give(shop, member, make_type(shop, name="Free pie"), "pie")
        gift = give(shop, member, make_type(shop), "cake")
        code = self.scanned(shop, member, gift.id)
        proof = recognise.recognise(shop.ctx, shop.cashier, code).proof
        with pytest.raises(Refused) as refused:
            till.redeem_reward(shop.ctx, shop.cashier, other.id, proof=proof)
        assert "proof-not-valid" == refused.value.kind
        assert not spending_proofs.is_valid(shop.ctx, shop.cashier, member.id, proof)
        page = sign_in(Role.CASHIER).post("/till/find", data={"code": code}, follow_redirects=True).text
        assert (1, 1) == (page.count('name="reward_id"'), page.count(f'name="reward_id" value="{gift.id}"'))
        found = client.get(f"/api/v1/members/{code}", headers={"Authorization": f"Bearer {shop.api_key}"}).text
        shown = coupons.card(shop.ctx, shop.program, coupons.find(shop.ctx, [gift.id])[gift.id])
        link = members.card_token(shop.ctx, member)
        for told in (found, str(shown).replace("-", "")):
            assert [] == [secret for secret in (member.card_code, link) if secret in told]

    def test_a_seal_that_is_not_ours_opens_nothing(self, shop: Shop, member: MemberView):
        gift = give(shop, member, make_type(shop))
        code = self.scanned(shop, member, gift.id)
        forged = code[:-1] + ("0" if code[-1] != "0" else "1")
        with pytest.raises(Refused) as refused:
            recognise.recognise(shop.ctx, shop.cashier, forged)
        assert "unreadable-code" == refused.value.kind

    def test_the_till_shows_the_reward_first_and_says_when_it_was_used(
        self, shop: Shop, member: MemberView, sign_in: Callable[[Role], FlaskClient]
    ):
        give(shop, member, make_type(shop, name="Free pie"), "pie")
        gift = give(shop, member, make_type(shop), "cake")
        cashier, code = sign_in(Role.CASHIER), self.scanned(shop, member, gift.id)
        page = cashier.post("/till/find", data={"code": code}, follow_redirects=True).text
        assert page.index("Free cake") < page.index("Free pie")
        use(shop, member, gift.id)
        answer = cashier.post("/till/find", data={"code": code})
        assert (409, True) == (answer.status_code, "This reward has been used already." in answer.text)

    def test_the_api_tells_which_reward_it_was(self, shop: Shop, member: MemberView, client: FlaskClient):
        gift = give(shop, member, make_type(shop))
        code = self.scanned(shop, member, gift.id)
        answer = client.get(f"/api/v1/members/{code}", headers={"Authorization": f"Bearer {shop.api_key}"})
        assert (200, str(gift.id)) == (answer.status_code, answer.json["coupon"])


class TestReminding:
    def test_the_card_says_it_once_in_the_morning(self, shop: Shop, member: MemberView, at: Callable[[datetime], None]):
        at(NOON)
        give(shop, member, make_type(shop, valid_days="10", remind_days="3"))
        at(datetime(2026, 11, 30, 7, 59, tzinfo=UTC))
        reward_reminders.remind_due(shop.ctx, FOREVER)
        before = members.by_id(shop.ctx, shop.owner, member.id)
        at(datetime(2026, 11, 30, 8, 0, tzinfo=UTC))  # 10:00 in Helsinki, and the 3rd is the last day
        for _ in range(2):
            assert not reward_reminders.remind_due(shop.ctx, FOREVER)
        after = members.by_id(shop.ctx, shop.owner, member.id)
        assert "Don't forget: Free cake. Last day: 3 Dec 2026" == after.news != before.news
        assert 1 == after.card_version - before.card_version

    def test_a_used_reward_is_not_reminded_of(self, shop: Shop, member: MemberView, at: Callable[[datetime], None]):
        at(NOON)
        gift = give(shop, member, make_type(shop, valid_days="10", remind_days="3"))
        use(shop, member, gift.id)
        at(NOON + timedelta(days=8))
        reward_reminders.remind_due(shop.ctx, FOREVER)
        assert "forget" not in members.by_id(shop.ctx, shop.owner, member.id).news
        assert row(shop, gift.id).remind_at is None

    @pytest.mark.parametrize(("wanted", "messages"), [("on", ["reward_lapses"]), ("", [])])
    def test_who_has_no_wallet_gets_an_sms_if_the_shop_wants_it(
        self, shop: Shop, member: MemberView, at: Callable[[datetime], None], wanted: str, messages: list[str]
    ):
        at(NOON)
        give(shop, member, make_type(shop, valid_days="10", remind_days="3", remind_by_sms=wanted))
        at(NOON + timedelta(days=8))
        reward_reminders.remind_due(shop.ctx, FOREVER)
        with shop.ctx.sessions() as session:
            assert messages == list(session.scalars(select(SmsMessage.template)))


class TestInTheOffice:
    def test_a_kind_is_made_changed_and_stopped(self, shop: Shop, sign_in: Callable[[Role], FlaskClient]):
        office = sign_in(Role.MANAGER)
        form = {"name": "Free cake", "value": "percent", "percent": "20", "weekday_0": "on", "valid_days": "14"}
        assert 303 == office.post("/office/rewards/new", data=form).status_code
        (kind,) = reward_types.all_of(shop.ctx, shop.program.id)
        page = office.get("/office/rewards").text
        assert all(words in page for words in ("Free cake", "20% off", "Only on: Monday"))
        assert "A bill of €12.50 gets €2.50 off." in office.get(f"/office/rewards/{kind.id}").text
        office.post(f"/office/rewards/{kind.id}", data=form | {"name": "Free pie"})
        office.post(f"/office/rewards/{kind.id}/stop")
        (kind,) = reward_types.all_of(shop.ctx, shop.program.id)
        assert ("Free pie", False, RewardValue.PERCENT) == (kind.name, kind.active, kind.value)

    def test_what_was_typed_stays_when_something_is_wrong(self, sign_in: Callable[[Role], FlaskClient]):
        answer = sign_in(Role.OWNER).post("/office/rewards/new", data={"name": "Free cake", "value": "amount"})
        assert (422, True) == (answer.status_code, 'value="Free cake"' in answer.text)

    def test_a_manager_gives_one_and_takes_it_back_on_the_members_page(
        self, shop: Shop, member: MemberView, sign_in: Callable[[Role], FlaskClient]
    ):
        office, kind = sign_in(Role.MANAGER), make_type(shop)
        form = {"type_id": str(kind.id), "reason": "A spilt coffee", "key": "k1"}
        page = office.post(f"/office/members/{member.id}/rewards", data=form, follow_redirects=True).text
        assert "A spilt coffee" in page
        (gift,) = members.by_id(shop.ctx, shop.owner, member.id).rewards
        office.post(f"/office/members/{member.id}/rewards/{gift.id}/take-back", data={"key": "k2"})
        assert () == members.by_id(shop.ctx, shop.owner, member.id).rewards

    def test_without_a_reason_nothing_is_given(
        self, shop: Shop, member: MemberView, sign_in: Callable[[Role], FlaskClient]
    ):
        form = {"type_id": str(make_type(shop).id), "reason": "", "key": "k1"}
        assert 422 == sign_in(Role.OWNER).post(f"/office/members/{member.id}/rewards", data=form).status_code


def test_the_customers_pages_offer_the_coupon_for_the_wallet(client: FlaskClient, shop: Shop, member: MemberView):
    gift = give(shop, member, make_type(shop, value="percent", percent="20", valid_days="30"))
    for address in ("", "/me"):
        page = client.get(f"/c/{members.card_token(shop.ctx, member)}{address}").text
        assert f"/coupons/{gift.id}/apple.pkpass" in page
        assert "20% off" in page


def test_a_campaigns_promise_names_the_kind():
    content = {"benefit": {"kind": "reward", "minor": 0, "name": "Free cake", "days": 14, "type": str(UUID(int=7))}}
    assert UUID(int=7) == campaign_benefits.promise(content).type_id
