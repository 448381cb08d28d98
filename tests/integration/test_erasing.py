"""Somebody is erased: nothing tells who it was, sums stay, and what is on its way or installed stops."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text
from uuid_utils.compat import uuid7

from app import clock
from app.db import tables
from app.db.campaigns import CampaignRecipient, RecipientState
from app.db.delivery import AppleDevice, AppleRegistration, Channel, GoogleObject, OutboxRow
from app.db.keeping import ErasedBy, Erasure
from app.db.ledger import AuditEntry
from app.db.messages import SmsMessage
from app.db.nps import NpsAsk
from app.db.people import Member, MemberStatus
from app.db.referrals import MemberDevice, Referral, ReferralLink
from app.db.rewards import CouponRegistration, GoogleCoupon
from app.services import (
    apple_coupons,
    apple_devices,
    apple_passes,
    bonus_by_hand,
    bonus_rules,
    coupons,
    doctoring,
    erased_traces,
    erased_wallets,
    erasing,
    members,
    messages,
    old_cards,
    purchases,
    reward_giving,
    reward_types,
    short_links,
    sms_sending,
    till,
)
from app.services.context import Actor, Context
from app.services.erasing import Why
from app.services.errors import Refused
from app.services.members import JoinRequest
from app.services.purchases import Line, PurchaseRequest
from app.services.views import MemberView
from certs.identity import SigningIdentity
from sandbox.google import GoogleSandbox
from sms.delivery_states import State
from sms.reasons import Reason
from tests.factories import Shop
from tests.integration.apple_shop import PASS_TYPE, AppleShop, open_apple_shop
from tests.integration.campaign_links import recipient, run_of
from tests.integration.campaign_shop import NOON, CampaignShop, open_campaign_shop
from tests.integration.google_shop import GoogleShop, fresh, google_shop, loaded
from tests.integration.reward_shop import give, make_type
from tests.integration.sms_shop import SmsShop, open_sms_shop
from tests.integration.test_own_page import a_life

SECRETS = ("Erin", "erin@example.com", "Turku", "1990-05-17", "R-Erin", "OLD17", "Nice coffee", "a-device")


@pytest.fixture
def kulma(shop: Shop, pass_identity: SigningIdentity, tmp_path: Path) -> Iterator[AppleShop]:
    with open_apple_shop(shop, pass_identity, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleSandbox]:
    """Kept for the module, because the service account's key is slow to make."""
    with GoogleSandbox(tmp_path_factory.mktemp("google")) as sandbox:
        yield sandbox


@pytest.fixture
def google(ctx: Context, server: GoogleSandbox) -> Iterator[GoogleShop]:
    with google_shop(ctx, fresh(server), loaded(server)) as opened:
        yield opened


@pytest.fixture
def texting(shop: Shop, tmp_path: Path) -> Iterator[SmsShop]:
    with open_sms_shop(shop.ctx, shop, tmp_path) as opened:
        yield opened


@pytest.fixture
def campaigning(shop: Shop, tmp_path: Path) -> Iterator[CampaignShop]:
    with open_campaign_shop(shop.ctx, shop, tmp_path) as opened:
        yield opened


def erase(shop: Shop, member: MemberView, by: ErasedBy = ErasedBy.MEMBER, why: str = "") -> bool:
    actor = Actor(shop.program.id) if by is not ErasedBy.STAFF else shop.owner
    return erasing.erase(shop.ctx, actor, member.id, by, why)


@contextmanager
def refused(kind: str) -> Iterator[None]:
    with pytest.raises(Refused) as refusal:
        yield
    assert kind == refusal.value.kind


def everything(shop: Shop) -> str:
    """Every row of every table, as text."""
    with shop.ctx.engine.connect() as connection:
        return "\n".join(
            f"{table.name}: {row}"
            for table in tables.metadata.sorted_tables
            for row in connection.execute(select(func.row_to_json(table.table_valued()))).scalars()
        )


