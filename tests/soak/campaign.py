"""Nobody gets a campaign's SMS twice, whatever is killed: `python -m tests.soak.campaign` (`make soak` runs it too).

A campaign is handed to the Twilio stand-in, over its TLS, by two workers of the campaign channel; one of the SMS
channel finds out what became of what nobody knows. They are killed with kill -9 again and again, the campaign is paused
and goes on, and answers are lost after the stand-in has taken a message. In the end its log holds exactly one SMS for
each recipient; or the message is `unknown`, for staff to see, and the log holds one at most.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, select, text

from app import clock, settings
from app.db.campaigns import Campaign, CampaignRecipient, CampaignState, RecipientState
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.messages import SmsDay, SmsMessage, SmsRules
from app.services import campaign_control, campaigns, sms_reports
from app.services.campaigns import CampaignValues
from app.services.context import Context
from app.wiring import Wired
from sandbox.twilio import TwilioSandbox
from sandbox.twilio_faults import Fault
from sms.delivery_states import State
from tests.factories import Shop, open_shop
from tests.soak.commands import migrated, new_folder, plan_of, tell
from tests.soak.installation import ROOT
from tests.soak.sms import FATES, relay

QUIET_SECONDS = 120.0
WORKERS = (Channel.CAMPAIGN, Channel.CAMPAIGN, Channel.SMS, Channel.TASK)
_IN_OUR_HANDS = (State.QUEUED, State.SENDING, State.UNKNOWN)


@dataclass(frozen=True)
class Plan:
    """How much is done. The seed decides who has which fate and when something is killed."""

    recipients: int = 10_000
    kills: int = 30
    per_second: int = 200
    seed: int = 1


@dataclass
class Report:
    """What happened. `faults` is empty when all promises were kept."""

    faults: list[str] = field(default_factory=list)
    kills: int = 0
    seconds: float = 0.0
    states: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        states = ", ".join(f"{number} {state}" for state, number in sorted(self.states.items()))
        kept = "not all promises were kept" if self.faults else "everybody got exactly one SMS, or staff can see why"
        faults = [f"FAULT: {fault}" for fault in self.faults[:20]]
        return "\n".join([f"{self.kills} kills in {self.seconds:.1f} s; messages: {states}", *faults, kept])


class Workers:
    """The worker processes. Whoever is killed is started again."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = os.environ | environment
        self._log = log.open("ab")
        self._running = [self._start(channel) for channel in WORKERS]

    def kill(self, place: int) -> None:
        self._running[place].kill()
        self._running[place].wait()
        self._running[place] = self._start(WORKERS[place])

    def stop(self) -> None:
        for worker in self._running:
            worker.send_signal(signal.SIGTERM)
        for worker in self._running:
            try:
                worker.wait(30)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self._log.close()

    def _start(self, channel: Channel) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "worker.py", channel.value]
        return subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=self._log, stderr=self._log, start_new_session=True
        )


def run(plan: Plan, folder: Path, database_url: str, redis_url: str) -> Report:
    """Carry the plan out on an empty database, with files in this folder."""
    report = Report()
    with ExitStack() as stack:
        twilio = stack.enter_context(TwilioSandbox(folder / "twilio"))
        environment = _environment(plan, folder, database_url, redis_url, twilio)
        wired = Wired(settings.load(environment))
        stack.callback(wired.close)
        stack.enter_context(relay(wired.context))
        _soak(plan, wired.context, twilio, environment, folder, report)
    return report


def _environment(plan: Plan, folder: Path, database_url: str, redis_url: str, twilio: TwilioSandbox) -> dict[str, str]:
    return {
        "LEIMA_ENV": "test",
        "LEIMA_DATA": str(folder),
        "LEIMA_SECRET_KEY": "a secret that only the soak knows, 40 characters",
        "LEIMA_DATABASE_URL": database_url,
        "LEIMA_REDIS_URL": redis_url,
        "LEIMA_LOG_LEVEL": "error",
        "LEIMA_CA_FILE": str(twilio.ca_file),
        "LEIMA_SMS_PROVIDER": "twilio",
        "LEIMA_SMS_SENDER": twilio.number,
        "LEIMA_SMS_PARTS_PER_SECOND": str(plan.per_second),
        "LEIMA_SMS_ANSWER_SECONDS": "1",
        "LEIMA_SMS_GRACE_SECONDS": "4",
        "LEIMA_TWILIO_ACCOUNT_SID": twilio.account,
        "LEIMA_TWILIO_AUTH_TOKEN": twilio.auth_token,
        "LEIMA_TWILIO_API_URL": twilio.url,
    }


