"""A member's link leads friends to the join page; what is known of the browser is a mark of our own; staff decide."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.db.keeping import ErasedBy
from app.db.people import MemberStatus, Role
from app.db.referrals import MemberDevice
from app.services import cards, erasing, members, messages, programs, referral_desk, referral_links, referral_rules
from app.services.context import Actor
from app.services.members import JoinRequest
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration.referral_shop import RULES, ReferralShop

JOINING = {"terms": "on", "name": "Bert"}


@pytest.fixture
def friends(shop: Shop) -> ReferralShop:
    made = ReferralShop(shop)
    made.rules(text_en="Best coffee in Helsinki!")
    return made


def page_of(shop: Shop, member: MemberView) -> str:
    return urlsplit(members.card_url(shop.ctx, member)).path


def follow(client: FlaskClient, friends: ReferralShop, member: MemberView) -> str:
    """The join page to which the member's link leads."""
    answer = client.get(f"/r/{friends.code(member)}")
    assert 302 == answer.status_code
    return str(answer.location)


def join(client: FlaskClient, address: str, number: int) -> MemberView | None:
    """Fill in the join page at this address, as a browser does."""
    page = client.get(address).text
    hidden = dict(re.findall(r'<input type="hidden" name="(via|friend)" value="([^"]*)"', page))
    client.post(urlsplit(address).path, data=JOINING | hidden | {"phone": f"+35840123{number:04d}"})
    return None


def found(shop: Shop, number: int) -> MemberView:
    return members.find(shop.ctx, shop.cashier, f"+35840123{number:04d}")


def devices(shop: Shop) -> int:
    with shop.ctx.sessions() as session:
        return session.scalar(select(func.count()).select_from(MemberDevice)) or 0


def test_a_friend_comes_by_the_link_and_is_tied_to_whose_it_is(client: FlaskClient, friends: ReferralShop):
    anna = friends.shop.member(1, name="Anna Secret")
    address = follow(client, friends, anna)
    query = parse_qs(urlsplit(address).query)
    assert ({"via": ["friend"], "friend": [friends.code(anna)]}, f"/join/{friends.shop.program.slug}") == (
        query,
        urlsplit(address).path,
    )
    page = client.get(address).text
    assert "Best coffee in Helsinki!" in page
    assert "with your first purchase you get 1 stamp" in page
    assert "Anna" not in page
    join(client, address, 2)
    bert = found(friends.shop, 2)
    assert ("waiting", "") == friends.state(bert)
    assert "friend" == bert.via


def test_what_was_typed_wrong_is_mended_and_the_friend_is_still_tied(client: FlaskClient, friends: ReferralShop):
    anna = friends.shop.member(1)
    address = follow(client, friends, anna)
    wrong = client.post(urlsplit(address).path, data={"phone": "12", "friend": friends.code(anna)})
    assert 422 == wrong.status_code
    assert f'name="friend" value="{friends.code(anna)}"' in wrong.text


def test_a_link_of_somebody_who_left_still_leads_to_the_join_page(client: FlaskClient, friends: ReferralShop):
    anna = friends.shop.member(1)
    friends.code(anna)
    members.set_status(friends.shop.ctx, friends.shop.owner, anna.id, MemberStatus.LEFT)
    assert {"via": ["friend"]} == parse_qs(urlsplit(follow(client, friends, anna)).query)


def test_an_unknown_link_leads_nowhere(client: FlaskClient, friends: ReferralShop):
    assert [404, 404] == [client.get(f"/r/{code}").status_code for code in ("nosuchcode", "x")]


def test_the_same_browser_is_known_again(client: FlaskClient, friends: ReferralShop):
    anna = friends.shop.member(1)
    client.get(page_of(friends.shop, anna))
    assert 0 == devices(friends.shop)  # previews of links keep no cookies
    client.get(page_of(friends.shop, anna))
    assert 1 == devices(friends.shop)
    join(client, follow(client, friends, anna), 2)
    assert ("waiting", "device") == friends.state(found(friends.shop, 2))


def test_whoever_looks_at_their_link_is_known_at_once(client: FlaskClient, friends: ReferralShop):
    anna = friends.shop.member(1)
    page = client.get(f"{page_of(friends.shop, anna)}/me/friend").text
    assert f"/r/{friends.code(anna)}" in page
    assert "You get 2 stamps for each friend who joins by your link" in page
    join(client, follow(client, friends, anna), 2)
    assert ("waiting", "device") == friends.state(found(friends.shop, 2))


def test_the_mark_is_kept_from_scripts_and_other_sites(client: FlaskClient, friends: ReferralShop):
    answer = client.get(page_of(friends.shop, friends.shop.member(1)))
    (cookie,) = [value for value in answer.headers.getlist("Set-Cookie") if "leima-mark" in value]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_without_rewards_for_friends_browsers_are_not_marked(client: FlaskClient, shop: Shop):
    anna = shop.member(1)
    answers = [client.get(page_of(shop, anna)), client.get(f"{page_of(shop, anna)}/me/friend")]
    assert not any("leima-mark" in value for answer in answers for value in answer.headers.getlist("Set-Cookie"))
    assert "/r/" not in answers[1].text


