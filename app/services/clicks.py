"""Counting the openings of personal links, so that nobody who opens one waits for it.

A click goes into a queue of this process, from which one thread writes to the database, many at once. What does not fit
into the queue, or finds no database, is dropped, and the log says how many were.
"""

import atexit
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, Full, Queue

from sqlalchemy import ARRAY, BigInteger, DateTime, String, bindparam, column, func, insert, literal, select
from sqlalchemy.exc import SQLAlchemyError

from app.db.campaigns import CampaignRecipient, ClickKind, LinkClick
from app.logs import log
from app.services.context import Context

MOST_WAITING = 20_000
BATCH = 1_000
GATHER_SECONDS = 0.25  # after the first click of a batch
TRIES, TRY_AGAIN_SECONDS = 3, 1.0
# A link that somebody has a machine open over and over must not fill the table.
MOST_A_LINK = 500


@dataclass(frozen=True, slots=True)
class Click:
    """One opening of the link of the recipient with this `number`."""

    number: int
    kind: ClickKind
    at: datetime


class ClickCounter:
    """The queue and its thread, which starts with the first click: after a fork each process has its own."""

    def __init__(self, ctx: Context, *, most_waiting: int = MOST_WAITING) -> None:
        self._ctx, self._most = ctx, most_waiting
        self._lock = threading.Lock()
        self._process = 0  # whose queue and thread these are
        self._dropped = 0

    def note(self, click: Click) -> None:
        """Have a click counted. Takes microseconds, and never waits for the database."""
        if self._process != os.getpid():
            self._begin()
        try:
            self._queue.put_nowait(click)
        except Full:
            self._dropped += 1

    def flush(self, seconds: float = 5.0) -> bool:
        """Wait until all that was noted is written or dropped. False when that takes longer."""
        if self._process != os.getpid():
            return True
        self._hurry.set()
        with self._queue.all_tasks_done:
            return self._queue.all_tasks_done.wait_for(lambda: not self._queue.unfinished_tasks, seconds)

    def close(self) -> None:
        """Write what waits, and end the thread. A click after this begins anew."""
        if self._process == os.getpid():
            self.flush()
            self._ended.set()
            self._process = 0
            atexit.unregister(self.close)

    def _begin(self) -> None:
        with self._lock:
            if self._process == os.getpid():
                return
            self._queue: Queue[Click] = Queue(self._most)
            self._hurry, self._ended = threading.Event(), threading.Event()
            thread = threading.Thread(
                target=self._write_all, args=(self._queue, self._hurry, self._ended), name="clicks", daemon=True
            )
            thread.start()
            atexit.register(self.close)
            self._process = os.getpid()

    def _write_all(self, waiting: Queue[Click], hurry: threading.Event, ended: threading.Event) -> None:
        while not ended.is_set():
            batch = _next_batch(waiting, hurry)
            if not batch:
                continue
            try:
                self._write(batch, hurry)
            except Exception:
                log().exception("clicks.lost", clicks=len(batch))
            for _ in batch:
                waiting.task_done()
            if waiting.empty():
                hurry.clear()
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                log().warning("clicks.dropped", clicks=dropped, reason="full")

    def _write(self, batch: Sequence[Click], hurry: threading.Event) -> None:
        """Write a batch, and try again when the connection is lost. Then give it up."""
        for left in reversed(range(TRIES)):
            try:
                write(self._ctx, batch)
                return
            except SQLAlchemyError as error:
                if not left:
                    log().warning("clicks.dropped", clicks=len(batch), reason=type(error).__name__)
                elif not hurry.is_set():
                    time.sleep(TRY_AGAIN_SECONDS)


def _next_batch(waiting: Queue[Click], hurry: threading.Event) -> list[Click]:
    """What is there a moment after the first click came; nothing when none comes for a second."""
    try:
        batch = [waiting.get(timeout=1.0)]
    except Empty:
        return []
    hurry.wait(GATHER_SECONDS)
    while len(batch) < BATCH:
        try:
            batch.append(waiting.get_nowait())
        except Empty:
            break
    return batch


_NOTED = (
    func.unnest(
        bindparam("numbers", type_=ARRAY(BigInteger)),
        bindparam("kinds", type_=ARRAY(String)),
        bindparam("moments", type_=ARRAY(DateTime(timezone=True))),
    )
    .table_valued(column("number", BigInteger), column("kind", String), column("at", DateTime(timezone=True)))
    .render_derived("noted")
)
_COUNTED = (
    select(func.count()).select_from(LinkClick).where(LinkClick.recipient_number == _NOTED.c.number).scalar_subquery()
)
# Whoever was erased meanwhile has no recipient's row: their click is not kept.
_WRITE = insert(LinkClick).from_select(
    ["recipient_number", "kind", "at"],
    select(_NOTED.c.number, _NOTED.c.kind, _NOTED.c.at).where(
        select(literal(1)).where(CampaignRecipient.number == _NOTED.c.number).exists(), _COUNTED < MOST_A_LINK
    ),
)


def write(ctx: Context, batch: Sequence[Click]) -> None:
    """Keep these clicks, in one statement. Raises SQLAlchemyError when the database is away."""
    with ctx.engine.begin() as connection:
        connection.execute(
            _WRITE,
            {
                "numbers": [click.number for click in batch],
                "kinds": [click.kind.value for click in batch],
                "moments": [click.at for click in batch],
            },
        )
