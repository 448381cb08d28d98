"""The doorbell: tells a channel's worker that there is something to do. Best effort; the relay finds what it misses."""

import time

from redis import Redis, RedisError
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from app.db.delivery import Channel
from app.logs import log

# By name: services know that there is a job, not what it does.
DRAIN = "app.jobs.drain.drain"
RUNG_FOR_SECONDS = 5
# A Valkey that hangs costs one commit some seconds of waiting, and not each.
QUIET_SECONDS = 10.0


def queue(valkey: Redis, channel: Channel) -> Queue:
    """The channel's queue. Bodies are JSON: pickle would let whoever writes to Valkey run code."""
    return Queue(f"leima-{channel.value}", connection=valkey, serializer=JSONSerializer)


def ring(valkey: Redis, channel: Channel) -> bool:
    """Ring once, however many ring at the same time. False when Valkey can't be reached.

    A job that waits in the queue will see what was committed before it starts, so one is enough: while no worker runs,
    the queue does not grow.
    """
    try:
        if valkey.set(_key(channel), b"1", nx=True, ex=RUNG_FOR_SECONDS):
            jobs = queue(valkey, channel)
            if not jobs.count:
                jobs.enqueue_call(DRAIN, args=(channel.value,), timeout=-1, result_ttl=0, failure_ttl=3600)
    except RedisError:
        return False
    return True


def answered(valkey: Redis, channel: Channel) -> None:
    """The worker has come: from now on the next ring counts."""
    try:
        valkey.delete(_key(channel))
    except RedisError:
        return


def ring_after_commits(sessions: sessionmaker[Session], valkey: Redis) -> None:
    """Have every commit ring for the channels that its transaction wrote outbox rows for."""
    quiet_until = 0.0

    @event.listens_for(sessions, "after_commit")
    def rung(session: Session) -> None:
        nonlocal quiet_until
        if session.in_nested_transaction():  # a savepoint was released: nobody else sees the rows yet
            return
        channels = session.info.pop("doorbells", ())
        if time.monotonic() < quiet_until:
            return
        for channel in channels:
            try:
                heard = ring(valkey, channel)
            except Exception:  # it is committed: whatever is wrong with the bell must not look like a failure
                log().error("doorbell.failed", exc_info=True)
                heard = False
            if not heard:
                quiet_until = time.monotonic() + QUIET_SECONDS
                return

    @event.listens_for(sessions, "after_rollback")
    def forgotten(session: Session) -> None:
        if not session.in_nested_transaction():
            session.info.pop("doorbells", None)


def _key(channel: Channel) -> str:
    return f"doorbell:{channel.value}"
