"""A worker process: its connections, its clients, and RQ's loop over one queue."""

import signal
import time
from functools import partial
from types import FrameType

from redis import Redis, RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus
from sqlalchemy.exc import SQLAlchemyError

from app.db.delivery import Channel
from app.jobs import apple, campaigns, drain, google, refresh, sms, tasks
from app.jobs.relay import Relay
from app.jobs.station import Station, Stop, take
from app.logs import log
from app.services import doorbell
from app.settings import Settings
from app.wiring import PushClients, Wired, sms_pace

LOOK_SECONDS = 1.0
# How long RQ waits for a job before it looks around; a connection that hangs is noticed ten seconds later.
_WAIT_SECONDS = 15


class ChannelWorker(SimpleWorker):
    """RQ's worker in this very process: forking for each job would lose the connections that are kept to Apple.

    It ends, instead of waiting, when Valkey is gone, and takes no commands and no other jobs from there.
    """

    def __init__(self, jobs: Queue, stop: Stop) -> None:
        super().__init__([jobs], connection=jobs.connection, serializer=JSONSerializer, worker_ttl=_WAIT_SECONDS + 15)
        self.stop = stop

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """The batch under way is finished; what is left stays in the outbox. Asking again changes nothing."""
        first, self.stop.asked, self._stop_requested = not self.stop.asked, True, True
        if first and self.get_state() != WorkerStatus.BUSY:
            raise StopRequested

    def heartbeat(self, *arguments: object, **named: object) -> None:
        try:
            super().heartbeat(*arguments, **named)  # type: ignore[arg-type] # as they come
        except RedisError:
            raise StopRequested from None

    def subscribe(self) -> None:
        """RQ would listen for commands here."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        if job.func_name != doorbell.DRAIN:  # whoever may write to Valkey may not call functions of ours
            log().error("worker.foreign_job", job=job.id)
            return
        super().execute_job(job, queue)


def run_channel(settings: Settings, channel: Channel) -> None:
    """Work on one channel until told to stop."""
    wired = Wired(settings)
    context = wired.context
    clients = PushClients(context)
    sms_turns = sms_pace(settings, context.valkey)
    campaign_sender = campaigns.CampaignSender(context, sms_turns, settings.sms_parts_per_second)
    here = Station(
        context,
        {
            Channel.APPLE: partial(apple.push_phones, context, clients),
            Channel.GOOGLE: partial(google.deliver, context),
            Channel.SMS: partial(sms.send_messages, context, sms_turns),
            Channel.REFRESH: partial(refresh.renew_cards, context),
            Channel.TASK: partial(tasks.work, context),
            Channel.CAMPAIGN: campaign_sender.send_runs,
        },
    )
    take(here)
    patient = wired.patient_valkey()
    try:
        while not here.stop.asked:
            _wait_for_bells(here, channel, patient)
            _obey_signals(here.stop)  # RQ's loop had its own way with them
            _look(here, channel)
    finally:
        clients.close()
        campaign_sender.close()
        patient.close()
        wired.close()


def _wait_for_bells(here: Station, channel: Channel, valkey: Redis) -> None:
    """RQ's loop: until a signal comes, or Valkey is gone."""
    try:
        ChannelWorker(doorbell.queue(valkey, channel), here.stop).work(logging_level="CRITICAL")
    except (RedisError, StopRequested) as error:
        if not here.stop.asked:
            log().warning("worker.valkey_unreachable", channel=channel.value, reason=type(error).__name__)


def _look(here: Station, channel: Channel) -> None:
    """Without Valkey no bell is heard: see what is due, once a second."""
    if here.stop.asked:
        return
    try:
        drain.empty(here, channel)
    except SQLAlchemyError as error:
        log().warning("worker.database_unreachable", channel=channel.value, reason=type(error).__name__)
    if not here.stop.asked:
        time.sleep(LOOK_SECONDS)


def run_relay(settings: Settings) -> None:
    """Tick until told to stop."""
    stop = Stop()
    _obey_signals(stop)
    wired = Wired(settings)
    Relay(wired.context, stop).run()
    wired.close()


def _obey_signals(stop: Stop) -> None:
    """SIGINT and SIGTERM ask to stop."""

    def asked(_number: int, _frame: FrameType | None) -> None:
        stop.asked = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked)
