"""How often 7-digit codes may be tried: whoever guesses is paused, longer each time, and everybody else goes on.

A try is counted before the code is looked up, and given back when the code was right: tries at the same moment cannot
overrun the limit together. The counters live in Valkey. Without it no code can be tried.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from redis import RedisError
from uuid_utils.compat import uuid7

from app import clock
from app.i18n import N_
from app.services import code_alarms, limits
from app.services.code_alarms import CodeAlarm
from app.services.context import Actor, Context
from app.services.errors import Refused


@dataclass(frozen=True, slots=True)
class Limit:
    """So many misses within so many seconds; each further one starts a pause."""

    misses: int
    seconds: int


OF_ACTOR = Limit(5, 600)
OF_LOCATION = Limit(20, 3600)
OF_PROGRAM = Limit(100, 3600)  # stops nobody; managers are told
PAUSES = (60, 120, 300, 900, 3600)  # seconds: the first pause, the second …, and all after
FORGOTTEN = 24 * 3600  # seconds after a pause in which no other came
# One who tries at the same moment as others waits for their outcome; a try whose process died is not waited for.
_LONGEST_WAIT, _ASK_AGAIN = 2.0, 0.01
_LONGEST_TRY = 30

# KEYS: the misses of the programme; then for the actor (and the location) misses, running tries, pause.
# ARGV: now (ms), the try, longest try (ms), the programme's window (ms); then for each its limit and window (ms).
# Returns nothing: go on. One number: wait. Three: who is paused (0 or 1), for how many ms, the programme's misses.
_BEGIN = """
local now, id = tonumber(ARGV[1]), ARGV[2]
local busy = false
for i = 2, #KEYS, 3 do
  local a = 5 + (i - 2) / 3 * 2
  local ends = tonumber(redis.call('HGET', KEYS[i + 2], 'ends') or '0')
  if ends > now then
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[4])
    redis.call('ZADD', KEYS[1], now, id)
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return {(i - 2) / 3, ends - now, redis.call('ZCARD', KEYS[1])}
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - ARGV[a + 1])
  redis.call('ZREMRANGEBYSCORE', KEYS[i + 1], '-inf', now - ARGV[3])
  local missed = redis.call('ZCARD', KEYS[i])
  -- After a pause one may be tried at a time, although the window is still full.
  if missed + redis.call('ZCARD', KEYS[i + 1]) >= math.max(tonumber(ARGV[a]), missed + 1) then busy = true end
end
if busy then return {1} end
for i = 2, #KEYS, 3 do
  redis.call('ZADD', KEYS[i + 1], now, id)
  redis.call('PEXPIRE', KEYS[i + 1], ARGV[3])
