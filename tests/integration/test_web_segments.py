"""The office's segments: built with plain form buttons, counted, kept by name; and lists of phone numbers."""

import io
import json
from collections.abc import Callable
from html import unescape
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from app.db.campaigns import Campaign
from app.db.people import Role
from app.loyalty.segment_leaves import JoinedVia, Speaks, Visits
from app.loyalty.segments import EVERYONE, Group, How, written
from app.services import members, phone_files, phone_lists, segment_forms, segments
from app.services.errors import Refused
from tests.factories import Shop, open_shop
from tests.segment_trees import NOW

SignIn = Callable[[Role], FlaskClient]
FINNISH = {"where-kind": "all", "where-0-kind": "language", "where-0-language": "fi"}


@pytest.fixture
def marketer(sign_in: SignIn) -> FlaskClient:
    return sign_in(Role.MARKETER)


def page(answer: object) -> str:
    return unescape(answer.get_data(as_text=True))  # type: ignore[attr-defined]


def saved(shop: Shop, name: str, **form: str) -> UUID:
    return segments.save(shop.ctx, shop.owner, {"name": name} | {key.replace("_", "-"): form[key] for key in form})


def test_a_condition_is_added_and_removed_by_plain_buttons(marketer: FlaskClient):
    added = page(
        marketer.post(
            "/office/segments/new",
            data={"name": "New", "where-kind": "any", "where-new": "visits", "segment": "add:where"},
        )
    )
    assert 'name="where-0-days"' in added
    assert 'value="New"' in added
    both = FINNISH | {"where-1-kind": "visits", "where-1-least": "12", "where-1-days": "7"}
    left = page(marketer.post("/office/segments/new", data=both | {"segment": "remove:where-0"}))
    assert 'name="where-0-least"' in left
    assert 'value="12"' in left
    assert "where-1-kind" not in left


def test_a_group_can_be_added_in_a_group_but_not_deeper_than_three(marketer: FlaskClient):
    form = {"where-kind": "all", "where-0-kind": "any", "where-0-0-kind": "none"}
    shown = page(marketer.post("/office/segments/new", data=form | {"segment": "count"}))
    assert 2 == shown.count('<option value="group">')
    assert 3 == shown.count('class="segment-group"')


def test_counting_shows_how_many_and_masks_numbers_for_marketers(shop: Shop, sign_in: SignIn, marketer: FlaskClient):
    shop.member(1, language="fi", name="Erin")
    shop.member(2, language="en")
    shown = page(marketer.post("/office/segments/count", data=FINNISH))
    assert "1 member<" in shown
    assert "Erin" in shown
    assert "+358 ** *****01" in shown
    assert "+35840" not in shown.replace(" ", "")
    assert "040 1230001" in page(sign_in(Role.MANAGER).post("/office/segments/count", data=FINNISH))


def test_while_a_field_is_wrong_nothing_is_counted(marketer: FlaskClient):
    form = {"where-kind": "all", "where-0-kind": "birthday", "where-0-days": "soon"}
    answer = marketer.post("/office/segments/count", data=form)
    assert 200 == answer.status_code
    assert "Fill in the conditions" in page(answer)


def test_what_was_built_is_kept_and_shown_again(shop: Shop, marketer: FlaskClient):
    form = FINNISH | {
        "name": "Finns who come",
        "where-1-kind": "none",
        "where-1-0-kind": "spending",
        "where-1-0-least": "12,50",
        "where-1-0-most": "",
        "where-1-0-days": "۳۰",
    }
    assert 303 == marketer.post("/office/segments/new", data=form).status_code
    (kept,) = segments.every(shop.ctx, shop.owner)
    assert ("Finns who come", 2) == (kept.name, kept.conditions)
    shown = page(marketer.get(f"/office/segments/{kept.id}"))
    assert 'value="12.50"' in shown
    assert 'value="30"' in shown
    assert '<option value="fi" selected>' in shown
    assert "Finns who come" in page(marketer.get("/office/segments"))


def test_each_wrong_field_is_named_and_what_was_typed_stays(shop: Shop, marketer: FlaskClient):
    form = {
        "name": "",
        "where-kind": "all",
        "where-0-kind": "visits",
        "where-0-least": "5",
        "where-0-most": "2",
        "where-0-days": "30",
        "where-1-kind": "birthday",
        "where-1-days": "a week",
        "where-2-kind": "any",
    }
    answer = marketer.post("/office/segments/new", data=form)
    assert 422 == answer.status_code
    shown = page(answer)
    for field in ("name", "where-0-most", "where-1-days", "where-2-kind"):
        assert f'id="{field}-error"' in shown
    assert 'value="a week"' in shown
    assert [] == segments.every(shop.ctx, shop.owner)


