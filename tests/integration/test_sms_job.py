"""Handing messages to the provider: each arrives once, whatever happens between us and it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from app import clock
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.messages import SmsEvent
from app.db.people import Consent
from app.db.programs import Program
from app.jobs import drain
from app.jobs.sms import send_messages
from app.jobs.station import Station
from app.services import members, outbox, sms_gate, sms_sending
from app.services.members import JoinRequest
from app.services.sms_sending import Attempt
from sandbox.twilio_faults import Fault
from sms.console import ConsoleProvider
from sms.delivery_states import State
from sms.twilio_webhooks import status_report
from tests.factories import Shop
from tests.integration.sms_shop import SmsShop, open_sms_shop

GRACE = timedelta(seconds=120)
Clock = Callable[[datetime], None]
PHONE = "+358401239999"
OF_SMS = select(OutboxRow.state).where(OutboxRow.channel == Channel.SMS)


@pytest.fixture
def desk(ctx, shop: Shop, tmp_path: Path) -> Iterator[SmsShop]:
    with open_sms_shop(ctx, shop, tmp_path) as made:
        yield made


def queued(desk: SmsShop, phone: str = PHONE, text: str = "Hello", *, marketing: bool = False) -> UUID:
    """A message that waits to be sent, to a member who wants offers."""
    wanted = JoinRequest(phone, consents={"sms_marketing": "Yes."})
    member = members.join(desk.ctx, desk.shop.owner, wanted, source="web")[0]
    with desk.ctx.sessions.begin() as session:
        program = session.get_one(Program, desk.shop.program.id)
        return sms_sending.queue(
            session, program, phone, language="en", text=text, member_id=member.id, marketing=marketing
        ).id


def wants_offers(desk: SmsShop, phone: str) -> bool:
    member = members.find(desk.ctx, desk.shop.cashier, phone)
    with desk.ctx.sessions() as session:
        return sms_gate.wants_offers(session, member.id)


def test_a_message_is_handed_over_once_and_waits_for_its_turn_by_its_parts(desk: SmsShop) -> None:
    long = queued(desk, text="x" * 161)
    short = queued(desk, "+358401239998")
    desk.deliver()
    desk.due()
    assert [] == desk.deliver()
    assert [1, 2] == sorted(desk.paced)
    assert [(State.ACCEPTED, 2), (State.ACCEPTED, 1)] == [
        (message.state, message.parts) for message in (desk.message(long), desk.message(short))
    ]
    assert 1 == len(desk.on_phone())
    assert 0 == desk.waiting()


def test_a_refusal_for_good_ends_it_and_says_why(desk: SmsShop) -> None:
    phone = "+358401221614"  # the stand-in: 'To' is no mobile number
    failed = queued(desk, phone)
    assert [""] == [outcome.error for outcome in desk.deliver()]
    message = desk.message(failed)
    assert (State.FAILED, "no-sms", "21614") == (message.state, message.reason, message.code)
    assert 0 == desk.waiting()


def test_who_has_opted_out_at_the_provider_gets_no_more_offers_from_us(desk: SmsShop) -> None:
    phone = "+358401221610"
    failed = queued(desk, phone)
    desk.deliver()
    assert (State.FAILED, "opted-out") == (desk.message(failed).state, desk.message(failed).reason)
    assert not wants_offers(desk, phone)
    with desk.ctx.sessions() as session:
        newest = session.scalars(select(Consent).order_by(Consent.at.desc(), Consent.id.desc())).first()
        assert newest is not None
        assert (False, "provider") == (newest.granted, newest.source)


def test_what_was_certainly_not_taken_is_tried_again(desk: SmsShop) -> None:
    desk.twilio.faults.add(Fault("429"))
    waiting = queued(desk)
    (outcome,) = desk.deliver()
    assert (False, 1) == (outcome.permanent, outcome.retry_after)
    assert State.QUEUED is desk.message(waiting).state
    desk.due()
    desk.deliver()
    assert (State.ACCEPTED, ["Hello"]) == (desk.message(waiting).state, desk.on_phone())


def test_a_provider_that_refuses_our_account_is_shown_at_once(desk: SmsShop) -> None:
    refused = queued(desk, "+358401220003")
    desk.deliver()
    with desk.ctx.sessions() as session:
        assert [OutboxState.DEAD] == session.scalars(OF_SMS).all()
    assert (State.QUEUED, "account") == (desk.message(refused).state, desk.message(refused).reason)


@pytest.mark.parametrize("kind", ["500-after-accepting", "drop-after-accepting", "hang-after-accepting"])
def test_what_may_have_been_taken_is_looked_for_and_never_sent_twice(desk: SmsShop, at: Clock, kind: str) -> None:
    desk.twilio.faults.add(Fault(kind))
    lost = queued(desk)
    desk.deliver()
    assert State.UNKNOWN is desk.message(lost).state
    desk.due()
    (early,) = desk.deliver()  # within the grace the provider may not list it yet
    assert ("It is not yet known whether this message was sent.", False) == (early.error, early.permanent)
    at(clock.now() + GRACE)
    desk.due()
    assert [""] == [outcome.error for outcome in desk.deliver()]
    found = desk.message(lost)
    assert found.state in (State.ACCEPTED, State.SENT, State.DELIVERED)
    assert found.provider_id == desk.twilio.messages.of(PHONE)[0].sid
    assert ["Hello"] == desk.on_phone()


def test_a_crash_after_the_provider_has_taken_it_sends_nothing_twice(desk: SmsShop, at: Clock) -> None:
    lost = queued(desk)
    (row,) = outbox.claim(desk.ctx, Channel.SMS, 10)
    attempt = sms_sending.begin(desk.ctx, row.subject_id)
    assert attempt is not None
    desk.ctx.sms.send(attempt.outgoing)  # and here the worker is killed
    at(clock.now() + GRACE)
    desk.due()
    desk.deliver()
    assert (["Hello"], 0) == (desk.on_phone(), desk.waiting())
    assert desk.message(lost).provider_id


def test_a_crash_before_the_provider_was_asked_loses_nothing(desk: SmsShop, at: Clock) -> None:
    lost = queued(desk)
    desk.crash()
    assert State.SENDING is desk.message(lost).state
    at(clock.now() + GRACE)
    desk.due()
    desk.deliver()
    assert (State.ACCEPTED, ["Hello"]) == (desk.message(lost).state, desk.on_phone())


def test_an_earlier_message_with_the_same_words_is_not_taken_for_this_one(desk: SmsShop, at: Clock) -> None:
    first = queued(desk)
    desk.deliver()
    second = queued(desk)
    desk.crash()
    at(clock.now() + GRACE)
    desk.due()
    desk.deliver()
    assert ["Hello", "Hello"] == desk.on_phone()
    assert desk.message(first).provider_id != desk.message(second).provider_id


def test_a_provider_that_cannot_be_asked_leaves_the_decision_to_people(desk: SmsShop, tmp_path: Path) -> None:
    lost = queued(desk)
    desk.crash()
    with (tmp_path / "console").open("w") as screen:
        blind = replace(desk.ctx, sms=ConsoleProvider(screen))
        rows = outbox.claim(blind, Channel.SMS, 10)
        (outcome,) = send_messages(blind, lambda parts: None, rows)
    assert (True, State.UNKNOWN) == (outcome.permanent, desk.message(lost).state)
    assert "" == (tmp_path / "console").read_text()


def test_who_stops_between_planning_and_sending_gets_no_offer(desk: SmsShop) -> None:
    offer = queued(desk, text="Buns today", marketing=True)
    desk.text("STOP", PHONE)
    desk.deliver()
    assert (State.FAILED, "opted-out") == (desk.message(offer).state, desk.message(offer).reason)
    assert "Buns today" not in desk.on_phone()


def test_a_message_that_somebody_needs_goes_also_to_who_wants_no_offers(desk: SmsShop) -> None:
    needed = queued(desk)
    desk.text("lopeta", PHONE)
    desk.deliver()
    assert State.ACCEPTED is desk.message(needed).state


def report(desk: SmsShop, message_id: UUID, status: str, **more: str) -> bool:
    raw = {"MessageSid": "SM" + "7" * 32, "MessageStatus": status, "To": PHONE, "From": "+358457399999", **more}
    return sms_sending.reported(desk.ctx, message_id, status_report(raw), raw)


@pytest.mark.parametrize("order", [("sent", "delivered", "queued"), ("delivered", "sent"), ("delivered",) * 3])
def test_reports_in_any_order_and_number_come_to_the_same_end(desk: SmsShop, order: tuple[str, ...]) -> None:
    sent = queued(desk)
    desk.deliver()
    assert [True] * len(order) == [report(desk, sent, status) for status in order]
    assert State.DELIVERED is desk.message(sent).state
    with desk.ctx.sessions() as session:
        kept = session.scalars(select(SmsEvent.report).where(SmsEvent.message_id == sent)).all()
    assert list(order) == [one["MessageStatus"] for one in kept]
    assert PHONE not in str(kept)


def test_a_report_without_a_reason_never_wipes_one_that_is_known(desk: SmsShop) -> None:
    lost = queued(desk)
    desk.deliver()
    report(desk, lost, "undelivered", ErrorCode="30003")
    report(desk, lost, "undelivered")
    report(desk, lost, "sent", ErrorCode="null")
    message = desk.message(lost)
    assert (State.UNDELIVERED, "unreachable", "30003") == (message.state, message.reason, message.code)


def test_a_report_before_the_answer_settles_what_the_answer_would_have_said(desk: SmsShop) -> None:
    quick = queued(desk)
    (row,) = outbox.claim(desk.ctx, Channel.SMS, 10)
    assert sms_sending.begin(desk.ctx, row.subject_id) is not None
    report(desk, quick, "delivered")
    assert None is sms_sending.begin(desk.ctx, row.subject_id)
    sms_sending.advance(desk.ctx, quick, State.ACCEPTED)
    assert State.DELIVERED is desk.message(quick).state


def test_a_report_of_nothing_that_we_know_is_let_go(desk: SmsShop) -> None:
    assert not report(desk, UUID(int=7), "delivered")


def test_after_a_day_in_vain_a_message_is_shown_to_staff(desk: SmsShop, at: Clock) -> None:
    desk.twilio.faults.add(Fault("429", 2))
    waiting = queued(desk)
    desk.deliver()
    at(clock.now() + timedelta(days=1))
    desk.due()
    desk.deliver()
    assert State.QUEUED is desk.message(waiting).state
    with desk.ctx.sessions() as session:
        assert [OutboxState.DEAD] == session.scalars(OF_SMS).all()


def test_the_worker_empties_the_channel_and_tells_each_person_once(desk: SmsShop) -> None:
    phones = [f"+3584012300{number:02}" for number in range(20)]
    for phone in phones:
        queued(desk, phone)
    here = Station(desk.ctx, {Channel.SMS: partial(send_messages, desk.ctx, desk.paced.append)})
    assert drain.empty(here, Channel.SMS)
    assert [["Hello"]] * 20 == [desk.on_phone(phone) for phone in phones]
    assert (20, 0) == (len(desk.paced), desk.waiting())


def test_another_try_of_the_same_message_waits_out_its_own_grace(desk: SmsShop, at: Clock) -> None:
    """An hour after a try that was refused comes one that is killed: the provider may list that one late, too."""
    desk.twilio.faults.add(Fault("429"))
    lost = queued(desk)
    desk.deliver()
    at(clock.now() + timedelta(hours=1))
    desk.due()
    desk.crash()
    (early,) = desk.deliver()
    assert ("It is not yet known whether this message was sent.", []) == (early.error, desk.on_phone())
    assert State.UNKNOWN is desk.message(lost).state


def test_a_worker_whose_lease_ran_out_changes_nothing_of_the_next_ones_try(desk: SmsShop, at: Clock) -> None:
    lost = queued(desk)
    first = sms_sending.begin(desk.ctx, lost)
    assert isinstance(first, Attempt)
    at(clock.now() + GRACE)
    assert sms_sending.not_taken(desk.ctx, first, State.QUEUED)
    second = sms_sending.begin(desk.ctx, lost)
    assert isinstance(second, Attempt)
    assert not sms_sending.not_taken(desk.ctx, first, State.QUEUED)
    assert not sms_sending.not_taken(desk.ctx, first, State.FAILED, "no-sms")
    assert State.SENDING is desk.message(lost).state


def test_who_waited_too_long_for_their_turn_begins_anew_and_leaves_it_to_the_quicker(desk: SmsShop, at: Clock) -> None:
    lost = queued(desk)

    def other_worker(_parts: int) -> None:
        """While this one waits for its turn, its lease runs out, and another one sends the message."""
        at(clock.now() + GRACE)
        desk.due()
        desk.deliver()

    rows = outbox.claim(desk.ctx, Channel.SMS, 10)
    assert [""] == [outcome.error for outcome in send_messages(desk.ctx, other_worker, rows)]
    assert (["Hello"], State.ACCEPTED) == (desk.on_phone(), desk.message(lost).state)


def test_another_message_that_may_be_this_one_is_looked_at_by_people(desk: SmsShop, at: Clock) -> None:
    """The provider has taken something for this number that nobody knows of: perhaps it changed a letter."""
    lost = queued(desk)
    desk.crash()
    desk.twilio.messages.create({"To": PHONE, "From": desk.twilio.number, "Body": "Hello!"})
    at(clock.now() + GRACE)
    desk.due()
    (outcome,) = desk.deliver()
    assert "another message to this number" in outcome.error
    assert (State.UNKNOWN, ["Hello!"]) == (desk.message(lost).state, desk.on_phone())


def test_what_the_provider_answers_by_itself_is_not_taken_for_ours(desk: SmsShop, at: Clock) -> None:
    lost = queued(desk)
    desk.crash()
    desk.twilio.poster.text(PHONE, "HELP")
    at(clock.now() + GRACE)
    desk.due()
    desk.deliver()
    assert (State.ACCEPTED, 1) == (desk.message(lost).state, desk.on_phone().count("Hello"))


def test_who_opts_out_while_nobody_knows_is_not_called_unsent(desk: SmsShop, at: Clock) -> None:
    desk.twilio.faults.add(Fault("500-after-accepting"))
    at(datetime(2027, 3, 1, 10, tzinfo=UTC))
    lost = queued(desk, marketing=True)
    desk.deliver()
    desk.text("lopeta", PHONE)
    at(clock.now() + GRACE)
    desk.due()
    desk.deliver()
    assert desk.message(lost).state in (State.ACCEPTED, State.SENT, State.DELIVERED)


def test_an_earlier_failure_leaves_no_trace_on_a_message_that_was_sent(desk: SmsShop) -> None:
    desk.twilio.faults.add(Fault("429"))
    sent = queued(desk)
    desk.deliver()
    assert "busy" == desk.message(sent).reason
    desk.due()
    desk.deliver()
    assert (State.ACCEPTED, "", "") == (
        desk.message(sent).state,
        desk.message(sent).reason,
        desk.message(sent).code,
    )