end
return {}
"""

# KEYS, ARGV: as above; then the pauses (ms), and the time after which they are forgotten (ms).
# Returns the programme's misses, and for each of the others for how many ms a pause begins, or 0.
_MISS = """
local now, id, forgotten = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[#ARGV])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[4])
redis.call('ZADD', KEYS[1], now, id)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
local told = {redis.call('ZCARD', KEYS[1])}
local first_pause = 5 + (#KEYS - 1) / 3 * 2
for i = 2, #KEYS, 3 do
  local a = 5 + (i - 2) / 3 * 2
  redis.call('ZREM', KEYS[i + 1], id)
  redis.call('ZADD', KEYS[i], now, id)
  redis.call('PEXPIRE', KEYS[i], ARGV[a + 1])
  local pause = 0
  if redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[a]) then
    local level = tonumber(redis.call('HGET', KEYS[i + 2], 'level') or '0')
    pause = tonumber(ARGV[math.min(first_pause + level, #ARGV - 1)])
    redis.call('HSET', KEYS[i + 2], 'ends', now + pause, 'level', level + 1)
    redis.call('PEXPIRE', KEYS[i + 2], pause + forgotten)
  end
  told[#told + 1] = pause
end
return told
"""


class Missed(Exception):
    """Raised inside `attempt`: the code was not right."""

    def __init__(self, answer: Refused) -> None:
        super().__init__(answer.kind)
        self.answer = answer


@contextmanager
def attempt(ctx: Context, actor: Actor, location_id: UUID | None) -> Iterator[None]:
    """Try a code inside. Raise Missed there when it is wrong: it is counted, and its answer raised instead.

    Anything else that is raised, and success, count nothing. Raises Refused: codes-paused (429), limiter-down (503).
    """
    tried = _Try(ctx, actor, location_id)
    tried.begin()
    try:
        yield
    except Missed as missed:
        tried.miss()
        raise missed.answer from None
    except BaseException:
        tried.give_back()
        raise
    tried.give_back()


def lift(ctx: Context, subject_id: UUID) -> None:
    """End the pause of a member of staff, an API key or a location, and forget the misses. Raises RedisError."""
    ctx.valkey.delete(*_keys(subject_id))


class _Try:
    def __init__(self, ctx: Context, actor: Actor, location_id: UUID | None) -> None:
        self._ctx, self._actor = ctx, actor
        self._id = uuid7().hex
        self._subjects = [actor.scope] + ([location_id] if location_id else [])
        self._keys = [f"codes:{actor.program_id}:missed"]
        self._keys += [key for subject in self._subjects for key in _keys(subject)]
        self._limits = [OF_ACTOR, OF_LOCATION][: len(self._subjects)]

    def begin(self) -> None:
        until = time.monotonic() + _LONGEST_WAIT
        while True:
            found = self._run(_BEGIN)
            if not found:
                return
            if len(found) > 1:
                which, left, missed = found
                self._tell_of_guessing(missed)
                raise _paused(which, left)
            if time.monotonic() > until:
                raise Refused(
                    "too-many-tries",
                    N_("Too many tries. Please wait and try again. Minutes to wait: %(minutes)s."),
                    {"minutes": 1},
                    status=429,
                )
            time.sleep(_ASK_AGAIN)

    def miss(self) -> None:
        missed, *pauses = self._run(_MISS, *(1000 * pause for pause in PAUSES), 1000 * FORGOTTEN)
        for subject, pause in zip(self._subjects, pauses, strict=True):
            if pause:
                self._tell(CodeAlarm.PAUSED, subject)
        self._tell_of_guessing(missed)

    def give_back(self) -> None:
        with suppress(RedisError):  # then it is given back by its age
            pipe = self._ctx.valkey.pipeline(transaction=False)
            for running in self._keys[2::3]:
                pipe.zrem(running, self._id)
            pipe.execute()

    def _tell_of_guessing(self, missed: int) -> None:
        if missed >= OF_PROGRAM.misses:
            self._tell(CodeAlarm.GUESSING, self._actor.program_id)

    def _tell(self, alarm: CodeAlarm, subject: UUID) -> None:
        code_alarms.tell(self._ctx, self._actor.program_id, alarm, actor=self._actor, subject_id=subject)

    def _run(self, script: str, *more: int) -> list[int]:
        now = int(clock.now().timestamp() * 1000)
        allowed = [number for limit in self._limits for number in (limit.misses, 1000 * limit.seconds)]
        arguments: list[str | int] = [now, self._id, 1000 * _LONGEST_TRY, 1000 * OF_PROGRAM.seconds, *allowed, *more]
        try:
            answer: list[int] = self._ctx.valkey.register_script(script)(keys=self._keys, args=arguments)
        except RedisError:
            raise limits.down() from None
        return answer


def _keys(subject: UUID) -> list[str]:
    return [f"codes:{subject}:{what}" for what in ("missed", "running", "pause")]


def _paused(which: int, milliseconds: int) -> Refused:
    minutes = {"minutes": max(1, -(-milliseconds // 60_000))}
    if which:
        words = N_("Too many wrong codes here: nobody in this shop can try codes now. Minutes to wait: %(minutes)s.")
    else:
        words = N_("Too many wrong codes. Others can go on. Minutes to wait: %(minutes)s.")
    return Refused("codes-paused", words, minutes, status=429)
