"""A reward's own pass in Google Wallet, as an offer, against the stand-in over TLS."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.db.people import MemberStatus
from app.db.rewards import GoogleCoupon
from app.services import coupons, google_coupons, google_installs, members, night_settling, reward_types, till
from app.services.context import Context
from app.services.views import MemberView, RewardView
from passes.google.account import Account
from sandbox.android import Android
from sandbox.google import GoogleSandbox
from sandbox.google_view import LocalWallet, WalletFeed
from tests.integration.google_shop import GoogleShop, fresh, google_shop, loaded
from tests.integration.reward_shop import give, make_type


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleSandbox]:
    with GoogleSandbox(tmp_path_factory.mktemp("google")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def credentials(server: GoogleSandbox) -> Account:
    return loaded(server)


@pytest.fixture
def kulma(ctx: Context, server: GoogleSandbox, credentials: Account) -> Iterator[GoogleShop]:
    with google_shop(ctx, fresh(server), credentials) as made:
        yield made


@pytest.fixture
def member(kulma: GoogleShop) -> MemberView:
    return kulma.shop.member(1, name="Erin")


@pytest.fixture
def cake(kulma: GoogleShop, member: MemberView) -> RewardView:
    return give(kulma.shop, member, make_type(kulma.shop, valid_days="30", details="With coffee"))


def save(kulma: GoogleShop, reward: RewardView) -> str:
    """The customer follows the coupon's link, and puts it on a phone. Returns the link."""
    link = google_coupons.link(kulma.ctx, coupons.find(kulma.ctx, [reward.id])[reward.id])
    kulma.session.post(link, data={"user": "phone-1"}).raise_for_status()
    return link


def shown(kulma: GoogleShop, reward: RewardView) -> dict[str, Any]:
    found: dict[str, Any] = kulma.sandbox.state.shown(google_coupons.object_id(kulma.ctx, reward.id))
    return found


def state(kulma: GoogleShop, reward: RewardView) -> str:
    return str(shown(kulma, reward)["object"]["state"])


def use(kulma: GoogleShop, member: MemberView, reward: RewardView) -> UUID:
    answer, _ = till.redeem_reward(kulma.ctx, kulma.shop.cashier, reward.id, card_code=member.card_code)
    return UUID(answer["entry_id"])


def test_the_link_carries_ids_only_and_google_takes_the_offer(kulma: GoogleShop, member: MemberView, cake: RewardView):
    link = save(kulma, cake)
    claims = json.loads(base64.urlsafe_b64decode(link.split(".")[1] + "=="))
    assert [{"id", "classId"}] == [set(entry) for entry in claims["payload"]["offerObjects"]]
    found = shown(kulma, cake)
    assert ("Free cake", "Café Kulma", "With coffee") == tuple(
        found["class"][name] for name in ("title", "provider", "details")
    )
    assert cake.expires_at is not None
    assert cake.expires_at == datetime.fromisoformat(found["object"]["validTimeInterval"]["end"]["date"])
    assert "ACTIVE" == found["object"]["state"]


def test_a_used_coupon_is_completed_and_active_again_after_the_undo(
    kulma: GoogleShop, member: MemberView, cake: RewardView
):
    save(kulma, cake)
    act = use(kulma, member, cake)
    kulma.deliver()
    assert ("COMPLETED", []) == (state(kulma, cake), kulma.outbox())
    till.undo(kulma.ctx, kulma.shop.cashier, act)
    kulma.deliver()
    assert ("ACTIVE", []) == (state(kulma, cake), kulma.outbox())


def test_a_lapsed_coupon_is_expired(kulma: GoogleShop, cake: RewardView, at: Callable[[datetime], None]):
    save(kulma, cake)
    assert cake.expires_at is not None
    at(cake.expires_at + timedelta(minutes=1))
    night_settling.settle_lapsed(kulma.ctx, float("inf"))
    kulma.deliver()
    assert "EXPIRED" == state(kulma, cake)


def test_a_blocked_members_coupon_is_inactive_until_the_block_ends(
    kulma: GoogleShop, member: MemberView, cake: RewardView
):
    save(kulma, cake)
    for status, wanted in ((MemberStatus.BLOCKED, "INACTIVE"), (MemberStatus.ACTIVE, "ACTIVE")):
        members.set_status(kulma.ctx, kulma.shop.owner, member.id, status)
        kulma.deliver()
        assert wanted == state(kulma, cake)


def test_cards_and_coupons_are_told_of_together(kulma: GoogleShop, member: MemberView, cake: RewardView):
    kulma.save(member)
    save(kulma, cake)
    use(kulma, member, cake)
    kulma.deliver()
    assert ("COMPLETED", []) == (state(kulma, cake), kulma.outbox())
    assert "secondaryLoyaltyPoints" in kulma.shown(member)


def test_a_coupon_that_nobody_saved_is_not_told_of(kulma: GoogleShop, member: MemberView, cake: RewardView):
    use(kulma, member, cake)
    assert [] == kulma.outbox()


def test_a_new_name_of_the_kind_leaves_what_was_promised(kulma: GoogleShop, member: MemberView):
    kind = make_type(kulma.shop)
    first = give(kulma.shop, member, kind, "first")
    save(kulma, first)
    form = {"name": "Free pie", "value": "item", "own_pass": "on"}
    reward_types.save(kulma.ctx, kulma.shop.owner, form, kind.id)
    second = give(kulma.shop, member, kind, "second")
    save(kulma, second)
    use(kulma, member, first)
    kulma.deliver()
    assert ["Free cake", "Free pie"] == [shown(kulma, one)["class"]["title"] for one in (first, second)]


def test_google_that_forgot_the_kind_of_coupon_is_told_again(kulma: GoogleShop, cake: RewardView):
    save(kulma, cake)
    kulma.sandbox.state.clear()
    with kulma.ctx.sessions.begin() as session:
        session.delete(session.get_one(GoogleCoupon, cake.id))
    save(kulma, cake)
    assert "ACTIVE" == state(kulma, cake)


def test_what_a_percentage_is_worth_is_told_in_the_phones_language(kulma: GoogleShop, member: MemberView):
    half = give(kulma.shop, member, make_type(kulma.shop, name="Half price", value="percent", percent="50"))
    save(kulma, half)
    found = shown(kulma, half)["class"]
    assert "50% off" == found["title"]
    assert {"fa", "fi", "ru"} == {one["language"] for one in found["localizedTitle"]["translatedValues"]}


def test_an_android_shows_the_coupon_and_what_becomes_of_it(kulma: GoogleShop, member: MemberView, cake: RewardView):
    feed = WalletFeed(LocalWallet(kulma.sandbox))
    phone = Android(None, feed)
    link = google_coupons.link(kulma.ctx, coupons.find(kulma.ctx, [cake.id])[cake.id])
    try:
        (held,) = phone.add(link)
        assert ("Free cake", "") == (phone.face(held).program, phone.face(held).ended)
        use(kulma, member, cake)
        kulma.deliver()
        phone.log.wait_for(lambda: phone.face(held).ended == "Completed")
    finally:
        phone.stop()
        feed.stop()


def test_saves_and_removals_are_heard_of(kulma: GoogleShop, cake: RewardView):
    save(kulma, cake)
    callback = google_installs.verified(kulma.ctx, kulma.last_callback())
    assert [True, True] == [google_installs.heard(kulma.ctx, callback) for _ in range(2)]
    with kulma.ctx.sessions() as session:
        assert 1 == session.get_one(GoogleCoupon, cake.id).installs
