"""Cards in Google Wallet, from the save link to the last stamp, against the stand-in over TLS."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from sqlalchemy import event

from app import wiring
from app.db.delivery import Channel, GoogleObject, OutboxRow, OutboxState
from app.db.people import MemberStatus
from app.services import dead_rows, google_cards, google_describing, members
from app.services.context import Context
from app.services.errors import Refused
from app.services.views import MemberView
from passes.google.account import Account
from passes.google.client import LARGEST_BATCH
from sandbox.google import GoogleSandbox
from sandbox.google_faults import Fault
from tests.integration.credit_shop import grant
from tests.integration.google_shop import GoogleShop, fresh, google_shop, loaded


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleSandbox]:
    """Kept for the module, because the service account's key is slow to make."""
    with GoogleSandbox(tmp_path_factory.mktemp("google")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def credentials(server: GoogleSandbox) -> Account:
    return loaded(server)


@pytest.fixture
def kulma(ctx: Context, server: GoogleSandbox, credentials: Account) -> Iterator[GoogleShop]:
    with google_shop(ctx, fresh(server), credentials) as made:
        yield made


def remembered(kulma: GoogleShop, member: MemberView) -> GoogleObject:
    with kulma.ctx.sessions() as session:
        return session.get_one(GoogleObject, member.card_id)


def the_row(kulma: GoogleShop) -> OutboxRow:
    (row,) = kulma.outbox()
    return row


def link_fails(kulma: GoogleShop, ctx: Context, member: MemberView) -> None:
    with pytest.raises(Refused) as refused:
        google_cards.link(ctx, member)
    assert 503 == refused.value.status


def test_the_link_carries_ids_only_and_google_takes_it(kulma: GoogleShop):
    member = kulma.shop.member(1, name="Erin")
    link = kulma.save(member)
    assert len("https://pay.google.com/gp/v/save/") + len(urlsplit(link).path) - len("/gp/v/save/") <= 1800
    claims = json.loads(base64.urlsafe_b64decode(link.split(".")[1] + "=="))
    assert [{"id", "classId"}] == [set(entry) for entry in claims["payload"]["loyaltyObjects"]]
    shown = kulma.shown(member)
    assert ("ACTIVE", "0/10", "Erin") == (shown["state"], kulma.points(member), shown["accountName"])
    assert member.card_code == shown["barcode"]["value"]


def test_a_member_has_one_card_on_all_devices(kulma: GoogleShop):
    member = kulma.saved()
    kulma.save(member)
    assert 1 == len(kulma.sandbox.state.resources["loyaltyObject"])
    assert 1 == len(kulma.changes("class"))


def test_a_stamp_changes_the_card_and_its_picture(kulma: GoogleShop):
    member = kulma.saved()
    before = kulma.shown(member)["heroImage"]["sourceUri"]["uri"]
    kulma.stamp(member, 4)
    kulma.deliver()
    assert "4/10" == kulma.points(member)
    assert before != kulma.shown(member)["heroImage"]["sourceUri"]["uri"]
    assert [] == kulma.outbox()


def test_a_card_that_nobody_saved_is_not_told_of(kulma: GoogleShop):
    kulma.stamp(kulma.shop.member(1))
    assert [] == kulma.outbox()


def test_phones_tell_of_the_last_stamp_and_of_the_reward_only(kulma: GoogleShop):
    member = kulma.saved()
    told = []
    for _ in range(10):
        kulma.stamp(member)
        kulma.deliver()
        told.append(kulma.notifications(member))
    assert [0, 0, 0, 0, 0, 0, 0, 0, 1, 2] == told
    assert "1" == kulma.shown(member)["secondaryLoyaltyPoints"]["balance"]["string"]


def test_the_fourth_notification_of_a_day_is_silent(kulma: GoogleShop, at: Callable[[datetime], None]):
    start = datetime.now(UTC)
    member = kulma.saved()
    for hour in range(4):
        at(start + timedelta(hours=hour))
        kulma.stamp(member, 10)
        kulma.calls.clear()
        kulma.deliver()
        assert [1] == kulma.calls  # Google is not asked for what it would refuse
    assert (3, "4") == (
        kulma.notifications(member),
        kulma.shown(member)["secondaryLoyaltyPoints"]["balance"]["string"],
    )
    at(start + timedelta(hours=24, minutes=1))
    kulma.stamp(member, 10)
    kulma.deliver()
    assert 4 == kulma.notifications(member)


def test_when_google_counts_more_notifications_than_we_the_card_changes_silently(kulma: GoogleShop):
    member = kulma.saved()
    for _ in range(3):
        kulma.stamp(member, 10)
        kulma.deliver()
    with kulma.ctx.sessions.begin() as session:
        session.get_one(GoogleObject, member.card_id).notified_at = []
    kulma.stamp(member, 10)
    kulma.deliver()
    assert (3, "4") == (
        kulma.notifications(member),
        kulma.shown(member)["secondaryLoyaltyPoints"]["balance"]["string"],
    )
    assert ([], []) == (kulma.outbox(), remembered(kulma, member).notified_at)


def test_leaving_ends_the_card_and_coming_back_restores_it(kulma: GoogleShop):
    member = kulma.saved(1)
    for status, state in ((MemberStatus.LEFT, "INACTIVE"), (MemberStatus.ACTIVE, "ACTIVE")):
        members.set_status(kulma.ctx, kulma.shop.owner, member.id, status)
        kulma.deliver()
        assert state == kulma.shown(member)["state"]


def test_a_blocked_card_says_so(kulma: GoogleShop):
    member = kulma.saved()
    members.set_status(kulma.ctx, kulma.shop.owner, member.id, MemberStatus.BLOCKED)
    kulma.deliver()
    shown = kulma.shown(member)
    assert "INACTIVE" == shown["state"]
    assert "Blocked. Please ask the staff." in [entry["body"] for entry in shown["textModulesData"]]


def test_what_lapsed_is_not_shown(kulma: GoogleShop, at: Callable[[datetime], None]):
    kulma.shop.change_program(stamp_valid_days="5")
    member = kulma.shop.member(1)
    kulma.stamp(member, 3)
    at(datetime.now(UTC) + timedelta(days=7))
    assert (
        "0/10"
        == google_describing.describe(kulma.ctx, [member.card_id])[member.card_id].body["loyaltyPoints"]["balance"][
            "string"
        ]
    )


def test_a_new_colour_changes_the_class_once_and_each_card(kulma: GoogleShop, at: Callable[[datetime], None]):
    saved = [kulma.saved(number) for number in range(3)]
    pictures = {kulma.shown(member)["heroImage"]["sourceUri"]["uri"] for member in saved}
    last = kulma.sandbox.state.changes(0, 0)[0]
    kulma.shop.change_program(brand_color="#7a1f3d")
    kulma.deliver(Channel.REFRESH)
    at(datetime.now(UTC) + timedelta(seconds=1))
    kulma.deliver()
    (loyalty_class,) = kulma.sandbox.state.resources["loyaltyClass"].values()
    assert "#7a1f3d" == loyalty_class["hexBackgroundColor"]
    assert (1, 3) == (len(kulma.changes("class", last)), len(kulma.changes("object", last)))
    assert not pictures & {kulma.shown(member)["heroImage"]["sourceUri"]["uri"] for member in saved}
    assert 0 == sum(kulma.notifications(member) for member in saved)


def test_a_persian_card_has_persian_digits_and_labels_for_other_phones(kulma: GoogleShop):
    member = kulma.saved(1, language="fa")
    kulma.stamp(member, 13)
    kulma.deliver()
    shown = kulma.shown(member)
    assert "۳ از ۱۰" == kulma.points(member)
    rewards = shown["secondaryLoyaltyPoints"]
    assert "۱" == rewards["balance"]["string"]
    known = {entry["language"]: entry["value"] for entry in rewards["localizedLabel"]["translatedValues"]}
    assert ("Rewards", {"en", "fi", "ru"}) == (known["en"], set(known))
    assert "-rtl-" in shown["heroImage"]["sourceUri"]["uri"]


@pytest.mark.parametrize("language", ["en", "fi", "ru", "fa"])
def test_labels_beside_numbers_fit_on_every_phone(kulma: GoogleShop, language: str):
    shown = google_describing.describe(kulma.ctx, [kulma.shop.member(1, language=language).card_id])
    (card,) = shown.values()
    for points in (card.body["loyaltyPoints"], card.body["secondaryLoyaltyPoints"]):
        assert "…" not in json.dumps(points, ensure_ascii=False)


def test_google_is_told_of_credit_with_its_last_day(kulma: GoogleShop):
    member = kulma.shop.member()
    grant(kulma.shop, member, last_day="2030-12-31")
    (card,) = google_describing.describe(kulma.ctx, [member.card_id]).values()
    (told,) = (text for text in card.body["textModulesData"] if text["id"] == "credit")
    assert ("Credit", "€12.50, until 31 Dec 2030") == (told["header"], told["body"])


def test_many_cards_are_sent_together_with_the_same_few_queries(kulma: GoogleShop):
    saved = [kulma.saved(number) for number in range(2 * LARGEST_BATCH + 5)]
    for member in saved:
        kulma.stamp(member)
    kulma.calls.clear()
    kulma.deliver()
    assert [20, 20, 5] == kulma.calls
    assert {"1/10"} == {kulma.points(member) for member in saved}
    queries = []
    for count in (2, 40):
        seen: list[str] = []

        def see(connection: object, cursor: object, statement: str, *more: object) -> None:
            seen.append(statement)  # noqa: B023 - called before the next round

        event.listen(kulma.ctx.engine, "before_cursor_execute", see)
        google_describing.describe(kulma.ctx, [member.card_id for member in saved[:count]])
        event.remove(kulma.ctx.engine, "before_cursor_execute", see)
        queries.append(len(seen))
    assert queries[0] == queries[1] <= 5


def test_a_stamp_during_the_save_reaches_the_card(kulma: GoogleShop):
    member = kulma.shop.member(1)
    kulma.before_call = lambda: (
        kulma.stamp(member) if len(kulma.calls) == 2 else None
    )  # the class is told, the card not
    kulma.save(member)
    assert "0/10" == kulma.points(member)
    kulma.deliver()
    assert "1/10" == kulma.points(member)


def test_a_programme_that_changes_while_google_is_told_ends_right(kulma: GoogleShop):
    def change() -> None:
        if len(kulma.calls) == 1:
            kulma.shop.change_program(brand_color="#7a1f3d")

    kulma.before_call = change
    kulma.saved()
    (loyalty_class,) = kulma.sandbox.state.resources["loyaltyClass"].values()
    assert "#7a1f3d" == loyalty_class["hexBackgroundColor"]


def test_what_google_lost_is_made_again(kulma: GoogleShop, at: Callable[[datetime], None]):
    member = kulma.saved()
    kulma.sandbox.state.clear()
    assert "0/10" == (kulma.save(member), kulma.points(member))[1]
    kulma.sandbox.state.clear()
    kulma.stamp(member)
    kulma.deliver()
    assert ("Google does not know the programme. Send the programme first", 1) == (
        the_row(kulma).error.split(":")[0],
        the_row(kulma).attempts,
    )
    at(datetime.now(UTC) + timedelta(seconds=5))
    kulma.deliver()
    assert ("1/10", []) == (kulma.points(member), kulma.outbox())


def test_a_customer_gets_the_card_while_others_use_up_the_calls_of_this_second(kulma: GoogleShop):
    kulma.sandbox.faults.add(Fault(429))
    kulma.saved()
    for _ in range(3):
        kulma.sandbox.faults.add(Fault(429, retry_after=60))
    link_fails(kulma, kulma.ctx, kulma.shop.member(2))


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        (Fault(401, 99), OutboxState.DEAD, "Google does not accept the service account's token. Check its key"),
        (Fault(403, 99), OutboxState.DEAD, "The service account may not act for this issuer."),
        (Fault(403, 99, reason="accessNotConfigured"), OutboxState.DEAD, "The Google Wallet API is not enabled"),
        (Fault(409, 99), OutboxState.DEAD, "Google has this id already"),
        (Fault(400, 99, message="Invalid hero."), OutboxState.DEAD, "Google says that a value is not valid: Invalid"),
        (Fault(429, 99), OutboxState.WAITING, "Google asks for fewer requests a second"),
        (Fault(500, 99), OutboxState.WAITING, "Google Wallet is out of order for the moment"),
        (Fault(503, 99), OutboxState.WAITING, "Google Wallet is out of order for the moment"),
        (Fault(0, 99), OutboxState.WAITING, "Google Wallet could not be reached"),
    ],
)
def test_a_fault_waits_or_is_shown_to_staff(
    kulma: GoogleShop, at: Callable[[datetime], None], fault: Fault, state: OutboxState, reason: str
):
    member = kulma.saved()
    kulma.stamp(member)
    kulma.sandbox.faults.add(replace(fault))
    kulma.deliver()
    row = the_row(kulma)
    assert (state, True) == (row.state, row.error.startswith(reason))
    kulma.sandbox.faults.clear()
    if state is OutboxState.DEAD:
        dead_rows.revive(kulma.ctx, kulma.shop.program.id, row.id)
    else:
        at(datetime.now(UTC) + timedelta(seconds=5))
    kulma.deliver()
    assert ("1/10", []) == (kulma.points(member), kulma.outbox())


