"""Nobody gets an SMS twice, whatever is killed: `python -m tests.soak.sms` (`make soak` runs it too).

Two workers hand messages to the Twilio stand-in, over its TLS. They are killed with kill -9 again and again, leases run
out under those that live, and answers are lost after the stand-in has taken a message. In the end its log holds exactly
one SMS for each person; or the message is `unknown`, for staff to see, and the log holds one at most.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select, update

from app import clock, settings
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.messages import SmsDay, SmsMessage
from app.db.programs import Program
from app.jobs.relay import Relay
from app.jobs.station import Stop
from app.services import sms_sending
from app.services.context import Context
from app.wiring import Wired
from sandbox.twilio import TwilioSandbox
from sandbox.twilio_faults import Fault
from sms.delivery_states import State
from tests.factories import Shop, open_shop
from tests.soak.commands import migrated, new_folder, plan_of, tell
from tests.soak.installation import ROOT

WORKERS = 2
QUIET_SECONDS = 120.0
# Half of them leave nobody knowing what became of the message; the others refuse it, or drop it before it is taken.
FATES = ("500-after-accepting", "hang-after-accepting", "drop-after-accepting", "drop", "refuse-503", "429")


@dataclass(frozen=True)
class Plan:
    """How much is done. The seed decides who has which fate and when something is killed."""

    messages: int = 400
    kills: int = 25
    per_second: int = 20
    seed: int = 1


@dataclass
class Report:
    """What happened. `faults` is empty when all promises were kept."""

    faults: list[str] = field(default_factory=list)
    kills: int = 0
    seconds: float = 0.0
    unknown: int = 0
    states: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        states = ", ".join(f"{number} {state}" for state, number in sorted(self.states.items()))
        return "\n".join(
            [
                f"{self.kills} workers killed in {self.seconds:.1f} s; messages: {states}",
                *(f"FAULT: {fault}" for fault in self.faults),
                "not all promises were kept" if self.faults else "everybody got exactly one SMS, or staff can see why",
            ]
        )


def run(plan: Plan, folder: Path, database_url: str, redis_url: str) -> Report:
    """Carry the plan out on an empty database, with files in this folder."""
    report = Report()
    with TwilioSandbox(folder / "twilio") as twilio:
        environment = _environment(plan, folder, database_url, redis_url, twilio)
        wired = Wired(settings.load(environment))
        try:
            with relay(wired.context):
                _soak(plan, wired.context, twilio, environment, folder, report)
        finally:
            wired.close()
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
        "LEIMA_SMS_GRACE_SECONDS": "3",
        "LEIMA_TWILIO_ACCOUNT_SID": twilio.account,
        "LEIMA_TWILIO_AUTH_TOKEN": twilio.auth_token,
        "LEIMA_TWILIO_API_URL": twilio.url,
    }


@contextmanager
def relay(ctx: Context) -> Iterator[None]:
    """The relay, in a thread of this process."""
    stop = Stop()
    thread = threading.Thread(target=Relay(ctx, stop).run, name="relay")
    thread.start()
    try:
        yield
    finally:
        stop.asked = True
        thread.join()


class Workers:
    """The worker processes of the SMS channel."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = os.environ | environment
        self._log = log.open("ab")
        self._running = [self._start() for _ in range(WORKERS)]

    def kill(self, chance: random.Random) -> None:
        """kill -9 of one of them; another one takes its place."""
        place = chance.randrange(WORKERS)
        self._running[place].kill()
        self._running[place].wait()
        self._running[place] = self._start()

    def stop(self) -> None:
        for worker in self._running:
            worker.send_signal(signal.SIGTERM)
        for worker in self._running:
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self._log.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "worker.py", Channel.SMS.value]
        return subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=self._log, stderr=self._log, start_new_session=True
        )


def _soak(
    plan: Plan, ctx: Context, twilio: TwilioSandbox, environment: dict[str, str], folder: Path, report: Report
) -> None:
    chance = random.Random(plan.seed)
    shop = open_shop(ctx)
    phones = [f"+3584011{number:05}" for number in range(10_000, 10_000 + plan.messages)]
    for phone in chance.sample(phones, plan.messages // 4):
        twilio.faults.add(Fault(chance.choice(FATES), to=phone))
    twilio.faults.latency = 0.02
    _queue(ctx, shop, phones)
    begun = time.monotonic()
    workers = Workers(environment, folder / "workers.log")
    try:
        for moment in sorted(chance.uniform(0.02, 0.9) * plan.messages for _ in range(plan.kills)):
            _wait(lambda moment=moment: len(twilio.messages.all) >= moment, QUIET_SECONDS)
            time.sleep(chance.uniform(0.0, 0.3))
            workers.kill(chance)
            report.kills += 1
            _let_leases_run_out(ctx)
        if not _wait(lambda: _left(ctx) == 0, QUIET_SECONDS):
            report.faults.append(f"{_left(ctx)} messages still wait")
    finally:
        workers.stop()
    report.seconds = time.monotonic() - begun
    _check(ctx, twilio, report)


def _queue(ctx: Context, shop: Shop, phones: list[str]) -> None:
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, shop.program.id)
        for phone in phones:
            sms_sending.queue(session, program, phone, language="en", text=f"Your table is ready, {phone[-5:]}.")


def _let_leases_run_out(ctx: Context) -> None:
    """Also those of the worker that lives: it must not matter to it."""
    with ctx.sessions.begin() as session:
        session.execute(
            update(OutboxRow)
            .where(OutboxRow.channel == Channel.SMS, OutboxRow.state == OutboxState.LEASED)
            .values(due_at=clock.now())
        )


def _left(ctx: Context) -> int:
    alive = (OutboxRow.channel == Channel.SMS, OutboxRow.state != OutboxState.DEAD)
    with ctx.sessions() as session:
        return session.scalar(select(func.count()).select_from(OutboxRow).where(*alive)) or 0


def _check(ctx: Context, twilio: TwilioSandbox, report: Report) -> None:
    taken = Counter(message.to for message in twilio.messages.all)
    with ctx.sessions() as session:
        rows = session.scalars(select(SmsMessage)).all()
        dead = set(session.scalars(select(OutboxRow.subject_id).where(OutboxRow.state == OutboxState.DEAD)))
        day = session.scalars(select(SmsDay)).one()
    for row in rows:
        report.states[str(row.state)] += 1
        visible = row.state is State.UNKNOWN and row.id in dead
        if taken[row.phone] > 1 or (taken[row.phone] == 0 and not visible):
            report.faults.append(f"{row.phone} got {taken[row.phone]} SMS, and the message is {row.state}")
        elif row.state in (State.QUEUED, State.SENDING) or (row.state is State.UNKNOWN and not visible):
            report.faults.append(f"{row.phone}: the message is still {row.state}")
        elif not visible and row.provider_id is None:
            report.faults.append(f"{row.phone}: nobody noted which SMS of the provider's this is")
    counted = sum(row.parts or 0 for row in rows)
    if (day.messages, day.parts) != (len(rows), counted):
        report.faults.append(
            f"the day counts {day.messages} messages and {day.parts} parts, not {len(rows)}, {counted}"
        )


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until it holds; False when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def main() -> None:
    plan = plan_of("sms", __doc__, Plan)
    with new_folder() as folder:
        with migrated(folder) as engines:
            report = run(plan, folder, engines.database_url, engines.redis_url)
        tell(report, folder / "workers.log")


if __name__ == "__main__":
    main()