def test_the_back_of_the_card_has_the_link(friends: ReferralShop):
    anna = friends.shop.member(1)
    program = programs.get(friends.shop.ctx, friends.shop.program.id)

    def shown() -> list[str]:
        member = members.by_id(friends.shop.ctx, friends.shop.owner, anna.id)
        card = cards.card(friends.shop.ctx, program, member, "http://localhost/c/x")
        return [str(field.value) for field in card.back if field.key == "referral"]

    assert [f"Best coffee in Helsinki!\nhttp://localhost:8400/r/{friends.code(anna)}"] == shown()
    members.set_status(friends.shop.ctx, friends.shop.owner, anna.id, MemberStatus.BLOCKED)
    assert [] == shown()


def test_where_the_card_comes_by_sms_the_friend_is_tied_as_well(friends: ReferralShop):
    request = JoinRequest(phone="+358401230002", referral=friends.code(friends.shop.member(1)), via="friend")
    messages.join_and_send_link(friends.shop.ctx, Actor(friends.shop.program.id), request, source="web")
    assert ("waiting", "") == friends.state(found(friends.shop, 2))


def test_a_till_joins_a_friend_by_code_and_says_when_it_is_wrong(
    friends: ReferralShop, sign_in: Callable[[Role], FlaskClient]
):
    anna = friends.shop.member(1)
    till = sign_in(Role.CASHIER)
    form = {"phone": "+358401230002", "terms": "on", "name": "Bert"}
    wrong = till.post("/till/join", data=form | {"referral": "nosuchcode"})
    assert 422 == wrong.status_code
    assert "No member has this code for friends" in wrong.text
    assert 'name="referral"' in wrong.text
    assert 303 == till.post("/till/join", data=form | {"referral": friends.code(anna).upper()}).status_code
    assert ("waiting", "") == friends.state(found(friends.shop, 2))


def test_a_tills_software_names_the_friend(client: FlaskClient, friends: ReferralShop):
    anna = friends.shop.member(1)
    headers = {"Authorization": f"Bearer {friends.shop.api_key}"}
    body = {"phone": "+358401230002", "referral": referral_links.url_of(friends.shop.ctx, anna.id)}
    assert 201 == client.post("/api/v1/members", json=body, headers=headers).status_code
    assert ("waiting", "") == friends.state(found(friends.shop, 2))
    wrong = client.post("/api/v1/members", json={"phone": "+358401230003", "referral": "nosuchcode"}, headers=headers)
    assert (422, "referral") == (wrong.status_code, *wrong.get_json()["errors"])


def test_the_manager_sets_the_rules_and_reads_them_in_sentences(shop: Shop, sign_in: Callable[[Role], FlaskClient]):
    office = sign_in(Role.MANAGER)
    assert "Members have no links of their own" in office.get("/office/referral").text
    assert 303 == office.post("/office/referral", data=RULES | {"friend_stamps": "3"}).status_code
    page = office.get("/office/referral").text
    assert "A friend who joined by a member&#39;s link gets 3 stamps with the first purchase." in page
    wrong = office.post("/office/referral", data=RULES | {"referrer_stamps": "0", "friend_stamps": ""})
    assert 422 == wrong.status_code
    assert "Choose what at least one of the two gets." in wrong.text
    assert referral_rules.saved(shop.ctx, shop.owner).friend.stamps == 3


def test_the_manager_is_warned_of_what_joining_alone_rewards(shop: Shop, sign_in: Callable[[Role], FlaskClient]):
    manager = sign_in(Role.MANAGER)
    now = "Members are rewarded for phone numbers that nobody has checked. The first purchase is safer."
    told = []
    for rewarded_on in ("purchase", "joining"):
        referral_rules.save(shop.ctx, shop.owner, RULES | {"rewarded_on": rewarded_on})
        page = manager.get("/office/referral").text
        assert "Whoever types in made-up numbers, or those of strangers, is rewarded" in page
        told.append(now in page)
    assert [False, True] == told


def test_what_an_erased_friend_leaves_is_told_in_words(
    client: FlaskClient, friends: ReferralShop, sign_in: Callable[[Role], FlaskClient]
):
    anna = friends.shop.member(1)
    bert = friends.friend(2, anna)
    erasing.erase(friends.shop.ctx, friends.shop.owner, bert.id, ErasedBy.MEMBER)
    own = client.get(f"{page_of(friends.shop, anna)}/me/everything").text
    for page in (own, sign_in(Role.MANAGER).get("/office/referral").text):
        assert "One of the two was erased" in page
        assert "Not rewarded" in page


def test_nobody_learns_from_their_own_data_who_was_a_member(client: FlaskClient, friends: ReferralShop):
    anna, bert = friends.shop.member(1), friends.shop.member(2)
    friends.friend(2, anna)
    assert ("refused", "known") == friends.state(bert)
    shown = [client.get(f"{page_of(friends.shop, one)}/me/everything").text for one in (anna, bert)]
    assert [False, True] == ["Was a member already" in page for page in shown]


def test_the_manager_decides_about_a_held_friend(friends: ReferralShop, sign_in: Callable[[Role], FlaskClient]):
    anna = friends.shop.member(1)
    friends.friend(2, anna, mark="m" * 22)
    bert = friends.friend(3, anna, mark="m" * 22)
    office = sign_in(Role.MANAGER)
    assert "1 friend who came by a link waits for your decision." in office.get("/office").text
    assert "Joined in a browser that another member uses" in office.get("/office/referral").text
    rows, _ = referral_desk.page(friends.shop.ctx, friends.shop.owner, held=True)
    assert 303 == office.post(f"/office/referral/{rows[0].id}", data={"decision": "allow"}).status_code
    assert ("waiting", "") == friends.state(bert)
    assert 409 == office.post(f"/office/referral/{rows[0].id}", data={"decision": "refuse"}).status_code
