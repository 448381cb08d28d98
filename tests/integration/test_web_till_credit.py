"""Credit at the till's pages: by its code, by a card, and by a phone number that has to prove itself first."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app import clock
from app.db.credit import Credit
from app.db.ledger import LedgerEntry
from app.db.messages import SmsMessage
from app.db.people import Role
from app.loyalty.ledger import Kind
from app.services import code_lookup, members, old_cards, program_rules, sms_sending, till
from app.services.context import Context
from app.services.views import MemberView
from app.web.factory import create_app
from app.wiring import connect_valkey, make_limiter
from tests.factories import Shop, open_shop
from tests.integration import code_shop

SignIn = Callable[[Role], FlaskClient]
NEW_YEARS_EVE = datetime(2026, 12, 31, 22, tzinfo=UTC)  # midnight in Helsinki


@pytest.fixture
def cashier(sign_in: SignIn) -> FlaskClient:
    return sign_in(Role.CASHIER)


@pytest.fixture
def manager(sign_in: SignIn) -> FlaskClient:
    return sign_in(Role.MANAGER)


def found(client: FlaskClient, text: str) -> TestResponse:
    return client.post("/till/find", data={"code": text}, follow_redirects=True)


def text_of(answer: TestResponse) -> str:
    body = re.sub(r"<head>.*?</head>", "", answer.text, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def use_code(client: FlaskClient, code: str, amount: str, key: str = "key-1", **more: str) -> TestResponse:
    form = {"code": code, "amount": amount, "key": key, **more}
    return client.post("/till/credit/use", data=form, follow_redirects=True)


def use_credit(client: FlaskClient, member: MemberView, bill: str, key: str = "key-1") -> TestResponse:
    return client.post(f"/till/m/{member.id}/credit", data={"bill": bill, "key": key}, follow_redirects=True)


def balance(shop: Shop, coupon: code_shop.Coupon) -> int:
    with shop.ctx.sessions() as session:
        return session.get_one(Credit, coupon.credit_id).balance_minor


def sent_code(ctx: Context) -> str:
    with ctx.sessions() as session:
        message = session.scalars(
            select(SmsMessage).where(SmsMessage.template == "one_time").order_by(SmsMessage.id.desc())
        ).first()
        assert message
        return re.findall(r"\b\d{6}\b", sms_sending.body_of(ctx, session, message))[0]


class TestByCode:
    @pytest.mark.parametrize("script", ["0123456789", "۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩"])
    def test_seven_digits_show_amount_holder_and_last_day(
        self, cashier: FlaskClient, shop: Shop, script: str, at: Callable[[datetime], None]
    ) -> None:
        at(datetime(2026, 12, 1, 12, tzinfo=UTC))
        member = shop.member(7, name="Aino")
        valid = (datetime(2026, 11, 1, tzinfo=UTC), NEW_YEARS_EVE)
        coupon = code_shop.give(shop.ctx, shop, member.id, 1250, valid=valid)
        page = found(cashier, coupon.code.translate(str.maketrans("0123456789", script)))
        assert page.status_code == 200
        assert "Credit: €12.50 Aino Last day: 31 December 2026" in text_of(page)
        assert coupon.code not in page.request.url
        assert member.card_code not in page.text
        assert member.phone not in page.text

    def test_part_of_it_is_used_and_the_rest_is_told(
        self, cashier: FlaskClient, shop: Shop, at: Callable[[datetime], None]
    ) -> None:
        at(datetime(2026, 12, 1, 12, tzinfo=UTC))
        member = shop.member()
        valid = (datetime(2026, 11, 1, tzinfo=UTC), NEW_YEARS_EVE)
        coupon = code_shop.give(shop.ctx, shop, member.id, 1250, valid=valid)
        page = use_code(cashier, coupon.code, "۸", receipt_no="R-17")
        assert page.request.path == f"/till/m/{member.id}"
        assert "Take €8.00 off the bill Left: €4.50, until 31 December 2026" in text_of(page)
        assert balance(shop, coupon) == 450
        assert "data-armed" not in page.text

    def test_a_bill_that_is_larger_uses_it_up(self, cashier: FlaskClient, shop: Shop) -> None:
        coupon = code_shop.give(shop.ctx, shop, shop.member().id, 1250)
        assert "Take €12.50 off the bill The credit is used up." in text_of(use_code(cashier, coupon.code, "20,00"))
        again = found(cashier, coupon.code)
        assert (again.status_code, "This code is not valid." in text_of(again)) == (404, True)

    def test_where_the_rest_lapses_that_is_told(self, cashier: FlaskClient, shop: Shop) -> None:
        program_rules.save(shop.ctx, shop.owner, {"undo_hours": "72", "attach_days": "14"})
        coupon = code_shop.give(shop.ctx, shop, shop.member().id, 1250)
        page = use_code(cashier, coupon.code, "8")
        assert "Take €8.00 off the bill The credit is used. The rest, €4.50, has lapsed." in text_of(page)

    def test_the_same_form_again_says_the_same_and_takes_nothing(self, cashier: FlaskClient, shop: Shop) -> None:
        coupon = code_shop.give(shop.ctx, shop, shop.member().id, 1250)
        pages = [use_code(cashier, coupon.code, "8") for _ in range(3)]
        assert [True] * 3 == ["Take €8.00 off the bill" in text_of(page) for page in pages]
        assert balance(shop, coupon) == 450

    def test_a_form_without_its_key_is_refused(self, cashier: FlaskClient, shop: Shop) -> None:
        coupon = code_shop.give(shop.ctx, shop, shop.member().id, 1250)
        assert use_code(cashier, coupon.code, "8", key="").status_code == 400
        assert balance(shop, coupon) == 1250

    @pytest.mark.parametrize("amount", ["", "0", "a lot", "1.234", "-5", "8" * 30])
    def test_a_wrong_amount_is_told_at_its_field_and_counts_as_no_miss(
        self, cashier: FlaskClient, shop: Shop, amount: str
    ) -> None:
        coupon = code_shop.give(shop.ctx, shop, shop.member().id, 1250)
        for _ in range(7):
            page = use_code(cashier, coupon.code, amount, receipt_no="R-17")
            assert page.status_code == 422
            assert 'aria-invalid="true"' in page.text
            assert 'value="R-17"' in page.text
            assert "Credit: €12.50" in text_of(page)
        assert balance(shop, coupon) == 1250

    def test_a_groups_coupon_names_the_group_and_ends_at_the_box(self, cashier: FlaskClient, shop: Shop) -> None:
        (coupon,) = code_shop.give_group(shop.ctx, shop, 1, 1000, name="Virtanen & Co")
        assert "Credit: €10.00 Virtanen &amp; Co" in text_of(found(cashier, coupon.code))
        page = use_code(cashier, coupon.code, "4")
        assert (page.request.path, "Take €4.00 off the bill" in text_of(page)) == ("/till", True)

    def test_a_miss_is_one_line_and_the_digits_can_be_mended(self, cashier: FlaskClient, shop: Shop) -> None:
        page = found(cashier, "1234567")
        assert page.status_code == 404
        assert page.text.count("This code is not valid.") == 2  # the title, and the line
        assert 'data-mistyped="1234567"' in page.text
        assert "Join this number" not in page.text

    def test_only_managers_are_told_why(self, cashier: FlaskClient, manager: FlaskClient, shop: Shop) -> None:
        now = clock.now()
        over = code_shop.give(
            shop.ctx, shop, shop.member().id, 1000, valid=(now - timedelta(days=9), now - timedelta(days=2))
        )
        assert "This code is not valid." in text_of(found(cashier, over.code))
        assert "This credit is over: its last day was" in text_of(found(manager, over.code))

    def test_whoever_guesses_is_paused_and_told_for_how_long(
        self, cashier: FlaskClient, sign_in: SignIn, shop: Shop
    ) -> None:
        coupon = code_shop.give(shop.ctx, shop, shop.member().id, 1000)
        for guess in range(5):
            found(cashier, f"{(int(coupon.code) + 5000 + guess) % 10**7:07d}")
        paused = found(cashier, coupon.code)
        assert (paused.status_code, "Minutes to wait: 1." in text_of(paused)) == (429, True)
        assert "Credit: €10.00" in text_of(found(sign_in(Role.MANAGER), coupon.code))

    def test_while_the_limiter_is_away_nothing_is_told(self, cashier: FlaskClient, shop: Shop) -> None:
        coupon = code_shop.give(shop.ctx, shop, shop.member().id, 1000)
        away = connect_valkey("redis://127.0.0.1:1")
        app = create_app(replace(shop.ctx, valkey=away, limiter=make_limiter(away)))
        app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
        cut_off = app.test_client()
        name = app.config["SESSION_COOKIE_NAME"]
        cookie = cashier.get_cookie(name)
        assert cookie
        cut_off.set_cookie(name, cookie.value)
        for page in (found(cut_off, coupon.code), use_code(cut_off, coupon.code, "8")):
            assert page.status_code == 503
            assert "This cannot be checked safely at the moment." in text_of(page)
            assert "10.00" not in page.text

    def test_another_programmes_code_is_not_valid(self, cashier: FlaskClient, shop: Shop) -> None:
        other = open_shop(shop.ctx, "toinen")
        coupon = code_shop.give(shop.ctx, other, other.member().id, 1000)
        assert found(cashier, coupon.code).status_code == 404
        assert use_code(cashier, coupon.code, "5").status_code == 404
        assert balance(other, coupon) == 1000

    def test_with_many_codes_about_the_phones_last_digits_are_asked_for(
        self, cashier: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(code_lookup, "phone_digits_needed", lambda *_: True)
        coupon = code_shop.give(shop.ctx, shop, shop.member(7).id, 1250)
        asked = found(cashier, coupon.code)
        assert "Last 4 digits of the customer&#39;s phone number" in text_of(asked).replace("'", "&#39;")
        assert "12.50" not in asked.text
        assert 'aria-invalid="true"' not in asked.text
        nonsense = cashier.post("/till/credit", data={"code": coupon.code, "phone_last4": "07"})
        assert (nonsense.status_code, 'aria-invalid="true"' in nonsense.text) == (422, True)
        shown = cashier.post("/till/credit", data={"code": coupon.code, "phone_last4": "۰۰۰۷"})
        assert "Credit: €12.50" in text_of(shown)
        assert "Take €8.00 off" in text_of(use_code(cashier, coupon.code, "8", phone_last4="۰۰۰۷"))
        wrong = cashier.post("/till/credit", data={"code": coupon.code, "phone_last4": "0008"})
        assert (wrong.status_code, "This code is not valid." in text_of(wrong)) == (404, True)

    def test_a_member_found_by_the_code_may_not_spend_more_by_that(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=10)
        coupon = code_shop.give(shop.ctx, shop, member.id, 1250)
        page = use_code(cashier, coupon.code, "8")
        assert "Use the reward" not in page.text
        assert "Send a code to the customer" in page.text


class TestUndo:
    def test_a_manager_takes_the_use_back_from_the_result(self, manager: FlaskClient, shop: Shop) -> None:
        coupon = code_shop.give(shop.ctx, shop, shop.member().id, 1250)
        page = use_code(manager, coupon.code, "8")
        operation = re.findall(r'name="operation_id" value="([^"]+)"', page.text)[0]
        action = re.findall(r'class="till-take-back" method="post" action="([^"]+)"', page.text)[0]
        undone = manager.post(action, data={"operation_id": operation, "key": "u"}, follow_redirects=True)
        assert "Undone" in text_of(undone)
        assert balance(shop, coupon) == 1250

    def test_a_groups_coupon_too(self, manager: FlaskClient, shop: Shop) -> None:
        (coupon,) = code_shop.give_group(shop.ctx, shop, 1, 1000)
        page = use_code(manager, coupon.code, "4")
        operation = re.findall(r'name="operation_id" value="([^"]+)"', page.text)[0]
        for _ in range(2):
            undone = manager.post("/till/undo", data={"operation_id": operation, "key": "u"}, follow_redirects=True)
            assert (undone.status_code, "Undone" in text_of(undone)) == (200, True)
        again = manager.post("/till/undo", data={"operation_id": operation, "key": "v"})
        assert (again.status_code, "This was undone already." in text_of(again)) == (409, True)
        assert balance(shop, coupon) == 1000

    def test_a_cashier_is_shown_no_button_and_refused(self, cashier: FlaskClient, shop: Shop) -> None:
        (coupon,) = code_shop.give_group(shop.ctx, shop, 1, 1000)
        assert "operation_id" not in use_code(cashier, coupon.code, "4").text
        with shop.ctx.sessions() as session:
            operation = session.scalars(select(LedgerEntry.operation_id).where(LedgerEntry.kind == Kind.REDEEM)).one()
        assert cashier.post("/till/undo", data={"operation_id": str(operation), "key": "u"}).status_code == 403
        assert balance(shop, coupon) == 600


class TestByCard:
    def test_a_card_opens_the_members_credit_the_first_to_lapse_first(self, cashier: FlaskClient, shop: Shop) -> None:
        member, now = shop.member(), clock.now()
        later = code_shop.give(shop.ctx, shop, member.id, 1000, valid=(now, now + timedelta(days=60)))
        sooner = code_shop.give(shop.ctx, shop, member.id, 500, valid=(now, now + timedelta(days=10)))
        next_month = (now + timedelta(days=20), now + timedelta(days=50))
        future = code_shop.give(shop.ctx, shop, member.id, 700, valid=next_month)
        page = found(cashier, member.card_code)
        assert "Credit: €15.00" in text_of(page)
        used = use_credit(cashier, member, "8,00")
        assert "Take €8.00 off the bill Left: €7.00, until" in text_of(used)
        assert [0, 700, 700] == [balance(shop, coupon) for coupon in (sooner, later, future)]
        assert "Take €8.00 off" in text_of(use_credit(cashier, member, "8,00"))  # the same form again
        assert [0, 700, 700] == [balance(shop, coupon) for coupon in (sooner, later, future)]
        assert "The credit is used up." in text_of(use_credit(cashier, member, "99", key="b"))
        none = use_credit(cashier, member, "1", key="c")
        assert (none.status_code, "no credit that can be used now" in text_of(none)) == (409, True)

    def test_using_several_credits_is_undone_as_one_act(
        self, cashier: FlaskClient, manager: FlaskClient, shop: Shop
    ) -> None:
        member = shop.member()
        coupons = [code_shop.give(shop.ctx, shop, member.id, 500) for _ in range(3)]
        found(cashier, member.card_code)
        use_credit(cashier, member, "12")
        page = found(manager, member.card_code)
        (operation,) = set(re.findall(r'name="operation_id" value="([^"]+)"', page.text))
        undone = manager.post(
            f"/till/m/{member.id}/undo", data={"operation_id": operation, "key": "u"}, follow_redirects=True
        )
        assert "Undone" in text_of(undone)
        assert [500] * 3 == [balance(shop, coupon) for coupon in coupons]

    @pytest.mark.parametrize("bill", ["", "0", "lots"])
    def test_a_wrong_bill_is_told_at_its_field(self, cashier: FlaskClient, shop: Shop, bill: str) -> None:
        member = shop.member()
        code_shop.give(shop.ctx, shop, member.id, 500)
        found(cashier, member.card_code)
        page = use_credit(cashier, member, bill)
        assert page.status_code == 422
        assert re.search(r'id="bill"[^>]*aria-invalid="true"', page.text)

    def test_an_old_card_opens_it_too(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        old_cards.add(shop.ctx, shop.owner, member.id, "K-00417")
        code_shop.give(shop.ctx, shop, member.id, 500)
        page = found(cashier, "k00417")
        assert page.request.path == f"/till/m/{member.id}"
        assert 'name="bill"' in page.text


class TestByPhone:
    @pytest.fixture
    def member(self, shop: Shop) -> MemberView:
        member = shop.member(7)
        till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=10)
        code_shop.give(shop.ctx, shop, member.id, 1250)
        return members.by_id(shop.ctx, shop.cashier, member.id)

    def test_the_page_gives_stamps_but_spends_nothing_and_tells_no_card_code(
        self, cashier: FlaskClient, shop: Shop, member: MemberView
    ) -> None:
        page = found(cashier, "0401230007")
        assert member.card_code not in page.text
        assert ("Use the reward" in page.text, 'name="bill"' in page.text) == (False, False)
        assert "Credit: €12.50" in text_of(page)
        given = cashier.post(f"/till/m/{member.id}/stamps", data={"count": "1", "key": "g"}, follow_redirects=True)
        assert "1 stamp given" in text_of(given)
        assert member.card_code not in given.text

    def test_forms_that_were_made_up_are_refused_by_the_services(
        self, cashier: FlaskClient, shop: Shop, member: MemberView
    ) -> None:
        found(cashier, "0401230007")
        form = {"reward_id": str(member.rewards[0].id), "key": "r"}
        refused = cashier.post(f"/till/m/{member.id}/redeem", data=form)
        assert (refused.status_code, "To spend, scan the customer" in refused.text) == (403, True)
        assert use_credit(cashier, member, "8").status_code == 403
        now = members.by_id(shop.ctx, shop.cashier, member.id)
        assert (1, 1250) == (len(now.rewards), now.credits[0].balance_minor)

    def test_the_code_on_the_phone_opens_rewards_and_credit(
        self, cashier: FlaskClient, shop: Shop, member: MemberView
    ) -> None:
        found(cashier, "0401230007")
        sent = cashier.post(f"/till/m/{member.id}/send-code", follow_redirects=True)
        assert "A code is on its way to the customer's phone." in text_of(sent).replace("&#39;", "'")
        assert 'name="one_time_code"' in sent.text
        assert 'name="one_time_code"' in cashier.get(f"/till/m/{member.id}").text
        code = sent_code(shop.ctx)
        wrong = cashier.post(f"/till/m/{member.id}/unlock", data={"one_time_code": f"{(int(code) + 1) % 10**6:06d}"})
        assert (wrong.status_code, "Tries left: 4." in text_of(wrong)) == (422, True)
        opened = cashier.post(f"/till/m/{member.id}/unlock", data={"one_time_code": code}, follow_redirects=True)
        assert "The code is right." in text_of(opened)
        assert "data-armed" not in opened.text
        assert "Take €8.00 off the bill" in text_of(use_credit(cashier, member, "8"))
        form = {"reward_id": str(member.rewards[0].id), "key": "r"}
        used = cashier.post(f"/till/m/{member.id}/redeem", data=form, follow_redirects=True)
        assert "Reward used: Free coffee" in text_of(used)

    def test_a_second_click_sends_no_second_message(self, cashier: FlaskClient, shop: Shop, member: MemberView) -> None:
        answers = [cashier.post(f"/till/m/{member.id}/send-code") for _ in range(2)]
        assert [303, 429] == [answer.status_code for answer in answers]
        assert 'name="one_time_code"' in answers[1].text

    def test_one_tills_code_opens_nothing_at_another(
        self, cashier: FlaskClient, manager: FlaskClient, shop: Shop, member: MemberView
    ) -> None:
        cashier.post(f"/till/m/{member.id}/send-code")
        code = sent_code(shop.ctx)
        refused = manager.post(f"/till/m/{member.id}/unlock", data={"one_time_code": code})
        assert (refused.status_code, "No code is open for this customer." in text_of(refused)) == (409, True)

    def test_a_number_called_out_ends_what_an_earlier_scan_opened(
        self, cashier: FlaskClient, shop: Shop, member: MemberView
    ) -> None:
        assert "Use the reward" in found(cashier, member.card_code).text
        assert "Use the reward" not in found(cashier, "0401230007").text

    def test_what_was_opened_is_closed_after_half_an_hour(
        self, cashier: FlaskClient, shop: Shop, member: MemberView, at: Callable[[datetime], None]
    ) -> None:
        found(cashier, member.card_code)
        at(clock.now() + timedelta(minutes=31))
        page = cashier.get(f"/till/m/{member.id}")
        assert "Use the reward" not in page.text
        form = {"reward_id": str(member.rewards[0].id), "key": "r"}
        assert cashier.post(f"/till/m/{member.id}/redeem", data=form).status_code == 403


class TestWhoIsMeant:
    def test_an_old_card_of_seven_digits_offers_to_be_a_code(self, cashier: FlaskClient, shop: Shop) -> None:
        coupon = code_shop.give(shop.ctx, shop, shop.member(1).id, 1250)
        holder = shop.member(2, name="Pekka")
        old_cards.add(shop.ctx, shop.owner, holder.id, coupon.code)
        page = found(cashier, coupon.code)
        assert "Pekka" in text_of(page)
        assert f"No, {coupon.code} is a credit" in page.text
        shown = cashier.post("/till/credit", data={"code": coupon.code})
        assert "Credit: €12.50" in text_of(shown)

    def test_one_number_of_two_customers_says_how_to_type_it(self, cashier: FlaskClient, shop: Shop) -> None:
        shop.member(7)
        old_cards.add(shop.ctx, shop.owner, shop.member(8).id, "0401230007")
        page = found(cashier, "0401230007")
        assert (page.status_code, "Type + and the country code" in text_of(page)) == (409, True)
        assert 'data-mistyped="0401230007"' in page.text
