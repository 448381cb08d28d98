"""What newcomers are asked: on the web, at the till, through the API and on the own page, as the owner has set it."""

import io
import json
import re
from collections.abc import Callable
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db.joining import JoinAnswer, QuestionKind
from app.db.keeping import ErasedBy
from app.db.people import Role
from app.loyalty.segment_belonging import Chose
from app.loyalty.segments import Group, How
from app.services import (
    erasing,
    join_answers,
    join_channels,
    join_questions,
    join_rules,
    member_search,
    members,
    segments,
)
from app.services.context import Context
from app.services.errors import InvalidForm, Refused
from app.services.views import MemberView
from app.web.snippets import card
from tests.factories import Shop, open_shop

SignIn = Callable[[Role], FlaskClient]
NEWCOMER = {"phone": "040 123 4567", "terms": "on"}
OPTIONAL = {f"asked_{name}": "optional" for name in join_rules.DETAILS}
DRINK = {
    "text_en": "What do you drink?",
    "text_fi": "Mitä juot?",
    "choice_0_en": "Coffee",
    "choice_0_fi": "Kahvia",
    "choice_1_en": "Tea",
}


def ask(shop: Shop, kind: str = "choice", **form: str) -> UUID:
    words = DRINK if kind == "choice" else {"text_en": "Your dog's name?"}
    return join_questions.add(shop.ctx, shop.owner, QuestionKind(kind), words | form)


def set_rules(shop: Shop, **form: str) -> None:
    join_questions.save_rules(shop.ctx, shop.owner, OPTIONAL | {"till_skips": "on"} | form)


def joins(client: FlaskClient, **typed: str) -> TestResponse:
    return client.post("/join/kulma", data=NEWCOMER | typed)


def field(question: UUID) -> str:
    return join_rules.field_of(question)


def answers(shop: Shop, member: MemberView) -> dict[UUID, str]:
    return {question.id: answer for question, answer in join_answers.of_member(shop.ctx, member)}


def found(shop: Shop) -> MemberView:
    return members.find(shop.ctx, shop.cashier, "0401234567")


def own(shop: Shop, member: MemberView) -> str:
    return f"/c/{members.card_token(shop.ctx, member)}/me"


