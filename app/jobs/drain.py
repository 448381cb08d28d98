"""The job behind the doorbell: claim what is due, tell it, record each outcome, until nothing is due."""

import time
from collections.abc import Sequence

from sqlalchemy.exc import OperationalError

from app.db.delivery import Channel
from app.jobs.holding import held
from app.jobs.outcome import Outcome
from app.jobs.station import Station, station
from app.logs import log
from app.services import doorbell, outbox
from app.services.outbox import Claimed

# Rows at a time. Apple takes a thousand pushes at once; Google's quota makes a batch of its size last five seconds, and
# a worker that is to stop should be done soon:
# SMS go at the sender's pace, which may be one a second.
BATCH = {
    Channel.APPLE: 1000,
    Channel.GOOGLE: 100,
    Channel.SMS: 8,
    Channel.REFRESH: 10,
    Channel.TASK: 1,
    Channel.CAMPAIGN: 1,  # a run, which hands its messages over in batches of its own
}
# RQ takes a job that lasts longer than seven minutes for dead.
LONGEST_SECONDS = 60.0


def drain(channel_name: str) -> None:
    """What RQ runs. It may run twice at the same time: the leases keep them apart."""
    here = station()
    channel = Channel(channel_name)
    doorbell.answered(here.context.valkey, channel)
    if not empty(here, channel):
        doorbell.ring(here.context.valkey, channel)


def empty(here: Station, channel: Channel, seconds: float = LONGEST_SECONDS) -> bool:
    """Tell everything that is due on this channel, for about so long; True when nothing is due any more.

    A worker that was asked to stop finishes its batch and leaves the rest to whoever comes next.
    """
    until = time.monotonic() + seconds
    while not here.stop.asked and time.monotonic() < until:
        rows = outbox.claim(here.context, channel, BATCH[channel])
        if not rows:
            return True
        with held(here.context, rows):
            outcomes = _deliver(here, channel, rows)
        _record(here, outcomes)
    return False


def _deliver(here: Station, channel: Channel, rows: Sequence[Claimed]) -> Sequence[Outcome]:
    """What became of these rows. A fault of ours in one of them must not hold up the others, so that then each is
    told by itself."""
    try:
        return here.channels[channel](rows)
    except OperationalError:
        raise  # the database is away: when the leases have run out, the rows are told again
    except Exception as error:
        log().error("outbox.fault", channel=channel.value, rows=len(rows), exc_info=True)
        if len(rows) > 1:
            return [outcome for row in rows for outcome in _deliver(here, channel, [row])]
        # Not its text: staff will read this, and who knows what is in there.
        return [Outcome(rows[0], f"{type(error).__name__}: a fault of Leima's. The log tells more")]


def _record(here: Station, outcomes: Sequence[Outcome]) -> None:
    outbox.told(here.context, [outcome.row for outcome in outcomes if not outcome.error])
    for outcome in outcomes:
        if outcome.error:
            log().warning("outbox.failed", channel=outcome.row.channel.value, row=outcome.row.id, reason=outcome.error)
            outbox.failed(
                here.context,
                outcome.row,
                outcome.error,
                permanent=outcome.permanent,
                retry_after=outcome.retry_after,
            )