def a_whole_life(shop: Shop) -> MemberView:
    """Somebody with a row in nearly every table that can name a member."""
    member = a_life(shop, 1, "Erin")
    friend = shop.member(2)
    old_cards.add(shop.ctx, shop.owner, member.id, "OLD17")
    lines = [Line("Erin's kettle", amount_minor=3000, warranty_months=24)]
    request = PurchaseRequest(3000, member_id=member.id, receipt_no="R-Erin-2", lines=lines)
    purchases.record(shop.ctx, shop.cashier, request)
    now = clock.now()
    whose: dict[str, Any] = {"id": uuid7(), "program_id": shop.program.id, "member_id": member.id}
    with shop.ctx.sessions.begin() as session:
        row = session.get_one(Member, member.id)
        row.email, row.city, row.birth_date = "erin@example.com", "Turku", date(1990, 5, 17)
        session.add(MemberDevice(member_id=member.id, device="a-device", seen_at=now))
        session.add(ReferralLink(member_id=member.id, code="friendcode", created_at=now))
        session.add(
            Referral(
                id=uuid7(),
                program_id=shop.program.id,
                referrer_id=member.id,
                friend_id=friend.id,
                device="a-device",
                joined_at=now,
            )
        )
        session.add(NpsAsk(**whose, token="nps-token-12", asked_at=now, score=9, comment="Nice coffee"))
    return members.by_id(shop.ctx, shop.cashier, member.id)


def test_nothing_in_any_table_tells_who_it_was(shop: Shop) -> None:
    member = a_whole_life(shop)
    before = everything(shop)
    assert [] == [secret for secret in (*SECRETS, member.phone) if secret not in before]
    assert erase(shop, member)
    after = "\n".join(line for line in everything(shop).splitlines() if not line.startswith("saved_answers"))
    token = members.card_token(shop.ctx, member)
    secrets = (*SECRETS, member.phone, member.phone.removeprefix("+358"), token, "Token_0001", "nps-token-12")
    # The name of a campaign is the shop's own words.
    assert [] == [secret for secret in secrets if secret in after.replace("Autumn for Erin", "")]


def test_no_table_that_names_a_member_is_forgotten() -> None:
    """A new table that names members has to say in erased_traces what becomes of its rows."""
    theirs = {
        table.name
        for table in tables.metadata.sorted_tables
        for column in table.columns
        if column.name in ("member_id", "card_id", "recipient_number")
        or any(key.column.table.name in ("members", "cards", "sms_messages") for key in column.foreign_keys)
    }
    assert set() == theirs - set(erased_traces.TABLES)
    assert set() == set(erased_traces.TABLES) - set(tables.metadata.tables)


def test_the_sums_of_ledger_and_purchases_stay_and_the_doctor_finds_nothing(shop: Shop) -> None:
    member = a_whole_life(shop)
    with shop.ctx.sessions() as session:
        spent = session.scalar(text("SELECT sum(amount_minor) FROM purchases"))
    erase(shop, member)
    with shop.ctx.sessions() as session:
        assert spent == session.scalar(text("SELECT sum(amount_minor) FROM purchases"))
        assert [0, 0, 0] == [
            getattr(session.get_one(Member, member.id), name) for name in ("stamps", "rewards", "credit_minor")
        ]
        assert [] == session.scalars(text("SELECT name FROM rewards WHERE status = 'issued'")).all()
        assert [] == session.scalars(text("SELECT id FROM credits WHERE status = 'open'")).all()
    assert [] == doctoring.differences(shop.ctx)
    assert [] == doctoring.credit_differences(shop.ctx)


def test_what_staff_wrote_of_rewards_and_bonus_given_by_hand_goes_as_well(shop: Shop) -> None:
    member = shop.member(1)
    bonus_rules.save(shop.ctx, shop.owner, {"kind": "money", "share": "5"})
    bonus_by_hand.change(shop.ctx, shop.owner, member.id, {"what": "give", "amount": "5", "reason": "Ms. Hand waited"})
    kind = reward_types.save(shop.ctx, shop.owner, {"name": "Cake", "value": "item"})
    why = {"type_id": str(kind.id), "reason": "Ms. Hand is 50"}
    reward_giving.give(shop.ctx, shop.owner, member.id, why, key="give-1")
    assert 2 == everything(shop).count("Ms. Hand")
    erase(shop, member)
    assert "Ms. Hand" not in everything(shop)


def test_it_is_noted_who_did_it_and_why_and_twice_is_as_once(shop: Shop) -> None:
    member = shop.member(1)
    assert [True, False] == [erase(shop, member, ErasedBy.STAFF, Why.ASKED) for _ in range(2)]
    with shop.ctx.sessions() as session:
        noted = session.scalars(select(Erasure)).one()
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "member.erased")).one()
    assert (member.id, ErasedBy.STAFF) == (noted.member_id, noted.by)
    assert (member.id, shop.owner.staff_id, {"by": "staff", "why": "asked"}) == (
        entry.subject_id,
        entry.staff_id,
        entry.details,
    )


