"""The campaign channel: each run's messages go to the provider in batches, at the sender's pace."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from app import clock
from app.jobs.outcome import Outcome
from app.logs import log
from app.services import campaign_batches, campaign_sending, outbox, sms_sending
from app.services.campaign_batches import HandedOver, Handing
from app.services.campaign_sending import Batch, Turn
from app.services.context import Context
from app.services.errors import Refused
from app.services.outbox import Claimed
from sms.provider import Accepted, SmsError

# Each run has its turn for so long; a worker that is to stop finishes its batch.
SLICE_SECONDS = 2.0
# A batch is what the sender's pace takes in this time, so that it ends long before anybody takes it for lost.
BATCH_SECONDS = 1.0
SMALLEST_BATCH, LARGEST_BATCH = 2, 1000
# So many messages are with the provider at once as the pace takes in this time: its answers take a while.
ANSWER_SECONDS = 0.125
MOST_AT_A_TIME = 128
# Messages that take their turn together, as a share of a second.
CHUNK_SECONDS = 0.02
# A provider that is busy is tried with few messages first, and less and less often.
PROBE = 4
LONGEST_PAUSE = 60.0


@dataclass
class CampaignSender:
    """Hands batches over. `pace` is called with parts before they go; `per_second` is what it lets through.

    Made once in a worker, as its threads and their connections are kept.
    """

    context: Context
    pace: Callable[[int], None]
    per_second: float
    _threads: ThreadPoolExecutor = field(init=False)
    _writer: ThreadPoolExecutor = field(init=False)
    _writing: Future[None] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        at_a_time = min(MOST_AT_A_TIME, max(2, int(self.per_second * ANSWER_SECONDS)))
        self._threads = ThreadPoolExecutor(at_a_time, "campaign")
        self._writer = ThreadPoolExecutor(1, "campaign-writer")

    def close(self) -> None:
        self._threads.shutdown()
        self._writer.shutdown()

    def send_runs(self, rows: Sequence[Claimed]) -> list[Outcome]:
        """A slice of each run. What is left goes on in a row of its own."""
        outcomes = []
        for row in rows:
            try:
                outcomes.append(self._slice(row))
            finally:
                self._written()
        return outcomes

    def _slice(self, row: Claimed) -> Outcome:
        until = time.monotonic() + SLICE_SECONDS
        slow = int(str(row.payload.get("slow", 0)))
        largest = min(LARGEST_BATCH, max(SMALLEST_BATCH, int(self.per_second * BATCH_SECONDS)))
        while True:
            try:
                batch = campaign_sending.claim(self.context, row.subject_id, PROBE if slow else largest)
            except Refused as refusal:  # there is no free code for the credit that comes with it
                campaign_sending.hold(self.context, row.subject_id, refusal.kind)
                return Outcome(row, refusal.kind, permanent=True)
            busy = self._hand_over(row, batch)
            if busy is not None and busy.stop:
                campaign_sending.hold(self.context, row.subject_id, busy.reason)
                return Outcome(row, str(busy), permanent=True)
            if busy is not None:
                slow += 1
                seconds = min(LONGEST_PAUSE, max(busy.retry_after or 0.0, 2.0 ** min(slow, 6) / 2))
                return self._later(row, {"slow": slow, "held": busy.reason.value}, seconds)
            slow = 0
            if batch.turn is Turn.REST:
                return Outcome(row)
            if batch.turn is Turn.WAIT and batch.until is not None:
                held: dict[str, object] = {"held": batch.reason} if batch.reason else {}
                return self._later(row, held, (batch.until - clock.now()).total_seconds())
            if time.monotonic() >= until:
                return self._later(row, {}, 0)

    def _later(self, row: Claimed, payload: dict[str, object], seconds: float) -> Outcome:
        outbox.go_on(self.context, row, payload, seconds=max(0.0, seconds))
        return Outcome(row)

    def _hand_over(self, row: Claimed, batch: Batch) -> SmsError | None:
        """Hand a batch over, and write what became of it. The error, when the provider takes no more for now."""
        if not batch.messages:
            return None
        round_ = _Round(self.context)
        futures: list[Future[HandedOver]] = []
        for chunk in self._chunks(batch.messages):
            if round_.busy is None:
                self.pace(sum(one.parts for one in chunk))
            futures += [self._threads.submit(round_.send, one) for one in chunk]
        outcomes = [future.result() for future in futures]
        pause = timedelta(seconds=(round_.busy.retry_after or 0.0) if round_.busy else 0.0)
        try:
            self._written()
        finally:  # whatever became of the last batch's writing
            self._writing = self._writer.submit(
                campaign_batches.record, self.context, outcomes, row.program_id, clock.now() + pause
            )
        if not all(isinstance(one.result, Accepted) for one in outcomes):
            self._written()  # the next claim has to see who is planned again, and what the day has room for again
        log().info("campaign.batch", run=str(row.subject_id), messages=len(outcomes))
        return round_.busy

    def _written(self) -> None:
        """Wait until it is written what became of the last batch, which happens while the next one goes out."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def _chunks(self, messages: Sequence[Handing]) -> Iterator[Sequence[Handing]]:
        size = max(1, int(self.per_second * CHUNK_SECONDS))
        for start in range(0, len(messages), size):
            yield messages[start : start + size]


@dataclass
class _Round:
    """One batch on its way. `busy`: the provider has said that it takes no more, so that the rest is not tried."""

    context: Context
    busy: SmsError | None = None

    def send(self, one: Handing) -> HandedOver:
        # Whoever waited too long does not send: the message may be looked for, and sent, by somebody else soon.
        stale = clock.now() - one.begun_at > sms_sending.grace(self.context) / 4
        if self.busy is not None or stale:
            return HandedOver(one, None)
        try:
            return HandedOver(one, self.context.sms.send(one.outgoing))
        except SmsError as error:
            log().warning("sms.failed", message=str(one.message_id), provider=self.context.sms.name, reason=error.code)
            if not (error.unknown or error.permanent):
                self.busy = error
            return HandedOver(one, error)