def test_two_segments_cannot_have_one_name_in_one_programme(shop: Shop, marketer: FlaskClient):
    saved(shop, "Finns")
    answer = marketer.post("/office/segments/new", data=FINNISH | {"name": "Finns"})
    assert 422 == answer.status_code
    assert "Another segment has this name." in page(answer)
    theirs = open_shop(shop.ctx, "other")
    segments.save(shop.ctx, theirs.owner, FINNISH | {"name": "Finns"})
    assert 1 == len(segments.every(shop.ctx, shop.owner))


def test_another_programmes_segment_is_not_there(shop: Shop, marketer: FlaskClient):
    theirs = segments.save(shop.ctx, open_shop(shop.ctx, "other").owner, FINNISH | {"name": "Finns"})
    assert 404 == marketer.get(f"/office/segments/{theirs}").status_code
    assert 404 == marketer.post(f"/office/segments/{theirs}", data=FINNISH | {"name": "Mine"}).status_code
    assert 404 == marketer.post(f"/office/segments/{theirs}/remove").status_code


def test_a_segment_is_changed_and_removed(shop: Shop, marketer: FlaskClient):
    segment_id = saved(shop, "Finns")
    marketer.post(f"/office/segments/{segment_id}", data=FINNISH | {"name": "All Finns"})
    assert Group(How.ALL, (Speaks("fi"),)) == segments.get(shop.ctx, shop.owner, segment_id).tree
    assert 303 == marketer.post(f"/office/segments/{segment_id}/remove").status_code
    assert [] == segments.every(shop.ctx, shop.owner)


def test_without_conditions_a_segment_is_everybody(shop: Shop):
    shop.member(1)
    assert EVERYONE == segments.from_form(shop.ctx, shop.owner, {})
    assert 1 == segments.count(shop.ctx, shop.owner, EVERYONE)


def test_channels_to_choose_from_are_those_through_which_people_joined(shop: Shop, marketer: FlaskClient):
    shop.member(1, via="Poster at the door")
    form = {"where-kind": "all", "where-new": "via", "segment": "add:where"}
    assert '<option value="poster-at-the-door">' in page(marketer.post("/office/segments/builder", data=form))
    tree = Group(How.ALL, (JoinedVia("poster-at-the-door"),))
    assert 1 == segments.count(shop.ctx, shop.owner, tree)


def test_a_condition_cannot_name_what_another_programme_has(shop: Shop):
    theirs = open_shop(shop.ctx, "other")
    form = {"where-kind": "all", "where-0-kind": "location", "where-0-location_id": str(theirs.location.id)}
    with pytest.raises(Exception, match="where-0-location_id"):
        segments.from_form(shop.ctx, shop.owner, form)


def test_a_draft_of_a_tree_is_read_as_the_tree(shop: Shop):
    tree = Group(How.ALL, (Visits(days=30, least=2), Group(How.NONE, (Speaks("ru"), Visits(days=7, most=0)))))
    assert tree == segments.from_form(shop.ctx, shop.owner, segment_forms.draft_of(tree, "EUR").typed)


def test_a_forged_form_of_great_depth_or_strange_kinds_is_refused_in_words(shop: Shop, marketer: FlaskClient):
    deep = {"where" + "-0" * depth + "-kind": "all" for depth in range(5)}
    strange = {"where-kind": "all", "where-0-kind": "sql; DROP TABLE members"}
    for form in (deep, strange, FINNISH | {"where-0-language": "xx"}):
        assert 422 == marketer.post("/office/segments/new", data=form | {"name": "Forged"}).status_code
    assert [] == segments.every(shop.ctx, shop.owner)


def test_the_same_few_members_are_shown_each_time(shop: Shop):
    for number in range(9):
        shop.member(number)
    looks = [segments.look(shop.ctx, shop.owner, EVERYONE) for _ in range(2)]
    assert 9 == looks[0].members
    assert 5 == len(looks[0].sample)
    assert looks[0] == looks[1]
    assert looks[0].sample[:3] == segments.sample(shop.ctx, shop.owner, EVERYONE, 3)