def test_google_says_when_to_come_back(kulma: GoogleShop):
    member = kulma.saved()
    kulma.stamp(member)
    kulma.sandbox.faults.add(Fault(429, retry_after=90))
    before = datetime.now(UTC)
    kulma.deliver()
    assert timedelta(seconds=90) <= the_row(kulma).due_at - before < timedelta(seconds=100)


def test_without_access_tokens_everything_waits(
    kulma: GoogleShop, ctx: Context, server: GoogleSandbox, at: Callable[[datetime], None]
):
    member = kulma.saved()
    kulma.stamp(member)
    kulma.sandbox.accounts.revoke_tokens()
    kulma.sandbox.faults.add(Fault(503, 99, path="/token"))
    kulma.deliver()
    assert "Google's sign-in for programs could not be reached" == the_row(kulma).error
    kulma.sandbox.faults.clear()
    at(datetime.now(UTC) + timedelta(seconds=5))
    kulma.deliver()
    assert [] == kulma.outbox()


def test_when_google_is_gone_only_the_first_batch_waits_for_it(kulma: GoogleShop):
    saved = [kulma.saved(number) for number in range(LARGEST_BATCH + 3)]
    for member in saved:
        kulma.stamp(member)
    kulma.sandbox.faults.add(Fault(0, 99, path="/batch"))
    kulma.calls.clear()
    kulma.deliver()
    assert [LARGEST_BATCH] == kulma.calls
    assert {"Google Wallet could not be reached"} == {row.error for row in kulma.outbox()}


