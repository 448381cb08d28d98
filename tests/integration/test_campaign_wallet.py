"""A campaign on the wallet card: the lock screen says it once, in the member's language; Google within its quota."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from app import clock
from app.db.campaigns import Benefit, Medium, RecipientState
from app.db.delivery import Channel, GoogleObject, OutboxRow
from app.services import apple_passes, campaign_rules, campaign_wallet, google_cards, members
from app.services.context import Context
from app.services.pace import Pace
from app.services.views import MemberView
from certs.identity import SigningIdentity
from passes.google.account import Account
from sandbox import lock_screen
from sandbox.google import GoogleSandbox
from sandbox.google_faults import Fault
from sandbox.pass_face import HeldPass
from sandbox.pkpass_check import check
from tests.factories import Shop
from tests.integration.apple_shop import AppleShop, open_apple_shop
from tests.integration.campaign_rows import NOON, handed, recipient, sending
from tests.integration.google_shop import GoogleShop, fresh, google_shop, loaded

Clock = Callable[[datetime], None]
TEXT = {"en": "Hi {first_name|friend}: buns today! {stop}", "fi": "Hei {first_name|ystävä}: pullaa!"}


@pytest.fixture
def kulma(shop: Shop, pass_identity: SigningIdentity, tmp_path: Path, at: Clock) -> Iterator[AppleShop]:
    at(NOON)
    with open_apple_shop(shop, pass_identity, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleSandbox]:
    """Kept for the module, because the service account's key is slow to make."""
    with GoogleSandbox(tmp_path_factory.mktemp("google")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def credentials(server: GoogleSandbox) -> Account:
    return loaded(server)


@pytest.fixture
def android(ctx: Context, server: GoogleSandbox, credentials: Account, at: Clock) -> Iterator[GoogleShop]:
    at(NOON)
    with google_shop(ctx, fresh(server), credentials) as made:
        yield made


def on_phone(kulma: AppleShop, identity: SigningIdentity, member: MemberView) -> HeldPass:
    """The card as a phone holds it that fetches it now."""
    now = members.by_id(kulma.ctx, kulma.shop.cashier, member.id)
    data = b"".join(apple_passes.apple_pass(kulma.ctx, now).segments)
    found = check(data, [identity.root], clock.now())
    assert [] == found.faults
    return HeldPass(found.contents, found.files, found.strings)


def installed(kulma: GoogleShop, number: int = 0, **values: object) -> MemberView:
    """A member whose card is in Google Wallet, of which Google's callback has told."""
    member = kulma.saved(number, **values)
    with kulma.ctx.sessions.begin() as session:
        session.get_one(GoogleObject, member.card_id).installs = 1
    return member


def shown_messages(kulma: GoogleShop, member: MemberView) -> list[tuple[str, str]]:
    return [(one["messageType"], one["body"]) for one in kulma.shown(member).get("messages", [])]


def write(kulma: GoogleShop, member: MemberView, text: str, at: Clock) -> None:
    """A campaign of its own, told to Google."""
    handed(kulma.ctx, sending(kulma.ctx, kulma.shop, [member], text, Medium.WALLET))
    at(clock.now() + timedelta(seconds=1))
    kulma.deliver()


def due(ctx: Context, channel: Channel) -> list[float]:
    """Seconds from now on at which cards are told."""
    with ctx.sessions() as session:
        rows = session.scalars(select(OutboxRow.due_at).where(OutboxRow.channel == channel).order_by(OutboxRow.due_at))
        return [(moment - clock.now()).total_seconds() for moment in rows]


def test_the_lock_screen_says_it_once_in_the_members_language(
    kulma: AppleShop, pass_identity: SigningIdentity, at: Clock
):
    anna = kulma.shop.member(1, name="Anna Aalto", language="fi")
    token = kulma.phone(anna)
    before = on_phone(kulma, pass_identity, anna)
    handed(kulma.ctx, sending(kulma.ctx, kulma.shop, [anna], TEXT, Medium.WALLET))
    at(NOON + timedelta(seconds=1))
    kulma.deliver()
    assert [5, 10] == kulma.pushes(token)
    after = on_phone(kulma, pass_identity, anna)
    assert "Hei Anna: pullaa!" == lock_screen.message(before, after, "fi")

    kulma.shop.change_program(terms_text="New terms.")  # all cards are renewed, silently
    kulma.deliver(Channel.REFRESH)
    at(NOON + timedelta(seconds=5))
    kulma.deliver()
    later = on_phone(kulma, pass_identity, anna)
    assert [5, 10, 5] == kulma.pushes(token)
    assert (None, "Hei Anna: pullaa!") == (
        lock_screen.message(after, later, "fi"),
        later.fields()["news"]["value"],
    )


def test_the_way_out_on_a_card_is_a_link_because_nobody_can_text_back_to_a_card(kulma: AppleShop):
    anna = kulma.shop.member(1, name="Anna Aalto")
    kulma.phone(anna)
    run = sending(kulma.ctx, kulma.shop, [anna], TEXT, Medium.WALLET)
    handed(kulma.ctx, run)
    token = recipient(kulma.ctx, run, anna).token
    assert f"Hi Anna: buns today! No offers: {kulma.ctx.settings.base_url}/u/{token}" == news(kulma.shop, anna)


def news(shop: Shop, member: MemberView) -> str:
    return members.by_id(shop.ctx, shop.cashier, member.id).news


def test_a_credit_that_comes_on_the_card_is_told_with_its_code(kulma: AppleShop):
    anna = kulma.shop.member(1)
    kulma.phone(anna)
    run = sending(kulma.ctx, kulma.shop, [anna], "{credit} for you: {code}", Medium.WALLET, Benefit.CREDIT, minor=300)
    handed(kulma.ctx, run)
    assert news(kulma.shop, anna).startswith("€3.00 for you: ")
    assert 7 == len(news(kulma.shop, anna).rpartition(" ")[2])


def test_a_text_that_is_too_long_for_a_card_ends_with_dots(kulma: AppleShop):
    anna = kulma.shop.member(1, name="Anna " + "A" * 75)
    kulma.phone(anna)
    handed(kulma.ctx, sending(kulma.ctx, kulma.shop, [anna], "{name} " * 20, Medium.WALLET))
    assert (campaign_wallet.LONGEST_NEWS, "…") == (len(news(kulma.shop, anna)), news(kulma.shop, anna)[-1])


def test_who_has_no_card_in_a_wallet_is_skipped_with_the_reason(kulma: AppleShop):
    anna, ben = kulma.shop.member(1), kulma.shop.member(2)
    kulma.phone(anna)
    run = sending(kulma.ctx, kulma.shop, [anna, ben], TEXT, Medium.WALLET)
    handed(kulma.ctx, run)
    found = [recipient(kulma.ctx, run, one) for one in (anna, ben)]
    assert [(RecipientState.HANDED, ""), (RecipientState.SKIPPED, "no-wallet")] == [
        (one.state, one.reason) for one in found
    ]


def test_phones_are_told_at_a_pace_that_all_batches_share(kulma: AppleShop):
    people = [kulma.shop.member(number) for number in range(3)]
    for person in people:
        kulma.phone(person)
    Pace(kulma.ctx.valkey, "campaign-cards", campaign_wallet.PACE, 0).ahead(60 * campaign_wallet.PACE)
    handed(kulma.ctx, sending(kulma.ctx, kulma.shop, people, TEXT, Medium.WALLET))
    first, second, third = due(kulma.ctx, Channel.APPLE)
    assert 50 < first <= 60
    assert pytest.approx([1 / campaign_wallet.PACE] * 2, abs=1e-5) == [second - first, third - second]


def test_google_tells_of_the_message_once_and_keeps_it(android: GoogleShop, at: Clock):
    anna = installed(android, 1, name="Anna")
    write(android, anna, "Hi {first_name|friend}: buns today!", at)
    assert [("TEXT_AND_NOTIFY", "Hi Anna: buns today!")] == shown_messages(android, anna)
    assert 1 == android.notifications(anna)
    android.shop.change_program(terms_text="New terms.")
    android.deliver(Channel.REFRESH)
    at(clock.now() + timedelta(seconds=5))
    android.deliver()
    assert ("New terms.", 1) == (terms(android, anna), android.notifications(anna))
    assert [("TEXT_AND_NOTIFY", "Hi Anna: buns today!")] == shown_messages(android, anna)


def terms(kulma: GoogleShop, member: MemberView) -> str:
    return next(one["body"] for one in kulma.shown(member)["textModulesData"] if one["id"] == "terms")


def test_the_newest_message_takes_the_place_of_the_one_before(android: GoogleShop, at: Clock):
    anna = installed(android)
    write(android, anna, "Buns today!", at)
    write(android, anna, "Tea today!", at)
    assert ["Tea today!"] == [body for _, body in shown_messages(android, anna)]
    assert 2 == android.notifications(anna)


def test_beyond_three_a_day_the_message_is_there_without_a_notification(android: GoogleShop, at: Clock):
    campaign_rules.save(android.ctx, android.shop.owner, campaign_rules.Rules(most_offers=10))
    anna = installed(android)
    for number in range(4):
        write(android, anna, f"Offer {number}", at)
    assert ([("TEXT", "Offer 3")], 3) == (shown_messages(android, anna), android.notifications(anna))
    at(NOON + timedelta(hours=25))
    write(android, anna, "Offer 4", at)
    assert ([("TEXT_AND_NOTIFY", "Offer 4")], 4) == (shown_messages(android, anna), android.notifications(anna))


def test_a_message_that_google_counts_otherwise_is_silent_and_not_lost(android: GoogleShop, at: Clock):
    anna = installed(android)
    for number in range(3):
        write(android, anna, f"Offer {number}", at)
    with android.ctx.sessions.begin() as session:
        session.get_one(GoogleObject, anna.card_id).notified_at = []  # from a backup
    write(android, anna, "Offer 3", at)
    assert ([("TEXT", "Offer 3")], []) == (shown_messages(android, anna), android.outbox())


def test_a_message_that_google_had_no_time_for_comes_later_with_a_stamp(android: GoogleShop, at: Clock):
    anna = installed(android)
    android.sandbox.faults.add(Fault(503, path="/batch"))
    android.sandbox.faults.add(Fault(503, path="/addMessage"))
    write(android, anna, "Buns today!", at)
    assert ([], 1) == (shown_messages(android, anna), len(android.outbox()))
    android.stamp(anna)
    at(clock.now() + timedelta(hours=1))
    android.deliver()
    assert (["Buns today!"], "1/10", []) == (
        [body for _, body in shown_messages(android, anna)],
        android.points(anna),
        android.outbox(),
    )
    assert "" == waiting(android, anna)


def waiting(kulma: GoogleShop, member: MemberView) -> str:
    with kulma.ctx.sessions() as session:
        return session.get_one(GoogleObject, member.card_id).message


def test_a_message_that_google_refuses_for_good_is_shown_to_staff_and_holds_up_no_stamp(android: GoogleShop, at: Clock):
    anna = installed(android)
    android.sandbox.faults.add(Fault(400, path="/addMessage"))
    write(android, anna, "Buns today!", at)
    assert (1, "") == (len(android.outbox()), waiting(android, anna))
    android.stamp(anna)
    at(clock.now() + timedelta(seconds=1))
    android.deliver()
    assert "1/10" == android.points(anna)


def test_many_messages_go_in_batches(android: GoogleShop, at: Clock):
    people = [installed(android, number) for number in range(3)]
    handed(android.ctx, sending(android.ctx, android.shop, people, "Buns today!", Medium.WALLET))
    at(NOON + timedelta(seconds=2))
    before = len(android.calls)
    android.deliver()
    assert [3, 3] == android.calls[before:]
    assert [["Buns today!"]] * 3 == [[body for _, body in shown_messages(android, one)] for one in people]


def test_a_link_saved_while_a_message_waits_does_not_lose_it(android: GoogleShop, at: Clock):
    anna = installed(android)
    handed(android.ctx, sending(android.ctx, android.shop, [anna], "Buns today!", Medium.WALLET))
    google_cards.link(android.ctx, anna)
    assert "Buns today!" == waiting(android, anna)