def test_staff_choose_a_reason_and_cannot_erase_another_programmes_member(shop: Shop) -> None:
    member = shop.member(1)
    with pytest.raises(Refused) as wrong:
        erase(shop, member, ErasedBy.STAFF, "because Erin said so")
    with pytest.raises(Refused) as strange:
        erasing.erase(shop.ctx, Actor(uuid7()), member.id, ErasedBy.STAFF, Why.ASKED)
    assert ("unknown-choice", "member-not-found") == (wrong.value.kind, strange.value.kind)
    assert MemberStatus.ACTIVE is members.by_id(shop.ctx, shop.owner, member.id).status


def test_neither_card_nor_number_nor_link_finds_anybody(shop: Shop) -> None:
    member = a_whole_life(shop)
    token = members.card_token(shop.ctx, member)
    erase(shop, member)
    for search in (member.card_code, member.phone):
        with refused("member-not-found"):
            members.find(shop.ctx, shop.cashier, search)
    with refused("member-not-found"):
        till.give_stamps(shop.ctx, shop.cashier, member.card_code)
    with refused("member-not-found"):
        members.by_id(shop.ctx, shop.owner, member.id)
    with refused("link-not-found"):
        members.by_link(shop.ctx, token)
    with refused("short-link-not-found"):
        short_links.find(shop.ctx, "Token_0001")


def test_the_same_number_joins_anew_as_a_stranger(shop: Shop) -> None:
    member = a_whole_life(shop)
    erase(shop, member)
    again, new = members.join(shop.ctx, Actor(shop.program.id), JoinRequest(phone=member.phone), source="web")
    assert (True, "", 0, ()) == (new, again.name, again.stamps, again.rewards)
    assert member.id != again.id
    assert erase(shop, again)


def test_a_message_that_waits_is_cancelled_and_never_leaves(texting: SmsShop) -> None:
    shop = texting.shop
    member = shop.member(1)
    messages.send_card_link(texting.ctx, member)
    erase(shop, member)
    texting.due()
    texting.deliver()
    with texting.ctx.sessions() as session:
        row = session.scalars(select(SmsMessage)).one()
        assert [] == session.scalars(select(OutboxRow).where(OutboxRow.channel == Channel.SMS)).all()
    assert (State.FAILED, Reason.ERASED) == (row.state, row.reason)
    assert [] == texting.twilio.messages.of(member.phone)


def test_a_message_in_doubt_is_left_alone_and_what_a_worker_holds_is_settled(texting: SmsShop) -> None:
    shop = texting.shop
    member = shop.member(1)
    messages.send_card_link(texting.ctx, member)
    with texting.ctx.sessions() as session:
        message_id = session.scalars(select(SmsMessage.id)).one()
    attempt = sms_sending.begin(texting.ctx, message_id)
    assert isinstance(attempt, sms_sending.Attempt)
    erase(shop, member)  # while the worker asks the provider
    assert None is sms_sending.begin(texting.ctx, message_id)
    sms_sending.advance(texting.ctx, message_id, State.ACCEPTED, provider_id="SM1")
    assert State.ACCEPTED is texting.message(message_id).state


def test_a_message_that_the_provider_did_not_take_is_not_tried_again(texting: SmsShop) -> None:
    member = texting.shop.member(1)
    messages.send_card_link(texting.ctx, member)
    with texting.ctx.sessions() as session:
        message_id = session.scalars(select(SmsMessage.id)).one()
    attempt = sms_sending.begin(texting.ctx, message_id)
    assert isinstance(attempt, sms_sending.Attempt)
    erase(texting.shop, member)
    sms_sending.not_taken(texting.ctx, attempt, State.QUEUED)
    assert None is sms_sending.begin(texting.ctx, message_id)
    texting.due()
    texting.deliver()
    assert [] == texting.twilio.messages.of(member.phone)


def test_a_campaign_skips_them_with_the_reason(campaigning: CampaignShop, at: Any) -> None:
    at(NOON)  # not in the quiet hours
    erin, frank = campaigning.members(2)
    campaigning.started()
    erasing.erase(campaigning.ctx, Actor(campaigning.shop.program.id), erin, ErasedBy.RULE)
    campaigning.send()
    with campaigning.ctx.sessions() as session:
        rows = session.scalars(select(CampaignRecipient).order_by(CampaignRecipient.number)).all()
    found = {row.member_id: (row.state, row.reason) for row in rows}
    assert {erin: (RecipientState.SKIPPED, "erased"), frank: (RecipientState.HANDED, "")} == found