def calls(client: FlaskClient, shop: Shop, **body: object) -> TestResponse:
    return client.post(
        "/api/v1/members",
        data=json.dumps({"phone": "0401234567"} | body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {shop.api_key}"},
    )


def test_the_web_asks_what_the_owner_wants_and_joins_nobody_without_the_musts(client: FlaskClient, shop: Shop) -> None:
    set_rules(shop, asked_name="required", asked_email="off", asked_birth_date="required")
    drink = ask(shop, required="on")
    page = client.get("/join/kulma").text
    assert 'id="email"' not in page
    assert re.search(r'id="name"[^>]* required', page)
    refused = joins(client, city="Turku")
    assert 422 == refused.status_code
    wrong = {name for name in ("name", "birth_date", field(drink), "city") if f'id="{name}-error"' in refused.text}
    assert {"name", "birth_date", field(drink)} == wrong
    assert 'value="Turku"' in refused.text
    assert [] == member_search.search(shop.ctx, shop.owner)[0]
    told = {"name": "Erin", "birth_date": "1990-05-17", field(drink): "1", "email": "erin@example.com"}
    assert 303 == joins(client, **told).status_code
    assert ("Erin", "") == (found(shop).name, found(shop).email)  # what is not asked is not kept
    assert {drink: "1"} == answers(shop, found(shop))


def test_a_known_number_gets_no_new_answers_and_tells_nothing(client: FlaskClient, shop: Shop) -> None:
    drink = ask(shop, required="on")
    assert 422 == joins(client).status_code
    joins(client, **{field(drink): "0"})
    assert 422 == joins(client).status_code  # as for a stranger's
    assert 303 == joins(client, **{field(drink): "1"}).status_code
    assert {drink: "0"} == answers(shop, found(shop))


def test_the_till_may_skip_the_musts_or_not(shop: Shop, sign_in: SignIn) -> None:
    set_rules(shop, asked_name="required")
    drink = ask(shop, required="on")
    till = sign_in(Role.CASHIER)
    assert 303 == till.post("/till/join", data=NEWCOMER).status_code
    assert {} == answers(shop, found(shop))
    set_rules(shop, asked_name="required", till_skips="")
    second = NEWCOMER | {"phone": "040 123 0002"}
    assert 422 == till.post("/till/join", data=second).status_code
    whole = second | {"name": "Bo", field(drink): "1"}
    assert 303 == till.post("/till/join", data=whole).status_code
    assert 303 == till.post("/till/join", data=NEWCOMER).status_code  # who is a member already is asked nothing


def test_the_api_takes_answers_and_tells_what_is_asked(client: FlaskClient, shop: Shop) -> None:
    drink, day = ask(shop, required="on"), ask(shop, "date", text_en="Wedding day?")
    headers = {"Authorization": f"Bearer {shop.api_key}"}
    joining = client.get("/api/v1/program", headers=headers).json["joining"]  # type: ignore[index] # JSON
    assert [(str(drink), True), (str(day), False)] == [(one["id"], one["required"]) for one in joining["questions"]]
    assert [{"answer": "0", "text": "Coffee"}, {"answer": "1", "text": "Tea"}] == joining["questions"][0]["choices"]
    for wrong in ({str(drink): "7"}, {str(day): "2027-02-30"}, {str(shop.program.id): "1"}):
        refused = calls(client, shop, answers=wrong)
        assert (422, [field(UUID(next(iter(wrong))))]) == (refused.status_code, list(refused.json["errors"]))  # type: ignore[index]
    made = calls(client, shop, answers={str(drink): "1", str(day): "2020-06-20"})
    kept = {str(drink): "1", str(day): "2020-06-20"}
    assert (201, kept) == (made.status_code, made.json["answers"])  # type: ignore[index]
    again = calls(client, shop)
    assert (200, None) == (again.status_code, again.json["answers"])  # type: ignore[index]
    card_code = made.json["card_code"]  # type: ignore[index]
    assert kept == client.get(f"/api/v1/members/{card_code}", headers=headers).json["answers"]  # type: ignore[index]


def test_the_api_may_skip_the_musts_only_if_the_till_may(client: FlaskClient, shop: Shop) -> None:
    drink = ask(shop, required="on")
    set_rules(shop, till_skips="")
    refused = calls(client, shop)
    assert (422, [field(drink)]) == (refused.status_code, list(refused.json["errors"]))  # type: ignore[index]
    set_rules(shop)
    assert 201 == calls(client, shop).status_code


def test_the_own_page_asks_for_the_rest_and_makes_nothing_a_must(client: FlaskClient, shop: Shop) -> None:
    member = shop.member(1, name="Erin")
    drink, dog = ask(shop, required="on"), ask(shop, "text")
    set_rules(shop, asked_city="required", asked_birth_date="off")
    page = client.get(own(shop, member)).text
    missing = page.partition('id="more"')[2].partition("</ul>")[0]
    assert [True, True, False] == [f'href="#{name}"' in missing for name in ("city", field(drink), field(dog))]
    assert 'id="birth_date"' not in page
    assert 200 == client.get(own(shop, member).removesuffix("/me")).status_code
    details = {"name": "Erin", "language": "en"}
    told = details | {field(drink): "1", field(dog): " Rex 🐕 "}
    assert 303 == client.post(own(shop, member) + "/details", data=told).status_code
    assert {drink: "1", dog: "Rex 🐕"} == answers(shop, member)
    assert 303 == client.post(own(shop, member) + "/details", data=details).status_code
    assert {drink: "1", dog: "Rex 🐕"} == answers(shop, member)  # a page of before asks nothing
    emptied = details | {field(drink): "", field(dog): "Rex"}
    client.post(own(shop, member) + "/details", data=emptied)
    assert {dog: "Rex"} == answers(shop, member)
    assert 422 == client.post(own(shop, member) + "/details", data=details | {field(drink): "9"}).status_code


def test_an_answer_outlives_its_choice_and_its_question(client: FlaskClient, shop: Shop, sign_in: SignIn) -> None:
    drink = ask(shop)
    joins(client, **{field(drink): "1"})
    join_questions.change(shop.ctx, shop.owner, drink, DRINK | {"choice_1_en": "", "choice_2_en": "Cocoa"})
    asked = join_rules.get(shop.ctx, shop.program.id).asked[0]
    assert [("0", "Kahvia"), ("2", "Cocoa")] == asked.offered("fi")
    assert "This can no longer be chosen" in joins(client, phone="0401230002", **{field(drink): "1"}).text
    page = client.get(own(shop, found(shop))).text
    assert '<option value="1" selected>Tea</option>' in page
    client.post(own(shop, found(shop)) + "/details", data={"language": "en", field(drink): "1"})
    join_questions.set_active(shop.ctx, shop.owner, drink, False)
    assert field(drink) not in client.get("/join/kulma").text
    assert {drink: "1"} == answers(shop, found(shop))
    office = sign_in(Role.MANAGER).get(f"/office/members/{found(shop).id}").text
    assert "What do you drink?" in office
    assert "Tea" in office.partition('id="answers-title"')[2]
    assert "answers-title" not in sign_in(Role.MARKETER).get(f"/office/members/{found(shop).id}").text


def test_answers_are_in_the_download_in_words_and_go_with_the_member(client: FlaskClient, shop: Shop) -> None:
    drink = ask(shop)
    joins(client, **{field(drink): "0"})
    member = found(shop)
    kept = json.loads(client.get(own(shop, member) + "/data.json").data)
    assert [{"question": "What do you drink?", "answer": "Coffee"}] == kept["joining_answers"]
    assert erasing.erase(shop.ctx, shop.owner, member.id, ErasedBy.MEMBER)
    with shop.ctx.sessions() as session:
        assert [] == session.scalars(select(JoinAnswer)).all()


def test_three_questions_are_the_most_and_stand_in_the_owners_order(shop: Shop, sign_in: SignIn) -> None:
    ids = [ask(shop, "text", text_en=f"{number}?") for number in range(3)]
    with pytest.raises(Refused, match="3 questions are asked at most"):
        ask(shop, "text")
    office = sign_in(Role.MANAGER)

    def order() -> list[UUID]:
        return [question.id for question in join_rules.get(shop.ctx, shop.program.id).asked]

    for number, act, expected in ((2, "up", [0, 2, 1]), (0, "up", [0, 2, 1]), (0, "down", [2, 0, 1])):
        assert 303 == office.post(f"/office/joining/questions/{ids[number]}/{act}").status_code
        assert [ids[place] for place in expected] == order()
    office.post(f"/office/joining/questions/{ids[0]}/stop")
    fourth = ask(shop, "text")
    assert [ids[2], ids[1], fourth] == order()
    refused = office.post(f"/office/joining/questions/{ids[0]}/ask")
    assert (409, True) == (refused.status_code, "3 questions are asked at most" in refused.text)
    assert 303 == office.post(f"/office/joining/questions/{ids[0]}/remove").status_code


def test_an_answered_question_is_not_removed(client: FlaskClient, shop: Shop) -> None:
    drink = ask(shop)
    joins(client, **{field(drink): "0"})
    with pytest.raises(Refused, match="Stop asking it instead"):
        join_questions.remove(shop.ctx, shop.owner, drink)


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ({"text_en": ""}, "text_en"),
        ({"text_en": "x" * 201}, "text_en"),
        ({"choice_1_en": ""}, "choice_0_en"),
        ({"choice_1_en": "", "choice_1_fi": "Teetä"}, "choice_1_en"),
        ({"choice_1_en": "x" * 81}, "choice_1_en"),
    ],
)
def test_a_question_that_cannot_be_is_refused_at_its_field(
    shop: Shop, sign_in: SignIn, form: dict[str, str], wrong: str
) -> None:
    with pytest.raises(InvalidForm) as raised:
        ask(shop, **form)
    assert [wrong] == list(raised.value.errors)
    answer = sign_in(Role.MANAGER).post("/office/joining/questions/new", data={"kind": "choice"} | DRINK | form)
    assert (422, True) == (answer.status_code, f'id="{wrong}-error"' in answer.text)


