"""The question's page, and what the office shows of the answers."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from app.db.people import Role
from app.services import members, nps, nps_desk, nps_rules
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration.campaign_links import recipient, run_of

RULES = {"active": "on", "after_visits": "2", "period_days": "30", "ask_by": "card"}


@pytest.fixture
def anna(shop: Shop) -> MemberView:
    nps_rules.save(shop.ctx, shop.owner, RULES | {"question_en": "Would you send a friend to us?"})
    return shop.member(1, name="Anna")


def path(shop: Shop, member: MemberView) -> str:
    return f"/n/{nps.token_for(shop.ctx, member.id, nps.PAGE)}"


def test_the_page_asks_takes_the_answer_and_thanks(client: FlaskClient, shop: Shop, anna: MemberView):
    address = path(shop, anna)
    page = client.get(address)
    assert "Would you send a friend to us?" in page.text
    assert 11 == page.text.count('type="radio"')
    assert "no-referrer" == page.headers["Referrer-Policy"]
    assert 303 == client.post(address, data={"score": "4", "comment": "Cold"}).status_code
    thanks = client.get(address).text
    assert "Thank you for your answer!" in thanks
    assert "Cold" in thanks
    assert 'value="4" checked' in client.get(f"{address}?change=1").text


def test_without_a_number_the_page_says_so_and_keeps_what_was_written(
    client: FlaskClient, shop: Shop, anna: MemberView
):
    answer = client.post(path(shop, anna), data={"comment": "Lovely"})
    assert 422 == answer.status_code
    assert "Please choose a number from 0 to 10." in answer.text
    assert "Lovely" in answer.text


def test_an_unknown_question_leads_nowhere(client: FlaskClient, shop: Shop):
    assert [404, 404] == [client.get(f"/n/{token}").status_code for token in ("x" * 12, "x")]


def test_the_owners_own_survey_is_led_to_as_it_is_stored(client: FlaskClient, shop: Shop, anna: MemberView):
    nps_rules.save(shop.ctx, shop.owner, RULES | {"survey_url": "https://survey.example/kulma"})
    answer = client.get(f"{path(shop, anna)}?next=https://evil.example")
    assert (302, "https://survey.example/kulma") == (answer.status_code, answer.location)


def test_a_campaigns_link_leads_each_to_their_own_question(client: FlaskClient, shop: Shop, anna: MemberView):
    bert = shop.member(2)
    run = run_of(shop, "survey")
    for member in (anna, bert):
        recipient(shop, run, member)
    places = [client.get(f"/l/Token_{member.phone[-4:]}").location for member in (anna, bert)]
    assert [path(shop, anna), path(shop, bert)] == places
    client.post(places[0], data={"score": "10"})
    (answer,) = nps_desk.of_member(shop.ctx, shop.owner, anna.id)
    assert 10 == answer.score


def test_the_office_shows_the_figure_the_words_and_whom_to_see_to(
    client: FlaskClient, shop: Shop, anna: MemberView, sign_in: Callable[[Role], FlaskClient]
):
    client.post(path(shop, anna), data={"score": "2", "comment": "Waited for ages"})
    client.post(path(shop, shop.member(2)), data={"score": "9"})
    office = sign_in(Role.MANAGER)
    assert "1 customer gave you 6 or less, and nobody has seen to it." in office.get("/office").text
    page = office.get("/office/nps").text
    assert "Waited for ages" in page
    assert "To see to" in page
    (row,) = nps_desk.to_handle(shop.ctx, shop.owner)
    assert 303 == office.post(f"/office/nps/{row.id}/handled").status_code
    assert "Seen to by Mary" in office.get(f"/office/members/{anna.id}").text
    table = office.get("/office/nps/nps_weeks.csv?weeks=4")
    assert "NPS,Answers" in table.text.replace("\ufeff", "")
    assert 404 == office.get("/office/nps/nps_tiers.csv").status_code


def test_a_marketer_reads_but_does_not_mark_or_set(
    client: FlaskClient, shop: Shop, anna: MemberView, sign_in: Callable[[Role], FlaskClient]
):
    client.post(path(shop, anna), data={"score": "2", "comment": "Waited for ages"})
    (row,) = nps_desk.to_handle(shop.ctx, shop.owner)
    office = sign_in(Role.MARKETER)
    assert "Waited for ages" in office.get("/office/nps").text
    assert 403 == office.post(f"/office/nps/{row.id}/handled").status_code
    assert 403 == office.get("/office/nps/rules").status_code


def test_the_rules_are_told_in_sentences(shop: Shop, sign_in: Callable[[Role], FlaskClient]):
    office = sign_in(Role.OWNER)
    assert "Nobody is asked by itself." in office.get("/office/nps/rules").text
    assert 303 == office.post("/office/nps/rules", data=RULES).status_code
    page = office.get("/office/nps/rules").text
    assert "Whoever has come 2 times since they were last asked is asked" in page
    wrong = office.post("/office/nps/rules", data=RULES | {"period_days": "1"})
    assert 422 == wrong.status_code


def test_the_own_page_asks_until_it_is_answered(client: FlaskClient, shop: Shop, anna: MemberView):
    address = urlsplit(members.card_url(shop.ctx, anna)).path
    assert "How did we do?" in client.get(address).text
    question = client.post(f"{address}/me/survey").location
    assert question == path(shop, anna)
    client.post(question, data={"score": "10"})
    assert "How did we do?" not in client.get(address).text
    assert address == client.post(f"{address}/me/survey").location


def test_the_own_pages_form_ends_here_and_a_page_leads_to_the_owners_own_survey(
    client: FlaskClient, shop: Shop, anna: MemberView
):
    """Browsers refuse a form that redirects to another site than the policy allows."""
    nps_rules.save(shop.ctx, shop.owner, RULES | {"survey_url": "https://survey.example/kulma"})
    address = urlsplit(members.card_url(shop.ctx, anna)).path
    answer = client.post(f"{address}/me/survey")
    question = path(shop, anna)
    assert 200 == answer.status_code
    assert f'<meta http-equiv="refresh" content="0; url={question}">' in answer.text
    assert f'href="{question}"' in answer.text


def test_where_nobody_is_asked_the_own_page_does_not_ask(client: FlaskClient, shop: Shop):
    address = urlsplit(members.card_url(shop.ctx, shop.member(1))).path
    assert "How did we do?" not in client.get(address).text
    assert address == client.post(f"{address}/me/survey").location
