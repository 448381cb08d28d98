"""A pace that all processes keep together: so many calls a second, counted in Valkey.

The generic cell rate algorithm: one moment is kept, when the calls that were let through would have ended at an even
pace. Without Valkey each process keeps the pace by itself.
"""

import time
from collections.abc import Callable
from threading import Lock

from redis import Redis, RedisError

LEAST_SLEEP = 0.001  # seconds; less is rounding

# Returns the seconds to wait. Valkey's own clock decides, so that the processes' clocks need not agree.
_SCRIPT = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local moment = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = moment - now - tonumber(ARGV[2])
redis.call('SET', KEYS[1], string.format('%.6f', moment + tonumber(ARGV[1])), 'EX', math.ceil(moment - now) + 120)
return tostring(math.max(wait, 0))
"""


class Pace:
    """Call it with a number of calls before making them: it sleeps as long as the pace needs.

    `burst` calls may come at once after a rest. `sleep` is time.sleep, unless a test wants to see the seconds.
    """

    def __init__(
        self,
        valkey: Redis,
        name: str,
        per_second: float,
        burst: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._script = valkey.register_script(_SCRIPT)
        self._key = f"pace:{name}"
        self._per_second, self._burst = per_second, burst
        self._sleep = sleep
        self._lock = Lock()
        self._moment = 0.0

    def ahead(self, calls: int) -> float:
        """Take the turns of so many calls; returns the seconds until the first of them, which the caller minds."""
        return self._wait(calls / self._per_second, (self._burst - calls) / self._per_second)

    def __call__(self, calls: int) -> None:
        wait = self.ahead(calls)
        if wait > LEAST_SLEEP:
            self._sleep(wait)

    def _wait(self, takes: float, allowed: float) -> float:
        try:
            return float(self._script(keys=[self._key], args=[takes, max(allowed, 0.0)]))
        except RedisError:
            with self._lock:
                now = time.monotonic()
                moment = max(self._moment, now)
                self._moment = moment + takes
                return max(moment - now - max(allowed, 0.0), 0.0)
