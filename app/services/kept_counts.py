"""Counts of large campaigns, kept for a while, so that looking at them does not take the machine from the tills."""

import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from redis import RedisError

from app import clock
from app.services.campaign_counting import Scope, count
from app.services.campaign_counts import Counts, Part
from app.services.context import Context

QUICK_SECONDS = 0.5  # what is counted sooner is counted each time
KEPT_FOR = 20  # times as long as the counting took: a twentieth of the time at most goes to it
LONGEST_SECONDS = 3600


def counted(ctx: Context, name: str, scope: Scope) -> tuple[dict[Part, Counts], datetime]:
    """What `count` finds, and when it was counted. `name` tells the scope from others of its programme."""
    key = f"leima-counts-{scope.program_id}-{name}-{scope.visit_days}"
    with suppress(RedisError):
        kept = ctx.valkey.get(key)
        if isinstance(kept, bytes):
            return _read(kept)
    at, begun = clock.now(), time.monotonic()
    with ctx.sessions() as session:
        parts = count(session, scope)
    seconds = time.monotonic() - begun
    if seconds >= QUICK_SECONDS:
        with suppress(RedisError):
            ctx.valkey.set(key, _written(parts, at), ex=min(int(seconds * KEPT_FOR) + 1, LONGEST_SECONDS))
    return parts, at


def _written(parts: dict[Part, Counts], at: datetime) -> str:
    rows = [
        [str(part.of), part.group, {one.name: getattr(counts, one.name) for one in fields(counts)}]
        for part, counts in parts.items()
    ]
    return json.dumps([at.isoformat(), rows], default=datetime.isoformat)


def _read(kept: bytes) -> tuple[dict[Part, Counts], datetime]:
    at, rows = json.loads(kept)
    parts = {Part(UUID(of), group): _counts(values) for of, group, values in rows}
    return parts, datetime.fromisoformat(at)


def _counts(values: dict[str, Any]) -> Counts:
    last_at = values.pop("last_at")
    held, failed = Counter(values.pop("held")), Counter(values.pop("failed"))
    return Counts(**values, held=held, failed=failed, last_at=datetime.fromisoformat(last_at) if last_at else None)