def test_what_takes_too_long_to_count_is_refused_in_plain_words(
    shop: Shop, marketer: FlaskClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(segments, "_PATIENCE_MILLISECONDS", 1)
    for number in range(30):
        shop.member(number)
    with shop.ctx.engine.begin() as locker:
        locker.exec_driver_sql("LOCK TABLE members")
        with pytest.raises(Refused) as refused:
            segments.count(shop.ctx, shop.owner, EVERYONE)
    assert ("segment-too-slow", 503) == (refused.value.kind, refused.value.status)


def upload(browser: FlaskClient, name: str, content: str) -> str:
    data = {"name": name, "file": (io.BytesIO(content.encode()), "list.csv")}
    answer = browser.post("/office/segments/lists/new", data=data)
    assert 200 == answer.status_code, page(answer)
    return page(answer)


def test_a_list_keeps_the_members_among_its_numbers_and_says_what_it_could_not_read(shop: Shop, sign_in: SignIn):
    erin, dave = shop.member(1), shop.member(2)
    rows = ["Phone", "040 123 0001", "+358 40 123 0002", "00358401230001", "0401239999", "nonsense", "", "۰۴۰۱۲۳۰۰۰۲"]
    shown = upload(sign_in(Role.MANAGER), "Fair 2027", "\n".join(rows))
    assert "2 members are on the list." in shown
    assert "Row 6" in shown
    (kept,) = phone_lists.every(shop.ctx, shop.owner)
    assert ("Fair 2027", 6, 2) == (kept.name, kept.rows, kept.members)
    form = {"where-kind": "all", "where-0-kind": "list", "where-0-list_id": str(kept.id)}
    tree = segments.from_form(shop.ctx, shop.owner, form)
    assert {erin.id, dave.id} == {one.id for one in segments.sample(shop.ctx, shop.owner, tree)}


def test_a_list_is_refused_when_it_cannot_be_read(shop: Shop, sign_in: SignIn):
    manager = sign_in(Role.MANAGER)
    upload(manager, "Taken", "0401230001\n")
    for name, content in (("Taken", b"0401230001"), ("", b"0401230001"), ("A", b"PK\x03\x04"), ("B", b"x,y\na,b\n")):
        data = {"name": name, "file": (io.BytesIO(content), "list.csv")}
        assert 422 == manager.post("/office/segments/lists/new", data=data).status_code, content
    assert 1 == len(phone_lists.every(shop.ctx, shop.owner))


def test_marketers_bring_no_lists_since_one_number_would_tell_whether_it_is_a_members(marketer: FlaskClient):
    assert 403 == marketer.get("/office/segments/lists/new").status_code
    assert 403 == marketer.post("/office/segments/lists/new").status_code
    assert "Bring a list" not in page(marketer.get("/office/segments"))


def test_a_list_in_use_stays_until_nothing_names_it(shop: Shop, sign_in: SignIn):
    manager = sign_in(Role.MANAGER)
    upload(manager, "Fair", "0401230001\n")
    list_id = phone_lists.every(shop.ctx, shop.owner)[0].id
    form = {"where-kind": "all", "where-0-kind": "none", "where-0-0-kind": "list", "where-0-0-list_id": str(list_id)}
    segment_id = segments.save(shop.ctx, shop.owner, form | {"name": "Not at the fair"})
    answer = manager.post(f"/office/segments/lists/{list_id}/remove")
    assert 409 == answer.status_code
    assert "Not at the fair" in page(answer)
    segments.remove(shop.ctx, shop.owner, segment_id)
    tree = json.loads(json.dumps(written(segments.from_form(shop.ctx, shop.owner, form))))
    with shop.ctx.sessions.begin() as session:
        campaign = Campaign(program_id=shop.program.id, name="C", tree=tree, created_at=NOW, changed_at=NOW)
        session.add(campaign)
    assert 409 == manager.post(f"/office/segments/lists/{list_id}/remove").status_code
    with shop.ctx.sessions.begin() as session:
        session.delete(session.get_one(Campaign, campaign.id))
    assert 303 == manager.post(f"/office/segments/lists/{list_id}/remove").status_code
    assert [] == phone_lists.every(shop.ctx, shop.owner)


def test_a_number_written_in_any_way_finds_its_member(shop: Shop):
    phone = members.by_id(shop.ctx, shop.owner, shop.member(5).id).phone
    for text in ("040 1230005", "+358401230005", "00 358 40 1230005", "358401230005", "(040) 123-0005"):
        assert phone in phone_files.readings(text, "FI"), text
