"""What may go out at this moment: quiet hours, countries, caps; and what the manager is told."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from app.db.delivery import Channel, OutboxRow
from app.db.messages import SmsDay, SmsMessage, SmsRules
from app.db.people import Member
from app.db.programs import Program
from app.services import conversations, join_codes, members, sms_rules, sms_sending, sms_spending
from app.services.errors import InvalidForm
from app.services.members import JoinRequest
from sandbox.twilio_faults import Fault
from sms.delivery_states import State
from sms.twilio_webhooks import status_report
from tests.factories import Shop
from tests.integration.sms_shop import SmsShop, open_sms_shop

Clock = Callable[[datetime], None]
PHONE, SWEDE = "+358401239999", "+46701234567"
NOON = datetime(2027, 3, 1, 10, tzinfo=UTC)  # in Helsinki
EVENING = datetime(2027, 3, 1, 20, tzinfo=UTC)  # 22:00
MORNING = datetime(2027, 3, 2, 6, tzinfo=UTC)  # 08:00


@pytest.fixture
def desk(ctx, shop: Shop, tmp_path: Path, at: Clock) -> Iterator[SmsShop]:
    with open_sms_shop(ctx, shop, tmp_path) as made:
        at(NOON)
        yield made


def rule(desk: SmsShop, **changes: str) -> None:
    form = sms_rules.as_typed(sms_rules.get(desk.ctx, desk.shop.program.id)) | changes
    sms_rules.save(desk.ctx, desk.shop.owner, form)


def queued(desk: SmsShop, phone: str = PHONE, *, marketing: bool = False, text: str = "Hello") -> UUID:
    with desk.ctx.sessions.begin() as session:
        program = session.get_one(Program, desk.shop.program.id)
        member = session.scalars(select(Member.id).where(Member.phone == phone)).one_or_none()
        return sms_sending.queue(
            session, program, phone, language="en", text=text, member_id=member, marketing=marketing
        ).id


def fan(desk: SmsShop, phone: str = PHONE) -> None:
    """A member who wants offers."""
    members.join(desk.ctx, desk.shop.owner, JoinRequest(phone, consents={"sms_marketing": "Yes."}), source="web")


def due_at(desk: SmsShop, message_id: UUID) -> datetime | None:
    with desk.ctx.sessions() as session:
        return session.scalars(
            select(OutboxRow.due_at).where(OutboxRow.channel == Channel.SMS, OutboxRow.subject_id == message_id)
        ).one_or_none()


def today(desk: SmsShop) -> tuple[int, int, int]:
    found = sms_spending.standing(desk.ctx, desk.shop.program.id)
    return found.messages, found.parts, found.cost_micro


def outcome(desk: SmsShop, message_id: UUID) -> tuple[State | None, str]:
    message = desk.message(message_id)
    return message.state, message.reason


def test_offers_wait_for_the_morning_and_what_people_need_goes_at_once(desk: SmsShop, at: Clock) -> None:
    fan(desk)
    at(EVENING)
    offer, needed = queued(desk, marketing=True, text="Buns"), queued(desk)
    desk.deliver()
    assert [(State.QUEUED, "quiet-hours"), (State.ACCEPTED, "")] == [outcome(desk, offer), outcome(desk, needed)]
    assert MORNING == due_at(desk, offer)
    thread = conversations.with_sender(desk.ctx, desk.shop.owner, offer)
    assert [MORNING, None] == [bubble.waits_until for bubble in thread.bubbles]
    at(MORNING)
    desk.deliver()
    assert ["Hello", "Buns"] == desk.on_phone()
    assert (State.ACCEPTED, "") == outcome(desk, offer)


def test_who_stops_while_an_offer_waits_gets_none(desk: SmsShop, at: Clock) -> None:
    fan(desk)
    at(EVENING)
    offer = queued(desk, marketing=True)
    desk.deliver()
    desk.text("STOP", PHONE)
    at(MORNING)
    desk.deliver()
    assert (State.FAILED, "opted-out") == outcome(desk, offer)


def test_a_message_costs_its_parts_at_its_countrys_price(desk: SmsShop) -> None:
    rule(desk, part_price="0.07", add_country="SE", price_SE="0.0455")
    ours, theirs = queued(desk, text="x" * 161), queued(desk, SWEDE)
    desk.deliver()
    assert [(2, 140_000), (1, 45_500)] == [
        (message.parts, message.cost_micro) for message in (desk.message(ours), desk.message(theirs))
    ]
    assert (2, 3, 185_500) == today(desk)


def test_at_the_cap_offers_wait_for_tomorrow_and_at_twice_the_cap_everything(desk: SmsShop, at: Clock) -> None:
    rule(desk, part_price="0.10", daily_cap="0.20")
    fan(desk)
    for _ in range(2):
        queued(desk)
    desk.deliver()
    offer = queued(desk, marketing=True)
    needed = [queued(desk) for _ in range(3)]
    desk.deliver()
    states = [desk.message(one).state for one in needed]
    assert [State.ACCEPTED, State.ACCEPTED, State.QUEUED] == sorted(states, key=str)
    assert (State.QUEUED, "daily-cap") == outcome(desk, offer)
    assert MORNING == due_at(desk, offer)
    found = sms_spending.standing(desk.ctx, desk.shop.program.id)
    assert (True, True, 2, 400_000) == (found.offers_wait, found.all_wait, found.waiting, found.cost_micro)
    at(MORNING)
    desk.deliver()
    assert {State.ACCEPTED} == {desk.message(one).state for one in [offer, *needed]}
    assert (2, 2, 200_000) == today(desk)


def test_a_higher_cap_lets_go_what_was_held(desk: SmsShop) -> None:
    rule(desk, part_price="0.10", daily_cap="0.05")
    needed = [queued(desk) for _ in range(2)]
    desk.deliver()
    assert 1 == sms_spending.standing(desk.ctx, desk.shop.program.id).waiting
    rule(desk, daily_cap="")
    desk.deliver()
    assert {State.ACCEPTED} == {desk.message(one).state for one in needed}
    assert not sms_spending.standing(desk.ctx, desk.shop.program.id).is_alarm


def test_many_workers_at_once_never_get_over_the_cap(desk: SmsShop) -> None:
    rule(desk, part_price="0.10", daily_cap="0.50", number_daily_cap="100")
    fan(desk)
    offers = [queued(desk, marketing=True, text=f"Buns {number}") for number in range(20)]
    with ThreadPoolExecutor(8) as threads:
        begun = list(threads.map(lambda one: sms_sending.begin(desk.ctx, one), offers))
    assert 5 == sum(isinstance(one, sms_sending.Attempt) for one in begun)
    assert (5, 5, 500_000) == today(desk)


@pytest.mark.parametrize("fault", ["429", "21614"])
def test_what_was_not_taken_is_given_back(desk: SmsShop, fault: str) -> None:
    rule(desk, part_price="0.10")
    desk.twilio.faults.add(Fault(fault))
    queued(desk)
    desk.deliver()
    assert (0, 0, 0) == today(desk)


def test_what_may_have_been_taken_stays_counted_and_counts_once(desk: SmsShop, at: Clock) -> None:
    rule(desk, part_price="0.10")
    desk.twilio.faults.add(Fault("500-after-accepting"))
    queued(desk)
    desk.deliver()
    assert (1, 1, 100_000) == today(desk)
    at(NOON + timedelta(minutes=3))
    desk.due()
    desk.deliver()
    assert ((1, 1, 100_000), ["Hello"]) == (today(desk), desk.on_phone())


def test_a_day_is_the_programmes(desk: SmsShop, at: Clock) -> None:
    at(datetime(2027, 3, 1, 22, 30, tzinfo=UTC))  # half past midnight in Helsinki
    queued(desk)
    desk.deliver()
    with desk.ctx.sessions() as session:
        assert ["2027-03-02"] == [str(day) for day in session.scalars(select(SmsDay.day))]


def test_a_number_gets_so_many_messages_a_day_and_no_more(desk: SmsShop, at: Clock) -> None:
    rule(desk, number_daily_cap="3")
    sent = [queued(desk) for _ in range(5)]
    desk.deliver()
    assert 3 == len(desk.on_phone())
    assert 2 == [outcome(desk, one) for one in sent].count((State.FAILED, "number-cap"))
    at(MORNING)
    queued(desk)
    desk.deliver()
    assert 4 == len(desk.on_phone())


def test_nothing_goes_to_a_country_that_is_not_served(desk: SmsShop) -> None:
    abroad = queued(desk, SWEDE)
    desk.deliver()
    assert ((State.FAILED, "country"), []) == (outcome(desk, abroad), desk.on_phone(SWEDE))


def test_a_text_from_such_a_country_is_kept_but_not_answered(desk: SmsShop) -> None:
    join_codes.create(desk.ctx, desk.shop.owner, {"code": "04821"})
    for body in ("04821", "hello", "HELP"):
        desk.text(body, SWEDE)
    assert ([None] * 3, 0) == ([one.state for one in desk.messages(SWEDE)], desk.waiting())
    with desk.ctx.sessions() as session:
        assert [] == session.scalars(select(Member)).all()


def test_joining_from_such_a_country_says_which_numbers_can(desk: SmsShop) -> None:
    with pytest.raises(InvalidForm) as caught:
        members.join(desk.ctx, desk.shop.owner, JoinRequest(SWEDE), source="web")
    assert "+358" in str(caught.value.errors["phone"].params)
    rule(desk, add_country="SE")
    assert members.join(desk.ctx, desk.shop.owner, JoinRequest(SWEDE), source="web")[1]


def test_an_alarm_of_pumping_stops_everything_until_a_manager_has_looked(desk: SmsShop, at: Clock) -> None:
    pumped = queued(desk)
    desk.deliver()
    raw = {"MessageSid": desk.message(pumped).provider_id or "", "MessageStatus": "failed", "ErrorCode": "30450"}
    sms_sending.reported(desk.ctx, pumped, status_report(raw), raw)
    later = queued(desk, "+358401239998")
    desk.deliver()
    assert (State.QUEUED, "pumping") == outcome(desk, later)
    assert sms_spending.standing(desk.ctx, desk.shop.program.id).stopped_at == NOON
    at(NOON + timedelta(minutes=1))
    sms_rules.resume(desk.ctx, desk.shop.owner)
    # The same report once more is no new alarm.
    sms_sending.reported(desk.ctx, pumped, status_report(raw), raw)
    desk.deliver()
    assert State.ACCEPTED is desk.message(later).state


def test_what_waits_for_three_days_is_given_up(desk: SmsShop, at: Clock) -> None:
    rule(desk, part_price="0.10", daily_cap="0")
    waiting = queued(desk)
    for day in range(4):
        at(NOON + timedelta(days=day))
        desk.due()
        desk.deliver()
    assert (State.FAILED, "daily-cap") == outcome(desk, waiting)


def test_a_programme_without_rules_has_no_cap_and_its_own_country(desk: SmsShop) -> None:
    with desk.ctx.sessions() as session:
        assert [] == session.scalars(select(SmsRules)).all()
    found = sms_rules.get(desk.ctx, desk.shop.program.id)
    assert (None, ("FI",), 20) == (found.daily_cap_minor, found.countries, found.number_daily_cap)


def test_every_sent_message_has_its_reason_to_be_counted(desk: SmsShop) -> None:
    for number in range(3):
        queued(desk, f"+35840123000{number}", text="x" * (number * 160 + 1))
    desk.deliver()
    with desk.ctx.sessions() as session:
        parts = sum(message.parts or 0 for message in session.scalars(select(SmsMessage)))
    assert today(desk)[1] == parts