def test_the_picture_of_the_form_follows_what_is_chosen_and_saves_nothing(shop: Shop, sign_in: SignIn) -> None:
    office = sign_in(Role.MANAGER)
    drawn = office.post("/office/joining/preview", data=OPTIONAL | {"asked_city": "off"}).text
    assert [True, False] == [f'id="{name}"' in drawn for name in ("email", "city")]
    assert 'id="city"' in office.get("/office/joining").text
    assert 422 == office.post("/office/joining/preview", data=OPTIONAL | {"asked_city": "maybe"}).status_code


def test_segments_choose_by_an_answer(client: FlaskClient, shop: Shop) -> None:
    drink = ask(shop)
    joins(client, **{field(drink): "1"})
    joins(client, phone="0401230002", **{field(drink): "0"})
    tree = Group(How.ALL, (Chose(f"{drink}.1"),))
    assert [found(shop).id] == [one.id for one in segments.sample(shop.ctx, shop.owner, tree)]
    draft = {"where-kind": "all", "where-0-kind": "answer", "where-0-answer": f"{drink}.1"}
    assert tree == segments.from_form(shop.ctx, shop.owner, draft)


def test_programmes_do_not_see_each_others_questions(ctx: Context, shop: Shop, client: FlaskClient) -> None:
    theirs = open_shop(ctx, "other")
    question = ask(theirs)
    assert field(question) not in client.get("/join/kulma").text
    refused = calls(client, shop, answers={str(question): "0"})
    assert (422, [field(question)]) == (refused.status_code, list(refused.json["errors"]))  # type: ignore[index]
    for act in (
        lambda: join_questions.get(ctx, shop.owner, question),
        lambda: join_questions.change(ctx, shop.owner, question, DRINK),
        lambda: join_questions.move(ctx, shop.owner, question, 1),
        lambda: join_questions.set_active(ctx, shop.owner, question, False),
        lambda: join_questions.remove(ctx, shop.owner, question),
    ):
        with pytest.raises(Refused, match="no such question"):
            act()  # type: ignore[no-untyped-call]


