"""The background process: `python worker.py` delivers what the outbox holds. Start as many as you like.

One process for each channel, because RQ fetches crash-safely from one queue only, and the relay beside them.
"""

import sys

from app import logs, settings
from app.cli.common import settings_or_exit
from app.cli.processes import Running, python, run_together
from app.db.delivery import Channel
from app.jobs.work import run_channel, run_relay

# A batch under way may be finished. Less than `leima serve` gives us.
STOP_SECONDS = 15.0


def main() -> None:
    loaded = settings_or_exit(settings.load)
    logs.configure(loaded.log_level)
    if len(sys.argv) == 2:
        run_relay(loaded) if sys.argv[1] == "relay" else run_channel(loaded, Channel(sys.argv[1]))
        return
    parts = ["relay", *(channel.value for channel in Channel)]
    run_together([Running(part, python("worker.py", part)) for part in parts], stop_seconds=STOP_SECONDS)


if __name__ == "__main__":
    main()
