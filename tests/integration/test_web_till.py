"""The till's pages as a browser meets them: every way in, every refusal, and nothing counted twice."""

import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
import segno
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from app.db.people import MemberStatus, Role
from app.services import frames, limits, member_search, members, programs, till
from app.services.context import Actor
from app.services.errors import Refused
from app.services.views import MemberView
from tests.factories import Shop, open_shop

SignIn = Callable[[Role], FlaskClient]
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def cashier(sign_in: SignIn) -> FlaskClient:
    return sign_in(Role.CASHIER)


def now_of(shop: Shop, member: MemberView) -> MemberView:
    return members.by_id(shop.ctx, shop.cashier, member.id)


def found(client: FlaskClient, code: str) -> TestResponse:
    return client.post("/till/find", data={"code": code}, follow_redirects=True)


def text_of(answer: TestResponse) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def stamp_form(member: MemberView, **values: str) -> dict[str, str]:
    return {"count": "1", "key": "key-1", **values}


def give(client: FlaskClient, member: MemberView, **values: str) -> TestResponse:
    return client.post(f"/till/m/{member.id}/stamps", data=stamp_form(member, **values), follow_redirects=True)


class TestWhoMayUseIt:
    @pytest.mark.parametrize("role", [Role.CASHIER, Role.MANAGER, Role.OWNER])
    def test_till_staff_get_the_box(self, sign_in: SignIn, role: Role) -> None:
        assert sign_in(role).get("/till").status_code == 200

    def test_marketers_do_not(self, sign_in: SignIn, shop: Shop) -> None:
        marketer = sign_in(Role.MARKETER)
        assert marketer.get("/till").status_code == 403
        assert give(marketer, shop.member()).status_code == 403

    def test_strangers_are_asked_to_sign_in_and_come_back_to_the_till(self, client: FlaskClient, shop: Shop) -> None:
        assert client.get("/till").headers["Location"] == "/staff/sign-in?next=/till"
        assert client.post("/till/find", data={"code": "x"}).headers["Location"] == "/staff/sign-in"

    def test_a_form_without_the_csrf_token_changes_nothing(self, app: Flask, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        app.config["WTF_CSRF_ENABLED"] = True
        assert give(cashier, member).status_code == 400
        assert cashier.post("/till/frame", data=b"x").status_code == 400
        assert now_of(shop, member).stamps == 0


class TestFinding:
    def test_a_card_code_shows_the_member(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member(name="Aino 🌸")
        answer = found(cashier, member.card_code.lower())
        assert answer.request.path == f"/till/m/{member.id}"
        assert "Aino 🌸" in text_of(answer)
        assert "0 of 10 stamps" in text_of(answer)
        assert 'aria-label="0 of 10 stamps"' in answer.text

    def test_a_phone_number_in_persian_digits_shows_the_member_and_stays_out_of_the_address(
        self, cashier: FlaskClient, shop: Shop
    ) -> None:
        member = shop.member(7)
        answer = cashier.post("/till/find", data={"code": "۰۴۰ ۱۲۳ ۰۰۰۷"})
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/till/m/{member.id}")
        page = cashier.get(answer.headers["Location"])
        assert "+358 ** *****07" in text_of(page)
        assert "+358401230007" not in page.text

    @pytest.mark.parametrize(
        ("typed", "status", "said"),
        [
            ("0" * 16, 404, "No member has this card or number."),
            ("hello", 422, "This is neither a card, a phone number"),
            ("", 422, "This is neither a card, a phone number"),
            ("x" * 5000, 422, "This is neither a card, a phone number"),
        ],
    )
    def test_what_finds_nobody_says_so(
        self, cashier: FlaskClient, shop: Shop, typed: str, status: int, said: str
    ) -> None:
        answer = found(cashier, typed)
        assert answer.status_code == status
        assert said in text_of(answer)
        assert "Join this number" not in answer.text

    def test_another_programmes_card_is_not_found(self, cashier: FlaskClient, shop: Shop) -> None:
        stranger = open_shop(shop.ctx, "toinen").member()
        assert found(cashier, stranger.card_code).status_code == 404
        assert cashier.get(f"/till/m/{stranger.id}").status_code == 404

    def test_lookups_are_counted(self, cashier: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "LOOKUP", limits.parse("1 per minute"))
        member = shop.member()
        assert found(cashier, member.card_code).status_code == 200
        refused = found(cashier, member.card_code)
        assert (refused.status_code, "Too many tries" in text_of(refused)) == (429, True)

    def test_a_blocked_card_says_so_and_offers_no_stamp(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        members.set_status(shop.ctx, shop.owner, member.id, MemberStatus.BLOCKED)
        page = found(cashier, member.card_code)
        assert "This card is blocked. A manager can unblock it." in text_of(page)
        assert "Give stamp" not in text_of(page)

    def test_the_last_stamp_is_told_with_its_age_and_giver(
        self, cashier: FlaskClient, shop: Shop, at: Callable[[datetime], None]
    ) -> None:
        member = shop.member()
        for minutes, said in (
            (0, "Last stamp just now, by Charlie"),
            (1, "Last stamp 1 minute ago, by Charlie"),
            (125, "Last stamp 2 hours ago, by Charlie"),
            (3000, "Last stamp 1 March 2027 14:00, by Charlie"),
        ):
            at(NOON)
            if minutes == 0:
                till.give_stamps(shop.ctx, shop.cashier, member.card_code)
            at(NOON + timedelta(minutes=minutes))
            assert said in text_of(cashier.get(f"/till/m/{member.id}"))


class TestJoiningAtTheTill:
    def test_an_unknown_number_may_join(self, cashier: FlaskClient, shop: Shop) -> None:
        offer = found(cashier, "0409999999")
        assert offer.status_code == 404
        assert "Not a member yet 040 9999999" in text_of(offer)
        form = {"phone": "0409999999", "name": "Aino", "terms": "on"}
        welcome = cashier.post("/till/join", data=form, follow_redirects=True)
        assert "New member" in text_of(welcome)
        joined = members.find(shop.ctx, shop.cashier, "0409999999")
        assert (joined.name, joined.via) == ("Aino", "till")

    def test_only_with_the_terms_said_aloud(self, cashier: FlaskClient, shop: Shop) -> None:
        answer = cashier.post("/till/join", data={"phone": "0409999999", "name": "Aino"})
        assert answer.status_code == 422
        assert "Tell the customer the terms" in text_of(answer)
        assert 'value="Aino"' in answer.text
        with pytest.raises(Refused):
            members.find(shop.ctx, shop.cashier, "0409999999")

    def test_twice_is_once(self, cashier: FlaskClient, shop: Shop) -> None:
        form = {"phone": "0409999999", "terms": "on"}
        cashier.post("/till/join", data=form)
        again = cashier.post("/till/join", data=form, follow_redirects=True)
        assert "This number is a member already." in text_of(again)
        assert len(member_search.search(shop.ctx, shop.owner)[0]) == 1

    def test_a_number_that_is_none_is_refused(self, cashier: FlaskClient, shop: Shop) -> None:
        answer = cashier.post("/till/join", data={"phone": "09 1234", "terms": "on"})
        assert answer.status_code == 422

    def test_a_nonsense_number_without_terms_is_refused_too(self, cashier: FlaskClient, shop: Shop) -> None:
        assert cashier.post("/till/join", data={"phone": "nonsense"}).status_code == 422

    def test_who_left_may_come_back_with_the_old_stamps(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=3)
        members.set_status(shop.ctx, shop.owner, member.id, MemberStatus.LEFT)
        assert "This customer has left the programme." in text_of(found(cashier, member.card_code))
        back = cashier.post(f"/till/m/{member.id}/rejoin", follow_redirects=True)
        assert "Welcome back" in text_of(back)
        assert (now_of(shop, member).status, now_of(shop, member).stamps) == (MemberStatus.ACTIVE, 3)


class TestGiving:
    def test_a_stamp_with_amount_and_receipt(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        page = give(cashier, member, count="۲", amount="۱۲٫۵۰", receipt_no="R-17")
        assert (page.status_code, page.request.path) == (200, f"/till/m/{member.id}")
        said = text_of(page)
        assert "2 stamps given" in said
        assert "2 of 10 stamps" in said
        assert "€12.50 R-17" in said

    def test_the_answer_is_a_redirect_so_that_a_reload_only_looks(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        answer = cashier.post(f"/till/m/{member.id}/stamps", data=stamp_form(member))
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/till/m/{member.id}")
        assert "1 stamp given" in text_of(cashier.get(f"/till/m/{member.id}"))
        assert "1 stamp given" not in text_of(cashier.get(f"/till/m/{member.id}"))
        assert now_of(shop, member).stamps == 1

    def test_the_same_form_again_says_the_same_and_gives_nothing(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        pages = [give(cashier, member) for _ in range(3)]
        assert [(200, True)] * 3 == [(page.status_code, "1 stamp given" in text_of(page)) for page in pages]
        assert now_of(shop, member).stamps == 1

    def test_every_page_has_a_new_key(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        keys = [
            re.findall(r'name="key" value="([^"]+)"', cashier.get(f"/till/m/{member.id}").text)[0] for _ in range(2)
        ]
        assert keys[0] != keys[1]

    def test_the_same_key_with_another_count_is_refused(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        give(cashier, member)
        refused = give(cashier, member, count="2")
        assert refused.status_code == 409
        assert "This form was sent already." in text_of(refused)
        assert now_of(shop, member).stamps == 1

    def test_a_form_without_its_key_is_refused(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        assert give(cashier, member, key="").status_code == 400
        assert now_of(shop, member).stamps == 0

    def test_a_refusal_keeps_what_was_typed_and_may_be_sent_again(self, cashier: FlaskClient, shop: Shop) -> None:
        shop.change_program(smallest_purchase="3.50")
        member = shop.member()
        missing = give(cashier, member, receipt_no="R-17")
        assert missing.status_code == 422
        assert "Enter the purchase amount: a stamp needs a purchase of €3.50 or more." in text_of(missing)
        small = give(cashier, member, amount="3,49", receipt_no="R-17")
        assert "No stamp: the purchase must be €3.50 or more." in text_of(small)
        assert 'value="3,49"' in small.text
        assert 'value="R-17"' in small.text
        assert "1 stamp given" in text_of(give(cashier, member, amount="3,50"))

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({"count": "0"}, "Give between 1 and 20 stamps at a time."),
            ({"count": "21"}, "Give between 1 and 20 stamps at a time."),
            ({"count": "two"}, "Give between 1 and 20 stamps at a time."),
            ({"count": "²"}, "Give between 1 and 20 stamps at a time."),
            ({"count": ""}, "Give between 1 and 20 stamps at a time."),
            ({"amount": "a lot"}, "Enter an amount such as 12.50."),
            ({"amount": "1.234"}, "Enter an amount such as 12.50."),
            ({"amount": "-5"}, "Enter an amount such as 12.50."),
        ],
    )
    def test_nonsense_is_refused_at_its_field(
        self, cashier: FlaskClient, shop: Shop, values: dict[str, str], said: str
    ) -> None:
        member = shop.member()
        refused = give(cashier, member, **values)
        assert refused.status_code == 422
        assert said in text_of(refused)
        assert 'aria-invalid="true"' in refused.text
        assert now_of(shop, member).stamps == 0

    def test_before_the_start_the_day_is_told(
        self, cashier: FlaskClient, shop: Shop, at: Callable[[datetime], None]
    ) -> None:
        shop.change_program(starts_on="2027-04-01")
        member = shop.member()
        at(NOON)
        refused = give(cashier, member)
        assert refused.status_code == 409
        assert "The programme starts on 1 April 2027." in text_of(refused)

    def test_who_was_blocked_meanwhile_gets_nothing(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        members.set_status(shop.ctx, shop.owner, member.id, MemberStatus.BLOCKED)
        assert give(cashier, member).status_code == 403
        assert now_of(shop, member).stamps == 0

    def test_the_stamp_that_fills_the_card_tells_of_the_reward(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        page = give(cashier, member, count="10")
        assert "A reward to use: Free coffee" in text_of(page)
        assert "1 reward is ready" in text_of(page)

    def test_markup_in_a_name_stays_text(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member(name="<script>alert(1)</script>")
        assert "<script>alert" not in found(cashier, member.card_code).text


class TestRedeemingAndUndoing:
    def test_a_reward_is_used_once(self, cashier: FlaskClient, shop: Shop, at: Callable[[datetime], None]) -> None:
        shop.change_program(reward_valid_days="30")
        at(NOON)
        member = shop.member()
        page = give(cashier, member, count="10")
        assert "Last day: 31 March 2027" in text_of(page)
        reward = str(now_of(shop, member).rewards[0].id)

        def redeem(key: str) -> TestResponse:
            form = {"reward_id": reward, "key": key}
            found(cashier, member.card_code)
            return cashier.post(f"/till/m/{member.id}/redeem", data=form, follow_redirects=True)

        assert "Reward used: Free coffee" in text_of(redeem("a"))
        assert "Reward used: Free coffee" in text_of(redeem("a"))
        again = redeem("b")
        assert (again.status_code, "This reward has been used already." in text_of(again)) == (409, True)

    def test_the_newest_act_can_be_undone_then_the_one_before(self, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        give(cashier, member, key="a")
        page = give(cashier, member, key="b", count="3")

        def undo(page: TestResponse, key: str) -> TestResponse:
            operations = re.findall(r'name="operation_id" value="([^"]+)"', page.text)
            assert len(operations) == 1
            form = {"operation_id": operations[0], "key": key}
            return cashier.post(f"/till/m/{member.id}/undo", data=form, follow_redirects=True)

        after = undo(page, "c")
        assert "Undone" in text_of(after)
        assert "3 stamps undone" in text_of(after)
        assert now_of(shop, member).stamps == 1
        undo(after, "d")
        assert now_of(shop, member).stamps == 0

    def test_the_same_undo_again_says_the_same_and_another_says_that_it_is_done(
        self, cashier: FlaskClient, shop: Shop
    ) -> None:
        member = shop.member()
        answer, _ = till.give_stamps(shop.ctx, shop.cashier, member.card_code)
        statuses = [
            cashier.post(f"/till/m/{member.id}/undo", data={"operation_id": answer["entry_id"], "key": key}).status_code
            for key in ("a", "a", "b")
        ]
        assert [303, 303, 409] == statuses

    def test_what_somebody_else_did_has_no_undo_button(self, sign_in: SignIn, cashier: FlaskClient, shop: Shop) -> None:
        member = shop.member()
        till.give_stamps(shop.ctx, shop.owner, member.card_code)
        assert "operation_id" not in found(cashier, member.card_code).text
        assert "operation_id" in found(sign_in(Role.MANAGER), member.card_code).text

    @pytest.mark.parametrize("form", [{}, {"operation_id": "x", "reward_id": "x"}])
    def test_broken_forms_are_refused(self, cashier: FlaskClient, shop: Shop, form: dict[str, str]) -> None:
        member = shop.member()
        for act in ("undo", "redeem"):
            assert cashier.post(f"/till/m/{member.id}/{act}", data={"key": "k", **form}).status_code == 400


class TestLocations:
    def test_one_location_is_never_asked_for(self, cashier: FlaskClient, shop: Shop) -> None:
        assert "This till is at" not in cashier.get("/till").text

    def test_the_chosen_one_stands_in_the_form_and_in_the_ledger(self, cashier: FlaskClient, shop: Shop) -> None:
        harbour = programs.save_location(shop.ctx, Actor(shop.program.id), {"name": "Satama"})
        member = shop.member()
        assert f'name="location_id" value="{shop.location.id}"' in found(cashier, member.card_code).text
        cashier.post("/till/location", data={"location": str(harbour.id)})
        assert f'name="location_id" value="{harbour.id}"' in found(cashier, member.card_code).text
        give(cashier, member, location_id=str(harbour.id))
        assert till.history(shop.ctx, shop.cashier, member.id)[0].location == "Satama"

    @pytest.mark.parametrize("chosen", ["", "x", "0192e4a0-0000-7000-8000-000000000000"])
    def test_nonsense_leaves_it_as_it_was(self, cashier: FlaskClient, shop: Shop, chosen: str) -> None:
        programs.save_location(shop.ctx, Actor(shop.program.id), {"name": "Satama"})
        cashier.post("/till/location", data={"location": chosen})
        page = found(cashier, shop.member().card_code)
        assert f'name="location_id" value="{shop.location.id}"' in page.text

    def test_a_location_of_another_programme_is_refused(self, cashier: FlaskClient, shop: Shop) -> None:
        other = open_shop(shop.ctx, "toinen")
        member = shop.member()
        assert give(cashier, member, location_id=str(other.location.id)).status_code == 404
        assert now_of(shop, member).stamps == 0


def picture_of(code: str, kind: str = "JPEG", size: tuple[int, int] = (1280, 720)) -> bytes:
    qr = BytesIO()
    segno.make(code, micro=False).save(qr, kind="png", scale=6)
    picture = Image.new("L", size, 190)
    if code:
        picture.paste(Image.open(qr).convert("L").rotate(12, expand=True, fillcolor=190), (420, 200))
    file = BytesIO()
    picture.save(file, kind)
    return file.getvalue()


class TestCameraFrames:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG"])
    def test_the_code_in_a_frame_is_read(self, cashier: FlaskClient, shop: Shop, kind: str) -> None:
        code = shop.member().card_code
        answer = cashier.post("/till/frame", data=picture_of(code, kind))
        assert (answer.status_code, answer.json) == (200, {"text": code})

    def test_a_frame_without_a_code_has_no_answer(self, cashier: FlaskClient) -> None:
        blank = BytesIO()
        Image.new("RGB", (640, 480), "white").save(blank, "JPEG")
        answer = cashier.post("/till/frame", data=blank.getvalue())
        assert (answer.status_code, answer.data) == (204, b"")

    @pytest.mark.parametrize("body", [b"", b"not a picture", b"\xff\xd8\xff\xe0garbage", b"GIF89a\x01\x00\x01\x00"])
    def test_what_is_no_picture_is_refused(self, cashier: FlaskClient, body: bytes) -> None:
        assert cashier.post("/till/frame", data=body).status_code == 422

    def test_the_tills_script_is_told_why_in_words_to_show(self, cashier: FlaskClient) -> None:
        answer = cashier.post("/till/frame", data=b"not a picture", headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json) == (422, {"detail": "The camera's picture could not be read."})

    def test_a_picture_cut_short_is_refused(self, cashier: FlaskClient) -> None:
        assert cashier.post("/till/frame", data=picture_of("A" * 16, "PNG")[:900]).status_code == 422

    def test_too_many_bytes_and_too_many_pixels_are_refused(self, cashier: FlaskClient) -> None:
        assert cashier.post("/till/frame", data=b"\xff" * (frames.MOST_BYTES + 1)).status_code == 413
        for size in ((1921, 10), (9000, 9000), (30_000, 30_000)):
            bomb = BytesIO()
            Image.new("1", (1, 1)).save(bomb, "PNG")
            data = bytearray(bomb.getvalue())
            data[16:24] = size[0].to_bytes(4) + size[1].to_bytes(4)
            data[29:33] = _crc(bytes(data[12:29]))
            assert cashier.post("/till/frame", data=bytes(data)).status_code == 413

    def test_only_till_staff_may_send_them(self, client: FlaskClient, sign_in: SignIn) -> None:
        assert client.post("/till/frame", data=b"x").status_code == 302
        assert sign_in(Role.MARKETER).post("/till/frame", data=b"x").status_code == 403


def _crc(chunk: bytes) -> bytes:
    return zlib.crc32(chunk).to_bytes(4)