def test_each_place_has_its_link_and_counts_who_joined_there(client: FlaskClient, shop: Shop, sign_in: SignIn) -> None:
    office = sign_in(Role.MARKETER)
    added = office.post("/office/channels", data={"tag": "Table 7"})
    assert "/office/channels?via=table-7" == added.location
    joins(client, via="table-7")
    page = office.get(added.location).text
    assert 'value="http://localhost:8400/join/kulma?via=table-7"' in page
    row = page.partition("table-7</bdi></a>")[2].partition("</tr>")[0]
    assert ["1", "1"] == re.findall(r'class="number">(\d+)<', row)
    assert 422 == office.post("/office/channels", data={"tag": "!?"}).status_code
    office.post("/office/channels/remove", data={"tag": "table-7"})
    kept = {channel.tag: channel for channel in join_channels.every(shop.ctx, shop.owner)}
    assert (False, 1) == (kept["table-7"].own, kept["table-7"].joins)


def test_a_place_named_before_rules_were_set_keeps_the_rules_of_none(shop: Shop) -> None:
    join_channels.add(shop.ctx, shop.owner, {"tag": "fair"})
    asked = join_rules.get(shop.ctx, shop.program.id)
    assert (True, ("fair",), True) == (asked.till_skips, asked.channels, asked.asks("city"))
    set_rules(shop, asked_city="off")
    assert ("fair",) == join_rules.get(shop.ctx, shop.program.id).channels


def test_qr_codes_are_files_for_print_that_open_the_link(shop: Shop, sign_in: SignIn) -> None:
    office = sign_in(Role.MARKETER)
    png = office.get("/office/channels/code.png?via=receipt")
    assert "filename=kulma-receipt.png" in png.headers["Content-Disposition"]
    assert Image.open(io.BytesIO(png.data)).size[0] >= 600
    svg = office.get("/office/channels/code.svg?via=receipt")
    assert ("image/svg+xml", True) == (svg.mimetype, svg.data.startswith(b"<?xml"))
    assert 404 == office.get("/office/channels/code.pdf?via=receipt").status_code


def test_the_html_for_the_shops_page_is_a_link_without_script_and_safe_for_any_name(shop: Shop) -> None:
    program = shop.change_program(name='<b>"Kulma" & co</b>', reward_name="Coffee <small>")
    made = card(program, "https://leima.example/join/kulma?via=site&x=1", "fa")
    assert 'href="https://leima.example/join/kulma?via=site&amp;x=1" lang="fa" dir="rtl"' in made
    assert "&lt;b&gt;&#34;Kulma&#34; &amp; co&lt;/b&gt;" in made
    assert not re.search(r"<(script|iframe|b|small)\b", made)