def test_a_phone_is_pushed_fetches_the_voided_card_and_is_forgotten_after_a_week(kulma: AppleShop, at: Any) -> None:
    shop, ctx = kulma.shop, kulma.ctx
    member = shop.member(1, name="Erin")
    kulma.stamp(member)
    push_token = kulma.phone(member)
    pushed = len(kulma.pushes(push_token))
    secret = ctx.derived_token("apple-pass", member.card_id)
    erase(shop, member)
    kulma.deliver()
    assert pushed + 1 == len(kulma.pushes(push_token))
    with ctx.sessions() as session:
        assert [push_token] == session.scalars(select(AppleDevice.push_token)).all()
    card = apple_devices.authenticated(ctx, PASS_TYPE, str(member.card_id), secret)
    assert card is not None
    content = apple_passes.fetch(ctx, card, None).content
    assert content is not None
    words = pass_json(content)
    assert words["voided"]
    assert "Erin" not in str(words)
    assert member.card_code not in str(words)
    later = clock.now() + timedelta(days=8)
    at(later)
    assert erased_wallets.forget(ctx)
    with ctx.sessions() as session:
        assert [] == session.scalars(select(AppleRegistration.card_id)).all()
        assert [] == session.scalars(select(AppleDevice.id)).all()
    assert None is apple_devices.authenticated(ctx, PASS_TYPE, str(member.card_id), secret)


def test_a_phone_that_holds_a_coupon_and_no_card_is_forgotten_too(kulma: AppleShop, at: Any) -> None:
    member = kulma.shop.member(1)
    reward = give(kulma.shop, member, make_type(kulma.shop))
    coupon = coupons.find(kulma.ctx, [reward.id])[reward.id]
    assert apple_coupons.register(kulma.ctx, coupon, "a-phone", "ab" * 32)
    with kulma.ctx.sessions.begin() as session:
        session.add(GoogleCoupon(reward_id=reward.id, version=1, installs=1))
    erase(kulma.shop, member)
    with kulma.ctx.sessions.begin() as session:
        session.execute(delete(OutboxRow))  # all were told
    at(clock.now() + timedelta(days=8))
    assert erased_wallets.forget(kulma.ctx)
    with kulma.ctx.sessions() as session:
        left = [session.scalar(select(func.count()).select_from(table)) for table in (CouponRegistration, GoogleCoupon)]
        assert ([0, 0], []) == (left, session.scalars(select(AppleDevice.id)).all())


def pass_json(content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        found: dict[str, Any] = json.loads(archive.read("pass.json"))
        return found


def test_google_gets_it_inactive_and_without_the_person_and_is_forgotten(google: GoogleShop, at: Any) -> None:
    member = google.saved(1, name="Erin Example")
    assert "Erin Example" == google.shown(member)["accountName"]
    erase(google.shop, member)
    google.deliver()
    shown = google.shown(member)
    assert "INACTIVE" == shown["state"]
    assert "Erin" not in str(shown)
    assert member.card_code not in str(shown)
    at(clock.now() + timedelta(days=8))
    erased_wallets.forget(google.ctx)
    with google.ctx.sessions() as session:
        assert [] == session.scalars(select(GoogleObject.card_id)).all()


def test_who_left_and_who_is_blocked_are_erased_as_well(shop: Shop) -> None:
    for number, status in ((1, MemberStatus.LEFT), (2, MemberStatus.BLOCKED)):
        member = shop.member(number)
        members.set_status(shop.ctx, shop.owner, member.id, status)
        assert erase(shop, member)
    assert [] == doctoring.differences(shop.ctx)


def test_a_purchase_that_waits_under_the_number_of_who_left_is_nobodys(shop: Shop) -> None:
    member = shop.member(1)
    members.set_status(shop.ctx, shop.owner, member.id, MemberStatus.LEFT)
    purchases.record(shop.ctx, shop.cashier, PurchaseRequest(500, phone=member.phone))
    erase(shop, member)
    _, new = members.join(shop.ctx, Actor(shop.program.id), JoinRequest(phone=member.phone), source="web")
    assert new
    assert member.phone not in everything(shop).replace("sms_messages", "").split("members:")[0]


def test_a_run_that_was_sent_keeps_its_counts(shop: Shop) -> None:
    member = shop.member(1)
    run = run_of(shop)
    row = recipient(shop, run, member)
    erase(shop, member)
    with shop.ctx.sessions() as session:
        kept = session.get_one(CampaignRecipient, row.number)
    assert ("!", 0, row.state) == (kept.token[0], kept.phone_check, kept.state)


def test_erasing_is_as_of_now_whatever_the_clock_of_the_ledger(shop: Shop, at: Any) -> None:
    member = shop.member(1)
    till.give_stamps(shop.ctx, shop.cashier, member.card_code, count=3)
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    at(moment)
    erase(shop, member)
    with shop.ctx.sessions() as session:
        row = session.get_one(Member, member.id)
    assert (MemberStatus.ERASED, moment, None) == (row.status, row.left_at, row.next_expiry_at)
