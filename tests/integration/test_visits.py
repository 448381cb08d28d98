"""Visits: once in the set hours by the moment the card was shown, in any order of arrival, and what they give."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from flask import Flask

from app import clock
from app.db.guard import AlertState
from app.db.people import MemberStatus, Role
from app.services import (
    card_state,
    cards,
    doctoring,
    guard_desk,
    members,
    old_cards,
    programs,
    purchases,
    staff_figures,
    till,
    visit_figures,
    visit_rules,
    visits,
)
from app.services.context import Actor
from app.services.errors import Refused
from app.services.purchases import PurchaseRequest
from app.services.views import MemberView
from tests.factories import Shop, open_shop
from tests.integration.visit_shop import count_visits, give_at

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def hours(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def came(shop: Shop, member: MemberView, moment: datetime | None = None, **more: object) -> dict[str, object]:
    return visits.record(shop.ctx, shop.cashier, member.card_code, at=moment, **more)[0]  # type: ignore[arg-type]


def number(shop: Shop, member: MemberView) -> int:
    return members.by_id(shop.ctx, shop.cashier, member.id).visits


def test_a_visit_counts_once_in_the_set_hours_and_the_second_is_told_of_the_first(shop: Shop, at):
    count_visits(shop)
    member = shop.member(name="Anna Virtanen")
    at(NOON)
    first = came(shop, member)
    at(hours(2))
    second = came(shop, member)
    at(hours(12))
    third = came(shop, member)

    assert (True, 1, None) == (first["counted"], first["visits"], first["instead"])
    assert (False, 1, NOON.isoformat(), None) == tuple(second[x] for x in ("counted", "visits", "instead", "entry_id"))
    assert (True, 2) == (third["counted"], third["visits"])
    assert [] == doctoring.differences(shop.ctx)


def test_whatever_the_order_in_which_doors_tell_the_number_of_visits_is_the_same(shop: Shop, at):
    count_visits(shop)
    at(hours(48))
    moments = [hours(0), hours(10), hours(20), hours(31)]
    found = set()
    for place, order in enumerate(permutations(moments)):
        member = shop.member(place)
        for moment in order:
            came(shop, member, moment)
        found.add(number(shop, member))
    assert {2} == found  # the first, and the one twenty hours later
    assert [] == doctoring.differences(shop.ctx)


def test_a_card_an_old_card_and_a_phone_number_are_all_a_visit_of_their_member(shop: Shop):
    count_visits(shop, hours=0)
    member = shop.member()
    old_cards.add(shop.ctx, shop.cashier, member.id, "KORTTI 4711")
    for shown in ({"code": member.card_code}, {"code": "kortti-4711"}, {"phone": member.phone}, {"card": "KORTTI4711"}):
        visits.record(shop.ctx, shop.cashier, **shown)  # type: ignore[arg-type]
    assert 4 == number(shop, member)


def test_a_key_counts_once_also_when_another_cashier_sends_the_queue(shop: Shop):
    count_visits(shop, hours=0)
    member = shop.member()
    moment = clock.now() - timedelta(minutes=5)
    dora = Actor(shop.program.id, staff_id=shop.second_cashier.id, location_id=shop.location.id)
    first, repeated = visits.record(shop.ctx, shop.cashier, member.card_code, at=moment, key="a" * 32)
    again, repeats = visits.record(shop.ctx, dora, member.card_code, at=moment, device_now=clock.now(), key="a" * 32)
    assert (False, True) == (repeated, repeats)
    assert first == again
    assert 1 == number(shop, member)


def test_rewards_come_at_the_nth_visit_and_at_every_nth(shop: Shop, at):
    count_visits(shop)
    give_at(shop, 5, name="Free cake")
    give_at(shop, 2, every=True)
    member = shop.member()
    given = []
    for day in range(6):
        at(NOON + timedelta(days=day))
        answer = came(shop, member)
        given.append([reward["name"] for reward in answer["issued"]])  # type: ignore[attr-defined]
    assert [[], ["Free coffee"], [], ["Free coffee"], ["Free cake"], ["Free coffee"]] == given
    assert {"name": "Free coffee", "visits_left": 2} == answer["next_reward"]
    assert [] == doctoring.differences(shop.ctx)


def test_undoing_a_visit_takes_its_reward_back_and_the_next_visit_gives_it_again(shop: Shop, at):
    count_visits(shop, hours=0)
    give_at(shop, 2)
    member = shop.member()
    came(shop, member)
    second = came(shop, member)
    till.undo(shop.ctx, shop.cashier, UUID(str(second["entry_id"])))
    after = members.by_id(shop.ctx, shop.cashier, member.id)
    assert (1, ()) == (after.visits, after.rewards)
    assert 1 == len(came(shop, member)["issued"])  # type: ignore[arg-type]
    assert [] == doctoring.differences(shop.ctx)


def test_undoing_an_earlier_visit_does_not_give_the_same_reward_twice(shop: Shop):
    count_visits(shop, hours=0)
    give_at(shop, 2)
    member = shop.member()
    first = came(shop, member)
    came(shop, member)
    till.undo(shop.ctx, shop.owner, UUID(str(first["entry_id"])))
    assert [] == came(shop, member)["issued"]
    assert (2, 1) == (number(shop, member), len(members.by_id(shop.ctx, shop.cashier, member.id).rewards))


def test_a_visit_whose_reward_was_used_cannot_be_undone(shop: Shop):
    count_visits(shop, hours=0)
    give_at(shop, 1)
    member = shop.member()
    visit = came(shop, member)
    reward = members.by_id(shop.ctx, shop.cashier, member.id).rewards[0]
    till.redeem_reward(shop.ctx, shop.cashier, reward.id, card_code=member.card_code)
    with pytest.raises(Refused, match="reward"):
        till.undo(shop.ctx, shop.owner, UUID(str(visit["entry_id"])))


def test_after_an_undo_the_same_card_counts_again_at_once(shop: Shop, at):
    count_visits(shop)
    member = shop.member()
    at(NOON)
    visit = came(shop, member)
    at(hours(0.1))
    came(shop, member)
    till.undo(shop.ctx, shop.cashier, UUID(str(visit["entry_id"])))
    at(hours(0.2))
    assert True is came(shop, member)["counted"]
    assert 1 == number(shop, member)


def test_a_purchase_is_a_visit_where_the_programme_says_so_and_its_undo_takes_both(shop: Shop):
    count_visits(shop, purchases=True)
    member = shop.member()
    bought, _ = purchases.record(shop.ctx, shop.api, PurchaseRequest(1250, card=member.card_code))
    after = members.by_id(shop.ctx, shop.cashier, member.id)
    assert (1, 1) == (after.visits, after.stamps)
    assert False is came(shop, member)["counted"]
    purchases.undo(shop.ctx, shop.api, UUID(bought["purchase_id"]))
    after = members.by_id(shop.ctx, shop.cashier, member.id)
    assert (0, 0) == (after.visits, after.stamps)
    assert [] == doctoring.differences(shop.ctx)


def test_purchases_are_no_visits_unless_the_programme_says_so(shop: Shop):
    count_visits(shop)
    member = shop.member()
    till.give_stamps(shop.ctx, shop.cashier, member.card_code)
    assert 0 == number(shop, member)


@pytest.mark.parametrize(
    ("kind", "moment"), [("visit-too-old", -31 * 24), ("not-started", -25 * 24)], ids=["old", "before the start"]
)
def test_what_is_too_old_or_from_before_the_start_is_refused_with_words(shop: Shop, at, kind: str, moment: int):
    shop.change_program(starts_on="2026-11-01")
    count_visits(shop)
    member = shop.member()
    at(NOON)
    with pytest.raises(Refused) as refused:
        came(shop, member, hours(moment))
    assert kind == refused.value.kind
    assert "%" not in str(refused.value)


def test_where_visits_are_not_counted_the_door_says_so(shop: Shop):
    with pytest.raises(Refused) as refused:
        came(shop, shop.member())
    assert "visits-off" == refused.value.kind


def test_strangers_and_blocked_cards_do_not_count(shop: Shop):
    count_visits(shop)
    blocked = shop.member(1)
    members.set_status(shop.ctx, shop.owner, blocked.id, MemberStatus.BLOCKED)
    other = open_shop(shop.ctx, "toinen", pass_type_identifier="").member(2)
    kinds = []
    for code in (blocked.card_code, other.card_code, "not a card"):
        with pytest.raises(Refused) as refused:
            visits.record(shop.ctx, shop.cashier, code)
        kinds.append(refused.value.kind)
    assert ["member-blocked", "member-not-found", "unreadable-code"] == kinds


def test_a_card_that_is_shown_again_and_again_is_shown_to_the_manager_and_stopped_the_next_time(shop: Shop, at):
    count_visits(shop)
    member, other = shop.member(1), shop.member(2)
    at(NOON)
    for _ in range(12):
        came(shop, member)
    alert = guard_desk.every(shop.ctx, shop.owner)[0]
    assert ("member_visits", AlertState.SHOWN, member.id) == (alert.rule, alert.state, alert.subject_id)
    at(hours(25))
    assert True is came(shop, member)["counted"]
    with pytest.raises(Refused) as refused:
        came(shop, member)
    assert "guard-blocked" == refused.value.kind
    assert True is came(shop, other)["counted"]


def test_many_different_cards_at_one_door_are_nothing_odd(shop: Shop):
    count_visits(shop)
    for place in range(40):
        came(shop, shop.member(place))
    assert [] == guard_desk.every(shop.ctx, shop.owner)


def test_the_office_sees_the_latest_visits_and_when_people_come(shop: Shop, at):
    count_visits(shop)
    member = shop.member(name="Anna")
    at(NOON)  # a Sunday, 14 o'clock in Helsinki
    came(shop, member)
    came(shop, shop.member(2), hours(-30))
    times = visit_figures.times(shop.ctx, shop.owner)
    assert (1, 1) == (times.hours[14], times.hours[8])
    assert [0, 0, 0, 0, 0, 1, 1] == times.weekdays
    newest, older = visit_figures.latest(shop.ctx, shop.owner)
    assert ("Anna", "Charlie", "Kulma", None) == (newest.name, newest.who, newest.location, newest.told_late)
    assert NOON == older.told_late


def test_staff_figures_tell_what_each_did_without_what_was_undone(shop: Shop, at):
    count_visits(shop, hours=0)
    at(NOON)
    member = members.join(shop.ctx, shop.cashier, members.JoinRequest(phone="+358401234567"), source="till")[0]
    came(shop, member)
    gone = came(shop, member)
    till.undo(shop.ctx, shop.cashier, UUID(str(gone["entry_id"])))
    till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=9)
    dora = Actor(shop.program.id, staff_id=shop.second_cashier.id, location_id=shop.location.id)
    till.give_stamps(shop.ctx, dora, member.card_code)
    reward = members.by_id(shop.ctx, dora, member.id).rewards[0]
    till.redeem_reward(shop.ctx, dora, reward.id, card_code=member.card_code)
    found = {line.who: line for line in staff_figures.lines(shop.ctx, shop.owner, 4)}
    charlie, hers = found["Charlie"].work, found["Dora"].work
    assert (1, 9, 1, 0) == (charlie.joins, charlie.stamps, charlie.visits, charlie.redemptions)
    assert (0, 1, 0, 1) == (hers.joins, hers.stamps, hers.visits, hers.redemptions)
    assert ("Kulma", 16) == (found["Dora"].location, found["Dora"].week.day)
    [(place, together)] = staff_figures.by(list(found.values()), "location")
    assert ("Kulma", 10) == (place, together.stamps)


def test_the_card_shows_visits_and_what_comes_next(shop: Shop, app: Flask):
    member = shop.member(language="en")
    opened = members.card_url(shop.ctx, member).removeprefix(shop.ctx.settings.base_url)
    assert "Visits" not in app.test_client().get(opened).text
    count_visits(shop)
    give_at(shop, 5)
    came(shop, member)
    assert "1 (visits left to Free coffee: 4)" in app.test_client().get(opened).text
    assert "Visit 1. Visits left to Free coffee: 4" == members.by_id(shop.ctx, shop.cashier, member.id).news


def test_the_door_tells_a_first_name_and_a_number_and_nothing_else(shop: Shop, sign_in):
    count_visits(shop)
    member = shop.member(name="Anna Virtanen", email="anna@example.com")
    door = sign_in(Role.CASHIER)
    form = {"code": member.card_code, "at": clock.now().isoformat(), "key": "k1", "location_id": str(shop.location.id)}
    first = door.post("/till/door/visits", data=form)
    again = door.post("/till/door/visits", data=form | {"key": "k2"})
    nobody = door.post("/till/door/visits", data=form | {"key": "k3", "code": "0" * 16})
    assert {"outcome": "good", "headline": "Welcome, Anna!", "more": ["Visit 1"], "refused": False} == first.json
    assert ("again", ["Anna"]) == (again.json["outcome"], again.json["more"])
    assert again.json["headline"].startswith("Already checked in at ")
    assert (404, True) == (nobody.status_code, nobody.json["refused"])
    for answer in (first, again, nobody):
        assert not any(secret in answer.text for secret in ("Virtanen", "anna@", member.phone, member.card_code))


def test_the_page_itself_holds_nothing_of_anybody(shop: Shop, sign_in):
    stranger, cashier = sign_in(Role.CASHIER).get("/till/door"), sign_in(Role.MARKETER).get("/till/door")
    for page in (stranger, cashier):
        assert 200 == page.status_code
        assert not any(word in page.text for word in ("csrf", "Charlie", "Kulma", "nonce"))


def test_the_api_records_a_visit_once_and_undoes_it(shop: Shop, app: Flask):
    count_visits(shop)
    give_at(shop, 3)
    member = shop.member()
    client, headers = app.test_client(), {"Authorization": f"Bearer {shop.api_key}", "Idempotency-Key": "v1"}
    sent = {"card": member.card_code, "at": (clock.now() - timedelta(hours=1)).isoformat()}
    first = client.post("/api/v1/visits", json=sent, headers=headers)
    repeated = client.post("/api/v1/visits", json=sent, headers=headers)
    assert (200, True, 1) == (first.status_code, first.json["counted"], first.json["visits"])
    assert {"name": "Free coffee", "visits_left": 2} == first.json["next_reward"]
    assert ("true", first.json) == (repeated.headers["Idempotency-Replayed"], repeated.json)
    undone = client.post(
        f"/api/v1/entries/{first.json['entry_id']}/undo", json={}, headers=headers | {"Idempotency-Key": "v2"}
    )
    assert 200 == undone.status_code
    assert 0 == number(shop, member)


def test_the_office_pages_of_visits_and_of_staff_figures(shop: Shop, sign_in):
    manager = sign_in(Role.MANAGER)
    saved = manager.post("/office/visits", data={"active": "on", "hours_apart": "6"})
    wrong = manager.post("/office/visits", data={"active": "on", "hours_apart": "9999"})
    assert (303, 422) == (saved.status_code, wrong.status_code)
    assert "from 0 to 720" in wrong.text
    give_at(shop, 10, every=True)
    came(shop, shop.member(name="Anna"))
    page = manager.get("/office/visits").text
    assert all(words in page for words in ("Every 10 visits", "By the hour", "Anna"))
    assert 200 == sign_in(Role.MARKETER).get("/office/visits").status_code
    figures = manager.get("/office/staff-figures")
    assert "Charlie" in figures.text
    file = manager.get("/office/staff-figures.csv")
    assert ("text/csv; charset=utf-8", 2) == (file.content_type, len(file.text.strip().splitlines()))
    assert 403 == sign_in(Role.MARKETER).get("/office/staff-figures").status_code


def test_a_reward_of_visits_that_was_removed_is_not_given_any_more(shop: Shop, sign_in):
    count_visits(shop, hours=0)
    give_at(shop, 1, every=True)
    member = shop.member()
    came(shop, member)
    [goal] = visit_rules.goals(shop.ctx, shop.program.id)
    assert 303 == sign_in(Role.MANAGER).post(f"/office/visits/rewards/{goal.id}/remove").status_code
    assert [] == came(shop, member)["issued"]
    assert programs.get(shop.ctx, shop.program.id).version > shop.program.version


def test_the_wallets_card_carries_the_visits_also_as_its_fast_read_has_them(shop: Shop):
    count_visits(shop)
    give_at(shop, 5)
    member = shop.member(language="en")
    came(shop, member)
    state = card_state.find(shop.ctx, member.card_id)
    assert state is not None
    assert state.member is not None
    slow = members.by_id(shop.ctx, shop.cashier, member.id)
    program = programs.get(shop.ctx, shop.program.id)
    for view in (state.member, slow):
        fields = {
            field.key: field.value for field in cards.card(shop.ctx, program, view, "https://x.example").auxiliary
        }
        assert "1 (visits left to Free coffee: 4)" == fields["visits"]


def test_the_till_shows_a_visit_and_can_undo_it(shop: Shop, sign_in):
    count_visits(shop)
    member = shop.member()
    visit = came(shop, member)
    cashier = sign_in(Role.CASHIER)
    page = cashier.get(f"/till/m/{member.id}").text
    assert ("Visit" in page, str(visit["entry_id"]) in page) == (True, True)
    done = cashier.post(f"/till/m/{member.id}/undo", data={"operation_id": visit["entry_id"], "key": "u1"})
    assert (303, 0) == (done.status_code, number(shop, member))