def test_a_card_that_google_has_can_be_saved_while_google_is_out_of_order(kulma: GoogleShop):
    member = kulma.saved()
    kulma.sandbox.faults.add(Fault(503, 99))
    assert google_cards.link(kulma.ctx, member).startswith(kulma.sandbox.save_url)
    link_fails(kulma, kulma.ctx, kulma.shop.member(2))
    with kulma.ctx.sessions() as session:
        assert 1 == session.query(GoogleObject).count()


def test_settings_that_cannot_work_are_shown_to_staff(kulma: GoogleShop):
    member = kulma.saved()
    settings = kulma.ctx.settings
    wrong = {
        "LEIMA_GOOGLE_ACCOUNT is not JSON": {"google_account": SecretStr("-----BEGIN")},
        "Google Wallet is not set up here": {"google_issuer_id": ""},
        "“123456789012345678901234” is not an issuer id": {"google_issuer_id": "1" + "23456789012345678901234"},
    }
    for reason, values in wrong.items():
        changed = settings.model_copy(update=values)
        if "google_account" in values:
            clients = wiring.GoogleClients(changed, kulma.ctx.valkey)
            off = replace(kulma.ctx, settings=changed, google=clients.of_this_thread)
        else:
            off = replace(kulma.ctx, settings=changed)
        kulma.stamp(member)
        at_work = replace(kulma, shop=replace(kulma.shop, ctx=off))
        at_work.deliver()
        row = kulma.outbox()[-1]
        assert (OutboxState.DEAD, Channel.GOOGLE, True) == (row.state, row.channel, row.error.startswith(reason))
        if google_cards.is_on(off):
            link_fails(kulma, off, member)


def test_without_an_https_address_there_are_no_cards_at_google(kulma: GoogleShop, tmp_path: Path):
    def is_on(**values: object) -> bool:
        settings = kulma.ctx.settings.model_copy(update=values)
        return google_cards.is_on(replace(kulma.ctx, settings=settings))

    assert is_on()
    assert not is_on(wallet_url="")
    assert not is_on(google_issuer_id="")
    assert not is_on(google_account=SecretStr(""))
    assert is_on(wallet_url="", public_url="https://kulma.example")
