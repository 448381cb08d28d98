"""What comes with a campaign: each who gets the message gets it once, in time to be told of it, and nobody else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select, update

from app.db.campaigns import Benefit, CampaignRecipient, Medium, RecipientState
from app.db.credit import Credit, CreditSource
from app.db.ledger import LedgerEntry
from app.db.messages import SmsMessage
from app.db.people import MemberStatus, Role
from app.db.programs import Program
from app.loyalty.coupons import RewardValue
from app.loyalty.ledger import Kind, Unit
from app.services import campaign_messages, credit_codes, credits, doctoring, members, program_rules, purchases, till
from app.services.context import Context
from app.services.errors import Refused
from app.services.purchases import PurchaseRequest
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration.campaign_rows import NOON, WANTS_OFFERS, handed, recipient, sending
from tests.integration.reward_shop import make_type

Clock = Callable[[datetime], None]
CREDIT = {"benefit": Benefit.CREDIT, "minor": 500, "days": 7}
REWARD = {"benefit": Benefit.REWARD, "name": "Cinnamon bun", "days": 7}
DOUBLE = {"benefit": Benefit.DOUBLE_STAMPS, "days": 7}
LAST_MOMENT = datetime(2027, 6, 23, 21, tzinfo=UTC)  # when the 24th begins in Helsinki


@pytest.fixture
def people(shop: Shop, at: Clock) -> list[MemberView]:
    at(NOON)
    return [shop.member(number, name=f"Anna{number} Aalto", **WANTS_OFFERS) for number in range(3)]


def now_of(shop: Shop, member: MemberView) -> MemberView:
    return members.by_id(shop.ctx, shop.cashier, member.id)


def credit_code(ctx: Context, credit_id: UUID) -> str:
    with ctx.sessions() as session:
        return credit_codes.code_again(ctx, session.get_one(Credit, credit_id))


def plan_again(ctx: Context) -> None:
    """As when the provider was too busy to take any message."""
    with ctx.sessions.begin() as session:
        session.execute(
            update(CampaignRecipient)
            .where(CampaignRecipient.state == RecipientState.HANDED)
            .values(state=RecipientState.PLANNED, message_id=None, handed_at=None)
        )
        session.execute(delete(SmsMessage))


def entries(ctx: Context, member: MemberView) -> list[tuple[Unit, Kind, int]]:
    with ctx.sessions() as session:
        query = select(LedgerEntry).where(LedgerEntry.member_id == member.id).order_by(LedgerEntry.number)
        return [(row.unit, row.kind, row.amount) for row in session.scalars(query)]


def test_the_message_tells_the_credit_that_comes_with_it_and_its_code(ctx: Context, shop: Shop, people):
    run = sending(ctx, shop, people, "{credit} until {credit_until}, code {code}", **CREDIT)
    texts = handed(ctx, run)
    for person in people:
        (credit,) = now_of(shop, person).credits
        assert (500, LAST_MOMENT, CreditSource.CAMPAIGN, "Summer") == (
            credit.amount_minor,
            credit.expires_at,
            credit.source,
            credit.reason,
        )
        assert credit.id == recipient(ctx, run, person).credit_id
        assert texts[person.phone].endswith(f", code {credit_code(ctx, credit.id)}")
        assert "5.00" in texts[person.phone]
    assert ([], []) == (doctoring.differences(ctx), doctoring.credit_differences(ctx))


def test_a_text_made_anew_after_a_crash_has_the_same_code(ctx: Context, shop: Shop, people):
    run = sending(ctx, shop, people[:1], "Code {code}", **CREDIT)
    (text,) = handed(ctx, run).values()
    with ctx.sessions() as session:
        message = session.scalars(select(SmsMessage)).one()
        program = session.get_one(Program, shop.program.id)
        assert text == campaign_messages.body(ctx, session, program, message)
        assert text.removeprefix("Code ") not in campaign_messages.body(ctx, session, program, message, hide_link=True)


def test_a_credit_whose_code_nobody_is_told_has_none(ctx: Context, shop: Shop, people):
    run = sending(ctx, shop, people[:1], "{credit} for you", **CREDIT)
    handed(ctx, run)
    with ctx.sessions() as session:
        assert [None] == list(session.scalars(select(Credit.code_hash)))


def test_a_programme_that_shows_codes_on_cards_has_one_for_each(ctx: Context, shop: Shop, people):
    program_rules.save(
        ctx, shop.owner, {"partial_use": "on", "code_on_card": "on", "undo_hours": "72", "attach_days": "14"}
    )
    handed(ctx, sending(ctx, shop, people[:1], "{credit} for you", **CREDIT))
    with ctx.sessions() as session:
        assert None not in list(session.scalars(select(Credit.code_hash)))


@pytest.mark.parametrize("benefit", [CREDIT, REWARD])
def test_whose_message_is_tried_again_gets_nothing_more(ctx: Context, shop: Shop, people, benefit):
    run = sending(ctx, shop, people, "{credit|} {code}", **benefit)
    first = handed(ctx, run)
    before = [entries(ctx, person) for person in people]
    plan_again(ctx)
    assert first == handed(ctx, run)
    assert before == [entries(ctx, person) for person in people]


@pytest.mark.parametrize("benefit", [CREDIT, REWARD, DOUBLE])
def test_who_is_held_out_or_skipped_gets_nothing(ctx: Context, shop: Shop, people, benefit):
    members.set_status(ctx, shop.owner, people[1].id, MemberStatus.BLOCKED)
    unwilling = shop.member(9)
    run = sending(ctx, shop, [*people[:2], unwilling], held_out=people[2:], **benefit)
    assert {people[0].phone} == handed(ctx, run).keys()
    now = [now_of(shop, person) for person in people]
    got = [bool(one.credits or one.rewards or one.double_until) for one in now]
    assert ([True, False, False], []) == (got, entries(ctx, unwilling))


def test_a_manager_takes_a_campaigns_credit_back(ctx: Context, shop: Shop, people):
    run = sending(ctx, shop, people[:1], **CREDIT)
    handed(ctx, run)
    credit_id = recipient(ctx, run, people[0]).credit_id
    assert credit_id is not None
    credits.withdraw(ctx, shop.actor(Role.MANAGER), credit_id, key=str(uuid4()))
    assert () == now_of(shop, people[0]).credits
    assert [] == doctoring.differences(ctx)


def test_a_reward_of_a_kind_is_what_the_kind_promises(ctx: Context, shop: Shop, people):
    kind = make_type(shop, name="Half price", value="percent", percent="50", valid_until="2027-06-30", weekday_0="on")
    run = sending(ctx, shop, people[:1], "A {reward} for you", benefit=Benefit.REWARD, name=kind.name, kind=kind.id)
    handed(ctx, run)
    (reward,) = now_of(shop, people[0]).rewards
    assert (RewardValue.PERCENT, 5000, (0,), True) == (
        reward.value,
        reward.value_amount,
        reward.weekdays,
        reward.own_pass,
    )
    assert datetime(2027, 6, 30, 21, tzinfo=UTC) == reward.expires_at
    assert [] == doctoring.differences(ctx)


def test_a_reward_is_used_like_any_other_and_lapses_on_its_day(ctx: Context, shop: Shop, people, at: Clock):
    run = sending(ctx, shop, people[:2], "A {reward} for you", **REWARD)
    assert "A Cinnamon bun for you" == handed(ctx, run)[people[0].phone]
    (reward,) = now_of(shop, people[0]).rewards
    assert ("Cinnamon bun", LAST_MOMENT, reward.id) == (
        reward.name,
        reward.expires_at,
        recipient(ctx, run, people[0]).reward_id,
    )
    till.redeem_reward(ctx, shop.cashier, reward.id, card_code=people[0].card_code)
    at(LAST_MOMENT)
    assert ((), ()) == (now_of(shop, people[0]).rewards, now_of(shop, people[1]).rewards)
    assert [(Unit.REWARD, Kind.GRANT, 1), (Unit.REWARD, Kind.EXPIRY, -1)] == entries(ctx, people[1])
    assert [] == doctoring.differences(ctx)


def test_a_manager_takes_a_campaigns_reward_back_unless_it_was_used(ctx: Context, shop: Shop, people):
    handed(ctx, sending(ctx, shop, people[:2], **REWARD))
    manager = shop.actor(Role.MANAGER)
    given = [history_of(shop, person)[0].operation_id for person in people[:2]]
    till.undo(ctx, manager, given[0])
    assert () == now_of(shop, people[0]).rewards
    (reward,) = now_of(shop, people[1]).rewards
    till.redeem_reward(ctx, shop.cashier, reward.id, card_code=people[1].card_code)
    with pytest.raises(Refused, match="no longer open"):
        till.undo(ctx, manager, given[1])
    assert [] == doctoring.differences(ctx)


def history_of(shop: Shop, member: MemberView):
    return till.history(shop.ctx, shop.cashier, member.id)


def test_stamps_count_twice_while_the_window_is_open(ctx: Context, shop: Shop, people, at: Clock):
    handed(ctx, sending(ctx, shop, people[:1], **DOUBLE))
    person = now_of(shop, people[0])
    assert LAST_MOMENT == person.double_until
    answer, _ = till.give_stamps(ctx, shop.cashier, person.card_code, count=2)
    assert (4, 4) == (answer["given"], answer["stamps"])
    assert [(Kind.BONUS, 2), (Kind.EARN, 2)] == [(act.kind, act.amount) for act in history_of(shop, person)]
    at(LAST_MOMENT - timedelta(microseconds=1))
    assert 6 == till.give_stamps(ctx, shop.cashier, person.card_code)[0]["stamps"]
    at(LAST_MOMENT)
    assert 7 == till.give_stamps(ctx, shop.cashier, person.card_code)[0]["stamps"]
    assert 1 == till.give_stamps(ctx, shop.cashier, people[1].card_code)[0]["stamps"]


def test_doubled_stamps_fill_the_card_and_are_taken_back_with_their_purchase(ctx: Context, shop: Shop, people):
    handed(ctx, sending(ctx, shop, people[:1], **DOUBLE))
    card = people[0].card_code
    answer, _ = till.give_stamps(ctx, shop.cashier, card, count=6)
    assert (12, 2, 1) == (answer["given"], answer["stamps"], answer["rewards"])
    undone, _ = till.undo(ctx, shop.cashier, UUID(answer["entry_id"]))
    assert (0, 0) == (undone["stamps"], undone["rewards"])
    assert [] == doctoring.differences(ctx)


def test_a_purchase_counts_by_the_moment_when_it_was_made(ctx: Context, shop: Shop, people, at: Clock):
    handed(ctx, sending(ctx, shop, people[:1], **DOUBLE))
    at(LAST_MOMENT + timedelta(hours=1))
    late = PurchaseRequest(500, member_id=people[0].id, at=LAST_MOMENT - timedelta(hours=1))
    answer, _ = purchases.record(ctx, shop.api, late)
    assert (2, 2) == (answer["given"], answer["stamps"])
    assert 1 == purchases.record(ctx, shop.api, PurchaseRequest(500, member_id=people[0].id))[0]["given"]


def test_a_shorter_window_does_not_cut_an_earlier_promise(ctx: Context, shop: Shop, people):
    handed(ctx, sending(ctx, shop, people[:1], **DOUBLE))
    handed(ctx, sending(ctx, shop, people[:1], benefit=Benefit.DOUBLE_STAMPS, days=1))
    assert LAST_MOMENT == now_of(shop, people[0]).double_until


def test_what_came_with_an_sms_is_on_the_card_without_words_on_the_lock_screen(ctx: Context, shop: Shop, people):
    before = now_of(shop, people[0])
    handed(ctx, sending(ctx, shop, people[:1], **CREDIT))
    after = now_of(shop, people[0])
    assert (before.card_version + 1, before.news) == (after.card_version, after.news)


def test_who_has_the_card_in_no_wallet_is_skipped_and_given_nothing(ctx: Context, shop: Shop, people):
    run = sending(ctx, shop, people[:1], medium=Medium.WALLET, **CREDIT)
    assert {} == handed(ctx, run)
    found = recipient(ctx, run, people[0])
    assert (RecipientState.SKIPPED, "no-wallet", None) == (found.state, found.reason, found.credit_id)
    assert () == now_of(shop, people[0]).credits