def _soak(
    plan: Plan, ctx: Context, twilio: TwilioSandbox, environment: dict[str, str], folder: Path, report: Report
) -> None:
    chance = random.Random(plan.seed)
    shop = open_shop(ctx)
    phones = _members(ctx, shop, plan.recipients)
    for phone in chance.sample(phones, max(6, plan.recipients // 50)):
        twilio.faults.add(Fault(chance.choice(FATES), to=phone))
    twilio.faults.latency = 0.02
    made = campaigns.create(
        ctx, shop.owner, CampaignValues("Buns", {"kind": "all", "of": []}, texts={"a": {"en": "Buns {first_name|}!"}})
    )
    begun = time.monotonic()
    workers = Workers(environment, folder / "workers.log")
    try:
        campaign_control.start_now(ctx, shop.owner, made.id, made.version)
        for number, moment in enumerate(sorted(chance.uniform(0.02, 0.9) for _ in range(plan.kills))):
            _wait(lambda moment=moment: len(twilio.messages.all) >= moment * plan.recipients, QUIET_SECONDS)
            time.sleep(chance.uniform(0.0, 0.3))
            workers.kill(chance.choice((0, 0, 1, 1, 2)))
            report.kills += 1
            if number % 3 == 0:
                campaign_control.pause(ctx, shop.owner, made.id)
                campaign_control.resume(ctx, shop.owner, made.id)
        if not _wait(lambda: _is_settled(ctx, made.id), QUIET_SECONDS):
            report.faults.append("the campaign does not come to its end")
    finally:
        workers.stop()
    report.seconds = time.monotonic() - begun
    _check(ctx, twilio, phones, report)


def _members(ctx: Context, shop: Shop, count: int) -> list[str]:
    given = {"program": shop.program.id, "count": count}
    with ctx.sessions.begin() as session:
        session.add(
            SmsRules(
                program_id=shop.program.id, part_price_micro=1000, country_prices_micro={}, number_daily_cap=20,
                countries=[], quiet_from=clock.now().time(), quiet_until=clock.now().time(),
            )
        )  # fmt: skip
        phones = list(session.scalars(text(_MEMBERS), given))
        session.execute(text(_CARDS))
        session.execute(text(_CONSENTS))
    return phones


def _is_settled(ctx: Context, campaign_id: UUID) -> bool:
    """Whether the campaign is done, and each message has its end, or is shown to staff."""
    sms_reports.wake(ctx)  # as the relay does once a minute
    shown = select(OutboxRow.subject_id).where(OutboxRow.state == OutboxState.DEAD)
    open_ = select(func.count()).where(SmsMessage.state.in_(_IN_OUR_HANDS), SmsMessage.id.not_in(shown))
    with ctx.sessions() as session:
        return session.get_one(Campaign, campaign_id).state is CampaignState.DONE and not session.scalar(open_)


def _check(ctx: Context, twilio: TwilioSandbox, phones: list[str], report: Report) -> None:
    taken = Counter(message.to for message in twilio.messages.all)
    with ctx.sessions() as session:
        rows = session.scalars(select(SmsMessage)).all()
        dead = set(session.scalars(select(OutboxRow.subject_id).where(OutboxRow.state == OutboxState.DEAD)))
        handed = session.scalar(
            select(func.count()).where(
                CampaignRecipient.state == RecipientState.HANDED, CampaignRecipient.message_id.is_not(None)
            )
        )
        counted = session.scalar(select(func.sum(SmsDay.messages)))
    if not len(phones) == len(rows) == len({row.phone for row in rows}) == handed == counted:
        report.faults.append(f"{len(phones)} chosen, {handed} handed, {len(rows)} messages, {counted} counted")
    for row in rows:
        report.states[str(row.state)] += 1
        visible = row.state is State.UNKNOWN and row.id in dead
        if taken[row.phone] > 1 or (taken[row.phone] == 0 and not visible):
            report.faults.append(f"{row.phone} got {taken[row.phone]} SMS, and the message is {row.state}")
        elif row.state in _IN_OUR_HANDS and not visible:
            report.faults.append(f"{row.phone}: the message is still {row.state}")


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until it holds; False when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


# No number ends in digits by which the stand-in refuses a message or fails it.
_MEMBERS = """INSERT INTO members (id, program_id, phone, name, email, city, language, via, status, joined_at, stamps,
        rewards)
    SELECT uuidv7(), :program, '+3584011' || lpad(CAST(n AS text), 5, '0'), 'Anna Aalto', '', '', 'en', '', 'active',
        now(), 3, 0
    FROM generate_series(40000, 39999 + CAST(:count AS int)) AS n RETURNING phone"""
_CARDS = """INSERT INTO cards (id, member_id, code, link_generation, link_hash, version, changed_at, news)
    SELECT uuidv7(), id, substr(md5(CAST(id AS text)), 1, 16), 1, encode(sha256(uuid_send(id)), 'hex'), 1, now(), ''
    FROM members"""
_CONSENTS = """INSERT INTO consents (id, member_id, purpose, granted, source, wording, at)
    SELECT uuidv7(), id, 'sms_marketing', true, 'web', 'Yes.', now() FROM members"""


def main() -> None:
    plan = plan_of("campaign", __doc__, Plan)
    with new_folder() as folder:
        with migrated(folder) as engines:
            report = run(plan, folder, engines.database_url, engines.redis_url)
        tell(report, folder / "workers.log")


if __name__ == "__main__":
    main()
