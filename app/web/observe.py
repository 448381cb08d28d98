"""What a request left behind: one log line, and numbers for Prometheus."""

import os
import secrets
import time
from collections.abc import Iterator
from types import TracebackType

import structlog
from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from app.logs import log


class Numbers:
    """This process's counters. Each app has its own, so that two apps in one process do not count together.

    With PROMETHEUS_MULTIPROC_DIR set (`leima serve` does), every worker counts in files there.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "leima_requests_total", "Answers given", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "leima_request_seconds",
            "Time to answer, in seconds",
            ["route"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )

    def of_all_workers(self) -> CollectorRegistry:
        """The numbers to show: the sums over all workers, when there are several."""
        if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            return self.registry
        sums = CollectorRegistry()
        MultiProcessCollector(sums)  # type: ignore[no-untyped-call] # the client's own lack
        return sums


ExcInfo = tuple[type, BaseException, TracebackType] | tuple[None, None, None]


def install(app: Flask) -> None:
    numbers = app.extensions["leima_numbers"] = Numbers()
    app.log_exception = _failed  # type: ignore[method-assign] # Flask's own writes the path, and a token in it

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=secrets.token_hex(8))

    @app.after_request
    def end(response: Response) -> Response:
        route = _route()
        seconds = time.perf_counter() - g.get("begun", time.perf_counter())
        numbers.requests.labels(route, request.method, response.status_code).inc()
        numbers.seconds.labels(route).observe(seconds)
        if request.endpoint != "static":
            log().info(
                "request.answered",
                route=route,
                method=request.method,
                status=response.status_code,
                milliseconds=round(seconds * 1000, 1),
                **dict(_who()),
            )
        return response


def _failed(exc_info: ExcInfo) -> None:
    """A view raised what nobody expected: its answer is 500."""
    log().error("request.failed", route=_route(), method=request.method, exc_info=exc_info, **dict(_who()))


def _route() -> str:
    """The rule, not the path: paths carry the tokens of people's pages."""
    return request.url_rule.rule if request.url_rule else "none"


def _who() -> Iterator[tuple[str, str]]:
    """Ids of those for whom the request was answered, when it is known."""
    if person := g.get("staff"):
        yield from (("program_id", str(person.program_id)), ("staff_id", str(person.id)))
    elif found := g.get("api_actor"):
        yield from (("program_id", str(found.program_id)), ("api_key_id", str(found.api_key_id)))
