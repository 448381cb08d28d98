"""The office's campaigns: writing one, looking at it, starting it, and who may do what."""

import re
from collections.abc import Callable
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db.campaigns import CampaignState
from app.db.ledger import AuditEntry
from app.db.messages import SmsMessage
from app.db.people import Role
from app.services import campaign_control, campaign_rules, campaigns, segments, sms_rules
from app.services.campaign_rules import Rules
from tests.factories import Shop, open_shop

SignIn = Callable[[Role], FlaskClient]
NEW = "/office/campaigns/new"
FORM = {
    "name": "March",
    "who": "everyone",
    "medium": "sms",
    "text_a_en": "{program}: buns for you, {first_name|friend}! {stop}",
    "link": "none",
    "b_percent": "50",
    "holdout_percent": "0",
    "benefit": "none",
    "benefit_days": "14",
    "when": "now",
}
YES = {"sms_marketing": "Yes."}


def written(browser: FlaskClient, **typed: str) -> str:
    """The address of the campaign that was saved."""
    answer = browser.post(NEW, data=FORM | typed)
    assert 303 == answer.status_code, answer.text
    return answer.location


def id_of(address: str) -> UUID:
    return UUID(address.rsplit("/", 1)[-1])


def shown(page: str) -> str:
    """The words of a page's main part."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.partition("<main")[2]).split())


def state(shop: Shop, address: str) -> CampaignState:
    return campaigns.get(shop.ctx, shop.owner, id_of(address)).state


def act(browser: FlaskClient, shop: Shop, address: str, name: str, version: int | None = None) -> int:
    seen = version or campaigns.get(shop.ctx, shop.owner, id_of(address)).version
    return browser.post(f"{address}/{name}", data={"version": str(seen)}).status_code


def test_a_marketer_writes_a_campaign_and_reads_in_words_what_will_happen(shop: Shop, sign_in: SignIn) -> None:
    shop.member(1, name="Erin Example", consents=YES)
    shop.member(2, name="Dave")
    marketer = sign_in(Role.MARKETER)
    page = shown(marketer.get(written(marketer, link="card")).text)
    for words in (
        "Ready to send?",
        "By SMS",
        "Their card",
        "You chose a link, but the text does not have it.",
        "Has not agreed to offers, or wants no more: 1",
        "Kulma Club: buns for you, Erin! No offers: http://localhost:8400/u/xxxxxxxxxx",
        "Send now to 1 person",
        "Written by Max",
    ):
        assert words in page


def test_two_texts_and_who_is_left_out_are_told(shop: Shop, sign_in: SignIn) -> None:
    marketer = sign_in(Role.MARKETER)
    page = shown(
        marketer.get(written(marketer, text_b_en="{program}: buns!", b_percent="30", holdout_percent="5")).text
    )
    for words in ("30% of them read text B", "5% get nothing, to compare with", "Text B, English: The text does not"):
        assert words in page


def test_a_marketer_sees_masked_phones_and_a_manager_whole_ones(shop: Shop, sign_in: SignIn) -> None:
    shop.member(1, name="Erin Example", consents=YES)
    marketer = sign_in(Role.MARKETER)
    address = written(marketer)
    preview = {"action": "preview"}
    for page in (marketer.get(address).text, marketer.post(NEW, data=FORM | preview).text):
        assert "+358 ** ***0001"[:7] in page
        assert "1230001" not in page.replace(" ", "")
    assert "0401230001" in sign_in(Role.MANAGER).get(address).text.replace(" ", "")


def test_counting_and_previewing_keep_what_was_typed_and_save_nothing(shop: Shop, sign_in: SignIn) -> None:
    shop.member(1, name="Erin", consents=YES)
    marketer = sign_in(Role.MARKETER)
    counted = marketer.post(NEW, data=FORM | {"action": "count", "name": ""})
    assert 200 == counted.status_code
    assert "1 Get an SMS" in re.sub(r"(Get an SMS) (\d)", r"\2 \1", shown(counted.text))
    previewed = marketer.post(NEW, data=FORM | {"action": "preview"})
    assert "buns for you, Erin!" in shown(previewed.text)
    assert "buns for you, {first_name|friend}!" in previewed.text
    assert [] == campaigns.every(shop.ctx, shop.owner)


def test_a_preview_of_a_wrong_form_says_what_is_wrong(shop: Shop, sign_in: SignIn) -> None:
    answer = sign_in(Role.MARKETER).post(NEW, data=FORM | {"action": "preview", "text_a_en": "Hi {nmae}"})
    assert 422 == answer.status_code
    assert "There is no field {nmae}" in answer.text.partition('id="text_a_en-error"')[2].partition("</p>")[0]
    assert "Hi {nmae}" in answer.text


def test_nothing_is_saved_while_anything_is_wrong(shop: Shop, sign_in: SignIn) -> None:
    wrong = FORM | {"name": "", "who": "conditions", "where-kind": "all", "where-0-kind": "visits", "where-0-days": "x"}
    answer = sign_in(Role.MARKETER).post(NEW, data=wrong)
    assert 422 == answer.status_code
    assert 'id="name-error"' in answer.text
    assert 'id="where-0-days-error"' in answer.text
    assert [] == campaigns.every(shop.ctx, shop.owner)


def test_conditions_are_added_without_scripts_and_nothing_that_was_typed_is_lost(shop: Shop, sign_in: SignIn) -> None:
    typed = FORM | {"who": "conditions", "where-kind": "all", "where-new": "reward", "segment": "add:where"}
    page = sign_in(Role.MARKETER).post(NEW, data=typed).text
    assert 'name="where-0-kind" value="reward"' in page
    assert "buns for you" in page


def test_a_saved_segment_is_chosen_by_name_and_found_again(shop: Shop, sign_in: SignIn) -> None:
    shop.member(1, consents=YES)
    built = {"name": "Finns", "where-kind": "all", "where-0-kind": "language", "where-0-language": "fi"}
    segment = segments.save(shop.ctx, shop.owner, built)
    marketer = sign_in(Role.MARKETER)
    address = written(marketer, who=f"segment:{segment}")
    assert "Nobody is chosen at the moment." in shown(marketer.get(address).text)
    assert f'value="segment:{segment}" selected' in marketer.get(f"{address}/edit").text


def test_a_segment_that_is_gone_is_told(shop: Shop, sign_in: SignIn) -> None:
    answer = sign_in(Role.MARKETER).post(NEW, data=FORM | {"who": "segment:018f0000-0000-7000-8000-000000000000"})
    assert 422 == answer.status_code
    assert "This segment or list is gone." in answer.text


def test_sending_now_happens_once_however_often_the_button_is_pressed(shop: Shop, sign_in: SignIn) -> None:
    shop.member(1, consents=YES)
    marketer = sign_in(Role.MARKETER)
    address = written(marketer)
    assert [303, 303] == [act(marketer, shop, address, "start") for _ in range(2)]
    view = campaigns.get(shop.ctx, shop.owner, id_of(address))
    assert (CampaignState.RUNNING, 1) == (view.state, len(view.runs))
    page = marketer.get(address).text
    assert [True, False] == [f"{address}/{name}" in page for name in ("pause", "start")]


def test_pause_resume_and_stop_are_a_button_each(shop: Shop, sign_in: SignIn) -> None:
    marketer = sign_in(Role.MARKETER)
    address = written(marketer)
    act(marketer, shop, address, "start")
    states = []
    for name in ("pause", "pause", "resume", "stop", "stop"):
        act(marketer, shop, address, name)
        states.append(state(shop, address).value)
    assert ["paused", "paused", "running", "stopped", "stopped"] == states
    assert 409 == act(marketer, shop, address, "resume")
    assert "This campaign is over." in marketer.post(f"{address}/resume").text


def test_a_repeated_campaign_is_scheduled_and_shows_its_next_times(shop: Shop, sign_in: SignIn) -> None:
    marketer = sign_in(Role.MARKETER)
    address = written(marketer, when="weekly", weekday="4", at_time="10:00")
    assert 303 == act(marketer, shop, address, "schedule")
    page = shown(marketer.get(address).text)
    assert "Every Friday at 10:00" in page
    assert 3 == len(re.findall(r"\d{4} 10:00", page.partition("Next times")[2].partition("Link")[0]))
    assert "Next: " in shown(marketer.get("/office/campaigns").text)
    assert 303 == act(marketer, shop, address, "send-back")
    assert CampaignState.DRAFT is state(shop, address)


def test_a_second_person_approves_when_the_programme_wants_it(shop: Shop, sign_in: SignIn) -> None:
    campaign_rules.save(shop.ctx, shop.owner, Rules(second_person=True))
    marketer, manager = sign_in(Role.MARKETER), sign_in(Role.MANAGER)
    address = written(marketer)
    page = marketer.get(address).text
    assert [True, False] == [f"{address}/{name}" in page for name in ("submit", "start")]
    assert 409 == act(marketer, shop, address, "start")
    assert 303 == act(marketer, shop, address, "submit")
    assert [False, True] == [f"{address}/approve" in browser.get(address).text for browser in (marketer, manager)]
    assert 403 == act(marketer, shop, address, "approve")
    assert 303 == act(manager, shop, address, "approve")
    assert "Approved by Mary" in shown(marketer.get(address).text)
    assert 303 == act(marketer, shop, address, "start")
    assert CampaignState.RUNNING is state(shop, address)


def test_nobody_approves_their_own_campaign(shop: Shop, sign_in: SignIn) -> None:
    campaign_rules.save(shop.ctx, shop.owner, Rules(second_person=True))
    manager = sign_in(Role.MANAGER)
    address = written(manager)
    act(manager, shop, address, "submit")
    assert f"{address}/approve" not in manager.get(address).text
    answer = manager.post(f"{address}/approve", data={"version": "1"})
    assert 403 == answer.status_code
    assert "somebody else has to approve it" in answer.text


def test_what_somebody_else_has_changed_is_not_started_nor_overwritten(shop: Shop, sign_in: SignIn) -> None:
    marketer, manager = sign_in(Role.MARKETER), sign_in(Role.MANAGER)
    address = written(marketer)
    assert 303 == manager.post(f"{address}/edit", data=FORM | {"name": "April", "version": "1"}).status_code
    assert 409 == act(marketer, shop, address, "start", version=1)
    answer = marketer.post(f"{address}/edit", data=FORM | {"name": "May", "version": "1"})
    assert 409 == answer.status_code
    assert "Somebody has changed this campaign meanwhile." in answer.text
    assert 'value="May"' in answer.text
    assert "April" == campaigns.get(shop.ctx, shop.owner, id_of(address)).values.name


def test_a_campaign_that_has_started_is_changed_by_copying_it(shop: Shop, sign_in: SignIn) -> None:
    marketer = sign_in(Role.MARKETER)
    address = written(marketer)
    act(marketer, shop, address, "start")
    assert 409 == marketer.post(f"{address}/edit", data=FORM | {"name": "May", "version": "1"}).status_code
    copied = marketer.post(f"{address}/copy").location
    assert 'value="Copy of March"' in marketer.get(copied).text
    assert 2 == len(campaigns.every(shop.ctx, shop.owner))


def test_a_draft_can_be_removed_and_what_has_run_cannot(shop: Shop, sign_in: SignIn) -> None:
    marketer = sign_in(Role.MARKETER)
    draft, ran = written(marketer), written(marketer)
    act(marketer, shop, ran, "start")
    assert [303, 409] == [marketer.post(f"{address}/remove").status_code for address in (draft, ran)]
    assert 404 == marketer.get(draft).status_code


def test_the_counter_speaks_the_readers_language_and_counts_as_the_sender_does(shop: Shop, sign_in: SignIn) -> None:
    sms_rules.save(
        shop.ctx,
        shop.owner,
        {
            "part_price": "0.07",
            "number_daily_cap": "20",
            "quiet_from": "21:00",
            "quiet_until": "08:00",
            "country_FI": "on",
        },
    )
    marketer = sign_in(Role.MARKETER)
    texts = marketer.post("/office/campaigns/count", data=FORM | {"text_a_en": "Buns 😀 {first_name}" + "x" * 80}).json
    told = texts["texts"]["text_a_en"]
    assert "2 parts | €0.14 | 99 characters (UCS-2)" == told["line"]
    assert 4 == len(told["cautions"])
    assert "These characters make the SMS cost about twice as much: 😀" == told["cautions"][-1]
    long = marketer.post("/office/campaigns/count", data=FORM | {"text_a_en": "x" * 1000}).json["texts"]["text_a_en"]
    assert "That is too long: 6 parts are the most." == long["cautions"][0]
    wrong = marketer.post("/office/campaigns/count", data=FORM | {"text_a_en": "{x"}).json["texts"]["text_a_en"]
    assert ("", True) == (wrong["line"], "is not closed" in wrong["error"])
    wallet = marketer.post("/office/campaigns/count", data=FORM | {"medium": "wallet"}).json["texts"]["text_a_en"]
    assert ("", []) == (wallet["line"], wallet["cautions"])


def test_a_test_goes_to_ones_own_phone_and_counts_for_no_campaign(shop: Shop, sign_in: SignIn) -> None:
    marketer = sign_in(Role.MARKETER)
    address = written(marketer, link="card", text_a_en="{program}: {first_name|friend} {link} {stop}")
    typed = {"test_phone": "040 1230009", "key": "one"}
    assert [303, 303] == [marketer.post(f"{address}/test", data=typed).status_code for _ in range(2)]
    with shop.ctx.sessions() as session:
        (message,) = session.scalars(select(SmsMessage))
        assert message.text.startswith("TEST: Kulma Club: Max http://localhost:8400/join/kulma No offers: ")
        assert (False, None) == (message.marketing, message.member_id)
        assert "campaign.tested" in session.scalars(select(AuditEntry.action)).all()
    assert "begins with TEST" in marketer.get(f"{address}?tested=1").text


@pytest.mark.parametrize("phone", ["", "12", "09 310 1691", "+4915112345678"])
def test_a_test_to_a_phone_that_cannot_get_it_is_explained(shop: Shop, sign_in: SignIn, phone: str) -> None:
    marketer = sign_in(Role.MARKETER)
    answer = marketer.post(f"{written(marketer)}/test", data={"test_phone": phone, "key": "one"})
    assert 422 == answer.status_code
    assert 'id="test_phone-error"' in answer.text


def test_a_cashier_has_no_campaigns(shop: Shop, sign_in: SignIn) -> None:
    cashier = sign_in(Role.CASHIER)
    answers = [cashier.get(path).status_code for path in ("/office/campaigns", NEW, "/office/campaigns/rules")]
    assert [403] * 3 == answers
    assert 403 == sign_in(Role.MARKETER).get("/office/campaigns/rules").status_code


def test_another_programmes_campaign_is_not_there(shop: Shop, sign_in: SignIn) -> None:
    other = open_shop(shop.ctx, "other")
    marketer = sign_in(Role.MARKETER)
    values = campaigns.get(shop.ctx, shop.owner, id_of(written(marketer))).values
    theirs = campaigns.create(shop.ctx, other.owner, values)
    address = f"/office/campaigns/{theirs.id}"
    answers = [marketer.get(address), marketer.get(f"{address}/edit"), marketer.post(f"{address}/edit", data=FORM)]
    answers += [marketer.post(f"{address}/{name}", data={"version": "1"}) for name in ("start", "stop", "copy", "test")]
    assert [404] * 7 == [answer.status_code for answer in answers]
    campaign_control.start_now(shop.ctx, other.owner, theirs.id, 1)


def test_campaign_settings_are_kept_and_wrong_ones_told(shop: Shop, sign_in: SignIn) -> None:
    manager = sign_in(Role.MANAGER)
    typed = {"second_person": "on", "most_offers": "3", "offer_days": "20", "visit_days": "10"}
    assert 303 == manager.post("/office/campaigns/rules", data=typed).status_code
    assert Rules(True, 3, 20, 10) == campaign_rules.get(shop.ctx, shop.program.id)
    answer = manager.post("/office/campaigns/rules", data=typed | {"most_offers": "0"})
    assert 422 == answer.status_code
    assert 'id="most_offers-error"' in answer.text


def test_the_list_says_what_there_is_by_state(shop: Shop, sign_in: SignIn) -> None:
    marketer = sign_in(Role.MARKETER)
    assert "No campaign yet." in shown(marketer.get("/office/campaigns").text)
    written(marketer, name="A draft")
    running = written(marketer, name="A running one")
    act(marketer, shop, running, "start")
    page = shown(marketer.get("/office/campaigns").text)
    assert page.index("Under way") < page.index("A running one") < page.index("Drafts") < page.index("A draft")
