"""Messages whose report never came: the provider is asked, less and less often, and for three days at most."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app.db.delivery import Channel, OutboxRow
from app.db.messages import SmsMessage
from app.jobs import tasks as task_job
from app.services import outbox, sms_reports, sms_sending
from app.services.context import Context
from sms.console import ConsoleProvider
from sms.delivery_states import State
from sms.twilio_webhooks import status_report
from tests.factories import Shop
from tests.integration.sms_shop import SmsShop, open_sms_shop
from tests.integration.test_sms_caps import queued

Clock = Callable[[datetime], None]
NOON = datetime(2027, 3, 1, 10, tzinfo=UTC)
PHONE, UNREACHABLE = "+358401239999", "+358401230003"


@pytest.fixture
def desk(ctx: Context, shop: Shop, tmp_path: Path, at: Clock) -> Iterator[SmsShop]:
    with open_sms_shop(ctx, shop, tmp_path) as made:
        at(NOON)
        yield made


def settled(desk: SmsShop, message_id: UUID) -> None:
    """Wait until the stand-in has brought the message to its end: nobody has heard of that."""
    provider_id = desk.message(message_id).provider_id or ""
    deadline = time.monotonic() + 5
    while desk.twilio.messages.with_sid(provider_id).status not in ("delivered", "undelivered", "failed"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ask(desk: SmsShop) -> bool:
    return sms_reports.ask(desk.ctx, sms_reports.TASK_ID, time.monotonic() + 5)


def planned(desk: SmsShop) -> list[datetime]:
    with desk.ctx.sessions() as session:
        return [at for at in session.scalars(select(SmsMessage.ask_at)) if at is not None]


def test_what_became_of_it_is_found_out_without_a_report(desk: SmsShop, at: Clock) -> None:
    delivered, lost = queued(desk), queued(desk, "+358401230003"[:-5] + "30003")
    desk.deliver()
    for message_id in (delivered, lost):
        settled(desk, message_id)
    assert ask(desk)
    assert {State.ACCEPTED} == {desk.message(delivered).state, desk.message(lost).state}  # it is too early to ask
    at(NOON + sms_sending.ASK_AFTER)
    assert ask(desk)
    assert (State.DELIVERED, "") == (desk.message(delivered).state, desk.message(delivered).reason)
    assert (State.UNDELIVERED, "unreachable", "30003") == (
        desk.message(lost).state,
        desk.message(lost).reason,
        desk.message(lost).code,
    )
    assert [] == planned(desk)


def test_what_was_reported_is_not_asked_about(desk: SmsShop) -> None:
    sent = queued(desk)
    desk.deliver()
    assert [NOON + sms_sending.ASK_AFTER] == planned(desk)
    raw = {"MessageSid": desk.message(sent).provider_id or "", "MessageStatus": "delivered"}
    sms_sending.reported(desk.ctx, sent, status_report(raw), raw)
    assert [] == planned(desk)


def test_each_pause_is_as_long_as_the_message_is_old_and_after_three_days_it_is_let_be(
    desk: SmsShop, at: Clock
) -> None:
    sent = queued(desk)
    desk.deliver()
    settled(desk, sent)
    desk.twilio.messages.with_sid(desk.message(sent).provider_id or "").status = "sent"  # and stays so
    pauses, now = [], NOON
    while moments := planned(desk):
        pauses.append(moments[0] - now)
        now = moments[0]
        at(now)
        ask(desk)
    assert [timedelta(minutes=10 * 2**power) for power in (0, 0, 1, 2, 3, 4, 5, 6, 7, 8)] == pauses
    assert State.SENT is desk.message(sent).state


def test_a_provider_that_is_away_is_asked_again_later(desk: SmsShop, at: Clock) -> None:
    queued(desk)
    desk.deliver()
    desk.twilio.stop()
    at(NOON + sms_sending.ASK_AFTER)
    assert ask(desk)
    assert [NOON + 2 * sms_sending.ASK_AFTER] == planned(desk)


def test_a_provider_that_tells_nothing_is_not_asked(desk: SmsShop, tmp_path: Path) -> None:
    with (tmp_path / "console").open("w") as screen:
        desk.ctx = replace(desk.ctx, sms=ConsoleProvider(screen))
        queued(desk)
        desk.deliver()
    assert [] == planned(desk)


def test_the_chore_wakes_one_task_when_there_is_something_to_ask(desk: SmsShop, at: Clock) -> None:
    sent = queued(desk)
    desk.deliver()
    settled(desk, sent)
    sms_reports.wake(desk.ctx)
    waiting = select(func.count()).select_from(OutboxRow).where(OutboxRow.channel == Channel.TASK)
    with desk.ctx.sessions() as session:
        assert 0 == session.scalar(waiting)
    at(NOON + sms_sending.ASK_AFTER)
    for _ in range(2):
        sms_reports.wake(desk.ctx)
    rows = outbox.claim(desk.ctx, Channel.TASK, 10)
    assert 1 == len(rows)
    assert [""] == [outcome.error for outcome in task_job.work(desk.ctx, rows)]
    assert State.DELIVERED is desk.message(sent).state
