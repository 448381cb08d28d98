"""Gunicorn's settings, from LEIMA_*: `gunicorn wsgi:app` finds this file by itself."""

import os
import shutil
from typing import Any

from gunicorn.glogging import Logger

from app import logs
from app import settings as settings_module
from app.cli.common import settings_or_exit

_settings = settings_or_exit(settings_module.load)
logs.configure(_settings.log_level)
_metrics = _settings.data.resolve() / "metrics"

bind = f"{_settings.host}:{_settings.port}"
workers = _settings.web_workers
threads = _settings.web_threads
worker_class = "gthread"
graceful_timeout = 2  # seconds; a request takes less than one, and connections that are kept open are waited for too
keepalive = 30
loglevel = "warning"
control_socket_disable = True  # it would be made in the home folder


class logger_class(Logger):  # type: ignore[misc] # noqa: N801 - gunicorn's setting, and without types
    """Gunicorn's own lines go where ours go: as JSON, without addresses."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


# The workers count in files that /metrics adds up. The Prometheus client looks at this when it is imported.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics)


def on_starting(_server: object) -> None:
    """Counting begins anew: counters of an earlier run belong to processes that are gone."""
    shutil.rmtree(_metrics, ignore_errors=True)
    _metrics.mkdir(parents=True)


def child_exit(_server: object, worker: Any) -> None:
    """Forget the gauges of a worker that is gone."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call] # the client's own lack
